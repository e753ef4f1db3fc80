/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See datapath.h. libbpf does the loading; what is ours is the order: check the pins, load on them,
 * let the caller fill the maps, then swap the program behind the link in one step.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "datapath_inner.h"
#include "log.h"
#include "siphash.h"

#define BPFFS_MAGIC 0xcafe4a11

/* What the verifier or libbpf said last, for the error message: the rest is debug. */
static char last_words[160];

static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char line[512];
	size_t n;

	vsnprintf(line, sizeof(line), fmt, args);
	n = strlen(line);
	while (n && line[n - 1] == '\n')
		line[--n] = '\0';
	if (level == LIBBPF_WARN && n)
		snprintf(last_words, sizeof(last_words), "%.159s", line);
	log_debug("%s", line);
	return 0;
}

static bool is_pinned(const struct bpf_map *map)
{
	/* .bss, .rodata and the slow paths belong to one loaded program: a new one brings its own */
	return !strchr(bpf_map__name(map), '.') && strcmp(bpf_map__name(map), "slow_paths") != 0;
}

static int pin_path(const struct datapath *dp, const char *name, char out[static PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/%s", dp->bpffs, name);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int prepare_folder(const char *path, struct lb_error *err)
{
	struct statfs fs;

	if (mkdir(path, 0700) == -1 && errno != EEXIST)
		return lb_error(err, errno == EACCES || errno == EPERM ? LB_EXIT_NOT_PERMITTED : LB_EXIT_FAILED,
				"%s: cannot make the folder for pins: %s; run as root once, or prepare it", path,
				strerror(errno));
	if (statfs(path, &fs) == -1)
		return lb_error(err, LB_EXIT_FAILED, "%s: %s", path, strerror(errno));
	if ((__u32)fs.f_type != BPFFS_MAGIC)
		return lb_error(err, LB_EXIT_FAILED, "%s: not on a BPF file system: \"mount -t bpf bpf /sys/fs/bpf\" first",
				path);
	return 0;
}

static void meta_fill(struct lb_meta *meta, __u64 hash_seed, __u64 place_seed)
{
	*meta = (struct lb_meta) {
		.magic = LB_MAGIC,
		.schema = LB_SCHEMA,
		.flow_key_size = sizeof(struct lb_flow_key),
		.slot_size = sizeof(struct lb_flow_slot),
		.backend_size = sizeof(struct lb_backend),
		.load_size = sizeof(struct lb_load),
		.service_size = sizeof(struct lb_service),
		.table_size = sizeof(struct lb_table),
		.hash_seed = hash_seed,
		.place_seed = place_seed,
	};
}

/* 1: there are pins and they are ours; 0: none; -errno: neither. */
static int meta_check(const struct datapath *dp, struct lb_meta *found, struct lb_error *err)
{
	char path[PATH_MAX];
	struct lb_meta want;
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), zero = 0;
	int fd, ret = 1;

	if (pin_path(dp, "meta", path))
		return lb_error(err, LB_EXIT_USAGE, "%s: path too long", dp->bpffs);
	fd = bpf_obj_get(path);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return lb_error(err, LB_EXIT_FAILED, "%s: cannot open the pinned map: %s", path, strerror(errno));
	if (bpf_obj_get_info_by_fd(fd, &info, &len) || info.value_size != sizeof(*found) ||
	    bpf_map_lookup_elem(fd, &zero, found)) {
		ret = lb_error(err, LB_EXIT_FAILED, "%s: not a map of this program: \"lbd --discard-state\" starts afresh", path);
		goto out;
	}
	meta_fill(&want, found->hash_seed, found->place_seed);
	if (memcmp(&want, found, sizeof(want)))
		ret = lb_error(err, LB_EXIT_FAILED,
			       "%s: the pinned maps have schema %u, this program has %u: run the matching version, or "
			       "\"lbd --discard-state\" to start afresh (every flow ends)",
			       dp->bpffs, found->schema, want.schema);
out:
	close(fd);
	return ret;
}

bool datapath_has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Removes every pin in the folder but the links and what their program needs: it serves on until it is replaced. */
static void discard_pins(const struct datapath *dp)
{
	DIR *dir = opendir(dp->bpffs);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !datapath_has_prefix(entry->d_name, LINK_PREFIX) && !datapath_has_prefix(entry->d_name, SLOW_PREFIX))
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

/* Entries in the pinned flow table; 0 when there is none. */
static __u64 flow_entries(const struct datapath *dp)
{
	struct lb_totals totals = {};
	char path[PATH_MAX];
	__u32 zero = 0;
	int fd = pin_path(dp, "totals", path) ? -1 : bpf_obj_get(path);

	if (fd < 0)
		return 0;
	bpf_map_lookup_elem(fd, &zero, &totals);
	close(fd);
	return totals.flow_entries;
}

static int set_flow_table(struct datapath *dp, __u32 size)
{
	int ret = flow_table_prepare(&dp->flow_table, dp->bpffs, flow_entries(dp), &size);

	return ret ? ret : bpf_map__set_max_entries(dp->skel->maps.flows, LB_SLOTS_FOR_FLOWS(size));
}

static int set_pins(struct datapath *dp, const struct datapath_options *opt)
{
	struct bpf_map *map;
	char path[PATH_MAX];
	int err;

	bpf_object__for_each_map(map, dp->skel->obj) {
		if (!is_pinned(map))
			continue;
		err = pin_path(dp, bpf_map__name(map), path);
		if (err)
			return err;
		err = map == dp->skel->maps.flows ? set_flow_table(dp, opt->flows) : 0;
		if (err)
			return err;
		err = bpf_map__set_pin_path(map, path);
		if (err)
			return err;
	}
	return 0;
}

static int mmap_array(struct bpf_map *map, bool writable, void **out)
{
	size_t page = sysconf(_SC_PAGESIZE), len = (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map);
	void *mem = mmap(NULL, (len + page - 1) / page * page, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED,
			 bpf_map__fd(map), 0);

	if (mem == MAP_FAILED)
		return -errno;
	*out = mem;
	return 0;
}

static int map_memory(struct datapath *dp)
{
	struct datapath_maps *m = &dp->maps;
	void *backends, *loads, *totals, *slots;
	int err;

	err = mmap_array(dp->skel->maps.backends, true, &backends);
	err = err ? err : mmap_array(dp->skel->maps.loads, false, &loads);
	err = err ? err : mmap_array(dp->skel->maps.totals, true, &totals);
	err = err ? err : mmap_array(dp->skel->maps.flows, false, &slots);
	if (err)
		return err; /* the process ends: nothing to unmap */
	*m = (struct datapath_maps) {
		.services = bpf_map__fd(dp->skel->maps.services),
		.backend_addrs = bpf_map__fd(dp->skel->maps.backend_addrs),
		.loads_fd = bpf_map__fd(dp->skel->maps.loads),
		.traffic = bpf_map__fd(dp->skel->maps.traffic),
		.replies = bpf_map__fd(dp->skel->maps.replies),
		.tables = bpf_map__fd(dp->skel->maps.tables),
		.slots = slots,
		.slots_n = bpf_map__max_entries(dp->skel->maps.flows),
		.verdicts = bpf_map__fd(dp->skel->maps.verdicts),
		.events = bpf_map__fd(dp->skel->maps.events),
		.backends = backends,
		.loads = loads,
		.totals = totals,
		.port_bits = dp->skel->bss->port_bits,
		.hints = dp->skel->bss->hints,
		.hints_live = &dp->skel->bss->hints_live,
	};
	m->totals->flow_limit = LB_FLOWS_IN_SLOTS(m->slots_n);
	return 0;
}

/* The kernel empties an array of programs when its last descriptor and pin are gone, and with it every tail call. So each
 * loaded program's array has a pin of its own, until no link runs that program any more. */
static int pin_slow_paths(struct datapath *dp)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	char path[PATH_MAX];

	if (bpf_obj_get_info_by_fd(bpf_map__fd(dp->skel->maps.slow_paths), &info, &len))
		return -errno;
	snprintf(dp->slow_pin, sizeof(dp->slow_pin), SLOW_PREFIX "%u", info.id);
	if (pin_path(dp, dp->slow_pin, path))
		return -ENAMETOOLONG;
	unlink(path); /* of a map whose id has come round again */
	return bpf_map__pin(dp->skel->maps.slow_paths, path);
}

