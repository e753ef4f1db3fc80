/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fragmented datagrams: every piece goes the way of the first, and what is put together again at the other end is
 * the whole datagram, checksum included.
 */
#include "talk.h"

#define PIECE 512

/* Sends piece n of d in, expects the same piece of want out. */
static void send_piece(const struct pkt *d, const struct pkt *want, size_t n, enum lb_verdict verdict)
{
	static struct frame f, g;
	size_t total = tcp_len(d), at = n * PIECE, len = total - at < PIECE ? total - at : PIECE;

	pkt_build_fragment(&f, d, at, len);
	if (want)
		pkt_build_fragment(&g, want, at, len);
	expect_frame("a fragment", &f, verdict, want ? &g : NULL);
}

static struct pkt long_request(int family, int mode)
{
	struct pkt d = request_of(family, mode, ACK | PSH);

	d.payload = 1480;
	d.may_fragment = true;
	return d;
}

static struct pkt long_reply(int family)
{
	struct pkt d = reply_of(family, ACK | PSH);

	d.payload = 1480;
	d.may_fragment = true;
	return d;
}

static void requests_in_pieces_arrive_in_pieces(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		for (int vlans = 0; vlans < 3; vlans++) {
			struct pkt d = long_request(family, mode), want;

			world_reset();
			handshake(family, mode);
			d.vlans = vlans;
			d.ip_options = family == V4 ? vlans * 8 : 0;
			want = at_backend(&d, mode, 0);
			send_piece(&d, &want, 0, LB_TX_REQUEST);
			send_piece(&d, &want, 1, LB_TX_FRAGMENT);
			send_piece(&d, &want, 2, LB_TX_FRAGMENT);
		}
	}
}

static void replies_in_pieces_arrive_in_pieces(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		struct pkt d = long_reply(f), want = at_client(&d);

		handshake(f, LB_MODE_NAT);
		send_piece(&d, &want, 0, LB_TX_REPLY);
		send_piece(&d, &want, 2, LB_TX_FRAGMENT);
		send_piece(&d, &want, 1, LB_TX_FRAGMENT);
	}
}

static void a_piece_that_overtakes_the_first_passes(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct pkt d = long_request(family, mode), want = at_backend(&d, mode, 0), r = long_reply(family);

		handshake(family, mode);
		send_piece(&d, NULL, 1, LB_PASS_FRAGMENT);
		send_piece(&d, &want, 0, LB_TX_REQUEST);
		send_piece(&d, &want, 2, LB_TX_FRAGMENT);
		d.id++;
		send_piece(&d, NULL, 1, LB_PASS_FRAGMENT);
		if (mode == LB_MODE_NAT)
			send_piece(&r, NULL, 1, LB_PASS_FRAGMENT);
	}
}

static void pieces_of_what_is_not_ours_pass(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct pkt d = long_request(family, mode);

		d.dport = 26;
		send_piece(&d, NULL, 0, LB_PASS_NOT_OURS);
		send_piece(&d, NULL, 1, LB_PASS_FRAGMENT);
		d.protocol = 17;
		send_piece(&d, NULL, 0, LB_PASS_NOT_TCP);
		send_piece(&d, NULL, 1, LB_PASS_NOT_TCP);
		d.protocol = family == V4 ? 1 : 58;
		send_piece(&d, NULL, 0, LB_PASS_NOT_TCP);
	}
}

static void pieces_of_a_refused_packet_go_nowhere(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		static struct frame f;
		struct pkt d = long_request(family, mode);
		struct result r;

		pkt_build_fragment(&f, &d, 0, PIECE);
		run_frame(&f, &r);
		assert_int_equal(r.verdict, LB_RESET_NO_FLOW);
		send_piece(&d, NULL, 1, LB_PASS_FRAGMENT);
	}
}

static void a_first_piece_without_a_whole_tcp_header_is_dropped(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		static struct frame f;
		struct pkt d = long_request(family, mode);

		handshake(family, mode);
		pkt_build_fragment(&f, &d, 0, 8);
		expect_frame("eight bytes of TCP", &f, LB_DROP_TRUNCATED, NULL);
		pkt_build_fragment(&f, &d, 0, 16);
		expect_frame("sixteen", &f, LB_DROP_TRUNCATED, NULL);
	}
}

static void the_last_hop_is_the_last_for_pieces_too(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		struct pkt d = long_request(f, LB_MODE_NAT), want = at_backend(&d, LB_MODE_NAT, 0);

		handshake(f, LB_MODE_NAT);
		send_piece(&d, &want, 0, LB_TX_REQUEST);
		d.ttl = 1;
		send_piece(&d, NULL, 1, LB_DROP_TTL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(requests_in_pieces_arrive_in_pieces, world_setup),
		cmocka_unit_test_setup(replies_in_pieces_arrive_in_pieces, world_setup),
		cmocka_unit_test_setup(a_piece_that_overtakes_the_first_passes, world_setup),
		cmocka_unit_test_setup(pieces_of_what_is_not_ours_pass, world_setup),
		cmocka_unit_test_setup(pieces_of_a_refused_packet_go_nowhere, world_setup),
		cmocka_unit_test_setup(a_first_piece_without_a_whole_tcp_header_is_dropped, world_setup),
		cmocka_unit_test_setup(the_last_hop_is_the_last_for_pieces_too, world_setup),
	};

	world_open(BIG_TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
