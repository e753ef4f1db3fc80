/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See rebalance.h. The share is the group's sessions times this member's part of the weights. Whole numbers, without
 * division until the end, so that a share below one session is none too coarse.
 */
#include "rebalance.h"

void rebalance_add(struct rebalance_group *group, __u64 flows, __u32 weight)
{
	if (!weight)
		return;
	group->flows += flows;
	group->weight += weight;
	group->members++;
}

__u64 rebalance_excess(const struct rebalance_group *group, __u64 flows, __u32 weight)
{
	/* both times the sum of weights */
	__u64 has = flows * group->weight, share = group->flows * weight;

	if (group->members < 2 || !weight || 4 * has <= 5 * share)
		return 0;
	return (has - share) / group->weight;
}

__u64 rebalance_allow(struct rebalance_round *round, __u64 excess, __u64 length_ns, __u64 now_ns)
{
	if (excess && now_ns >= round->until_ns)
		*round = (struct rebalance_round) { .until_ns = now_ns + length_ns, .left = excess };
	return excess < round->left ? excess : round->left;
}

void rebalance_closed(struct rebalance_round *round, __u64 n)
{
	round->left -= n < round->left ? n : round->left;
}
