/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world for the program to live in: loads it without pins, fills its maps with one nat and one dsr service
 * in both families, runs packets through it and hands back what became of them. Every run is held to the
 * rules that have no exception: exactly one verdict, the action that belongs to it, a passed packet is
 * untouched, and a packet whose checksums were right leaves with right ones.
 */
#ifndef TESTS_RUN_H
#define TESTS_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "../../loader/verdict.h"
#include "../../loader/addr.h"
#include "lb.skel.h"
#include "slots.h"
#include "pkt.h"

#define SKIPPED		77
#define IF_HERE		1	/* lo: where test packets come in */
#define IF_ELSEWHERE	7
#define PORT		25
#define CLIENT_PORT	40001
#define CLIENT_ISN	1000
#define SERVER_ISN	5000
#define SECOND		1000000000ULL
#define BIG_TABLE	1024

struct world {
	struct lb_bpf *skel;
	int services, backend_addrs, traffic, replies, fragments, verdicts, events;
	struct slots flows;
	struct lb_pending_set *pending;
	int inner[LB_MAX_VIPS], cpus;
	struct lb_backend *backends;	/* mmapped, as the next two */
	struct lb_load *loads;
	struct lb_totals *totals;
	struct lb_table *table;		/* scratch */
	__u64 before[LB_VERDICT_MAX];
	__u64 produced[LB_VERDICT_MAX];	/* by this process */
	bool unchecked;			/* the packets are broken on purpose: their sums prove nothing */
	bool counting;			/* "before" is good */
};

struct result {
	int action;
	enum lb_verdict verdict;
	struct frame out;
};

static struct world world;

static inline __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static inline __u16 vip_of(int family, int mode)
{
	return 1 + 2 * mode + family;
}

/* which: 0 be_one, 1 be_two */
static inline __u16 id_of(int family, int mode, int which)
{
	return 1 + 2 * (vip_of(family, mode) - 1) + which;
}

