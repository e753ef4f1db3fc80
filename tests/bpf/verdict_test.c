/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every verdict there is, each from a packet that deserves it, and only that one; and that every verdict has such
 * a case, so that a new one cannot come without.
 */
#include "talk.h"

static struct frame f;

static void from(struct pkt in)
{
	pkt_build(&f, &in);
}

static void about(int mode, __u8 type)
{
	struct error e = {
		.type = type, .keep = 8,
		.outer = { .family = V4, .ttl = 9, .from_mac = mac_gw, .to_mac = mac_lb, .src = router(V4),
			   .dst = svc_mx(V4, mode) },
		.about = reply_of(V4, ACK),
	};

	e.about.src = svc_mx(V4, mode);
	error_build(&f, &e);
}

static void arp(void)
{
	from(request_of(V4, LB_MODE_NAT, SYN));
	put16(f.bytes + 12, 0x0806);
}

static void udp(void)
{
	struct pkt p = request_of(V4, LB_MODE_NAT, 0);

	p.protocol = 17;
	from(p);
}

static void another_port(void)
{
	struct pkt p = request_of(V4, LB_MODE_NAT, SYN);

	p.dport = 80;
	from(p);
}

static void header_of_16_bytes(void)
{
	from(request_of(V4, LB_MODE_NAT, SYN));
	f.bytes[14] = 0x44;
}

static void somebody_elses_reply(void)
{
	from(reply_of(V4, ACK));
}

static void lost_fragment(void)
{
	struct pkt p = request_of(V4, LB_MODE_NAT, ACK);

	p.payload = 1000;
	p.may_fragment = true;
	pkt_build_fragment(&f, &p, 512, 508);
}

static void echo_request(void)
{
	about(LB_MODE_NAT, 8);
}

static void nobody_but_the_responder(void)
{
	world_service(V4, LB_MODE_NAT, LB_SCHED_RANDOM, LB_REFUSE_REPLY);
	world_table(vip_of(V4, LB_MODE_NAT), NULL, 0);
	from(request_of(V4, LB_MODE_NAT, SYN));
}

static void first_syn(void)
{
	from(request_of(V4, LB_MODE_NAT, SYN));
}

static void words_of_a_session(void)
{
	struct pkt p = request_of(V4, LB_MODE_NAT, ACK | PSH);

	handshake(V4, LB_MODE_NAT);
	p.payload = 6;
	from(p);
}

static void reply_of_a_session(void)
{
	handshake(V4, LB_MODE_NAT);
	from(reply_of(V4, ACK | PSH));
}

static void too_big_for_a_session(void)
{
	handshake(V4, LB_MODE_NAT);
	about(LB_MODE_NAT, 3);
}

static void second_fragment(void)
{
	struct pkt p = request_of(V4, LB_MODE_NAT, ACK);
	struct result r;

	handshake(V4, LB_MODE_NAT);
	p.payload = 1000;
	p.may_fragment = true;
	pkt_build_fragment(&f, &p, 0, 512);
	run_frame(&f, &r);
	pkt_build_fragment(&f, &p, 512, 508);
}

static void nobody(void)
{
	world_table(vip_of(V4, LB_MODE_NAT), NULL, 0);
	from(request_of(V4, LB_MODE_NAT, SYN));
}

static void nobody_and_silence(void)
{
	nobody();
	world_service(V4, LB_MODE_NAT, LB_SCHED_RANDOM, LB_REFUSE_DROP);
}

static void all_at_their_cap(void)
{
	world.backends[id_of(V4, LB_MODE_NAT, 0)].max_flows = 1;
	load_of(V4, LB_MODE_NAT, 0)->flows = 1;
	from(request_of(V4, LB_MODE_NAT, SYN));
}

static void full_table(void)
{
	world.totals->flow_entries = world.totals->flow_limit;
	from(request_of(V4, LB_MODE_NAT, SYN));
}

static void stray(void)
{
	from(request_of(V4, LB_MODE_NAT, ACK));
}

static void stray_rst(void)
{
	from(request_of(V4, LB_MODE_NAT, RST));
}

/* What the kernel does to the array when its last descriptor and pin are gone. */
static void emptied_slow_paths(void)
{
	__u32 tcp = 0;

	from(request_of(V4, LB_MODE_NAT, SYN));
	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(world.skel->maps.slow_paths), &tcp), 0);
}

