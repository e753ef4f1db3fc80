/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a session begins and what may come between: the handshake, repeated and forged parts of it, ports that are
 * used again, and packets that nobody has a memory of.
 */
#include "talk.h"

static void the_handshake_makes_one_flow(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct lb_flow flow, pend;

		client_says("SYN", family, mode, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		assert_false(get_flow(family, mode, &flow));
		expect_load(family, mode, 0, 0, 0);
		if (mode == LB_MODE_NAT) {
			server_says("SYN-ACK", family, SYN | ACK, SERVER_ISN, CLIENT_ISN + 1, 0, LB_TX_REPLY);
			assert_true(get_pending(family, mode, &pend));
			assert_int_equal(pend.client_ack, SERVER_ISN + 1);
			pend.seen_ns -= 40000000;
			put_pending(family, mode, &pend);
		}
		client_says("ACK", family, mode, ACK, CLIENT_ISN + 1, SERVER_ISN + 1, 0, LB_TX_REQUEST);
		assert_false(get_pending(family, mode, &pend));
		assert_true(get_flow(family, mode, &flow));
		assert_int_equal(flow.state, LB_FLOW_SERVER);
		assert_int_equal(flow.marks, LB_MARK_FRESH);
		assert_int_equal(flow.client_next, CLIENT_ISN + 1);
		assert_int_equal(flow.client_ack, SERVER_ISN + 1);
		assert_int_equal(flow.backend, id_of(family, mode, 0));
		if (mode == LB_MODE_NAT)
			assert_in_range(flow.rtt_us, 40000, 1000000);
		else
			assert_int_equal(flow.rtt_us, 0);
		expect_load(family, mode, 1, 1, 1);
	}
	assert_int_equal(world.totals->flow_entries, 4);
}

