// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * VIPs on a veth pair in a network namespace of the test's own; the announcements are caught at the other
 * end. Needs root, and skips without.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../../loader/addr.h"
#include "../../loader/vip.h"

static char why_not[200];
static int ifindex;

#define NEEDS_ROOT() do { if (*why_not) skip(); } while (0)

static int sh(const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "{ %s; } >/dev/null 2>&1", command);
	return system(line);
}

static int setup(void **state)
{
	(void)state;
	if (geteuid())
		snprintf(why_not, sizeof(why_not), "not root");
	else if (unshare(CLONE_NEWNET) == -1)
		snprintf(why_not, sizeof(why_not), "no network namespace: %s", strerror(errno));
	else if (sh("ip link set lo up && ip link add va address 02:00:00:00:00:0a type veth peer name vb && "
		    "ip link set va up && ip link set vb up && ip address add 192.0.2.1/24 dev va && "
		    "ip address add 2001:db8:1::1/61 dev va nodad"))
		snprintf(why_not, sizeof(why_not), "no veth pair by ip(8)");
	if (*why_not)
		print_message("skipped: %s\n", why_not);
	ifindex = if_nametoindex("va");
	return 0;
}

static struct lb_addr addr(const char *text)
{
	struct lb_addr out;

	assert_int_equal(addr_parse(text, &out), 0);
	return out;
}

static void an_address_is_added_and_removed(const char *text, const char *seen)
{
	struct lb_addr vip = addr(text);
	char command[256];

	snprintf(command, sizeof(command), "ip -o address show dev va | grep -q '%s'", seen);
	assert_int_equal(vip_is_present(&vip), 0);
	assert_int_equal(vip_remove(ifindex, &vip), 0);
	assert_int_equal(vip_add(ifindex, &vip), 1);
	assert_int_equal(vip_is_present(&vip), 1);
	assert_int_equal(sh(command), 0);
	assert_int_equal(vip_add(ifindex, &vip), 0);
	assert_int_equal(vip_remove(ifindex, &vip), 0);
	assert_int_equal(vip_is_present(&vip), 0);
	assert_int_not_equal(sh(command), 0);
}

static void an_ipv4_vip_comes_and_goes(void **state)
{
	(void)state;
	NEEDS_ROOT();
	an_address_is_added_and_removed("192.0.2.25", "inet 192.0.2.25/32 scope global va");
}

static void an_ipv6_vip_comes_without_dad_and_never_as_a_source(void **state)
{
	(void)state;
	NEEDS_ROOT();
	an_address_is_added_and_removed("2001:db8:1::25",
					"inet6 2001:db8:1::25/128 scope global nodad deprecated .*valid_lft forever preferred_lft 0sec");
}

static void a_vip_on_another_interface_is_left_alone(void **state)
{
	struct lb_addr vip = { };

	(void)state;
	NEEDS_ROOT();
	vip = addr("198.51.100.1");
	assert_int_equal(sh("ip address add 198.51.100.1/32 dev lo"), 0);
	assert_int_equal(vip_add(ifindex, &vip), 0);
	assert_int_equal(vip_remove(ifindex, &vip), 0);
	assert_int_equal(vip_is_present(&vip), 1);
}

static void removing_takes_no_address_with_another_prefix(void **state)
{
	struct lb_addr own = { }, own6 = { };

	(void)state;
	NEEDS_ROOT();
	own = addr("192.0.2.1");
	own6 = addr("2001:db8:1::1");
	assert_int_equal(vip_remove(ifindex, &own), 0);
	assert_int_equal(vip_remove(ifindex, &own6), 0);
	assert_int_equal(vip_is_present(&own), 1);
	assert_int_equal(vip_is_present(&own6), 1);
}

static void an_interface_that_is_not_there_is_an_error(void **state)
{
	struct lb_addr vip = { };

	(void)state;
	NEEDS_ROOT();
	vip = addr("192.0.2.99");
	assert_int_equal(vip_add(9999, &vip), -ENODEV);
	assert_int_equal(vip_remove(9999, &vip), 0);
	assert_int_equal(vip_announce(9999, &vip), -ENODEV);
	assert_int_equal(vip_announce(if_nametoindex("lo"), &vip), -EOPNOTSUPP);
}

static void onlink_is_what_a_prefix_covers(void **state)
{
	static const struct { const char *addr; int onlink; } cases[] = {
		{ "192.0.2.254", 1 }, { "192.0.3.1", 0 }, { "198.51.100.1", 0 },
		{ "2001:db8:1:7::9", 1 }, { "2001:db8:1:8::9", 0 }, { "2001:db8:2::1", 0 },
	};
	struct lb_addr vip;

	(void)state;
	NEEDS_ROOT();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		vip = addr(cases[i].addr);
		assert_int_equal(vip_is_onlink(ifindex, &vip), cases[i].onlink);
		assert_int_equal(vip_is_onlink(if_nametoindex("lo"), &vip), 0);
	}
}

