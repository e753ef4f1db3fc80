/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client's packets to a VIP: what of them reaches the mail server, in every dress that Ethernet and IP have for
 * them, and what is refused.
 */
#include "dress.h"
#include "talk.h"

/* One packet of an open session per row; what comes out is that packet with the changes of its mode. */
static const struct dress dresses[] = {
	{ "a bare packet", 0, 0, 0, NULL, 0, true, true },
	{ "one byte of payload", 0, 0, 0, NULL, 1, true, true },
	{ "a full packet", 0, 0, 12, NULL, 1448, true, true },
	{ "one VLAN tag", 1, 0, 12, NULL, 99, true, true },
	{ "two VLAN tags", 2, 0, 0, NULL, 100, true, true },
	{ "all the TCP options there is room for", 0, 0, 40, NULL, 5, true, true },
	{ "four bytes of IP options", 0, 4, 0, NULL, 7, true, false },
	{ "forty bytes of IP options under two tags", 2, 40, 40, NULL, 7, true, false },
	{ "a hop-by-hop header", 0, 0, 0, "h", 11, false, true },
	{ "destination options", 0, 0, 0, "d", 11, false, true },
	{ "an atomic fragment", 0, 0, 0, "a", 11, false, true },
	{ "a routing header", 0, 0, 0, "r", 11, false, true },
	{ "four headers under two tags", 2, 0, 12, "hdra", 11, false, true },
	{ "a jumbo frame", 0, 0, 12, NULL, 8948, true, true },
	{ "a jumbo frame under two tags", 2, 0, 12, NULL, 8900, true, true },
};

static void every_dress_reaches_the_mail_server(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		handshake(family, mode);
		for (size_t i = 0; i < COUNT(dresses); i++) {
			struct pkt in = request_of(family, mode, ACK | PSH), want;

			if (!dress_put_on(&dresses[i], family, &in))
				continue;
			in.seed = i;
			want = at_backend(&in, mode, 0);
			expect(dresses[i].sentence, &in, LB_TX_REQUEST, &want);
		}
	}
}

static void a_syn_in_every_dress_opens_a_session(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		for (size_t i = 0; i < COUNT(dresses); i++) {
			struct pkt in = request_of(family, mode, SYN), want;
			struct lb_flow pend;

			if (!dress_put_on(&dresses[i], family, &in))
				continue;
			world_reset();
			in.payload = 0;
			want = at_backend(&in, mode, 0);
			expect(dresses[i].sentence, &in, LB_TX_SYN, &want);
			assert_true(get_pending(family, mode, &pend));
			assert_int_equal(pend.backend, id_of(family, mode, 0));
			assert_int_equal(pend.client_next, CLIENT_ISN + 1);
			assert_memory_equal(pend.client_mac, mac_gw, 6);
			assert_memory_equal(pend.local_mac, mac_lb, 6);
			assert_int_equal(pend.ifindex, IF_HERE);
		}
	}
}

static void a_backend_on_another_interface_is_reached_by_redirect(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, ACK);
		struct result r;

		handshake(family, mode);
		world.backends[id_of(family, mode, 0)].ifindex = IF_ELSEWHERE;
		assert_int_equal(run_pkt(&in, &r), LB_TX_REQUEST);
		assert_int_equal(r.action, XDP_REDIRECT);
		world.backends[id_of(family, mode, 0)].ifindex = IF_HERE;
		assert_int_equal(run_pkt(&in, &r), LB_TX_REQUEST);
		assert_int_equal(r.action, XDP_TX);
	}
}

/* What is not for a service goes up the stack; run_frame() checks that it is untouched. */
static void what_is_not_ours_passes_untouched(void **state)
{
	static const struct {
		const char *sentence;
		enum lb_verdict verdict;
		__u16 dport;
		__u8 protocol;
		int vlans;
	} cases[] = {
		{ "another port of the VIP", LB_PASS_NOT_OURS, 26, 0, 0 },
		{ "UDP to the VIP", LB_PASS_NOT_TCP, PORT, 17, 0 },
		{ "three VLAN tags", LB_PASS_NOT_IP, PORT, 0, 3 },
	};

	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, SYN);

		for (size_t i = 0; i < COUNT(cases); i++) {
			in = request_of(family, mode, SYN);
			in.dport = cases[i].dport;
			in.protocol = cases[i].protocol;
			in.vlans = cases[i].vlans;
			expect(cases[i].sentence, &in, cases[i].verdict, NULL);
		}
		in = request_of(family, mode, SYN);
		in.dst = router(family);
		expect("another address", &in, LB_PASS_NOT_OURS, NULL);
	}
}