static void set_place_secret(struct datapath *dp, __u64 seed)
{
	const uint64_t key[2] = { seed, 0 };
	__u32 *secret = dp->skel->rodata->knob_place_secret;

	for (size_t i = 0; i < sizeof(dp->skel->rodata->knob_place_secret) / sizeof(*secret); i++)
		secret[i] = siphash(key, &i, sizeof(i));
}

static int load(struct datapath *dp, const struct datapath_options *opt, const struct lb_meta *meta, struct lb_error *err)
{
	__u32 zero = 0;
	int ret;

	dp->skel = lb_bpf__open();
	if (!dp->skel)
		return lb_error(err, LB_EXIT_FAILED, "cannot open the XDP program: %s", strerror(errno));
	dp->skel->rodata->knob_hash_seed = meta->hash_seed;
	set_place_secret(dp, meta->place_seed);
	dp->skel->rodata->knob_half_open_ns = opt->half_open_ns;
	ret = set_pins(dp, opt);
	if (ret)
		return lb_error(err, LB_EXIT_FAILED, "%s: cannot name the pins: %s", dp->bpffs, strerror(-ret));
	ret = lb_bpf__load(dp->skel);
	if (ret == -EPERM)
		return lb_error(err, LB_EXIT_NOT_PERMITTED,
				"cannot load the XDP program: %s: lbd needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON: start it as root",
				last_words[0] ? last_words : strerror(-ret));
	if (ret)
		return lb_error(err, LB_EXIT_FAILED,
				"cannot load the XDP program%s: %s%s%s",
				ret == -EACCES || ret == -E2BIG ? ": this kernel's verifier refuses it" : "", strerror(-ret),
				last_words[0] ? ": " : "", last_words);
	ret = bpf_map_update_elem(bpf_map__fd(dp->skel->maps.meta), &zero, meta, BPF_ANY);
	ret = ret ? ret : map_memory(dp);
	ret = ret ? ret : pin_slow_paths(dp);
	ret = ret ? ret : flow_table_begin(&dp->flow_table, bpf_map__fd(dp->skel->maps.flows),
					 bpf_map__fd(dp->skel->maps.flow_tables));
	if (ret)
		return lb_error(err, LB_EXIT_FAILED, "cannot set up the maps: %s", strerror(-ret));
	dp->sweep_fd = bpf_program__fd(dp->skel->progs.sweep);
	dp->leaving = true; /* what an earlier lbd may have left */
	return 0;
}

