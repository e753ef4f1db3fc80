/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The life of a flow, and the only code that changes its state. A SYN goes to "pending"; the first packet from the
 * client that only the real client can send promotes it to "flows"; FINs and RSTs end it; lbd's
 * sweep takes it out. Counts in "loads" move together with the state, by atomic exchange, so that every way
 * of ending is counted once whoever comes first.
 *
 * The functions that happen once a turn or once a connection are global: the verifier then proves them by
 * themselves, once, instead of on every path that leads to them. Hence their NULL checks.
 */
#ifndef LB_FLOW_H
#define LB_FLOW_H

static __always_inline void flow_key(struct lb_flow_key *key, const struct lb_addr *client, __u16 client_port, __u16 port,
				     __u16 vip_id)
{
	__u64 *to = (__u64 *)key;
	const __u64 *from = (const __u64 *)client->bytes;

	to[0] = from[0];
	to[1] = from[1];
	to[2] = word_of_4(client_port, port, vip_id, 0);
}

static __always_inline struct lb_load *flow_load(const struct lb_flow *flow)
{
	__u32 id = flow->backend;

	return bpf_map_lookup_elem(&loads, &id);
}

static __always_inline void flow_record_wait(struct lb_flow *flow, __u64 wait_ns)
{
	__u32 id = flow->backend, bucket = turn_bucket(wait_ns);
	struct lb_replies *r = bpf_map_lookup_elem(&replies, &id);
	__u64 ms = wait_ns / 1000000;

	if (!r || bucket >= LB_HIST_BUCKETS)
		return;
	if (flow->marks & LB_MARK_FRESH)
		r->banner[bucket]++;
	else
		r->reply[bucket]++;
	if (ms > flow->longest_ms)
		flow->longest_ms = ms > 0xffffffff ? 0xffffffff : ms;
}

/* A flow has left this state: whoever exchanged it calls this once. */
__noinline int flow_count_end(struct lb_flow *flow, __u32 old)
{
	struct lb_replies *r;
	struct lb_load *load;
	__u32 id, bucket;

	if (!flow || (old != LB_FLOW_SERVER && old != LB_FLOW_CLIENT))
		return 0;
	id = flow->backend;
	load = flow_load(flow);
	r = bpf_map_lookup_elem(&replies, &id);
	bucket = turn_bucket(flow->longest_ms * 1000000ULL);
	if (load) {
		__sync_fetch_and_sub(&load->flows, 1);
		if (old == LB_FLOW_SERVER)
			__sync_fetch_and_sub(&load->inflight, 1);
	}
	if (r && bucket < LB_HIST_BUCKETS)
		r->longest[bucket]++;
	return 0;
}

/* Leaves the open states, whoever calls: to is CLOSING, ABORTED or RESET. Returns the state it had; LB_FLOW_STATE_MAX: the flow
 * is another CPU's, which moves it or takes it over, and stays so. */
static __always_inline __u32 flow_end(struct lb_flow *flow, __u32 to)
{
	__u32 old = __sync_lock_test_and_set((__u32 *)&flow->state, LB_FLOW_STATE_MAX);

	if (old == LB_FLOW_STATE_MAX)
		return old;
	flow_count_end(flow, old); /* before anybody can make it another backend's */
	__sync_lock_test_and_set((__u32 *)&flow->state, to);
	return old;
}

__noinline int flow_owe(struct lb_flow *flow)
{
	struct lb_load *load;

	if (!flow)
		return 0;
	flow->turn_ns = bpf_ktime_get_ns();
	load = flow_load(flow);
	if (__sync_val_compare_and_swap((__u32 *)&flow->state, LB_FLOW_CLIENT, LB_FLOW_SERVER) == LB_FLOW_CLIENT && load)
		__sync_fetch_and_add(&load->inflight, 1);
	return 0;
}

__noinline int flow_reply_came(struct lb_flow *flow)
{
	struct lb_load *load;
	__u64 wait, rtt, now = bpf_ktime_get_ns();

	if (!flow)
		return 0;
	load = flow_load(flow);
	if (__sync_val_compare_and_swap((__u32 *)&flow->state, LB_FLOW_SERVER, LB_FLOW_CLIENT) != LB_FLOW_SERVER || !load)
		return 0;
	wait = now > flow->turn_ns ? now - flow->turn_ns : 0; /* another CPU's clock read may have been later */
	rtt = flow->rtt_us * 1000ULL;
	/* The clock ran from the client's words to its ACK, both as they pass here: once across its network. */
	wait = wait > rtt ? wait - rtt : 0;
	__sync_fetch_and_sub(&load->inflight, 1);
	__sync_fetch_and_add(&load->replies_total, 1);
	__sync_fetch_and_add(&load->reply_ns_total, wait);
	flow_record_wait(flow, wait);
	flow->marks &= ~LB_MARK_FRESH;
	flow->replies++;
	flow->turn_ns = now;
	return 0;
}

