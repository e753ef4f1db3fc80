/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flow table of another size: where flows are found and made while it replaces the one before, and that neither a
 * flow nor a count is lost on the way.
 */
#include "talk.h"

#define TABLE 65536
#define MANY  40000 /* more than one walk moves */

static struct slots before;
static int before_fd;

static void set_slot(enum lb_flow_table slot, int fd)
{
	__u32 key = slot;
	int tables = bpf_map__fd(world.skel->maps.flow_tables);

	if (fd >= 0)
		assert_int_equal(bpf_map_update_elem(tables, &key, &fd, BPF_ANY), 0);
	else
		bpf_map_delete_elem(tables, &key);
}

static bool is_in(struct slots *table, int family, int mode, struct lb_flow *flow)
{
	struct lb_flow_key key = usual_key(family, mode);

	return slots_get(table, &key, flow);
}

/* All flows that there are become flows of the table before. */
static void replace_table(void)
{
	EACH_FLOW(slot, &world.flows)
		assert_true(slots_put(&before, &slot->key, &slot->flow));
	slots_clear(&world.flows);
}

/* With the types of "flows", as the table of another lbd has them: kernels before 6.2 ask for that. */
static int setup(void **state)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);

	world_setup(state);
	opts.btf_fd = bpf_object__btf_fd(world.skel->obj);
	opts.btf_key_type_id = bpf_map__btf_key_type_id(world.skel->maps.flows);
	opts.btf_value_type_id = bpf_map__btf_value_type_id(world.skel->maps.flows);
	before = world.flows;
	before.n = LB_SLOTS_FOR_FLOWS(2 * TABLE);
	before_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "before", sizeof(__u32), sizeof(struct lb_flow_slot), before.n, &opts);
	before.slots = mmap(NULL, before.n * sizeof(struct lb_flow_slot), PROT_READ | PROT_WRITE, MAP_SHARED, before_fd, 0);
	return before.slots == MAP_FAILED;
}

static int teardown(void **state)
{
	(void)state;
	set_slot(LB_FLOWS_SHARED, -1);
	set_slot(LB_FLOWS_MOVING, -1);
	munmap(before.slots, before.n * sizeof(struct lb_flow_slot));
	close(before_fd);
	return 0;
}

static void handshakes(void)
{
	EACH_KIND(family, mode)
		handshake(family, mode);
}

/* Greeted, and answered once; the last words are the client's. */
static void talk(int family, int mode)
{
	client_says("ACK of the greeting", family, mode, ACK, 1001, 5041, 0, LB_TX_REQUEST);
	if (mode == LB_MODE_NAT)
		server_says("a late word", family, ACK, 5041, 1001, 10, LB_TX_REPLY);
	client_says("EHLO", family, mode, ACK, 1001, 5051, 20, LB_TX_REQUEST);
}

static void while_it_is_shared_flows_live_in_the_table_before(void **state)
{
	struct lb_flow flow;

	(void)state;
	EACH_KIND(family, mode) {
		if (family == V4)
			handshake(family, mode);
	}
	replace_table();
	set_slot(LB_FLOWS_SHARED, before_fd);
	EACH_KIND(family, mode) {
		if (family == V6)
			handshake(family, mode);
		talk(family, mode);
		assert_true(is_in(&before, family, mode, &flow));
		assert_int_equal(flow.state, LB_FLOW_SERVER);
		assert_int_equal(flow.replies, 1);
		expect_load(family, mode, 1, 1, 1);
	}
	assert_int_equal(slots_count(&world.flows), 0);
	assert_int_equal(world.totals->flow_entries, 4);
}

static void a_packet_brings_its_flow_along(void **state)
{
	struct lb_flow flow;
	int left = 4;

	(void)state;
	handshakes();
	replace_table();
	set_slot(LB_FLOWS_MOVING, before_fd);
	EACH_KIND(family, mode) {
		if (mode == LB_MODE_NAT)
			server_says("220", family, ACK, 5001, 1001, 40, LB_TX_REPLY);
		talk(family, mode);
		assert_false(is_in(&before, family, mode, &flow));
		assert_true(is_in(&world.flows, family, mode, &flow));
		assert_int_equal(flow.state, LB_FLOW_SERVER);
		assert_int_equal(flow.replies, 1);
		expect_load(family, mode, 1, 1, 1);
		assert_int_equal(slots_count(&before), --left);
	}
	assert_int_equal(world.totals->flow_entries, 4);
}

