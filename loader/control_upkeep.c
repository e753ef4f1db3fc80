/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What time brings: recent reply times ten times a second, slow starts, drains and their deadlines, the sweep of
 * expired flows, and the RSTs for what has been ended. While no daemon runs none of this happens, and
 * packets are forwarded all the same.
 */
#include <bpf/libbpf.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "control_inner.h"
#include "log.h"
#include "segment.h"

#define TICK_US		100000ULL
#define TICKS_A_SECOND	10
#define SWEEP_US	10000000ULL	/* a million flows take a tenth of a second */
#define WEIGHT_UNIT	16	/* of LB's effective weights: a weight of 1 can still ramp */
#define RAMP_FROM	8	/* a slow start begins with this part of the weight */
#define BUSY_SHARE	4	/* a busy backend keeps this part of its weight */
#define RECENT_KEEP	0.98	/* of the recent replies from tick to tick: a memory of 5 s */
#define RECENT_PRIOR	5	/* replies like the others', that every backend is credited with */

/* --- ended flows: both sides are told ----------------------------------------------- */

static void vip_of(const struct pool *pool, __u16 vip_id, struct lb_addr *out)
{
	for (int i = 0; i < POOL_MAX_SERVICES; i++)
		for (int f = 0; pool->services[i].used && f < 2; f++)
			if (pool->services[i].has_vip[f] && pool->services[i].vip_id[f] == vip_id)
				*out = pool->services[i].vip[f];
}

static void send_one(const struct control *ctl, int ifindex, const struct segment *rst)
{
	__u8 frame[SEGMENT_FRAME_LEN];
	int ret = segment_send(ctl->rst_fd, ifindex, frame, segment_build(rst, frame));

	if (ret)
		log_debug("RST not sent on interface %d: %s", ifindex, strerror(-ret));
}

static void tell_both(struct control *ctl, const struct lb_flow_key *key, const struct lb_flow *flow)
{
	const struct lb_backend *line = &datapath_maps(ctl->dp)->backends[flow->backend];
	struct segment client = {
		.dst = key->client, .src_port = htobe16(key->port), .dst_port = htobe16(key->client_port),
		.seq = flow->client_ack, .ack = flow->client_next, .flags = SEGMENT_RST | SEGMENT_ACK, .ttl = 64,
	};
	struct segment server = {
		.src = key->client, .src_port = htobe16(key->client_port), .dst_port = htobe16(key->port),
		.seq = flow->client_next, .ack = flow->client_ack, .flags = SEGMENT_RST | SEGMENT_ACK, .ttl = 64,
	};

	vip_of(ctl->config->pool, key->vip_id, &client.src);
	memcpy(client.dst_mac, flow->client_mac, 6);
	memcpy(client.src_mac, flow->local_mac, 6);
	send_one(ctl, flow->ifindex, &client);
	if (!(line->flags & LB_BACKEND_RESOLVED))
		return;
	server.dst = line->mode == LB_MODE_NAT ? line->address : client.src;
	memcpy(server.dst_mac, line->dst_mac, 6);
	memcpy(server.src_mac, line->src_mac, 6);
	send_one(ctl, line->ifindex, &server);
}

static int on_event(void *arg, void *data, size_t len)
{
	const struct lb_event *event = data;
	const struct lb_doubt *doubt = data;
	struct control *ctl = arg;

	if (len >= sizeof(*event) && event->kind == LB_EVENT_RESET && ctl->rst_fd >= 0)
		tell_both(ctl, &event->key, &event->flow);
	/* a sweep reads the ring too, in the middle of a change: not the place to judge */
	if (len >= sizeof(*doubt) && doubt->kind == LB_EVENT_DOUBT && doubt->backend < LB_MAX_BACKENDS)
		ctl->be[doubt->backend].doubted = true;
	return 0;
}

static int on_ring(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct control *ctl = arg;

	(void)source;
	(void)fd;
	(void)revents;
	ring_buffer__consume(ctl->events);
	control_listen_doubted(ctl, clock_ns());
	return 0;
}

/* --- sweeping ------------------------------------------------------------------------ */

static void sweep_limits(const struct control *ctl, struct lb_sweep *arg)
{
	const struct config *c = ctl->config;

	*arg = (struct lb_sweep) {
		.idle_ns = c->idle_ms * 1000000,
		.fin_ns = c->fin_ms * 1000000,
		.rst_ns = c->rst_ms * 1000000,
	};
}

