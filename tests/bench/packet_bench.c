// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one packet costs, by BPF_PROG_TEST_RUN on one CPU, with the packet restored before every run. Loads
 * the real program and the references of reference.bpf.c side by side, makes flows in both by
 * sending handshakes through them, then measures all cases in turn, round after round, and subtracts what
 * the same wrapper costs with a program that does nothing.
 *
 * A figure counts only when the program's own counters say that every packet took the path in question.
 *
 * Usage: packet_bench [--rounds N] [--repeat N] [--cpu N] [--only CASE] [--quick] [--json FILE]
 * --only measures one case of the balancer beside the references; --quick leaves out 1M flows.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../../bpf/lb_abi.h"
#include "../../bpf/csum.h"
#include "../../loader/maglev.h"
#include "feed.h"
#include "bench/feed.skel.h"
#include "bench/reference.skel.h"
#include "lb.skel.h"

#define BACKENDS   3
#define PORT	   25
#define LO_IFINDEX 1	/* what TEST_RUN says that the packet came in on */
#define MAX_ROUNDS 101
#define STRETCHES  10	/* of each kind in a round */
#define FRAME_MAX  1514
#define FILL_BATCH 256	/* half-open connections at a time: few enough that "pending" loses none of them */

static int opt_rounds = 15, opt_cpu = -1;
static __u32 opt_repeat = 100000;
static bool opt_quick;
static const char *opt_only, *opt_json = "build/bench/packet.json";

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("packet_bench: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* One line for a person who waits; nothing for a log. */
static void progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void progress(const char *fmt, ...)
{
	va_list args;

	if (!isatty(STDERR_FILENO))
		return;
	fputs("\rpacket_bench: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs("\033[K", stderr);
}

static struct feed_bpf *feeder;

/* --- the site: one service, three mail servers, everything on one interface -------- */

/* One program with its maps, and the references with theirs. */
struct site {
	bool v6;
	enum lb_mode mode;
	bool turns;
	__u32 flows, table;	/* entries made, and room for them */
	__u32 number;		/* its place among the sites */
	struct lb_bpf *lb;
	struct reference_bpf *ref;
	__u32 counter;		/* of the packets that the program has had */
};

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

static void vip_of(const struct site *site, struct lb_addr *out)
{
	address(out, site->v6, "192.0.2.25", "2001:db8:1::25");
}

static void backend_of(const struct site *site, int id, struct lb_addr *out)
{
	char v4[32], v6[64];

	snprintf(v4, sizeof(v4), "10.0.0.%d", 10 + id);
	snprintf(v6, sizeof(v6), "fd00:10::%d", 10 + id);
	address(out, site->v6, v4, v6);
}

static void put(int fd, const void *key, const void *value, const char *what)
{
	if (bpf_map_update_elem(fd, key, value, BPF_ANY))
		die("cannot write %s: %s", what, strerror(errno));
}

/* New flows go to backends 1..n. */
static void site_set_table(struct site *site, __u32 n)
{
	struct lb_table *table = calloc(1, sizeof(*table));
	struct maglev_member members[BACKENDS];
	__u32 zero = 0, vip_id = 1;
	int fd;

	for (__u32 i = 0; i < n; i++) {
		struct lb_addr addr;

		backend_of(site, i + 1, &addr);
		members[i] = (struct maglev_member) { .id = i + 1, .weight = 16, .key = maglev_key(&addr) };
		table->members[i] = i + 1;
	}
	table->members_n = n;
	if (maglev_fill_round(members, n, table->slots, &table->slots_n))
		die("cannot fill the selection table");
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "table", sizeof(__u32), sizeof(*table), 1, NULL);
	if (fd < 0)
		die("cannot make a selection table: %s", strerror(-fd));
	put(fd, &zero, table, "a table");
	put(bpf_map__fd(site->lb->maps.tables), &vip_id, &fd, "tables");
	close(fd);
	free(table);
}

static void *site_mmap(struct bpf_map *map)
{
	size_t page = sysconf(_SC_PAGESIZE), len = (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map);
	void *mem = mmap(NULL, (len + page - 1) / page * page, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (mem == MAP_FAILED)
		die("cannot map %s: %s", bpf_map__name(map), strerror(errno));
	return mem;
}

static void site_fill_maps(struct site *site)
{
	struct lb_service_key skey = { .port = PORT };
	struct lb_service svc = {
		.vip_id = 1, .mode = site->mode, .scheduler = LB_SCHED_LEAST_INFLIGHT, .refuse = LB_REFUSE_RESET,
	};
	struct lb_backend *backends = site_mmap(site->lb->maps.backends);
	struct lb_totals *totals = site_mmap(site->lb->maps.totals);

	vip_of(site, &skey.vip);
	put(bpf_map__fd(site->lb->maps.services), &skey, &svc, "services");
	site->lb->bss->hints[0].services[hint_slot(&skey, HINT_SERVICE_BITS)] = (struct hint_service) { skey, svc };
	for (int id = 1; id <= BACKENDS; id++) {
		struct lb_backend_key bkey = { .port = PORT };
		struct lb_backend_ref ref = { .vip = skey.vip, .backend = id, .vip_id = 1 };

		backend_of(site, id, &bkey.address);
		ref.csum_delta = csum_diff(&bkey.address, &skey.vip, sizeof(skey.vip));
		if (site->mode == LB_MODE_NAT)
		{
			put(bpf_map__fd(site->lb->maps.backend_addrs), &bkey, &ref, "backend_addrs");
			site->lb->bss->hints[0].backends[hint_slot(&bkey, HINT_BACKEND_BITS)] = (struct hint_backend) { bkey, ref };
		}
		backends[id] = (struct lb_backend) {
			.address = bkey.address,
			.dst_mac = { 2, 0, 0, 0, 1, id },
			.csum_delta = csum_diff(&skey.vip, &bkey.address, sizeof(skey.vip)),
			.src_mac = { 2, 0, 0, 0, 0, 1 },
			.vip_id = 1,
			.ifindex = LO_IFINDEX,
			.weight = 16,
			.mode = site->mode,
			.flags = LB_BACKEND_ELIGIBLE | LB_BACKEND_RESOLVED,
			.reply_ns = 1000000,
		};
	}
	site->lb->bss->hints[0].complete = 1;
	totals->flow_limit = site->table;
	site->lb->bss->port_bits[PORT >> 6] |= 1ULL << (PORT & 63);
	munmap(backends, sizeof(*backends) * LB_MAX_BACKENDS);
	munmap(totals, sysconf(_SC_PAGESIZE));
}

static void site_set_program(struct site *site, __u32 slot, struct bpf_program *prog)
{
	int fd = bpf_program__fd(prog);

	slot += site->number * BENCH_PROGRAM_MAX;
	put(bpf_map__fd(feeder->maps.programs), &slot, &fd, "programs");
}

static void site_load(struct site *site)
{
	struct reference_bpf *ref;

	site->lb = lb_bpf__open();
	site->ref = ref = reference_bpf__open();
	if (!site->lb || !ref)
		die("cannot open the programs: %s", strerror(errno));
	site->lb->rodata->knob_turns = site->turns;
	bpf_map__set_max_entries(site->lb->maps.flows, site->table);
	bpf_map__set_max_entries(ref->maps.ref_flows, site->table);
	if (lb_bpf__load(site->lb) || reference_bpf__load(ref))
		die("cannot load the programs: %s; needs root", strerror(errno));
	site_fill_maps(site);
	site_set_program(site, BENCH_EMPTY, ref->progs.ref_empty);
	site_set_program(site, BENCH_LB, site->lb->progs.lb);
	site_set_program(site, BENCH_SWAP, ref->progs.ref_swap);
	site_set_program(site, BENCH_LOOKUP, ref->progs.ref_lookup);
	site_set_program(site, BENCH_SMALL, ref->progs.ref_small_lookup);
	site_set_program(site, BENCH_LRU, ref->progs.ref_lru_insert);
	site_set_program(site, BENCH_FILL, ref->progs.ref_fill);
}

/* The kernel keeps a jump table of all XDP programs in use, and TEST_RUN enters its program for the time that it runs,
 * waiting for every CPU twice. A program that is attached somewhere is in there already. */
static void feeder_open(void)
{
	static const char *const ends[] = { "bench0", "bench1", "bench2", "bench3" };
	struct bpf_program *wraps[4];

	feeder = feed_bpf__open_and_load();
	if (!feeder)
		die("cannot load the wrapper: %s; needs root", strerror(errno));
	wraps[0] = feeder->progs.wrap_v4_request;
	wraps[1] = feeder->progs.wrap_v4_reply;
	wraps[2] = feeder->progs.wrap_v6_request;
	wraps[3] = feeder->progs.wrap_v6_reply;
	if (unshare(CLONE_NEWNET) == -1)
		die("cannot have a network of my own: %s", strerror(errno));
	if (system("ip link set lo up && ip link add bench0 type veth peer name bench1 && "
		   "ip link add bench2 type veth peer name bench3"))
		die("cannot make interfaces");
	for (int i = 0; i < 4; i++) {
		int ret = bpf_xdp_attach(if_nametoindex(ends[i]), bpf_program__fd(wraps[i]), XDP_FLAGS_DRV_MODE, NULL);

		if (ret)
			die("cannot attach the wrapper: %s", strerror(-ret));
	}
}

/* --- frames ----------------------------------------------------------------------- */

#define FLAG_SYN 0x02
#define FLAG_PSH 0x08
#define FLAG_ACK 0x10

struct frame {
	__u8 bytes[FRAME_MAX];
	__u32 len;
};

struct packet {
	bool reply;		/* from a mail server to a client */
	__u16 port;		/* the service's */
	bool elsewhere;		/* to an address that is nobody's */
	__u8 flags;
	__u32 options;		/* bytes of TCP options */
	__u32 payload;
};

static void frame_build(const struct site *site, const struct packet *pkt, struct frame *out)
{
	struct lb_addr client, other;
	__u32 tcp_len = 20 + pkt->options + pkt->payload;
	struct tcphdr *tcp;
	struct ethhdr *eth = (void *)out->bytes;

	memset(out, 0, sizeof(*out));
	address(&client, site->v6, "100.64.0.0", "2001:db8:64::");
	if (pkt->elsewhere)
		address(&other, site->v6, "198.51.100.9", "2001:db8:9::9");
	else if (pkt->reply)
		backend_of(site, 1, &other);
	else
		vip_of(site, &other);
	memcpy(eth->h_dest, (__u8[]) { 2, 0, 0, 0, 0, 1 }, 6);
	memcpy(eth->h_source, pkt->reply ? (__u8[]) { 2, 0, 0, 0, 1, 1 } : (__u8[]) { 2, 0, 0, 0, 2, 1 }, 6);
	if (site->v6) {
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
		struct iphdr *ip = (void *)(eth + 1);

		eth->h_proto = htons(ETH_P_IP);
		ip->version = 4;
		ip->ihl = 5;
		ip->tot_len = htons(sizeof(*ip) + tcp_len);
		ip->ttl = 64;
		ip->protocol = IPPROTO_TCP;
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

/* Which flow and which numbers the wrapper gives to the packets. */
struct flow_feed {
	__u32 flows;		/* rotate over so many; 0: a new one every time */
	__u32 seq, ack;
	bool seq_moves, ack_moves;
};

#define CLIENT_SEQ 1000
#define SERVER_SEQ 5000
#define NEW_FLOWS  (1U << 25)

static void feed_set(const struct site *site, const struct frame *frame, const struct flow_feed *ff)
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
	/* low word of the client's address in frame_build(); new flows have addresses that no old one has */
	feed->client = site->v6 ? 0 : 0x64400000;
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

/* n packets from number `from`; what the kernel's own clock gives is whole nanoseconds, too coarse. */
static double run(const struct site *site, const struct frame *frame, bool reply, enum bench_program program,
		  __u32 from, __u32 n, __u32 *verdict)
{
	struct bench_feed *feed = &feeder->bss->feed;
	struct bpf_program *wrap = site->v6 ? (reply ? feeder->progs.wrap_v6_reply : feeder->progs.wrap_v6_request) :
					      (reply ? feeder->progs.wrap_v4_reply : feeder->progs.wrap_v4_request);
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->bytes, .data_size_in = frame->len, .repeat = n);
	__u64 start;
	int ret;

	feed->program = site->number * BENCH_PROGRAM_MAX + program;
	feed->counter = from;
	start = cpu_ns();
	ret = bpf_prog_test_run_opts(bpf_program__fd(wrap), &opts);
	start = cpu_ns() - start;
	if (ret)
		die("TEST_RUN: %s", strerror(-ret));
	*verdict = opts.retval;
	return (double)start / n;
}

/* --- making flows -------------------------------------------------------------------- */

static void fill_step(struct site *site, const struct packet *pkt, const struct flow_feed *ff, enum bench_program program,
		      __u32 from, __u32 n)
{
	struct frame frame;
	__u32 action;

	frame_build(site, pkt, &frame);
	feed_set(site, &frame, ff);
	run(site, &frame, pkt->reply, program, from, n, &action);
	if (action != XDP_TX)
		die("making flows: action %u instead of XDP_TX", action);
}

static void site_fill_flows(struct site *site)
{
	const struct packet syn = { .port = PORT, .flags = FLAG_SYN, .options = 20 };
	const struct packet syn_ack = { .reply = true, .port = PORT, .flags = FLAG_SYN | FLAG_ACK, .options = 20 };
	const struct packet ack = { .port = PORT, .flags = FLAG_ACK, .options = 12 };
	const struct flow_feed from_syn = { .flows = site->flows, .seq = CLIENT_SEQ };
	const struct flow_feed from_syn_ack = { .flows = site->flows, .seq = SERVER_SEQ, .ack = CLIENT_SEQ + 1 };
	const struct flow_feed from_ack = { .flows = site->flows, .seq = CLIENT_SEQ + 1, .ack = SERVER_SEQ + 1 };
	struct lb_totals totals;
	__u32 zero = 0;

	site_set_table(site, 1);
	for (__u32 at = 0; at < site->flows; at += FILL_BATCH) {
		__u32 n = site->flows - at < FILL_BATCH ? site->flows - at : FILL_BATCH;

		fill_step(site, &syn, &from_syn, BENCH_LB, at, n);
		if (site->mode == LB_MODE_NAT)
			fill_step(site, &syn_ack, &from_syn_ack, BENCH_LB, at, n);
		fill_step(site, &ack, &from_ack, BENCH_LB, at, n);
		fill_step(site, &ack, &from_ack, BENCH_FILL, at, n);
	}
	site->counter = site->flows;
	site_set_table(site, BACKENDS);
	if (bpf_map_lookup_elem(bpf_map__fd(site->lb->maps.totals), &zero, &totals) || totals.flow_entries != site->flows)
		die("made %llu flows instead of %u", (unsigned long long)totals.flow_entries, site->flows);
}

static __u64 verdict_count(const struct site *site, __u32 verdict)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 each[cpus > 0 ? cpus : 1], sum = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(site->lb->maps.verdicts), &verdict, each))
		die("cannot read verdicts: %s", strerror(errno));
	for (int i = 0; i < cpus; i++)
		sum += each[i];
	return sum;
}

/* --- statistics ------------------------------------------------------------------------ */

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct spread {
	double low, mid, high;	/* 10 %, 50 %, 90 % of the rounds */
};

static struct spread spread_of(const double *values, int n)
{
	double sorted[MAX_ROUNDS];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), compare_doubles);
	return (struct spread) {
		.low = sorted[(n - 1) / 10],
		.mid = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2,
		.high = sorted[(n - 1) - (n - 1) / 10],
	};
}

