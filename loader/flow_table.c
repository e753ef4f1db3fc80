/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See flow_table.h.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../bpf/lb_abi.h"
#include "flow_table.h"
#include "log.h"

/* A table that is nearly full before it starts would refuse sessions at once. */
static bool fits(__u64 entries, __u32 size)
{
	return entries + entries / 4 < size;
}

/* How many flows a table may hold. */
static int size_of(int fd, __u32 *size)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	*size = LB_FLOWS_IN_SLOTS(info.max_entries);
	return 0;
}

/* What there is stays as it is. */
static int keep(int fd, __u32 *size)
{
	int ret = size_of(fd, size);

	close(fd);
	return ret;
}

static int set_slot(const struct flow_table *t, enum lb_flow_table slot, int fd)
{
	__u32 key = slot;

	return bpf_map_update_elem(t->tables, &key, &fd, BPF_ANY);
}

static void clear_slot(const struct flow_table *t, enum lb_flow_table slot)
{
	__u32 key = slot;

	bpf_map_delete_elem(t->tables, &key);
}

static bool has_slot(const struct flow_table *t, enum lb_flow_table slot)
{
	__u32 key = slot, id;

	return bpf_map_lookup_elem(t->tables, &key, &id) == 0;
}

/* The present program must go on finding its flows where they are, as soon as the slot of "flows" changes hands. */
static int share(struct flow_table *t, const char *bpffs)
{
	char path[PATH_MAX];
	int ret = 0;

	if (snprintf(path, sizeof(path), "%s/flow_tables", bpffs) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	t->tables = bpf_obj_get(path);
	if (t->tables < 0) /* of a version that knew none */
		return 0;
	if (!has_slot(t, LB_FLOWS_MOVING))
		ret = set_slot(t, LB_FLOWS_SHARED, t->before);
	close(t->tables);
	return ret;
}

int flow_table_prepare(struct flow_table *t, const char *bpffs, __u64 entries, __u32 *size)
{
	__u32 has = 0;
	int fd, ret;

	*t = (struct flow_table) { .before = -1, .tables = -1 };
	if (snprintf(t->path, sizeof(t->path), "%s/flows", bpffs) >= (int)sizeof(t->path) ||
	    snprintf(t->before_path, sizeof(t->before_path), "%s/flows_before", bpffs) >= (int)sizeof(t->before_path))
		return -ENAMETOOLONG;
	t->before = bpf_obj_get(t->before_path);
	fd = bpf_obj_get(t->path);
	if (t->before >= 0 && fd >= 0) /* the last lbd ended on the way: its new table is ours too */
		return keep(fd, size);
	if (t->before >= 0) { /* it ended before it had a new one */
		flow_table_close(t);
		return rename(t->before_path, t->path) == 0 ? flow_table_prepare(t, bpffs, entries, size) : -errno;
	}
	if (fd < 0)
		return 0;
	ret = size_of(fd, &has);
	if (ret || has == *size)
		return keep(fd, size);
	if (!fits(entries, *size)) {
		log_warn("flow table keeps its size of %u: %u is too small for the %llu flows in it", has, *size,
			 (unsigned long long)entries);
		return keep(fd, size);
	}
	if (rename(t->path, t->before_path)) {
		close(fd);
		return -errno;
	}
	log_info("flow table: %u entries become %u, %llu flows move", has, *size, (unsigned long long)entries);
	t->before = fd;
	return share(t, bpffs);
}

int flow_table_begin(struct flow_table *t, int flows, int tables)
{
	int ret;

	t->flows = flows;
	t->tables = tables;
	if (t->before < 0) {
		clear_slot(t, LB_FLOWS_SHARED); /* of a change that came to nothing: it is the same table */
		return set_slot(t, LB_FLOWS_NOW, flows);
	}
	t->moving = has_slot(t, LB_FLOWS_MOVING);
	ret = t->moving ? 0 : set_slot(t, LB_FLOWS_SHARED, t->before);
	return ret ? ret : set_slot(t, LB_FLOWS_NOW, flows);
}

int flow_table_grace(const struct flow_table *t)
{
	/* Whoever exchanges a map in a map is kept waiting for the programs that may hold the one before
	 * (maybe_wait_bpf_programs() in kernel/bpf/syscall.c), also when it is the same. */
	return set_slot(t, LB_FLOWS_NOW, t->flows);
}

void flow_table_settle(struct flow_table *t)
{
	if (t->before < 0 || t->moving)
		return;
	/* in this order, so that a packet always finds one of them */
	if (set_slot(t, LB_FLOWS_MOVING, t->before)) {
		log_err("flow table: the flows cannot move; they serve on where they are");
		return;
	}
	clear_slot(t, LB_FLOWS_SHARED);
	t->moving = true;
}

static void end(struct flow_table *t)
{
	log_info("flow table: %u flows have moved to their new table", t->moved);
	clear_slot(t, LB_FLOWS_MOVING);
	unlink(t->before_path);
	close(t->before);
	t->before = -1;
}

bool flow_table_move(struct flow_table *t, int move)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct lb_move arg = {};
	int ret;

	if (t->before < 0)
		return false;
	if (!t->moving)
		return true;
	opts.ctx_in = &arg;
	opts.ctx_size_in = sizeof(arg);
	ret = bpf_prog_test_run_opts(move, &opts);
	if (ret)
		log_err("flow table: move: %s", strerror(-ret));
	t->moved += arg.moved;
	if (!ret && !arg.left)
		end(t);
	return t->before >= 0;
}

void flow_table_close(struct flow_table *t)
{
	if (t->before >= 0)
		close(t->before);
	t->before = -1;
}
