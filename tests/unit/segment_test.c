// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Segments as frames, byte for byte, against a slow checksum of the test's own. No privileges.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "../../loader/addr.h"
#include "../../loader/segment.h"

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

static struct segment end_of(const char *src, const char *dst)
{
	struct segment end = {
		.dst_mac = { 2, 0, 0, 0, 0, 1 }, .src_mac = { 2, 0, 0, 0, 0, 2 },
		.src_port = htons(25), .dst_port = htons(43210), .seq = 0x80000001, .ack = 0xfffffffe,
		.flags = SEGMENT_RST | SEGMENT_ACK, .ttl = 64,
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
	struct segment end = end_of("192.0.2.1", "198.51.100.200");
	uint8_t frame[SEGMENT_FRAME_LEN];

	(void)state;
	memset(frame, 0xee, sizeof(frame));
	assert_int_equal(segment_build(&end, frame), 54);
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
	struct segment end = end_of("2001:db8::1", "2001:db8:ffff:ffff::ffff");
	uint8_t frame[SEGMENT_FRAME_LEN];

	(void)state;
	assert_int_equal(segment_build(&end, frame), 74);
	assert_memory_equal(frame, start, sizeof(start));
	assert_memory_equal(frame + 22, end.src.bytes, 16);
	assert_memory_equal(frame + 38, end.dst.bytes, 16);
	assert_int_equal(slow_tcp_sum(frame + 22, 32, frame + 54), 0xffff);
	check_tcp_header(frame + 54);
}

/* Sums that carry once and twice, and those that come out as 0 or 0xffff, are among so many. */
static void checksums_hold_for_many_numbers(void **state)
{
	struct segment v4 = end_of("203.0.113.255", "255.255.255.254"), v6 = end_of("2001:db8::ffff", "2001:db8::1");
	uint8_t frame[SEGMENT_FRAME_LEN];
	uint32_t x = 1;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		x = x * 1664525 + 1013904223;
		v4.seq = v6.seq = x;
		v4.ack = v6.ack = ~x * 7;
		v4.src_port = v6.src_port = x >> 16;
		v4.dst_port = v6.dst_port = x >> 8;
		v6.src.bytes[7] = v4.src.bytes[15] = x >> 24;
		segment_build(&v4, frame);
		assert_int_equal(slow_sum(0, frame + 14, 20), 0xffff);
		assert_int_equal(slow_tcp_sum(frame + 26, 8, frame + 34), 0xffff);
		segment_build(&v6, frame);
		assert_int_equal(slow_tcp_sum(frame + 22, 32, frame + 54), 0xffff);
	}
}

static void a_syn_says_so_and_lives_for_one_hop(void **state)
{
	struct segment v4 = end_of("192.0.2.1", "192.0.2.25"), v6 = end_of("2001:db8::1", "2001:db8::25");
	uint8_t frame[SEGMENT_FRAME_LEN];

	(void)state;
	v4.flags = v6.flags = SEGMENT_SYN;
	v4.ttl = v6.ttl = 1;
	assert_int_equal(segment_build(&v4, frame), 54);
	assert_int_equal(frame[22], 1);
	assert_int_equal(frame[47], 0x02);
	assert_int_equal(slow_sum(0, frame + 14, 20), 0xffff);
	assert_int_equal(slow_tcp_sum(frame + 26, 8, frame + 34), 0xffff);
	assert_int_equal(segment_build(&v6, frame), 74);
	assert_int_equal(frame[21], 1);
	assert_int_equal(frame[67], 0x02);
	assert_int_equal(slow_tcp_sum(frame + 22, 32, frame + 54), 0xffff);
}

