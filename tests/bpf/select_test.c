/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which backend a new session gets, by every scheduler, and what its client hears when there is none. Shares are
 * counted over many SYNs and judged by margins far outside chance.
 */
#include "talk.h"

/* count SYNs of different ports; how many went to which. */
static void deal(int family, int mode, int count, int got[2])
{
	struct lb_flow pend;
	struct result r;

	got[0] = got[1] = 0;
	for (int i = 0; i < count; i++) {
		struct pkt in = request_of(family, mode, SYN);
		struct lb_flow_key key;

		in.sport = 2000 + i;
		assert_int_equal(run_pkt(&in, &r), LB_TX_SYN);
		key = key_of(&in, mode);
		assert_non_null(find_pending(&key));
		pend = find_pending(&key)->flow;
		assert_true(pend.backend == id_of(family, mode, 0) || pend.backend == id_of(family, mode, 1));
		got[pend.backend == id_of(family, mode, 1)]++;
		forget_pending();
	}
}

static void both(int family, int mode)
{
	world_table(vip_of(family, mode), (__u16[]){ id_of(family, mode, 0), id_of(family, mode, 1) }, 2);
}

static void every_scheduler_uses_both_when_both_are_equal(void **state)
{
	int got[2];

	(void)state;
	EACH_KIND(family, mode) {
		both(family, mode);
		for (int s = 0; s < LB_SCHED_MAX; s++) {
			world_service(family, mode, s, LB_REFUSE_RESET);
			deal(family, mode, 200, got);
			if (s == LB_SCHED_ROUND_ROBIN)
				assert_int_equal(got[0], 100);
			assert_in_range(got[0], 40, 160);
		}
	}
}

static void the_emptier_one_is_chosen(void **state)
{
	int got[2];

	(void)state;
	EACH_KIND(family, mode) {
		both(family, mode);
		world_service(family, mode, LB_SCHED_LEAST_CONN, LB_REFUSE_RESET);
		load_of(family, mode, 0)->flows = 10;
		load_of(family, mode, 1)->flows = 9;
		load_of(family, mode, 1)->inflight = 99;
		deal(family, mode, 100, got);
		assert_int_equal(got[1], 100);
		world_service(family, mode, LB_SCHED_LEAST_INFLIGHT, LB_REFUSE_RESET);
		deal(family, mode, 100, got);
		assert_int_equal(got[0], 100);
		/* the same in flight: the quicker one */
		load_of(family, mode, 0)->inflight = 99;
		world.backends[id_of(family, mode, 0)].reply_ns = 20000000;
		world.backends[id_of(family, mode, 1)].reply_ns = 10000000;
		deal(family, mode, 100, got);
		assert_int_equal(got[1], 100);
		/* a weight of three makes up for the double time */
		world.backends[id_of(family, mode, 0)].weight = 48;
		deal(family, mode, 100, got);
		assert_int_equal(got[0], 100);
	}
}

static void huge_loads_do_not_overflow(void **state)
{
	int got[2];

	(void)state;
	both(V4, LB_MODE_NAT);
	world_service(V4, LB_MODE_NAT, LB_SCHED_LEAST_INFLIGHT, LB_REFUSE_RESET);
	for (int i = 0; i < 2; i++) {
		world.backends[id_of(V4, LB_MODE_NAT, i)].weight = LB_MAX_WEIGHT * 16;
		world.backends[id_of(V4, LB_MODE_NAT, i)].reply_ns = 60 * SECOND;
		load_of(V4, LB_MODE_NAT, i)->inflight = (1 << 17) - i * 1000;
	}
	deal(V4, LB_MODE_NAT, 50, got);
	assert_int_equal(got[1], 50);
}

static void a_hash_gives_the_same_answer_again(void **state)
{
	int got[2], again[2];

	(void)state;
	EACH_KIND(family, mode) {
		both(family, mode);
		world_service(family, mode, LB_SCHED_MAGLEV, LB_REFUSE_RESET);
		deal(family, mode, 64, got);
		deal(family, mode, 64, again);
		assert_int_equal(got[0], again[0]);
		assert_in_range(got[0], 10, 54);
	}
}

