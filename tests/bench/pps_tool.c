// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packets per second through whatever stands between two name spaces, on one CPU. Frames are made by TEST_RUN with live
 * frames and put on the client's wire, so that no skb exists before the balancer, as behind a NIC; an XDP program
 * on the server's wire counts and drops them. First a handshake is sent for every flow, from both ends.
 *
 * With "-" for the server's name space, the frames are counted and dropped where they arrive, in the
 * balancer's own: what making and counting them costs.
 *
 * Usage: pps_tool CLIENT_NETNS SERVER_NETNS LB_NETNS CLIENT_IP TARGET_IP SERVER_IP FLOWS SECONDS CPU
 * Interfaces are eth0 in client and server, front and back in the balancer. Prints one object of JSON.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../bpf/csum.h"
#include "headers.h"
#include "redirect.h"
#include "tool.h"
#include "bench/redirect.skel.h"

#define BATCH 64	/* frames that go out together: what a NIC's poll brings */

static struct redirect_bpf *skel;

static void enter(const char *netns)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) == -1)
		die("%s: %m", path);
	close(fd);
}

static void mac_read(const char *netns, const char *ifname, __u8 *mac)
{
	struct ifreq req = {};
	int fd;

	enter(netns);
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &req) == -1)
		die("%s: %m", ifname);
	close(fd);
	memcpy(mac, req.ifr_hwaddr.sa_data, 6);
}

static void attach_count(const char *netns, const char *ifname)
{
	int ret;

	enter(netns);
	ret = bpf_xdp_attach(if_nametoindex(ifname), bpf_program__fd(skel->progs.count), XDP_FLAGS_DRV_MODE, NULL);
	if (ret)
		die("%s: %s", ifname, strerror(-ret));
}

/* The sum of 16-bit words, folded. */
static __u32 sum_of(const void *data, size_t len)
{
	const __u8 *bytes = data;
	__u32 sum = 0;
	__u16 word;

	for (size_t i = 0; i + 1 < len; i += 2) {
		memcpy(&word, bytes + i, 2);
		sum += word;
	}
	return csum_fold(sum);
}

/* Frames from one end: the client, or the server when reply. */
struct end {
	const char *netns;
	__u8 mac[6], gateway[6];
	const char *src, *dst;
	bool reply;
};

static void feed_set(const struct end *end, __u8 flags, __u32 seq, __u32 ack, __u32 flows)
{
	__u8 frame[INJECT_LEN] = {};
	struct ethhdr *eth = (void *)frame;
	struct iphdr *ip = ipv4_header(eth, sizeof(struct tcphdr));
	struct tcphdr *tcp = (void *)(ip + 1);
	struct { __be32 src, dst; __be16 proto, len; } pseudo;
	struct inject_feed *feed = &skel->bss->feed;

	memcpy(eth->h_dest, end->gateway, 6);
	memcpy(eth->h_source, end->mac, 6);
	if (inet_pton(AF_INET, end->src, &ip->saddr) != 1 || inet_pton(AF_INET, end->dst, &ip->daddr) != 1)
		die("%s: no address", end->src);
	ip->check = ~sum_of(ip, 20);
	*(end->reply ? &tcp->source : &tcp->dest) = htons(25);
	tcp->seq = htonl(seq);
	tcp->ack_seq = htonl(ack);
	tcp->doff = 5;
	((__u8 *)tcp)[13] = flags;
	tcp->window = htons(512);
	pseudo.src = ip->saddr;
	pseudo.dst = ip->daddr;
	pseudo.proto = htons(IPPROTO_TCP);
	pseudo.len = htons(20);
	*feed = (struct inject_feed) {
		.reply = end->reply,
		.sum = sum_of(tcp, 20) + sum_of(&pseudo, sizeof(pseudo)),
		.flows_mask = flows - 1,
	};
	memcpy(feed->frame, frame, sizeof(frame));
	enter(end->netns);
	feed->ifindex = if_nametoindex("eth0");
}

static void inject(__u32 n)
{
	__u8 frame[INJECT_LEN] = {};
	struct xdp_md md = { .data_end = sizeof(frame), .ingress_ifindex = skel->bss->feed.ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame), .ctx_in = &md,
		    .ctx_size_in = sizeof(md), .repeat = n, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);
	int ret = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.inject), &opts);

	if (ret)
		die("TEST_RUN with live frames: %s", strerror(-ret));
}

static __u64 count_read(void)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 each[cpus > 0 ? cpus : 1], sum = 0;
	__u32 zero = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(skel->maps.counted), &zero, each))
		die("counter: %m");
	for (int i = 0; i < cpus; i++)
		sum += each[i];
	return sum;
}

static double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	struct end client, server;
	double start, took, length;
	__u32 flows, sent = BATCH;
	__u64 before, got;
	cpu_set_t set;
	bool alone;

	if (argc != 10) {
		fputs("usage: pps_tool CLIENT_NETNS SERVER_NETNS LB_NETNS CLIENT_IP TARGET_IP SERVER_IP FLOWS SECONDS CPU\n", stderr);
		return 2;
	}
	alone = strcmp(argv[2], "-") == 0;
	flows = atoi(argv[7]);
	length = atof(argv[8]);
	CPU_ZERO(&set);
	CPU_SET(atoi(argv[9]), &set);
	if (!flows || flows & (flows - 1) || flows > 32768 || sched_setaffinity(0, sizeof(set), &set) == -1)
		die("FLOWS is a power of two up to 32768, CPU exists");
	if (setpriority(PRIO_PROCESS, 0, -20) == -1)
		die("priority: %m");
	skel = redirect_bpf__open_and_load();
	if (!skel)
		die("cannot load: %m");
	client = (struct end) { .netns = argv[1], .src = argv[4], .dst = argv[5] };
	server = (struct end) { .netns = argv[2], .src = argv[6], .dst = argv[4], .reply = true };
	mac_read(argv[1], "eth0", client.mac);
	mac_read(argv[3], "front", client.gateway);
	attach_count(argv[1], "eth0");
	if (alone) {
		attach_count(argv[3], "front");
	} else {
		mac_read(argv[2], "eth0", server.mac);
		mac_read(argv[3], "back", server.gateway);
		attach_count(argv[2], "eth0");
		feed_set(&client, FLAG_SYN, 1000, 0, flows);
		inject(flows);
		feed_set(&server, FLAG_SYN | FLAG_ACK, 5000, 1001, flows);
		inject(flows);
	}
	feed_set(&client, FLAG_ACK, 1001, 5001, flows);
	inject(flows * 4);
	/* as one call, because each stands still for some 20 ms before its first frame: the kernel waits until nobody uses the
	 * trampoline of the program before */
	do {
		sent *= 2;
		before = count_read();
		start = seconds_now();
		inject(sent);
		took = seconds_now() - start;
		got = count_read() - before;
	} while (took < length);
	if (got < sent / 10 * 9)
		die("%u frames went out, only %llu came through", sent, (unsigned long long)got);
	printf("{\"sent\": %u, \"counted\": %llu, \"seconds\": %.4f, \"pps\": %.0f, \"flows\": %u}\n", sent,
	       (unsigned long long)got, took, got / took, flows);
	return 0;
}
