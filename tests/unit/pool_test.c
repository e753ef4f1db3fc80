/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model: what it takes, what it refuses and in which words, and that a refusal changes
 * nothing. Time is a number that the test chooses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../loader/addr.h"
#include "../../loader/pool.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct lb_error err;

/* The cast: "mx" on 192.0.2.25 (nat) ports 25, 587, with mx1 10.0.0.11 and mx2 10.0.0.12. */
static const struct service_spec mx = {
	.name = "mx", .vips = { "192.0.2.25" }, .vips_n = 1, .ports = { "587", "25" }, .ports_n = 2,
};

static int add_service(struct pool *pool, const char *name, const char *vip, const char *port, const char *mode)
{
	const struct service_spec spec = {
		.name = name, .vips = { vip }, .vips_n = 1, .ports = { port }, .ports_n = 1, .mode = mode,
	};

	return pool_service_add(pool, &spec, &err);
}

static int add_backend(struct pool *pool, const char *name, const char *address, const char *service)
{
	const struct backend_spec spec = { .name = name, .address = address, .service = service };

	return pool_backend_add(pool, &spec, 1000, &err);
}

static int setup(void **state)
{
	struct pool *pool = pool_new();

	assert_non_null(pool);
	assert_int_equal(pool_service_add(pool, &mx, &err), 0);
	assert_int_equal(add_backend(pool, "mx1", "10.0.0.11", NULL), 1);
	assert_int_equal(add_backend(pool, "mx2", "10.0.0.12", NULL), 2);
	*state = pool;
	return 0;
}

static int teardown(void **state)
{
	pool_free(*state);
	return 0;
}

static struct pool *copy_of(const struct pool *pool)
{
	struct pool *copy = pool_new();

	memcpy(copy, pool, sizeof(*pool));
	return copy;
}

/* The answer was this error, and pool is as it was. */
static void expect(int got, int errnum, enum lb_exit code, const char *text)
{
	assert_int_equal(got, -errnum);
	assert_int_equal(err.code, code);
	assert_string_equal(err.text, text);
}

static void a_service_gets_the_defaults_and_its_ports_sorted(void **state)
{
	struct pool *pool = *state;
	const struct service *svc = &pool->services[0];

	assert_int_equal(svc->mode, LB_MODE_NAT);
	assert_int_equal(svc->scheduler, LB_SCHED_LEAST_INFLIGHT);
	assert_int_equal(svc->refuse, LB_REFUSE_RESET);
	assert_int_equal(svc->vip_id[0], 1);
	assert_true(svc->has_vip[0]);
	assert_false(svc->has_vip[1]);
	assert_int_equal(svc->ports_n, 2);
	assert_int_equal(svc->ports[0], 25);
	assert_int_equal(svc->ports[1], 587);
	assert_memory_equal(&svc->check, &check_conf_default, sizeof(svc->check));
}

static void a_backend_starts_down_and_unchecked_at_weight_one(void **state)
{
	struct pool *pool = *state;
	const struct backend *be = &pool->backends[1];

	assert_int_equal(be->weight, 1);
	assert_int_equal(be->max_flows, 0);
	assert_int_equal(be->health, HEALTH_DOWN);
	assert_string_equal(be->reason, "not checked yet");
	assert_int_equal(be->changed_ns, 1000);
	assert_int_equal(backend_state(be), STATE_DOWN);
	assert_false(backend_is_eligible(be));
}

static void a_backend_without_checks_is_up_at_once(void **state)
{
	static const struct check_conf none = { .kind = CHECK_NONE };
	const struct service_spec spec = {
		.name = "blind", .vips = { "192.0.2.26" }, .vips_n = 1, .ports = { "25" }, .ports_n = 1, .check = &none,
	};
	struct pool *pool = *state;
	int id;

	assert_int_equal(pool_service_add(pool, &spec, &err), 1);
	assert_int_equal(pool->services[1].check.interval_ms, 2000);
	id = add_backend(pool, "b1", "10.0.0.21", "blind");
	assert_int_equal(id, 3);
	assert_true(backend_is_eligible(&pool->backends[id]));
}

struct refusal {
	const char *what;
	struct service_spec svc;	/* .name NULL: the backend is meant */
	struct backend_spec be;
	enum lb_exit code;
	const char *text, *about;
	size_t nth;
};

