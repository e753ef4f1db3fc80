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
