/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpf/parse.h, compiled for the host: what it says of good packets, and that no bytes whatever make it read
 * beyond them. Every frame lies in a heap buffer of its exact size, so that the sanitizer sees the first byte too many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h> /* before linux/in.h: then the two agree */
#include <bpf/bpf_endian.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../bpf/lb_abi.h"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpointer-arith" /* clang's dialect for BPF */
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#include "../../bpf/parse.h"
#pragma GCC diagnostic pop
#include "../bpf/dice.h"
#include "../bpf/pkt.h"

#define ROUNDS 400000

static int plain_n;	/* packets that the fast path takes by itself */

static int parse(const struct frame *f, struct lb_pkt *pkt)
{
	__u8 *room = malloc(f->len + 2), *data = room + 2; /* so that IP lies on four bytes, as drivers see to */
	struct lb_pkt plain = {};
	int v, fast;

	assert_non_null(room);
	memcpy(data, f->bytes, f->len);
	memset(pkt, 0, sizeof(*pkt));
	v = parse_packet(data, data + f->len, pkt, PARSE_ALL);
	assert_in_range(v, LB_NEXT, LB_VERDICT_MAX - 1);
	/* the fast path's parser leaves a packet to this one, or says the same */
	fast = parse_packet(data, data + f->len, &plain, PARSE_PLAIN);
	if (fast != PARSE_NOT_PLAIN) {
		assert_int_equal(fast, v);
		if (v == LB_NEXT)
			assert_memory_equal(&plain, pkt, sizeof(plain));
		plain_n++;
	}
	if (v == LB_NEXT) {
		assert_ptr_equal(pkt->eth, data);
		assert_ptr_equal(pkt->l3, data + pkt->l3_off);
		assert_ptr_equal(pkt->l4, data + pkt->l4_off);
		assert_ptr_equal(pkt->end, data + f->len);
		assert_in_range(pkt->l3_off, 14, 22);
		assert_true(pkt->l4_off >= pkt->l3_off + (pkt->l3_kind == LB_IPV4 ? 20 : 40));
		assert_in_range(pkt->frag, LB_FRAG_NONE, LB_FRAG_LATER);
		if (pkt->proto == IPPROTO_TCP && pkt->frag != LB_FRAG_LATER) {
			assert_true(pkt->l4_off + 4 <= f->len);
			if (!pkt->broken)
				assert_true(pkt->l4_off + 20 <= f->len);
		}
		assert_int_equal(!!pkt->partial, f->len - pkt->l3_off < pkt->bytes);
		assert_true(pkt->payload <= pkt->bytes);
	}
	free(room);
	return v;
}

static struct pkt some(int family)
{
	return (struct pkt) {
		.family = family, .from_mac = mac_gw, .to_mac = mac_lb, .src = client_a(family),
		.dst = svc_mx(family, LB_MODE_NAT), .sport = 40001, .dport = 587, .seq = 0xfedcba98, .ack = 0x12345678,
		.flags = ACK | PSH, .ttl = 57, .payload = 33, .id = 0x4711,
	};
}

static void every_fact_of_a_good_packet_is_told(void **state)
{
	static const char *const chains[] = { NULL, "h", "d", "r", "a", "hdra", "hdrdad" };
	static const size_t lens[] = { 0, 8, 16, 24, 8, 56, 88 };
	static struct frame f;
	struct lb_pkt got;

	(void)state;
	for (int family = V4; family <= V6; family++) {
		for (int vlans = 0; vlans < 3; vlans++) {
			for (size_t k = 0; k < COUNT(chains); k++) {
				struct pkt p = some(family);
				size_t l3 = 14 + vlans * 4, hlen = family == V4 ? 20 + k * 4 : 40 + lens[k];

				p.vlans = vlans;
				p.ip_options = family == V4 ? k * 4 : 0;
				p.extensions = family == V6 ? chains[k] : NULL;
				p.tcp_options = k * 4;
				pkt_build(&f, &p);
				assert_int_equal(parse(&f, &got), LB_NEXT);
				assert_memory_equal(&got.src, &p.src, 16);
				assert_memory_equal(&got.dst, &p.dst, 16);
				assert_int_equal(got.src_port, 40001);
				assert_int_equal(got.dst_port, 587);
				assert_int_equal(got.seq, 0xfedcba98);
				assert_int_equal(got.ack, 0x12345678);
				assert_int_equal(got.tcp_flags, ACK | PSH);
				assert_int_equal(got.payload, 33);
				assert_int_equal(got.bytes, f.len - l3);
				assert_int_equal(got.l3_off, l3);
				assert_int_equal(got.l4_off, l3 + hlen);
				assert_int_equal(got.l3_kind, family == V4 ? LB_IPV4 : LB_IPV6);
				assert_int_equal(got.ttl, 57);
				assert_int_equal(got.proto, IPPROTO_TCP);
				assert_int_equal(got.frag + got.broken + got.partial, 0);
			}
		}
	}
}

