/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose turn it is, as a session goes on: every row is one packet of a conversation, and what the program must
 * make of it. Clocks are moved in the map, never waited for.
 */
#include "talk.h"

#define C(n) (base_c + (n))	/* client's byte n; 0 is its first */
#define S(n) (base_s + (n))

struct step {
	const char *sentence;
	char who;		/* c or s */
	__u8 flags;
	__u32 seq, ack;		/* from the first byte of either side */
	__u16 payload;
	enum lb_flow_state then;
};

/* Plays steps on a session that has just opened; dsr sees the client's packets only. */
static void play(const struct step *steps, size_t n, __u32 isn_c, __u32 isn_s)
{
	EACH_KIND(family, mode) {
		__u32 base_c = isn_c + 1, base_s = isn_s + 1;
		__u64 open, owing;

		world_reset();
		handshake_at(family, mode, isn_c, isn_s);
		for (size_t i = 0; i < n; i++) {
			const struct step *s = &steps[i];

			if (s->who == 'c')
				client_says(s->sentence, family, mode, s->flags, C(s->seq), S(s->ack), s->payload,
					    LB_TX_REQUEST);
			else if (mode == LB_MODE_NAT)
				server_says(s->sentence, family, s->flags, S(s->seq), C(s->ack), s->payload, LB_TX_REPLY);
			else
				continue;
			if (state_of(family, mode) != s->then)
				fail_msg("\"%s\": %s instead of %s", s->sentence, flow_state_to_str(state_of(family, mode)),
					 flow_state_to_str(s->then));
			open = s->then == LB_FLOW_SERVER || s->then == LB_FLOW_CLIENT;
			owing = s->then == LB_FLOW_SERVER;
			expect_load(family, mode, open, owing, 1);
		}
	}
}

static const struct step session[] = {
	{ "greeting", 's', ACK | PSH, 0, 0, 40, LB_FLOW_SERVER },
	{ "its delayed ACK", 'c', ACK, 0, 40, 0, LB_FLOW_CLIENT },
	{ "EHLO", 'c', ACK | PSH, 0, 40, 20, LB_FLOW_SERVER },
	{ "the server's ACK alone", 's', ACK, 40, 20, 0, LB_FLOW_SERVER },
	{ "EHLO again", 'c', ACK | PSH, 0, 40, 20, LB_FLOW_SERVER },
	{ "first half of a reply", 's', ACK | PSH, 40, 20, 50, LB_FLOW_SERVER },
	{ "second half", 's', ACK | PSH, 90, 20, 50, LB_FLOW_SERVER },
	{ "one ACK for both", 'c', ACK, 20, 140, 0, LB_FLOW_CLIENT },
	{ "keep-alive", 'c', ACK, 19, 140, 0, LB_FLOW_CLIENT },
	{ "keep-alive with its byte", 'c', ACK, 19, 140, 1, LB_FLOW_CLIENT },
	{ "answer to it", 's', ACK, 140, 20, 0, LB_FLOW_CLIENT },
	{ "MAIL", 'c', ACK | PSH, 20, 140, 30, LB_FLOW_SERVER },
	{ "250", 's', ACK | PSH, 140, 50, 8, LB_FLOW_SERVER },
	{ "RCPT with the ACK of it", 'c', ACK | PSH, 50, 148, 30, LB_FLOW_SERVER },
	{ "MAIL, a late copy", 'c', ACK | PSH, 20, 140, 30, LB_FLOW_SERVER },
	{ "250 again", 's', ACK | PSH, 148, 80, 8, LB_FLOW_SERVER },
	{ "DATA and more in one go", 'c', ACK | PSH, 80, 156, 6, LB_FLOW_SERVER },
	{ "354", 's', ACK | PSH, 156, 86, 10, LB_FLOW_SERVER },
	{ "a piece of mail that overtakes", 'c', ACK, 1534, 166, 1448, LB_FLOW_SERVER },
	{ "the piece that it overtook", 'c', ACK, 86, 166, 1448, LB_FLOW_SERVER },
	{ "zero-window probe", 'c', ACK, 2981, 166, 0, LB_FLOW_SERVER },
	{ "the server's window opens", 's', ACK, 166, 2982, 0, LB_FLOW_SERVER },
	{ "end of data", 'c', ACK | PSH, 2982, 166, 5, LB_FLOW_SERVER },
	{ "queued", 's', ACK | PSH, 166, 2987, 20, LB_FLOW_SERVER },
	{ "its ACK", 'c', ACK, 2987, 186, 0, LB_FLOW_CLIENT },
	{ "an old ACK", 'c', ACK, 2987, 166, 0, LB_FLOW_CLIENT },
	{ "QUIT", 'c', ACK | PSH, 2987, 186, 6, LB_FLOW_SERVER },
	{ "221 and FIN", 's', ACK | PSH | FIN, 186, 2993, 10, LB_FLOW_SERVER },
	{ "FIN with the ACK of both", 'c', ACK | FIN, 2993, 197, 0, LB_FLOW_CLOSING },
};

