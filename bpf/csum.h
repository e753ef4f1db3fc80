/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * One's complement arithmetic on checksums. Sums are of 16-bit words as they lie in memory, so
 * the code is the same on either byte order (RFC 1071, 2B). Pure: the host's tests compile it too.
 */
#ifndef LB_CSUM_H
#define LB_CSUM_H

static __always_inline __u16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* What replacing old words by new ones adds to a sum: ~old + new (RFC 1624, eqn. 3). len in bytes, even. */
static __always_inline __u16 csum_diff(const void *from, const void *to, __u32 len)
{
	const __u16 *a = from, *b = to;
	__u32 sum = 0;

	for (__u32 i = 0; i < len / 2; i++)
		sum += (__u16)~a[i] + (__u32)b[i];
	return csum_fold(sum);
}

/* HC' = ~(~HC + delta). Never gives 0xffff out of a valid checksum's range: see RFC 1624, section 5. */
static __always_inline __u16 csum_apply(__u16 check, __u32 delta)
{
	return ~csum_fold((__u16)~check + delta);
}

/* The delta of a TTL that went down by one: TTL is the high byte of its word on the wire. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CSUM_TTL_DELTA 0xfffe
#else
#define CSUM_TTL_DELTA 0xfeff
#endif

#endif
