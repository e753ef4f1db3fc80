/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ids across a reload: whoever was there before keeps its id, whatever the config now calls it and wherever it now
 * stands; nobody gets an id that old flows still know as another's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../loader/addr.h"
#include "../../loader/carry.h"

static struct lb_error err;
static bool busy[LB_MAX_BACKENDS];
static int lost_n, lost_id;

static bool has_flows(void *arg, int id)
{
	(void)arg;
	return busy[id];
}

static void lost(void *arg, int id)
{
	(void)arg;
	lost_n++;
	lost_id = id;
}

static void carry(const struct pool *old, struct pool *next)
{
	const struct carry c = { .has_flows = has_flows, .lost = lost };

	assert_int_equal(carry_ids(old, next, &c), 0);
}

static int setup(void **state)
{
	struct pool **pools = calloc(2, sizeof(*pools));

	assert_non_null(pools);
	for (int i = 0; i < 2; i++)
		assert_non_null(pools[i] = pool_new());
	memset(busy, 0, sizeof(busy));
	lost_n = 0;
	*state = pools;
	return 0;
}

static int teardown(void **state)
{
	struct pool **pools = *state;

	pool_free(pools[0]);
	pool_free(pools[1]);
	free(pools);
	return 0;
}

static void service(struct pool *pool, const char *name, const char *vip, const char *vip6, const char *port)
{
	const struct service_spec spec = {
		.name = name, .vips = { vip, vip6 }, .vips_n = vip6 ? 2 : 1, .ports = { port }, .ports_n = 1,
	};

	if (pool_service_add(pool, &spec, &err) < 0)
		fail_msg("%s", err.text);
}

static void backend(struct pool *pool, const char *name, const char *address, const char *svc)
{
	const struct backend_spec spec = { .name = name, .address = address, .service = svc };

	if (pool_backend_add(pool, &spec, 1000, &err) < 0)
		fail_msg("%s", err.text);
}

/* svc mx with mx1, mx2, mx3 as ids 1, 2, 3 */
static void usual(struct pool *pool)
{
	service(pool, "mx", "192.0.2.25", "2001:db8::25", "25");
	backend(pool, "mx1", "10.0.0.11", "mx");
	backend(pool, "mx2", "10.0.0.12", "mx");
	backend(pool, "mx3", "fd00::13", "mx");
}

static __u16 vip_id(const struct pool *pool, const char *name, int family)
{
	int i = pool_service_find(pool, name);

	assert_true(i >= 0);
	return pool->services[i].vip_id[family];
}

static void the_same_config_changes_nothing(void **state)
{
	struct pool **p = *state;

	usual(p[0]);
	usual(p[1]);
	carry(p[0], p[1]);
	for (int id = 1; id < 4; id++)
		assert_string_equal(p[1]->backends[id].name, p[0]->backends[id].name);
	assert_int_equal(vip_id(p[1], "mx", 0), vip_id(p[0], "mx", 0));
	assert_int_equal(vip_id(p[1], "mx", 1), vip_id(p[0], "mx", 1));
}

static void order_and_names_do_not_matter(void **state)
{
	struct pool **p = *state;

	usual(p[0]);
	service(p[1], "other", "192.0.2.99", NULL, "25");
	service(p[1], "mail", "192.0.2.25", "2001:db8::25", "25");
	backend(p[1], "gamma", "fd00::13", "mail");
	backend(p[1], "beta", "10.0.0.12", "mail");
	backend(p[1], "alpha", "10.0.0.11", "mail");
	carry(p[0], p[1]);
	assert_int_equal(pool_backend_find(p[1], "alpha"), 1);
	assert_int_equal(pool_backend_find(p[1], "beta"), 2);
	assert_int_equal(pool_backend_find(p[1], "gamma"), 3);
	assert_int_equal(vip_id(p[1], "mail", 0), vip_id(p[0], "mx", 0));
	assert_int_equal(vip_id(p[1], "mail", 1), vip_id(p[0], "mx", 1));
	assert_int_not_equal(vip_id(p[1], "other", 0), vip_id(p[0], "mx", 0));
	assert_int_not_equal(vip_id(p[1], "other", 0), vip_id(p[0], "mx", 1));
	assert_int_not_equal(vip_id(p[1], "other", 0), 0);
}