static void a_mail_session_passes_the_turn_back_and_forth(void **state)
{
	struct lb_load *load;

	(void)state;
	play(session, COUNT(session), CLIENT_ISN, SERVER_ISN);
	EACH_KIND(family, mode) {
		/* play() starts every kind afresh: only the last is still there */
		load = load_of(family, mode, 0);
		if (load->sessions_total)
			assert_int_equal(load->replies_total, 7);
	}
}

static void numbers_may_wrap_around(void **state)
{
	static const __u32 offsets[] = { 1, 15, 30, 70, 100, 150, 2000, 2990, 3000 };

	(void)state;
	for (size_t i = 0; i < COUNT(offsets); i++)
		play(session, COUNT(session), 0 - offsets[i], 0 - offsets[COUNT(offsets) - 1 - i] % 200);
	play(session, COUNT(session), 0x7fffffff - 60, 0x7fffffff - 60);
}

static void pipelined_commands_share_a_turn(void **state)
{
	static const struct step steps[] = {
		{ "ACK of the greeting", 'c', ACK, 0, 40, 0, LB_FLOW_CLIENT },
		{ "MAIL", 'c', ACK | PSH, 0, 40, 30, LB_FLOW_SERVER },
		{ "RCPT behind it", 'c', ACK | PSH, 30, 40, 30, LB_FLOW_SERVER },
		{ "DATA behind that", 'c', ACK | PSH, 60, 40, 6, LB_FLOW_SERVER },
		{ "ACK of the first reply", 'c', ACK, 66, 48, 0, LB_FLOW_CLIENT },
		{ "ACK of the others", 'c', ACK, 66, 66, 0, LB_FLOW_CLIENT },
	};

	(void)state;
	play(steps, COUNT(steps), CLIENT_ISN, SERVER_ISN);
}

/* A bare ACK's number is that of the next byte, also when the bytes before it never came here. */
static void words_that_were_lost_on_their_way_here_count_when_they_come(void **state)
{
	static const struct step steps[] = {
		{ "ACK of the greeting", 'c', ACK, 0, 40, 0, LB_FLOW_CLIENT },
		{ "EHLO", 'c', ACK | PSH, 0, 40, 20, LB_FLOW_SERVER },
		{ "ACK of the reply; MAIL was lost", 'c', ACK, 50, 140, 0, LB_FLOW_CLIENT },
		{ "MAIL once more", 'c', ACK | PSH, 20, 140, 30, LB_FLOW_SERVER },
		{ "ACK of its reply", 'c', ACK, 50, 154, 0, LB_FLOW_CLIENT },
	};

	(void)state;
	play(steps, COUNT(steps), CLIENT_ISN, SERVER_ISN);
}

