// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The parts of control.sh that a shell cannot do: how long it takes to fill a selection table, and many flows, made by
 * sending handshakes through the loaded program, so that every map says what it would say in life.
 *
 * Usage: control_bench tables
 *        control_bench fill PROGRAM_ID INTERFACE VIP FLOWS	(in the balancer's name space)
 */
#include <bpf/bpf.h>
#include <net/if.h>
#include <time.h>

#include "../../loader/maglev.h"
#include "headers.h"
#include "spread.h"
#include "tool.h"

#define TABLE_ROUNDS 21
#define FRAME_LEN (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct tcphdr))

static double ms_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec * 1e-6;
}

static void tables(void)
{
	static const size_t sizes[] = { 3, 100, 1000 };
	static __u16 slots[LB_TABLE_SLOTS];
	static struct maglev_member members[1000];
	double took[TABLE_ROUNDS];
	struct spread spread;

	for (size_t i = 0; i < 1000; i++) {
		struct lb_addr addr = { .bytes = { [10] = 0xff, [11] = 0xff, [12] = 10, [13] = 1, [14] = i >> 8, [15] = i & 255 } };

		members[i] = (struct maglev_member) { .id = i + 1, .weight = 16, .key = maglev_key(&addr) };
	}
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (int i = 0; i < TABLE_ROUNDS; i++) {
			double start = ms_now();

			if (maglev_fill(members, sizes[s], slots))
				die("maglev_fill refuses %zu members", sizes[s]);
			took[i] = ms_now() - start;
		}
		spread = spread_of(took, TABLE_ROUNDS);
		printf("{\"what\": \"table\", \"backends\": %zu, \"ms\": %.3f, \"low\": %.3f, \"high\": %.3f}\n", sizes[s],
		       spread.mid, spread.low, spread.high);
	}
}

/* --- flows ----------------------------------------------------------------------------- */

struct flow {
	__be32 client, vip, backend;
	__be16 port;
};

static int prog_fd;
static unsigned int ifindex;

static int send_frame(const struct flow *flow, int reply, __u8 flags, __u32 seq, __u32 ack, __u8 *out)
{
	__u8 frame[FRAME_LEN] = {};
	struct xdp_md md = { .data_end = FRAME_LEN, .ingress_ifindex = ifindex };
	struct ethhdr *eth = (void *)frame;
	struct iphdr *ip = ipv4_header(eth, sizeof(struct tcphdr));
	struct tcphdr *tcp = (void *)(ip + 1);
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = FRAME_LEN, .data_out = out,
		    .data_size_out = FRAME_LEN, .ctx_in = &md, .ctx_size_in = sizeof(md), .repeat = 1);

	eth->h_dest[0] = eth->h_source[0] = 2;
	eth->h_source[5] = reply ? 9 : 1;
	ip->saddr = reply ? flow->backend : flow->client;
	ip->daddr = reply ? flow->client : flow->vip;
	tcp->source = reply ? htons(25) : flow->port;
	tcp->dest = reply ? flow->port : htons(25);
	tcp->seq = htonl(seq);
	tcp->ack_seq = htonl(ack);
	tcp->doff = 5;
	((__u8 *)tcp)[13] = flags;
	if (bpf_prog_test_run_opts(prog_fd, &opts))
		die("TEST_RUN: %m");
	return opts.retval;
}

static void fill(const char *id, const char *ifname, const char *vip, const char *count)
{
	__u32 n = strtoul(count, NULL, 10);
	__u8 out[FRAME_LEN];
	struct flow flow = {};
	double start = ms_now();

	prog_fd = bpf_prog_get_fd_by_id(strtoul(id, NULL, 10));
	ifindex = if_nametoindex(ifname);
	if (prog_fd < 0)
		die("program %s: %m", id);
	if (!ifindex)
		die("interface %s: %m", ifname);
	if (inet_pton(AF_INET, vip, &flow.vip) != 1)
		die("\"%s\" is no IPv4 address", vip);
	for (__u32 i = 0; i < n; i++) {
		flow.client = htonl(0x64400000 + (i >> 3));
		flow.port = htons(2048 + (i & 7) * 4001);
		if (send_frame(&flow, 0, FLAG_SYN, 1000, 0, out) == XDP_PASS)
			die("a SYN was passed up: is the service there?");
		memcpy(&flow.backend, out + 30, 4);
		send_frame(&flow, 1, FLAG_SYN | FLAG_ACK, 5000, 1001, out);
		send_frame(&flow, 0, FLAG_ACK, 1001, 5001, out);
	}
	printf("{\"what\": \"fill\", \"flows\": %u, \"ms\": %.0f}\n", n, ms_now() - start);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "tables") == 0)
		tables();
	else if (argc == 6 && strcmp(argv[1], "fill") == 0)
		fill(argv[2], argv[3], argv[4], argv[5]);
	else {
		fputs("usage: control_bench tables | fill PROGRAM_ID INTERFACE VIP FLOWS\n", stderr);
		return 2;
	}
	return 0;
}
