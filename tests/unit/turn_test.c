/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpf/turn.h, compiled for the host: comparisons modulo 2^32 and the histogram's edges, all of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "../../bpf/lb_abi.h"
#include "../../bpf/turn.h"

static const __u32 bases[] = { 0, 1, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff, 12345 };

#define EACH_BASE(b) for (size_t n_ = 0; n_ < sizeof(bases) / sizeof(bases[0]); n_++) \
	for (__u32 b = bases[n_], once_ = 1; once_; once_ = 0)

static void after_means_less_than_half_way_round(void **state)
{
	(void)state;
	EACH_BASE(b) {
		assert_false(turn_is_after(b, b));
		assert_true(turn_is_after(b + 1, b));
		assert_true(turn_is_after(b + 0x7fffffff, b));
		assert_false(turn_is_after(b + 0x80000001, b));
		assert_false(turn_is_after(b - 1, b));
		assert_false(turn_is_after(b - 0x7fffffff, b));
	}
}

static void only_new_words_and_new_acks_advance(void **state)
{
	(void)state;
	EACH_BASE(b) {
		struct lb_flow flow = { .client_next = b, .client_ack = b };

		assert_false(turn_words_advance(&flow, b));	/* a bare ACK, or a repetition of the last words */
		assert_false(turn_words_advance(&flow, b - 1));	/* keep-alive */
		assert_false(turn_words_advance(&flow, b - 1448));
		assert_true(turn_words_advance(&flow, b + 1));
		assert_false(turn_ack_advances(&flow, b));
		assert_false(turn_ack_advances(&flow, b - 40));
		assert_true(turn_ack_advances(&flow, b + 40));
	}
}

static void a_rst_is_plausible_from_one_before_to_a_megabyte_after(void **state)
{
	(void)state;
	EACH_BASE(b) {
		assert_true(turn_rst_plausible(b - 1, b));
		assert_true(turn_rst_plausible(b, b));
		assert_true(turn_rst_plausible(b + (1 << 20) - 2, b));
		assert_false(turn_rst_plausible(b + (1 << 20) - 1, b));
		assert_false(turn_rst_plausible(b - 2, b));
		assert_false(turn_rst_plausible(b + 0x80000000, b));
	}
}

/* Told in words: the first bucket whose end, 2^n ms, is beyond the time. */
static __u32 slow_bucket(__u64 ns)
{
	__u32 n = 0;

	while (n + 1 < LB_HIST_BUCKETS && ns >= (1000000ULL << n))
		n++;
	return n;
}

static void every_bucket_begins_and_ends_where_it_says(void **state)
{
	(void)state;
	assert_int_equal(turn_bucket(0), 0);
	assert_int_equal(turn_bucket(999999), 0);
	assert_int_equal(turn_bucket(1000000), 1);
	for (__u32 n = 0; n < LB_HIST_BUCKETS; n++) {
		__u64 end = 1000000ULL << n;

		assert_int_equal(turn_bucket(end - 1), n);
		assert_int_equal(turn_bucket(end), n + 1 < LB_HIST_BUCKETS ? n + 1 : n);
	}
	for (int shift = 0; shift < 64; shift++)
		for (int off = -2; off <= 2; off++)
			assert_int_equal(turn_bucket((1ULL << shift) + off), slow_bucket((1ULL << shift) + off));
	for (__u64 ms = 0; ms < 300000; ms++)
		assert_int_equal(turn_bucket(ms * 1000000 + ms % 1000000), slow_bucket(ms * 1000000));
	assert_int_equal(turn_bucket(~0ULL), LB_HIST_BUCKETS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_means_less_than_half_way_round),
		cmocka_unit_test(only_new_words_and_new_acks_advance),
		cmocka_unit_test(a_rst_is_plausible_from_one_before_to_a_megabyte_after),
		cmocka_unit_test(every_bucket_begins_and_ends_where_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
