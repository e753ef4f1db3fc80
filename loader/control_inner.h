/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files behind control.h share: the daemon's whole state, and the steps that a transaction is
 * made of. Included by control*.c only.
 */
#ifndef LB_CONTROL_INNER_H
#define LB_CONTROL_INNER_H

#include <limits.h>
#include "clock.h"
#include "agent_poll.h"
#include "config_fixed.h"
#include "control.h"
#include "datapath.h"
#include "nexthop.h"
#include "panic.h"
#include "passive.h"
#include "rebalance.h"
#include "responder.h"
#include "sync.h"

#define CONTROL_MAX_ADDRESSES 64

/* A VIP that lbd has put on an interface, and so may take away. */
struct control_address {
	char ifname[IF_NAMESIZE];
	struct lb_addr addr;
	__u8 announce;			/* announcements still to send */
};

struct control_backend {
	__u64 up_since_ns;		/* start of the slow start; 0: none runs */
	__u64 replies, reply_ns_total;	/* as of the last tick */
	double recent_n, recent_ns;	/* recent replies and their waiting time; the past fades */
	bool fresh;			/* its first check decides */
	bool presumed;			/* its agent's word is our guess, until it is heard */
	struct passive passive;
	bool doubted;			/* the kernel hints: look at its counters */
	bool probing;
	__u64 probe_ns;			/* when the last probe began */
	struct panic_member panic;
	__u64 owing, longest_ns;	/* of a drain, as of its last step */
	struct rebalance_round rebalance;
	__u64 rebalance_ns;		/* not before this: nothing could be closed the last time */
	bool has_hop;			/* the kernel keeps hop_of resolved for us */
	struct lb_addr hop_of;
	__u64 unanswered_ns;		/* since when nobody answers for its next hop; 0: somebody does */
};

struct control_asked;		/* control_check.c */

struct control {
	sd_event *event;
	struct config *config;
	struct datapath *dp;
	struct sync *sync;
	struct nexthops *nexthops;
	struct checks *checks;
	struct agents *agents;
	struct ring_buffer *events;
	struct responder *responder;
	sd_event_source *tick, *sweep, *ring;
	struct sync_backend extra[LB_MAX_BACKENDS];
	struct control_backend be[LB_MAX_BACKENDS];
	struct control_asked *asked[LB_MAX_BACKENDS];
	struct history history;
	struct control_address addresses[CONTROL_MAX_ADDRESSES];
	size_t addresses_n;
	char config_path[PATH_MAX], state_path[PATH_MAX], addresses_path[PATH_MAX];
	struct config_fixed fixed;	/* as it was at the start */
	bool manage_vips;
	bool adopted;
	int rst_fd;
	__u64 started_ns, ticks;
};

__u64 control_utc_ms(void);	/* for people */
/* What changed: for the user, the log and the history. */
void control_say_line(struct control *ctl, struct control_say *say, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* control_config.c: the model to start with. */
int control_config_read(struct control *ctl, struct lb_error *err);
/* next's services and backends get the ids that they had in old; sessions that cannot go along are ended. */
int control_carry_ids(struct control *ctl, const struct pool *old, struct pool *next);

/* control_interface.c: puts the new program behind the links of the interfaces that the config names. */
void control_attach_all(struct control *ctl);

/* control_apply.c: the model has changed, everything else follows. */
int control_apply(struct control *ctl, struct lb_error *err);
void control_apply_checks(struct control *ctl);
/* Looks all next hops up again and pushes what changed. */
void control_refresh_hops(void *arg);
/* The next hop that packets take, for checks. */
int control_hop(void *arg, int id, struct nexthop *out);
/* Writes the state file; the error goes to the log and into say. */
void control_save_state(struct control *ctl, struct control_say *say);
/* Next hops and maps alone. */
void control_refresh_maps(struct control *ctl);

/* control_verdict.c: a verdict of the checks, or, certain, of the packets themselves. */
void control_verdict(void *arg, int id, enum backend_health health, const char *reason);
void control_verdict_certain(struct control *ctl, int id, enum backend_health health, const char *reason);
void control_set_health(struct control *ctl, int id, enum backend_health health, const char *reason);

/* control_agent.c: an agent's answer, or none; and who is to be asked. */
void control_agent_heard(void *arg, int id, const struct agent_report *report, __u32 missed);
void control_apply_agents(struct control *ctl);
/* After a restart: who was out of rotation may have been so by its agent. */
void control_presume_agents(struct control *ctl, const struct pool *old);

/* control_check.c: the backend goes, or its id is for another now. */
void control_check_forget(struct control *ctl, int id);

/* control_addresses.c: VIPs on interfaces. */
void control_addresses_load(struct control *ctl);
void control_addresses_apply(struct control *ctl);
void control_addresses_announce(struct control *ctl);

/* control_upkeep.c: what time brings. */
int control_upkeep_open(struct control *ctl);
void control_upkeep_close(struct control *ctl);
__u32 control_weight(const struct control *ctl, int id, __u64 now_ns);
/* Ends flows of a backend: force also those that wait for a reply. Fills what is left. */
int control_close_flows(struct control *ctl, int id, bool force, __u64 idle_ns, struct lb_sweep *out);
/* At most max of those in the client's turn for drain-idle, and older than older_ns. */
int control_close_some(struct control *ctl, int id, __u64 max, __u64 older_ns, struct lb_sweep *out);

/* control_rebalance.c: once a second. */
void control_rebalance(struct control *ctl, __u64 now);

/* control_passive.c: what the traffic itself says. */
void control_listen(struct control *ctl, __u64 now);
void control_listen_doubted(struct control *ctl, __u64 now);	/* those of which the kernel hinted */
/* Nothing comes back from it any more: out of rotation, and all who wait on it are told. */
void control_bury(struct control *ctl, int id, const char *reason);

#endif
