// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Next hops against the real kernel: a veth pair between two network namespaces of the test's own, fresh for
 * every test; "home" is where we look from, "away" answers ARP and neighbour solicitations. Needs
 * root, and skips without.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../../loader/addr.h"
#include "../../loader/nexthop.h"
#include "descriptors.h"
#include "event_loop.h"

static const __u8 mac_home[] = { 2, 0, 0, 0, 0, 0x0a }, mac_away[] = { 2, 0, 0, 0, 0, 0x0b };

static char why_not[200];

struct watcher {
	struct nexthops *nh;
	int changed;
	bool close;
};

static struct watcher watcher;
static int origin = -1, home = -1, away = -1;

#define NEEDS_ROOT() do { if (*why_not) skip(); } while (0)

static int sh(const char *command)
{
	char line[1024];

	snprintf(line, sizeof(line), "{ %s; } >/dev/null 2>&1", command);
	return system(line);
}

static int sh_away(const char *command)
{
	int rc;

	if (setns(away, CLONE_NEWNET) == -1)
		return -1;
	rc = sh(command);
	return setns(home, CLONE_NEWNET) == -1 ? -1 : rc;
}

static int new_netns(void)
{
	return unshare(CLONE_NEWNET) == -1 ? -1 : open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static void on_changed(void *arg)
{
	struct watcher *w = arg;

	w->changed++;
	if (w->close) {
		nexthops_close(w->nh);
		w->nh = NULL;
	}
}

static int group_setup(void **state)
{
	(void)state;
	origin = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (geteuid())
		snprintf(why_not, sizeof(why_not), "not root");
	else if (origin == -1 || unshare(CLONE_NEWNET) == -1)
		snprintf(why_not, sizeof(why_not), "no network namespace: %s", strerror(errno));
	else if (sh("ip link add va type veth peer name vb"))
		snprintf(why_not, sizeof(why_not), "no veth pair by ip(8)");
	if (*why_not)
		print_message("skipped: %s\n", why_not);
	return 0;
}

static int setup(void **state)
{
	char command[200];

	(void)state;
	if (*why_not)
		return 0;
	away = new_netns();
	home = new_netns();
	snprintf(command, sizeof(command), "ip link add va address 02:00:00:00:00:0a type veth "
		 "peer name vb address 02:00:00:00:00:0b netns /proc/%d/fd/%d", getpid(), away);
	if (away == -1 || home == -1 || sh(command))
		return -1;
	/* Link-local addresses by hand: the kernel's own come with an event when their DAD ends. */
	if (sh_away("ip link set lo up && ip link set vb addrgenmode none && ip link set vb up && "
		    "ip address add 192.0.2.2/24 dev vb && ip address add 192.0.2.3/24 dev vb && "
		    "ip address add 2001:db8::2/64 dev vb nodad && ip address add fe80::2/64 dev vb nodad"))
		return -1;
	if (sh("ip link set lo up && ip link set va addrgenmode none && ip link set va up && "
	       "ip address add 192.0.2.1/24 dev va && ip address add 2001:db8::1/64 dev va nodad && "
	       "ip address add fe80::1/64 dev va nodad"))
		return -1;
	/* The kernel tells of a carrier when it finds the time, up to a second later: it must not tell us in mid-test. */
	if (sh("until ip link show dev va | grep -q 'state UP'; do :; done") ||
	    sh_away("until ip link show dev vb | grep -q 'state UP'; do :; done"))
		return -1;
	memset(&watcher, 0, sizeof(watcher));
	if (sd_event_new(&event) < 0 || nexthops_open(event, on_changed, &watcher, &watcher.nh))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (*why_not)
		return 0;
	nexthops_close(watcher.nh);
	event = sd_event_unref(event);
	setns(origin, CLONE_NEWNET);
	close(home);
	close(away);
	return 0;
}

static struct lb_addr addr(const char *text)
{
	struct lb_addr out;

	assert_int_equal(addr_parse(text, &out), 0);
	return out;
}

/* As a caller does: look, wait for changed(), look again. Returns the result of the last look. */
static int look_until(const char *dst, bool (*good)(const struct nexthop *hop), struct nexthop *hop)
{
	struct lb_addr a = addr(dst);
	__u64 end = now_ms() + DEADLINE_MS;
	int err, changed;

	for (;;) {
		changed = watcher.changed;
		err = nexthop_lookup(watcher.nh, &a, hop);
		if (!err && good(hop))
			return 0;
		while (watcher.changed == changed) {
			if (now_ms() > end)
				fail_msg("%s: no good answer, the last was %d", dst, err);
			assert_true(sd_event_run(event, 100000) >= 0);
		}
	}
}

static bool is_resolved(const struct nexthop *hop)
{
	return hop->resolved;
}

static bool is_unresolved(const struct nexthop *hop)
{
	return !hop->resolved;
}

static void settle(void)
{
	run_for(60);	/* what the set-up itself caused */
	watcher.changed = 0;
}

static void assert_hop(const struct nexthop *hop, const char *gateway)
{
	struct lb_addr gw = addr(gateway);

	assert_true(hop->resolved);
	assert_int_equal(hop->ifindex, if_nametoindex("va"));
	assert_memory_equal(hop->src_mac, mac_home, 6);
	assert_memory_equal(hop->dst_mac, mac_away, 6);
	assert_memory_equal(hop->gateway.bytes, gw.bytes, 16);
}

static void a_backend_on_the_link_is_its_own_next_hop(void **state)
{
	struct nexthop hop = {};
	struct lb_addr dst = {};

	(void)state;
	NEEDS_ROOT();
	dst = addr("192.0.2.2");
	assert_int_equal(nexthop_lookup(watcher.nh, &dst, &hop), 0);
	assert_false(hop.resolved);
	assert_int_equal(hop.ifindex, if_nametoindex("va"));
	look_until("192.0.2.2", is_resolved, &hop);
	assert_hop(&hop, "192.0.2.2");
	look_until("2001:db8::2", is_resolved, &hop);
	assert_hop(&hop, "2001:db8::2");
}

static void a_gateway_is_followed(void **state)
{
	struct nexthop hop = {};

	(void)state;
	NEEDS_ROOT();
	assert_int_equal(sh("ip route add 198.51.100.0/24 via 192.0.2.2; ip route add 2001:db8:f::/48 via 2001:db8::2"), 0);
	look_until("198.51.100.7", is_resolved, &hop);
	assert_hop(&hop, "192.0.2.2");
	look_until("2001:db8:f::7", is_resolved, &hop);
	assert_hop(&hop, "2001:db8::2");
}

static void an_ipv4_route_may_lead_through_an_ipv6_gateway(void **state)
{
	struct nexthop hop = {};

	(void)state;
	NEEDS_ROOT();
	assert_int_equal(sh("ip route add 203.0.113.0/24 via inet6 fe80::2 dev va"), 0);
	look_until("203.0.113.9", is_resolved, &hop);
	assert_true(hop.resolved);
	assert_memory_equal(hop.dst_mac, mac_away, 6);
	assert_int_equal(hop.gateway.bytes[0], 0xfe);
	assert_int_equal(hop.gateway.bytes[15], 2);
}

static void the_kernel_is_asked_to_keep_it_until_release(void **state)
{
	struct lb_addr dst = {}, second = {};
	struct nexthop hop = {};

	(void)state;
	NEEDS_ROOT();
	dst = addr("192.0.2.2");
	second = addr("198.51.100.7");
	assert_int_equal(sh("ip route add 198.51.100.0/24 via 192.0.2.2"), 0);
	look_until("192.0.2.2", is_resolved, &hop);
	look_until("198.51.100.7", is_resolved, &hop);
	assert_int_equal(sh("ip neighbour show to 192.0.2.2 dev va | grep -q managed"), 0);
	/* Two go this way: the first to leave changes nothing. */
	nexthop_release(watcher.nh, &dst);
	assert_int_equal(sh("ip neighbour show to 192.0.2.2 dev va | grep -q managed"), 0);
	nexthop_release(watcher.nh, &second);
	assert_int_not_equal(sh("ip neighbour show to 192.0.2.2 dev va | grep -q managed"), 0);
	nexthop_release(watcher.nh, &second);
}

static void an_entry_that_was_there_already_is_kept_too(void **state)
{
	struct nexthop hop = {};

	(void)state;
	NEEDS_ROOT();
	assert_int_equal(sh("ip neighbour replace 192.0.2.2 dev va lladdr 02:00:00:00:00:0b nud stale"), 0);
	look_until("192.0.2.2", is_resolved, &hop);
	assert_hop(&hop, "192.0.2.2");
	assert_int_equal(sh("ip neighbour show to 192.0.2.2 dev va | grep -q managed"), 0);
}

static void a_permanent_neighbour_is_never_touched(void **state)
{
	struct lb_addr dst = {};
	struct nexthop hop = {};

	(void)state;
	NEEDS_ROOT();
	dst = addr("192.0.2.77");
	assert_int_equal(sh("ip neighbour replace 192.0.2.77 dev va lladdr 02:00:00:00:00:77 nud permanent"), 0);
	assert_int_equal(nexthop_lookup(watcher.nh, &dst, &hop), 0);
	assert_true(hop.resolved);
	assert_int_equal(hop.dst_mac[5], 0x77);
	assert_int_equal(sh("ip neighbour show to 192.0.2.77 dev va | grep -q 'lladdr 02:00:00:00:00:77 PERMANENT'"), 0);
	nexthop_release(watcher.nh, &dst);
	assert_int_equal(sh("ip neighbour show to 192.0.2.77 dev va | grep -q 'lladdr 02:00:00:00:00:77 PERMANENT'"), 0);
}

/* Also when it became permanent only after we had asked for it. */
static void a_neighbour_made_permanent_later_is_left_alone(void **state)
{
	struct lb_addr dst = {};
	struct nexthop hop = {};

	(void)state;
	NEEDS_ROOT();
	dst = addr("192.0.2.2");
	look_until("192.0.2.2", is_resolved, &hop);
	assert_int_equal(sh("ip neighbour replace 192.0.2.2 dev va lladdr 02:00:00:00:00:0b nud permanent"), 0);
	nexthop_release(watcher.nh, &dst);
	assert_int_equal(sh("ip neighbour show to 192.0.2.2 dev va | grep -q PERMANENT"), 0);
}

static void without_a_route_it_says_so(void **state)
{
	struct lb_addr dst = {};
	struct nexthop hop = { .ifindex = 4711 };

	(void)state;
	NEEDS_ROOT();
	dst = addr("198.51.100.1");
	assert_int_equal(nexthop_lookup(watcher.nh, &dst, &hop), -ENETUNREACH);
	dst = addr("2001:db8:ff::1");
	assert_int_equal(nexthop_lookup(watcher.nh, &dst, &hop), -ENETUNREACH);
	assert_int_equal(sh("ip route add blackhole 203.0.113.1; ip route add unreachable 203.0.113.2; "
			    "ip route add prohibit 203.0.113.3; ip route add blackhole 2001:db8:fe::1"), 0);
	for (int i = 1; i <= 3; i++) {
		dst = addr("203.0.113.0");
		dst.bytes[15] = i;
		assert_int_equal(nexthop_lookup(watcher.nh, &dst, &hop), -ENETUNREACH);
	}
	dst = addr("2001:db8:fe::1");
	assert_int_equal(nexthop_lookup(watcher.nh, &dst, &hop), -ENETUNREACH);
	assert_int_equal(hop.ifindex, 4711);
}

static void our_own_address_is_no_next_hop(void **state)
{
	static const char *const own[] = { "192.0.2.1", "2001:db8::1", "192.0.2.255" };
	struct nexthop hop = {};
	struct lb_addr dst;

	(void)state;
	NEEDS_ROOT();
	for (size_t i = 0; i < 3; i++) {
		dst = addr(own[i]);
		assert_int_equal(nexthop_lookup(watcher.nh, &dst, &hop), -EINVAL);
	}
	settle();
	run_for(1500);
	assert_int_equal(watcher.changed, 0);
}

static void a_route_that_comes_is_noticed(void **state)
{
	struct lb_addr dst = {};
	struct nexthop hop = {};
	__u64 start;

	(void)state;
	NEEDS_ROOT();
	dst = addr("198.51.100.7");
	assert_int_equal(nexthop_lookup(watcher.nh, &dst, &hop), -ENETUNREACH);
	settle();
	assert_int_equal(sh("ip route add 198.51.100.0/24 via 192.0.2.2"), 0);
	start = now_ms();
	RUN_UNTIL(watcher.changed);
	assert_true(now_ms() - start < 500);
	look_until("198.51.100.7", is_resolved, &hop);
	assert_hop(&hop, "192.0.2.2");
	assert_int_equal(sh("ip route replace 198.51.100.0/24 via 192.0.2.3"), 0);
	run_for(100);
	look_until("198.51.100.7", is_resolved, &hop);
	assert_hop(&hop, "192.0.2.3");
	/* The gateway that nobody needs any more is let go. */
	assert_int_not_equal(sh("ip neighbour show to 192.0.2.2 dev va | grep -q managed"), 0);
}

static void a_new_mac_of_the_neighbour_is_noticed(void **state)
{
	struct nexthop hop = {};

	(void)state;
	NEEDS_ROOT();
	look_until("192.0.2.2", is_resolved, &hop);
	settle();
	assert_int_equal(sh("ip neighbour replace 192.0.2.2 dev va lladdr 02:00:00:00:00:cc nud reachable"), 0);
	run_for(100);
	assert_true(watcher.changed);
	look_until("192.0.2.2", is_resolved, &hop);
	assert_int_equal(hop.dst_mac[5], 0xcc);
}

static void our_own_new_mac_is_noticed(void **state)
{
	struct nexthop hop = {};

	(void)state;
	NEEDS_ROOT();
	look_until("192.0.2.2", is_resolved, &hop);
	settle();
	assert_int_equal(sh("ip link set va address 02:00:00:00:00:dd"), 0);
	run_for(100);
	assert_true(watcher.changed);
	look_until("192.0.2.2", is_resolved, &hop);
	assert_int_equal(hop.src_mac[5], 0xdd);
}

static void after_a_link_flap_it_is_resolved_and_kept_again(void **state)
{
	struct nexthop hop = {};

	(void)state;
	NEEDS_ROOT();
	look_until("192.0.2.2", is_resolved, &hop);
	settle();
	assert_int_equal(sh_away("ip link set vb down"), 0);
	look_until("192.0.2.2", is_unresolved, &hop);
	assert_int_equal(sh_away("ip link set vb up"), 0);
	look_until("192.0.2.2", is_resolved, &hop);
	assert_hop(&hop, "192.0.2.2");
	run_for(50);
	assert_int_equal(sh("ip neighbour show to 192.0.2.2 dev va | grep -q managed"), 0);
}

static void other_peoples_neighbours_and_routes_do_not_wake_us(void **state)
{
	struct nexthop hop = {};

	(void)state;
	NEEDS_ROOT();
	look_until("192.0.2.2", is_resolved, &hop);
	settle();
	assert_int_equal(sh("for i in $(seq 100 150); do ip neighbour replace 192.0.2.$i dev va lladdr 02:00:00:00:01:00 "
			    "nud reachable; done; ip route add 10.0.0.0/8 via 192.0.2.2; "
			    "ip route add 2001:db8:aa::/48 via 2001:db8::2"), 0);
	run_for(200);
	assert_int_equal(watcher.changed, 0);
	/* Nor do our own neighbour's steps from one good state to another. */
	assert_int_equal(sh("ip neighbour change 192.0.2.2 dev va lladdr 02:00:00:00:00:0b nud stale; "
			    "ip neighbour change 192.0.2.2 dev va lladdr 02:00:00:00:00:0b nud reachable"), 0);
	run_for(200);
	assert_int_equal(watcher.changed, 0);
}

/* A neighbour that never answers: once a second, and no storm from the events of our own asking. */
static void an_unresolved_neighbour_is_retried_once_a_second(void **state)
{
	struct lb_addr dst = {};
	struct nexthop hop = {};
	__u64 end;
	int changed = 0;

	(void)state;
	NEEDS_ROOT();
	settle();
	dst = addr("192.0.2.99");
	for (end = now_ms() + 3500; now_ms() < end;) {
		if (changed == watcher.changed || !changed)
			assert_int_equal(nexthop_lookup(watcher.nh, &dst, &hop), 0);
		changed = watcher.changed;
		assert_false(hop.resolved);
		sd_event_run(event, 50000);
	}
	assert_in_range(watcher.changed, 2, 5);
	nexthop_release(watcher.nh, &dst);
	settle();
	run_for(1500);
	assert_int_equal(watcher.changed, 0);
}

static void many_events_are_one_change(void **state)
{
	struct nexthop hop = {};

	(void)state;
	NEEDS_ROOT();
	look_until("192.0.2.2", is_resolved, &hop);
	settle();
	assert_int_equal(sh("for i in $(seq 1 50); do ip address add 192.0.2.$((i + 100))/32 dev va; done"), 0);
	run_for(100);
	/* They have all waited in the socket: one reading, one change. */
	assert_int_equal(watcher.changed, 1);
}

static void lost_events_count_as_a_change(void **state)
{
	struct nexthop hop = {};
	FILE *batch;

	(void)state;
	NEEDS_ROOT();
	look_until("192.0.2.2", is_resolved, &hop);
	settle();
	/* None of these matters by itself; together they are too many for the socket. */
	batch = popen("ip -batch - >/dev/null 2>&1", "w");
	assert_non_null(batch);
	for (int i = 0; i < 20000; i++)
		fprintf(batch, "route add 10.%d.%d.0/24 dev va\n", i / 250, i % 250);
	assert_int_equal(pclose(batch), 0);
	run_for(200);
	assert_true(watcher.changed >= 1);
}

static void changed_may_close_the_watcher(void **state)
{
	struct nexthop hop = {};

	(void)state;
	NEEDS_ROOT();
	look_until("192.0.2.2", is_resolved, &hop);
	watcher.close = true;
	assert_int_equal(sh("ip link set va mtu 1400"), 0);
	run_for(200);
	assert_null(watcher.nh);
}

static void opening_and_closing_leaks_no_descriptor(void **state)
{
	struct nexthops *nh;
	int fds;

	(void)state;
	NEEDS_ROOT();
	fds = open_descriptors("");
	for (int i = 0; i < 20; i++) {
		assert_int_equal(nexthops_open(event, on_changed, &watcher, &nh), 0);
		nexthops_close(nh);
	}
	assert_int_equal(open_descriptors(""), fds);
	nexthops_close(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_backend_on_the_link_is_its_own_next_hop),
		TEST(a_gateway_is_followed),
		TEST(an_ipv4_route_may_lead_through_an_ipv6_gateway),
		TEST(the_kernel_is_asked_to_keep_it_until_release),
		TEST(an_entry_that_was_there_already_is_kept_too),
		TEST(a_permanent_neighbour_is_never_touched),
		TEST(a_neighbour_made_permanent_later_is_left_alone),
		TEST(without_a_route_it_says_so),
		TEST(our_own_address_is_no_next_hop),
		TEST(a_route_that_comes_is_noticed),
		TEST(a_new_mac_of_the_neighbour_is_noticed),
		TEST(our_own_new_mac_is_noticed),
		TEST(after_a_link_flap_it_is_resolved_and_kept_again),
		TEST(other_peoples_neighbours_and_routes_do_not_wake_us),
		TEST(an_unresolved_neighbour_is_retried_once_a_second),
		TEST(many_events_are_one_change),
		TEST(lost_events_count_as_a_change),
		TEST(changed_may_close_the_watcher),
		TEST(opening_and_closing_leaks_no_descriptor),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
