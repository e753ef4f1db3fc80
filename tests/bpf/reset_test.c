/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RST answers: the numbers that whoever is answered must accept (RFC 9293, 3.5.2), right checksums, no trace of the
 * packet that they answer, and never an answer to a RST.
 */
#include "talk.h"

static void every_stray_gets_the_numbers_it_must_accept(void **state)
{
	static const struct {
		const char *sentence;
		__u8 flags;
		__u32 seq, ack;
		__u16 payload;
	} cases[] = {
		{ "an ACK", ACK, 1001, 5001, 0 },
		{ "data", ACK | PSH, 1001, 5001, 777 },
		{ "a FIN", ACK | FIN, 1001, 0xffffffff, 0 },
		{ "a SYN-ACK", SYN | ACK, 1001, 0, 0 },
		{ "a jumbo frame", ACK, 1001, 5001, 8900 },
	};

	(void)state;
	EACH_KIND(family, mode) {
		for (size_t i = 0; i < COUNT(cases); i++) {
			struct pkt in = request_of(family, mode, cases[i].flags);

			in.seq = cases[i].seq;
			in.ack = cases[i].ack;
			in.payload = cases[i].payload;
			expect_reset(cases[i].sentence, &in, LB_RESET_NO_FLOW);
			in.vlans = 1;
			in.tcp_options = 40;
			expect_reset("the same under a tag", &in, LB_RESET_NO_FLOW);
			in.vlans = 2;
			in.ip_options = family == V4 ? 40 : 0;
			in.extensions = "hda";
			expect_reset("the same with options or extensions", &in, LB_RESET_NO_FLOW);
		}
	}
}

static void a_refused_syn_gets_the_numbers_it_must_accept(void **state)
{
	static const struct { __u32 seq; __u16 payload; } cases[] = {
		{ 1000, 0 }, { 0xffffffff, 0 }, { 0xfffffff0, 100 }, { 0, 1400 },
	};

	(void)state;
	EACH_KIND(family, mode) {
		world_table(vip_of(family, mode), NULL, 0);
		for (size_t i = 0; i < COUNT(cases); i++) {
			struct pkt in = request_of(family, mode, SYN);

			in.seq = cases[i].seq;
			in.payload = cases[i].payload;
			in.tcp_options = 20;
			in.vlans = i % 3;
			expect_reset("a SYN", &in, LB_RESET_NO_BACKEND);
		}
	}
}

static void a_session_that_was_ended_is_answered_on_both_sides(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, ACK | PSH);
		struct lb_flow flow;

		handshake(family, mode);
		assert_true(get_flow(family, mode, &flow));
		flow.state = LB_FLOW_RESET;
		put_flow(family, mode, &flow);
		in.payload = 300;
		expect_reset("the client speaks", &in, LB_RESET_ENDED);
		in.flags = RST;
		expect("the client's RST", &in, LB_DROP_NO_FLOW, NULL);
		if (mode == LB_MODE_NAT) {
			in = reply_of(family, ACK | PSH);
			in.payload = 200;
			in.vlans = 2;
			expect_reset("the server speaks", &in, LB_RESET_ENDED);
			in = reply_of(family, RST | ACK);
			expect("the server's RST", &in, LB_DROP_NO_FLOW, NULL);
		}
		assert_int_equal(state_of(family, mode), LB_FLOW_RESET);
	}
}

static void the_smallest_packet_can_be_answered(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, ACK);
		static struct frame f, g;
		struct pkt want = reset_of(&in);

		pkt_build(&f, &in);
		memset(f.bytes + f.len, 0xee, 6); /* Ethernet's padding */
		f.len += 6;
		reset_build(&g, &want);
		expect_frame("with padding", &f, LB_RESET_NO_FLOW, &g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_stray_gets_the_numbers_it_must_accept, world_setup),
		cmocka_unit_test_setup(a_refused_syn_gets_the_numbers_it_must_accept, world_setup),
		cmocka_unit_test_setup(a_session_that_was_ended_is_answered_on_both_sides, world_setup),
		cmocka_unit_test_setup(the_smallest_packet_can_be_answered, world_setup),
	};

	world_open(BIG_TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
