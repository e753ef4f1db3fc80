/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's transactions: every change a user can ask for, made whole or not at all, in the model,
 * the maps, the addresses, the checks and the state file together. api.c turns requests
 * into these calls; main.c opens and closes. Nothing here knows HTTP or JSON.
 */
#ifndef LB_CONTROL_H
#define LB_CONTROL_H

#include <systemd/sd-event.h>
#include "agent_poll.h"
#include "check.h"
#include "config.h"
#include "history.h"
#include "pool.h"

struct control;

struct control_paths {
	const char *config, *state_dir, *bpffs;
	bool discard_state;
	bool manage_vips;
};

int control_open(sd_event *event, const struct control_paths *paths, struct control **out, struct lb_error *err);
/* Leaves the program attached and the maps pinned: packets do not notice. */
void control_close(struct control *ctl);

/* What changed, in one sentence, for the user. */
struct control_say { char text[512]; };

int control_attach(struct control *ctl, const char *ifname, enum xdp_mode mode, struct control_say *say,
		   struct lb_error *err);
int control_detach(struct control *ctl, const char *ifname, struct control_say *say, struct lb_error *err);
int control_service_add(struct control *ctl, const struct service_spec *spec, struct control_say *say,
			struct lb_error *err);
int control_service_remove(struct control *ctl, const char *name, struct control_say *say, struct lb_error *err);
int control_backend_add(struct control *ctl, const struct backend_spec *spec, struct control_say *say,
			struct lb_error *err);
int control_backend_set(struct control *ctl, const char *name, const char *weight, const char *max_conns,
			struct control_say *say, struct lb_error *err);
/* deadline_ms: after it the remaining flows are reset; 0: they end by themselves. */
int control_backend_drain(struct control *ctl, const char *name, __u64 deadline_ms, struct control_say *say,
			  struct lb_error *err);
int control_backend_enable(struct control *ctl, const char *name, struct control_say *say, struct lb_error *err);
int control_backend_remove(struct control *ctl, const char *name, bool now, struct control_say *say,
			   struct lb_error *err);
/* One check beside the schedule, without consequences; when one runs already, that one it is. */
int control_check_start(struct control *ctl, const char *name, struct control_say *say, struct lb_error *err);
int control_reload(struct control *ctl, struct control_say *say, struct lb_error *err);
int control_save(struct control *ctl, struct control_say *say, struct lb_error *err);

/* Reading. All figures are sums over CPUs at this moment. */
const struct config *control_config(const struct control *ctl);
const struct history *control_history(const struct control *ctl);

struct backend_report {
	const struct backend *be;	/* valid until the next call that changes anything */
	const struct service *svc;
	enum backend_state state;
	__u64 conns, inflight, sessions_total, replies_total, reply_us_total, refused_total, resets_total, at_risk_total;
	__u64 packets_in, bytes_in, packets_out, bytes_out;
	__u32 weight_now;		/* with slow start, and as the agent wants it; rounded up */
	__u32 weight_now_16;		/* the same in sixteenths */
	__u32 max_conns_now;		/* as the agent wants it, too; 0: no cap */
	__s64 reply_p50_ms, reply_p99_ms, banner_p99_ms, longest_p99_ms;	/* -1: nothing seen; upper edge of the bucket */
	__u32 reply_recent_us;
	bool next_hop;			/* resolved */
	bool checked;
	struct check_status check;
	bool asked;			/* it has an agent */
	struct agent_status agent;
	__u64 since_s;			/* in this state */
	/* of a drain, as of its last second; 0 when it does not drain */
	__u64 drain_longest_ms;		/* the longest that a server has owed a reply */
	__u64 drain_owing;		/* sessions that wait for one */
};
/* id 1..LB_MAX_BACKENDS-1; false: no such backend, or removed and already without flows. */
bool control_backend_report(struct control *ctl, int id, struct backend_report *out);

/* The last check that was asked for. */
enum check_report_state { CHECK_REPORT_NONE = 0, CHECK_REPORT_RUNNING, CHECK_REPORT_DONE, CHECK_REPORT_MAX };
struct check_report {
	enum check_report_state state;
	enum check_result result;	/* this and all below but the time-out: when done */
	__u32 duration_us;
	__u32 timeout_ms;		/* of a check of this backend */
	const char *text;		/* valid until the event loop runs again */
	const char *dialogue;		/* lines, each with its newline */
};
int control_check_report(struct control *ctl, const char *name, struct check_report *out, struct lb_error *err);

struct interface_report { char name[IF_NAMESIZE]; __u32 ifindex; bool attached; bool native; __u32 prog_id, link_id; };
struct status_report {
	__u64 uptime_s;
	struct interface_report interfaces[CONFIG_MAX_INTERFACES];
	size_t interfaces_n;
	__u64 flow_entries, flow_limit;
	__u32 services, backends, up, down, draining;
	__u32 agents, agents_silent;	/* asked; and those that did not answer the last time */
	struct checker_status checker;	/* wanted: by checks or by agents */
	__u64 verdicts[LB_VERDICT_MAX];
};
void control_status(struct control *ctl, struct status_report *out);
void control_checker_status(struct control *ctl, struct checker_status *out);

/* Walks the flow table; backend 0: all. visit returns false to stop. */
void control_flows(struct control *ctl, int backend,
		   bool (*visit)(void *arg, const struct lb_flow_key *key, const struct lb_flow *flow), void *arg);

#endif
