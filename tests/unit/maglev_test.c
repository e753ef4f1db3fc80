/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables, against slow versions that are written as the papers put it: Maglev (NSDI'16, listing 1,
 * with weights added up round by round), smooth round-robin with one credit per member, and the
 * reference vectors of SipHash-2-4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../../loader/addr.h"
#include "../../loader/maglev.h"
#include "../../loader/siphash.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define M LB_TABLE_SLOTS

static __u16 fast[M], slow[M];

/* xorshift: the same members in every run */
static __u64 dice(void)
{
	static __u64 x = 0x9e3779b97f4a7c15;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* Returns the sum of the weights. */
static __u64 make_members(struct maglev_member *members, size_t n, __u32 (*weight)(size_t i))
{
	__u64 sum = 0;

	for (size_t i = 0; i < n; i++) {
		struct lb_addr addr = { .bytes = { [10] = 0xff, [11] = 0xff, 10, 0, i >> 8, i } };

		members[i] = (struct maglev_member){ .id = i + 1, .weight = weight(i), .key = maglev_key(&addr) };
		sum += members[i].weight;
	}
	return sum;
}

static __u32 equal(size_t i)
{
	(void)i;
	return 3;
}

static __u32 rising(size_t i)
{
	return i + 1;
}

static __u32 lopsided(size_t i)
{
	return i == 7 ? LB_MAX_WEIGHT : 1;
}

static __u32 wild(size_t i)
{
	(void)i;
	return dice() % LB_MAX_WEIGHT + 1;
}

static __u32 (*const weights[])(size_t) = { equal, rising, lopsided, wild };

static int by_key(const void *a, const void *b)
{
	const struct maglev_member *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* The keys are repeated here: nodes of different versions must agree, so they are part of the contract. */
static void fill_slowly(const struct maglev_member *given, size_t n)
{
	static const uint64_t offset_key[2] = { 0x6d61676c65766f66, 1 }, skip_key[2] = { 0x6d61676c6576736b, 2 };
	struct maglev_member *members = calloc(n, sizeof(*members));
	__u64 *sum = calloc(n, sizeof(*sum)), *tried = calloc(n, sizeof(*tried));
	__u32 heaviest = 0;
	size_t filled = 0;

	memcpy(members, given, n * sizeof(*members));
	qsort(members, n, sizeof(*members), by_key);
	for (size_t i = 0; i < n; i++)
		heaviest = members[i].weight > heaviest ? members[i].weight : heaviest;
	for (size_t i = 0; i < n; i++)
		sum[i] = heaviest;	/* in halves: everybody starts with half a slot */
	memset(slow, 0, sizeof(slow));
	while (filled < M) {
		for (size_t i = 0; i < n && filled < M; i++) {
			__u64 offset = siphash(offset_key, &members[i].key, 8) % M;
			__u64 skip = siphash(skip_key, &members[i].key, 8) % (M - 1) + 1;

			sum[i] += 2 * members[i].weight;
			if (sum[i] < 2 * heaviest)
				continue;
			sum[i] -= 2 * heaviest;
			while (slow[(offset + tried[i] * skip) % M])
				tried[i]++;
			slow[(offset + tried[i] * skip) % M] = members[i].id;
			filled++;
		}
	}
	free(members);
	free(sum);
	free(tried);
}

static int by_weight(const void *a, const void *b)
{
	const struct maglev_member *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return by_key(a, b);
}

static __u32 round_slowly(const struct maglev_member *given, size_t n)
{
	struct maglev_member *members = calloc(n, sizeof(*members));
	__s64 *credit = calloc(n, sizeof(*credit));
	__u32 sum = 0;

	memcpy(members, given, n * sizeof(*members));
	qsort(members, n, sizeof(*members), by_weight);
	for (size_t i = 0; i < n; i++)
		sum += members[i].weight;
	for (__u32 at = 0; at < sum; at++) {
		size_t best = 0;

		for (size_t i = 0; i < n; i++) {
			credit[i] += members[i].weight;
			if (credit[i] > credit[best])
				best = i;
		}
		credit[best] -= sum;
		slow[at] = members[best].id;
	}
	free(members);
	free(credit);
	return sum;
}

static void count_slots(const __u16 *slots, __u32 slots_n, __u32 *count)
{
	memset(count, 0, (LB_MAX_MEMBERS + 1) * sizeof(*count));
	for (__u32 i = 0; i < slots_n; i++) {
		assert_in_range(slots[i], 1, LB_MAX_MEMBERS);
		count[slots[i]]++;
	}
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static void siphash_gives_the_reference_vectors(void **state)
{
	/* key 00 01 .. 0f, message 00 01 .. (length - 1); the paper's appendix A is length 15 */
	static const struct { size_t len; uint64_t hash; } vectors[] = {
		{ 0, 0x726fdb47dd0e0e31 }, { 1, 0x74f839c593dc67fd }, { 2, 0x0d6c8009d9a94f5a }, { 3, 0x85676696d7fb7e2d },
		{ 4, 0xcf2794e0277187b7 }, { 5, 0x18765564cd99a68d }, { 6, 0xcbc9466e58fee3ce }, { 7, 0xab0200f58b01d137 },
		{ 8, 0x93f5f5799a932462 }, { 9, 0x9e0082df0ba9e4b0 }, { 15, 0xa129ca6149be45e5 },
	};
	static const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	uint8_t message[16];

	(void)state;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = i;
	for (size_t i = 0; i < COUNT(vectors); i++)
		assert_int_equal(siphash(key, message, vectors[i].len), vectors[i].hash);
}

static void the_table_is_the_one_that_the_slow_version_fills(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 10, 57 };
	struct maglev_member members[57];

	(void)state;
	for (size_t w = 0; w < COUNT(weights); w++) {
		for (size_t s = 0; s < COUNT(sizes); s++) {
			make_members(members, sizes[s], weights[w]);
			assert_int_equal(maglev_fill(members, sizes[s], fast), 0);
			fill_slowly(members, sizes[s]);
			assert_memory_equal(fast, slow, sizeof(fast));
		}
	}
}

static void every_slot_is_filled_and_shares_follow_the_weights(void **state)
{
	static const size_t sizes[] = { 1, 3, 100, 1000, LB_MAX_MEMBERS };
	static struct maglev_member members[LB_MAX_MEMBERS];
	static __u32 count[LB_MAX_MEMBERS + 1];

	(void)state;
	for (size_t w = 0; w < COUNT(weights); w++) {
		for (size_t s = 0; s < COUNT(sizes); s++) {
			__u64 sum = make_members(members, sizes[s], weights[w]);

			assert_int_equal(maglev_fill(members, sizes[s], fast), 0);
			count_slots(fast, M, count);
			for (size_t i = 0; i < sizes[s]; i++) {
				double want = (double)M * members[i].weight / sum;
				/* its own rounding, and its part of everybody's */
				double slack = 1.5 + (double)sizes[s] * members[i].weight / sum;

				if (count[i + 1] < want - slack || count[i + 1] > want + slack)
					fail_msg("weights %zu, %zu members: %zu has %u, not %.1f", w, sizes[s], i,
						 count[i + 1], want);
			}
		}
	}
}

static void the_order_of_the_arguments_does_not_show(void **state)
{
	static struct maglev_member members[200];
	static __u16 before[M];
	__u32 slots_n, again;

	(void)state;
	for (size_t w = 0; w < COUNT(weights); w++) {
		make_members(members, COUNT(members), weights[w]);
		members[17].key = members[18].key;	/* a collision must not let the order in */
		for (int round = 0; round < 2; round++) {
			assert_int_equal(round ? maglev_fill_round(members, COUNT(members), before, &slots_n) :
						 maglev_fill(members, COUNT(members), before), 0);
			for (size_t i = COUNT(members) - 1; i; i--) {
				size_t j = dice() % (i + 1);
				struct maglev_member kept = members[i];

				members[i] = members[j];
				members[j] = kept;
			}
			assert_int_equal(round ? maglev_fill_round(members, COUNT(members), fast, &again) :
						 maglev_fill(members, COUNT(members), fast), 0);
			if (round)
				assert_int_equal(slots_n, again);
			assert_memory_equal(fast, before, (round ? slots_n : M) * sizeof(*fast));
		}
	}
}

static void ids_are_only_labels(void **state)
{
	struct maglev_member members[10];

	(void)state;
	make_members(members, 10, rising);
	assert_int_equal(maglev_fill(members, 10, slow), 0);
	for (size_t i = 0; i < 10; i++)
		members[i].id = 1000 - members[i].id;
	assert_int_equal(maglev_fill(members, 10, fast), 0);
	for (size_t i = 0; i < M; i++)
		assert_int_equal(fast[i], 1000 - slow[i]);
}

static void removing_one_of_ten_moves_hardly_anybody_else(void **state)
{
	struct maglev_member members[10];

	(void)state;
	make_members(members, 10, equal);
	assert_int_equal(maglev_fill(members, 10, slow), 0);
	for (size_t gone = 0; gone < 10; gone++) {
		__u16 id = members[gone].id;
		size_t moved = 0;

		members[gone].weight = 0;
		assert_int_equal(maglev_fill(members, 10, fast), 0);
		for (size_t i = 0; i < M; i++) {
			assert_int_not_equal(fast[i], id);
			moved += slow[i] != id && slow[i] != fast[i];
		}
		members[gone].weight = 3;
		if (moved * 100 >= M)
			fail_msg("without member %zu %zu slots of others moved", gone, moved);
	}
}

static void a_round_is_the_one_that_the_slow_version_makes(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 10, 57 };
	struct maglev_member members[57];
	__u32 slots_n;

	(void)state;
	for (int trial = 0; trial < 40; trial++) {
		size_t n = sizes[trial % COUNT(sizes)];

		make_members(members, n, rising);
		for (size_t i = 0; i < n; i++)
			members[i].weight = dice() % 20 + 1;
		members[0].weight = 1;	/* nothing to reduce */
		assert_int_equal(maglev_fill_round(members, n, fast, &slots_n), 0);
		assert_int_equal(slots_n, round_slowly(members, n));
		assert_memory_equal(fast, slow, slots_n * sizeof(*fast));
	}
}

static void a_round_interleaves_as_smoothly_as_the_well_known_example(void **state)
{
	/* weights 5, 1, 1: not aaaaabc */
	struct maglev_member members[] = { { 1, 5, 10 }, { 2, 1, 20 }, { 3, 1, 30 } };
	static const __u16 want[] = { 1, 1, 2, 1, 3, 1, 1 };
	__u32 slots_n;

	(void)state;
	assert_int_equal(maglev_fill_round(members, 3, fast, &slots_n), 0);
	assert_int_equal(slots_n, 7);
	assert_memory_equal(fast, want, sizeof(want));
}

static void weights_of_a_round_are_reduced(void **state)
{
	static struct maglev_member members[1000];
	static __u32 count[LB_MAX_MEMBERS + 1];
	__u32 slots_n;

	(void)state;
	make_members(members, 1000, equal);
	for (size_t i = 0; i < 1000; i++)
		members[i].weight = 60000;
	assert_int_equal(maglev_fill_round(members, 1000, fast, &slots_n), 0);
	assert_int_equal(slots_n, 1000);
	count_slots(fast, slots_n, count);
	for (size_t i = 1; i <= 1000; i++)
		assert_int_equal(count[i], 1);
}

static void a_long_round_is_scaled_and_drops_nobody(void **state)
{
	static const size_t sizes[] = { 2, 100, 1000, LB_MAX_MEMBERS };
	static struct maglev_member members[LB_MAX_MEMBERS];
	static __u32 count[LB_MAX_MEMBERS + 1];
	__u32 slots_n;

	(void)state;
	for (size_t w = 0; w < COUNT(weights); w++) {
		for (size_t s = 0; s < COUNT(sizes); s++) {
			__u64 sum = make_members(members, sizes[s], weights[w]);

			assert_int_equal(maglev_fill_round(members, sizes[s], fast, &slots_n), 0);
			assert_in_range(slots_n, 1, M);
			count_slots(fast, slots_n, count);
			for (size_t i = 0; i < sizes[s]; i++) {
				double have = (double)count[i + 1] / slots_n, want = (double)members[i].weight / sum;

				assert_true(count[i + 1] > 0);
				if (have - want > 1.0 / slots_n + want * 0.02 || want - have > 1.0 / slots_n + want * 0.02)
					fail_msg("weights %zu, %zu members: %zu has %f, not %f", w, sizes[s], i, have, want);
			}
		}
	}
}

static void nobody_to_choose_from_is_an_error_and_the_weightless_are_left_out(void **state)
{
	struct maglev_member members[] = { { 1, 0, 10 }, { 2, 0, 20 }, { 3, 0, 30 } };
	static struct maglev_member many[LB_MAX_MEMBERS + 1];
	__u32 slots_n = 99;

	(void)state;
	assert_int_equal(maglev_fill(members, 0, fast), -EINVAL);
	assert_int_equal(maglev_fill(members, 3, fast), -EINVAL);
	assert_int_equal(maglev_fill_round(members, 0, fast, &slots_n), -EINVAL);
	assert_int_equal(maglev_fill_round(members, 3, fast, &slots_n), -EINVAL);
	make_members(many, COUNT(many), equal);
	assert_int_equal(maglev_fill(many, COUNT(many), fast), -EINVAL);
	assert_int_equal(slots_n, 99);
	members[1].weight = 5;
	assert_int_equal(maglev_fill(members, 3, fast), 0);
	for (size_t i = 0; i < M; i++)
		assert_int_equal(fast[i], 2);
	assert_int_equal(maglev_fill_round(members, 3, fast, &slots_n), 0);
	assert_int_equal(slots_n, 1);
	assert_int_equal(fast[0], 2);
}

static void a_thousand_members_take_less_than_a_timer_tick_or_two(void **state)
{
	static struct maglev_member members[1000];
	double worst = 0, worst_round = 0;
	__u32 slots_n;

	(void)state;
	for (size_t w = 0; w < COUNT(weights); w++) {
		double start, middle, end;

		make_members(members, 1000, weights[w]);
		start = now_ms();
		assert_int_equal(maglev_fill(members, 1000, fast), 0);
		middle = now_ms();
		assert_int_equal(maglev_fill_round(members, 1000, fast, &slots_n), 0);
		end = now_ms();
		worst = middle - start > worst ? middle - start : worst;
		worst_round = end - middle > worst_round ? end - middle : worst_round;
	}
	print_message("maglev %.1f ms, round %.1f ms of CPU\n", worst, worst_round);
#ifndef __SANITIZE_ADDRESS__
	/* CPU time, not the wall clock; twice the aim, for slow machines */
	assert_true(worst < 60 && worst_round < 60);
#endif
}

static void addresses_have_keys_of_their_own_that_never_change(void **state)
{
	struct lb_addr a, b;

	(void)state;
	assert_int_equal(addr_parse("10.0.0.11", &a), 0);
	assert_int_equal(addr_parse("10.0.0.12", &b), 0);
	assert_int_not_equal(maglev_key(&a), maglev_key(&b));
	assert_int_equal(maglev_key(&a), 0xd785888f69665dcc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_gives_the_reference_vectors),
		cmocka_unit_test(the_table_is_the_one_that_the_slow_version_fills),
		cmocka_unit_test(every_slot_is_filled_and_shares_follow_the_weights),
		cmocka_unit_test(the_order_of_the_arguments_does_not_show),
		cmocka_unit_test(ids_are_only_labels),
		cmocka_unit_test(removing_one_of_ten_moves_hardly_anybody_else),
		cmocka_unit_test(a_round_is_the_one_that_the_slow_version_makes),
		cmocka_unit_test(a_round_interleaves_as_smoothly_as_the_well_known_example),
		cmocka_unit_test(weights_of_a_round_are_reduced),
		cmocka_unit_test(a_long_round_is_scaled_and_drops_nobody),
		cmocka_unit_test(nobody_to_choose_from_is_an_error_and_the_weightless_are_left_out),
		cmocka_unit_test(a_thousand_members_take_less_than_a_timer_tick_or_two),
		cmocka_unit_test(addresses_have_keys_of_their_own_that_never_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
