/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sweep and the full table: what goes out when, what is told, and that entries are counted exactly. The table of
 * this program holds more than one ring buffer of events.
 */
#include "talk.h"

#define TABLE 12288

static struct lb_sweep usual(void)
{
	return (struct lb_sweep) {
		.idle_ns = 900 * SECOND, .fin_ns = 120 * SECOND, .rst_ns = 10 * SECOND,
	};
}

static void sweep(struct lb_sweep *arg)
{
	/* the kernel writes the context of a syscall program back to where it read it */
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = arg, .ctx_size_in = sizeof(*arg));

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(world.skel->progs.sweep), &opts), 0);
	assert_int_equal(opts.retval, 0);
}

struct seen {
	size_t n;
	struct lb_event last;
};

static int see(void *ctx, void *data, size_t len)
{
	struct seen *seen = ctx;

	assert_true(len >= sizeof(struct lb_event));
	memcpy(&seen->last, data, sizeof(seen->last));
	seen->n++;
	return 0;
}

static struct seen events(void)
{
	struct seen seen = {};

	world_drain(see, &seen);
	return seen;
}

static bool is_open(enum lb_flow_state s)
{
	return s == LB_FLOW_SERVER || s == LB_FLOW_CLIENT;
}

/* An entry made by hand, with the counts that go with it. */
static void plant(__u16 n, enum lb_flow_state s, __u64 quiet_s, __u8 marks)
{
	__u64 now = now_ns();
	struct lb_flow_key key = usual_key(V4, LB_MODE_NAT);
	struct lb_flow flow = {
		.state = s, .seen_ns = now - quiet_s * SECOND, .turn_ns = now - quiet_s * SECOND, .marks = marks,
		.opened_s = now / SECOND - quiet_s, .backend = id_of(V4, LB_MODE_NAT, 0),
	};

	key.client_port = n;
	assert_true(slots_put(&world.flows, &key, &flow));
	world.totals->flow_entries++;
	load_of(V4, LB_MODE_NAT, 0)->flows += is_open(s);
	load_of(V4, LB_MODE_NAT, 0)->inflight += s == LB_FLOW_SERVER;
}

static bool planted(__u16 n, struct lb_flow *flow)
{
	struct lb_flow_key key = usual_key(V4, LB_MODE_NAT);

	key.client_port = n;
	return slots_get(&world.flows, &key, flow);
}

