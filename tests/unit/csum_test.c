/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpf/csum.h, compiled for the host, against a full sum over the bytes, with all edges of one's complement.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/types.h>
#include <string.h>
#include "../../bpf/csum.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static __u64 dice_state = 0x9e3779b97f4a7c15;

static __u32 dice(void)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return dice_state >> 32;
}

/* RFC 1071 as it is told: bytes in pairs, big end first, carries around; the number as it lies on the wire. */
static __u16 full_checksum(const __u8 *p, size_t n)
{
	__u32 sum = 0;
	__u8 wire[2];
	__u16 out;

	for (size_t i = 0; i < n; i += 2) {
		sum += p[i] * 256 + (i + 1 < n ? p[i + 1] : 0);
		while (sum > 0xffff)
			sum -= 0xffff;
	}
	sum = 0xffff - sum;
	wire[0] = sum >> 8;
	wire[1] = sum & 0xff;
	memcpy(&out, wire, 2);
	return out;
}

static void fold_is_the_sum_modulo_65535(void **state)
{
	static const __u32 edges[] = { 0, 1, 0xfffe, 0xffff, 0x10000, 0x1fffe, 0x1ffff, 0xfffeffff, 0xffff0000, 0xfffffffe,
				       0xffffffff };

	(void)state;
	for (int i = 0; i < 1000000; i++) {
		__u32 sum = i < (int)COUNT(edges) ? edges[i] : dice();
		__u16 folded = csum_fold(sum);

		assert_int_equal(folded % 0xffff, sum % 0xffff);
		/* zero only for zero: the other one stands for all its multiples */
		assert_int_equal(folded == 0, sum == 0);
	}
}

/* A buffer with its checksum in the last two bytes; some words of it change. */
static void a_changed_word_gives_what_a_full_sum_gives(void **state)
{
	static const __u16 edges[] = { 0, 1, 0xff, 0xff00, 0x7fff, 0x8000, 0xfffe, 0xffff };

	(void)state;
	for (int i = 0; i < 300000; i++) {
		__u8 before[42], after[42];
		__u32 len = 2 + dice() % 8 * 2, at = dice() % 10 * 2;
		__u16 check, want;

		for (size_t b = 0; b < 40; b++)
			before[b] = dice() >> 8;
		memcpy(after, before, sizeof(after));
		for (__u32 w = 0; w < len; w += 2) {
			__u16 word = dice() & 1 ? edges[dice() % COUNT(edges)] : dice();

			memcpy(after + at + w, &word, 2);
			if (dice() & 1)
				memcpy(before + at + w, &edges[dice() % COUNT(edges)], 2);
		}
		/* drive the old or the new checksum to an edge by one more word */
		if (i % 3) {
			__u16 aim = edges[dice() % COUNT(edges)], old;
			__u8 *p = i % 3 == 1 ? before : after;

			memset(p + 38, 0, 2);
			old = full_checksum(p, 40);
			aim = csum_fold((__u32)old + (__u16)~aim); /* ~aim - sum, and sum is ~old */
			memcpy(before + 38, &aim, 2);
			memcpy(after + 38, &aim, 2);
		}
		check = full_checksum(before, 40);
		want = full_checksum(after, 40);
		assert_int_equal(csum_apply(check, csum_diff(before + at, after + at, len)), want);
	}
}

static void a_sum_and_its_counterpart_cancel(void **state)
{
	(void)state;
	for (int i = 0; i < 100000; i++) {
		__u16 a[8], b[8], check = dice(), there, back;

		for (int w = 0; w < 8; w++) {
			a[w] = dice();
			b[w] = dice() & 1 ? a[w] : dice();
		}
		there = csum_diff(a, b, 16);
		back = csum_diff(b, a, 16);
		assert_int_equal(csum_apply(csum_apply(check, there), back) % 0xffff, check % 0xffff);
		assert_int_equal((__u16)~there % 0xffff, back % 0xffff);
	}
}

/* A TTL that goes down by one, for every TTL, protocol and checksum. */
static void the_ttl_delta_is_right_for_every_word(void **state)
{
	(void)state;
	for (__u32 ttl = 1; ttl < 256; ttl++) {
		for (__u32 other = 0; other < 65536; other += 1 + (other > 64 && other < 65400) * 96) {
			__u8 before[4] = { ttl, 6, other >> 8, other }, after[4];

			memcpy(after, before, 4);
			after[0]--;
			assert_int_equal(csum_apply(full_checksum(before, 4), CSUM_TTL_DELTA), full_checksum(after, 4));
		}
	}
}

static void two_deltas_may_be_added_before_they_are_applied(void **state)
{
	(void)state;
	for (int i = 0; i < 200000; i++) {
		__u16 check = dice(), delta = i & 1 ? 0xffff : dice();
		__u16 at_once = csum_apply(check, (__u32)delta + CSUM_TTL_DELTA);

		assert_int_equal(at_once % 0xffff, csum_apply(csum_apply(check, delta), CSUM_TTL_DELTA) % 0xffff);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fold_is_the_sum_modulo_65535),
		cmocka_unit_test(a_changed_word_gives_what_a_full_sum_gives),
		cmocka_unit_test(a_sum_and_its_counterpart_cancel),
		cmocka_unit_test(the_ttl_delta_is_right_for_every_word),
		cmocka_unit_test(two_deltas_may_be_added_before_they_are_applied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