/* --- cases --------------------------------------------------------------------------- */

struct bench_case {
	const char *name, *about;
	enum bench_program program;
	struct packet pkt;
	struct flow_feed feed;	/* .flows is the site's, or 0 */
	bool fresh;		/* a new flow every time */
	__u32 verdict;		/* of the balancer */
	__u32 action;
};

#define DATA_PACKET { .port = PORT, .flags = FLAG_ACK, .options = 12, .payload = 1448 }
#define ACK_PACKET { .port = PORT, .flags = FLAG_ACK, .options = 12 }
#define WORD_PACKET { .port = PORT, .flags = FLAG_ACK | FLAG_PSH, .options = 12, .payload = 32 }
#define SYN_PACKET { .port = PORT, .flags = FLAG_SYN, .options = 20 }
#define REPLY_PACKET { .reply = true, .port = PORT, .flags = FLAG_ACK | FLAG_PSH, .options = 12, .payload = 32 }
#define CLIENT_FEED .seq = CLIENT_SEQ + 1, .ack = SERVER_SEQ + 1
#define SERVER_FEED .seq = SERVER_SEQ + 1, .ack = CLIENT_SEQ + 1

static const struct bench_case case_request = {
	"request", "client's segment of a message, new words", BENCH_LB, DATA_PACKET,
	{ CLIENT_FEED, .seq_moves = true }, false, LB_TX_REQUEST, XDP_TX,
};
static const struct bench_case case_request_ack = {
	"request-ack", "client's bare ACK, nothing new", BENCH_LB, ACK_PACKET,
	{ CLIENT_FEED }, false, LB_TX_REQUEST, XDP_TX,
};
static const struct bench_case case_request_turn = {
	"request-turn", "client's command that acknowledges a reply: both turns in one packet", BENCH_LB, WORD_PACKET,
	{ CLIENT_FEED, .seq_moves = true, .ack_moves = true }, false, LB_TX_REQUEST, XDP_TX,
};
static const struct bench_case case_reply = {
	"reply", "mail server's segment", BENCH_LB, REPLY_PACKET,
	{ SERVER_FEED }, false, LB_TX_REPLY, XDP_TX,
};
static const struct bench_case case_syn = {
	"syn", "SYN of a new flow every time", BENCH_LB, SYN_PACKET,
	{ .seq = CLIENT_SEQ }, true, LB_TX_SYN, XDP_TX,
};
static const struct bench_case case_syn_full = {
	"syn-full", "SYN to a full table, answered with a RST", BENCH_LB, SYN_PACKET,
	{ .seq = CLIENT_SEQ }, true, LB_RESET_TABLE_FULL, XDP_TX,
};
static const struct bench_case case_other_port = {
	"other-port", "not ours: TCP to another port", BENCH_LB,
	{ .port = 443, .flags = FLAG_ACK, .options = 12, .payload = 1448 },
	{ CLIENT_FEED }, false, LB_PASS_NOT_OURS, XDP_PASS,
};
static const struct bench_case case_other_host = {
	"other-host", "not ours: SMTP to another host", BENCH_LB,
	{ .port = PORT, .elsewhere = true, .flags = FLAG_ACK, .options = 12, .payload = 1448 },
	{ CLIENT_FEED }, false, LB_PASS_NOT_OURS, XDP_PASS,
};
static const struct bench_case case_swap = {
	"mac-swap", "MAC swap", BENCH_SWAP, DATA_PACKET, { CLIENT_FEED }, false, 0, XDP_TX,
};
static const struct bench_case case_lookup = {
	"lookup", "parse, one look-up, MAC swap", BENCH_LOOKUP, DATA_PACKET, { CLIENT_FEED }, false, 0, XDP_TX,
};
static const struct bench_case case_small = {
	"small-lookup", "parse, one small look-up", BENCH_SMALL, DATA_PACKET, { CLIENT_FEED }, false, 0, XDP_PASS,
};
static const struct bench_case case_lru = {
	"lru-insert", "parse, one LRU insert", BENCH_LRU, SYN_PACKET, { .seq = CLIENT_SEQ }, true, 0, XDP_TX,
};