static void what_left_and_carries_nothing_is_gone(void **state)
{
	struct pool **p = *state;

	usual(p[0]);
	service(p[1], "mx", "192.0.2.25", "2001:db8::25", "25");
	backend(p[1], "mx3", "fd00::13", "mx");
	carry(p[0], p[1]);
	assert_false(p[1]->backends[1].used);
	assert_false(p[1]->backends[2].used);
	assert_int_equal(pool_backend_find(p[1], "mx3"), 3);
}

static void what_left_and_carries_flows_stays_as_removed(void **state)
{
	struct pool **p = *state;

	usual(p[0]);
	busy[2] = true;
	service(p[1], "mx", "192.0.2.25", "2001:db8::25", "25");
	backend(p[1], "mx1", "10.0.0.11", "mx");
	carry(p[0], p[1]);
	assert_true(p[1]->backends[2].used);
	assert_int_equal(p[1]->backends[2].admin, ADMIN_REMOVED);
	assert_int_equal(pool_backend_find(p[1], "mx2"), -2); /* ENOENT: removed ones have no name */
	assert_false(p[1]->backends[3].used);
	assert_int_equal(lost_n, 0);
}

static void what_loses_its_service_is_reported(void **state)
{
	struct pool **p = *state;

	usual(p[0]);
	busy[1] = busy[3] = true;
	service(p[1], "new", "192.0.2.77", NULL, "25");
	backend(p[1], "n1", "10.0.0.77", "new");
	carry(p[0], p[1]);
	assert_int_equal(lost_n, 2);
	assert_int_equal(lost_id, 3);
	assert_false(p[1]->backends[1].used);
	assert_false(p[1]->backends[3].used);
}

static void newcomers_get_ids_that_no_old_flow_knows(void **state)
{
	struct pool **p = *state;
	int id;

	usual(p[0]);
	service(p[1], "mx", "192.0.2.25", "2001:db8::25", "25");
	service(p[1], "second", "192.0.2.26", "2001:db8::26", "25");
	for (int i = 0; i < 20; i++) {
		char name[16], address[32];

		snprintf(name, sizeof(name), "new%d", i);
		snprintf(address, sizeof(address), "10.9.0.%d", i + 1);
		backend(p[1], name, address, i & 1 ? "mx" : "second");
	}
	carry(p[0], p[1]);
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "new%d", i);
		id = pool_backend_find(p[1], name);
		assert_true(id > 3);
	}
	for (int f = 0; f < 2; f++)
		for (int g = 0; g < 2; g++)
			assert_int_not_equal(vip_id(p[1], "second", f), vip_id(p[0], "mx", g));
	assert_int_not_equal(vip_id(p[1], "second", 0), vip_id(p[1], "second", 1));
}

static void a_backend_that_moved_to_another_vip_is_another(void **state)
{
	struct pool **p = *state;

	usual(p[0]);
	busy[1] = true;
	service(p[1], "mx", "192.0.2.25", "2001:db8::25", "25");
	service(p[1], "second", "192.0.2.26", NULL, "587");
	backend(p[1], "mx1", "10.0.0.11", "second");
	carry(p[0], p[1]);
	assert_int_equal(p[1]->backends[1].admin, ADMIN_REMOVED);
	assert_true(pool_backend_find(p[1], "mx1") > 3);
}

static void two_services_may_swap_their_names(void **state)
{
	struct pool **p = *state;

	service(p[0], "a", "192.0.2.1", NULL, "25");
	service(p[0], "b", "192.0.2.2", NULL, "25");
	backend(p[0], "a1", "10.0.0.1", "a");
	backend(p[0], "b1", "10.0.0.2", "b");
	service(p[1], "a", "192.0.2.2", NULL, "25");
	service(p[1], "b", "192.0.2.1", NULL, "25");
	backend(p[1], "a1", "10.0.0.2", "a");
	backend(p[1], "b1", "10.0.0.1", "b");
	carry(p[0], p[1]);
	assert_int_equal(vip_id(p[1], "a", 0), vip_id(p[0], "b", 0));
	assert_int_equal(vip_id(p[1], "b", 0), vip_id(p[0], "a", 0));
	assert_int_equal(pool_backend_find(p[1], "b1"), 1);
	assert_int_equal(pool_backend_find(p[1], "a1"), 2);
	assert_int_equal(p[1]->backends[1].service, pool_service_find(p[1], "b"));
}