/* Again for as long as the ring buffer filled up on the way. */
static int sweep(struct control *ctl, struct lb_sweep *arg)
{
	struct lb_sweep in = *arg, total = *arg;
	int ret;

	do {
		*arg = in;
		arg->close_max = in.close_max ? in.close_max - total.closed : 0;
		ret = datapath_sweep(ctl->dp, arg);
		if (ret) {
			log_err("sweep: %s", strerror(-ret));
			return ret;
		}
		ring_buffer__consume(ctl->events);
		total.expired += arg->expired;
		total.closed += arg->closed;
		total.at_risk += arg->at_risk;
	} while (arg->more && (!in.close_max || total.closed < in.close_max));
	arg->expired = total.expired;
	arg->closed = total.closed;
	arg->at_risk = total.at_risk;
	return 0;
}

int control_close_flows(struct control *ctl, int id, bool force, __u64 idle_ns, struct lb_sweep *out)
{
	sweep_limits(ctl, out);
	out->close_backend = id;
	out->close_force = force;
	out->close_idle_ns = idle_ns;
	return sweep(ctl, out);
}

int control_close_some(struct control *ctl, int id, __u64 max, __u64 older_ns, struct lb_sweep *out)
{
	sweep_limits(ctl, out);
	out->close_backend = id;
	out->close_idle_ns = ctl->config->drain_idle_ms * 1000000;
	out->close_older_ns = older_ns;
	out->close_max = max;
	return sweep(ctl, out);
}

static int rearm(sd_event_source *source, __u64 after_us)
{
	uint64_t now;

	sd_event_now(sd_event_source_get_event(source), CLOCK_MONOTONIC, &now);
	sd_event_source_set_time(source, now + after_us);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void warn_when_filling(const struct control *ctl)
{
	static bool warned;
	__u64 entries, limit;

	sync_flow_counts(ctl->sync, &entries, &limit);
	if (entries > limit / 100 * 80 && !warned)
		log_warn("flow table: %llu of %llu entries used: new connections are refused when it is full; raise \"flows\"",
			 (unsigned long long)entries, (unsigned long long)limit);
	warned = entries > limit / 100 * 80;
}

static int on_sweep(sd_event_source *source, uint64_t usec, void *arg)
{
	struct control *ctl = arg;
	struct lb_sweep limits;

	(void)usec;
	sweep_limits(ctl, &limits);
	sweep(ctl, &limits);
	warn_when_filling(ctl);
	return rearm(source, SWEEP_US);
}

/* --- drains ------------------------------------------------------------------------------ */

/* Once a second. A drained session is closed when it is the client's turn and has been for a while: nothing is
 * lost then. One that waits for a reply is let be until the deadline. */
static void drain_step(struct control *ctl, int id, __u64 now)
{
	struct backend *be = &ctl->config->pool->backends[id];
	bool late = be->deadline_ns && now >= be->deadline_ns;
	struct lb_sweep left;

	ctl->be[id].owing = ctl->be[id].longest_ns = 0;
	if (!sync_load(ctl->sync, id)->flows)
		return;
	if (control_close_flows(ctl, id, late, ctl->config->drain_idle_ms * 1000000, &left))
		return;
	ctl->be[id].owing = left.owing;
	ctl->be[id].longest_ns = left.longest_ns;
	if (left.closed)
		log_info("%s: %llu idle sessions closed; %llu sessions left, %llu in transaction, longest %llu s", be->name,
			 (unsigned long long)left.closed, (unsigned long long)(left.open - left.closed),
			 (unsigned long long)left.owing, (unsigned long long)(left.longest_ns / 1000000000));
}

static void second(struct control *ctl, __u64 now)
{
	struct pool *pool = ctl->config->pool;
	bool gone = false, ramping = false;

	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		struct backend *be = &pool->backends[id];
		__u32 weight;

		if (!be->used)
			continue;
		if (be->admin == ADMIN_DRAIN)
			drain_step(ctl, id, now);
		if (be->admin == ADMIN_REMOVED && !sync_load(ctl->sync, id)->flows) {
			log_info("%s: its last session has ended", be->name);
			pool_backend_forget(pool, id);
			gone = true;
			continue;
		}
		weight = control_weight(ctl, id, now);
		ramping = ramping || weight != ctl->extra[id].weight;
		ctl->extra[id].weight = weight;
	}
	if (gone)
		control_apply(ctl, &(struct lb_error) {});
	else if (ramping)
		sync_push(ctl->sync, pool, ctl->extra);
	control_rebalance(ctl, now);
	control_addresses_announce(ctl);
}

/* --- reply times ---------------------------------------------------------------------------- */