static void a_client_that_closes_while_it_is_owed_waits_for_its_reply(void **state)
{
	static const struct step steps[] = {
		{ "ACK of the greeting", 'c', ACK, 0, 40, 0, LB_FLOW_CLIENT },
		{ "QUIT and FIN", 'c', ACK | PSH | FIN, 0, 40, 6, LB_FLOW_SERVER },
		{ "FIN again", 'c', ACK | PSH | FIN, 0, 40, 6, LB_FLOW_SERVER },
		{ "221", 's', ACK | PSH, 40, 7, 10, LB_FLOW_SERVER },
		{ "ACK of it", 'c', ACK, 7, 50, 0, LB_FLOW_CLOSING },
		{ "the server's FIN", 's', ACK | FIN, 50, 7, 0, LB_FLOW_CLOSING },
		{ "the last ACK", 'c', ACK, 7, 51, 0, LB_FLOW_CLOSING },
	};

	(void)state;
	play(steps, COUNT(steps), CLIENT_ISN, SERVER_ISN);
}

static void a_client_that_closes_in_its_own_turn_is_done(void **state)
{
	static const struct step steps[] = {
		{ "ACK of the greeting", 'c', ACK, 0, 40, 0, LB_FLOW_CLIENT },
		{ "FIN", 'c', ACK | FIN, 0, 40, 0, LB_FLOW_CLOSING },
		{ "FIN again", 'c', ACK | FIN, 0, 40, 0, LB_FLOW_CLOSING },
		{ "a RST on top", 'c', RST, 1, 0, 0, LB_FLOW_ABORTED },
	};

	(void)state;
	play(steps, COUNT(steps), CLIENT_ISN, SERVER_ISN);
}

static void a_plausible_rst_ends_a_session_and_no_other(void **state)
{
	static const struct step steps[] = {
		{ "ACK of the greeting", 'c', ACK, 0, 40, 0, LB_FLOW_CLIENT },
		{ "a RST from long ago", 'c', RST, -2, 0, 0, LB_FLOW_CLIENT },
		{ "a RST from nowhere", 'c', RST, 1 << 21, 0, 0, LB_FLOW_CLIENT },
		{ "a RST from half way round", 'c', RST, 1U << 31, 0, 0, LB_FLOW_CLIENT },
		{ "the server's, from nowhere", 's', RST, 1 << 21, 0, 0, LB_FLOW_CLIENT },
		{ "EHLO", 'c', ACK | PSH, 0, 40, 20, LB_FLOW_SERVER },
		{ "a RST", 'c', RST, 20, 0, 0, LB_FLOW_ABORTED },
		{ "another", 'c', RST, 20, 0, 0, LB_FLOW_ABORTED },
	};

	(void)state;
	play(steps, COUNT(steps), CLIENT_ISN, SERVER_ISN);
}

static void a_rst_on_the_byte_of_a_keep_alive_counts(void **state)
{
	static const struct step steps[] = {
		{ "ACK of the greeting", 'c', ACK, 0, 40, 0, LB_FLOW_CLIENT },
		{ "EHLO", 'c', ACK | PSH, 0, 40, 20, LB_FLOW_SERVER },
		{ "a RST one byte before the next", 'c', RST, 19, 0, 0, LB_FLOW_ABORTED },
	};

	(void)state;
	play(steps, COUNT(steps), CLIENT_ISN, SERVER_ISN);
}

static void the_server_may_close_or_abort(void **state)
{
	(void)state;
	for (int f = V4; f <= V6; f++) {
		world_reset();
		handshake(f, LB_MODE_NAT);
		client_says("ACK", f, LB_MODE_NAT, ACK, 1001, 5041, 0, LB_TX_REQUEST);
		server_says("FIN", f, ACK | FIN, 5041, 1001, 0, LB_TX_REPLY);
		assert_int_equal(state_of(f, LB_MODE_NAT), LB_FLOW_CLIENT);
		client_says("ACK of it", f, LB_MODE_NAT, ACK, 1001, 5042, 0, LB_TX_REQUEST);
		assert_int_equal(state_of(f, LB_MODE_NAT), LB_FLOW_CLOSING);
		expect_load(f, LB_MODE_NAT, 0, 0, 1);
		world_reset();
		handshake(f, LB_MODE_NAT);
		server_says("RST", f, RST | ACK, 5001, 1001, 0, LB_TX_REPLY);
		assert_int_equal(state_of(f, LB_MODE_NAT), LB_FLOW_ABORTED);
		assert_int_equal(load_of(f, LB_MODE_NAT, 0)->at_risk_total, 0); /* nothing had been sent */
		expect_load(f, LB_MODE_NAT, 0, 0, 1);
	}
}

