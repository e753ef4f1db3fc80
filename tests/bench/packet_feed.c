// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Builds frames byte by byte, hands them to the wrapper, and reads the clock before and after. Has no idea what the program
 * under test ought to do with them.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <sched.h>
#include <time.h>

#include "packet_feed.h"
#include "tool.h"
#include "bench/feed.skel.h"

#define NEW_FLOWS (1U << 25)

static struct feed_bpf *feeder;

/* --- frames ----------------------------------------------------------------------- */

static void address(struct lb_addr *out, bool v6, const char *v4_text, const char *v6_text)
{
	memset(out, 0, sizeof(*out));
	if (v6) {
		if (inet_pton(AF_INET6, v6_text, out->bytes) != 1)
			die("bad address %s", v6_text);
		return;
	}
	out->bytes[10] = out->bytes[11] = 0xff;
	if (inet_pton(AF_INET, v4_text, out->bytes + 12) != 1)
		die("bad address %s", v4_text);
}

void vip_of(bool v6, struct lb_addr *out)
{
	address(out, v6, "192.0.2.25", "2001:db8:1::25");
}

void backend_of(bool v6, int id, struct lb_addr *out)
{
	char v4[32], long_one[64];

	snprintf(v4, sizeof(v4), "10.0.0.%d", 10 + id);
	snprintf(long_one, sizeof(long_one), "fd00:10::%d", 10 + id);
	address(out, v6, v4, long_one);
}

void frame_build(bool v6, const struct packet *pkt, struct frame *out)
{
	struct lb_addr client, other;
	__u32 tcp_len = 20 + pkt->options + pkt->payload;
	struct tcphdr *tcp;
	struct ethhdr *eth = (void *)out->bytes;

	memset(out, 0, sizeof(*out));
	out->v6 = v6;
	out->reply = pkt->reply;
	address(&client, v6, "100.64.0.0", "2001:db8:64::");
	if (pkt->elsewhere)
		address(&other, v6, "198.51.100.9", "2001:db8:9::9");
	else if (pkt->reply)
		backend_of(v6, 1, &other);
	else
		vip_of(v6, &other);
	memcpy(eth->h_dest, (__u8[]) { 2, 0, 0, 0, 0, 1 }, 6);
	memcpy(eth->h_source, pkt->reply ? (__u8[]) { 2, 0, 0, 0, 1, 1 } : (__u8[]) { 2, 0, 0, 0, 2, 1 }, 6);
	if (v6) {
		struct ipv6hdr *ip = (void *)(eth + 1);

		eth->h_proto = htons(ETH_P_IPV6);
		ip->version = 6;
		ip->payload_len = htons(tcp_len);
		ip->nexthdr = IPPROTO_TCP;
		ip->hop_limit = 64;
		memcpy(&ip->saddr, pkt->reply ? &other : &client, 16);
		memcpy(&ip->daddr, pkt->reply ? &client : &other, 16);
		tcp = (void *)(ip + 1);
		out->len = sizeof(*eth) + sizeof(*ip) + tcp_len;
	} else {
		struct iphdr *ip = ipv4_header(eth, tcp_len);

		memcpy(&ip->saddr, (pkt->reply ? &other : &client)->bytes + 12, 4);
		memcpy(&ip->daddr, (pkt->reply ? &client : &other)->bytes + 12, 4);
		tcp = (void *)(ip + 1);
		out->len = sizeof(*eth) + sizeof(*ip) + tcp_len;
	}
	*(pkt->reply ? &tcp->source : &tcp->dest) = htons(pkt->port);
	tcp->doff = 5 + pkt->options / 4;
	((__u8 *)tcp)[13] = pkt->flags;
	tcp->window = htons(512);
	memset((__u8 *)(tcp + 1), 1, pkt->options); /* no-operation */
}

/* --- running ------------------------------------------------------------------------ */