static void without_room_a_flow_serves_where_it_is(void **state)
{
	struct lb_flow flow;

	(void)state;
	handshakes();
	replace_table();
	for (__u32 i = 0; i < world.flows.n; i++)
		world.flows.slots[i].claim = LB_SLOT_LEAVING;
	set_slot(LB_FLOWS_MOVING, before_fd);
	EACH_KIND(family, mode) {
		talk(family, mode);
		assert_true(is_in(&before, family, mode, &flow));
		assert_int_equal(flow.state, LB_FLOW_SERVER);
		assert_int_equal(flow.replies, 1);
		client_says("RST", family, mode, RST, 1021, 0, 0, LB_TX_REQUEST);
		expect_load(family, mode, 0, 0, 1);
	}
}

static void a_port_that_is_used_again_meanwhile_has_one_flow(void **state)
{
	struct lb_flow flow;

	(void)state;
	handshakes();
	replace_table();
	set_slot(LB_FLOWS_MOVING, before_fd);
	EACH_KIND(family, mode) {
		client_says("RST", family, mode, RST, 1001, 0, 0, LB_TX_REQUEST);
		handshake_at(family, mode, 900000, 700000);
		assert_false(is_in(&before, family, mode, &flow));
		assert_true(is_in(&world.flows, family, mode, &flow));
		expect_load(family, mode, 1, 1, 2);
	}
	assert_int_equal(world.totals->flow_entries, 4);
}

static struct lb_move move(void)
{
	struct lb_move arg = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &arg, .ctx_size_in = sizeof(arg));

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(world.skel->progs.move), &opts), 0);
	return arg;
}

/* In more than one go; an lbd that is killed between two of them leaves this to the next. */
static void walks_move_the_rest(void **state)
{
	struct lb_flow flow, was = { .seen_ns = 77, .client_next = 5, .longest_ms = 9 };
	struct lb_move first, rest;

	(void)state;
	assert_int_equal(move().moved, 0);
	for (__u32 i = 0; i < MANY; i++) {
		struct lb_flow_key key = { .client_port = i, .vip_id = 99 };

		was.state = i % LB_FLOW_STATE_MAX;
		assert_true(slots_put(&before, &key, &was));
	}
	set_slot(LB_FLOWS_SHARED, before_fd);
	assert_int_equal(move().moved, 0);
	set_slot(LB_FLOWS_MOVING, before_fd);
	set_slot(LB_FLOWS_SHARED, -1);
	first = move();
	assert_in_range(first.moved, 1, MANY - 1);
	assert_true(first.left);
	assert_int_equal(slots_count(&before), MANY - first.moved);
	assert_int_equal(slots_count(&world.flows), first.moved);
	rest = move();
	assert_int_equal(first.moved + rest.moved, MANY);
	assert_int_equal(rest.left, 0);
	assert_int_equal(slots_count(&before), 0);
	assert_int_equal(slots_count(&world.flows), MANY);
	for (__u32 i = 0; i < MANY; i++) {
		struct lb_flow_key key = { .client_port = i, .vip_id = 99 };

		was.state = i % LB_FLOW_STATE_MAX;
		assert_true(slots_get(&world.flows, &key, &flow));
		assert_memory_equal(&flow, &was, sizeof(was));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(while_it_is_shared_flows_live_in_the_table_before, setup, teardown),
		cmocka_unit_test_setup_teardown(a_packet_brings_its_flow_along, setup, teardown),
		cmocka_unit_test_setup_teardown(without_room_a_flow_serves_where_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(a_port_that_is_used_again_meanwhile_has_one_flow, setup, teardown),
		cmocka_unit_test_setup_teardown(walks_move_the_rest, setup, teardown),
	};

	world_open(TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
