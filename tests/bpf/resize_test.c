/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flow table of another size: where flows are found and made while it replaces the one before, and that neither a
 * flow nor a count is lost on the way.
 */
#include "talk.h"

#define TABLE 64
#define MANY  48

static int before;

static void set_slot(enum lb_flow_table slot, int fd)
{
	__u32 key = slot;
	int tables = bpf_map__fd(world.skel->maps.flow_tables);

	if (fd >= 0)
		assert_int_equal(bpf_map_update_elem(tables, &key, &fd, BPF_ANY), 0);
	else
		bpf_map_delete_elem(tables, &key);
}

static int count(int map)
{
	struct lb_flow_key key, *at = NULL;
	int n = 0;

	for (; bpf_map_get_next_key(map, at, &key) == 0; at = &key)
		n++;
	return n;
}

static bool is_in(int map, int family, int mode, struct lb_flow *flow)
{
	struct lb_flow_key key = usual_key(family, mode);

	return bpf_map_lookup_elem(map, &key, flow) == 0;
}

/* All flows that there are become flows of the table before. */
static void replace_table(void)
{
	struct lb_flow_key key;
	struct lb_flow flow;

	while (bpf_map_get_next_key(world.flows, NULL, &key) == 0) {
		assert_int_equal(bpf_map_lookup_elem(world.flows, &key, &flow), 0);
		assert_int_equal(bpf_map_update_elem(before, &key, &flow, BPF_NOEXIST), 0);
		assert_int_equal(bpf_map_delete_elem(world.flows, &key), 0);
	}
}

/* With the types of "flows", as the table of another lbd has them: kernels before 6.2 ask for that. */
static int setup(void **state)
{
	LIBBPF_OPTS(bpf_map_create_opts, types);

	world_setup(state);
	types.btf_fd = bpf_object__btf_fd(world.skel->obj);
	types.btf_key_type_id = bpf_map__btf_key_type_id(world.skel->maps.flows);
	types.btf_value_type_id = bpf_map__btf_value_type_id(world.skel->maps.flows);
	before = bpf_map_create(BPF_MAP_TYPE_HASH, "before", sizeof(struct lb_flow_key), sizeof(struct lb_flow), 2 * TABLE,
				&types);
	return before < 0;
}

static int teardown(void **state)
{
	(void)state;
	set_slot(LB_FLOWS_SHARED, -1);
	set_slot(LB_FLOWS_MOVING, -1);
	close(before);
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
	set_slot(LB_FLOWS_SHARED, before);
	EACH_KIND(family, mode) {
		if (family == V6)
			handshake(family, mode);
		talk(family, mode);
		assert_true(is_in(before, family, mode, &flow));
		assert_int_equal(flow.state, LB_FLOW_SERVER);
		assert_int_equal(flow.replies, 1);
		expect_load(family, mode, 1, 1, 1);
	}
	assert_int_equal(count(world.flows), 0);
	assert_int_equal(world.totals->flow_entries, 4);
}

static void a_packet_brings_its_flow_along(void **state)
{
	struct lb_flow flow;
	int left = 4;

	(void)state;
	handshakes();
	replace_table();
	set_slot(LB_FLOWS_MOVING, before);
	EACH_KIND(family, mode) {
		if (mode == LB_MODE_NAT)
			server_says("220", family, ACK, 5001, 1001, 40, LB_TX_REPLY);
		talk(family, mode);
		assert_false(is_in(before, family, mode, &flow));
		assert_true(is_in(world.flows, family, mode, &flow));
		assert_int_equal(flow.state, LB_FLOW_SERVER);
		assert_int_equal(flow.replies, 1);
		expect_load(family, mode, 1, 1, 1);
		assert_int_equal(count(before), --left);
	}
	assert_int_equal(world.totals->flow_entries, 4);
}

static void without_room_a_flow_serves_where_it_is(void **state)
{
	struct lb_flow flow, filler = { .state = LB_FLOW_CLOSING };

	(void)state;
	handshakes();
	replace_table();
	for (__u32 i = 0; i < TABLE; i++) {
		struct lb_flow_key key = { .client_port = i, .vip_id = 99 };

		assert_int_equal(bpf_map_update_elem(world.flows, &key, &filler, BPF_NOEXIST), 0);
	}
	set_slot(LB_FLOWS_MOVING, before);
	EACH_KIND(family, mode) {
		talk(family, mode);
		assert_true(is_in(before, family, mode, &flow));
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
	set_slot(LB_FLOWS_MOVING, before);
	EACH_KIND(family, mode) {
		client_says("RST", family, mode, RST, 1001, 0, 0, LB_TX_REQUEST);
		handshake_at(family, mode, 900000, 700000);
		assert_false(is_in(before, family, mode, &flow));
		assert_true(is_in(world.flows, family, mode, &flow));
		expect_load(family, mode, 1, 1, 2);
	}
	assert_int_equal(world.totals->flow_entries, 4);
}

static __u32 move(void)
{
	__u32 moved = 0;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &moved, .ctx_size_in = sizeof(moved));

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(world.skel->progs.move), &opts), 0);
	return moved;
}

static void a_walk_moves_the_rest(void **state)
{
	struct lb_flow flow, was = { .seen_ns = 77, .client_next = 5, .longest_ms = 9 };

	(void)state;
	assert_int_equal(move(), 0);
	for (__u32 i = 0; i < MANY; i++) {
		struct lb_flow_key key = { .client_port = i, .vip_id = 99 };

		was.state = i % LB_FLOW_STATE_MAX;
		assert_int_equal(bpf_map_update_elem(before, &key, &was, BPF_NOEXIST), 0);
	}
	set_slot(LB_FLOWS_SHARED, before);
	assert_int_equal(move(), 0);
	set_slot(LB_FLOWS_MOVING, before);
	set_slot(LB_FLOWS_SHARED, -1);
	assert_int_equal(move(), MANY);
	assert_int_equal(count(before), 0);
	assert_int_equal(count(world.flows), MANY);
	for (__u32 i = 0; i < MANY; i++) {
		struct lb_flow_key key = { .client_port = i, .vip_id = 99 };

		was.state = i % LB_FLOW_STATE_MAX;
		assert_int_equal(bpf_map_lookup_elem(world.flows, &key, &flow), 0);
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
		cmocka_unit_test_setup_teardown(a_walk_moves_the_rest, setup, teardown),
	};

	world_open(TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