/* The kernel keeps a jump table of all XDP programs in use, and TEST_RUN enters its program for the time that it runs,
 * waiting for every CPU twice. A program that is attached somewhere is in there already. */
void feeder_open(void)
{
	static const char *const ends[] = { "bench0", "bench1", "bench2", "bench3" };
	struct bpf_program *wraps[4];

	feeder = feed_bpf__open_and_load();
	if (!feeder)
		die("cannot load the wrapper: %m; needs root");
	wraps[0] = feeder->progs.wrap_v4_request;
	wraps[1] = feeder->progs.wrap_v4_reply;
	wraps[2] = feeder->progs.wrap_v6_request;
	wraps[3] = feeder->progs.wrap_v6_reply;
	if (unshare(CLONE_NEWNET) == -1)
		die("cannot have a network of my own: %m");
	if (system("ip link set lo up && ip link add bench0 type veth peer name bench1 && "
		   "ip link add bench2 type veth peer name bench3"))
		die("cannot make interfaces");
	for (int i = 0; i < 4; i++) {
		int ret = bpf_xdp_attach(if_nametoindex(ends[i]), bpf_program__fd(wraps[i]), XDP_FLAGS_DRV_MODE, NULL);

		if (ret)
			die("cannot attach the wrapper: %s", strerror(-ret));
	}
}

void feeder_set_program(__u32 place, int prog_fd)
{
	if (bpf_map_update_elem(bpf_map__fd(feeder->maps.programs), &place, &prog_fd, BPF_ANY))
		die("cannot write programs: %m");
}

void feed_set(const struct frame *frame, const struct flow_feed *ff)
{
	struct bench_feed *feed = &feeder->bss->feed;
	__u32 flows = ff->flows ? ff->flows : NEW_FLOWS, bits = 0;

	while (1U << bits < flows)
		bits++;
	memcpy(feed->frame, frame->bytes, sizeof(feed->frame));
	feed->len = frame->len;
	feed->mask = flows - 1;
	feed->shift = bits;
	feed->half = (bits + 1) / 2;
	feed->odd[0] = ff->making ? 0x9e3779b1 : 0xcc9e2d51;
	feed->odd[1] = ff->making ? 0x85ebca6b : 0xc2b2ae35;
	/* low word of the client's address in frame_build(); new flows have addresses that no old one has */
	feed->client = frame->v6 ? 0 : 0x64400000;
	if (!ff->flows)
		feed->client += 0x08000000;
	feed->seq = ff->seq;
	feed->ack = ff->ack;
	feed->seq_moves = ff->seq_moves;
	feed->ack_moves = ff->ack_moves;
}

static __u64 cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* What the kernel's own clock gives is whole nanoseconds, too coarse. */
static double test_run(int prog_fd, const struct frame *frame, __u32 n, __u32 *verdict)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->bytes, .data_size_in = frame->len, .repeat = n);
	__u64 start = cpu_ns();
	int ret = bpf_prog_test_run_opts(prog_fd, &opts);

	start = cpu_ns() - start;
	if (ret)
		die("TEST_RUN: %s", strerror(-ret));
	*verdict = opts.retval;
	return (double)start / n;
}

double feed_run(const struct frame *frame, __u32 place, __u32 from, __u32 n, __u32 *verdict)
{
	struct bench_feed *feed = &feeder->bss->feed;
	struct bpf_program *wrap =
		frame->v6 ? (frame->reply ? feeder->progs.wrap_v6_reply : feeder->progs.wrap_v6_request) :
			    (frame->reply ? feeder->progs.wrap_v4_reply : feeder->progs.wrap_v4_request);

	feed->program = place;
	feed->counter = from;
	return test_run(bpf_program__fd(wrap), frame, n, verdict);
}

double feed_direct(const struct frame *frame, int prog_fd, __u32 n)
{
	__u32 verdict;

	return test_run(prog_fd, frame, n, &verdict);
}
