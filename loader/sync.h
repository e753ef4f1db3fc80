/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model -> maps, and maps -> figures: the only file that reads or writes map elements. Pushing is
 * idempotent: it compares what should be there with what is, and writes the differences in an order in which no
 * packet can meet a reference to something that is not there yet. So a new daemon on old maps, a reload
 * and a single change are the same operation.
 */
#ifndef LB_SYNC_H
#define LB_SYNC_H

#include "datapath.h"
#include "nexthop.h"
#include "pool.h"

struct sync;

int sync_open(struct datapath *dp, struct sync **out);
void sync_close(struct sync *sync);

/* What the pool does not know about a backend. Index: its id. */
struct sync_backend {
	struct nexthop hop;
	__u32 weight;		/* effective now; 0 keeps it out of new flows */
	__u64 reply_ns;
};

/* Makes the maps say what pool and extra say. 0 or the first -errno; whatever could be written is. */
int sync_push(struct sync *sync, const struct pool *pool, const struct sync_backend *extra);

/* One backend's line alone: weight, reply time, next hop (several times a second). */
void sync_touch(struct sync *sync, const struct pool *pool, int id, const struct sync_backend *extra);

/* What the adopted maps say, as a model without names: for carry_ids() after a restart. */
void sync_read_pool(const struct sync *sync, struct pool *out);

/* The next hop that the adopted maps have for id; its gateway is not known (all zero). */
void sync_read_hop(const struct sync *sync, int id, struct nexthop *out);

struct sync_figures {
	struct lb_load load;
	struct lb_traffic traffic;
	struct lb_replies replies;
};
/* Sums over the CPUs. 0 or -errno. */
int sync_read_backend(const struct sync *sync, int id, struct sync_figures *out);
int sync_read_verdicts(const struct sync *sync, __u64 out[static LB_VERDICT_MAX]);
const struct lb_load *sync_load(const struct sync *sync, int id);
void sync_flow_counts(const struct sync *sync, __u64 *entries, __u64 *limit);
/* A new backend on a used id starts from zero. Its flows are gone by then. */
void sync_clear_backend(struct sync *sync, int id);

/* Walks "flows" while packets change them. visit returns false to stop; what it is given is valid until it returns. */
void sync_flows(const struct sync *sync, bool (*visit)(void *arg, const struct lb_flow_key *key, const struct lb_flow *flow),
		void *arg);

#endif
