/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acts on what passive detection says. A suspicion is probed; a server that refuses or is silent gets no new sessions;
 * one that is dead is also ended for those who wait on it: both sides are told by RST, and what may now be sent
 * twice is counted. One that merely fails its checks keeps its sessions: it may well be busy with the very mail they
 * carry.
 */
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "control_inner.h"
#include "log.h"

#define PROBE_PATIENCE_MS	250		/* a mail server is a neighbour: its kernel answers a SYN at once */
#define PROBE_PAUSE_NS		500000000ULL	/* from start to start */

static void take_out(struct control *ctl, int id, enum backend_health health, const char *reason)
{
	struct backend *be = &ctl->config->pool->backends[id];

	if (be->health == HEALTH_DEAD || be->health == health)
		return;
	control_verdict_certain(ctl, id, health, reason);
	control_apply_checks(ctl); /* the engine must learn of it, to see the recovery */
}

void control_bury(struct control *ctl, int id, const char *reason)
{
	const struct backend *be = &ctl->config->pool->backends[id];
	struct lb_sweep sweep;

	if (be->health == HEALTH_DEAD)
		return;
	take_out(ctl, id, HEALTH_DEAD, reason);
	memset(&ctl->be[id].passive, 0, sizeof(ctl->be[id].passive));
	if (control_close_flows(ctl, id, true, 0, &sweep) == 0 && sweep.closed)
		log_warn("backend %s: dead: %llu sessions reset, %llu of them while a reply was owed (those mails may come twice)",
			 be->name, (unsigned long long)sweep.closed, (unsigned long long)sweep.at_risk);
}

struct probe {
	struct control *ctl;
	int id;
};

static void on_probed(void *arg, enum check_result result, const char *text, const char *transcript)
{
	struct probe probe = *(struct probe *)arg;
	struct control_backend *cb = &probe.ctl->be[probe.id];

	(void)text;
	(void)transcript;
	free(arg);
	if (!cb->probing) /* it was for another that had this id */
		return;
	cb->probing = false;
	switch (result) {
	case CHECK_INTERNAL: /* the backend may be gone, or the engine */
		break;
	case CHECK_REFUSED:
		passive_probed(&cb->passive, PASSIVE_PROBE_REFUSED);
		take_out(probe.ctl, probe.id, HEALTH_DOWN, "traffic: connections refused");
		break;
	case CHECK_UNREACHABLE:
		passive_probed(&cb->passive, PASSIVE_PROBE_LOST);
		take_out(probe.ctl, probe.id, HEALTH_DOWN, "traffic: connections unanswered");
		break;
	default:
		passive_probed(&cb->passive, PASSIVE_PROBE_TAKEN);
		break;
	}
}

static void start_probe(struct control *ctl, int id, __u64 now)
{
	struct control_backend *cb = &ctl->be[id];
	struct probe *probe;

	if (cb->probing || now - cb->probe_ns < PROBE_PAUSE_NS)
		return;
	probe = malloc(sizeof(*probe));
	if (!probe)
		return;
	*probe = (struct probe) { .ctl = ctl, .id = id };
	cb->probing = true;
	cb->probe_ns = now;
	if (checks_probe(ctl->checks, id, PROBE_PATIENCE_MS, on_probed, probe)) {
		cb->probing = false; /* too many at a time, or no memory: the next look tries again */
		free(probe);
	}
}

/* Nobody answers for its address: there may be no traffic to tell, only clients that wait for the end of a scan. A
 * gateway's silence says nothing about the server behind it. */
static void ask_neighbour(struct control *ctl, int id, __u64 now)
{
	const struct backend *be = &ctl->config->pool->backends[id];
	const struct control_backend *cb = &ctl->be[id];

	if (!cb->unanswered_ns || now - cb->unanswered_ns <= PASSIVE_DEAD_NS || be->health == HEALTH_DEAD ||
	    !addr_equal(&ctl->extra[id].hop.gateway, &be->address) || !sync_load(ctl->sync, id)->flows)
		return;
	if (be->health == HEALTH_DOWN)
		control_bury(ctl, id, "its address answers no neighbour request");
	else
		start_probe(ctl, id, now);
}

static __u64 packets_out(const struct control *ctl, int id)
{
	struct sync_figures f;

	return sync_read_backend(ctl->sync, id, &f) ? 0 : f.traffic.packets_out;
}

static void listen_to(struct control *ctl, int id, __u64 now)
{
	struct passive *p = &ctl->be[id].passive;
	const struct lb_load *load = sync_load(ctl->sync, id);
	bool replies = p->begun && load->replies_total != p->last.replies_total;
	bool suspect = p->silent_since_ns || load->syns_total != p->last.syns_total ||
		       load->retries_total != p->last.retries_total;

	/* the packet counter is a system call away: asked for only where there is a suspicion */
	switch (passive_step(p, load, suspect ? packets_out(ctl, id) : 0, now)) {
	case PASSIVE_DOUBT:
		start_probe(ctl, id, now);
		checks_evidence(ctl->checks, id, false);
		break;
	case PASSIVE_REFUSES:
		take_out(ctl, id, HEALTH_DOWN, "traffic: connections refused");
		checks_evidence(ctl->checks, id, false);
		break;
	case PASSIVE_DEAD:
		control_bury(ctl, id, "traffic: nothing comes back");
		break;
	case PASSIVE_FINE:
		if (replies)
			checks_evidence(ctl->checks, id, true); /* the mail itself is proof: fewer checks will do */
		break;
	}
}

static bool is_listened_to(const struct pool *pool, int id)
{
	return pool->backends[id].used && pool->services[pool->backends[id].service].check.kind != CHECK_NONE;
}

void control_listen(struct control *ctl, __u64 now)
{
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		if (!is_listened_to(ctl->config->pool, id))
			continue;
		listen_to(ctl, id, now);
		ask_neighbour(ctl, id, now);
	}
}

void control_listen_doubted(struct control *ctl, __u64 now)
{
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		if (ctl->be[id].doubted && is_listened_to(ctl->config->pool, id))
			listen_to(ctl, id, now);
		ctl->be[id].doubted = false;
	}
}
