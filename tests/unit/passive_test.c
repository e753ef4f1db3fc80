// SPDX-License-Identifier: GPL-2.0-or-later
/* Histories of a mail server's counters, and what passive detection makes of them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "../../loader/passive.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define TICK_NS		100000000ULL
#define STEPS		14

/* What happens in one tick, in this order; '.' is nothing, and so is the end of the story. */
enum happening {
	SYN = 'S', SYNACK = 'A', REFUSAL = 'R', REPEAT = 'w', REPLY = 'r', SESSION = 's', PACKET = 'p',
	PROBE_LOST = 'L', PROBE_REFUSED = 'X', PROBE_TAKEN = 'T',
};

/* One letter a tick: - fine, d doubt, R refuses, D dead. */
static const struct {
	const char *name;
	const char *ticks[STEPS];
	const char *opinions;
} stories[] = {
	{ "nothing happens", { ".", ".", "." }, "---" },
	{ "mail flows", { "SA", "r", "SAr", "SSAA" }, "----" },
	{ "a SYN-ACK comes a moment later", { "S", "A", ".", "." }, "----" },
	{ "one SYN is lost", { "S", ".", ".", ".", "SA", "." }, "-ddd--" },
	{ "in dsr the handshake alone tells", { "S", "s", ".", "." }, "----" },
	{ "in nat any packet tells", { "S", ".", "p", ".", "." }, "-d---" },
	{ "clients repeat themselves", { "w", ".", "r", "." }, "-d--" },
	{ "one refusal is probed, and the probe is taken", { "SR", "T", ".", "." }, "d---" },
	{ "one refusal is probed, until somebody is taken", { "SR", ".", "SA", "." }, "dd--" },
	{ "refused three times", { "SR", "SR", "SR", "." }, "ddR-" },
	{ "refused three times, but others were taken", { "SR", "SR", "SA", "SR", "SR", "SA" }, "dd-dd-" },
	{ "three refusals at once", { "SRSRSR" }, "R" },
	{ "silent for a second, and the probes are lost",
	  { "S", ".", ".", "L", ".", ".", ".", ".", "L", ".", "." }, "-dddddddddD" },
	{ "silent, but no probe was lost", { "SSSS", ".", ".", ".", ".", ".", ".", ".", ".", ".", ".", "." }, "-ddddddddddd" },
	{ "silent, but too little was lost",
	  { "S", "L", ".", ".", ".", ".", ".", ".", ".", ".", ".", "." }, "-ddddddddddd" },
	{ "silent to traffic, but a probe is taken", { "SSSS", ".", ".", "T", "." }, "-dd--" },
	{ "a host that refuses is not dead", { "SSS", ".", ".", "X", ".", "." }, "-dd---" },
	{ "a sign of life in the last moment",
	  { "SSS", ".", "L", ".", ".", ".", ".", ".", ".", ".A", "." }, "-dddddddd--" },
};

static bool happens(struct passive *p, struct lb_load *load, __u64 *packets, char what)
{
	switch (what) {
	case SYN: load->syns_total++; break;
	case SYNACK: load->synacks_total++; break;
	case REFUSAL: load->refusals_total++; break;
	case REPEAT: load->retries_total++; break;
	case REPLY: load->replies_total++; break;
	case SESSION: load->sessions_total++; break;
	case PACKET: ++*packets; break;
	case PROBE_LOST: passive_probed(p, PASSIVE_PROBE_LOST); break;
	case PROBE_REFUSED: passive_probed(p, PASSIVE_PROBE_REFUSED); break;
	case PROBE_TAKEN: passive_probed(p, PASSIVE_PROBE_TAKEN); break;
	case '.': break;
	default: return false;
	}
	return true;
}

static void every_story_has_its_opinions(void **state)
{
	static const char letters[] = { [PASSIVE_FINE] = '-', [PASSIVE_DOUBT] = 'd', [PASSIVE_REFUSES] = 'R', [PASSIVE_DEAD] = 'D' };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(stories); i++) {
		struct lb_load load = { .syns_total = 1000, .synacks_total = 900 };
		struct passive p = {};
		__u64 now = 1, packets = 5000;

		assert_int_equal(passive_step(&p, &load, packets, now), PASSIVE_FINE);
		for (int t = 0; stories[i].opinions[t]; t++) {
			char got;

			assert_non_null(stories[i].ticks[t]);
			for (const char *what = stories[i].ticks[t]; *what; what++)
				assert_true(happens(&p, &load, &packets, *what));
			now += TICK_NS;
			got = letters[passive_step(&p, &load, packets, now)];
			if (got != stories[i].opinions[t])
				fail_msg("%s: tick %d is '%c', not '%c'", stories[i].name, t, got, stories[i].opinions[t]);
		}
	}
}

/* What was counted before lbd looked for the first time says nothing. */
static void the_past_has_no_opinion(void **state)
{
	struct lb_load load = { .syns_total = 50, .refusals_total = 40, .retries_total = 10 };
	struct passive p = {};

	(void)state;
	assert_int_equal(passive_step(&p, &load, 0, 1), PASSIVE_FINE);
	assert_int_equal(passive_step(&p, &load, 0, 1 + TICK_NS), PASSIVE_FINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_story_has_its_opinions),
		cmocka_unit_test(the_past_has_no_opinion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
