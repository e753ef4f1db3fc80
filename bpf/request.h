/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A client's packet to a VIP. request_established() is the hot path: one flow look-up and on. All that
 * happens a few times in the life of a connection is in request(), out of its way (lb.bpf.c).
 */
#ifndef LB_REQUEST_H
#define LB_REQUEST_H

struct request {
	struct lb_pkt *pkt;
	const struct lb_service *svc;
	__u64 now;
	struct lb_flow_key key;
	__u64 hash; /* pending_hash(&key) */
	__u32 in_ifindex;
	__u32 backend; /* out: where it goes, with a verdict LB_TX_... */
};

static __always_inline void request_key(const struct lb_pkt *pkt, const struct lb_service *svc,
					struct lb_flow_key *key)
{
	flow_key(key, &pkt->src, pkt->src_port, pkt->dst_port, svc->vip_id);
}

static __always_inline enum lb_verdict request_established(const struct lb_pkt *pkt, struct lb_flow *flow, __u8 mode,
							   __u32 in_ifindex, __u64 now)
{
	if (flow->state == LB_FLOW_RESET)
		return LB_RESET_ENDED;
	flow_client_packet(flow, pkt, now);
	if (mode == LB_MODE_NAT)
		flow_learn_client(flow, pkt, in_ifindex);
	return LB_TX_REQUEST;
}

static __always_inline bool request_backend_eligible(__u32 id)
{
	struct lb_backend *be = bpf_map_lookup_elem(&backends, &id);

	return be && select_eligible(be);
}

/* The first byte after the SYN, whether or not it carries data: that may be left out of its repetition. */
static __always_inline __u32 request_next(const struct lb_pkt *pkt)
{
	return pkt->tcp_flags & TCP_FLAG_SYN ? pkt->seq + 1 : flow_packet_end(pkt);
}

/* Remember the choice in "pending". flow: what the same addresses and ports were used for before, or NULL. */
static __noinline enum lb_verdict request_remember(struct request *rq, struct lb_flow *flow, __u16 backend,
							__u8 marks)
{
	struct lb_flow pend = {
		.seen_ns = rq->now,
		.client_next = request_next(rq->pkt),
		.opened_s = rq->now / 1000000000,
		.backend = backend,
		.marks = marks,
	};

	/* without the SYN-ACK there is nothing to take the round trip from */
	if (rq->svc->mode == LB_MODE_DSR)
		pend.marks |= LB_MARK_RETRIED;
	flow_learn_client(&pend, rq->pkt, rq->in_ifindex);
	if (!pending_put(&rq->key, rq->hash, &pend))
		return LB_DROP_HALF_OPEN; /* the client will repeat its SYN */
	if (flow)
		flow->marks |= LB_MARK_SUPERSEDED;
	return LB_NEXT;
}

/* Nobody takes it. ended: what these addresses and ports were used for before, or NULL. The local responder's connections are remembered as such: what follows the SYN passes too. */
static __always_inline enum lb_verdict request_refuse(struct request *rq, struct lb_flow *ended, enum lb_verdict why)
{
	if (rq->svc->refuse == LB_REFUSE_DROP)
		return LB_DROP_NO_BACKEND;
	if (rq->svc->refuse == LB_REFUSE_RESET)
		return why;
	return request_remember(rq, ended, LB_NO_BACKEND, 0) ? LB_DROP_HALF_OPEN : LB_PASS_REFUSED;
}

static __always_inline bool request_table_is_full(void)
{
	__u32 zero = 0;
	struct lb_totals *total = bpf_map_lookup_elem(&totals, &zero);

	return total && total->flow_entries >= total->flow_limit;
}

/* A repeated SYN stays with its backend, unless that one has said nothing at all (nat): then another may. */
static __always_inline bool request_syn_stays(const struct request *rq, const struct lb_flow *pend)
{
	return pend && pend->client_next == request_next(rq->pkt) && request_backend_eligible(pend->backend) &&
	       (rq->svc->mode == LB_MODE_DSR || pend->marks & LB_MARK_ANSWERED);
}

