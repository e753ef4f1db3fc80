// SPDX-License-Identifier: GPL-2.0-or-later
/* What a reload cannot change is named, with what it would be and what it is. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "../../loader/config_fixed.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static const struct config_fixed started = { .flows = 4096, .hash_seed = 7, .half_open_ms = 30000, .manage_vips = true };

static const struct {
	const char *name;
	struct config next;
	const char *missing;
} rows[] = {
	{ "nothing has changed", { .flows = 4096, .hash_seed = 7, .half_open_ms = 30000, .manage_vips = true }, "" },
	{ "timers that the daemon itself keeps need no restart",
	  { .flows = 4096, .hash_seed = 7, .half_open_ms = 30000, .manage_vips = true, .idle_ms = 1, .slow_start_ms = 2 }, "" },
	{ "another table", { .flows = 65536, .hash_seed = 7, .half_open_ms = 30000, .manage_vips = true },
	  "flows 65536 (now 4096)" },
	{ "no seed keeps the one there is", { .flows = 4096, .half_open_ms = 30000, .manage_vips = true }, "" },
	{ "all of it", { .flows = 16, .hash_seed = 8, .half_open_ms = 1000 },
	  "flows 16 (now 4096), half-open 1s (now 30s), hash-seed 8, manage-vips false" },
};

static void what_must_wait_is_named(void **state)
{
	char text[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(config_fixed_missing(&started, &rows[i].next, text, sizeof(text)), rows[i].missing))
			fail_msg("%s: \"%s\", not \"%s\"", rows[i].name, text, rows[i].missing);
}

static void a_config_misses_nothing_of_itself(void **state)
{
	struct config config = { .flows = 1, .hash_seed = 2, .half_open_ms = 3, .manage_vips = true };
	struct config_fixed fixed = config_fixed_of(&config);
	char text[200];

	(void)state;
	assert_string_equal(config_fixed_missing(&fixed, &config, text, sizeof(text)), "");
}

static void a_small_buffer_is_not_overrun(void **state)
{
	const struct config *all = &rows[ARRAY_SIZE(rows) - 1].next;

	(void)state;
	for (size_t len = 1; len < 100; len++) {
		char text[101];

		memset(text, '#', sizeof(text));
		config_fixed_missing(&started, all, text, len);
		assert_true(strlen(text) < len);
		assert_int_equal(text[len], '#');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_must_wait_is_named),
		cmocka_unit_test(a_config_misses_nothing_of_itself),
		cmocka_unit_test(a_small_buffer_is_not_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
