/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Two hashes of a flow key, both keyed, so that nobody outside can aim. SipHash-1-3 (Aumasson and Bernstein, 2012) for
 * what anybody with a forged SYN reaches: the choice of a backend, where equal keys on two nodes give equal answers, and
 * "pending". NH (Black, Halevi, Krawczyk, Krovetz and Rogaway, UMAC, CRYPTO '99), three multiplications, for a
 * flow's place in the flow table, which every packet asks for and which costs the client a handshake to have a part in. Pure: the host's tests compile it too.
 */
#ifndef LB_HASH_H
#define LB_HASH_H

#define HASH_PLACE_WORDS 6 /* of 32 bits, in a flow key */
#define HASH_ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))

struct hash_state {
	__u64 a, b, c, d;
};

static __always_inline void hash_round(struct hash_state *s)
{
	s->a += s->b;
	s->c += s->d;
	s->b = HASH_ROTL(s->b, 13) ^ s->a;
	s->d = HASH_ROTL(s->d, 16) ^ s->c;
	s->a = HASH_ROTL(s->a, 32);
	s->c += s->b;
	s->a += s->d;
	s->b = HASH_ROTL(s->b, 17) ^ s->c;
	s->d = HASH_ROTL(s->d, 21) ^ s->a;
	s->c = HASH_ROTL(s->c, 32);
}

/* words_n 64-bit words, read in host order; key is both halves of the secret. */
static __always_inline __u64 hash_words(const __u64 *words, __u32 words_n, __u64 key0, __u64 key1)
{
	struct hash_state s = {
		.a = key0 ^ 0x736f6d6570736575ULL,
		.b = key1 ^ 0x646f72616e646f6dULL,
		.c = key0 ^ 0x6c7967656e657261ULL,
		.d = key1 ^ 0x7465646279746573ULL,
	};
	__u64 last = (__u64)words_n << 59; /* length in bytes, top byte */

	for (__u32 i = 0; i < words_n; i++) {
		s.d ^= words[i];
		hash_round(&s);
		s.a ^= words[i];
	}
	s.d ^= last;
	hash_round(&s);
	s.a ^= last;
	s.c ^= 0xff;
	hash_round(&s);
	hash_round(&s);
	hash_round(&s);
	return s.a ^ s.b ^ s.c ^ s.d;
}

static __always_inline __u64 hash_flow(const struct lb_flow_key *key, __u64 seed)
{
	return hash_words((const __u64 *)key, sizeof(*key) / 8, seed, seed ^ 0x9e3779b97f4a7c15ULL);
}

/* Two flows get the same sum with a probability of 2^-32, whoever chose them, as long as he does not know the secret. Then
 * mixed (the last steps of MurmurHash3, Appleby), because each half is a number by itself to the table. */
static __always_inline __u64 hash_place(const struct lb_flow_key *key, const volatile __u32 secret[HASH_PLACE_WORDS])
{
	const __u32 *w = (const __u32 *)key;
	__u64 h = 0;

	for (int i = 0; i < HASH_PLACE_WORDS; i += 2)
		h += (__u64)(__u32)(w[i] + secret[i]) * (__u32)(w[i + 1] + secret[i + 1]);
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	return h ^ h >> 33;
}

#endif