__u32 control_weight(const struct control *ctl, int id, __u64 now_ns)
{
	const struct backend *be = &ctl->config->pool->backends[id];
	__u64 full = (__u64)be->weight * WEIGHT_UNIT, since = ctl->be[id].up_since_ns, ramp, least;
	__u64 ramp_ns = ctl->config->slow_start_ms * 1000000;

	full = agent_weight(&be->agent, full, LB_MAX_WEIGHT * WEIGHT_UNIT);
	if (be->health == HEALTH_BUSY)
		full = full / BUSY_SHARE ? full / BUSY_SHARE : 1;
	if (!since || now_ns - since >= ramp_ns)
		return full;
	ramp = full * ((now_ns - since) / 1000000) / (ramp_ns / 1000000);
	least = full / RAMP_FROM ? full / RAMP_FROM : 1; /* 0 would be out of rotation */
	return ramp > least ? ramp : least;
}

/* What came since the last tick joins a sum that forgets: within a second a session brings replies of 1 ms and of many
 * seconds, and a mean that remembers less than a few sessions would tell what they last said, not who is slow. */
static void read_replies(struct control *ctl, int id)
{
	const struct lb_load *load = sync_load(ctl->sync, id);
	struct control_backend *be = &ctl->be[id];

	be->recent_n = be->recent_n * RECENT_KEEP + (load->replies_total - be->replies);
	be->recent_ns = be->recent_ns * RECENT_KEEP + (load->reply_ns_total - be->reply_ns_total);
	be->replies = load->replies_total;
	be->reply_ns_total = load->reply_ns_total;
}

/* Mean over the backends of one service that are known; 0 when none is. */
static double service_mean(const struct control *ctl, int service)
{
	double sum = 0;
	int n = 0;

	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &ctl->config->pool->backends[id];

		if (be->used && be->service == service && ctl->be[id].recent_n >= 1) {
			sum += ctl->be[id].recent_ns / ctl->be[id].recent_n;
			n++;
		}
	}
	return n ? sum / n : 0;
}

/* A backend of which little was heard lately counts for the rest as one of the others: a newcomer begins as their
 * mean, and a slow past does not keep one empty for ever. */
static void refresh_reply_times(struct control *ctl)
{
	const struct pool *pool = ctl->config->pool;
	double mean[POOL_MAX_SERVICES];

	for (int id = 1; id < LB_MAX_BACKENDS; id++)
		if (pool->backends[id].used)
			read_replies(ctl, id);
	for (int i = 0; i < POOL_MAX_SERVICES; i++)
		mean[i] = pool->services[i].used ? service_mean(ctl, i) : 0;
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &pool->backends[id];
		const struct control_backend *cb = &ctl->be[id];
		__u64 before = ctl->extra[id].reply_ns;
		double others = be->used ? mean[be->service] : 0;

		if (!be->used || others <= 0) /* without a daemon, or a word, the last figure stays */
			continue;
		ctl->extra[id].reply_ns = (cb->recent_ns + others * RECENT_PRIOR) / (cb->recent_n + RECENT_PRIOR);
		/* one that says 421 at once is quick, but not at scanning mail */
		if (be->health == HEALTH_BUSY && ctl->extra[id].reply_ns < others)
			ctl->extra[id].reply_ns = others;
		if (ctl->extra[id].reply_ns != before)
			sync_touch(ctl->sync, pool, id, ctl->extra);
	}
}

static int on_tick(sd_event_source *source, uint64_t usec, void *arg)
{
	struct control *ctl = arg;

	(void)usec;
	datapath_move(ctl->dp);
	refresh_reply_times(ctl);
	control_listen(ctl, clock_ns());
	if (++ctl->ticks % TICKS_A_SECOND == 0)
		second(ctl, clock_ns());
	return rearm(source, TICK_US);
}

/* --- opening ------------------------------------------------------------------------------------ */

int control_upkeep_open(struct control *ctl)
{
	int ret;

	ctl->events = ring_buffer__new(datapath_maps(ctl->dp)->events, on_event, ctl, NULL);
	if (!ctl->events)
		return -errno;
	ret = sd_event_add_io(ctl->event, &ctl->ring, ring_buffer__epoll_fd(ctl->events), EPOLLIN, on_ring, ctl);
	if (ret < 0)
		return ret;
	ret = sd_event_add_time_relative(ctl->event, &ctl->tick, CLOCK_MONOTONIC, TICK_US, 10000, on_tick, ctl);
	if (ret < 0)
		return ret;
	ret = sd_event_add_time_relative(ctl->event, &ctl->sweep, CLOCK_MONOTONIC, SWEEP_US, 100000, on_sweep, ctl);
	return ret < 0 ? ret : 0;
}

void control_upkeep_close(struct control *ctl)
{
	sd_event_source_disable_unref(ctl->tick);
	sd_event_source_disable_unref(ctl->sweep);
	sd_event_source_disable_unref(ctl->ring);
	ring_buffer__free(ctl->events);
}