static void fragments_are_told_apart(void **state)
{
	static struct frame f;
	struct lb_pkt got, again;

	(void)state;
	for (int family = V4; family <= V6; family++) {
		struct pkt p = some(family);

		p.payload = 1000;
		pkt_build_fragment(&f, &p, 0, 512);
		assert_int_equal(parse(&f, &got), LB_NEXT);
		assert_int_equal(got.frag, LB_FRAG_FIRST);
		assert_int_equal(got.dst_port, 587);
		pkt_build_fragment(&f, &p, 512, 256);
		assert_int_equal(parse(&f, &again), LB_NEXT);
		assert_int_equal(again.frag, LB_FRAG_LATER);
		assert_int_equal(again.frag_id, got.frag_id);
		pkt_build_fragment(&f, &p, 768, 252);
		assert_int_equal(parse(&f, &again), LB_NEXT);
		assert_int_equal(again.frag, LB_FRAG_LATER);
		p.id++;
		pkt_build_fragment(&f, &p, 0, 512);
		assert_int_equal(parse(&f, &again), LB_NEXT);
		assert_int_not_equal(again.frag_id, got.frag_id);
	}
}

/* A packet cut at every length: never more than a verdict, never a read beyond. */
static void a_packet_may_be_cut_anywhere(void **state)
{
	static struct frame f;
	struct lb_pkt got;

	(void)state;
	for (int family = V4; family <= V6; family++) {
		struct pkt p = some(family);
		__u32 whole, l4;

		p.vlans = 2;
		p.extensions = "hdra";
		p.ip_options = family == V4 ? 40 : 0;
		p.tcp_options = 40;
		pkt_build(&f, &p);
		whole = f.len;
		l4 = whole - 20 - 40 - 33;
		for (f.len = 0; f.len < whole; f.len++) {
			int v = parse(&f, &got);

			if (f.len < l4 + 4)
				assert_true(v == LB_PASS_NOT_IP || v == LB_PASS_MALFORMED);
			else
				assert_int_equal(v, LB_NEXT);
			if (f.len >= l4 + 4)
				assert_int_equal(got.broken, f.len < l4 + 20);
		}
	}
}

/* Good packets with random damage, and pure noise with a plausible beginning. */
static void no_bytes_whatever_lead_beyond_the_frame(void **state)
{
	static const char *const chains[] = { "h", "a", "hdra", "rrrrrr", "hhhhhhhh" };
	static struct frame f;
	__u32 verdicts[LB_VERDICT_MAX] = {};
	struct lb_pkt got;

	(void)state;
	dice_seed(0x6d61696c78647003);
	for (int i = 0; i < ROUNDS; i++) {
		struct pkt p = some(dice_below(2));

		p.vlans = dice_below(4);
		p.payload = dice_below(40);
		p.ip_options = p.family == V4 ? dice_below(11) * 4 : 0;
		p.tcp_options = dice_below(11) * 4;
		p.extensions = p.family == V6 && dice_hit(2) ? chains[dice_below(COUNT(chains))] : NULL;
		p.protocol = dice_hit(3) ? dice() : 0;
		pkt_build(&f, &p);
		if (dice_hit(4))
			for (__u32 b = 14 + p.vlans * 4 + dice_below(60); b < f.len; b++)
				f.bytes[b] = dice();
		for (__u32 n = dice_below(6); n; n--)
			f.bytes[12 + dice_below(f.len - 12)] = dice_hit(3) ? 0xff : dice();
		if (dice_hit(2))
			f.len = dice_below(f.len + 1);
		verdicts[parse(&f, &got)]++;
	}
	/* the noise was worth the while: all that the parser can say came up */
	assert_true(plain_n > 1000);
	assert_true(verdicts[LB_NEXT] > 1000);
	assert_true(verdicts[LB_PASS_NOT_IP] > 1000);
	assert_true(verdicts[LB_PASS_NOT_TCP] > 1000);
	assert_true(verdicts[LB_PASS_MALFORMED] > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fact_of_a_good_packet_is_told),
		cmocka_unit_test(fragments_are_told_apart),
		cmocka_unit_test(a_packet_may_be_cut_anywhere),
		cmocka_unit_test(no_bytes_whatever_lead_beyond_the_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
