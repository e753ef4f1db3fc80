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

/* Clients that were sent away are not back at once, and all are fewer until then: looking at what is left again and again
 * would send everybody away. So there are rounds, in which no more go than were too many at its beginning. */
struct rebalance_round {
	__u64 until_ns, left;
};

/* How many of excess may be closed now; a new round begins when the one before is over. */
__u64 rebalance_allow(struct rebalance_round *round, __u64 excess, __u64 length_ns, __u64 now_ns);
void rebalance_closed(struct rebalance_round *round, __u64 n);

#endif