static const struct refusal refusals[] = {
	{ "a name with a blank", { .name = "m x" }, {}, LB_EXIT_USAGE,
	  "service \"m x\": the name is not 1-63 of A-Z a-z 0-9 . _ - (no \"-\" first): choose another", "name", 0 },
	{ "a name that is a path", { .name = ".." }, {}, LB_EXIT_USAGE,
	  "service \"..\": the name is not 1-63 of A-Z a-z 0-9 . _ - (no \"-\" first): choose another", "name", 0 },
	{ "a name that is an option", {}, { .name = "-x" }, LB_EXIT_USAGE,
	  "backend \"-x\": the name is not 1-63 of A-Z a-z 0-9 . _ - (no \"-\" first): choose another", "name", 0 },
	{ "no name", { .name = "" }, {}, LB_EXIT_USAGE, "service has no name: give one", "name", 0 },
	{ "a name twice", { .name = "mx", .vips = { "192.0.2.9" }, .vips_n = 1, .ports = { "1" }, .ports_n = 1 }, {},
	  LB_EXIT_CONFLICT, "service \"mx\" exists already: choose another name", "name", 0 },
	{ "no VIP", { .name = "a" }, {}, LB_EXIT_USAGE, "service \"a\" has no VIP: give it an address", "vip", 0 },
	{ "junk for a VIP", { .name = "a", .vips = { "192.0.2.1", "x" }, .vips_n = 2 }, {}, LB_EXIT_USAGE,
	  "service \"a\": VIP \"x\" is not an IPv4 or IPv6 address", "vip", 1 },
	{ "a loopback VIP", { .name = "a", .vips = { "127.0.0.1" }, .vips_n = 1 }, {}, LB_EXIT_USAGE,
	  "service \"a\": VIP 127.0.0.1 cannot be served: give a unicast address that is neither loopback nor link-local",
	  "vip", 0 },
	{ "two VIPs of a family", { .name = "a", .vips = { "192.0.2.1", "192.0.2.2" }, .vips_n = 2 }, {}, LB_EXIT_USAGE,
	  "service \"a\" has two IPv4 VIPs: make a service of each", "vip", 1 },
	{ "three VIPs", { .name = "a", .vips = { "192.0.2.1", "fd00::1" }, .vips_n = 3 }, {}, LB_EXIT_USAGE,
	  "service \"a\" has more than two VIPs: give one IPv4 and one IPv6 address at most", "vip", 2 },
	{ "no port", { .name = "a", .vips = { "192.0.2.1" }, .vips_n = 1 }, {}, LB_EXIT_USAGE,
	  "service \"a\" has no port: give at least one, such as 25", "ports", 0 },
	{ "a port too high", { .name = "a", .vips = { "192.0.2.1" }, .vips_n = 1, .ports = { "70000" }, .ports_n = 1 }, {},
	  LB_EXIT_USAGE, "service \"a\": port \"70000\" is not 1-65535", "ports", 0 },
	{ "port 0", { .name = "a", .vips = { "192.0.2.1" }, .vips_n = 1, .ports = { "0" }, .ports_n = 1 }, {},
	  LB_EXIT_USAGE, "service \"a\": port \"0\" is not 1-65535", "ports", 0 },
	{ "a port with a tail", { .name = "a", .vips = { "192.0.2.1" }, .vips_n = 1, .ports = { "25", "25x" }, .ports_n = 2 },
	  {}, LB_EXIT_USAGE, "service \"a\": port \"25x\" is not 1-65535", "ports", 1 },
	{ "a port twice", { .name = "a", .vips = { "192.0.2.1" }, .vips_n = 1, .ports = { "25", "587", "25" }, .ports_n = 3 },
	  {}, LB_EXIT_USAGE, "service \"a\": port 25 is given twice: leave one out", "ports", 2 },
	{ "17 ports", { .name = "a", .vips = { "192.0.2.1" }, .vips_n = 1, .ports = { "25" }, .ports_n = 17 }, {},
	  LB_EXIT_USAGE, "service \"a\" has more than 16 ports: make two services of it", "ports", 16 },
	{ "an unknown mode",
	  { .name = "a", .vips = { "192.0.2.1" }, .vips_n = 1, .ports = { "25" }, .ports_n = 1, .mode = "natt" }, {},
	  LB_EXIT_USAGE, "service \"a\": mode \"natt\" is not one of nat, dsr", "mode", 0 },
	{ "an unknown scheduler",
	  { .name = "a", .vips = { "192.0.2.1" }, .vips_n = 1, .ports = { "25" }, .ports_n = 1, .scheduler = "rr" }, {},
	  LB_EXIT_USAGE, "service \"a\": scheduler \"rr\" is not one of least-inflight, least-conn, maglev, round-robin, random",
	  "scheduler", 0 },
	{ "an unknown refusal",
	  { .name = "a", .vips = { "192.0.2.1" }, .vips_n = 1, .ports = { "25" }, .ports_n = 1, .refuse = "no" }, {},
	  LB_EXIT_USAGE, "service \"a\": refuse \"no\" is not one of reset, drop, reply", "refuse", 0 },
	{ "a VIP and port of another service",
	  { .name = "a", .vips = { "fd00::1", "192.0.2.25" }, .vips_n = 2, .ports = { "465", "25" }, .ports_n = 2 }, {},
	  LB_EXIT_CONFLICT,
	  "service \"a\": 192.0.2.25 port 25 is served by service \"mx\" already: choose another VIP or port", "vip", 1 },
	{ "a backend's address as VIP",
	  { .name = "a", .vips = { "10.0.0.12" }, .vips_n = 1, .ports = { "25" }, .ports_n = 1 }, {}, LB_EXIT_CONFLICT,
	  "service \"a\": VIP 10.0.0.12 is the address of backend \"mx2\": choose another VIP", "vip", 0 },
	{ "a backend's name twice", {}, { .name = "mx1", .address = "10.0.0.13" }, LB_EXIT_CONFLICT,
	  "backend \"mx1\" exists already at 10.0.0.11: choose another name, or \"lbctl set mx1\"", "name", 0 },
	{ "an unknown service", {}, { .name = "mx3", .address = "10.0.0.13", .service = "bulk" }, LB_EXIT_NOT_FOUND,
	  "no service \"bulk\": see \"lbctl list\"", "service", 0 },
	{ "junk for an address", {}, { .name = "mx3", .address = "10.0.0.300" }, LB_EXIT_USAGE,
	  "backend \"mx3\": address \"10.0.0.300\" is not an IPv4 or IPv6 address", "address", 0 },
	{ "no address", {}, { .name = "mx3" }, LB_EXIT_USAGE, "backend \"mx3\": address \"\" is not an IPv4 or IPv6 address",
	  "address", 0 },
	{ "a multicast address", {}, { .name = "mx3", .address = "224.0.0.1" }, LB_EXIT_USAGE,
	  "backend \"mx3\": 224.0.0.1 cannot be a backend: give a unicast address that is neither loopback nor link-local",
	  "address", 0 },
	{ "the family without a VIP", {}, { .name = "mx3", .address = "fd00::11" }, LB_EXIT_USAGE,
	  "service \"mx\" has no IPv6 VIP for fd00::11: add a backend with an IPv4 address, or a service with an IPv6 VIP",
	  "address", 0 },
	{ "an address twice", {}, { .name = "mx3", .address = "10.0.0.11" }, LB_EXIT_CONFLICT,
	  "backend \"mx3\": 10.0.0.11 is backend \"mx1\" of service \"mx\" already: leave one out", "address", 0 },
	{ "a VIP as backend", {}, { .name = "mx3", .address = "192.0.2.25" }, LB_EXIT_CONFLICT,
	  "backend \"mx3\": 192.0.2.25 is the VIP of service \"mx\": give the mail server's own address", "address", 0 },
	{ "a weight too high", {}, { .name = "mx3", .address = "10.0.0.13", .weight = "70000" }, LB_EXIT_USAGE,
	  "backend \"mx3\": weight \"70000\" is not 1-65535", "weight", 0 },
	{ "a weight of 0", {}, { .name = "mx3", .address = "10.0.0.13", .weight = "0" }, LB_EXIT_USAGE,
	  "backend \"mx3\": weight \"0\" is not 1-65535", "weight", 0 },
	{ "a cap with a unit", {}, { .name = "mx3", .address = "10.0.0.13", .max_conns = "1k" }, LB_EXIT_USAGE,
	  "backend \"mx3\": max-conns \"1k\" is not 0-4294967295 (0: no cap)", "max-conns", 0 },
};