static void in_nat_a_wrong_ack_number_promotes_nothing(void **state)
{
	struct lb_flow flow;

	(void)state;
	for (int f = V4; f <= V6; f++) {
		client_says("SYN", f, LB_MODE_NAT, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		client_says("an ACK before the SYN-ACK", f, LB_MODE_NAT, ACK, CLIENT_ISN + 1, 1, 0, LB_DROP_HALF_OPEN);
		client_says("an ACK of nothing", f, LB_MODE_NAT, ACK, CLIENT_ISN + 1, 0, 0, LB_DROP_HALF_OPEN);
		server_says("SYN-ACK", f, SYN | ACK, SERVER_ISN, CLIENT_ISN + 1, 0, LB_TX_REPLY);
		client_says("a guess", f, LB_MODE_NAT, ACK, CLIENT_ISN + 1, SERVER_ISN, 0, LB_DROP_HALF_OPEN);
		client_says("another", f, LB_MODE_NAT, ACK, CLIENT_ISN + 1, SERVER_ISN + 2, 9, LB_DROP_HALF_OPEN);
		assert_false(get_flow(f, LB_MODE_NAT, &flow));
		client_says("the right one", f, LB_MODE_NAT, ACK, CLIENT_ISN + 1, SERVER_ISN + 1, 0, LB_TX_REQUEST);
		expect_load(f, LB_MODE_NAT, 1, 1, 1);
	}
}

static void in_dsr_only_a_number_after_the_syn_promotes(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		client_says("SYN", f, LB_MODE_DSR, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		client_says("too late", f, LB_MODE_DSR, ACK, CLIENT_ISN + 1 + (1 << 16), 1, 0, LB_DROP_HALF_OPEN);
		client_says("too early", f, LB_MODE_DSR, ACK, CLIENT_ISN, 1, 0, LB_DROP_HALF_OPEN);
		expect_load(f, LB_MODE_DSR, 0, 0, 0);
		client_says("right", f, LB_MODE_DSR, ACK, CLIENT_ISN + 1, 1, 0, LB_TX_REQUEST);
		expect_load(f, LB_MODE_DSR, 1, 1, 1);
	}
}

static void a_repeated_syn_keeps_a_backend_that_answered_and_spoils_the_round_trip(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct lb_flow flow;

		client_says("SYN", family, mode, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		if (mode == LB_MODE_NAT)
			server_says("SYN-ACK", family, SYN | ACK, SERVER_ISN, CLIENT_ISN + 1, 0, LB_TX_REPLY);
		world_table(vip_of(family, mode), (__u16[]){ id_of(family, mode, 1) }, 1);
		client_says("SYN again", family, mode, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		if (mode == LB_MODE_NAT)
			server_says("SYN-ACK", family, SYN | ACK, SERVER_ISN, CLIENT_ISN + 1, 0, LB_TX_REPLY);
		client_says("ACK", family, mode, ACK, CLIENT_ISN + 1, SERVER_ISN + 1, 0, LB_TX_REQUEST);
		assert_true(get_flow(family, mode, &flow));
		assert_int_equal(flow.rtt_us, 0);
		assert_int_equal(flow.backend, id_of(family, mode, 0));
	}
}

static void in_nat_a_repeated_syn_leaves_a_backend_that_says_nothing(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		struct pkt in = request_of(f, LB_MODE_NAT, SYN), want = at_backend(&in, LB_MODE_NAT, 1);
		struct lb_flow flow;

		client_says("SYN", f, LB_MODE_NAT, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		world_table(vip_of(f, LB_MODE_NAT), (__u16[]){ id_of(f, LB_MODE_NAT, 1) }, 1);
		expect("SYN again", &in, LB_TX_SYN, &want);
		server_says("the silent one's late SYN-ACK", f, SYN | ACK, 100, CLIENT_ISN + 1, 0, LB_PASS_NO_FLOW);
		in = reply_of(f, SYN | ACK);
		in.src = be_two(f, LB_MODE_NAT);
		want = at_client(&in);
		expect("SYN-ACK", &in, LB_TX_REPLY, &want);
		in = request_of(f, LB_MODE_NAT, ACK);
		want = at_backend(&in, LB_MODE_NAT, 1);
		expect("ACK", &in, LB_TX_REQUEST, &want);
		assert_true(get_flow(f, LB_MODE_NAT, &flow));
		assert_int_equal(flow.backend, id_of(f, LB_MODE_NAT, 1));
	}
}

static void a_repeated_syn_leaves_a_backend_that_went_away(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, SYN), want = at_backend(&in, mode, 1);

		client_says("SYN", family, mode, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		world_table(vip_of(family, mode), (__u16[]){ id_of(family, mode, 1) }, 1);
		world.backends[id_of(family, mode, 0)].flags = LB_BACKEND_RESOLVED;
		expect("SYN again", &in, LB_TX_SYN, &want);
	}
}

static void a_half_open_connection_expires(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		struct pkt in = request_of(f, LB_MODE_NAT, ACK);
		struct lb_flow pend;

		client_says("SYN", f, LB_MODE_NAT, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		server_says("SYN-ACK", f, SYN | ACK, SERVER_ISN, CLIENT_ISN + 1, 0, LB_TX_REPLY);
		assert_true(get_pending(f, LB_MODE_NAT, &pend));
		pend.seen_ns -= 31 * SECOND;
		put_pending(f, LB_MODE_NAT, &pend);
		expect_reset("an ACK after 31 s", &in, LB_RESET_NO_FLOW);
		server_says("a SYN-ACK after 31 s", f, SYN | ACK, SERVER_ISN, CLIENT_ISN + 1, 0, LB_PASS_NO_FLOW);
	}
}

static void a_client_that_gives_up_takes_its_half_open_entry_with_it(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct lb_flow pend;

		client_says("SYN", family, mode, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		client_says("a forged RST", family, mode, RST, CLIENT_ISN + (1 << 30), 0, 0, LB_DROP_HALF_OPEN);
		assert_true(get_pending(family, mode, &pend));
		client_says("a RST", family, mode, RST, CLIENT_ISN + 1, 0, 0, LB_TX_REQUEST);
		assert_false(get_pending(family, mode, &pend));
	}
}

static void a_server_that_refuses_is_heard(void **state)
{
	struct lb_flow pend;

	(void)state;
	for (int f = V4; f <= V6; f++) {
		client_says("SYN", f, LB_MODE_NAT, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		server_says("RST", f, RST | ACK, 0, CLIENT_ISN + 1, 0, LB_TX_REPLY);
		assert_false(get_pending(f, LB_MODE_NAT, &pend));
	}
}

/* Port reuse: a live session goes to the mail server that has it; any other starts anew. */
static const struct {
	const char *sentence;
	enum lb_flow_state state;
	bool eligible;
	int which;
} reuse[] = {
	{ "a live session keeps its backend", LB_FLOW_CLIENT, true, 0 },
	{ "a live session that is owed a reply keeps its backend", LB_FLOW_SERVER, true, 0 },
	{ "a live session on a backend that takes nothing new moves", LB_FLOW_CLIENT, false, 1 },
	{ "a closing session chooses again", LB_FLOW_CLOSING, true, 1 },
	{ "an aborted session chooses again", LB_FLOW_ABORTED, true, 1 },
	{ "a session that was reset chooses again", LB_FLOW_RESET, true, 1 },
};

static void a_port_that_is_used_again(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		for (size_t i = 0; i < COUNT(reuse); i++) {
			int which = reuse[i].which;
			struct pkt in = request_of(family, mode, SYN), want;
			struct lb_flow flow;

			world_reset();
			handshake(family, mode);
			assert_true(get_flow(family, mode, &flow));
			flow.state = reuse[i].state;
			put_flow(family, mode, &flow);
			load_of(family, mode, 0)->flows = reuse[i].state <= LB_FLOW_CLIENT;
			load_of(family, mode, 0)->inflight = reuse[i].state == LB_FLOW_SERVER;
			if (!reuse[i].eligible)
				world.backends[id_of(family, mode, 0)].flags = LB_BACKEND_RESOLVED;
			world_table(vip_of(family, mode), (__u16[]){ id_of(family, mode, 1) }, 1);
			in.seq = 700000;
			want = at_backend(&in, mode, which);
			expect(reuse[i].sentence, &in, LB_TX_SYN, &want);
			assert_true(get_flow(family, mode, &flow));
			assert_true(flow.marks & LB_MARK_SUPERSEDED);
			assert_int_equal(flow.state, reuse[i].state);
			if (mode == LB_MODE_NAT) {
				in = reply_of(family, SYN | ACK);
				in.src = which ? be_two(family, mode) : be_one(family, mode);
				in.seq = 900000;
				in.ack = 700001;
				want = at_client(&in);
				expect(reuse[i].sentence, &in, LB_TX_REPLY, &want);
			}
			in = request_of(family, mode, ACK);
			in.seq = 700001;
			in.ack = 900001;
			want = at_backend(&in, mode, which);
			expect(reuse[i].sentence, &in, LB_TX_REQUEST, &want);
			assert_true(get_flow(family, mode, &flow));
			assert_int_equal(flow.state, LB_FLOW_SERVER);
			assert_int_equal(flow.marks, LB_MARK_FRESH);
			assert_int_equal(flow.client_next, 700001);
			assert_int_equal(flow.backend, id_of(family, mode, which));
			assert_int_equal(load_of(family, mode, which)->flows, 1);
			assert_int_equal(load_of(family, mode, which)->inflight, 1);
			assert_int_equal(load_of(family, mode, !which)->flows, 0);
			assert_int_equal(load_of(family, mode, !which)->inflight, 0);
			assert_int_equal(world.totals->flow_entries, 1);
		}
	}
}

/* RFC 9293, 3.10.7.4: the server answers a SYN in mid-session with an ACK, the client that one with a RST. */
static void a_challenged_syn_ends_the_old_session_and_opens_the_new(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		handshake(f, LB_MODE_NAT);
		client_says("SYN", f, LB_MODE_NAT, SYN, 700000, 0, 0, LB_TX_SYN);
		server_says("challenge ACK", f, ACK, SERVER_ISN + 1, CLIENT_ISN + 1, 0, LB_TX_REPLY);
		assert_int_equal(state_of(f, LB_MODE_NAT), LB_FLOW_SERVER);
		client_says("RST to it", f, LB_MODE_NAT, RST, CLIENT_ISN + 1, 0, 0, LB_TX_REQUEST);
		assert_int_equal(state_of(f, LB_MODE_NAT), LB_FLOW_ABORTED);
		expect_load(f, LB_MODE_NAT, 0, 0, 1);
		client_says("SYN again", f, LB_MODE_NAT, SYN, 700000, 0, 0, LB_TX_SYN);
		server_says("SYN-ACK", f, SYN | ACK, 900000, 700001, 0, LB_TX_REPLY);
		client_says("ACK", f, LB_MODE_NAT, ACK, 700001, 900001, 0, LB_TX_REQUEST);
		expect_load(f, LB_MODE_NAT, 1, 1, 2);
	}
	assert_int_equal(world.totals->flow_entries, 2);
}