/* Replies go back to where the client's packets come from, also after its gateway has changed. */
static __always_inline void flow_learn_client(struct lb_flow *flow, const struct lb_pkt *pkt, __u32 ifindex)
{
	/* in the flow as on the wire, but the other way round: local is the frame's destination */
	const __u32 *eth = (const __u32 *)pkt->eth;
	__u32 *known = (__u32 *)flow->local_mac;

	if (known[0] == eth[0] && known[1] == eth[1] && known[2] == eth[2] && flow->ifindex == ifindex)
		return;
	known[0] = eth[0];
	known[1] = eth[1];
	known[2] = eth[2];
	flow->ifindex = ifindex;
}

/* A client that repeats its words has heard nothing for a retransmission time-out: the second time that counts against
 * the backend. In nat anything from the server clears it, in dsr an ACK that advances. */
static __always_inline void flow_client_repeats(struct lb_flow *flow, __u64 now)
{
	if (flow->retries < 255)
		flow->retries++;
	if (flow->retries >= 2)
		doubt_silence(flow->backend, now);
}

static __always_inline void flow_touch(struct lb_flow *flow, __u64 now)
{
	if (now - flow->seen_ns > LB_SEEN_LAG_NS)
		flow->seen_ns = now;
}

/* The sequence number after everything in this packet. */
static __always_inline __u32 flow_packet_end(const struct lb_pkt *pkt)
{
	return pkt->seq + pkt->payload + !!(pkt->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_FIN));
}

/* A client's packet on an established flow. now may lag by a clock tick (bpf_ktime_get_coarse_ns): the exact clock costs as
 * much as a look-up, and is read only when the turn changes. */
static __always_inline void flow_client_packet(struct lb_flow *flow, const struct lb_pkt *pkt, __u64 now)
{
	__u32 end = flow_packet_end(pkt);

	flow_touch(flow, now);
	if (pkt->tcp_flags & TCP_FLAG_RST) {
		if (!turn_rst_plausible(pkt->seq, flow->client_next))
			return;
		/* clients that hang up this way acknowledge the answer to QUIT with it */
		if (knob_turns && pkt->tcp_flags & TCP_FLAG_ACK && turn_ack_advances(flow, pkt->ack) &&
		    flow->state == LB_FLOW_SERVER)
			flow_reply_came(flow);
		flow_end(flow, LB_FLOW_ABORTED);
		return;
	}
	if (pkt->tcp_flags & TCP_FLAG_SYN)
		return;
	if (turn_ack_advances(flow, pkt->ack)) {
		flow->client_ack = pkt->ack;
		if (flow->retries)
			flow->retries = 0;
		if (knob_turns && flow->state == LB_FLOW_SERVER)
			flow_reply_came(flow);
	}
	/* A bare ACK's number may be beyond ours: words were lost on their way here, and will be repeated. */
	if ((pkt->payload || pkt->tcp_flags & TCP_FLAG_FIN) && turn_words_advance(flow, end)) {
		flow->client_next = end;
		if (pkt->payload) {
			flow->turn_ns = now;
			if (knob_turns && flow->state == LB_FLOW_CLIENT)
				flow_owe(flow);
		}
		if (pkt->tcp_flags & TCP_FLAG_FIN)
			flow->marks |= LB_MARK_CLIENT_FIN;
	} else if (pkt->payload) {
		flow_client_repeats(flow, now);
	}
	/* Half-closed and nothing owed: over. A client may well send its FIN and wait for the answer. */
	if ((flow->marks & LB_MARK_CLIENT_FIN || flow->server_fin) && flow->state == LB_FLOW_CLIENT)
		flow_end(flow, LB_FLOW_CLOSING);
}

/* It was ended while the mail server owed a reply: what that has taken may come again. Nothing was taken before the
 * greeting. */
static __always_inline bool flow_is_at_risk(const struct lb_flow *flow, __u32 state)
{
	return state == LB_FLOW_SERVER && !(flow->marks & LB_MARK_FRESH);
}

/* The mail server ends a session by FIN or RST, and may owe a reply in it, which will never come; unless its client has
 * given up. A FIN behind words is not the end yet: the client's ACK of the last reply is still to come. */
