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
	key->client = pkt->dst;
	key->client_port = pkt->dst_port;
	key->port = pkt->src_port;
	key->vip_id = ref->vip_id;
	key->zero = 0;
}

struct reply {
	struct lb_pkt *pkt;
	const struct lb_backend_ref *ref;
	__u64 now;
	struct lb_flow_key key;
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
	rp->to = pend;
	if (rp->pkt->tcp_flags & TCP_FLAG_RST) {
		rp->forget = true;
	} else if (pend->marks & LB_MARK_PICKUP) {
		pend->client_ack = 1;
	} else if (rp->pkt->tcp_flags & TCP_FLAG_SYN && rp->pkt->ack == pend->client_next) {
		if (pend->client_ack)
			pend->marks |= LB_MARK_RETRIED;
		pend->client_ack = flow_packet_end(rp->pkt);
		pend->seen_ns = rp->now;
	}
	return LB_TX_REPLY;
}

/* Any packet of a mail server, whatever its flow. */
static __always_inline enum lb_verdict reply(struct reply *rp)
{
	struct lb_flow *flow = bpf_map_lookup_elem(&flows, &rp->key);
	struct lb_flow *pend = bpf_map_lookup_elem(&pending, &rp->key);

	if (pend && pend->backend == rp->ref->backend && rp->now - pend->seen_ns <= knob_half_open_ns)
		return reply_pending(rp, pend);
	if (!flow || flow->backend != rp->ref->backend)
		return LB_PASS_NO_FLOW;
	rp->to = flow;
	return reply_established(rp->pkt, flow, rp->now);
}

#endif