static void what_is_refused_says_why_and_changes_nothing(void **state)
{
	struct pool *pool = *state, *before = copy_of(pool);

	for (size_t i = 0; i < COUNT(refusals); i++) {
		const struct refusal *r = &refusals[i];
		int got = r->svc.name ? pool_service_add(pool, &r->svc, &err) : pool_backend_add(pool, &r->be, 5, &err);

		if (got >= 0 || err.code != r->code || strcmp(err.text, r->text) || !err.about ||
		    strcmp(err.about, r->about) || err.nth != r->nth)
			fail_msg("%s: %d, code %d, \"%s\", about %s %zu", r->what, got, err.code, err.text,
				 err.about ? err.about : "nothing", err.nth);
		assert_memory_equal(pool, before, sizeof(*pool));
	}
	pool_free(before);
}

static void with_several_services_a_backend_must_name_its_own(void **state)
{
	struct pool *pool = *state, *empty = pool_new();

	assert_int_equal(add_service(pool, "bulk", "192.0.2.26", "25", NULL), 1);
	expect(add_backend(pool, "mx3", "10.0.0.13", NULL), EINVAL, LB_EXIT_USAGE,
	       "there are 2 services: say which with --service (mx, bulk)");
	assert_int_equal(add_backend(pool, "mx3", "10.0.0.13", "bulk"), 3);
	assert_int_equal(pool->backends[3].service, 1);
	expect(add_backend(empty, "mx3", "10.0.0.13", NULL), ENOENT, LB_EXIT_NOT_FOUND,
	       "there is no service yet: add one first");
	pool_free(empty);
}

