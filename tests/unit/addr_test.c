/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses: text that is taken and text that is not, and the way there and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include "../../loader/addr.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct lb_addr parsed(const char *text)
{
	struct lb_addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static void ipv4_is_kept_as_mapped_ipv6(void **state)
{
	static const __u8 want[16] = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 25 };
	struct lb_addr addr = parsed("192.0.2.25");

	(void)state;
	assert_memory_equal(addr.bytes, want, 16);
	assert_true(addr_is_v4(&addr));
	addr = parsed("2001:db8::25");
	assert_false(addr_is_v4(&addr));
}

static void text_comes_back_in_its_canonical_form(void **state)
{
	static const char *const texts[][2] = {
		{ "10.0.0.1", "10.0.0.1" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "2001:DB8:0:0:0:0:0:25", "2001:db8::25" },
		{ "::", "::" },
		{ "2001:db8:ffff:ffff:ffff:ffff:255.255.255.255", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff" },
	};
	char buf[ADDR_STRLEN];

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct lb_addr addr = parsed(texts[i][0]);

		assert_string_equal(addr_to_str(&addr, buf), texts[i][1]);
	}
}

static void what_is_not_exactly_an_address_is_refused_and_writes_nothing(void **state)
{
	static const char *const texts[] = {
		"", " ", "10.0.0", "10.0.0.1 ", " 10.0.0.1", "10.0.0.256", "10.0.0.01", "0x0a.0.0.1", "10.0.0.1/24",
		"10.1", "167772161", "::ffff:10.0.0.1", "::FFFF:a00:1", "0:0:0:0:0:ffff:a00:1", "fe80::1%eth0", "2001:db8::/32",
		"2001:db8::1::2", "[2001:db8::1]", "2001:db8::12345", "mx.example.com", "10.0.0.1\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct lb_addr addr, before;

		memset(&addr, 0xa5, sizeof(addr));
		before = addr;
		if (addr_parse(texts[i], &addr) != -EINVAL)
			fail_msg("\"%s\" was taken", texts[i]);
		assert_memory_equal(&addr, &before, sizeof(addr));
	}
}

static void only_unicast_addresses_with_a_way_to_them_are_usable(void **state)
{
	static const struct { const char *text; bool usable; } cases[] = {
		{ "10.0.0.1", true }, { "192.0.2.25", true }, { "223.255.255.255", true }, { "169.253.0.1", true },
		{ "2001:db8::1", true }, { "fd00::11", true },
		{ "0.0.0.0", false }, { "0.1.2.3", false }, { "127.0.0.1", false }, { "127.255.0.1", false },
		{ "224.0.0.1", false }, { "239.1.1.1", false }, { "255.255.255.255", false }, { "169.254.1.1", false },
		{ "::", false }, { "::1", false }, { "ff02::1", false }, { "fe80::1", false }, { "febf::1", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct lb_addr addr = parsed(cases[i].text);

		if (addr_is_usable(&addr) != cases[i].usable)
			fail_msg("%s: usable is %d", cases[i].text, !cases[i].usable);
	}
}

static void equality_looks_at_all_sixteen_bytes(void **state)
{
	struct lb_addr a = parsed("2001:db8::1"), b = parsed("2001:db8::1");

	(void)state;
	assert_true(addr_equal(&a, &b));
	for (int i = 0; i < 16; i++) {
		b.bytes[i] ^= 1;
		assert_false(addr_equal(&a, &b));
		b.bytes[i] ^= 1;
	}
}

static void socket_addresses_are_of_the_right_family(void **state)
{
	struct lb_addr v4 = parsed("192.0.2.25"), v6 = parsed("2001:db8::25");
	struct sockaddr_storage ss;
	struct sockaddr_in *sin = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&ss;

	(void)state;
	assert_int_equal(addr_to_sockaddr(&v4, 587, &ss), sizeof(*sin));
	assert_int_equal(sin->sin_family, AF_INET);
	assert_int_equal(ntohs(sin->sin_port), 587);
	assert_int_equal(ntohl(sin->sin_addr.s_addr), 0xc0000219);
	assert_int_equal(addr_to_sockaddr(&v6, 25, &ss), sizeof(*sin6));
	assert_int_equal(sin6->sin6_family, AF_INET6);
	assert_int_equal(ntohs(sin6->sin6_port), 25);
	assert_memory_equal(&sin6->sin6_addr, v6.bytes, 16);
}

static void wire_bytes_come_back_as_the_same_address(void **state)
{
	static const char *const texts[] = { "192.0.2.25", "2001:db8::25" };

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct lb_addr addr = parsed(texts[i]), back;
		unsigned int len;
		const __u8 *wire = addr_wire(&addr, &len);

		assert_int_equal(len, i ? 16 : 4);
		addr_from_wire(i ? AF_INET6 : AF_INET, wire, &back);
		assert_true(addr_equal(&addr, &back));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_is_kept_as_mapped_ipv6),
		cmocka_unit_test(text_comes_back_in_its_canonical_form),
		cmocka_unit_test(what_is_not_exactly_an_address_is_refused_and_writes_nothing),
		cmocka_unit_test(only_unicast_addresses_with_a_way_to_them_are_usable),
		cmocka_unit_test(equality_looks_at_all_sixteen_bytes),
		cmocka_unit_test(socket_addresses_are_of_the_right_family),
		cmocka_unit_test(wire_bytes_come_back_as_the_same_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