static void frames_that_are_no_ip_pass(void **state)
{
	static struct frame f = { .len = 60 };

	(void)state;
	memset(f.bytes, 0xff, 12);
	put16(f.bytes + 12, 0x0806);
	expect_frame("ARP", &f, LB_PASS_NOT_IP, NULL);
	f.len = 14;
	expect_frame("an Ethernet header alone", &f, LB_PASS_NOT_IP, NULL);
	put16(f.bytes + 12, 0x8100);
	expect_frame("a VLAN tag that is not there", &f, LB_PASS_NOT_IP, NULL);
	put16(f.bytes + 12, 0x0800);
	expect_frame("IPv4 without a header", &f, LB_PASS_MALFORMED, NULL);
	put16(f.bytes + 12, 0x86dd);
	expect_frame("IPv6 without a header", &f, LB_PASS_MALFORMED, NULL);
}

static void ip_headers_that_make_no_sense_pass(void **state)
{
	static struct frame good, f;
	struct pkt v4 = request_of(V4, LB_MODE_NAT, SYN), v6 = request_of(V6, LB_MODE_NAT, SYN);

	(void)state;
	pkt_build(&good, &v4);
	f = good;
	f.bytes[14] = 0x55;
	expect_frame("version 5", &f, LB_PASS_MALFORMED, NULL);
	f = good;
	f.bytes[14] = 0x44;
	expect_frame("a header of 16 bytes", &f, LB_PASS_MALFORMED, NULL);
	f = good;
	put16(f.bytes + 16, 19);
	expect_frame("a packet shorter than its header", &f, LB_PASS_MALFORMED, NULL);
	f = good;
	f.len = 14 + 20 + 3;
	expect_frame("no room for ports", &f, LB_PASS_MALFORMED, NULL);
	v6.extensions = "h";
	pkt_build(&f, &v6);
	f.len = 14 + 40 + 4;
	expect_frame("an extension header cut in half", &f, LB_PASS_MALFORMED, NULL);
	pkt_build(&f, &v6);
	f.bytes[14 + 40 + 1] = 200;
	expect_frame("an extension header beyond the packet", &f, LB_PASS_MALFORMED, NULL);
	v6.extensions = "hhhhhhh";
	expect("more extension headers than we walk", &v6, LB_PASS_MALFORMED, NULL);
}

static void six_extension_headers_are_walked(void **state)
{
	struct pkt in = request_of(V6, LB_MODE_NAT, SYN), want;

	(void)state;
	in.extensions = "hdrdad";
	want = at_backend(&in, LB_MODE_NAT, 0);
	expect("six extension headers", &in, LB_TX_SYN, &want);
}

static void broken_packets_to_a_service_are_dropped(void **state)
{
	static const struct {
		const char *sentence;
		__u8 flags;
	} bad_flags[] = {
		{ "no flag at all", 0 },		{ "FIN alone", FIN },		  { "PSH and URG", PSH | URG },
		{ "SYN and FIN", SYN | FIN },		{ "SYN and RST", SYN | RST },	  { "all of them", 0xff },
		{ "FIN, PSH, URG", FIN | PSH | URG },
	};
	static struct frame f;

	(void)state;
	EACH_KIND(family, mode) {
		size_t l4 = 14 + (family == V4 ? 20 : 40);
		struct pkt in;

		for (size_t i = 0; i < COUNT(bad_flags); i++) {
			in = request_of(family, mode, bad_flags[i].flags);
			expect(bad_flags[i].sentence, &in, LB_DROP_BAD_TCP, NULL);
		}
		in = request_of(family, mode, ACK);
		in.payload = 100;
		pkt_build(&f, &in);
		f.len -= 1;
		expect_frame("one byte short", &f, LB_DROP_TRUNCATED, NULL);
		f.len = l4 + 8;
		expect_frame("ports and little else", &f, LB_DROP_TRUNCATED, NULL);
		pkt_build(&f, &in);
		f.bytes[l4 + 12] = 4 << 4;
		expect_frame("a TCP header of 16 bytes", &f, LB_DROP_TRUNCATED, NULL);
		in.payload = 0;
		pkt_build(&f, &in);
		f.bytes[l4 + 12] = 15 << 4;
		expect_frame("a TCP header longer than the packet", &f, LB_DROP_TRUNCATED, NULL);
		in.payload = 8900;
		pkt_build(&f, &in);
		f.len -= 4;
		expect_frame("a jumbo frame cut short", &f, LB_DROP_TRUNCATED, NULL);
	}
}

