/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Whose turn is it: SMTP as seen from outside TLS. SMTP is ping-pong, so the client's packets alone
 * tell (and in DSR they are all we see): new payload means that the server owes a reply; a later ACK
 * number that has advanced means that it came. Knows TCP numbers, not packets or maps.
 * Pure: the host's tests compile it too.
 *
 * Numbers compare modulo 2^32 (RFC 9293, 3.4). A retransmission ends at or before client_next, a keep-alive sits one
 * byte before it, an old or repeated ACK does not advance: none of them changes anything.
 *
 * What it cannot see: with PIPELINING (RFC 2920) several commands share one turn, which ends with the first
 * reply. Whoever closes connections on "client's turn" must therefore also ask for silence.
 */
#ifndef LB_TURN_H
#define LB_TURN_H

static __always_inline bool turn_is_after(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

/* Has the client acknowledged something new? While the server owes, that is its reply. */
static __always_inline bool turn_ack_advances(const struct lb_flow *flow, __u32 ack)
{
	return turn_is_after(ack, flow->client_ack);
}

/* Did the client say something new? end: sequence number after its payload (and FIN). */
static __always_inline bool turn_words_advance(const struct lb_flow *flow, __u32 end)
{
	return turn_is_after(end, flow->client_next);
}

/* The mail server's FIN or RST: does it leave the client without the reply that it owes? All that it ever said is
 * acknowledged, so none is on the way. */
static __always_inline bool turn_hangs_up(const struct lb_flow *flow, __u32 seq, __u32 payload)
{
	return flow->state == LB_FLOW_SERVER && !payload && seq == flow->client_ack;
}

/* A RST that the receiver may accept: at or just after the next byte that we know of. We have missed bytes
 * that were lost before they reached us; a blind attacker has missed far more (RFC 5961, 3.2). */
static __always_inline bool turn_rst_plausible(__u32 seq, __u32 next)
{
	return seq - next + 1 < 1 << 20;
}

/* Histogram bucket of a waiting time: 0 below 1 ms, n below 2^n ms: the length of the number in bits. Without
 * branches (smear, then count ones), because the verifier walks every combination of them. */
static __always_inline __u32 turn_bucket(__u64 wait_ns)
{
	__u64 v = wait_ns / 1000000;

	v |= v >> 1;
	v |= v >> 2;
	v |= v >> 4;
	v |= v >> 8;
	v |= v >> 16;
	v |= v >> 32;
	v -= v >> 1 & 0x5555555555555555ULL;
	v = (v & 0x3333333333333333ULL) + (v >> 2 & 0x3333333333333333ULL);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	v = v * 0x0101010101010101ULL >> 56;
	return v < LB_HIST_BUCKETS ? v : LB_HIST_BUCKETS - 1;
}

#endif
