/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mail server's packets on their way back to the client (nat): under the VIP's name when they belong to a
 * session of ours, untouched when they do not.
 */
#include "dress.h"
#include "talk.h"

static const struct {
	struct dress dress;
	__u8 flags;
} dresses[] = {
	{ { "a bare ACK", 0, 0, 0, NULL, 0, true, true }, ACK },
	{ { "a greeting", 0, 0, 12, NULL, 60, true, true }, ACK | PSH },
	{ { "an odd number of bytes", 1, 0, 12, NULL, 61, true, true }, ACK | PSH },
	{ { "two VLAN tags", 2, 0, 0, NULL, 1400, true, true }, ACK },
	{ { "IP options", 0, 40, 40, NULL, 5, true, false }, ACK },
	{ { "extension headers", 2, 0, 12, "hdra", 5, false, true }, ACK },
	{ { "a jumbo frame", 0, 0, 12, NULL, 8900, true, true }, ACK },
	{ { "FIN", 0, 0, 0, NULL, 0, true, true }, ACK | FIN },
	{ { "RST", 0, 0, 0, NULL, 0, true, true }, RST | ACK },
};

static void every_dress_reaches_the_client(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		handshake(f, LB_MODE_NAT);
		for (size_t i = 0; i < COUNT(dresses); i++) {
			struct pkt in = reply_of(f, dresses[i].flags), want;

			if (!dress_put_on(&dresses[i].dress, f, &in))
				continue;
			want = at_client(&in);
			expect(dresses[i].dress.sentence, &in, LB_TX_REPLY, &want);
		}
	}
}

static void a_client_on_another_interface_is_reached_by_redirect(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		struct pkt in = reply_of(f, ACK);
		struct lb_flow flow;
		struct result r;

		handshake(f, LB_MODE_NAT);
		assert_true(get_flow(f, LB_MODE_NAT, &flow));
		flow.ifindex = IF_ELSEWHERE;
		put_flow(f, LB_MODE_NAT, &flow);
		assert_int_equal(run_pkt(&in, &r), LB_TX_REPLY);
		assert_int_equal(r.action, XDP_REDIRECT);
	}
}

static void somebody_elses_session_with_a_mail_server_passes(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		struct pkt in = reply_of(f, ACK | PSH);

		in.payload = 40;
		expect("no session at all", &in, LB_PASS_NO_FLOW, NULL);
		handshake(f, LB_MODE_NAT);
		in.dport = CLIENT_PORT + 1;
		expect("the client's other port", &in, LB_PASS_NO_FLOW, NULL);
		in = reply_of(f, ACK | PSH);
		in.dst = client_b(f);
		expect("another client", &in, LB_PASS_NO_FLOW, NULL);
		in = reply_of(f, ACK);
		in.src = be_two(f, LB_MODE_NAT);
		expect("another mail server", &in, LB_PASS_NO_FLOW, NULL);
		in = reply_of(f, SYN | ACK);
		in.dst = router(f);
		expect("the answer to a health check", &in, LB_PASS_NO_FLOW, NULL);
		in = reply_of(f, RST | ACK);
		in.dst = router(f);
		expect("the refusal of a health check", &in, LB_PASS_NO_FLOW, NULL);
		in = reply_of(f, ACK);
		in.sport = PORT + 1;
		expect("another port of the mail server", &in, LB_PASS_NOT_OURS, NULL);
		in = reply_of(f, ACK);
		in.src = router(f);
		expect("not a mail server", &in, LB_PASS_NOT_OURS, NULL);
		in = reply_of(f, ACK);
		in.src = be_one(f, LB_MODE_DSR);
		expect("a dsr mail server", &in, LB_PASS_NOT_OURS, NULL);
	}
}

static void a_health_check_is_not_disturbed(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		struct pkt in = request_of(f, LB_MODE_NAT, SYN);

		in.src = router(f);
		in.dst = be_one(f, LB_MODE_NAT);
		expect("SYN to the mail server itself", &in, LB_PASS_NOT_OURS, NULL);
		in.flags = ACK;
		in.ip_options = 0;
		expect("ACK", &in, LB_PASS_NOT_OURS, NULL);
		expect_load(f, LB_MODE_NAT, 0, 0, 0);
	}
}

static void broken_replies_are_dropped(void **state)
{
	static struct frame f;

	(void)state;
	for (int fam = V4; fam <= V6; fam++) {
		struct pkt in = reply_of(fam, ACK);

		handshake(fam, LB_MODE_NAT);
		in.payload = 10;
		pkt_build(&f, &in);
		f.len--;
		expect_frame("one byte short", &f, LB_DROP_TRUNCATED, NULL);
		in.flags = FIN;
		expect("FIN alone", &in, LB_DROP_BAD_TCP, NULL);
		in = reply_of(fam, ACK);
		in.ttl = 1;
		expect("TTL 1", &in, LB_DROP_TTL, NULL);
	}
}

static void replies_count_as_traffic_out(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		__u32 head = (f == V4 ? 20 : 40) + 20;
		struct pkt in = reply_of(f, ACK);
		struct lb_traffic t;
		struct result r;

		handshake(f, LB_MODE_NAT);
		in.payload = 500;
		run_pkt(&in, &r);
		t = traffic_of(id_of(f, LB_MODE_NAT, 0));
		assert_int_equal(t.packets_out, 2);
		assert_int_equal(t.bytes_out, 2 * head + 500);
		assert_int_equal(t.packets_in, 2);
		t = traffic_of(id_of(f, LB_MODE_NAT, 1));
		assert_int_equal(t.packets_in + t.packets_out, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_dress_reaches_the_client, world_setup),
		cmocka_unit_test_setup(a_client_on_another_interface_is_reached_by_redirect, world_setup),
		cmocka_unit_test_setup(somebody_elses_session_with_a_mail_server_passes, world_setup),
		cmocka_unit_test_setup(a_health_check_is_not_disturbed, world_setup),
		cmocka_unit_test_setup(broken_replies_are_dropped, world_setup),
		cmocka_unit_test_setup(replies_count_as_traffic_out, world_setup),
	};

	world_open(BIG_TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