struct sample {
	const struct bench_case *what;
	struct site *site;
	double net[MAX_ROUNDS], gross[MAX_ROUNDS];
};

static struct sample samples[256];
static int samples_n;

static void sample_add(struct site *site, const struct bench_case *what)
{
	if (samples_n == 256)
		die("too many cases");
	samples[samples_n++] = (struct sample) { .what = what, .site = site };
}

/* One round of one case: short stretches of nothing and of the program in turn, and the median of each, so
 * that what else the machine does in between hits few of them and both alike. */
static void sample_measure(struct sample *s, int round)
{
	const struct bench_case *c = s->what;
	struct site *site = s->site;
	struct flow_feed ff = c->feed;
	__u32 n = opt_repeat / STRETCHES, warm, action;
	double empty[STRETCHES], gross[STRETCHES];
	struct frame frame;
	__u64 before = 0;

	ff.flows = c->fresh ? 0 : site->flows;
	warm = c->fresh ? 4096 : site->flows < 65536 ? site->flows + 1024 : 65536;
	frame_build(site, &c->pkt, &frame);
	feed_set(site, &frame, &ff);
	run(site, &frame, c->pkt.reply, c->program, site->counter, warm, &action);
	site->counter += warm;
	if (c->program == BENCH_LB)
		before = verdict_count(site, c->verdict);
	for (int i = 0; i < STRETCHES; i++) {
		empty[i] = run(site, &frame, c->pkt.reply, BENCH_EMPTY, site->counter, n, &action);
		gross[i] = run(site, &frame, c->pkt.reply, c->program, site->counter, n, &action);
		site->counter += n;
		if (action != c->action)
			die("%s: action %u instead of %u", c->name, action, c->action);
	}
	if (c->program == BENCH_LB && verdict_count(site, c->verdict) - before != n * STRETCHES)
		die("%s: only %llu of %u packets took the path that is measured", c->name,
		    (unsigned long long)(verdict_count(site, c->verdict) - before), n * STRETCHES);
	s->gross[round] = spread_of(gross, STRETCHES).mid;
	s->net[round] = s->gross[round] - spread_of(empty, STRETCHES).mid;
}