static void a_forged_syn_does_not_disturb_a_session(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		struct lb_flow flow;

		handshake(f, LB_MODE_NAT);
		server_says("greeting", f, ACK | PSH, SERVER_ISN + 1, CLIENT_ISN + 1, 50, LB_TX_REPLY);
		client_says("forged SYN", f, LB_MODE_NAT, SYN, 700000, 0, 0, LB_TX_SYN);
		client_says("ACK", f, LB_MODE_NAT, ACK, CLIENT_ISN + 1, SERVER_ISN + 51, 0, LB_TX_REQUEST);
		assert_int_equal(state_of(f, LB_MODE_NAT), LB_FLOW_CLIENT);
		client_says("EHLO", f, LB_MODE_NAT, ACK | PSH, CLIENT_ISN + 1, SERVER_ISN + 51, 20, LB_TX_REQUEST);
		assert_int_equal(state_of(f, LB_MODE_NAT), LB_FLOW_SERVER);
		server_says("421 and FIN", f, ACK | FIN, SERVER_ISN + 51, CLIENT_ISN + 21, 9, LB_TX_REPLY);
		assert_true(get_flow(f, LB_MODE_NAT, &flow));
		assert_int_equal(flow.server_fin, 1);
	}
}

static void a_server_rst_after_a_forged_syn_ends_the_session(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		handshake(f, LB_MODE_NAT);
		client_says("forged SYN", f, LB_MODE_NAT, SYN, 700000, 0, 0, LB_TX_SYN);
		server_says("RST", f, RST, SERVER_ISN + 1, 0, 0, LB_TX_REPLY);
		assert_int_equal(state_of(f, LB_MODE_NAT), LB_FLOW_ABORTED);
		expect_load(f, LB_MODE_NAT, 0, 0, 1);
	}
}

