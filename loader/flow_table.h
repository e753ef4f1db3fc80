/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flow table's size, which can change with a restart of lbd, and no flow is lost by it: the table before stays
 * pinned beside the new one until all of its flows have moved (bpf/resize.h says how packets find theirs). Every step
 * leaves pins from which the next lbd goes on. Knows pins and descriptors, not what a flow is.
 */
#ifndef LB_FLOW_TABLE_H
#define LB_FLOW_TABLE_H

#include <limits.h>
#include <linux/types.h>
#include <stdbool.h>

struct flow_table {
	char path[PATH_MAX], before_path[PATH_MAX];
	int before;	/* descriptor of the table that goes; -1: none */
	int flows, tables;	/* of "flows" and the map of tables; the caller's */
	bool moving;	/* no older program runs any more */
	__u32 moved;
};

/* Before "flows" is made or adopted. bpffs: the folder of the pins; *size: flows wanted; out: what the table will
 * hold: a table that is smaller than what it must hold is not made. entries: in the present one. 0 or -errno. */
int flow_table_prepare(struct flow_table *t, const char *bpffs, __u64 entries, __u32 *size);
/* flows and tables: descriptors of these maps; nothing is attached yet. 0 or -errno. */
int flow_table_begin(struct flow_table *t, int flows, int tables);
/* Returns when every packet has left the programs that was in one when it was called. 0 or -errno. */
int flow_table_grace(const struct flow_table *t);
/* No interface runs an older program any more: flows may move. */
void flow_table_settle(struct flow_table *t);
/* Moves some; move: the program that does it. False: there is nothing left to move. */
bool flow_table_move(struct flow_table *t, int move);
void flow_table_close(struct flow_table *t);

#endif