static void one_vip_with_other_ports_may_be_two_services(void **state)
{
	struct pool *pool = *state;

	assert_int_equal(add_service(pool, "tls", "192.0.2.25", "465", NULL), 1);
	assert_int_equal(pool->services[1].vip_id[0], 2);
}

static void ids_are_the_lowest_free_ones(void **state)
{
	const struct service_spec both = {
		.name = "both", .vips = { "fd00::1", "192.0.2.30" }, .vips_n = 2, .ports = { "25" }, .ports_n = 1,
	};
	struct pool *pool = *state;

	assert_int_equal(add_service(pool, "a", "192.0.2.26", "25", NULL), 1);
	assert_int_equal(add_service(pool, "b", "192.0.2.27", "25", NULL), 2);
	assert_int_equal(pool_service_remove(pool, "a", &err), 0);
	assert_int_equal(pool_service_add(pool, &both, &err), 1);
	assert_int_equal(pool->services[1].vip_id[0], 2);
	assert_int_equal(pool->services[1].vip_id[1], 4);
	assert_int_equal(pool->services[2].vip_id[0], 3);
	pool_backend_forget(pool, 1);
	assert_int_equal(add_backend(pool, "new", "10.0.0.31", "mx"), 1);
}

static void in_nat_an_address_serves_several_services_on_disjoint_ports_only(void **state)
{
	struct pool *pool = *state;

	assert_int_equal(add_service(pool, "tls", "192.0.2.26", "465", NULL), 1);
	assert_int_equal(add_service(pool, "bulk", "192.0.2.27", "25", NULL), 2);
	assert_int_equal(add_backend(pool, "mx1-tls", "10.0.0.11", "tls"), 3);
	expect(add_backend(pool, "mx1-bulk", "10.0.0.11", "bulk"), EEXIST, LB_EXIT_CONFLICT,
	       "backend \"mx1-bulk\": 10.0.0.11 is backend \"mx1\" of service \"mx\" already and they share a port: "
	       "use mode dsr or other ports");
}

static void in_dsr_an_address_serves_any_service_once(void **state)
{
	struct pool *pool = *state;

	assert_int_equal(add_service(pool, "d1", "192.0.2.26", "25", "dsr"), 1);
	assert_int_equal(add_service(pool, "d2", "192.0.2.27", "25", "dsr"), 2);
	assert_int_equal(add_backend(pool, "mx1-d1", "10.0.0.11", "d1"), 3);
	assert_int_equal(add_backend(pool, "mx1-d2", "10.0.0.11", "d2"), 4);
	assert_int_equal(add_backend(pool, "again", "10.0.0.11", "d2"), -EEXIST);
}

static void a_service_with_backends_stays(void **state)
{
	struct pool *pool = *state;

	expect(pool_service_remove(pool, "mx", &err), EEXIST, LB_EXIT_CONFLICT,
	       "service \"mx\" has 2 backends: remove them first");
	assert_int_equal(pool_backend_admin(pool, "mx1", ADMIN_REMOVED, 2000, "by lbctl", &err), 1);
	pool_backend_forget(pool, 1);
	expect(pool_service_remove(pool, "mx", &err), EEXIST, LB_EXIT_CONFLICT,
	       "service \"mx\" has 1 backend: remove it first");
	assert_int_equal(pool_backend_admin(pool, "mx2", ADMIN_REMOVED, 2000, "by lbctl", &err), 2);
	expect(pool_service_remove(pool, "mx", &err), EEXIST, LB_EXIT_CONFLICT,
	       "service \"mx\" still has flows of the removed backend \"mx2\": try again when they have ended");
	pool_backend_forget(pool, 2);
	assert_int_equal(pool_service_remove(pool, "mx", &err), 0);
	expect(pool_service_remove(pool, "mx", &err), ENOENT, LB_EXIT_NOT_FOUND, "no service \"mx\": see \"lbctl list\"");
}