/* Direct, without the wrapper: these two may meet their own work, it is the same to them. */
static double direct_cost(struct site *site, struct bpf_program *prog)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = opt_repeat);
	const struct packet pkt = DATA_PACKET;
	struct frame frame;
	__u64 start;

	frame_build(site, &pkt, &frame);
	opts.data_in = frame.bytes;
	opts.data_size_in = frame.len;
	start = cpu_ns();
	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts))
		die("TEST_RUN: %s", strerror(errno));
	return (double)(cpu_ns() - start) / opt_repeat;
}

/* --- what is measured -------------------------------------------------------------------- */

static struct site sites[BENCH_SITES];
static int sites_n;

static struct site *site_add(bool v6, enum lb_mode mode, bool turns, __u32 flows, __u32 table)
{
	struct site *site = &sites[sites_n];

	if (sites_n == BENCH_SITES)
		die("too many sites");
	*site = (struct site) {
		.number = sites_n++, .v6 = v6, .mode = mode, .turns = turns, .flows = flows, .table = table,
	};
	return site;
}

static const char *site_variant(const struct site *site)
{
	if (!site->turns)
		return "nat, no turns";
	return site->mode == LB_MODE_DSR ? "dsr" : "nat";
}

static void plan(void)
{
	static const __u32 sizes[][2] = {
		{ 1, LB_DEFAULT_FLOWS }, { 1024, LB_DEFAULT_FLOWS }, { 65536, LB_DEFAULT_FLOWS }, { 1 << 20, 1 << 20 },
	};

	for (int v6 = 0; v6 < 2; v6++) {
		struct site *site;

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			site = site_add(v6, LB_MODE_NAT, true, sizes[i][0], sizes[i][1]);
			sample_add(site, &case_lookup);
			sample_add(site, &case_request);
			sample_add(site, &case_request_ack);
			sample_add(site, &case_request_turn);
			sample_add(site, &case_reply);
			if (i != 0 && i != 2)
				continue;
			sample_add(site, &case_lru);
			sample_add(site, &case_syn);
			if (i)
				continue;
			sample_add(site, &case_swap);
			sample_add(site, &case_small);
			sample_add(site, &case_other_port);
			sample_add(site, &case_other_host);
		}
		sample_add(site_add(v6, LB_MODE_NAT, true, 1024, 1024), &case_syn_full);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i += 2) {
		struct site *site = site_add(false, LB_MODE_DSR, true, sizes[i][0], sizes[i][1]);

		sample_add(site, &case_request);
		site = site_add(false, LB_MODE_NAT, false, sizes[i][0], sizes[i][1]);
		sample_add(site, &case_request);
		sample_add(site, &case_request_turn);
	}
	/* what a table that is too large for its flows costs */
	{
		struct site *site = site_add(false, LB_MODE_NAT, true, 65536, 1 << 20);

		sample_add(site, &case_lookup);
		sample_add(site, &case_request);
		sample_add(site, &case_reply);
	}
}

