// SPDX-License-Identifier: GPL-2.0-or-later
/* When many fall at once, the checks are doubted and not the mail servers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "../../loader/panic.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define S 1000000000ULL
#define WINDOW (7 * S)

/* A story: "1d" member 1 falls, "1r" it refuses, "1u" it comes back, "+9" nine seconds pass. Then who is out of rotation,
 * one letter each: "." in, "x" out, "h" held. */
static const struct {
	const char *name;
	size_t n;
	__u8 percent;
	const char *story, *end;
} stories[] = {
	{ "one of four is out", 4, 50, "0d", "x..." },
	{ "half are out", 4, 50, "0d 1d", "xx.." },
	{ "more than half at once are held, all of them", 4, 50, "0d 1d 2d", "hhh." },
	{ "and the last one too", 4, 50, "0d 1d 2d 3d", "hhhh" },
	{ "slowly, one after the other, they go", 4, 50, "0d +9 1d +9 2d", "xxx." },
	{ "the last one alone is no proof", 4, 50, "0d +9 1d +9 2d +9 3d", "xxxx" },
	{ "two that go down together are held", 2, 50, "0d 1d", "hh" },
	{ "one of two goes", 2, 50, "0d", "x." },
	{ "a service of one has no majority", 1, 50, "0d", "x" },
	{ "who refuses has been asked", 3, 50, "0r 1r 2r", "xxx" },
	{ "who refuses is not held with the others", 4, 50, "0r 1d 2d", "xhh." },
	{ "who was down before does not count", 4, 50, "0d +9 1d 2d", "xhh." },
	{ "0 is off", 3, 0, "0d 1d 2d", "xxx" },
	{ "100 percent never", 3, 100, "0d 1d 2d", "xxx" },
	{ "a fifth is enough where so configured", 5, 20, "0d 1d", "hh..." },
	{ "the held keep company while time passes", 4, 50, "0d 1d 2d +9 3d", "hhhh" },
	{ "when most are back the rest is in like them", 4, 50, "0d 1d 2d 3d 0u 1u", "...." },
	{ "and goes when it fails on", 4, 50, "0d 1d 2d 3d 0u 1u 3d", "...x" },
	{ "who refused is not let in with it", 4, 50, "0r 1d 2d 3d 1u 2u", "x..." },
	{ "while most are gone the rest stays", 4, 50, "0d 1d 2d 3d 0u", ".hhh" },
	{ "when all are back nothing is held", 3, 50, "0d 1d 0u 1u", "..." },
	{ "one that is held and then refuses goes", 3, 50, "0d 1d 2d 2r", "hhx" },
	{ "when only a minority is held after that, it is over", 4, 50, "0d 1d 2d 0r 1r", "xx.." },
};

static void tell(const char *story, struct panic_member *m, size_t n, __u8 percent)
{
	__u64 now = 1000 * S;

	for (const char *p = story; *p; p++) {
		size_t i = *p - '0';

		if (*p == ' ')
			continue;
		if (*p == '+') {
			now += (*++p - '0') * S;
			continue;
		}
		switch (*++p) {
		case 'u':
			m[i] = (struct panic_member){};
			panic_relax(m, n, percent);
			break;
		case 'r':
			m[i] = (struct panic_member){ .down = true, .certain = true, .fell_ns = now };
			panic_relax(m, n, percent);
			break;
		default:
			m[i] = (struct panic_member){ .down = true, .fell_ns = now };
			panic_fall(m, n, i, percent, WINDOW, now);
		}
	}
}

static void stories_end_well(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(stories); i++) {
		struct panic_member m[8] = {};
		char end[9] = "";

		tell(stories[i].story, m, stories[i].n, stories[i].percent);
		for (size_t j = 0; j < stories[i].n; j++)
			end[j] = m[j].held ? 'h' : m[j].down ? 'x' : '.';
		if (strcmp(end, stories[i].end))
			fail_msg("%s: \"%s\" ends in \"%s\", not \"%s\"", stories[i].name, stories[i].story, end, stories[i].end);
	}
}

static void news_is_told_once(void **state)
{
	struct panic_member m[3] = { { .down = true, .fell_ns = S }, { .down = true, .fell_ns = S } };

	(void)state;
	assert_true(panic_fall(m, 3, 1, 50, WINDOW, S));
	assert_false(panic_fall(m, 3, 1, 50, WINDOW, S));
	assert_false(panic_relax(m, 3, 50));
	m[0] = (struct panic_member){};
	assert_true(panic_relax(m, 3, 50));
	assert_false(panic_relax(m, 3, 50));
}

static void the_window_is_a_round_of_checks(void **state)
{
	const struct check_conf conf = { .interval_ms = 2000, .timeout_ms = 5000 };

	(void)state;
	assert_int_equal(panic_window_ns(&conf), 7400000000ULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stories_end_well),
		cmocka_unit_test(news_is_told_once),
		cmocka_unit_test(the_window_is_a_round_of_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