static void set_changes_what_is_given_and_all_or_nothing(void **state)
{
	struct pool *pool = *state;
	struct backend *be = &pool->backends[1];

	assert_int_equal(pool_backend_set(pool, "mx1", "5", NULL, &err), 1);
	assert_int_equal(be->weight, 5);
	assert_int_equal(be->max_flows, 0);
	assert_int_equal(pool_backend_set(pool, "mx1", NULL, "4294967295", &err), 1);
	assert_int_equal(be->weight, 5);
	assert_int_equal(be->max_flows, UINT32_MAX);
	expect(pool_backend_set(pool, "mx1", "7", "-1", &err), EINVAL, LB_EXIT_USAGE,
	       "backend \"mx1\": max-conns \"-1\" is not 0-4294967295 (0: no cap)");
	assert_int_equal(be->weight, 5);
	assert_int_equal(pool_backend_set(pool, "mx1", NULL, "0", &err), 1);
	assert_int_equal(be->max_flows, 0);
	expect(pool_backend_set(pool, "mx1", NULL, NULL, &err), EINVAL, LB_EXIT_USAGE,
	       "backend \"mx1\": nothing to set: give weight or max-conns");
	expect(pool_backend_set(pool, "mx9", "5", NULL, &err), ENOENT, LB_EXIT_NOT_FOUND,
	       "no backend \"mx9\": see \"lbctl list\"");
}

static void a_drain_keeps_the_backend_but_takes_nothing_new(void **state)
{
	struct pool *pool = *state;
	struct backend *be = &pool->backends[1];

	assert_true(pool_backend_health(pool, 1, HEALTH_UP, 1500, "ok"));
	assert_true(backend_is_eligible(be));
	assert_int_equal(pool_backend_admin(pool, "mx1", ADMIN_DRAIN, 2000, "by lbctl", &err), 1);
	assert_int_equal(backend_state(be), STATE_DRAINING);
	assert_false(backend_is_eligible(be));
	assert_int_equal(be->changed_ns, 2000);
	assert_string_equal(be->reason, "by lbctl");
	be->deadline_ns = 9000;
	/* its health is followed, but does not hide who took it out, nor since when */
	assert_true(pool_backend_health(pool, 1, HEALTH_DOWN, 3000, "connection refused"));
	assert_int_equal(be->changed_ns, 2000);
	assert_string_equal(be->reason, "by lbctl");
	assert_true(pool_backend_health(pool, 1, HEALTH_UP, 3500, "ok"));
	assert_int_equal(pool_backend_admin(pool, "mx1", ADMIN_ENABLED, 4000, "by lbctl", &err), 1);
	assert_true(backend_is_eligible(be));
	assert_int_equal(be->deadline_ns, 0);
	assert_int_equal(be->changed_ns, 4000);
}

static void a_removed_backend_answers_to_nothing_but_its_address(void **state)
{
	struct pool *pool = *state;

	assert_int_equal(pool_backend_admin(pool, "mx1", ADMIN_REMOVED, 2000, "by lbctl", &err), 1);
	assert_int_equal(pool_backend_find(pool, "mx1"), -ENOENT);
	expect(pool_backend_admin(pool, "mx1", ADMIN_ENABLED, 2000, "by lbctl", &err), ENOENT, LB_EXIT_NOT_FOUND,
	       "no backend \"mx1\": see \"lbctl list\"");
	assert_int_equal(backend_state(&pool->backends[1]), STATE_DRAINING);
	assert_int_equal(add_backend(pool, "mx1", "10.0.0.11", NULL), 1);
	assert_int_equal(pool->backends[1].admin, ADMIN_ENABLED);
	assert_int_equal(pool->backends[1].health, HEALTH_DOWN);
	/* under another name it is the same backend, with the same flows */
	assert_int_equal(pool_backend_admin(pool, "mx1", ADMIN_REMOVED, 2000, "by lbctl", &err), 1);
	assert_int_equal(add_backend(pool, "mailx1", "10.0.0.11", NULL), 1);
	/* and its old name is free */
	assert_int_equal(add_backend(pool, "mx1", "10.0.0.19", NULL), 3);
}

