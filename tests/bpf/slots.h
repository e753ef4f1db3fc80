/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program's flow table as a test sees it: the same code (bpf/flow_table.h) on the same memory, from the other side. With
 * it a test puts flows where the program finds them, and finds those that the program made.
 */
#ifndef TESTS_SLOTS_H
#define TESTS_SLOTS_H

#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "../../bpf/hash.h"

#define __noinline __attribute__((noinline, unused))

struct slots {
	struct lb_flow_slot *slots;
	__u32 n;
	__u32 secret[HASH_PLACE_WORDS];
};

static inline __u32 table_homes(void *table)
{
	return LB_SLOTS_BEFORE_BITS(((struct slots *)table)->n) - (LB_FLOW_WINDOW - 1);
}

static inline struct lb_flow_slot *table_slot(void *table, __u32 at)
{
	struct slots *t = table;

	return at < t->n ? &t->slots[at] : NULL;
}

static inline __u64 *table_bits(void *table, __u32 home)
{
	struct slots *t = table;
	struct lb_flow_slot *slot = &t->slots[LB_SLOTS_BEFORE_BITS(t->n) + home / LB_HOMES_IN_SLOT];

	return (__u64 *)&slot->flow + home % LB_HOMES_IN_SLOT / 64;
}

#include "../../bpf/flow_table.h"

static inline struct lb_flow *slots_find(struct slots *t, const struct lb_flow_key *key)
{
	struct lb_flow_slot *slot = table_slot(t, table_search(t, key, hash_place(key, t->secret)));

	return slot ? &slot->flow : NULL;
}

static inline bool slots_get(struct slots *t, const struct lb_flow_key *key, struct lb_flow *out)
{
	struct lb_flow *flow = slots_find(t, key);

	*out = flow ? *flow : (struct lb_flow) {};
	return flow;
}

/* False: it is there already, or there is no room. */
static inline bool slots_put(struct slots *t, const struct lb_flow_key *key, const struct lb_flow *flow)
{
	return table_insert(t, key, hash_place(key, t->secret), flow) != TABLE_NONE;
}

/* As if it had never been. */
static inline void slots_clear(struct slots *t)
{
	for (__u32 i = 0; i < t->n; i++)
		t->slots[i] = (struct lb_flow_slot) {};
}

static inline __u32 slots_count(const struct slots *t)
{
	__u32 n = 0;

	for (__u32 i = 0; i < t->n; i++)
		n += t->slots[i].claim == LB_SLOT_USED;
	return n;
}

#define EACH_FLOW(slot, t) \
	for (struct lb_flow_slot *slot = (t)->slots; slot < (t)->slots + (t)->n; slot++) \
		if (slot->claim == LB_SLOT_USED)

#endif
