/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ICMP errors about sessions of ours, both ways, and all other ICMP. The packet inside is built whole and then
 * cut, so its header has the checksums of the packet that was sent.
 */
#include "talk.h"

static struct error error_of(int family, __u8 type4, __u8 code4, __u8 type6, __u8 code6)
{
	return (struct error) {
		.type = family == V4 ? type4 : type6, .code = family == V4 ? code4 : code6, .info = 1400,
		.outer = { .family = family, .ttl = 60, .from_mac = mac_gw, .to_mac = mac_lb, .id = 9 },
	};
}

/* How much of the inner TCP is there; 18 is the first with its checksum. */
static const size_t keeps[] = { 8, 12, 16, 18, 21, 28, 40, 548 };

static const struct {
	const char *sentence;
	__u8 type4, code4, type6, code6;
} errors[] = {
	{ "packet too big", 3, 4, 2, 0 },
	{ "no route", 3, 0, 1, 0 },
	{ "port unreachable", 3, 3, 1, 4 },
	{ "time exceeded", 11, 0, 3, 0 },
	{ "parameter problem", 12, 0, 4, 0 },
};

/* R -> VIP [VIP:25 -> C:p] to R -> B [B:25 -> C:p] */
static void an_error_about_a_reply_reaches_the_mail_server(void **state)
{
	static struct frame f, g;

	(void)state;
	EACH_KIND(family, mode) {
		handshake(family, mode);
		for (size_t e = 0; e < COUNT(errors); e++) {
			for (size_t k = 0; k < COUNT(keeps); k++) {
				struct error in = error_of(family, errors[e].type4, errors[e].code4, errors[e].type6,
							   errors[e].code6);
				struct pkt reply = reply_of(family, ACK | PSH);
				struct error want;

				reply.payload = 528;
				reply.seed = k;
				reply.ttl = 11;
				in.outer.src = router(family);
				in.outer.dst = svc_mx(family, mode);
				in.outer.vlans = k % 3;
				in.outer.ip_options = k & 4;
				in.about = reply;
				in.about.src = svc_mx(family, mode);
				in.keep = keeps[k];
				want = in;
				want.outer = at_backend(&in.outer, mode, 0);
				if (mode == LB_MODE_NAT)
					want.about.src = be_one(family, mode);
				error_build(&f, &in);
				error_build(&g, &want);
				expect_frame(errors[e].sentence, &f, LB_TX_ICMP, &g);
			}
		}
	}
}

/* R -> C [C:p -> B:25] to R -> C [C:p -> VIP:25]; the mail server itself speaks as the VIP. */
static void an_error_about_a_request_reaches_the_client(void **state)
{
	static struct frame f, g;

	(void)state;
	for (int family = V4; family <= V6; family++) {
		handshake(family, LB_MODE_NAT);
		for (size_t k = 0; k < COUNT(keeps) * 2; k++) {
			struct error in = error_of(family, 3, k & 1 ? 3 : 4, k & 1 ? 1 : 2, 0), want;
			bool itself = k & 1;

			in.about = request_of(family, LB_MODE_NAT, ACK | PSH);
			in.about.payload = 528;
			in.about.ttl = 3;
			in.about.dst = be_one(family, LB_MODE_NAT);
			in.keep = keeps[k / 2];
			in.outer.src = itself ? be_one(family, LB_MODE_NAT) : router(family);
			in.outer.dst = client_a(family);
			in.outer.from_mac = mac_be_one;
			in.outer.to_mac = mac_lb_in;
			want = in;
			want.about.dst = svc_mx(family, LB_MODE_NAT);
			want.outer = at_client(&in.outer);
			if (!itself)
				want.outer.src = router(family);
			error_build(&f, &in);
			error_build(&g, &want);
			expect_frame(itself ? "from the mail server" : "from a router", &f, LB_TX_ICMP, &g);
		}
	}
}

static void an_inner_header_with_options_is_found(void **state)
{
	static struct frame f, g;
	struct error in = error_of(V4, 3, 4, 0, 0), want;

	(void)state;
	handshake(V4, LB_MODE_NAT);
	in.outer.src = router(V4);
	in.outer.dst = svc_mx(V4, LB_MODE_NAT);
	in.about = reply_of(V4, ACK);
	in.about.src = svc_mx(V4, LB_MODE_NAT);
	in.about.ip_options = 40;
	in.keep = 8;
	want = in;
	want.outer = at_backend(&in.outer, LB_MODE_NAT, 0);
	want.about.src = be_one(V4, LB_MODE_NAT);
	error_build(&f, &in);
	error_build(&g, &want);
	expect_frame("options inside", &f, LB_TX_ICMP, &g);
}