static void a_removed_backend_keeps_its_address_from_other_services_until_it_is_gone(void **state)
{
	struct pool *pool = *state;

	assert_int_equal(add_service(pool, "bulk", "192.0.2.26", "25", NULL), 1);
	assert_int_equal(pool_backend_admin(pool, "mx1", ADMIN_REMOVED, 2000, "by lbctl", &err), 1);
	expect(add_backend(pool, "mx1", "10.0.0.11", "bulk"), EEXIST, LB_EXIT_CONFLICT,
	       "backend \"mx1\": 10.0.0.11 still has flows as the removed backend \"mx1\" of service \"mx\": try again when "
	       "they have ended");
	pool_backend_forget(pool, 1);
	assert_int_equal(add_backend(pool, "mx1", "10.0.0.11", "bulk"), 1);
}

static void state_follows_from_health_and_admin(void **state)
{
	static const enum backend_state want[HEALTH_MAX][ADMIN_MAX] = {
		[HEALTH_UP] = { STATE_UP, STATE_DRAINING, STATE_DISABLED, STATE_DRAINING },
		[HEALTH_BUSY] = { STATE_BUSY, STATE_DRAINING, STATE_DISABLED, STATE_DRAINING },
		[HEALTH_DOWN] = { STATE_DOWN, STATE_DRAINING, STATE_DISABLED, STATE_DRAINING },
		[HEALTH_DEAD] = { STATE_DOWN, STATE_DRAINING, STATE_DISABLED, STATE_DRAINING },
	};

	(void)state;
	for (int h = 0; h < HEALTH_MAX; h++) {
		for (int a = 0; a < ADMIN_MAX; a++) {
			struct backend be = { .used = true, .health = h, .admin = a };

			assert_int_equal(backend_state(&be), want[h][a]);
			assert_int_equal(backend_is_eligible(&be), a == ADMIN_ENABLED && h <= HEALTH_BUSY);
		}
	}
}

/* Admin first, then what is worse of check and agent. */
static void a_backend_is_up_when_check_and_agent_agree(void **state)
{
	static const struct {
		enum backend_admin admin;
		enum backend_health health;
		const char *agent;
		enum backend_state state;
		const char *reason;
	} cases[] = {
		{ ADMIN_ENABLED, HEALTH_UP, "ready up", STATE_UP, "check" },
		{ ADMIN_ENABLED, HEALTH_BUSY, "50%", STATE_BUSY, "check" },
		{ ADMIN_ENABLED, HEALTH_UP, "down # disk full", STATE_DOWN, "agent: down (disk full)" },
		{ ADMIN_ENABLED, HEALTH_BUSY, "down", STATE_DOWN, "agent: down" },
		{ ADMIN_ENABLED, HEALTH_DOWN, "up ready", STATE_DOWN, "check" },
		{ ADMIN_ENABLED, HEALTH_DEAD, "down", STATE_DOWN, "check" },
		{ ADMIN_ENABLED, HEALTH_UP, "drain", STATE_DRAINING, "agent: drain" },
		{ ADMIN_ENABLED, HEALTH_UP, "maint", STATE_DRAINING, "agent: maint" },
		{ ADMIN_ENABLED, HEALTH_UP, "0%", STATE_DRAINING, "agent: 0%" },
		{ ADMIN_ENABLED, HEALTH_DOWN, "drain", STATE_DOWN, "check" },
		{ ADMIN_DRAIN, HEALTH_UP, "ready up 100%", STATE_DRAINING, "by lbctl" },
		{ ADMIN_DRAIN, HEALTH_UP, "down", STATE_DRAINING, "by lbctl" },
		{ ADMIN_DISABLED, HEALTH_UP, "ready up", STATE_DISABLED, "by lbctl" },
	};
	char buf[POOL_TEXT_LEN + 16];
	struct pool *pool = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct backend *be = &pool->backends[1];
		struct agent_report report;

		*be = (struct backend){ .used = true, .health = cases[i].health, .admin = cases[i].admin };
		strcpy(be->reason, be->admin == ADMIN_ENABLED ? "check" : "by lbctl");
		assert_int_equal(agent_parse(cases[i].agent, strlen(cases[i].agent), &report), 0);
		pool_backend_agent(pool, 1, &report, 1);
		if (backend_state(be) != cases[i].state || strcmp(backend_reason(be, buf, sizeof(buf)), cases[i].reason))
			fail_msg("%zu: %s, \"%s\"", i, backend_state_to_str(backend_state(be)), buf);
		assert_int_equal(be->admin, cases[i].admin);
		assert_int_equal(be->health, cases[i].health);
		assert_int_equal(backend_is_eligible(be), cases[i].state == STATE_UP || cases[i].state == STATE_BUSY);
	}
}

