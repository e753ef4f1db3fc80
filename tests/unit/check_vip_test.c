// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a check makes of the VIP in dsr: the server answers at its own address, here on 127.0.0.1, and at the VIP, or not,
 * on a network made of socket pairs. No privileges.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include "../../loader/check_inner.h"
#include "knock_net.h"
#include "event_loop.h"

static struct checks *checks;
static struct knock_net net;
static struct { int n; enum backend_health health; char reason[POOL_TEXT_LEN]; } verdict;
static struct { int n; enum check_result result; char text[POOL_TEXT_LEN], dialogue[1024]; } told;
static int server = -1, hop_error;
static struct check_target target;

static void on_verdict(void *arg, int id, enum backend_health health, const char *reason)
{
	assert_ptr_equal(arg, &verdict);
	assert_int_equal(id, 1);
	verdict.n++;
	verdict.health = health;
	snprintf(verdict.reason, sizeof(verdict.reason), "%s", reason);
}

static void on_told(void *arg, enum check_result result, const char *text, const char *dialogue)
{
	assert_ptr_equal(arg, &told);
	told.n++;
	told.result = result;
	snprintf(told.text, sizeof(told.text), "%s", text);
	snprintf(told.dialogue, sizeof(told.dialogue), "%s", dialogue);
}

static int hop(void *arg, int id, struct nexthop *out)
{
	assert_ptr_equal(arg, &verdict);
	assert_int_equal(id, 1);
	*out = (struct nexthop){ .resolved = true, .ifindex = 7 };
	return hop_error;
}

static int setup(void **state)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);

	(void)state;
	memset(&verdict, 0, sizeof(verdict));
	memset(&told, 0, sizeof(told));
	hop_error = 0;
	target = (struct check_target){
		.conf = { .kind = CHECK_TCP, .interval_ms = 3600000, .timeout_ms = 10000, .rise = 1, .fall = 1 },
		.vip_ports = { 25, 587 }, .vip_ports_n = 2,
	};
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server, (struct sockaddr *)&sa, sizeof(sa)) || listen(server, 8) ||
	    getsockname(server, (struct sockaddr *)&sa, &len))
		return -1;
	target.port = ntohs(sa.sin_port);
	if (addr_parse("127.0.0.1", &target.address) || addr_parse("192.0.2.25", &target.vip))
		return -1;
	if (sd_event_new(&event) < 0 || checks_open(event, on_verdict, &verdict, &checks))
		return -1;
	checks_set_hop(checks, hop);
	return knock_net_open(&net, event, &checks->knocks);
}

static int teardown(void **state)
{
	(void)state;
	checks_close(checks);
	knock_net_close(&net);
	close(server);
	event = sd_event_unref(event);
	return 0;
}

/* The first check of the target, and what came of it. */
static struct check_status first_check(void)
{
	struct check_status status;

	assert_int_equal(checks_set(checks, 1, &target, HEALTH_DOWN, true), 0);
	RUN_UNTIL(checks_status(checks, 1, &status) && status.at_ns);
	return status;
}

static void a_server_that_has_the_vip_is_up(void **state)
{
	struct check_status status;

	(void)state;
	net.answer = SEGMENT_SYN | SEGMENT_ACK;
	status = first_check();
	assert_int_equal(status.last, CHECK_OK);
	assert_string_equal(status.text, "tcp: connected");
	assert_int_equal(verdict.health, HEALTH_UP);
	assert_int_equal(net.sent_n, 4);
	assert_memory_equal(net.sent[0].src.bytes + 12, "\x7f\0\0\1", 4);	/* what the kernel sends from */
}

static void one_without_the_vip_is_down(void **state)
{
	struct check_status status;

	(void)state;
	target.conf.timeout_ms = 300;
	status = first_check();
	assert_int_equal(status.last, CHECK_TIMEOUT);
	assert_int_equal(status.code, 0);
	assert_int_equal(verdict.health, HEALTH_DOWN);
	assert_string_equal(verdict.reason, "tcp: VIP 192.0.2.25:25: no answer (is the VIP on the server's loopback?)");
}

static void one_that_does_not_listen_there_is_down(void **state)
{
	struct check_status status;

	(void)state;
	net.answer = SEGMENT_SYN | SEGMENT_ACK;
	net.refused_port = 587;
	status = first_check();
	assert_int_equal(status.last, CHECK_REFUSED);
	assert_int_equal(verdict.health, HEALTH_DOWN);
	assert_string_equal(verdict.reason,
			    "tcp: VIP 192.0.2.25:587: connection refused (does the mail server listen on the VIP?)");
}

static void one_that_fails_by_itself_is_not_asked_further(void **state)
{
	struct check_status status;

	(void)state;
	shutdown(server, SHUT_RDWR);
	status = first_check();
	assert_int_equal(status.last, CHECK_REFUSED);
	assert_string_equal(status.text, "tcp: connection refused");
	assert_int_equal(net.sent_n, 0);
}