static inline void *world_mmap(struct bpf_map *map)
{
	size_t len = (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map);
	void *mem = mmap(NULL, (len + 4095) / 4096 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return mem == MAP_FAILED ? NULL : mem;
}

/* What libbpf complained of last: said only when it was not about permissions. */
static char last_words[1024];

static inline int listen_only(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return level == LIBBPF_WARN ? vsnprintf(last_words, sizeof(last_words), fmt, args) : 0;
}

/* What a set of slots and members looks like: one slot each. */
static inline void world_table(__u16 vip_id, const __u16 *ids, __u32 n)
{
	__u32 zero = 0, key = vip_id;

	memset(world.table, 0, sizeof(*world.table));
	world.table->slots_n = n;
	world.table->members_n = n;
	for (__u32 i = 0; i < n; i++)
		world.table->members[i] = world.table->slots[i] = ids[i];
	assert_int_equal(bpf_map_update_elem(world.inner[vip_id], &zero, world.table, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(world.skel->maps.tables), &key, &world.inner[vip_id], BPF_ANY), 0);
}

static inline void world_service(int family, int mode, __u8 scheduler, __u8 refuse)
{
	struct lb_service svc = { .vip_id = vip_of(family, mode), .mode = mode, .scheduler = scheduler, .refuse = refuse };
	struct lb_service_key key = { .vip = svc_mx(family, mode), .port = PORT };

	assert_int_equal(bpf_map_update_elem(world.services, &key, &svc, BPF_ANY), 0);
	/* IPv4 finds its way by the hints, IPv6 by the maps behind them */
	if (addr_is_v4(&key.vip))
		world.skel->bss->hints[0].services[hint_slot(&key, HINT_SERVICE_BITS)] = (struct hint_service) { key, svc };
}

static inline __u16 sum_delta(const struct lb_addr *from, const struct lb_addr *to)
{
	__u32 sum = 0;
	__u16 a[8], b[8];

	memcpy(a, from, 16);
	memcpy(b, to, 16);
	for (int i = 0; i < 8; i++)
		sum += b[i] + (0xffff - a[i]);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline void world_backend(int family, int mode, int which)
{
	struct lb_addr address = which ? be_two(family, mode) : be_one(family, mode), vip = svc_mx(family, mode);
	struct lb_backend be = {
		.address = address, .csum_delta = sum_delta(&vip, &address), .vip_id = vip_of(family, mode),
		.ifindex = IF_HERE, .weight = 16, .mode = mode, .flags = LB_BACKEND_ELIGIBLE | LB_BACKEND_RESOLVED,
	};
	struct lb_backend_key key = { .address = address, .port = PORT };
	struct lb_backend_ref ref = {
		.vip = vip, .backend = id_of(family, mode, which), .vip_id = be.vip_id,
		.csum_delta = sum_delta(&address, &vip),
	};

	memcpy(be.dst_mac, which ? mac_be_two : mac_be_one, 6);
	memcpy(be.src_mac, mac_lb_in, 6);
	world.backends[id_of(family, mode, which)] = be;
	if (mode != LB_MODE_NAT)
		return;
	assert_int_equal(bpf_map_update_elem(world.backend_addrs, &key, &ref, BPF_ANY), 0);
	if (addr_is_v4(&key.address))
		world.skel->bss->hints[0].backends[hint_slot(&key, HINT_BACKEND_BITS)] = (struct hint_backend) { key, ref };
}

static inline void clear_hash(int fd)
{
	__u8 key[64];

	while (bpf_map_get_next_key(fd, NULL, key) == 0)
		bpf_map_delete_elem(fd, key);
}

static inline void clear_percpu(int fd, size_t size)
{
	void *zeros = calloc(world.cpus, size);

	for (__u32 id = 0; id <= id_of(V6, LB_MODE_DSR, 1); id++)
		bpf_map_update_elem(fd, &id, zeros, BPF_ANY);
	free(zeros);
}

static inline int drop_event(void *ctx, void *data, size_t len)
{
	(void)ctx, (void)data, (void)len;
	return 0;
}

static inline void world_drain(ring_buffer_sample_fn fn, void *ctx)
{
	struct ring_buffer *ring = ring_buffer__new(world.events, fn, ctx, NULL);

	assert_non_null(ring);
	assert_true(ring_buffer__consume(ring) >= 0);
	ring_buffer__free(ring);
}

static inline void forget_pending(void)
{
	memset(world.pending, 0, sizeof(*world.pending) * LB_PENDING_SETS);
}

/* Looked for in every set: the test does not know the hash. */
static inline struct lb_pending *find_pending(const struct lb_flow_key *key)
{
	for (int i = 0; i < LB_PENDING_SETS; i++)
		for (int j = 0; j < LB_PENDING_WAYS; j++)
			if (world.pending[i].marks[j] && !memcmp(&world.pending[i].entries[j].key, key, sizeof(*key)))
				return &world.pending[i].entries[j];
	return NULL;
}

/* As on the first day. Each VIP gives its connections to be_one. */
static inline void world_reset(void)
{
	slots_clear(&world.flows);
	forget_pending();
	clear_hash(world.fragments);
	memset(world.loads, 0, sizeof(*world.loads) * LB_MAX_BACKENDS);
	clear_percpu(world.traffic, sizeof(struct lb_traffic));
	clear_percpu(world.replies, sizeof(struct lb_replies));
	world.totals->flow_entries = 0;
	world.totals->flow_limit = LB_FLOWS_IN_SLOTS(world.flows.n);
	world.unchecked = false;
	world_drain(drop_event, NULL);
	for (int mode = 0; mode < LB_MODE_MAX; mode++) {
		for (int family = V4; family <= V6; family++) {
			world_service(family, mode, LB_SCHED_ROUND_ROBIN, LB_REFUSE_RESET);
			world_backend(family, mode, 0);
			world_backend(family, mode, 1);
			world_table(vip_of(family, mode), (__u16[]){ id_of(family, mode, 0) }, 1);
		}
	}
}

static inline int world_try(__u32 flows)
{
	struct world *w = &world;
	int err;

	libbpf_set_print(listen_only);
	w->skel = lb_bpf__open();
	if (!w->skel)
		return -errno;
	bpf_map__set_max_entries(w->skel->maps.flows, LB_SLOTS_FOR_FLOWS(flows));
	err = lb_bpf__load(w->skel);
	if (err)
		return err;
	w->services = bpf_map__fd(w->skel->maps.services);
	w->backend_addrs = bpf_map__fd(w->skel->maps.backend_addrs);
	w->traffic = bpf_map__fd(w->skel->maps.traffic);
	w->replies = bpf_map__fd(w->skel->maps.replies);
	w->fragments = bpf_map__fd(w->skel->maps.fragments);
	w->verdicts = bpf_map__fd(w->skel->maps.verdicts);
	w->events = bpf_map__fd(w->skel->maps.events);
	w->cpus = libbpf_num_possible_cpus();
	w->backends = world_mmap(w->skel->maps.backends);
	w->pending = world_mmap(w->skel->maps.pending);
	w->loads = world_mmap(w->skel->maps.loads);
	w->totals = world_mmap(w->skel->maps.totals);
	w->table = calloc(1, sizeof(*w->table));
	w->flows.slots = world_mmap(w->skel->maps.flows);
	w->flows.n = bpf_map__max_entries(w->skel->maps.flows);
	memcpy(w->flows.secret, w->skel->rodata->knob_place_secret, sizeof(w->flows.secret));
	if (!w->flows.slots || !w->backends || !w->pending || !w->loads || !w->totals || !w->table)
		return -ENOMEM;
	for (int vip = 1; vip <= vip_of(V6, LB_MODE_DSR); vip++) {
		w->inner[vip] = bpf_map_create(BPF_MAP_TYPE_ARRAY, "table", sizeof(__u32), sizeof(struct lb_table), 1, NULL);
		if (w->inner[vip] < 0)
			return w->inner[vip];
	}
	w->skel->bss->port_bits[PORT >> 6] |= 1ULL << (PORT & 63);
	return 0;
}

/* Called first in main(): exits where the kernel will not let us. */
static inline void world_open(__u32 flows)
{
	int err = world_try(flows);

	if (err == -EPERM || (err == -EACCES && geteuid() != 0)) {
		printf("1..0 # SKIP not permitted to load BPF programs: run as root\n");
		exit(SKIPPED);
	}
	if (err) {
		fprintf(stderr, "cannot load the XDP program: %s: %s\n", strerror(-err), last_words);
		exit(1);
	}
}

static inline int world_setup(void **state)
{
	(void)state;
	world_reset();
	return 0;
}

/* --- running a packet ------------------------------------------------------------------ */
static inline void read_verdicts(__u64 out[LB_VERDICT_MAX])
{
	__u32 keys[LB_VERDICT_MAX], batch, n = LB_VERDICT_MAX;
	__u64 values[LB_VERDICT_MAX * 64];

	assert_in_range(world.cpus, 1, 64);
	if (bpf_map_lookup_batch(world.verdicts, NULL, &batch, keys, values, &n, NULL))
		assert_int_equal(errno, ENOENT);
	assert_int_equal(n, LB_VERDICT_MAX);
	for (__u32 i = 0; i < n; i++) {
		out[keys[i]] = 0;
		for (int cpu = 0; cpu < world.cpus; cpu++)
			out[keys[i]] += values[i * world.cpus + cpu];
	}
}

static inline enum lb_verdict one_verdict(void)
{
	__u64 after[LB_VERDICT_MAX], total = 0;
	enum lb_verdict v = LB_NEXT;

	read_verdicts(after);
	for (int i = 0; i < LB_VERDICT_MAX; i++) {
		total += after[i] - world.before[i];
		if (after[i] != world.before[i])
			v = i;
	}
	assert_int_equal(total, 1);
	world.produced[v]++;
	memcpy(world.before, after, sizeof(after));
	return v;
}

static inline bool is_tx(enum lb_verdict v)
{
	return v >= LB_TX_SYN && v <= LB_RESET_ENDED;
}

static inline bool is_pass(enum lb_verdict v)
{
	return v >= LB_PASS_NOT_IP && v <= LB_PASS_REFUSED;
}

/* Forwards or answers. */
static inline void run_frame(const struct frame *in, struct result *r)
{
	struct xdp_md md = { .data_end = in->len, .ingress_ifindex = IF_HERE };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->bytes, .data_size_in = in->len, .data_out = r->out.bytes,
		    .data_size_out = sizeof(r->out.bytes), .ctx_in = &md, .ctx_size_in = sizeof(md));

	if (!world.counting)
		read_verdicts(world.before);
	world.counting = true;
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(world.skel->progs.lb), &opts), 0);
	r->action = opts.retval;
	r->out.len = opts.data_size_out;
	r->verdict = one_verdict();
	if (is_pass(r->verdict)) {
		assert_int_equal(r->action, XDP_PASS);
		assert_int_equal(r->out.len, in->len);
		assert_memory_equal(r->out.bytes, in->bytes, in->len);
	} else if (is_tx(r->verdict)) {
		assert_true(r->action == XDP_TX || r->action == XDP_REDIRECT);
		if (!world.unchecked && frame_sums_ok(in) && !frame_sums_ok(&r->out))
			fail_msg("%s: checksums were right and are wrong", verdict_to_str(r->verdict));
	} else {
		assert_int_equal(r->action, XDP_DROP);
	}
}