/* One VIP, one service of two ports; the new config makes it two services. */
static void ids_stay_apart_when_a_service_is_split_by_port(void **state)
{
	struct pool **p = *state;
	const struct service_spec both = {
		.name = "both", .vips = { "192.0.2.1" }, .vips_n = 1, .ports = { "25", "587" }, .ports_n = 2,
	};
	__u16 was, in, submit;

	assert_true(pool_service_add(p[0], &both, &err) >= 0);
	service(p[1], "in", "192.0.2.1", NULL, "25");
	service(p[1], "submit", "192.0.2.1", NULL, "587");
	carry(p[0], p[1]);
	was = vip_id(p[0], "both", 0);
	in = vip_id(p[1], "in", 0);
	submit = vip_id(p[1], "submit", 0);
	assert_true(in == was || submit == was);
	assert_int_not_equal(in, submit);
}

static void health_and_history_are_kept(void **state)
{
	struct pool **p = *state;

	usual(p[0]);
	assert_true(pool_backend_health(p[0], 2, HEALTH_UP, 7777, "tcp: connected"));
	assert_int_equal(pool_backend_admin(p[0], "mx1", ADMIN_DRAIN, 8888, "by lbctl", &err), 1);
	p[0]->backends[1].deadline_ns = 99999;
	usual(p[1]);
	assert_int_equal(pool_backend_admin(p[1], "mx1", ADMIN_DRAIN, 9000, "by the config", &err), 1);
	carry(p[0], p[1]);
	assert_int_equal(p[1]->backends[2].health, HEALTH_UP);
	assert_int_equal(p[1]->backends[2].changed_ns, 7777);
	assert_string_equal(p[1]->backends[2].reason, "tcp: connected");
	assert_int_equal(p[1]->backends[1].deadline_ns, 99999);
	assert_string_equal(p[1]->backends[1].reason, "by lbctl");
}

static void a_ghost_comes_back_with_its_id_and_flows(void **state)
{
	struct pool **p = *state;

	usual(p[0]);
	busy[2] = true;
	assert_int_equal(pool_backend_admin(p[0], "mx2", ADMIN_REMOVED, 5, "by lbctl", &err), 2);
	service(p[1], "mx", "192.0.2.25", "2001:db8::25", "25");
	backend(p[1], "again", "10.0.0.12", "mx");
	carry(p[0], p[1]);
	assert_int_equal(pool_backend_find(p[1], "again"), 2);
	assert_int_equal(p[1]->backends[2].admin, ADMIN_ENABLED);
}

static void an_agents_word_is_kept_while_there_is_an_agent(void **state)
{
	const struct agent_report drain = { .admin = AGENT_DRAIN };
	struct pool **p = *state;

	usual(p[0]);
	assert_true(pool_backend_agent(p[0], 1, &drain, 7777));
	usual(p[1]);
	p[1]->services[pool_service_find(p[1], "mx")].agent.port = 9707;
	carry(p[0], p[1]);
	assert_true(agent_is_draining(&p[1]->backends[1].agent));
	memset(p[1], 0, sizeof(*p[1]));
	usual(p[1]);
	carry(p[0], p[1]);
	assert_false(agent_is_draining(&p[1]->backends[1].agent));
}

/* Also after a restart, where the maps only tell that it was out of rotation. */
static void what_is_no_longer_checked_is_up(void **state)
{
	struct pool **p = *state;

	usual(p[0]);
	usual(p[1]);
	p[1]->services[pool_service_find(p[1], "mx")].check.kind = CHECK_NONE;
	p[1]->backends[1].health = HEALTH_UP;
	carry(p[0], p[1]);
	assert_int_equal(p[0]->backends[1].health, HEALTH_DOWN);
	assert_int_equal(p[1]->backends[1].health, HEALTH_UP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_same_config_changes_nothing),
		TEST(order_and_names_do_not_matter),
		TEST(what_left_and_carries_nothing_is_gone),
		TEST(what_left_and_carries_flows_stays_as_removed),
		TEST(what_loses_its_service_is_reported),
		TEST(newcomers_get_ids_that_no_old_flow_knows),
		TEST(a_backend_that_moved_to_another_vip_is_another),
		TEST(two_services_may_swap_their_names),
		TEST(ids_stay_apart_when_a_service_is_split_by_port),
		TEST(health_and_history_are_kept),
		TEST(an_agents_word_is_kept_while_there_is_an_agent),
		TEST(what_is_no_longer_checked_is_up),
		TEST(a_ghost_comes_back_with_its_id_and_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
