// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Knocking at ports: what is sent, what counts as an answer, and what strangers cannot make of it. The filter runs in the
 * kernel, on socket pairs. No privileges.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include "knock_net.h"
#include "event_loop.h"

static struct knocks *knocks;
static struct knock_net net;
static struct { int n; enum knock_result result; __u16 port; bool close; } got;
static int hop_error;

/* All that is there to be heard has been heard. */
static void drain(void)
{
	while (sd_event_run(event, 0) > 0)
		;
}

static int hop(void *arg, struct nexthop *out)
{
	(void)arg;
	*out = (struct nexthop){ .resolved = true, .ifindex = 7, .dst_mac = { 2, 0, 0, 0, 0, 9 } };
	return hop_error;
}

static void on_done(void *arg, enum knock_result result, __u16 port)
{
	assert_ptr_equal(arg, &got);
	got.n++;
	got.result = result;
	got.port = port;
	if (got.close) {
		knocks_close(knocks);
		knocks = NULL;
	}
}

static int setup(void **state)
{
	(void)state;
	memset(&got, 0, sizeof(got));
	hop_error = 0;
	return sd_event_new(&event) < 0 || knock_net_open(&net, event, &knocks) ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	knocks_close(knocks);
	knock_net_close(&net);
	event = sd_event_unref(event);
	return 0;
}

static struct knock_conf to(const char *from, const char *vip, __u32 patience_ms)
{
	struct knock_conf conf = {
		.ports = { 25, 587 }, .ports_n = 2, .patience_ms = patience_ms, .hop = hop, .done = on_done, .arg = &got,
	};

	assert_int_equal(addr_parse(from, &conf.from), 0);
	assert_int_equal(addr_parse(vip, &conf.to), 0);
	return conf;
}

static struct knock *start(__u32 patience_ms)
{
	struct knock_conf conf = to("10.0.0.1", "192.0.2.25", patience_ms);
	struct knock *knock = NULL;

	assert_int_equal(knock_start(knocks, &conf, &knock), 0);
	assert_int_equal(got.n, 0);
	return knock;
}

/* --- answers --- */

static void an_open_door_in_both_families(void **state)
{
	static const char *const ends[][2] = { { "10.0.0.1", "192.0.2.25" }, { "fd00:10::1", "2001:db8::25" } };

	(void)state;
	net.answer = SEGMENT_SYN | SEGMENT_ACK;
	for (int i = 0; i < 2; i++) {
		struct knock_conf conf = to(ends[i][0], ends[i][1], 10000);
		struct knock *knock;

		got.n = net.sent_n = 0;
		assert_int_equal(knock_start(knocks, &conf, &knock), 0);
		RUN_UNTIL(got.n);
		assert_int_equal(got.result, KNOCK_OPEN);
		/* two SYNs for one hop, to the server's MAC; then two RSTs that end what they began */
		assert_int_equal(net.sent_n, 4);
		assert_int_equal(net.ifindex, 7);
		assert_memory_equal(net.dst_mac, "\2\0\0\0\0\x9", 6);
		for (int s = 0; s < 4; s++) {
			assert_true(addr_equal(&net.sent[s].src, &conf.from) && addr_equal(&net.sent[s].dst, &conf.to));
			assert_int_equal(net.sent[s].ttl, 1);
			assert_int_equal(ntohs(net.sent[s].dst_port), s % 2 ? 587 : 25);
			assert_int_equal(net.sent[s].flags, s < 2 ? SEGMENT_SYN : SEGMENT_RST | SEGMENT_ACK);
			assert_true(ntohs(net.sent[s].src_port) >= 32768);
		}
		for (int s = 0; s < 2; s++) {
			assert_int_equal(net.sent[s].seq >> 16, NET_SECRET);
			assert_int_equal(net.sent[s + 2].seq, net.sent[s].seq + 1);
			assert_int_equal(net.sent[s + 2].ack, 1001);
		}
	}
}