static void an_agent_moves_the_time_of_the_state_only_with_the_state(void **state)
{
	const struct agent_report half = { .has_weight = true, .weight_percent = 50 }, drain = { .admin = AGENT_DRAIN };
	struct pool *pool = *state;
	struct backend *be = &pool->backends[1];

	*be = (struct backend){ .used = true, .changed_ns = 10 };
	assert_true(pool_backend_agent(pool, 1, &half, 20));
	assert_int_equal(be->changed_ns, 10);
	assert_true(pool_backend_agent(pool, 1, &drain, 30));
	assert_int_equal(be->changed_ns, 30);
	assert_false(pool_backend_agent(pool, 1, &drain, 40));
	assert_int_equal(be->changed_ns, 30);
}

static void of_two_caps_the_smaller_one_counts(void **state)
{
	static const __u32 cases[][3] = { { 0, 0, 0 }, { 5, 0, 5 }, { 0, 7, 7 }, { 5, 7, 5 }, { 7, 5, 5 } };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct backend be = { .used = true, .max_flows = cases[i][0], .agent = { .max_conns = cases[i][1] } };

		assert_int_equal(backend_max_flows(&be), cases[i][2]);
	}
}

static void health_tells_a_change_from_a_repetition(void **state)
{
	struct pool *pool = *state;
	struct backend *be = &pool->backends[1];

	assert_false(pool_backend_health(pool, 1, HEALTH_DOWN, 1100, "connection refused"));
	assert_string_equal(be->reason, "connection refused");
	assert_int_equal(be->changed_ns, 1000);
	assert_true(pool_backend_health(pool, 1, HEALTH_DEAD, 1200, "no route"));	/* the maps must hear of it ... */
	assert_int_equal(be->changed_ns, 1000);					/* ... but it is down as before */
	assert_true(pool_backend_health(pool, 1, HEALTH_UP, 1300, "ok"));
	assert_int_equal(be->changed_ns, 1300);
	assert_false(pool_backend_health(pool, 1, HEALTH_UP, 1400, "ok"));
	assert_int_equal(be->changed_ns, 1300);
}

static void eligible_names_are_listed_and_cut_with_an_ellipsis(void **state)
{
	struct pool *pool = *state;
	char buf[64];

	assert_string_equal(pool_eligible_names(pool, 0, 0, buf, sizeof(buf)), "none");
	assert_int_equal(add_backend(pool, "mx3", "10.0.0.13", NULL), 3);
	for (int id = 1; id <= 3; id++)
		pool_backend_health(pool, id, HEALTH_UP, 0, "ok");
	assert_string_equal(pool_eligible_names(pool, 0, 0, buf, sizeof(buf)), "mx1, mx2, mx3");
	assert_string_equal(pool_eligible_names(pool, 0, 2, buf, sizeof(buf)), "mx1, mx3");
	assert_string_equal(pool_eligible_names(pool, 1, 0, buf, sizeof(buf)), "none");
	assert_string_equal(pool_eligible_names(pool, 0, 0, buf, 14), "mx1, mx2, mx3");
	assert_string_equal(pool_eligible_names(pool, 0, 0, buf, 13), "mx1, ...");
	assert_string_equal(pool_eligible_names(pool, 0, 0, buf, 6), "...");
}

static void the_limits_of_the_treaty_hold(void **state)
{
	struct pool *pool = *state;
	char name[32], address[ADDR_STRLEN], port[12];
	int i;

	for (i = 3; i <= LB_MAX_MEMBERS; i++) {
		snprintf(name, sizeof(name), "b%d", i);
		snprintf(address, sizeof(address), "10.1.%d.%d", i / 256, i % 256);
		assert_int_equal(add_backend(pool, name, address, "mx"), i);
	}
	expect(add_backend(pool, "more", "10.9.0.1", "mx"), EEXIST, LB_EXIT_CONFLICT,
	       "backend \"more\": service \"mx\" has 1024 backends already, the most it can have: remove one");
	for (i = 1; i <= (LB_MAX_VIPS - 2) / 2; i++) {	/* mx has one of the 255 */
		const char *vips[2] = { "192.0.2.99", "fd00::99" };
		struct service_spec spec = { .name = name, .vips = { vips[0], vips[1] }, .vips_n = 2, .ports = { port },
					     .ports_n = 1 };

		snprintf(name, sizeof(name), "s%d", i);
		snprintf(port, sizeof(port), "%d", i);
		assert_int_equal(pool_service_add(pool, &spec, &err), i);
	}
	expect(add_service(pool, "more", "192.0.2.98", "25", NULL), EEXIST, LB_EXIT_CONFLICT,
	       "service \"more\": there are 255 VIPs already, the most there can be: remove a service");
	for (i = LB_MAX_MEMBERS + 1; i < LB_MAX_BACKENDS; i++) {
		snprintf(name, sizeof(name), "b%d", i);
		snprintf(address, sizeof(address), "10.1.%d.%d", i / 256, i % 256);
		assert_int_equal(add_backend(pool, name, address, i < 2048 ? "s1" : i < 3072 ? "s2" : "s3"), i);
	}
	expect(add_backend(pool, "more", "10.9.0.1", "s4"), EEXIST, LB_EXIT_CONFLICT,
	       "backend \"more\": there are 4095 backends already, the most there can be: remove one");
}

