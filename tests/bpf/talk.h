/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conversations: what client_a and the mail servers say to each other, what of it should come out on the
 * other side, and what the maps then hold of it.
 */
#ifndef TESTS_TALK_H
#define TESTS_TALK_H

#include "run.h"

/* client_a to svc_mx, in the middle of a session that has said nothing yet. */
static inline struct pkt request_of(int family, int mode, __u8 flags)
{
	return (struct pkt) {
		.family = family, .from_mac = mac_gw, .to_mac = mac_lb, .src = client_a(family), .dst = svc_mx(family, mode),
		.sport = CLIENT_PORT, .dport = PORT, .flags = flags, .ttl = 57, .seed = 3, .id = 77,
		.seq = flags & SYN ? CLIENT_ISN : CLIENT_ISN + 1, .ack = flags & ACK ? SERVER_ISN + 1 : 0,
	};
}

/* be_one (nat) to client_a. */
static inline struct pkt reply_of(int family, __u8 flags)
{
	return (struct pkt) {
		.family = family, .from_mac = mac_be_one, .to_mac = mac_lb_in, .src = be_one(family, LB_MODE_NAT),
		.dst = client_a(family), .sport = PORT, .dport = CLIENT_PORT, .flags = flags, .ttl = 64, .seed = 5, .id = 78,
		.seq = flags & SYN ? SERVER_ISN : SERVER_ISN + 1, .ack = flags & ACK ? CLIENT_ISN + 1 : 0,
	};
}

/* What a mail server should get of a client's packet. */
static inline struct pkt at_backend(const struct pkt *in, int mode, int which)
{
	struct pkt out = *in;

	out.from_mac = mac_lb_in;
	out.to_mac = which ? mac_be_two : mac_be_one;
	if (mode == LB_MODE_NAT) {
		out.dst = which ? be_two(in->family, mode) : be_one(in->family, mode);
		out.ttl--;
	}
	return out;
}

/* What the client should get of a mail server's packet. */
static inline struct pkt at_client(const struct pkt *in)
{
	struct pkt out = *in;

	out.src = svc_mx(in->family, LB_MODE_NAT);
	out.ttl--;
	out.from_mac = mac_lb;
	out.to_mac = mac_gw;
	return out;
}

/* What whoever sent it should get of a packet that is answered with a RST. */
static inline struct pkt reset_of(const struct pkt *in)
{
	struct pkt out = {
		.family = in->family, .vlans = in->vlans, .from_mac = in->to_mac, .to_mac = in->from_mac, .src = in->dst,
		.dst = in->src, .sport = in->dport, .dport = in->sport, .ttl = 64, .flags = RST,
	};

	if (in->flags & ACK) {
		out.seq = in->ack;
	} else {
		out.flags |= ACK;
		out.ack = in->seq + in->payload + !!(in->flags & (SYN | FIN));
	}
	return out;
}

/* A RST's IPv4 and IPv6 headers have no history: ToS, flow label, window and id are zero. */
static inline void reset_build(struct frame *f, const struct pkt *d)
{
	__u8 *ip, *tcp;
	size_t at = build_eth(f->bytes, d);

	ip = f->bytes + at;
	at += build_ip(ip, d, 20);
	tcp = f->bytes + at;
	build_l4(tcp, d);
	put16(tcp + 14, 0);
	put16(tcp + 16, 0);
	put16(tcp + 16, sum_close(sum_bytes(tcp, 20, sum_pseudo(d->family, &d->src, &d->dst, 6, 20))));
	if (d->family == V4) {
		ip[1] = 0;
		put16(ip + 4, 0);
		put16(ip + 10, 0);
		put16(ip + 10, sum_close(sum_bytes(ip, 20, 0)));
	} else {
		put32(ip, 0x60000000);
	}
	f->len = at + 20;
}

static inline void expect_reset(const char *sentence, const struct pkt *in, enum lb_verdict verdict)
{
	static struct frame f, g;
	struct pkt want = reset_of(in);

	pkt_build(&f, in);
	reset_build(&g, &want);
	expect_frame(sentence, &f, verdict, &g);
}

static inline struct lb_flow_key key_of(const struct pkt *request, int mode)
{
	return (struct lb_flow_key) {
		.client = request->src, .client_port = request->sport, .port = request->dport,
		.vip_id = vip_of(request->family, mode),
	};
}

static inline struct lb_flow_key usual_key(int family, int mode)
{
	struct pkt p = request_of(family, mode, ACK);

	return key_of(&p, mode);
}

static inline bool get_flow(int family, int mode, struct lb_flow *out)
{
	struct lb_flow_key key = usual_key(family, mode);

	return slots_get(&world.flows, &key, out);
}

