/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Incremental checksums against full ones: random packets, random addresses, and checksums driven to the edges where
 * one's complement has two zeros. What comes out must be, byte for byte, what a full sum would have given.
 */
#include "dice.h"
#include "talk.h"

#define ROUNDS 20000

static struct lb_addr random_addr(int family)
{
	struct lb_addr a = { .bytes = { [10] = 0xff, [11] = 0xff } };

	for (int i = family == V4 ? 12 : 0; i < 16; i++)
		a.bytes[i] = dice_hit(4) ? (dice() & 1 ? 0xff : 0) : dice();
	a.bytes[15] |= 1;
	return a;
}

/* Gives be_one another address, as lbd would. */
static void move_backend(int family, const struct lb_addr *to)
{
	struct lb_addr vip = svc_mx(family, LB_MODE_NAT);
	struct lb_backend *be = &world.backends[id_of(family, LB_MODE_NAT, 0)];
	struct lb_backend_key key = { .address = be->address, .port = PORT };
	struct lb_backend_ref ref = {
		.vip = vip, .backend = id_of(family, LB_MODE_NAT, 0), .vip_id = vip_of(family, LB_MODE_NAT),
		.csum_delta = sum_delta(to, &vip),
	};

	bpf_map_delete_elem(world.backend_addrs, &key);
	be->address = *to;
	be->csum_delta = sum_delta(&vip, to);
	key.address = *to;
	assert_int_equal(bpf_map_update_elem(world.backend_addrs, &key, &ref, BPF_ANY), 0);
}

static void dress(struct pkt *p)
{
	static const char *const chains[] = { NULL, NULL, "h", "da", "r", "hdra" };

	p->vlans = dice_below(3);
	p->ttl = 2 + dice_below(254);
	p->seq = dice();
	p->ack = dice();
	p->id = dice();
	p->seed = dice();
	p->tcp_options = dice_below(11) * 4;
	p->payload = dice_hit(10) ? dice_below(8800) : dice_below(1400);
	if (p->family == V4)
		p->ip_options = dice_hit(4) ? dice_below(11) * 4 : 0;
	else
		p->extensions = chains[dice_below(COUNT(chains))];
	if (p->payload >= 2 && !(p->payload & 1)) {
		p->has_tail = true;
		p->tail = dice();
	}
}

/* Chooses the last two bytes of p so that its checksum becomes check. */
static void aim(struct pkt *p, __u16 check)
{
	static __u8 segment[FRAME_MAX];
	size_t len;
	__u32 sum;

	p->payload = 2 + dice_below(500) * 2;
	p->has_tail = true;
	p->tail = 0;
	len = build_l4(segment, p);
	put16(segment + 16, 0);
	sum = sum_bytes(segment, len, sum_pseudo(p->family, &p->src, &p->dst, 6, len));
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = (__u16)~check + (0xffff - sum);
	p->tail = (sum & 0xffff) + (sum >> 16);
}

static void one_request(int family, int mode, const struct lb_addr *backend, int edge)
{
	static const __u16 edges[] = { 0x0000, 0x0001, 0xfffe, 0x8000, 0x7fff, 0x00ff, 0xff00 };
	struct pkt in = request_of(family, mode, ACK), want;

	dress(&in);
	if (edge == 1) /* the checksum that comes in */
		aim(&in, edges[dice_below(COUNT(edges))]);
	want = at_backend(&in, mode, 0);
	if (mode == LB_MODE_NAT)
		want.dst = *backend;
	if (edge == 2) { /* the checksum that goes out */
		aim(&want, edges[dice_below(COUNT(edges))]);
		in.payload = want.payload;
		in.has_tail = true;
		in.tail = want.tail;
	}
	expect("a request", &in, LB_TX_REQUEST, &want);
}

static void one_reply(int family, const struct lb_addr *backend, int edge)
{
	struct pkt in = reply_of(family, ACK), want;

	in.src = *backend;
	dress(&in);
	if (edge == 1)
		aim(&in, dice() & 1);
	want = at_client(&in);
	if (edge == 2) {
		aim(&want, dice() & 1);
		in.payload = want.payload;
		in.has_tail = true;
		in.tail = want.tail;
	}
	expect("a reply", &in, LB_TX_REPLY, &want);
}

static void every_checksum_is_the_one_that_a_full_sum_gives(void **state)
{
	(void)state;
	dice_seed(0x6d61696c78647001);
	EACH_KIND(family, mode) {
		struct lb_addr backend;

		handshake(family, mode);
		backend = world.backends[id_of(family, mode, 0)].address;
		for (int i = 0; i < ROUNDS / 4; i++) {
			if (mode == LB_MODE_NAT && dice_hit(20)) {
				backend = random_addr(family);
				move_backend(family, &backend);
			}
			one_request(family, mode, &backend, i % 3);
			if (mode == LB_MODE_NAT)
				one_reply(family, &backend, i % 3);
		}
		if (mode == LB_MODE_NAT) {
			backend = be_one(family, mode);
			move_backend(family, &backend);
		}
	}
}

/* The IPv4 header's checksum is driven by the id, over its whole range. */
static void every_ipv4_header_checksum_comes_out_right(void **state)
{
	struct lb_addr backend = be_one(V4, LB_MODE_NAT);

	(void)state;
	handshake(V4, LB_MODE_NAT);
	for (__u32 id = 0; id < 65536; id++) {
		struct pkt in = request_of(V4, LB_MODE_NAT, ACK), want;

		in.id = id;
		in.ttl = 2 + id % 254;
		want = at_backend(&in, LB_MODE_NAT, 0);
		want.dst = backend;
		expect("an id", &in, LB_TX_REQUEST, &want);
	}
}

/* A sender may write the other zero, 0xffff: it must verify at the other end all the same. */
static void the_other_zero_verifies_too(void **state)
{
	static struct frame f;
	static struct result r;

	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, ACK);

		handshake(family, mode);
		aim(&in, 0);
		pkt_build(&f, &in);
		assert_int_equal(get16(f.bytes + 14 + (family == V4 ? 20 : 40) + 16), 0);
		put16(f.bytes + 14 + (family == V4 ? 20 : 40) + 16, 0xffff);
		assert_true(frame_sums_ok(&f));
		run_frame(&f, &r);
		assert_int_equal(r.verdict, LB_TX_REQUEST);
		assert_true(frame_sums_ok(&r.out));
	}
}

/* A checksum that was wrong stays wrong by as much: a balancer must not vouch for what it did not check. */
static void a_wrong_checksum_stays_wrong(void **state)
{
	static struct frame f;
	static struct result r;

	(void)state;
	EACH_KIND(family, mode) {
		struct pkt in = request_of(family, mode, ACK);

		handshake(family, mode);
		in.payload = 100;
		pkt_build(&f, &in);
		f.bytes[f.len - 1] ^= 0x40;
		run_frame(&f, &r);
		assert_int_equal(r.verdict, LB_TX_REQUEST);
		assert_false(frame_sums_ok(&r.out));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_checksum_is_the_one_that_a_full_sum_gives, world_setup),
		cmocka_unit_test_setup(every_ipv4_header_checksum_comes_out_right, world_setup),
		cmocka_unit_test_setup(the_other_zero_verifies_too, world_setup),
		cmocka_unit_test_setup(a_wrong_checksum_stays_wrong, world_setup),
	};

	world_open(BIG_TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