static __always_inline enum lb_verdict request_syn(struct request *rq, struct lb_flow *flow, struct lb_flow *pend)
{
	bool alive = flow && (flow->state == LB_FLOW_SERVER || flow->state == LB_FLOW_CLIENT);
	enum lb_verdict v;
	__u16 backend = LB_NO_BACKEND;

	if (pend && pend->client_next == request_next(rq->pkt) && !(pend->marks & LB_MARK_ANSWERED))
		doubt_tell(pend->backend, rq->now); /* the first one was not answered */
	if (request_syn_stays(rq, pend)) {
		pend->marks |= LB_MARK_RETRIED;
		pend->seen_ns = rq->now;
		rq->backend = pend->backend;
		return LB_TX_SYN;
	}
	/* Port reuse: the mail server that has the connection must hear of the SYN, or answer it for us (RFC 9293,
	 * 3.10.7.4). One that takes nothing new, or whose connection is over, need not. */
	if (alive && request_backend_eligible(flow->backend)) {
		backend = flow->backend;
	} else {
		if (!flow && request_table_is_full())
			return request_refuse(rq, NULL, LB_RESET_TABLE_FULL);
		v = select_backend(rq->key.vip_id, rq->svc->scheduler, rq->hash, rq->now, &backend);
		if (v)
			return request_refuse(rq, alive ? NULL : flow, v);
	}
	rq->backend = backend;
	v = request_remember(rq, flow, backend, 0);
	return v ? v : LB_TX_SYN;
}

/* Not a SYN, and we know nothing of it: after a restart without pins, or on another node. A hash gives the
 * same answer again, so the flow goes on; else a RST now spares the client ten minutes. */
static __always_inline enum lb_verdict request_stray(struct request *rq)
{
	enum lb_verdict v;
	__u16 backend;

	if (rq->pkt->tcp_flags & TCP_FLAG_RST)
		return LB_DROP_NO_FLOW;
	if (rq->svc->scheduler != LB_SCHED_MAGLEV)
		return LB_RESET_NO_FLOW;
	v = select_backend(rq->key.vip_id, rq->svc->scheduler, rq->hash, rq->now, &backend);
	if (v)
		return LB_RESET_NO_FLOW;
	rq->backend = backend;
	v = request_remember(rq, NULL, backend, LB_MARK_PICKUP);
	return v ? v : LB_TX_REQUEST;
}

static __always_inline enum lb_verdict request_pending(struct request *rq, struct lb_flow **flow, struct lb_flow *pend)
{
	bool needs_room;

	if (pend->backend == LB_NO_BACKEND) {
		pend->seen_ns = rq->now;
		return LB_PASS_REFUSED;
	}
	if (*flow && !((*flow)->marks & LB_MARK_SUPERSEDED))
		return LB_NEXT; /* another CPU has just made it of this very entry */
	if (rq->pkt->tcp_flags & TCP_FLAG_RST) {
		if (!turn_rst_plausible(rq->pkt->seq, pend->client_next))
			return *flow ? LB_NEXT : LB_DROP_HALF_OPEN;
		rq->backend = pend->backend;
		pending_forget(&rq->key, rq->hash);
		return LB_TX_REQUEST;
	}
	if (flow_may_promote(pend, rq->pkt, rq->svc->mode)) {
		needs_room = !*flow;
		*flow = flow_promote(&rq->key, pend, *flow, rq->pkt, rq->now);
		if (!*flow) /* or another CPU is at it, and the client will repeat itself */
			return needs_room && request_table_is_full() ? LB_RESET_TABLE_FULL : LB_DROP_HALF_OPEN;
		pending_forget(&rq->key, rq->hash);
		return LB_NEXT;
	}
	if (pend->marks & LB_MARK_PICKUP) {
		pend->client_next = flow_packet_end(rq->pkt);
		rq->backend = pend->backend;
		return LB_TX_REQUEST;
	}
	return *flow ? LB_NEXT : LB_DROP_HALF_OPEN;
}

/* Any packet of a client, whatever its flow. */
static __always_inline enum lb_verdict request(struct request *rq)
{
	struct lb_flow *flow = flow_find(&rq->key);
	struct lb_flow *pend = pending_find(&rq->key, rq->hash, rq->now);
	enum lb_verdict v;

	if ((rq->pkt->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN)
		return request_syn(rq, flow, pend);
	if (pend) {
		v = request_pending(rq, &flow, pend);
		if (v)
			return v;
	}
	if (!flow)
		return request_stray(rq);
	if (!pend)
		flow->marks &= ~LB_MARK_SUPERSEDED; /* the SYN came to nothing */
	rq->backend = flow->backend;
	return request_established(rq->pkt, flow, rq->svc->mode, rq->in_ifindex, rq->now);
}

#endif