/* A seed that is not 0 yet. 0 or -errno. */
static int draw(__u64 *seed)
{
	return *seed || getrandom(seed, sizeof(*seed), 0) == sizeof(*seed) ? 0 : -errno;
}

int datapath_open(const struct datapath_options *opt, struct datapath **out, struct lb_error *err)
{
	struct datapath *dp = calloc(1, sizeof(*dp));
	struct lb_meta found = {}, meta;
	int ret;

	if (!dp)
		return lb_error(err, LB_EXIT_FAILED, "out of memory");
	dp->flow_table.before = -1;
	libbpf_set_print(print_libbpf);
	snprintf(dp->bpffs, sizeof(dp->bpffs), "%s", opt->bpffs);
	ret = prepare_folder(dp->bpffs, err);
	if (ret)
		goto out;
	ret = meta_check(dp, &found, err);
	if (ret < 0 && !opt->discard_state)
		goto out;
	if (opt->discard_state) {
		log_warn("pinned maps in %s are thrown away: every flow ends", dp->bpffs);
		discard_pins(dp);
		found = (struct lb_meta) {};
	}
	dp->adopted = ret > 0 && !opt->discard_state;
	meta_fill(&meta, opt->hash_seed ? opt->hash_seed : found.hash_seed, found.place_seed);
	ret = draw(&meta.hash_seed);
	ret = ret ? ret : draw(&meta.place_seed);
	if (ret) {
		lb_error(err, LB_EXIT_FAILED, "cannot draw a hash seed: %s", strerror(-ret));
		goto out;
	}
	ret = load(dp, opt, &meta, err);
	if (ret)
		goto out;
	*out = dp;
	return 0;
out:
	datapath_close(dp);
	return ret;
}

void datapath_close(struct datapath *dp)
{
	if (!dp)
		return;
	flow_table_close(&dp->flow_table);
	lb_bpf__destroy(dp->skel);
	free(dp);
}

bool datapath_adopted(const struct datapath *dp)
{
	return dp->adopted;
}

const struct datapath_maps *datapath_maps(const struct datapath *dp)
{
	return &dp->maps;
}

int datapath_sweep(struct datapath *dp, struct lb_sweep *arg)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int ret;

	arg->settled = dp->leaving && flow_table_grace(&dp->flow_table) == 0;
	opts.ctx_in = arg; /* the kernel writes the result back into it; it takes no ctx_out for this type */
	opts.ctx_size_in = sizeof(*arg);
	ret = bpf_prog_test_run_opts(dp->sweep_fd, &opts);
	dp->leaving = ret || arg->leaving;
	return ret;
}

bool datapath_move(struct datapath *dp)
{
	return flow_table_move(&dp->flow_table, bpf_program__fd(dp->skel->progs.move));
}