/* --- ratios against the targets ------------------------------------------------------------ */

static struct sample *find(bool v6, const char *variant, __u32 flows, __u32 table, const struct bench_case *what)
{
	for (int i = 0; i < samples_n; i++) {
		const struct site *site = samples[i].site;

		if (samples[i].what == what && site->v6 == v6 && site->flows == flows && site->table == table &&
		    strcmp(site_variant(site), variant) == 0)
			return &samples[i];
	}
	return NULL;
}

struct ratio {
	char name[96];
	double limit;		/* 0: only told */
	struct sample *over, *under;
};

static struct ratio ratios[64];
static int ratios_n;

static void ratio_add(double limit, struct sample *over, struct sample *under, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static void ratio_add(double limit, struct sample *over, struct sample *under, const char *fmt, ...)
{
	struct ratio *r = &ratios[ratios_n];
	va_list args;

	if (!over || !under || ratios_n == 64)
		return;
	*r = (struct ratio) { .limit = limit, .over = over, .under = under };
	va_start(args, fmt);
	vsnprintf(r->name, sizeof(r->name), fmt, args);
	va_end(args);
	ratios_n++;
}

static void plan_ratios(void)
{
	static const struct bench_case *const both[] = { &case_request, &case_reply };
	const __u32 def = LB_DEFAULT_FLOWS, big = 1 << 20;

	for (int v6 = 0; v6 < 2; v6++) {
		const char *ip = v6 ? "IPv6" : "IPv4";

		for (int i = 0; i < 2; i++) {
			const char *name = both[i]->name;

			ratio_add(2.5, find(v6, "nat", 1, def, both[i]), find(v6, "nat", 1, def, &case_lookup),
				  "%s %s : look-up, 1 flow", ip, name);
			ratio_add(1.5, find(v6, "nat", 65536, def, both[i]), find(v6, "nat", 65536, def, &case_lookup),
				  "%s %s : look-up, 64k flows", ip, name);
			ratio_add(1.3, find(v6, "nat", big, big, both[i]), find(v6, "nat", 65536, def, both[i]),
				  "%s %s, 1M flows : 64k flows", ip, name);
			if (v6)
				ratio_add(1.2, find(1, "nat", 1, def, both[i]), find(0, "nat", 1, def, both[i]),
					  "%s, 1 flow, IPv6 : IPv4", name);
			if (v6)
				ratio_add(1.2, find(1, "nat", 65536, def, both[i]), find(0, "nat", 65536, def, both[i]),
					  "%s, 64k flows, IPv6 : IPv4", name);
		}
		ratio_add(0, find(v6, "nat", big, big, &case_lookup), find(v6, "nat", 65536, def, &case_lookup),
			  "%s look-up, 1M flows : 64k flows", ip);
		ratio_add(1.3, find(v6, "nat", 1, def, &case_syn), find(v6, "nat", 1, def, &case_lru),
			  "%s SYN : LRU insert", ip);
		ratio_add(1.3, find(v6, "nat", 1, def, &case_other_port), find(v6, "nat", 1, def, &case_small),
			  "%s other port : small look-up", ip);
		ratio_add(1.3, find(v6, "nat", 1, def, &case_other_host), find(v6, "nat", 1, def, &case_small),
			  "%s other host : small look-up", ip);
	}
	ratio_add(0, find(0, "nat", 1, def, &case_request), find(0, "nat, no turns", 1, def, &case_request),
		  "IPv4 request with turns : without, 1 flow");
	ratio_add(0, find(0, "nat", 1, def, &case_request_turn), find(0, "nat, no turns", 1, def, &case_request_turn),
		  "IPv4 command with turns : without, 1 flow");
	ratio_add(0, find(0, "nat", 65536, big, &case_request), find(0, "nat", 65536, def, &case_request),
		  "IPv4 request, 64k flows in 1M slots : in 128k");
}

static struct spread ratio_spread(const struct ratio *r)
{
	double each[MAX_ROUNDS];

	for (int i = 0; i < opt_rounds; i++)
		each[i] = r->over->net[i] / r->under->net[i];
	return spread_of(each, opt_rounds);
}

/* --- output ---------------------------------------------------------------------------------- */

static const char *program_name(const struct sample *s)
{
	return s->what->program == BENCH_LB ? "mailxdp" : "reference";
}

static void print_table(const double *direct)
{
	printf("\nns per packet, net of the wrapper: median over %d rounds of %u packets [10 %% .. 90 %%]\n\n", opt_rounds,
	       opt_repeat);
	printf("%-4s %8s %8s  %-13s %-13s %8s  %s\n", "IP", "flows", "slots", "mode", "case", "ns", "spread");
	for (int i = 0; i < samples_n; i++) {
		const struct sample *s = &samples[i];
		struct spread net = spread_of(s->net, opt_rounds);

		printf("%-4s %8u %8u  %-13s %-13s %8.1f  [%.1f .. %.1f]\n", s->site->v6 ? "v6" : "v4", s->site->flows,
		       s->site->table, s->what->program == BENCH_LB ? site_variant(s->site) : "reference", s->what->name,
		       net.mid, net.low, net.high);
	}
	printf("\nwithout the wrapper: bare XDP_TX %.1f, MAC swap %.1f\n\n", direct[0], direct[1]);
	printf("%-46s %7s %-16s %s\n", "ratio", "", "spread", "target");
	for (int i = 0; i < ratios_n; i++) {
		struct spread v = ratio_spread(&ratios[i]);
		char target[32] = "";

		if (ratios[i].limit)
			snprintf(target, sizeof(target), "<= %.1f %s", ratios[i].limit,
				 v.mid <= ratios[i].limit ? "holds" : "MISSED");
		printf("%-46s %7.2f [%.2f .. %.2f]   %s\n", ratios[i].name, v.mid, v.low, v.high, target);
	}
}

static void write_json(const double *direct)
{
	FILE *f = fopen(opt_json, "w");

	if (!f)
		die("%s: %s", opt_json, strerror(errno));
	fprintf(f, "{\n \"kind\": \"packet\", \"rounds\": %d, \"repeat\": %u, \"cpu\": %d,\n", opt_rounds, opt_repeat, opt_cpu);
	fprintf(f, " \"direct\": {\"xdp_tx\": %.2f, \"mac_swap\": %.2f},\n \"samples\": [\n", direct[0], direct[1]);
	for (int i = 0; i < samples_n; i++) {
		const struct sample *s = &samples[i];
		struct spread net = spread_of(s->net, opt_rounds), gross = spread_of(s->gross, opt_rounds);

		fprintf(f,
			"  {\"family\": %d, \"flows\": %u, \"table\": %u, \"program\": \"%s\", \"variant\": \"%s\", \"case\": \"%s\", "
			"\"about\": \"%s\", \"ns\": %.2f, \"low\": %.2f, \"high\": %.2f, \"gross\": %.2f}%s\n",
			s->site->v6 ? 6 : 4, s->site->flows, s->site->table, program_name(s), site_variant(s->site), s->what->name,
			s->what->about, net.mid, net.low, net.high, gross.mid, i + 1 < samples_n ? "," : "");
	}
	fprintf(f, " ],\n \"ratios\": [\n");
	for (int i = 0; i < ratios_n; i++) {
		struct spread v = ratio_spread(&ratios[i]);

		fprintf(f, "  {\"name\": \"%s\", \"value\": %.3f, \"low\": %.3f, \"high\": %.3f, \"limit\": %.2f}%s\n",
			ratios[i].name, v.mid, v.low, v.high, ratios[i].limit, i + 1 < ratios_n ? "," : "");
	}
	fprintf(f, " ]\n}\n");
	if (fclose(f))
		die("%s: %s", opt_json, strerror(errno));
}

static bool is_wanted(const struct sample *s)
{
	if (opt_quick && s->site->table > LB_DEFAULT_FLOWS)
		return false;
	return !opt_only || s->what->program != BENCH_LB || strcmp(s->what->name, opt_only) == 0;
}

static void keep_wanted(void)
{
	int n = 0;

	for (int i = 0; i < samples_n; i++)
		if (is_wanted(&samples[i]))
			samples[n++] = samples[i];
	samples_n = n;
}

static void options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "rounds", required_argument, NULL, 'r' }, { "repeat", required_argument, NULL, 'n' },
		{ "cpu", required_argument, NULL, 'c' },    { "only", required_argument, NULL, 'o' },
		{ "json", required_argument, NULL, 'j' },   { "quick", no_argument, NULL, 'q' },
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'r')
			opt_rounds = atoi(optarg);
		else if (c == 'n')
			opt_repeat = atoi(optarg);
		else if (c == 'c')
			opt_cpu = atoi(optarg);
		else if (c == 'o')
			opt_only = optarg;
		else if (c == 'j')
			opt_json = optarg;
		else if (c == 'q')
			opt_quick = true;
		else
			exit(2);
	}
	if (opt_rounds < 1 || opt_rounds > MAX_ROUNDS || opt_repeat < 1000)
		die("--rounds 1..%d, --repeat at least 1000", MAX_ROUNDS);
}