static void session_that_was_ended(void)
{
	struct lb_flow flow;

	handshake(V4, LB_MODE_NAT);
	assert_true(get_flow(V4, LB_MODE_NAT, &flow));
	flow.state = LB_FLOW_RESET;
	put_flow(V4, LB_MODE_NAT, &flow);
	from(request_of(V4, LB_MODE_NAT, ACK));
}

static void one_byte_short(void)
{
	words_of_a_session();
	f.len--;
}

static void syn_and_fin(void)
{
	from(request_of(V4, LB_MODE_NAT, SYN | FIN));
}

static void last_hop(void)
{
	struct pkt p = request_of(V4, LB_MODE_NAT, SYN);

	p.ttl = 1;
	from(p);
}

static void no_next_hop(void)
{
	words_of_a_session();
	world.backends[id_of(V4, LB_MODE_NAT, 0)].flags = LB_BACKEND_ELIGIBLE;
}

static void ack_before_the_syn_ack(void)
{
	struct result r;

	first_syn();
	run_frame(&f, &r);
	from(request_of(V4, LB_MODE_NAT, ACK));
}

static const struct {
	enum lb_verdict verdict;
	const char *sentence;
	void (*prepare)(void);	/* the world, and the packet in f */
} cases[] = {
	{ LB_PASS_NOT_IP, "ARP", arp },
	{ LB_PASS_NOT_TCP, "UDP", udp },
	{ LB_PASS_NOT_OURS, "another port of the VIP", another_port },
	{ LB_PASS_MALFORMED, "an IPv4 header of 16 bytes", header_of_16_bytes },
	{ LB_PASS_NO_FLOW, "a reply in somebody else's session", somebody_elses_reply },
	{ LB_PASS_FRAGMENT, "a fragment whose first is not known", lost_fragment },
	{ LB_PASS_ICMP, "an echo request", echo_request },
	{ LB_PASS_REFUSED, "a SYN for the local responder", nobody_but_the_responder },
	{ LB_TX_SYN, "a SYN", first_syn },
	{ LB_TX_REQUEST, "a client's words", words_of_a_session },
	{ LB_TX_REPLY, "a server's words", reply_of_a_session },
	{ LB_TX_ICMP, "a packet of a session is too big", too_big_for_a_session },
	{ LB_TX_FRAGMENT, "a second fragment", second_fragment },
	{ LB_RESET_NO_BACKEND, "nobody takes it", nobody },
	{ LB_RESET_AT_CAP, "all are at their cap", all_at_their_cap },
	{ LB_RESET_TABLE_FULL, "the flow table is full", full_table },
	{ LB_RESET_NO_FLOW, "an ACK out of nowhere", stray },
	{ LB_RESET_ENDED, "a session that lbd has ended", session_that_was_ended },
	{ LB_DROP_TRUNCATED, "a frame one byte short", one_byte_short },
	{ LB_DROP_BAD_TCP, "SYN and FIN", syn_and_fin },
	{ LB_DROP_TTL, "a packet at its last hop", last_hop },
	{ LB_DROP_NO_BACKEND, "nobody takes it, in silence", nobody_and_silence },
	{ LB_DROP_NO_NEXTHOP, "a backend without next hop", no_next_hop },
	{ LB_DROP_HALF_OPEN, "an ACK before the SYN-ACK", ack_before_the_syn_ack },
	{ LB_DROP_NO_FLOW, "a RST out of nowhere", stray_rst },
	{ LB_DROP_NO_SLOW_PATH, "a SYN and no program for it", emptied_slow_paths }, /* the last: it stays so */
};

static void every_case_gets_its_verdict(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		world_reset();
		cases[i].prepare();
		expect_frame(cases[i].sentence, &f, cases[i].verdict, NULL);
	}
}

static void every_verdict_has_its_case(void **state)
{
	(void)state;
	for (int v = LB_NEXT + 1; v < LB_VERDICT_MAX; v++)
		if (!world.produced[v])
			fail_msg("no case produces %s", verdict_to_str(v));
	assert_int_equal(world.produced[LB_NEXT], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_case_gets_its_verdict, world_setup),
		cmocka_unit_test(every_verdict_has_its_case),
	};

	world_open(BIG_TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