static void an_error_is_fit_for_a_terminal_and_for_json(void **state)
{
	char big[600];

	(void)state;
	assert_int_equal(lb_error(&err, LB_EXIT_USAGE, "a\n\x1b[31m\x7f \xc3\xa4 \xff \xc3"), -EINVAL);
	assert_string_equal(err.text, "a??[31m? \xc3\xa4 ? ?");
	lb_error(&err, LB_EXIT_USAGE, "\xed\xa0\x80 \xc0\x80 \xf0\x9f\x93\xa7");
	assert_string_equal(err.text, "??? ?? \xf0\x9f\x93\xa7");
	memset(big, 'x', sizeof(big));
	big[510] = '\xc3';
	big[511] = '\xa4';
	big[599] = '\0';
	lb_error(&err, LB_EXIT_FAILED, "%s", big);
	assert_int_equal(strlen(err.text), 511);
	assert_int_equal(err.text[510], '?');
}

static void every_exit_code_has_an_errno(void **state)
{
	static const int want[] = { EIO, EIO, EINVAL, ECONNREFUSED, EPERM, ENOENT, EEXIST, ETIMEDOUT };

	(void)state;
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_int_equal(lb_error(&err, i, "%s", "x"), -want[i]);
		assert_int_equal(err.code, i);
		assert_null(err.about);
	}
}

static void names_of_states_and_checks_lead_there_and_back(void **state)
{
	(void)state;
	for (int k = 0; k < CHECK_KIND_MAX; k++)
		assert_int_equal(check_kind_from_str(check_kind_to_str(k)), k);
	assert_int_equal(check_kind_from_str("smtp"), -EINVAL);
	assert_string_equal(check_kind_to_str(CHECK_KIND_MAX), "?");
	assert_string_equal(backend_state_to_str(STATE_UP), "up");
	assert_string_equal(backend_state_to_str(STATE_DISABLED), "disabled");
	assert_string_equal(backend_state_to_str(STATE_MAX), "?");
}

#define with_the_cast(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_the_cast(a_service_gets_the_defaults_and_its_ports_sorted),
		with_the_cast(a_backend_starts_down_and_unchecked_at_weight_one),
		with_the_cast(a_backend_without_checks_is_up_at_once),
		with_the_cast(what_is_refused_says_why_and_changes_nothing),
		with_the_cast(with_several_services_a_backend_must_name_its_own),
		with_the_cast(one_vip_with_other_ports_may_be_two_services),
		with_the_cast(ids_are_the_lowest_free_ones),
		with_the_cast(in_nat_an_address_serves_several_services_on_disjoint_ports_only),
		with_the_cast(in_dsr_an_address_serves_any_service_once),
		with_the_cast(a_service_with_backends_stays),
		with_the_cast(set_changes_what_is_given_and_all_or_nothing),
		with_the_cast(a_drain_keeps_the_backend_but_takes_nothing_new),
		with_the_cast(a_removed_backend_answers_to_nothing_but_its_address),
		with_the_cast(a_removed_backend_keeps_its_address_from_other_services_until_it_is_gone),
		with_the_cast(health_tells_a_change_from_a_repetition),
		with_the_cast(a_backend_is_up_when_check_and_agent_agree),
		with_the_cast(an_agent_moves_the_time_of_the_state_only_with_the_state),
		with_the_cast(of_two_caps_the_smaller_one_counts),
		with_the_cast(eligible_names_are_listed_and_cut_with_an_ellipsis),
		with_the_cast(the_limits_of_the_treaty_hold),
		cmocka_unit_test(state_follows_from_health_and_admin),
		cmocka_unit_test(an_error_is_fit_for_a_terminal_and_for_json),
		cmocka_unit_test(every_exit_code_has_an_errno),
		cmocka_unit_test(names_of_states_and_checks_lead_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