/* Whatever the scheduler picks first, who cannot take it is passed over. */
static void the_unfit_are_passed_over(void **state)
{
	static const struct {
		const char *sentence;
		__u8 flags;
		__u32 weight, max_flows;
		__u64 flows;
		bool refused;
	} unfit[] = {
		{ "not eligible", LB_BACKEND_RESOLVED, 16, 0, 0, false },
		{ "no next hop", LB_BACKEND_ELIGIBLE, 16, 0, 0, false },
		{ "no weight", LB_BACKEND_ELIGIBLE | LB_BACKEND_RESOLVED, 0, 0, 0, false },
		{ "at its cap", LB_BACKEND_ELIGIBLE | LB_BACKEND_RESOLVED, 16, 5, 5, false },
		{ "has just refused", LB_BACKEND_ELIGIBLE | LB_BACKEND_RESOLVED, 16, 0, 0, true },
	};
	int got[2];

	(void)state;
	EACH_KIND(family, mode) {
		for (size_t i = 0; i < COUNT(unfit); i++) {
			struct lb_backend *be = &world.backends[id_of(family, mode, 0)];

			both(family, mode);
			be->flags = unfit[i].flags;
			be->weight = unfit[i].weight;
			be->max_flows = unfit[i].max_flows;
			load_of(family, mode, 0)->flows = unfit[i].flows;
			load_of(family, mode, 0)->refused_ns = unfit[i].refused ? now_ns() + 3600 * SECOND : 0;
			for (int s = 0; s < LB_SCHED_MAX; s++) {
				world_service(family, mode, s, LB_REFUSE_RESET);
				deal(family, mode, 20, got);
				if (got[0])
					fail_msg("%s, %s: still chosen", unfit[i].sentence, scheduler_to_str(s));
			}
			world_reset();
		}
	}
}

/* Who has just refused is asked all the same when there is nobody else. */
static void the_last_one_is_asked_again(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, SYN), want = at_backend(&in, mode, 0);

		load_of(family, mode, 0)->refused_ns = now_ns() + 3600 * SECOND;
		expect("the only one", &in, LB_TX_SYN, &want);
	}
}

static void a_cap_takes_its_last_session_and_no_more(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, SYN), want = at_backend(&in, mode, 0);

		world.backends[id_of(family, mode, 0)].max_flows = 3;
		load_of(family, mode, 0)->flows = 2;
		expect("the third", &in, LB_TX_SYN, &want);
		load_of(family, mode, 0)->flows = 3;
		in.sport++;
		expect_reset("the fourth", &in, LB_RESET_AT_CAP);
		assert_true(load_of(family, mode, 0)->refused_total > 0);
	}
}

/* What a client hears, by policy and cause. */
static void refusals_follow_the_policy(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		for (int cause = 0; cause < 4; cause++) {
			struct pkt in = request_of(family, mode, SYN);
			enum lb_verdict why = LB_RESET_NO_BACKEND;
			__u32 vip = vip_of(family, mode);

			world_reset();
			if (cause == 0) {
				world_table(vip, NULL, 0);
			} else if (cause == 1) {
				world.backends[id_of(family, mode, 0)].max_flows = 1;
				load_of(family, mode, 0)->flows = 1;
				why = LB_RESET_AT_CAP;
			} else if (cause == 2) {
				world.totals->flow_limit = world.totals->flow_entries = 17;
				why = LB_RESET_TABLE_FULL;
			} else {
				assert_int_equal(bpf_map_delete_elem(bpf_map__fd(world.skel->maps.tables), &vip), 0);
			}
			world_service(family, mode, LB_SCHED_LEAST_INFLIGHT, LB_REFUSE_DROP);
			expect("drop", &in, LB_DROP_NO_BACKEND, NULL);
			world_service(family, mode, LB_SCHED_LEAST_INFLIGHT, LB_REFUSE_RESET);
			expect_reset("reset", &in, why);
			world_service(family, mode, LB_SCHED_LEAST_INFLIGHT, LB_REFUSE_REPLY);
			expect("reply", &in, LB_PASS_REFUSED, NULL);
		}
	}
}

static void a_full_table_still_lets_a_known_port_be_used_again(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		handshake(family, mode);
		world.totals->flow_limit = world.totals->flow_entries;
		client_says("SYN on its own entry", family, mode, SYN, 70000, 0, 0, LB_TX_SYN);
		if (mode == LB_MODE_NAT)
			server_says("SYN-ACK", family, SYN | ACK, 80000, 70001, 0, LB_TX_REPLY);
		client_says("ACK", family, mode, ACK, 70001, 80001, 0, LB_TX_REQUEST);
		world.totals->flow_limit = BIG_TABLE;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_scheduler_uses_both_when_both_are_equal, world_setup),
		cmocka_unit_test_setup(the_emptier_one_is_chosen, world_setup),
		cmocka_unit_test_setup(huge_loads_do_not_overflow, world_setup),
		cmocka_unit_test_setup(a_hash_gives_the_same_answer_again, world_setup),
		cmocka_unit_test_setup(the_unfit_are_passed_over, world_setup),
		cmocka_unit_test_setup(a_cap_takes_its_last_session_and_no_more, world_setup),
		cmocka_unit_test_setup(the_last_one_is_asked_again, world_setup),
		cmocka_unit_test_setup(refusals_follow_the_policy, world_setup),
		cmocka_unit_test_setup(a_full_table_still_lets_a_known_port_be_used_again, world_setup),
	};

	world_open(BIG_TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
