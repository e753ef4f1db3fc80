/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers, times and sizes: each table row is a text, the answer and the value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "../../loader/num.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNTOUCHED 0xa5a5a5a5a5a5a5a5

struct row {
	const char *text;
	int err;
	uint64_t value;
};

static void check_rows(int (*parse)(const char *, uint64_t, uint64_t, uint64_t *), uint64_t min, uint64_t max,
		       const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value = UNTOUCHED;
		int err = parse(rows[i].text, min, max, &value);

		if (err != rows[i].err || value != (err ? UNTOUCHED : rows[i].value))
			fail_msg("\"%s\": %d, %llu", rows[i].text, err, (unsigned long long)value);
	}
}

static void a_number_is_the_whole_text_or_an_error(void **state)
{
	static const struct row rows[] = {
		{ "1", 0, 1 }, { "25", 0, 25 }, { "65535", 0, 65535 },
		{ "0", -ERANGE, 0 }, { "65536", -ERANGE, 0 }, { "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 }, { "10x", -EINVAL, 0 }, { " 10", -EINVAL, 0 }, { "10 ", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 }, { "+1", -EINVAL, 0 }, { "0x19", -EINVAL, 0 }, { "010", -EINVAL, 0 },
		{ "00", -EINVAL, 0 }, { "1.5", -EINVAL, 0 }, { "1e3", -EINVAL, 0 }, { "ten", -EINVAL, 0 },
		{ "25\n", -EINVAL, 0 }, { "99999999999999999999999999x", -EINVAL, 0 }, { "5s", -EINVAL, 0 },
	};
	static const struct row wide[] = {
		{ "0", 0, 0 }, { "18446744073709551615", 0, UINT64_MAX }, { "18446744073709551616", -ERANGE, 0 },
	};

	(void)state;
	check_rows(num_parse, 1, 65535, rows, COUNT(rows));
	check_rows(num_parse, 0, UINT64_MAX, wide, COUNT(wide));
}

static void a_duration_has_one_unit_and_is_seconds_without(void **state)
{
	static const struct row rows[] = {
		{ "250ms", 0, 250 }, { "5s", 0, 5000 }, { "5", 0, 5000 }, { "10m", 0, 600000 }, { "2h", 0, 7200000 },
		{ "24h", 0, 86400000 }, { "99ms", -ERANGE, 0 }, { "0", -ERANGE, 0 }, { "86401", -ERANGE, 0 },
		{ "25h", -ERANGE, 0 }, { "18446744073709551615h", -ERANGE, 0 },
		{ "", -EINVAL, 0 }, { "ms", -EINVAL, 0 }, { "5 s", -EINVAL, 0 }, { "5S", -EINVAL, 0 }, { "1d", -EINVAL, 0 },
		{ "1h30m", -EINVAL, 0 }, { "1.5s", -EINVAL, 0 }, { "-5s", -EINVAL, 0 }, { "5sx", -EINVAL, 0 },
	};

	(void)state;
	check_rows(num_parse_duration, 100, 86400000, rows, COUNT(rows));
}

static void a_count_has_binary_units(void **state)
{
	static const struct row rows[] = {
		{ "1024", 0, 1024 }, { "64k", 0, 65536 }, { "64K", 0, 65536 }, { "1m", 0, 1048576 }, { "1M", 0, 1048576 },
		{ "16m", 0, 16777216 }, { "17m", -ERANGE, 0 }, { "1023", -ERANGE, 0 }, { "0", -ERANGE, 0 },
		{ "17592186044416m", -ERANGE, 0 }, { "k", -EINVAL, 0 }, { "64kb", -EINVAL, 0 }, { "1g", -EINVAL, 0 },
		{ "1.5m", -EINVAL, 0 },
	};

	(void)state;
	check_rows(num_parse_count, 1024, 16777216, rows, COUNT(rows));
}

static void durations_print_in_the_biggest_exact_unit_and_read_back(void **state)
{
	static const struct { uint64_t ms; const char *text; } rows[] = {
		{ 0, "0s" }, { 1, "1ms" }, { 250, "250ms" }, { 1000, "1s" }, { 1500, "1500ms" }, { 90000, "90s" },
		{ 600000, "10m" }, { 3600000, "1h" }, { 5400000, "90m" }, { 86400000, "24h" },
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t back = UNTOUCHED;

		assert_string_equal(num_duration_to_str(rows[i].ms, buf, sizeof(buf)), rows[i].text);
		assert_int_equal(num_parse_duration(buf, 0, UINT64_MAX, &back), 0);
		assert_int_equal(back, rows[i].ms);
	}
}

static void humans_get_three_digits_and_never_more_than_there_is(void **state)
{
	static const struct { uint64_t n; const char *text; } rows[] = {
		{ 0, "0" }, { 999, "999" }, { 1000, "1.0k" }, { 18234, "18.2k" }, { 99999, "99.9k" }, { 182340, "182k" },
		{ 999999, "999k" }, { 1000000, "1.0M" }, { 21300000, "21.3M" }, { UINT64_MAX, "18.4E" },
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(num_to_human(rows[i].n, buf, sizeof(buf)), rows[i].text);
}

static void short_buffers_are_not_overrun(void **state)
{
	char buf[8] = "1234567";

	(void)state;
	num_to_human(18234, buf, 3);
	assert_string_equal(buf, "18");
	num_duration_to_str(250, buf, 4);
	assert_string_equal(buf, "250");
	assert_int_equal(buf[5], '6');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_the_whole_text_or_an_error),
		cmocka_unit_test(a_duration_has_one_unit_and_is_seconds_without),
		cmocka_unit_test(a_count_has_binary_units),
		cmocka_unit_test(durations_print_in_the_biggest_exact_unit_and_read_back),
		cmocka_unit_test(humans_get_three_digits_and_never_more_than_there_is),
		cmocka_unit_test(short_buffers_are_not_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