static void a_syn_that_came_to_nothing_is_forgotten(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct lb_flow flow, pend;

		handshake(family, mode);
		client_says("SYN", family, mode, SYN, 700000, 0, 0, LB_TX_SYN);
		client_says("the session goes on", family, mode, ACK, 1001, 5041, 0, LB_TX_REQUEST);
		assert_true(get_flow(family, mode, &flow));
		assert_true(flow.marks & LB_MARK_SUPERSEDED);
		assert_true(get_pending(family, mode, &pend));
		pend.seen_ns -= 31 * SECOND;
		put_pending(family, mode, &pend);
		client_says("and on", family, mode, ACK, 1001, 5041, 0, LB_TX_REQUEST);
		assert_true(get_flow(family, mode, &flow));
		assert_false(flow.marks & LB_MARK_SUPERSEDED);
	}
}

/* RFC 7413: the server may take the SYN and leave its data. */
static void a_fast_open_syn_works_whether_its_data_is_taken_or_not(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		for (int taken = 0; taken < 2; taken++) {
			__u32 next = CLIENT_ISN + 1 + (taken ? 30 : 0);

			world_reset();
			client_says("SYN with data", family, mode, SYN, CLIENT_ISN, 0, 30, LB_TX_SYN);
			if (mode == LB_MODE_NAT)
				server_says("SYN-ACK", family, SYN | ACK, SERVER_ISN, next, 0, LB_TX_REPLY);
			client_says("ACK", family, mode, ACK, next, SERVER_ISN + 1, 0, LB_TX_REQUEST);
			expect_load(family, mode, 1, 1, 1);
		}
	}
}