/* A VIP of full length says nothing about the link it was put on. */
static void a_vip_is_not_onlink_by_itself(void **state)
{
	struct lb_addr vip = { };

	(void)state;
	NEEDS_ROOT();
	vip = addr("203.0.113.1");
	assert_int_equal(vip_add(ifindex, &vip), 1);
	assert_int_equal(vip_is_onlink(ifindex, &vip), 0);
	assert_int_equal(vip_remove(ifindex, &vip), 0);
}

/* The first frame at the other end that is an announcement of vip by va. */
static ssize_t catch_announcement(const struct lb_addr *vip, uint8_t *frame, size_t size)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct timeval patience = { .tv_sec = 5 };
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, 0x0a };
	unsigned int len;
	const uint8_t *wire = addr_wire(vip, &len);
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	ssize_t n;

	assert_int_not_equal(fd, -1);
	ll.sll_ifindex = if_nametoindex("vb");
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(vip_announce(ifindex, vip), 0);
	do {
		n = recv(fd, frame, size, 0);
		assert_true(n > 0);
	} while (n < 42 || memcmp(frame + 6, mac, 6) ||
		 memcmp(frame + (len == 4 ? 28 : 22), wire, len));
	close(fd);
	return n;
}

static void an_ipv4_announcement_is_a_gratuitous_arp(void **state)
{
	static const uint8_t wanted[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0x0a, 8, 6,
		0, 1, 8, 0, 6, 4, 0, 1,
		2, 0, 0, 0, 0, 0x0a, 192, 0, 2, 25,
		0, 0, 0, 0, 0, 0, 192, 0, 2, 25,
	};
	struct lb_addr vip = { };
	uint8_t frame[256];

	(void)state;
	NEEDS_ROOT();
	vip = addr("192.0.2.25");
	assert_int_equal(catch_announcement(&vip, frame, sizeof(frame)), sizeof(wanted));
	assert_memory_equal(frame, wanted, sizeof(wanted));
}

static void an_ipv6_announcement_is_an_overriding_advertisement(void **state)
{
	static const uint8_t start[] = {
		0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x0a, 0x86, 0xdd,
		0x60, 0, 0, 0, 0, 32, 58, 255,
	};
	static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
	static const uint8_t option[] = { 2, 1, 2, 0, 0, 0, 0, 0x0a };
	struct lb_addr vip = { };
	uint8_t frame[256];
	uint32_t sum = 58 + 32;

	(void)state;
	NEEDS_ROOT();
	vip = addr("2001:db8:1::25");
	assert_int_equal(catch_announcement(&vip, frame, sizeof(frame)), 86);
	assert_memory_equal(frame, start, sizeof(start));
	assert_memory_equal(frame + 22, vip.bytes, 16);
	assert_memory_equal(frame + 38, all_nodes, 16);
	assert_int_equal(frame[54], 136);
	assert_memory_equal(frame + 58, "\x20\0\0\0", 4);
	assert_memory_equal(frame + 62, vip.bytes, 16);
	assert_memory_equal(frame + 78, option, sizeof(option));
	/* Both addresses and the message, word by word. */
	for (size_t i = 22; i < 86; i += 2) {
		sum += frame[i] << 8 | frame[i + 1];
		sum = sum > 0xffff ? sum - 0xffff : sum;
	}
	assert_int_equal(sum, 0xffff);
}

/* The proof of the pudding: the neighbour's cache follows. */
static void announcements_move_the_neighbours_entry(void **state)
{
	struct lb_addr vip = { };

	(void)state;
	NEEDS_ROOT();
	vip = addr("2001:db8:1::26");
	assert_int_equal(sh("ip neighbour replace 2001:db8:1::26 dev vb lladdr 02:00:00:00:00:ff nud reachable"), 0);
	assert_int_equal(vip_announce(ifindex, &vip), 0);
	for (int i = 0; i < 100; i++) {
		if (!sh("ip neighbour show dev vb | grep -q '2001:db8:1::26 lladdr 02:00:00:00:00:0a'"))
			return;
		usleep(20000);
	}
	fail_msg("the entry still has the old MAC");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv4_vip_comes_and_goes),
		cmocka_unit_test(an_ipv6_vip_comes_without_dad_and_never_as_a_source),
		cmocka_unit_test(a_vip_on_another_interface_is_left_alone),
		cmocka_unit_test(removing_takes_no_address_with_another_prefix),
		cmocka_unit_test(an_interface_that_is_not_there_is_an_error),
		cmocka_unit_test(onlink_is_what_a_prefix_covers),
		cmocka_unit_test(a_vip_is_not_onlink_by_itself),
		cmocka_unit_test(an_ipv4_announcement_is_a_gratuitous_arp),
		cmocka_unit_test(an_ipv6_announcement_is_an_overriding_advertisement),
		cmocka_unit_test(announcements_move_the_neighbours_entry),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