static inline enum lb_verdict run_pkt(const struct pkt *in, struct result *r)
{
	static struct frame f;

	pkt_build(&f, in);
	run_frame(&f, r);
	return r->verdict;
}

/* Runs a frame; says what differs, by the sentence of the case. want: NULL when nothing comes out. */
static inline void expect_frame(const char *sentence, const struct frame *in, enum lb_verdict verdict,
				const struct frame *want)
{
	static struct result r;

	run_frame(in, &r);
	if (r.verdict != verdict)
		fail_msg("\"%s\": %s instead of %s", sentence, verdict_to_str(r.verdict), verdict_to_str(verdict));
	if (!want)
		return;
	if (r.out.len != want->len)
		fail_msg("\"%s\": %u bytes instead of %u", sentence, r.out.len, want->len);
	for (__u32 i = 0; i < want->len; i++)
		if (r.out.bytes[i] != want->bytes[i])
			fail_msg("\"%s\": byte %u of %u is %02x instead of %02x", sentence, i, want->len, r.out.bytes[i],
				 want->bytes[i]);
}

static inline void expect(const char *sentence, const struct pkt *in, enum lb_verdict verdict, const struct pkt *want)
{
	static struct frame f, g;

	pkt_build(&f, in);
	if (want)
		pkt_build(&g, want);
	expect_frame(sentence, &f, verdict, want ? &g : NULL);
}

#endif
