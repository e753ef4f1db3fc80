// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does for a benchmark what lbd does in life: writes the maps, loads the programs, fills the selection table; then makes
 * flows, the way clients and servers do.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../bpf/csum.h"
#include "../../loader/maglev.h"
#include "packet_site.h"
#include "tool.h"
#include "bench/reference.skel.h"
#include "lb.skel.h"

#define BACKENDS   3
#define LO_IFINDEX 1	/* what TEST_RUN says that the packet came in on */
#define FILL_BATCH 256	/* half-open connections at a time: few enough that "pending" loses none of them */

static struct site sites[BENCH_SITES];
static int sites_n;

struct site *site_add(bool v6, enum lb_mode mode, bool turns, __u32 flows, __u32 table)
{
	struct site *site = &sites[sites_n];

	if (sites_n == BENCH_SITES)
		die("too many sites");
	*site = (struct site) {
		.number = sites_n++, .v6 = v6, .mode = mode, .turns = turns, .flows = flows, .table = table,
		.twin = site,
	};
	return site;
}

void site_add_twin(struct site *site)
{
	struct site *twin = site_add(site->v6, site->mode, site->turns, site->flows, site->table);

	twin->twin = site->twin;
	site->twin = twin;
}

const char *site_variant(const struct site *site)
{
	if (!site->turns)
		return "nat, no turns";
	return site->mode == LB_MODE_DSR ? "dsr" : "nat";
}

static void put(int fd, const void *key, const void *value, const char *what)
{
	if (bpf_map_update_elem(fd, key, value, BPF_ANY))
		die("cannot write %s: %m", what);
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

		backend_of(site->v6, i + 1, &addr);
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
		die("cannot map %s: %m", bpf_map__name(map));
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

	vip_of(site->v6, &skey.vip);
	put(bpf_map__fd(site->lb->maps.services), &skey, &svc, "services");
	site->lb->bss->hints[0].services[hint_slot(&skey, HINT_SERVICE_BITS)] = (struct hint_service) { skey, svc };
	for (int id = 1; id <= BACKENDS; id++) {
		struct lb_backend_key bkey = { .port = PORT };
		struct lb_backend_ref ref = { .vip = skey.vip, .backend = id, .vip_id = 1 };

		backend_of(site->v6, id, &bkey.address);
		ref.csum_delta = csum_diff(&bkey.address, &skey.vip, sizeof(skey.vip));
		if (site->mode == LB_MODE_NAT) {
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

static void site_set_program(struct site *site, enum bench_program program, struct bpf_program *prog)
{
	feeder_set_program(site_place(site, program), bpf_program__fd(prog));
}

static void site_load(struct site *site)
{
	struct reference_bpf *ref;

	site->lb = lb_bpf__open();
	site->ref = ref = reference_bpf__open();
	if (!site->lb || !ref)
		die("cannot open the programs: %m");
	site->lb->rodata->knob_turns = site->turns;
	bpf_map__set_max_entries(site->lb->maps.flows, LB_SLOTS_FOR_FLOWS(site->table));
	bpf_map__set_max_entries(ref->maps.ref_flows, site->table);
	if (lb_bpf__load(site->lb) || reference_bpf__load(ref))
		die("cannot load the programs: %m; needs root");
	site_fill_maps(site);
	site_set_program(site, BENCH_EMPTY, ref->progs.ref_empty);
	site_set_program(site, BENCH_LB, site->lb->progs.lb);
	site_set_program(site, BENCH_SWAP, ref->progs.ref_swap);
	site_set_program(site, BENCH_LOOKUP, ref->progs.ref_lookup);
	site_set_program(site, BENCH_SMALL, ref->progs.ref_small_lookup);
	site_set_program(site, BENCH_LRU, ref->progs.ref_lru_insert);
	site_set_program(site, BENCH_FILL, ref->progs.ref_fill);
}

/* --- making flows -------------------------------------------------------------------- */

static void fill_step(struct site *site, const struct packet *pkt, const struct flow_feed *ff, enum bench_program program,
		      __u32 from, __u32 n)
{
	struct frame frame;
	__u32 action;

	frame_build(site->v6, pkt, &frame);
	feed_set(&frame, ff);
	feed_run(&frame, site_place(site, program), from, n, &action);
	if (action != XDP_TX)
		die("making flows: action %u instead of XDP_TX", action);
}

static void site_fill_flows(struct site *site)
{
	const struct packet syn = { .port = PORT, .flags = FLAG_SYN, .options = 20 };
	const struct packet syn_ack = { .reply = true, .port = PORT, .flags = FLAG_SYN | FLAG_ACK, .options = 20 };
	const struct packet ack = { .port = PORT, .flags = FLAG_ACK, .options = 12 };
	const struct flow_feed from_syn = { .making = true, .flows = site->flows, .seq = CLIENT_SEQ };
	const struct flow_feed from_syn_ack = { .making = true, .flows = site->flows, .seq = SERVER_SEQ, .ack = CLIENT_SEQ + 1 };
	const struct flow_feed from_ack = { .making = true, .flows = site->flows, .seq = CLIENT_SEQ + 1, .ack = SERVER_SEQ + 1 };
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

void site_make(struct site *site)
{
	for (struct site *twin = site; !twin->lb; twin = twin->twin) {
		site_load(twin);
		site_fill_flows(twin);
	}
}

__u64 site_verdicts(const struct site *site, __u32 verdict)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 each[cpus > 0 ? cpus : 1], sum = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(site->lb->maps.verdicts), &verdict, each))
		die("cannot read verdicts: %m");
	for (int i = 0; i < cpus; i++)
		sum += each[i];
	return sum;
}