static void padding_behind_an_error_is_not_part_of_it(void **state)
{
	static struct frame f, g;

	(void)state;
	for (int family = V4; family <= V6; family++) {
		struct error in = error_of(family, 3, 4, 2, 0), want;

		handshake(family, LB_MODE_NAT);
		in.outer.src = router(family);
		in.outer.dst = svc_mx(family, LB_MODE_NAT);
		in.about = reply_of(family, ACK);
		in.about.src = svc_mx(family, LB_MODE_NAT);
		in.keep = 8;
		want = in;
		want.outer = at_backend(&in.outer, LB_MODE_NAT, 0);
		want.about.src = be_one(family, LB_MODE_NAT);
		error_build(&f, &in);
		error_build(&g, &want);
		frame_pad(&f, 0x5a, 16);
		frame_pad(&g, 0x5a, 16);
		expect_frame("16 bytes of padding", &f, LB_TX_ICMP, &g);
	}
}

static void an_error_to_somebody_else_is_not_taken(void **state)
{
	static struct frame f;

	(void)state;
	EACH_KIND(family, mode) {
		struct error in = error_of(family, 3, 4, 2, 0);

		handshake(family, mode);
		in.outer.src = router(family);
		in.outer.dst = client_b(family);
		in.about = reply_of(family, ACK);
		in.about.src = svc_mx(family, mode);
		in.keep = 8;
		error_build(&f, &in);
		expect_frame("about our reply, to another", &f, LB_PASS_ICMP, NULL);
		in.about = request_of(family, mode, ACK);
		in.about.dst = be_one(family, mode);
		error_build(&f, &in);
		expect_frame("about our request, to another", &f, LB_PASS_ICMP, NULL);
	}
}

static void icmp_that_is_no_error_of_ours_passes(void **state)
{
	static const struct { const char *sentence; __u8 type4, type6; } others[] = {
		{ "echo request", 8, 128 }, { "echo reply", 0, 129 }, { "redirect", 5, 137 }, { "neighbour", 13, 135 },
	};
	static struct frame f;

	(void)state;
	EACH_KIND(family, mode) {
		struct error in = error_of(family, 3, 4, 2, 0);

		in.outer.src = router(family);
		in.outer.dst = svc_mx(family, mode);
		in.about = reply_of(family, ACK);
		in.about.src = svc_mx(family, mode);
		in.keep = 20;
		error_build(&f, &in);
		expect_frame("no such session", &f, LB_PASS_ICMP, NULL);
		handshake(family, mode);
		in.keep = 7;
		error_build(&f, &in);
		expect_frame("not even the ports and the number", &f, LB_PASS_ICMP, NULL);
		in.keep = 20;
		in.about.protocol = 17;
		error_build(&f, &in);
		expect_frame("about UDP", &f, LB_PASS_ICMP, NULL);
		in.about.protocol = 0;
		in.about.sport = 26;
		error_build(&f, &in);
		expect_frame("about another port", &f, LB_PASS_ICMP, NULL);
		in.about.sport = PORT;
		for (size_t i = 0; i < COUNT(others); i++) {
			in.type = family == V4 ? others[i].type4 : others[i].type6;
			error_build(&f, &in);
			expect_frame(others[i].sentence, &f, LB_PASS_ICMP, NULL);
		}
		error_build(&f, &in);
		f.len = 14 + (family == V4 ? 20 : 40) + 7;
		expect_frame("cut in the ICMP header", &f, LB_PASS_ICMP, NULL);
	}
}

static void an_error_at_its_last_hop_or_without_next_hop_is_dropped(void **state)
{
	static struct frame f;

	(void)state;
	for (int family = V4; family <= V6; family++) {
		struct error in = error_of(family, 3, 4, 2, 0);

		handshake(family, LB_MODE_NAT);
		in.outer.src = router(family);
		in.outer.dst = svc_mx(family, LB_MODE_NAT);
		in.outer.ttl = 1;
		in.about = reply_of(family, ACK);
		in.about.src = svc_mx(family, LB_MODE_NAT);
		in.keep = 8;
		error_build(&f, &in);
		expect_frame("TTL 1", &f, LB_DROP_TTL, NULL);
		in.outer.ttl = 60;
		error_build(&f, &in);
		world.backends[id_of(family, LB_MODE_NAT, 0)].flags = 0;
		expect_frame("no next hop", &f, LB_DROP_NO_NEXTHOP, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_error_about_a_reply_reaches_the_mail_server, world_setup),
		cmocka_unit_test_setup(an_error_about_a_request_reaches_the_client, world_setup),
		cmocka_unit_test_setup(an_inner_header_with_options_is_found, world_setup),
		cmocka_unit_test_setup(padding_behind_an_error_is_not_part_of_it, world_setup),
		cmocka_unit_test_setup(an_error_to_somebody_else_is_not_taken, world_setup),
		cmocka_unit_test_setup(icmp_that_is_no_error_of_ours_passes, world_setup),
		cmocka_unit_test_setup(an_error_at_its_last_hop_or_without_next_hop_is_dropped, world_setup),
	};

	world_open(BIG_TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