__noinline int flow_leave(struct lb_flow *flow, __u32 seq, __u32 payload, bool reset)
{
	struct lb_load *load;
	bool owes;

	if (!flow)
		return 0;
	load = flow_load(flow);
	owes = turn_hangs_up(flow, seq, payload);
	if (!reset && !owes)
		return 0;
	if (flow_is_at_risk(flow, flow_end(flow, reset ? LB_FLOW_ABORTED : LB_FLOW_CLOSING)) && owes && load &&
	    !(flow->marks & LB_MARK_CLIENT_FIN))
		__sync_fetch_and_add(&load->at_risk_total, 1);
	return 0;
}

/* A mail server's packet on an established flow (nat only). */
static __always_inline void flow_server_packet(struct lb_flow *flow, const struct lb_pkt *pkt, __u64 now)
{
	flow_touch(flow, now);
	if (flow->retries)
		flow->retries = 0;
	if (pkt->tcp_flags & TCP_FLAG_RST) {
		if (turn_rst_plausible(pkt->seq, flow->client_ack))
			flow_leave(flow, pkt->seq, pkt->payload, true);
	} else if (pkt->tcp_flags & TCP_FLAG_FIN && !flow->server_fin) {
		flow->server_fin = 1;
		flow_leave(flow, pkt->seq, pkt->payload, false);
	}
}

/* May this packet promote? In nat only a client that heard the SYN-ACK knows its number; in dsr, where we did not
 * hear it either, the packet must at least continue the SYN. */
static __always_inline bool flow_may_promote(const struct lb_flow *pend, const struct lb_pkt *pkt, __u8 mode)
{
	/* a SYN may carry data (RFC 7413), so the next byte may be some way on */
	if (mode == LB_MODE_DSR)
		return pkt->seq - pend->client_next < 1 << 16;
	if (!(pend->marks & LB_MARK_ANSWERED))
		return false;
	return pend->marks & LB_MARK_PICKUP || pkt->ack == pend->client_ack;
}

/* From "pending" to "flows". old: the flow that a new SYN superseded, if any; its entry is taken over in
 * place. NULL: the table is full, or another CPU is at this very place. */
static __noinline struct lb_flow *flow_promote(const struct lb_flow_key *key, struct lb_flow *pend, struct lb_flow *old,
					       const struct lb_pkt *pkt, __u64 now)
{
	struct lb_flow fresh = *pend, *flow = old;
	__u32 zero = 0;
	struct lb_totals *total = bpf_map_lookup_elem(&totals, &zero);
	struct lb_load *load;
	__u32 state;
	bool made;

	fresh.state = old ? LB_FLOW_STATE_MAX : LB_FLOW_CLOSING; /* counted only once it is in */
	fresh.rtt_us = fresh.marks & (LB_MARK_RETRIED | LB_MARK_PICKUP) ? 0 : (now - fresh.seen_ns) / 1000;
	fresh.marks = fresh.marks & LB_MARK_PICKUP ? 0 : LB_MARK_FRESH;
	fresh.client_next = pkt->seq;
	fresh.client_ack = pkt->ack;
	fresh.seen_ns = now;
	fresh.turn_ns = now;
	fresh.retries = 0;
	if (old) {
		/* as in resize.h: who exchanges the state for this one has the flow for himself */
		state = __sync_lock_test_and_set((__u32 *)&old->state, LB_FLOW_STATE_MAX);
		if (state == LB_FLOW_STATE_MAX)
			return NULL;
		if (!(old->marks & LB_MARK_SUPERSEDED)) { /* another CPU has just done all this */
			__sync_lock_test_and_set((__u32 *)&old->state, state);
			return old;
		}
		flow_count_end(old, state);
		__builtin_memcpy(old, &fresh, sizeof(fresh));
	} else {
		made = total && __sync_fetch_and_add(&total->flow_entries, 1) < total->flow_limit &&
		       flow_insert(key, &fresh);
		if (!made && total)
			__sync_fetch_and_sub(&total->flow_entries, 1);
		flow = flow_find_anywhere(key);
		if (!made || !flow)
			return flow; /* another CPU was first, or the table is full */
	}
	load = flow_load(flow);
	if (load) {
		__sync_fetch_and_add(&load->flows, 1);
		__sync_fetch_and_add(&load->inflight, 1);
		__sync_fetch_and_add(&load->sessions_total, 1);
	}
	__sync_lock_test_and_set((__u32 *)&flow->state, LB_FLOW_SERVER);
	/* the sweep may just have taken out what it took for a flow that is over (sweep_remove) */
	if (old && flow_find_anywhere(key) != old) {
		flow_end(flow, LB_FLOW_ABORTED);
		return NULL;
	}
	return flow;
}

#endif
