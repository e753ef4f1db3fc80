// SPDX-License-Identifier: GPL-2.0-or-later
/* Who has more than its share, and by how much. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "../../loader/rebalance.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MAX 4

static const struct {
	const char *name;
	struct { __u64 flows; __u32 weight; } members[MAX];
	__u64 excess[MAX];
} cases[] = {
	{ "nobody has anything", { { 0, 1 }, { 0, 1 } }, { 0, 0 } },
	{ "all have the same", { { 100, 1 }, { 100, 1 }, { 100, 1 } }, { 0, 0, 0 } },
	{ "a quarter more is let be", { { 125, 1 }, { 75, 1 } }, { 0, 0 } },
	{ "more than a quarter goes down to the mean", { { 126, 1 }, { 74, 1 } }, { 26, 0 } },
	{ "one alone has nobody to give to", { { 1000, 1 } }, { 0 } },
	{ "nor has one beside others without weight", { { 1000, 1 }, { 0, 0 } }, { 0, 0 } },
	{ "one that came back empty", { { 300, 16 }, { 300, 16 }, { 0, 16 } }, { 100, 100, 0 } },
	{ "one that came back empty and warms up", { { 300, 16 }, { 300, 16 }, { 0, 2 } }, { 0, 0, 0 } },
	{ "shares go by weight", { { 200, 2 }, { 100, 1 } }, { 0, 0 } },
	{ "and excess too", { { 300, 3 }, { 300, 1 } }, { 0, 150 } },
	{ "what has no weight does not count", { { 100, 1 }, { 100, 1 }, { 900, 0 } }, { 0, 0, 0 } },
	{ "parts of a session stay", { { 2, 1 }, { 1, 1 } }, { 0, 0 } },
	{ "but not a whole one", { { 3, 1 }, { 1, 1 } }, { 1, 0 } },
	{ "the only session of two", { { 1, 1 }, { 0, 1 } }, { 0, 0 } },
	{ "the treaty's largest figures", { { 64 << 20, 65535 * 16 }, { 0, 65535 * 16 } }, { 32 << 20, 0 } },
};

static void the_excess_is_what_is_above_the_share(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rebalance_group group = {};

		for (size_t m = 0; m < MAX; m++)
			rebalance_add(&group, cases[i].members[m].flows, cases[i].members[m].weight);
		for (size_t m = 0; m < MAX; m++) {
			__u64 excess = rebalance_excess(&group, cases[i].members[m].flows, cases[i].members[m].weight);

			if (excess != cases[i].excess[m])
				fail_msg("%s: member %zu has %llu too many, not %llu", cases[i].name, m,
					 (unsigned long long)excess, (unsigned long long)cases[i].excess[m]);
		}
	}
}

/* Against the same in floating point; and no group is ever asked for more than it has too much. */
static void whole_numbers_agree_with_real_ones(void **state)
{
	__u64 seed = 88172645463325252ULL;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct rebalance_group group = {};
		__u64 flows[MAX];
		__u32 weight[MAX];

		for (size_t m = 0; m < MAX; m++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			flows[m] = seed % 1000;
			weight[m] = (seed >> 32) % 50;
			rebalance_add(&group, flows[m], weight[m]);
		}
		for (size_t m = 0; m < MAX && group.members > 1; m++) {
			double share = (double)group.flows * weight[m] / group.weight;
			__u64 excess = rebalance_excess(&group, flows[m], weight[m]);

			if (!weight[m] || flows[m] < 1.2499 * share)
				assert_int_equal(excess, 0);
			else if (flows[m] > 1.2501 * share)
				assert_true(excess <= flows[m] - share + 1e-6 && excess + 1 > flows[m] - share - 1e-6);
		}
	}
}

static void a_round_sends_away_no_more_than_were_too_many(void **state)
{
	struct rebalance_round round = {};

	(void)state;
	assert_int_equal(rebalance_allow(&round, 0, 100, 1000), 0);
	assert_int_equal(rebalance_allow(&round, 20, 100, 1001), 20);
	rebalance_closed(&round, 15);
	/* fewer in all, so fewer is the share: still no more than five */
	assert_int_equal(rebalance_allow(&round, 10, 100, 1002), 5);
	rebalance_closed(&round, 5);
	assert_int_equal(rebalance_allow(&round, 10, 100, 1100), 0);
	/* the next one */
	assert_int_equal(rebalance_allow(&round, 10, 100, 1101), 10);
	assert_int_equal(rebalance_allow(&round, 3, 100, 1102), 3);
	rebalance_closed(&round, 99);
	assert_int_equal(rebalance_allow(&round, 3, 100, 1103), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_excess_is_what_is_above_the_share),
		cmocka_unit_test(whole_numbers_agree_with_real_ones),
		cmocka_unit_test(a_round_sends_away_no_more_than_were_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