static void a_fast_open_syn_repeated_without_data_keeps_its_backend(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		client_says("SYN with data", family, mode, SYN, CLIENT_ISN, 0, 30, LB_TX_SYN);
		if (mode == LB_MODE_NAT)
			server_says("SYN-ACK", family, SYN | ACK, SERVER_ISN, CLIENT_ISN + 1, 0, LB_TX_REPLY);
		world_table(vip_of(family, mode), (__u16[]){ id_of(family, mode, 1) }, 1);
		client_says("SYN without", family, mode, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
	}
}

static void every_server_number_can_open_a_session(void **state)
{
	static const __u32 numbers[] = { 0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };

	(void)state;
	EACH_KIND(family, mode) {
		for (size_t i = 0; i < COUNT(numbers); i++) {
			world_reset();
			handshake_at(family, mode, numbers[COUNT(numbers) - 1 - i], numbers[i]);
			expect_load(family, mode, 1, 1, 1);
		}
	}
}

static void strays_are_reset_so_that_the_client_retries_now(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, ACK | PSH);
		struct lb_flow pend;

		in.payload = 33;
		expect_reset("data", &in, LB_RESET_NO_FLOW);
		in = request_of(family, mode, ACK | FIN);
		expect_reset("FIN", &in, LB_RESET_NO_FLOW);
		in = request_of(family, mode, RST);
		expect("a RST is never answered", &in, LB_DROP_NO_FLOW, NULL);
		assert_false(get_pending(family, mode, &pend));
	}
}

static void a_hashed_service_picks_strays_up(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, RST);
		struct lb_flow flow;

		world_service(family, mode, LB_SCHED_MAGLEV, LB_REFUSE_RESET);
		expect("a RST is not picked up", &in, LB_DROP_NO_FLOW, NULL);
		client_says("data", family, mode, ACK, 5001, 6001, 100, LB_TX_REQUEST);
		assert_true(get_pending(family, mode, &flow));
		assert_true(flow.marks & LB_MARK_PICKUP);
		if (mode == LB_MODE_NAT) {
			client_says("data again", family, mode, ACK, 5001, 6001, 100, LB_TX_REQUEST);
			assert_false(get_flow(family, mode, &flow));
			server_says("its answer", family, ACK, 6001, 5101, 10, LB_TX_REPLY);
		}
		client_says("the next", family, mode, ACK, 5101, 6011, 0, LB_TX_REQUEST);
		assert_true(get_flow(family, mode, &flow));
		assert_int_equal(flow.rtt_us, 0);
		expect_load(family, mode, 1, 1, 1);
	}
}

static void a_stray_of_a_hashed_service_without_backends_is_reset(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, ACK);

		world_service(family, mode, LB_SCHED_MAGLEV, LB_REFUSE_DROP);
		world_table(vip_of(family, mode), NULL, 0);
		expect_reset("data", &in, LB_RESET_NO_FLOW);
	}
}

static void a_refused_syn_is_followed_by_a_session_with_the_responder(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		world_service(family, mode, LB_SCHED_RANDOM, LB_REFUSE_REPLY);
		world_table(vip_of(family, mode), NULL, 0);
		client_says("SYN", family, mode, SYN, CLIENT_ISN, 0, 0, LB_PASS_REFUSED);
		client_says("ACK", family, mode, ACK, CLIENT_ISN + 1, 77, 0, LB_PASS_REFUSED);
		client_says("QUIT", family, mode, ACK | PSH, CLIENT_ISN + 1, 99, 6, LB_PASS_REFUSED);
		client_says("FIN", family, mode, ACK | FIN, CLIENT_ISN + 7, 99, 0, LB_PASS_REFUSED);
		client_says("RST", family, mode, RST, CLIENT_ISN + 8, 0, 0, LB_PASS_REFUSED);
		expect_load(family, mode, 0, 0, 0);
	}
}

