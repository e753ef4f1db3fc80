// SPDX-License-Identifier: GPL-2.0-or-later
/* Intervals that drift apart, and how far. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdbool.h>
#include "../../loader/jitter.h"

#define THROWS 10000	/* so many miss one of 21 values in 1 of 10^210 runs */

static void it_is_a_tenth_at_most_either_way_and_all_of_it(void **state)
{
	bool seen[21] = {};

	(void)state;
	for (int i = 0; i < THROWS; i++) {
		__u64 got = jitter(100);

		assert_in_range(got, 90, 110);
		seen[got - 90] = true;
	}
	for (size_t i = 0; i < 21; i++)
		assert_true(seen[i]);
}

static void what_has_no_tenth_stays_as_it_is(void **state)
{
	(void)state;
	for (__u64 interval = 0; interval < 5; interval++)
		assert_int_equal(jitter(interval), interval);
}

static void an_hour_in_microseconds_is_not_too_long(void **state)
{
	(void)state;
	for (int i = 0; i < THROWS; i++)
		assert_in_range(jitter(3600000000ULL * 5), 16200000000ULL, 19800000000ULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_a_tenth_at_most_either_way_and_all_of_it),
		cmocka_unit_test(what_has_no_tenth_stays_as_it_is),
		cmocka_unit_test(an_hour_in_microseconds_is_not_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