static void padding_behind_the_packet_is_carried_along(void **state)
{
	static struct frame in, want;

	(void)state;
	EACH_KIND(family, mode) {
		struct pkt p = request_of(family, mode, ACK), q = at_backend(&p, mode, 0);

		handshake(family, mode);
		pkt_build(&in, &p);
		pkt_build(&want, &q);
		frame_pad(&in, 0xa5, 10);
		frame_pad(&want, 0xa5, 10);
		expect_frame("ten bytes of padding", &in, LB_TX_REQUEST, &want);
	}
}

static void the_last_hop_is_dropped_in_nat_only(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, ACK), want;

		handshake(family, mode);
		for (int ttl = 0; ttl < 2; ttl++) {
			in.ttl = ttl;
			want = at_backend(&in, mode, 0);
			expect("TTL at its end", &in, mode == LB_MODE_NAT ? LB_DROP_TTL : LB_TX_REQUEST,
			       mode == LB_MODE_NAT ? NULL : &want);
		}
		in.ttl = 2;
		want = at_backend(&in, mode, 0);
		expect("TTL 2", &in, LB_TX_REQUEST, &want);
	}
}

static void a_next_hop_that_is_not_known_drops(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, ACK);

		handshake(family, mode);
		world.backends[id_of(family, mode, 0)].flags = LB_BACKEND_ELIGIBLE;
		expect("no next hop", &in, LB_DROP_NO_NEXTHOP, NULL);
	}
}

static void traffic_is_counted_in_bytes_of_ip(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		__u32 head = (family == V4 ? 20 : 40) + 20;
		struct pkt in = request_of(family, mode, ACK);
		struct lb_traffic t;
		struct result r;

		handshake(family, mode);
		in.payload = 1000;
		in.vlans = 2;
		run_pkt(&in, &r);
		t = traffic_of(id_of(family, mode, 0));
		assert_int_equal(t.packets_in, 3);
		assert_int_equal(t.bytes_in, 3 * head + 1000);
		assert_int_equal(t.packets_out, mode == LB_MODE_NAT);
		assert_int_equal(t.bytes_out, mode == LB_MODE_NAT ? head : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_dress_reaches_the_mail_server, world_setup),
		cmocka_unit_test_setup(a_syn_in_every_dress_opens_a_session, world_setup),
		cmocka_unit_test_setup(a_backend_on_another_interface_is_reached_by_redirect, world_setup),
		cmocka_unit_test_setup(what_is_not_ours_passes_untouched, world_setup),
		cmocka_unit_test_setup(frames_that_are_no_ip_pass, world_setup),
		cmocka_unit_test_setup(ip_headers_that_make_no_sense_pass, world_setup),
		cmocka_unit_test_setup(six_extension_headers_are_walked, world_setup),
		cmocka_unit_test_setup(broken_packets_to_a_service_are_dropped, world_setup),
		cmocka_unit_test_setup(padding_behind_the_packet_is_carried_along, world_setup),
		cmocka_unit_test_setup(the_last_hop_is_dropped_in_nat_only, world_setup),
		cmocka_unit_test_setup(a_next_hop_that_is_not_known_drops, world_setup),
		cmocka_unit_test_setup(traffic_is_counted_in_bytes_of_ip, world_setup),
	};

	world_open(BIG_TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
