// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RST frames, byte for byte, against a slow checksum of the test's own. No privileges.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include "../../loader/addr.h"
#include "../../loader/rst.h"

/* RFC 1071 read literally: 16-bit big-endian words, one at a time, the carry brought round at once. */
static uint16_t slow_sum(uint16_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2) {
		uint32_t wide = sum + (p[i] << 8 | p[i + 1]);

		sum = wide > 0xffff ? wide - 0xffff : wide;
	}
	return sum;
}

static uint16_t slow_tcp_sum(const uint8_t *addrs, size_t addrs_len, const uint8_t *tcp)
{
	const uint8_t tail[] = { 0, 6, 0, 20 };	/* protocol, length */
	uint16_t sum = slow_sum(0, addrs, addrs_len);

	sum = slow_sum(sum, tail, sizeof(tail));
	return slow_sum(sum, tcp, 20);
}

static struct rst_end end_of(const char *src, const char *dst)
{
	struct rst_end end = {
		.dst_mac = { 2, 0, 0, 0, 0, 1 }, .src_mac = { 2, 0, 0, 0, 0, 2 },
		.src_port = htons(25), .dst_port = htons(43210), .seq = 0x80000001, .ack = 0xfffffffe,
	};

	assert_int_equal(addr_parse(src, &end.src), 0);
	assert_int_equal(addr_parse(dst, &end.dst), 0);
	return end;
}

static void check_tcp_header(const uint8_t *tcp)
{
	static const uint8_t wanted[16] = {
		0, 25, 0xa8, 0xca, 0x80, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe, 0x50, 0x14, 0, 0,
	};

	assert_memory_equal(tcp, wanted, sizeof(wanted));
	assert_memory_equal(tcp + 18, "\0\0", 2);
}

static void an_ipv4_rst_is_54_good_bytes(void **state)
{
	static const uint8_t start[] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
		0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6,
	};
	struct rst_end end = end_of("192.0.2.1", "198.51.100.200");
	uint8_t frame[RST_FRAME_LEN];

	(void)state;
	memset(frame, 0xee, sizeof(frame));
	assert_int_equal(rst_build(&end, frame), 54);
	assert_memory_equal(frame, start, sizeof(start));
	assert_memory_equal(frame + 26, "\xc0\x00\x02\x01\xc6\x33\x64\xc8", 8);
	assert_int_equal(slow_sum(0, frame + 14, 20), 0xffff);
	assert_int_equal(slow_tcp_sum(frame + 26, 8, frame + 34), 0xffff);
	check_tcp_header(frame + 34);
	assert_int_equal(frame[54], 0xee);
}

static void an_ipv6_rst_is_74_good_bytes(void **state)
{
	static const uint8_t start[] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd,
		0x60, 0, 0, 0, 0, 20, 6, 64,
	};
	struct rst_end end = end_of("2001:db8::1", "2001:db8:ffff:ffff::ffff");
	uint8_t frame[RST_FRAME_LEN];

	(void)state;
	assert_int_equal(rst_build(&end, frame), 74);
	assert_memory_equal(frame, start, sizeof(start));
	assert_memory_equal(frame + 22, end.src.bytes, 16);
	assert_memory_equal(frame + 38, end.dst.bytes, 16);
	assert_int_equal(slow_tcp_sum(frame + 22, 32, frame + 54), 0xffff);
	check_tcp_header(frame + 54);
}

/* Sums that carry once and twice, and those that come out as 0 or 0xffff, are among so many. */
static void checksums_hold_for_many_numbers(void **state)
{
	struct rst_end v4 = end_of("203.0.113.255", "255.255.255.254"), v6 = end_of("2001:db8::ffff", "2001:db8::1");
	uint8_t frame[RST_FRAME_LEN];
	uint32_t x = 1;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		x = x * 1664525 + 1013904223;
		v4.seq = v6.seq = x;
		v4.ack = v6.ack = ~x * 7;
		v4.src_port = v6.src_port = x >> 16;
		v4.dst_port = v6.dst_port = x >> 8;
		v6.src.bytes[7] = v4.src.bytes[15] = x >> 24;
		rst_build(&v4, frame);
		assert_int_equal(slow_sum(0, frame + 14, 20), 0xffff);
		assert_int_equal(slow_tcp_sum(frame + 26, 8, frame + 34), 0xffff);
		rst_build(&v6, frame);
		assert_int_equal(slow_tcp_sum(frame + 22, 32, frame + 54), 0xffff);
	}
}

static void sending_reports_what_went_wrong(void **state)
{
	uint8_t frame[RST_FRAME_LEN] = {};

	(void)state;
	assert_int_equal(rst_send(-1, 1, frame, 54), -EBADF);
	assert_int_equal(rst_send(-1, 1, frame, 13), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv4_rst_is_54_good_bytes),
		cmocka_unit_test(an_ipv6_rst_is_74_good_bytes),
		cmocka_unit_test(checksums_hold_for_many_numbers),
		cmocka_unit_test(sending_reports_what_went_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
