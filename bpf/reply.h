/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A mail server's packet to a client (nat only: in dsr it never comes by). Without a flow it is
 * somebody's own session with that server, such as a health check, and none of our business.
 */
#ifndef LB_REPLY_H
#define LB_REPLY_H

static __always_inline void reply_key(const struct lb_pkt *pkt, const struct lb_backend_ref *ref,
				      struct lb_flow_key *key)
{
	flow_key(key, &pkt->dst, pkt->dst_port, pkt->src_port, ref->vip_id);
}

struct reply {
	struct lb_pkt *pkt;
	const struct lb_backend_ref *ref;
	__u64 now;
	struct lb_flow_key key;
	__u64 hash; /* pending_hash(&key) */
	const struct lb_flow *to; /* out: the way back, with a verdict LB_TX_REPLY */
	bool forget;		  /* out: delete the entry in "pending" once the packet is forwarded */
};

static __always_inline enum lb_verdict reply_established(const struct lb_pkt *pkt, struct lb_flow *flow, __u64 now)
{
	if (flow->state == LB_FLOW_RESET)
		return LB_RESET_ENDED;
	flow_server_packet(flow, pkt, now);
	return LB_TX_REPLY;
}

/* The SYN-ACK, a refusal, or the first answer to a flow that was picked up in mid-stream. */
static __always_inline enum lb_verdict reply_pending(struct reply *rp, struct lb_flow *pend)
{
	struct lb_load *load = flow_load(pend);

	rp->to = pend;
	if (rp->pkt->tcp_flags & TCP_FLAG_RST) {
		rp->forget = true;
		doubt_refusal(pend->backend, rp->now);
	} else if (pend->marks & LB_MARK_PICKUP) {
		pend->marks |= LB_MARK_ANSWERED;
	} else if (rp->pkt->tcp_flags & TCP_FLAG_SYN && rp->pkt->ack - pend->client_next < 1 << 16) {
		if (pend->marks & LB_MARK_ANSWERED)
			pend->marks |= LB_MARK_RETRIED;
		pend->marks |= LB_MARK_ANSWERED;
		pend->client_ack = flow_packet_end(rp->pkt);
		if (load)
			__sync_fetch_and_add(&load->synacks_total, 1);
		pend->seen_ns = rp->now;
	}
	return LB_TX_REPLY;
}

/* On a reused port the old flow and the new SYN's entry may have the same backend: an answer to a SYN is the
 * entry's, all else is the flow's. */
static __always_inline bool reply_is_for(const struct lb_pkt *pkt, const struct lb_flow *pend, bool has_flow)
{
	if (!has_flow || pkt->tcp_flags & TCP_FLAG_SYN)
		return true;
	return pkt->tcp_flags & TCP_FLAG_RST && pkt->tcp_flags & TCP_FLAG_ACK && pkt->ack == pend->client_next;
}

/* Any packet of a mail server, whatever its flow. */
static __always_inline enum lb_verdict reply(struct reply *rp)
{
	struct lb_flow *flow = flow_find(&rp->key);
	struct lb_flow *pend = pending_find(&rp->key, rp->hash, rp->now);

	if (flow && flow->backend != rp->ref->backend)
		flow = NULL;
	if (pend && pend->backend == rp->ref->backend && reply_is_for(rp->pkt, pend, flow))
		return reply_pending(rp, pend);
	if (!flow)
		return LB_PASS_NO_FLOW;
	rp->to = flow;
	return reply_established(rp->pkt, flow, rp->now);
}

#endif