static void one_closed_port_is_enough(void **state)
{
	(void)state;
	net.answer = SEGMENT_SYN | SEGMENT_ACK;
	net.refused_port = 587;
	start(10000);
	RUN_UNTIL(got.n);
	assert_int_equal(got.result, KNOCK_REFUSED);
	assert_int_equal(got.port, 587);
	drain();
	assert_int_equal(got.n, 1);
}

static void silence_is_told_when_patience_ends(void **state)
{
	__u64 began = now_ms();

	(void)state;
	start(400);
	RUN_UNTIL(got.n);
	assert_int_equal(got.result, KNOCK_SILENT);
	assert_int_equal(got.port, 25);
	assert_true(now_ms() - began >= 399);
	/* at 0, 50, 150, 350 ms, when the machine has time; always the same SYN of each port */
	assert_in_range(net.sent_n, 2, 8);
	for (int s = 2; s < net.sent_n; s++) {
		assert_int_equal(net.sent[s].seq, net.sent[s % 2].seq);
		assert_int_equal(net.sent[s].src_port, net.sent[0].src_port);
	}
}

static void a_lost_syn_is_sent_again(void **state)
{
	(void)state;
	start(10000);
	RUN_UNTIL(net.sent_n >= 2);
	net.answer = SEGMENT_SYN | SEGMENT_ACK;
	RUN_UNTIL(got.n);
	assert_int_equal(got.result, KNOCK_OPEN);
}

static void one_silent_port_is_named(void **state)
{
	(void)state;
	start(300);
	RUN_UNTIL(net.sent_n >= 2);
	knock_net_answer(&net, &net.sent[0], SEGMENT_SYN | SEGMENT_ACK, net.sent[0].seq + 1);
	RUN_UNTIL(got.n);
	assert_int_equal(got.result, KNOCK_SILENT);
	assert_int_equal(got.port, 587);
	/* nobody knocks again at the one that answered */
	for (int s = 3; s < net.sent_n; s++)
		assert_int_equal(ntohs(net.sent[s].dst_port), 587);
}

/* --- what is no answer --- */

static void strangers_are_not_heard(void **state)
{
	struct segment syn, other;

	(void)state;
	start(10000);
	RUN_UNTIL(net.sent_n >= 2);
	syn = net.sent[0];
	/* those the filter drops: another connection's number, no ACK, neither SYN nor RST */
	knock_net_answer(&net, &syn, SEGMENT_SYN | SEGMENT_ACK, syn.seq + 0x10001);
	knock_net_answer(&net, &syn, SEGMENT_RST, syn.seq + 1);
	knock_net_answer(&net, &syn, SEGMENT_ACK, syn.seq + 1);
	assert_false(knock_net_waits(&net));
	/* those that pass it: the number of another port, or nearly ours, another address, another port of ours */
	knock_net_answer(&net, &syn, SEGMENT_RST | SEGMENT_ACK, net.sent[1].seq + 1);
	knock_net_answer(&net, &syn, SEGMENT_RST | SEGMENT_ACK, syn.seq);
	other = syn;
	other.dst.bytes[15] ^= 1;
	knock_net_answer(&net, &other, SEGMENT_RST | SEGMENT_ACK, syn.seq + 1);
	other = syn;
	other.src.bytes[15] ^= 1;
	knock_net_answer(&net, &other, SEGMENT_RST | SEGMENT_ACK, syn.seq + 1);
	other = syn;
	other.src_port ^= 1;
	knock_net_answer(&net, &other, SEGMENT_RST | SEGMENT_ACK, syn.seq + 1);
	other = syn;
	other.dst_port = htons(465);
	knock_net_answer(&net, &other, SEGMENT_RST | SEGMENT_ACK, syn.seq + 1);
	assert_true(knock_net_waits(&net));
	drain();
	assert_int_equal(got.n, 0);
	knock_net_answer(&net, &syn, SEGMENT_RST | SEGMENT_ACK, syn.seq + 1);
	RUN_UNTIL(got.n);
	assert_int_equal(got.result, KNOCK_REFUSED);
}