static void counts(const __u64 *buckets, __u32 want)
{
	for (__u32 b = 0; b < LB_HIST_BUCKETS; b++)
		if (buckets[b] != (b == want))
			fail_msg("bucket %u has %llu", b, buckets[b]);
}

static void waiting_times_go_into_their_buckets(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		__u16 id = id_of(family, mode, 0);
		const struct lb_load *load = load_of(family, mode, 0);
		struct lb_replies r;
		struct lb_flow flow;

		handshake(family, mode);
		assert_true(get_flow(family, mode, &flow));
		flow.rtt_us = 0;
		put_flow(family, mode, &flow);
		age_flow(family, mode, 20 * SECOND);
		client_says("ACK of the greeting", family, mode, ACK, 1001, 5041, 0, LB_TX_REQUEST);
		client_says("DATA", family, mode, ACK, 1001, 5041, 6, LB_TX_REQUEST);
		age_flow(family, mode, 100 * SECOND);
		client_says("ACK of its reply", family, mode, ACK, 1007, 5051, 0, LB_TX_REQUEST);
		client_says("NOOP", family, mode, ACK, 1007, 5051, 6, LB_TX_REQUEST);
		age_flow(family, mode, 3 * SECOND);
		client_says("ACK of its reply and QUIT", family, mode, ACK, 1013, 5061, 6, LB_TX_REQUEST);
		client_says("FIN", family, mode, ACK | FIN, 1019, 5061, 0, LB_TX_REQUEST);
		client_says("the last ACK", family, mode, ACK, 1020, 5072, 0, LB_TX_REQUEST);
		r = replies_of(id);
		counts(r.banner, 15);	/* 16.4 s .. 32.8 s */
		counts(r.longest, 17);	/* 65.5 s .. 131 s */
		assert_int_equal(r.reply[17], 1);
		assert_int_equal(r.reply[12], 1); /* 2 s .. 4.1 s */
		assert_int_equal(load->replies_total, 4);
		assert_in_range(load->reply_ns_total / SECOND, 123, 124);
		assert_true(get_flow(family, mode, &flow));
		assert_int_equal(flow.replies, 4);
		assert_in_range(flow.longest_ms, 100000, 101000);
	}
}

static void the_clients_round_trip_is_not_the_servers_fault(void **state)
{
	struct lb_flow flow;

	(void)state;
	handshake(V4, LB_MODE_NAT);
	assert_true(get_flow(V4, LB_MODE_NAT, &flow));
	flow.rtt_us = 3000000;
	put_flow(V4, LB_MODE_NAT, &flow);
	age_flow(V4, LB_MODE_NAT, 2 * SECOND);
	client_says("ACK of the greeting", V4, LB_MODE_NAT, ACK, 1001, 5041, 0, LB_TX_REQUEST);
	assert_int_equal(load_of(V4, LB_MODE_NAT, 0)->reply_ns_total, 0);
	counts(replies_of(id_of(V4, LB_MODE_NAT, 0)).banner, 0);
}

static void a_clock_that_was_read_later_elsewhere_is_no_wait(void **state)
{
	struct lb_flow flow;

	(void)state;
	handshake(V4, LB_MODE_NAT);
	assert_true(get_flow(V4, LB_MODE_NAT, &flow));
	flow.turn_ns += 3600 * SECOND;
	put_flow(V4, LB_MODE_NAT, &flow);
	client_says("ACK of the greeting", V4, LB_MODE_NAT, ACK, 1001, 5041, 0, LB_TX_REQUEST);
	assert_int_equal(load_of(V4, LB_MODE_NAT, 0)->reply_ns_total, 0);
	counts(replies_of(id_of(V4, LB_MODE_NAT, 0)).banner, 0);
}

