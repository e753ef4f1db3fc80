// SPDX-License-Identifier: GPL-2.0-or-later
/* The last events: numbers without gaps, the oldest go first. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "../../loader/history.h"

static struct history history;

static int setup(void **state)
{
	(void)state;
	memset(&history, 0, sizeof(history));
	return 0;
}

static void add_lines(size_t n)
{
	char text[32];

	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "line %llu", (unsigned long long)history_next(&history));
		history_add_line(&history, 1000 + i, text);
	}
}

static void an_empty_one_has_nothing(void **state)
{
	(void)state;
	assert_null(history_from(&history, 0));
	assert_null(history_from(&history, UINT64_MAX));
	assert_int_equal(history_next(&history), 1);
}

static void events_come_back_as_they_were(void **state)
{
	const struct history_entry *e;

	(void)state;
	history_add_change(&history, 5, "mx1", "up", "down", "tcp: no answer");
	history_add_line(&history, 6, "attached to eth0");
	e = history_from(&history, 0);
	assert_int_equal(e->seq, 1);
	assert_int_equal(e->at_ms, 5);
	assert_string_equal(e->backend, "mx1");
	assert_string_equal(e->from, "up");
	assert_string_equal(e->to, "down");
	assert_string_equal(e->text, "tcp: no answer");
	e = history_from(&history, 2);
	assert_int_equal(e->seq, 2);
	assert_string_equal(e->backend, "");
	assert_null(e->from);
	assert_null(e->to);
	assert_string_equal(e->text, "attached to eth0");
	assert_null(history_from(&history, 3));
	assert_int_equal(history_next(&history), 3);
}

static void the_oldest_go_first(void **state)
{
	char text[32];
	__u64 seq;

	(void)state;
	for (size_t n = 0; n < 3 * HISTORY_MAX + 7; n++) {
		__u64 oldest = n > HISTORY_MAX ? n - HISTORY_MAX + 1 : 1, seen = 0;

		for (const struct history_entry *e = history_from(&history, 0); e; e = history_from(&history, e->seq + 1)) {
			seq = oldest + seen++;
			assert_int_equal(e->seq, seq);
			snprintf(text, sizeof(text), "line %llu", (unsigned long long)seq);
			assert_string_equal(e->text, text);
		}
		assert_int_equal(seen, n < HISTORY_MAX ? n : HISTORY_MAX);
		assert_int_equal(history_next(&history), n + 1);
		add_lines(1);
	}
}

static void long_texts_are_cut(void **state)
{
	char text[2 * HISTORY_TEXT_LEN];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	history_add_change(&history, 1, text, "up", "down", text);
	assert_int_equal(strlen(history_from(&history, 1)->text), HISTORY_TEXT_LEN - 1);
	assert_int_equal(strlen(history_from(&history, 1)->backend), POOL_NAME_LEN - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_empty_one_has_nothing, setup),
		cmocka_unit_test_setup(events_come_back_as_they_were, setup),
		cmocka_unit_test_setup(the_oldest_go_first, setup),
		cmocka_unit_test_setup(long_texts_are_cut, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
