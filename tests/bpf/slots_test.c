/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program and the slots of its flow table: flows that do not find their usual place. The table by itself, and two CPUs
 * at it, are elsewhere (tests/unit/flow_table_test.c, two_cpus_test.c).
 */
#include "talk.h"

/* As when others have been there first. */
static void a_flow_far_from_its_homes_is_found(void **state)
{
	static const struct {
		__u32 first, second; /* so many slots behind either home are taken */
	} cases[] = { { 0, 0 }, { 3, 0 }, { 4, 2 }, { 20, 0 }, { LB_FLOW_WINDOW - 1, 30 }, { LB_FLOW_WINDOW, 0 } };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		world_reset();
		EACH_KIND(family, mode) {
			struct lb_flow_key key = usual_key(family, mode);
			__u64 hash = hash_place(&key, world.flows.secret);
			struct lb_flow flow;

			slots_clear(&world.flows);
			for (__u32 d = 0; d < cases[i].first; d++)
				table_slot(&world.flows, table_home(&world.flows, hash) + d)->claim = LB_SLOT_LEAVING;
			for (__u32 d = 0; d < cases[i].second; d++)
				table_slot(&world.flows, table_home(&world.flows, hash >> 32) + d)->claim = LB_SLOT_LEAVING;
			handshake(family, mode);
			if (mode == LB_MODE_NAT)
				server_says("220", family, ACK, 5001, 1001, 40, LB_TX_REPLY);
			client_says("EHLO", family, mode, ACK, 1001, 5041, 20, LB_TX_REQUEST);
			assert_true(get_flow(family, mode, &flow));
			assert_int_equal(flow.replies, 1);
			assert_int_equal(slots_count(&world.flows), 1);
		}
	}
}

/* Another CPU holds the home, or no slot near is free while the table is not full: not the client's fault. */
static void a_promotion_that_is_in_somebodys_way_is_repeated(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		struct lb_flow_key key = usual_key(family, mode);
		__u32 *homed = &table_slot(&world.flows, table_home(&world.flows, hash_place(&key, world.flows.secret)))->homed;
		struct pkt in = request_of(family, mode, ACK), want = at_backend(&in, mode, 0);
		struct lb_flow flow;

		client_says("SYN", family, mode, SYN, CLIENT_ISN, 0, 0, LB_TX_SYN);
		if (mode == LB_MODE_NAT)
			server_says("SYN-ACK", family, SYN | ACK, SERVER_ISN, CLIENT_ISN + 1, 0, LB_TX_REPLY);
		*homed |= LB_HOME_HELD;
		expect("the first ACK", &in, LB_DROP_HALF_OPEN, NULL);
		assert_false(get_flow(family, mode, &flow));
		*homed &= ~LB_HOME_HELD;
		expect("the second", &in, LB_TX_REQUEST, &want);
		assert_true(get_flow(family, mode, &flow));
		expect_load(family, mode, 1, 1, 1);
	}
	assert_int_equal(world.totals->flow_entries, 4);
}

/* Another CPU is taking over the flow whose ports are used again: that needs no room, so a full table is no reason. */
static void a_take_over_that_is_in_somebodys_way_is_repeated(void **state)
{
	(void)state;
	EACH_KIND(family, mode) {
		__u32 again = CLIENT_ISN + (1 << 20);
		struct lb_flow_key key = usual_key(family, mode);
		struct pkt in = request_of(family, mode, ACK), want;
		struct lb_flow *flow;
		__u64 limit = world.totals->flow_limit;

		handshake(family, mode);
		client_says("SYN", family, mode, SYN, again, 0, 0, LB_TX_SYN);
		if (mode == LB_MODE_NAT)
			server_says("SYN-ACK", family, SYN | ACK, SERVER_ISN, again + 1, 0, LB_TX_REPLY);
		flow = slots_find(&world.flows, &key);
		flow->state = LB_FLOW_STATE_MAX;
		world.totals->flow_limit = world.totals->flow_entries;
		in.seq = again + 1;
		want = at_backend(&in, mode, 0);
		expect("the first ACK", &in, LB_DROP_HALF_OPEN, NULL);
		flow->state = LB_FLOW_SERVER;
		expect("the second", &in, LB_TX_REQUEST, &want);
		expect_load(family, mode, 1, 1, 2);
		world.totals->flow_limit = limit;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_flow_far_from_its_homes_is_found, world_setup),
		cmocka_unit_test_setup(a_promotion_that_is_in_somebodys_way_is_repeated, world_setup),
		cmocka_unit_test_setup(a_take_over_that_is_in_somebodys_way_is_repeated, world_setup),
	};

	world_open(BIG_TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