/* A client that hears nothing repeats itself: from the second time on that counts against the backend. */
static void repeated_words_count_against_a_silent_backend(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		const struct lb_load *load = load_of(family, mode, 0);

		handshake(family, mode);
		client_says("EHLO", family, mode, ACK, 1001, 5041, 20, LB_TX_REQUEST);
		client_says("EHLO again", family, mode, ACK, 1001, 5041, 20, LB_TX_REQUEST);
		assert_int_equal(load->retries_total, 0);
		client_says("EHLO, third time", family, mode, ACK, 1001, 5041, 20, LB_TX_REQUEST);
		client_says("EHLO, fourth time", family, mode, ACK, 1001, 5041, 20, LB_TX_REQUEST);
		assert_int_equal(load->retries_total, 2);
		client_says("an ACK that advances", family, mode, ACK, 1021, 5061, 0, LB_TX_REQUEST);
		client_says("a late copy", family, mode, ACK, 1001, 5041, 20, LB_TX_REQUEST);
		assert_int_equal(load->retries_total, 2);
		if (mode == LB_MODE_NAT)
			server_says("anything", family, ACK, 5061, 1021, 0, LB_TX_REPLY);
		client_says("another late copy", family, mode, ACK, 1001, 5041, 20, LB_TX_REQUEST);
		assert_int_equal(load->retries_total, mode == LB_MODE_NAT ? 2 : 3);
	}
}

