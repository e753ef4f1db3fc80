/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel half as lbd sees it: loads the program, keeps its maps and links pinned, attaches it to
 * interfaces, replaces it in place. Knows nothing of services or backends: what goes into the maps
 * is sync.c's affair.
 *
 * Pins outlive the daemon, so packets do not notice its end. A new daemon adopts them: it loads a new program on
 * the old maps, and only when all is filled in does it put that program behind the old links.
 */
#ifndef LB_DATAPATH_H
#define LB_DATAPATH_H

#include "config.h"
#include "pool.h"

struct datapath;
struct hint_table;

struct datapath_options {
	const char *bpffs;	/* folder for the pins, made when missing */
	__u32 flows;		/* that the flow table may hold: those in it move when it differs */
	__u64 hash_seed;	/* 0: the pinned one, or a random one */
	__u64 half_open_ns;
	bool discard_state;	/* throw pins of another version away */
};

/* Loads and pins; attaches nothing yet. Errors say what to do. */
int datapath_open(const struct datapath_options *opt, struct datapath **out, struct lb_error *err);
/* Lets go; pins and links stay. */
void datapath_close(struct datapath *dp);

/* Were there maps to adopt? */
bool datapath_adopted(const struct datapath *dp);

/* Puts the program on ifname, or in place of the one that our pinned link has there. *native says how. */
int datapath_attach(struct datapath *dp, const char *ifname, enum xdp_mode mode, bool *native, struct lb_error *err);
int datapath_detach(struct datapath *dp, const char *ifname, struct lb_error *err);

/* All links have been updated: lets go of what only older programs needed. */
void datapath_settle(struct datapath *dp);

struct datapath_link {
	bool attached;		/* false: the pin is gone, or its interface is */
	bool native;
	__u32 ifindex, prog_id, link_id;
};
void datapath_link(const struct datapath *dp, const char *ifname, struct datapath_link *out);

/* Descriptors of the maps, valid while dp is. */
struct datapath_maps {
	int services, backend_addrs, loads_fd, traffic, replies, tables, verdicts, events;
	struct lb_backend *backends;		/* mmapped, LB_MAX_BACKENDS; written word by word */
	const struct lb_load *loads;		/* mmapped */
	struct lb_totals *totals;		/* mmapped */
	const struct lb_flow_slot *slots;	/* mmapped: "flows" */
	__u32 slots_n;
	/* of the loaded program */
	__u64 *port_bits;
	struct hint_table *hints;		/* two */
	__u32 *hints_live;
};
const struct datapath_maps *datapath_maps(const struct datapath *dp);

/* A part of the flows moves to a table of another size. False: there is nothing to move. */
bool datapath_move(struct datapath *dp);
/* One walk over the flow table. 0 or -errno. */
int datapath_sweep(struct datapath *dp, struct lb_sweep *arg);

#endif