int main(int argc, char **argv)
{
	double direct[2][MAX_ROUNDS], direct_mid[2];
	cpu_set_t set;

	setvbuf(stdout, NULL, _IOLBF, 0);
	options(argc, argv);
	if (opt_cpu < 0)
		opt_cpu = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	CPU_ZERO(&set);
	CPU_SET(opt_cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == -1)
		die("CPU %d: %s", opt_cpu, strerror(errno));
	if (setpriority(PRIO_PROCESS, 0, -20) == -1)
		die("cannot get ahead of others on the CPU: %s; needs root", strerror(errno));
	feeder_open();
	plan();
	keep_wanted();
	plan_ratios();
	for (int i = 0; i < samples_n; i++) {
		struct site *site = samples[i].site;

		if (site->lb)
			continue;
		progress("making %u flows, IPv%d, %s", site->flows, site->v6 ? 6 : 4, site_variant(site));
		site_load(site);
		site_fill_flows(site);
	}
	for (int round = 0; round < opt_rounds; round++) {
		progress("round %d of %d", round + 1, opt_rounds);
		for (int i = 0; i < samples_n; i++)
			sample_measure(&samples[i], round);
		direct[0][round] = direct_cost(samples[0].site, samples[0].site->ref->progs.ref_empty);
		direct[1][round] = direct_cost(samples[0].site, samples[0].site->ref->progs.ref_swap);
	}
	progress("done");
	for (int i = 0; i < 2; i++)
		direct_mid[i] = spread_of(direct[i], opt_rounds).mid;
	print_table(direct_mid);
	write_json(direct_mid);
	return 0;
}