/* Nor does it become worse while nobody knows the way to it. */
static void no_next_hop_is_our_own_trouble(void **state)
{
	struct check_status status;

	(void)state;
	hop_error = -EAGAIN;
	target.conf.timeout_ms = 200;
	status = first_check();
	assert_int_equal(status.last, CHECK_INTERNAL);
	assert_string_equal(status.text, "tcp: VIP 192.0.2.25:25: no SYN could be sent: no next hop, or its interface is down");
	assert_int_equal(verdict.n, 0);
}

static void an_address_that_is_the_vip_cannot_knock(void **state)
{
	struct check_status status;

	(void)state;
	target.vip = target.address;	/* and that of this host */
	status = first_check();
	assert_int_equal(status.last, CHECK_INTERNAL);
	assert_int_equal(verdict.n, 0);
	assert_int_equal(net.sent_n, 0);
}

static void where_nobody_asks_the_address_is_enough(void **state)
{
	(void)state;
	target.vip_ports_n = 0;
	first_check();
	assert_int_equal(verdict.health, HEALTH_UP);
	checks_remove(checks, 1);
	target.vip_ports_n = 2;
	checks_set_hop(checks, NULL);
	first_check();
	assert_int_equal(verdict.health, HEALTH_UP);
	assert_int_equal(net.sent_n, 0);
}

static void a_chosen_source_is_knocked_from(void **state)
{
	(void)state;
	assert_int_equal(addr_parse("198.51.100.9", &target.conf.source), 0);
	net.answer = SEGMENT_SYN | SEGMENT_ACK;
	first_check();
	assert_int_equal(verdict.health, HEALTH_UP);
	assert_true(addr_equal(&net.sent[0].src, &target.conf.source));
}

static void a_change_in_the_middle_ends_it(void **state)
{
	(void)state;
	assert_int_equal(checks_set(checks, 1, &target, HEALTH_DOWN, true), 0);
	RUN_UNTIL(net.sent_n);
	target.vip_ports_n = 1;
	assert_int_equal(checks_set(checks, 1, &target, HEALTH_DOWN, true), 0);
	net.answer = SEGMENT_SYN | SEGMENT_ACK;
	RUN_UNTIL(verdict.n);
	assert_int_equal(verdict.health, HEALTH_UP);
	checks_remove(checks, 1);
	/* and when all ends: the sanitizer watches */
	net.answer = 0;
	net.sent_n = 0;
	assert_int_equal(checks_set(checks, 1, &target, HEALTH_DOWN, true), 0);
	RUN_UNTIL(net.sent_n);
}

/* The deadline of the first half does not end the second. */
static void the_vip_has_time_of_its_own(void **state)
{
	struct check_status status;
	__u64 began = now_ms();

	(void)state;
	target.conf.timeout_ms = 150;
	assert_int_equal(checks_set(checks, 1, &target, HEALTH_DOWN, true), 0);
	RUN_UNTIL(checks_status(checks, 1, &status) && status.at_ns);
	assert_true(now_ms() - began >= 150);
	assert_non_null(strstr(status.text, "VIP 192.0.2.25:25: no answer"));
}

static void a_check_now_tells_of_the_vip(void **state)
{
	(void)state;
	net.answer = SEGMENT_SYN | SEGMENT_ACK;
	assert_int_equal(checks_set(checks, 1, &target, HEALTH_UP, false), 0);
	assert_int_equal(checks_run_now(checks, 1, on_told, &told), 0);
	RUN_UNTIL(told.n);
	assert_int_equal(told.result, CHECK_OK);
	assert_string_equal(told.text, "tcp: connected");
	assert_string_equal(told.dialogue, "* connected\n* VIP 192.0.2.25:25: answers\n");
	net.refused_port = 25;
	assert_int_equal(checks_run_now(checks, 1, on_told, &told), 0);
	RUN_UNTIL(told.n == 2);
	assert_int_equal(told.result, CHECK_REFUSED);
	assert_string_equal(told.dialogue, "* connected\n"
			    "* VIP 192.0.2.25:25: connection refused (does the mail server listen on the VIP?)\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_server_that_has_the_vip_is_up),
		TEST(one_without_the_vip_is_down),
		TEST(one_that_does_not_listen_there_is_down),
		TEST(one_that_fails_by_itself_is_not_asked_further),
		TEST(no_next_hop_is_our_own_trouble),
		TEST(an_address_that_is_the_vip_cannot_knock),
		TEST(where_nobody_asks_the_address_is_enough),
		TEST(a_chosen_source_is_knocked_from),
		TEST(a_change_in_the_middle_ends_it),
		TEST(the_vip_has_time_of_its_own),
		TEST(a_check_now_tells_of_the_vip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
