/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See datapath.h. Interfaces: the program is put on them, and in place of an older one, through links that stay pinned when
 * lbd ends.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "datapath_inner.h"
#include "log.h"

static int link_path(const struct datapath *dp, const char *ifname, char out[static PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/" LINK_PREFIX "%s", dp->bpffs, ifname);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Our pinned link on ifname, when its interface still exists: fd, or -ENOENT. A link does not follow an
 * interface that was made anew under its name, so such a pin is removed here. */
static int link_open(const struct datapath *dp, const char *ifname, struct bpf_link_info *info)
{
	char path[PATH_MAX];
	__u32 len = sizeof(*info);
	int fd;

	if (link_path(dp, ifname, path))
		return -ENOENT;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -ENOENT;
	memset(info, 0, sizeof(*info));
	if (bpf_obj_get_info_by_fd(fd, info, &len) == 0 && info->xdp.ifindex &&
	    info->xdp.ifindex == if_nametoindex(ifname))
		return fd;
	close(fd);
	unlink(path);
	return -ENOENT;
}

static bool is_native(__u32 ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	return bpf_xdp_query(ifindex, 0, &query) == 0 && query.attach_mode != XDP_ATTACHED_SKB;
}

static int attach_error(const char *ifname, __u32 ifindex, enum xdp_mode mode, int ret, struct lb_error *err)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	if (ret == -EBUSY || ret == -EEXIST) {
		bpf_xdp_query(ifindex, 0, &query);
		return lb_error(err, LB_EXIT_CONFLICT,
				"%s: another XDP program is attached (id %u): see \"bpftool prog show id %u\", detach it with \"ip link "
				"set dev %s xdp off\" if it is not needed",
				ifname, query.prog_id ? query.prog_id : query.skb_prog_id,
				query.prog_id ? query.prog_id : query.skb_prog_id, ifname);
	}
	if (ret == -EPERM || ret == -EACCES)
		return lb_error(err, LB_EXIT_NOT_PERMITTED, "%s: not permitted to attach: lbd needs CAP_NET_ADMIN and CAP_BPF",
				ifname);
	if (mode == XDP_MODE_NATIVE)
		return lb_error(err, LB_EXIT_FAILED,
				"%s: its driver takes no native XDP program (%s): try \"lbctl attach %s --mode generic\", which is slower",
				ifname, strerror(-ret), ifname);
	return lb_error(err, LB_EXIT_FAILED, "%s: cannot attach: %s", ifname, strerror(-ret));
}

static int link_create(int prog_fd, __u32 ifindex, enum xdp_mode mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int fd;

	opts.flags = mode == XDP_MODE_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	fd = bpf_link_create(prog_fd, ifindex, BPF_XDP, &opts);
	/* EBUSY would be the same in the other mode, and EPERM too */
	if (fd < 0 && mode == XDP_MODE_AUTO && fd != -EBUSY && fd != -EEXIST && fd != -EPERM) {
		opts.flags = XDP_FLAGS_SKB_MODE;
		fd = bpf_link_create(prog_fd, ifindex, BPF_XDP, &opts);
	}
	return fd;
}

int datapath_attach(struct datapath *dp, const char *ifname, enum xdp_mode mode, bool *native, struct lb_error *err)
{
	__u32 ifindex = if_nametoindex(ifname);
	int prog_fd = bpf_program__fd(dp->skel->progs.lb), fd, ret = 0;
	struct bpf_link_info info;
	char path[PATH_MAX];

	if (!ifindex)
		return lb_error(err, LB_EXIT_NOT_FOUND, "no interface \"%s\": see \"ip link\"", ifname);
	if (link_path(dp, ifname, path))
		return lb_error(err, LB_EXIT_USAGE, "%s: path too long", dp->bpffs);
	fd = link_open(dp, ifname, &info);
	if (fd >= 0) {
		ret = bpf_link_update(fd, prog_fd, NULL);
		if (ret)
			ret = lb_error(err, LB_EXIT_FAILED, "%s: cannot replace the program: %s; the old one serves on",
				       ifname, strerror(-ret));
		goto out;
	}
	fd = link_create(prog_fd, ifindex, mode);
	if (fd < 0)
		return attach_error(ifname, ifindex, mode, fd, err);
	if (bpf_obj_pin(fd, path))
		ret = lb_error(err, LB_EXIT_FAILED, "%s: cannot pin the link: %s", path, strerror(errno));
out:
	close(fd);
	if (!ret)
		*native = is_native(ifindex);
	return ret;
}

int datapath_detach(struct datapath *dp, const char *ifname, struct lb_error *err)
{
	struct bpf_link_info info;
	char path[PATH_MAX];
	int fd = link_open(dp, ifname, &info);

	if (fd < 0 || link_path(dp, ifname, path))
		return lb_error(err, LB_EXIT_NOT_FOUND, "not attached to \"%s\": see \"lbctl status\"", ifname);
	/* explicitly, because another process may hold the link open too */
	if (bpf_link_detach(fd) && errno != EOPNOTSUPP)
		log_warn("%s: cannot detach the link: %s", ifname, strerror(errno));
	close(fd);
	if (unlink(path) == -1)
		return lb_error(err, LB_EXIT_FAILED, "%s: %s", path, strerror(errno));
	return 0;
}

void datapath_link(const struct datapath *dp, const char *ifname, struct datapath_link *out)
{
	struct bpf_link_info info;
	int fd = link_open(dp, ifname, &info);

	*out = (struct datapath_link) {};
	if (fd < 0)
		return;
	close(fd);
	out->attached = true;
	out->ifindex = info.xdp.ifindex;
	out->prog_id = info.prog_id;
	out->link_id = info.id;
	out->native = is_native(info.xdp.ifindex);
}

void datapath_settle(struct datapath *dp)
{
	DIR *dir = opendir(dp->bpffs);
	struct datapath_link link;
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	struct dirent *entry;
	bool all = bpf_obj_get_info_by_fd(bpf_program__fd(dp->skel->progs.lb), &info, &len) == 0;

	if (!dir)
		return;
	while (all && (entry = readdir(dir))) {
		if (!datapath_has_prefix(entry->d_name, LINK_PREFIX))
			continue;
		datapath_link(dp, entry->d_name + strlen(LINK_PREFIX), &link);
		all = !link.attached || link.prog_id == info.id;
	}
	if (all)
		flow_table_settle(&dp->flow_table);
	rewinddir(dir);
	while (all && (entry = readdir(dir)))
		if (datapath_has_prefix(entry->d_name, SLOW_PREFIX) && strcmp(entry->d_name, dp->slow_pin) != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}