static void what_is_malformed_is_not_heard(void **state)
{
	__u8 packet[64];
	struct segment syn;

	(void)state;
	start(10000);
	RUN_UNTIL(net.sent_n >= 2);
	syn = net.sent[0];
	for (size_t len = 0; len < 40; len++) {
		struct segment answer = { .src = syn.dst, .dst = syn.src, .src_port = syn.dst_port, .dst_port = syn.src_port,
					  .ack = syn.seq + 1, .flags = SEGMENT_RST | SEGMENT_ACK, .ttl = 64 };
		__u8 frame[SEGMENT_FRAME_LEN];

		segment_build(&answer, frame);
		memcpy(packet, frame + 14, 40);
		(void)!write(net.far[0], packet, len);
		(void)!write(net.far[1], packet, len);
	}
	memset(packet, 0xff, sizeof(packet));
	(void)!write(net.far[0], packet, sizeof(packet));
	(void)!write(net.far[1], packet, sizeof(packet));
	drain();
	assert_int_equal(got.n, 0);
}

/* --- trouble of our own, and endings --- */

static void without_a_next_hop_nothing_is_blamed(void **state)
{
	(void)state;
	hop_error = -EAGAIN;
	start(200);
	RUN_UNTIL(got.n);
	assert_int_equal(got.result, KNOCK_UNSENT);
	assert_int_equal(net.sent_n, 0);
	/* an interface that is down */
	hop_error = 0;
	got.n = 0;
	net.error = -ENETDOWN;
	start(200);
	RUN_UNTIL(got.n);
	assert_int_equal(got.result, KNOCK_UNSENT);
	/* one that comes up in time */
	got.n = 0;
	net.answer = SEGMENT_SYN | SEGMENT_ACK;
	start(10000);
	drain();
	net.error = 0;
	RUN_UNTIL(got.n);
	assert_int_equal(got.result, KNOCK_OPEN);
}

static void cancelled_is_forgotten(void **state)
{
	struct knock *first = start(10000), *second = start(10000);
	struct segment syn;

	(void)state;
	RUN_UNTIL(net.sent_n >= 4);
	syn = net.sent[0];
	knock_cancel(first);
	knock_cancel(NULL);
	knock_net_answer(&net, &syn, SEGMENT_RST | SEGMENT_ACK, syn.seq + 1);
	drain();
	assert_int_equal(got.n, 0);
	knock_cancel(second);
}

static void all_may_be_closed_from_within(void **state)
{
	(void)state;
	net.answer = SEGMENT_SYN | SEGMENT_ACK;
	got.close = true;
	for (int i = 0; i < 5; i++)
		start(10000);
	RUN_UNTIL(got.n);
	assert_null(knocks);
	drain();
	assert_int_equal(got.n, 1);
}

static void nonsense_is_not_started(void **state)
{
	struct knock_conf conf = to("10.0.0.1", "192.0.2.25", 1000);
	struct knock *knock;

	(void)state;
	conf.ports_n = 0;
	assert_int_equal(knock_start(knocks, &conf, &knock), -EINVAL);
	conf.ports_n = LB_MAX_PORTS + 1;
	assert_int_equal(knock_start(knocks, &conf, &knock), -EINVAL);
	conf = to("10.0.0.1", "2001:db8::25", 1000);
	assert_int_equal(knock_start(knocks, &conf, &knock), -EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_open_door_in_both_families),
		TEST(one_closed_port_is_enough),
		TEST(silence_is_told_when_patience_ends),
		TEST(a_lost_syn_is_sent_again),
		TEST(one_silent_port_is_named),
		TEST(strangers_are_not_heard),
		TEST(what_is_malformed_is_not_heard),
		TEST(without_a_next_hop_nothing_is_blamed),
		TEST(cancelled_is_forgotten),
		TEST(all_may_be_closed_from_within),
		TEST(nonsense_is_not_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
