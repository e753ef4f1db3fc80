/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a backend has so many more sessions than its share that some should be closed, for their clients to
 * come back elsewhere, and how many. Pure: figures in, a number out; which sessions may go is the sweep's affair.
 */
#ifndef LB_REBALANCE_H
#define LB_REBALANCE_H

#include <linux/types.h>

/* Backends that can take each other's sessions. All zero is an empty one. */
struct rebalance_group {
	__u64 flows, weight;		/* sums */
	__u32 members;
};

/* weight 0 (it takes nothing): not a member. */
void rebalance_add(struct rebalance_group *group, __u64 flows, __u32 weight);

/* How many sessions a member has above its share of the group's, by weight; 0 while that is no more than a quarter of the
 * share. */
__u64 rebalance_excess(const struct rebalance_group *group, __u64 flows, __u32 weight);

#endif
