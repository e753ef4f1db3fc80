/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fills the selection table of a VIP. Pure: the result depends on the arguments
 * alone and not on their order, so that two nodes with one config agree.
 */
#ifndef LB_MAGLEV_H
#define LB_MAGLEV_H

#include <stddef.h>
#include "../bpf/lb_abi.h"

struct maglev_member {
	__u16 id;		/* goes into the table */
	__u32 weight;		/* 1..LB_MAX_WEIGHT; 0 is left out */
	__u64 key;		/* what identifies it across nodes: a hash of its address */
};

/* Weighted Maglev (NSDI'16, 3.4): every slot filled, shares by weight to within one
 * round. slots[0..LB_TABLE_SLOTS). 0, -EINVAL (no member with a weight,
 * or more than LB_MAX_MEMBERS), -ENOMEM. */
int maglev_fill(const struct maglev_member *members, size_t n, __u16 *slots);

/* Smooth weighted round-robin: one round in *slots_n slots, as evenly interleaved as
 * the weights allow. Weights are reduced by their gcd; a round longer than
 * LB_TABLE_SLOTS is scaled down, never dropping a member. Errors as above. */
int maglev_fill_round(const struct maglev_member *members, size_t n, __u16 *slots, __u32 *slots_n);

/* The stable key of an address: SipHash-2-4 of its 16 bytes with a fixed key. */
__u64 maglev_key(const struct lb_addr *addr);

#endif