static void a_refused_syn_on_an_ended_session_stays_with_the_responder(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		handshake(family, mode);
		client_says("RST", family, mode, RST, CLIENT_ISN + 1, 0, 0, LB_TX_REQUEST);
		world_service(family, mode, LB_SCHED_RANDOM, LB_REFUSE_REPLY);
		world_table(vip_of(family, mode), NULL, 0);
		client_says("SYN", family, mode, SYN, 70000, 0, 0, LB_PASS_REFUSED);
		client_says("ACK", family, mode, ACK, 70001, 77, 0, LB_PASS_REFUSED);
	}
}

static void gateways_may_change(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		struct pkt in = request_of(f, LB_MODE_NAT, ACK), want, reply = reply_of(f, ACK);
		struct lb_flow flow;

		handshake(f, LB_MODE_NAT);
		assert_true(get_flow(f, LB_MODE_NAT, &flow));
		flow.ifindex = IF_ELSEWHERE;
		put_flow(f, LB_MODE_NAT, &flow);
		in.from_mac = mac_gw2;
		want = at_backend(&in, LB_MODE_NAT, 0);
		expect("by the new gateway", &in, LB_TX_REQUEST, &want);
		want = at_client(&reply);
		want.to_mac = mac_gw2;
		expect("back to the new gateway", &reply, LB_TX_REPLY, &want);
		assert_true(get_flow(f, LB_MODE_NAT, &flow));
		assert_int_equal(flow.ifindex, IF_HERE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_handshake_makes_one_flow, world_setup),
		cmocka_unit_test_setup(in_nat_a_wrong_ack_number_promotes_nothing, world_setup),
		cmocka_unit_test_setup(in_dsr_only_a_number_after_the_syn_promotes, world_setup),
		cmocka_unit_test_setup(a_repeated_syn_keeps_a_backend_that_answered_and_spoils_the_round_trip, world_setup),
		cmocka_unit_test_setup(in_nat_a_repeated_syn_leaves_a_backend_that_says_nothing, world_setup),
		cmocka_unit_test_setup(a_repeated_syn_leaves_a_backend_that_went_away, world_setup),
		cmocka_unit_test_setup(a_half_open_connection_expires, world_setup),
		cmocka_unit_test_setup(a_client_that_gives_up_takes_its_half_open_entry_with_it, world_setup),
		cmocka_unit_test_setup(a_server_that_refuses_is_heard, world_setup),
		cmocka_unit_test_setup(a_port_that_is_used_again, world_setup),
		cmocka_unit_test_setup(a_challenged_syn_ends_the_old_session_and_opens_the_new, world_setup),
		cmocka_unit_test_setup(a_forged_syn_does_not_disturb_a_session, world_setup),
		cmocka_unit_test_setup(a_server_rst_after_a_forged_syn_ends_the_session, world_setup),
		cmocka_unit_test_setup(a_syn_that_came_to_nothing_is_forgotten, world_setup),
		cmocka_unit_test_setup(a_fast_open_syn_works_whether_its_data_is_taken_or_not, world_setup),
		cmocka_unit_test_setup(a_fast_open_syn_repeated_without_data_keeps_its_backend, world_setup),
		cmocka_unit_test_setup(every_server_number_can_open_a_session, world_setup),
		cmocka_unit_test_setup(strays_are_reset_so_that_the_client_retries_now, world_setup),
		cmocka_unit_test_setup(a_hashed_service_picks_strays_up, world_setup),
		cmocka_unit_test_setup(a_stray_of_a_hashed_service_without_backends_is_reset, world_setup),
		cmocka_unit_test_setup(a_refused_syn_is_followed_by_a_session_with_the_responder, world_setup),
		cmocka_unit_test_setup(a_refused_syn_on_an_ended_session_stays_with_the_responder, world_setup),
		cmocka_unit_test_setup(gateways_may_change, world_setup),
	};

	world_open(BIG_TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