static void what_was_built_is_read(void **state)
{
	static const struct { int family; const char *src, *dst; size_t len; } cases[] = {
		{ AF_INET, "192.0.2.25", "10.0.0.1", 54 }, { AF_INET6, "2001:db8::25", "fd00:10::1", 74 },
	};
	uint8_t frame[SEGMENT_FRAME_LEN];

	(void)state;
	for (int i = 0; i < 2; i++) {
		for (int flags = 0; flags < 32; flags++) {
			struct segment in = end_of(cases[i].src, cases[i].dst), out;

			in.flags = flags & (SEGMENT_SYN | SEGMENT_RST | SEGMENT_ACK);
			assert_int_equal(segment_build(&in, frame), cases[i].len);
			assert_int_equal(segment_read(cases[i].family, frame + 14, cases[i].len - 14, &out), 0);
			memset(in.dst_mac, 0, 6);
			memset(in.src_mac, 0, 6);
			assert_memory_equal(&in, &out, sizeof(in));
		}
	}
}

static void what_is_no_segment_is_not_read(void **state)
{
	struct segment v4 = end_of("192.0.2.1", "192.0.2.25"), v6 = end_of("2001:db8::1", "2001:db8::25"), out;
	static const struct { int at; uint8_t value; } spoilt4[] = {
		{ 0, 0x65 }, { 0, 0x44 }, { 0, 0x40 }, { 0, 0x4f }, { 9, 17 }, { 6, 0x20 }, { 7, 1 },
	}, spoilt6[] = { { 0, 0x45 }, { 6, 17 }, { 6, 0 }, { 6, 44 } };
	uint8_t frame[SEGMENT_FRAME_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(spoilt4) / sizeof(spoilt4[0]); i++) {
		segment_build(&v4, frame);
		frame[14 + spoilt4[i].at] = spoilt4[i].value;
		assert_int_equal(segment_read(AF_INET, frame + 14, 40, &out), -EINVAL);
	}
	for (size_t i = 0; i < sizeof(spoilt6) / sizeof(spoilt6[0]); i++) {
		segment_build(&v6, frame);
		frame[14 + spoilt6[i].at] = spoilt6[i].value;
		assert_int_equal(segment_read(AF_INET6, frame + 14, 60, &out), -EINVAL);
	}
	/* every shorter one, each in memory of its own length: the sanitizer watches */
	for (size_t len = 0; len < 60; len++) {
		uint8_t *copy = malloc(len ? len : 1);

		segment_build(&v6, frame);
		memcpy(copy, frame + 14, len);
		assert_int_equal(segment_read(AF_INET6, copy, len, &out), -EINVAL);
		segment_build(&v4, frame);
		memcpy(copy, frame + 14, len < 40 ? len : 40);
		assert_int_equal(segment_read(AF_INET, copy, len < 40 ? len : 39, &out), -EINVAL);
		free(copy);
	}
}

static void options_are_skipped(void **state)
{
	struct segment in = end_of("192.0.2.1", "192.0.2.25"), out;
	uint8_t frame[SEGMENT_FRAME_LEN], packet[60] = {};

	(void)state;
	segment_build(&in, frame);
	memcpy(packet, frame + 14, 20);
	packet[0] = 0x4a;	/* 40 bytes */
	memcpy(packet + 40, frame + 34, 20);
	assert_int_equal(segment_read(AF_INET, packet, 60, &out), 0);
	assert_int_equal(out.seq, in.seq);
	assert_int_equal(out.src_port, in.src_port);
	assert_int_equal(segment_read(AF_INET, packet, 59, &out), -EINVAL);
}

static void sending_reports_what_went_wrong(void **state)
{
	uint8_t frame[SEGMENT_FRAME_LEN] = {};

	(void)state;
	assert_int_equal(segment_send(-1, 1, frame, 54), -EBADF);
	assert_int_equal(segment_send(-1, 1, frame, 13), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv4_rst_is_54_good_bytes),
		cmocka_unit_test(an_ipv6_rst_is_74_good_bytes),
		cmocka_unit_test(checksums_hold_for_many_numbers),
		cmocka_unit_test(a_syn_says_so_and_lives_for_one_hop),
		cmocka_unit_test(what_was_built_is_read),
		cmocka_unit_test(what_is_no_segment_is_not_read),
		cmocka_unit_test(options_are_skipped),
		cmocka_unit_test(sending_reports_what_went_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