static void every_state_has_its_timer(void **state)
{
	static const struct {
		enum lb_flow_state state;
		__u64 quiet_s;
		__u8 marks;
		bool out, told;
	} cases[] = {
		{ LB_FLOW_CLOSING, 119, 0, false, false },	  { LB_FLOW_CLOSING, 121, 0, true, false },
		{ LB_FLOW_ABORTED, 9, 0, false, false },	  { LB_FLOW_ABORTED, 11, 0, true, false },
		{ LB_FLOW_RESET, 9, 0, false, false },		  { LB_FLOW_RESET, 11, 0, true, false },
		{ LB_FLOW_CLIENT, 899, 0, false, false },	  { LB_FLOW_CLIENT, 901, 0, false, true },
		{ LB_FLOW_SERVER, 899, 0, false, false },	  { LB_FLOW_SERVER, 901, 0, false, true },
		{ LB_FLOW_SERVER, 121, LB_MARK_CLIENT_FIN, false, true },
		{ LB_FLOW_SERVER, 119, LB_MARK_CLIENT_FIN, false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct lb_flow_key key = usual_key(V4, LB_MODE_NAT);
		struct lb_sweep arg = usual();
		struct lb_flow flow;
		struct seen seen;

		world_reset();
		plant(1, cases[i].state, cases[i].quiet_s, cases[i].marks);
		sweep(&arg);
		seen = events();
		assert_int_equal(arg.entries, 1);
		assert_int_equal(arg.expired, cases[i].out);
		assert_int_equal(arg.closed, cases[i].told);
		assert_int_equal(seen.n, cases[i].told);
		assert_int_equal(planted(1, &flow), !cases[i].out);
		assert_int_equal(world.totals->flow_entries, !cases[i].out);
		if (!cases[i].told)
			continue;
		assert_int_equal(flow.state, LB_FLOW_RESET);
		assert_int_equal(seen.last.kind, LB_EVENT_RESET);
		assert_int_equal(seen.last.flow.state, cases[i].state);
		assert_int_equal(seen.last.key.client_port, 1);
		assert_int_equal(load_of(V4, LB_MODE_NAT, 0)->flows, 0);
		assert_int_equal(load_of(V4, LB_MODE_NAT, 0)->inflight, 0);
		assert_int_equal(load_of(V4, LB_MODE_NAT, 0)->resets_total, 1);
		assert_int_equal(load_of(V4, LB_MODE_NAT, 0)->at_risk_total, cases[i].state == LB_FLOW_SERVER);
		/* it stays to answer whoever still speaks, then goes */
		arg = usual();
		sweep(&arg);
		assert_true(planted(1, &flow));
		key.client_port = 1;
		slots_find(&world.flows, &key)->seen_ns -= 11 * SECOND;
		arg = usual();
		sweep(&arg);
		assert_false(planted(1, &flow));
		assert_int_equal(arg.expired, 1);
		assert_int_equal(world.totals->flow_entries, 0);
	}
}

static void a_packet_from_after_the_sweep_began_is_not_old(void **state)
{
	struct lb_sweep arg = usual();
	struct lb_flow flow;

	(void)state;
	plant(1, LB_FLOW_CLIENT, -5, 0);
	sweep(&arg);
	assert_true(planted(1, &flow));
	assert_int_equal(flow.state, LB_FLOW_CLIENT);
}

/* Nobody sweeps them: an old entry is as good as none. */
static void half_open_entries_are_forgotten_after_their_time(void **state)
{
	struct lb_flow pend;

	(void)state;
	client_says("SYN", V4, LB_MODE_NAT, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
	assert_true(get_pending(V4, LB_MODE_NAT, &pend));
	pend.seen_ns -= 31 * SECOND;
	put_pending(V4, LB_MODE_NAT, &pend);
	client_says("ACK", V4, LB_MODE_NAT, ACK, CLIENT_ISN + 1, SERVER_ISN + 1, 0, LB_RESET_NO_FLOW);
}

/* A set has eight places: the ninth connection of a set costs the oldest its place, and the table is not for ever. */
static void a_flood_of_syns_turns_the_table_over(void **state)
{
	struct lb_flow pend;
	struct result r;

	(void)state;
	client_says("SYN", V4, LB_MODE_NAT, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
	for (int i = 0; i < LB_PENDING_SETS * LB_PENDING_WAYS * 4; i++) {
		struct pkt in = request_of(V4, LB_MODE_NAT, SYN);

		in.sport = 1024 + i % 60000;
		in.src.bytes[15] = 100 + i / 60000;
		assert_int_equal(run_pkt(&in, &r), LB_TX_SYN);
	}
	assert_false(get_pending(V4, LB_MODE_NAT, &pend));
	assert_int_equal(world.totals->flow_entries, 0);
}

/* Four open flows of be_one: 1 owes since 5 s, 2 in the client's turn for 1 s, 3 for 60 s, 4 for 600 s. */
static void closing_a_backend_spares_what_it_is_told_to(void **state)
{
	static const struct {
		const char *sentence;
		__u64 force, idle_s, older_s, max, closed, at_risk;
	} cases[] = {
		{ "at once, but nothing that owes", 0, 0, 0, 0, 3, 0 },
		{ "only the quiet", 0, 30, 0, 0, 2, 0 },
		{ "only the quiet and old", 0, 30, 300, 0, 1, 0 },
		{ "nothing is that quiet", 0, 700, 0, 0, 0, 0 },
		{ "by force", 1, 700, 700, 0, 4, 1 },
		{ "no more than one", 0, 0, 0, 1, 1, 0 },
		{ "no more than two of the quiet", 0, 30, 0, 2, 2, 0 },
		{ "no more than there are", 0, 0, 0, 9, 3, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct lb_sweep arg = usual();
		struct seen seen;

		world_reset();
		plant(1, LB_FLOW_SERVER, 5, 0);
		plant(2, LB_FLOW_CLIENT, 1, 0);
		plant(3, LB_FLOW_CLIENT, 60, 0);
		plant(4, LB_FLOW_CLIENT, 600, 0);
		plant(5, LB_FLOW_CLOSING, 60, 0);
		arg.close_backend = id_of(V4, LB_MODE_NAT, 1);
		sweep(&arg);
		assert_int_equal(arg.open + arg.owing + arg.closed, 0);
		arg = usual();
		arg.close_backend = id_of(V4, LB_MODE_NAT, 0);
		arg.close_force = cases[i].force;
		arg.close_idle_ns = cases[i].idle_s * SECOND;
		arg.close_older_ns = cases[i].older_s * SECOND;
		arg.close_max = cases[i].max;
		sweep(&arg);
		seen = events();
		if (arg.closed != cases[i].closed)
			fail_msg("\"%s\": %llu closed", cases[i].sentence, arg.closed);
		assert_int_equal(seen.n, cases[i].closed);
		assert_int_equal(arg.at_risk, cases[i].at_risk);
		assert_int_equal(arg.entries, 5);
		assert_int_equal(arg.expired, 0);
		assert_int_equal(arg.open, 4);
		assert_int_equal(arg.owing, 1);
		assert_in_range(arg.longest_ns / SECOND, 5, 6);
		assert_int_equal(load_of(V4, LB_MODE_NAT, 0)->flows, 4 - cases[i].closed);
		assert_int_equal(load_of(V4, LB_MODE_NAT, 0)->inflight, 1 - cases[i].at_risk);
		assert_int_equal(load_of(V4, LB_MODE_NAT, 0)->at_risk_total, cases[i].at_risk);
	}
}

static void a_full_ring_says_so_and_goes_on_later(void **state)
{
	size_t told = 0, rounds = 0;
	struct lb_sweep arg;

	(void)state;
	for (int i = 1; i <= TABLE; i++)
		plant(i, i & 1 ? LB_FLOW_SERVER : LB_FLOW_CLIENT, 10, 0);
	do {
		arg = usual();
		arg.close_backend = id_of(V4, LB_MODE_NAT, 0);
		arg.close_force = 1;
		sweep(&arg);
		assert_int_equal(arg.entries, TABLE);
		assert_int_equal(events().n, arg.closed);
		told += arg.closed;
		rounds++;
		assert_int_equal(load_of(V4, LB_MODE_NAT, 0)->flows, TABLE - told);
	} while (arg.more);
	assert_int_equal(told, TABLE);
	assert_true(rounds > 1);
	assert_int_equal(load_of(V4, LB_MODE_NAT, 0)->inflight, 0);
	assert_int_equal(load_of(V4, LB_MODE_NAT, 0)->at_risk_total, TABLE / 2);
}

static void a_promotion_that_finds_no_room_is_refused_in_the_open(void **state)
{
	(void)state;
	for (int i = 1; i <= TABLE; i++)
		plant(i, LB_FLOW_CLOSING, 1, 0);
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, ACK);
		struct lb_flow flow;

		world.totals->flow_limit = TABLE + 1; /* the last place goes between SYN and ACK */
		client_says("SYN", family, mode, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		if (mode == LB_MODE_NAT)
			server_says("SYN-ACK", family, SYN | ACK, SERVER_ISN, CLIENT_ISN + 1, 0, LB_TX_REPLY);
		world.totals->flow_limit = TABLE;
		expect_reset("ACK", &in, LB_RESET_TABLE_FULL);
		assert_false(get_flow(family, mode, &flow));
		expect_load(family, mode, 0, 0, 0);
	}
	assert_int_equal(world.totals->flow_entries, TABLE);
}

static __u32 slots_leaving(void)
{
	__u32 n = 0;

	for (__u32 i = 0; i < world.flows.n; i++)
		n += world.flows.slots[i].claim == LB_SLOT_LEAVING;
	return n;
}

/* Only lbd knows when no packet looks at it any more. */
static void a_slot_is_used_again_when_the_dust_has_settled(void **state)
{
	static const struct {
		const char *sentence;
		bool settled;
		__u64 leaving;
	} sweeps[] = {
		{ "they have just gone", false, 3 },
		{ "nobody has waited", false, 3 },
		{ "now they are free", true, 0 },
		{ "and stay so", true, 0 },
	};

	(void)state;
	for (int i = 1; i <= 3; i++)
		plant(i, LB_FLOW_CLOSING, 121, 0);
	plant(4, LB_FLOW_CLIENT, 1, 0);
	for (size_t i = 0; i < COUNT(sweeps); i++) {
		struct lb_sweep arg = usual();

		arg.settled = sweeps[i].settled;
		sweep(&arg);
		if (arg.leaving != sweeps[i].leaving || slots_leaving() != sweeps[i].leaving)
			fail_msg("\"%s\": %llu, %u slots", sweeps[i].sentence, arg.leaving, slots_leaving());
		assert_int_equal(arg.entries, i ? 1 : 4);
		assert_int_equal(arg.expired, i ? 0 : 3);
		assert_int_equal(slots_count(&world.flows), 1);
		assert_int_equal(world.totals->flow_entries, 1);
	}
}

/* What has just gone is not freed in the same walk, also when the one before is settled. */
static void what_goes_now_is_not_settled_yet(void **state)
{
	struct lb_sweep arg = usual();

	(void)state;
	plant(1, LB_FLOW_ABORTED, 11, 0);
	arg.settled = true;
	sweep(&arg);
	assert_int_equal(arg.expired, 1);
	assert_int_equal(arg.leaving, 1);
	assert_int_equal(slots_leaving(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_state_has_its_timer, world_setup),
		cmocka_unit_test_setup(a_packet_from_after_the_sweep_began_is_not_old, world_setup),
		cmocka_unit_test_setup(half_open_entries_are_forgotten_after_their_time, world_setup),
		cmocka_unit_test_setup(a_flood_of_syns_turns_the_table_over, world_setup),
		cmocka_unit_test_setup(closing_a_backend_spares_what_it_is_told_to, world_setup),
		cmocka_unit_test_setup(a_full_ring_says_so_and_goes_on_later, world_setup),
		cmocka_unit_test_setup(a_promotion_that_finds_no_room_is_refused_in_the_open, world_setup),
		cmocka_unit_test_setup(a_slot_is_used_again_when_the_dust_has_settled, world_setup),
		cmocka_unit_test_setup(what_goes_now_is_not_settled_yet, world_setup),
	};

	world_open(TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