static void passive_detection_has_its_numbers(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		const struct lb_load *load = load_of(family, mode, 0);

		handshake(family, mode);
		assert_int_equal(load->syns_total, 1);
		assert_int_equal(load->synacks_total, mode == LB_MODE_NAT);
		world_reset();
		client_says("SYN", family, mode, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		client_says("SYN again", family, mode, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		if (mode == LB_MODE_NAT)
			server_says("RST", family, RST | ACK, 0, CLIENT_ISN + 1, 0, LB_TX_REPLY);
		assert_int_equal(load->syns_total, 2);
		assert_int_equal(load->refusals_total, mode == LB_MODE_NAT);
	}
}

/* A killed mail server's kernel ends its sessions: with FIN, or with RST where it had not read all. A mail whose reply was
 * owed may come again; one whose reply is on the way, or was not sent yet, will not. */
static void a_server_that_hangs_up_in_debt_is_counted(void **state)
{
	static const struct {
		const char *name;
		__u8 flags;
		bool words, reply, owes;
		bool gone; /* the client has closed before */
	} cases[] = {
		{ "FIN while a reply is owed", ACK | FIN, true, false, true, false },
		{ "RST while a reply is owed", ACK | RST, true, false, true, false },
		{ "FIN to a client that is gone", ACK | FIN, true, false, false, true },
		{ "FIN behind the reply", ACK | FIN, true, true, false, false },
		{ "RST behind the reply", ACK | RST, true, true, false, false },
		{ "FIN in the client's turn", ACK | FIN, false, false, false, false },
		{ "RST in the client's turn", ACK | RST, false, false, false, false },
	};

	(void)state;
	for (int f = V4; f <= V6; f++) {
		for (size_t i = 0; i < COUNT(cases); i++) {
			const struct lb_load *load = load_of(f, LB_MODE_NAT, 0);
			__u32 next = cases[i].reply ? 5061 : 5041;

			world_reset();
			handshake(f, LB_MODE_NAT);
			client_says("ACK of the greeting", f, LB_MODE_NAT, ACK, 1001, 5041, 0, LB_TX_REQUEST);
			if (cases[i].words)
				client_says("the dot", f, LB_MODE_NAT, cases[i].gone ? ACK | FIN : ACK, 1001, 5041, 20,
					    LB_TX_REQUEST);
			if (cases[i].reply)
				server_says("250", f, ACK, 5041, 1021, 20, LB_TX_REPLY);
			server_says(cases[i].name, f, cases[i].flags, next, 1021, 0, LB_TX_REPLY);
			if (load->at_risk_total != cases[i].owes)
				fail_msg("%s: %llu at risk", cases[i].name, load->at_risk_total);
			if (cases[i].flags & FIN)
				client_says("ACK of the FIN", f, LB_MODE_NAT, ACK, 1021, next + 1, 0, LB_TX_REQUEST);
			expect_load(f, LB_MODE_NAT, 0, 0, 1);
			/* behind a RST nobody acknowledges the reply */
			assert_int_equal(load->replies_total, 1 + (cases[i].reply && cases[i].flags & FIN));
		}
	}
}

static int note_doubt(void *ctx, void *data, size_t len)
{
	const struct lb_doubt *doubt = data;

	assert_true(len >= sizeof(*doubt));
	assert_int_equal(doubt->kind, LB_EVENT_DOUBT);
	*(__u32 *)ctx = *(__u32 *)ctx << 8 | doubt->backend;
	return 0;
}

/* One number: the backends of which lbd was told, a byte each. */
static __u32 doubted(void)
{
	__u32 ids = 0;

	world_drain(note_doubt, &ids);
	return ids;
}

static void lbd_is_told_of_a_doubt_once_in_a_while(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct lb_load *load = load_of(family, mode, 0);
		__u32 id = id_of(family, mode, 0);

		world_reset();
		client_says("SYN", family, mode, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		assert_int_equal(doubted(), 0);
		client_says("SYN again", family, mode, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		assert_int_equal(doubted(), id);
		client_says("and again", family, mode, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		assert_int_equal(doubted(), 0);
		load->doubt_ns = 0;
		if (mode == LB_MODE_NAT) {
			server_says("RST", family, RST | ACK, 0, CLIENT_ISN + 1, 0, LB_TX_REPLY);
			assert_int_equal(doubted(), id);
		}
		world_reset();
		handshake(family, mode);
		for (int i = 0; i < 4; i++)
			client_says("EHLO", family, mode, ACK, 1001, 5041, 20, LB_TX_REQUEST);
		assert_int_equal(doubted(), id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_mail_session_passes_the_turn_back_and_forth, world_setup),
		cmocka_unit_test_setup(numbers_may_wrap_around, world_setup),
		cmocka_unit_test_setup(pipelined_commands_share_a_turn, world_setup),
		cmocka_unit_test_setup(words_that_were_lost_on_their_way_here_count_when_they_come, world_setup),
		cmocka_unit_test_setup(a_client_that_closes_while_it_is_owed_waits_for_its_reply, world_setup),
		cmocka_unit_test_setup(a_client_that_closes_in_its_own_turn_is_done, world_setup),
		cmocka_unit_test_setup(a_plausible_rst_ends_a_session_and_no_other, world_setup),
		cmocka_unit_test_setup(a_rst_on_the_byte_of_a_keep_alive_counts, world_setup),
		cmocka_unit_test_setup(the_server_may_close_or_abort, world_setup),
		cmocka_unit_test_setup(waiting_times_go_into_their_buckets, world_setup),
		cmocka_unit_test_setup(the_clients_round_trip_is_not_the_servers_fault, world_setup),
		cmocka_unit_test_setup(a_clock_that_was_read_later_elsewhere_is_no_wait, world_setup),
		cmocka_unit_test_setup(repeated_words_count_against_a_silent_backend, world_setup),
		cmocka_unit_test_setup(passive_detection_has_its_numbers, world_setup),
		cmocka_unit_test_setup(a_server_that_hangs_up_in_debt_is_counted, world_setup),
		cmocka_unit_test_setup(lbd_is_told_of_a_doubt_once_in_a_while, world_setup),
	};

	world_open(BIG_TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