static inline bool get_pending(int family, int mode, struct lb_flow *out)
{
	struct lb_flow_key key = usual_key(family, mode);

	struct lb_pending *entry = find_pending(&key);

	*out = entry ? entry->flow : (struct lb_flow) {};
	return entry;
}

static inline void put_flow(int family, int mode, const struct lb_flow *flow)
{
	struct lb_flow_key key = usual_key(family, mode);

	assert_non_null(slots_find(&world.flows, &key));
	*slots_find(&world.flows, &key) = *flow;
}

static inline void put_pending(int family, int mode, const struct lb_flow *pend)
{
	struct lb_flow_key key = usual_key(family, mode);

	assert_non_null(find_pending(&key));
	find_pending(&key)->flow = *pend;
}

static inline enum lb_flow_state state_of(int family, int mode)
{
	struct lb_flow flow;

	assert_true(get_flow(family, mode, &flow));
	return flow.state;
}

/* Moves a flow's past further into the past. */
static inline void age_flow(int family, int mode, __u64 ns)
{
	struct lb_flow flow;

	assert_true(get_flow(family, mode, &flow));
	flow.seen_ns -= ns;
	flow.turn_ns -= ns;
	flow.opened_s -= ns / SECOND;
	put_flow(family, mode, &flow);
}

static inline void client_says(const char *sentence, int family, int mode, __u8 flags, __u32 seq, __u32 ack, __u16 payload,
			       enum lb_verdict verdict)
{
	struct pkt in = request_of(family, mode, flags), want;

	in.seq = seq;
	in.ack = ack;
	in.payload = payload;
	want = at_backend(&in, mode, 0);
	expect(sentence, &in, verdict, is_tx(verdict) && verdict <= LB_TX_FRAGMENT ? &want : NULL);
}

static inline void server_says(const char *sentence, int family, __u8 flags, __u32 seq, __u32 ack, __u16 payload,
			       enum lb_verdict verdict)
{
	struct pkt in = reply_of(family, flags), want;

	in.seq = seq;
	in.ack = ack;
	in.payload = payload;
	want = at_client(&in);
	expect(sentence, &in, verdict, verdict == LB_TX_REPLY ? &want : NULL);
}

static inline void handshake_at(int family, int mode, __u32 isn, __u32 server_isn)
{
	client_says("SYN", family, mode, SYN, isn, 0, 0, LB_TX_SYN);
	if (mode == LB_MODE_NAT)
		server_says("SYN-ACK", family, SYN | ACK, server_isn, isn + 1, 0, LB_TX_REPLY);
	client_says("ACK", family, mode, ACK, isn + 1, server_isn + 1, 0, LB_TX_REQUEST);
}

static inline void handshake(int family, int mode)
{
	handshake_at(family, mode, CLIENT_ISN, SERVER_ISN);
}

static inline struct lb_load *load_of(int family, int mode, int which)
{
	return &world.loads[id_of(family, mode, which)];
}

static inline void expect_load(int family, int mode, __u64 flows, __u64 inflight, __u64 sessions)
{
	const struct lb_load *load = load_of(family, mode, 0);

	assert_int_equal(load->flows, flows);
	assert_int_equal(load->inflight, inflight);
	assert_int_equal(load->sessions_total, sessions);
}

static inline struct lb_traffic traffic_of(__u32 id)
{
	struct lb_traffic values[64] = {}, sum = {};

	assert_int_equal(bpf_map_lookup_elem(world.traffic, &id, values), 0);
	for (int cpu = 0; cpu < world.cpus; cpu++) {
		sum.packets_in += values[cpu].packets_in;
		sum.bytes_in += values[cpu].bytes_in;
		sum.packets_out += values[cpu].packets_out;
		sum.bytes_out += values[cpu].bytes_out;
	}
	return sum;
}

static inline struct lb_replies replies_of(__u32 id)
{
	static struct lb_replies values[64];
	struct lb_replies sum = {};

	assert_int_equal(bpf_map_lookup_elem(world.replies, &id, values), 0);
	for (int cpu = 0; cpu < world.cpus; cpu++) {
		for (int b = 0; b < LB_HIST_BUCKETS; b++) {
			sum.banner[b] += values[cpu].banner[b];
			sum.reply[b] += values[cpu].reply[b];
			sum.longest[b] += values[cpu].longest[b];
		}
	}
	return sum;
}

/* The four kinds of conversation. */
#define EACH_KIND(family, mode) \
	for (int mode = 0; mode < LB_MODE_MAX; mode++) \
		for (int family = V4; family <= V6; family++)

#endif
