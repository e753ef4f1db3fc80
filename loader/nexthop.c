// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Next hops over netlink. One socket asks (route, link, neighbour) and waits for the answer; a second one, in
 * the event loop, hears of changes. Answers are never kept: whoever needs a next hop asks again
 * after changed(). What is kept is the list of destinations in use and their last answer, so that of
 * a busy link's events only those wake the daemon that change an answer. Knows nothing of maps.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include "addr.h"
#include "log.h"
#include "nexthop.h"
#include "rtnl.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define COALESCE_US	20000
#define RETRY_US	1000000
#define MONITOR_BYTES	(1 << 20)	/* of the kernel's queue for us: a link flap says much at once */
#define LINKS_CACHED	16
#define NUD_USABLE	(NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

struct link {
	__u32 ifindex;
	__u8 mac[6];
};

/* Where dst goes now, as far as we know. */
struct watch {
	struct lb_addr dst;
	struct lb_addr gateway;
	__u32 ifindex;		/* 0: no neighbour, because no route */
	bool resolved;
	bool waits;		/* the retry timer is for this one */
	bool kept;		/* the kernel was asked to keep this neighbour */
	__u8 mac[6];
};

struct nexthops {
	sd_event *event;
	void (*changed)(void *arg);
	void *arg;
	struct rtnl ask;
	struct mnl_socket *monitor;
	sd_event_source *io, *soon, *retry;
	bool knows_managed;	/* the kernel has shown the flag to us */
	bool complained;
	struct watch *watches;
	size_t watches_n, watches_room;
	struct link links[LINKS_CACHED];
	size_t links_n;
};

/* --- asking ------------------------------------------------------------------------ */

static int get_mac(struct nexthops *nh, __u32 ifindex, __u8 mac[static 6])
{
	struct link link = { .ifindex = ifindex };
	int err;

	for (size_t i = 0; i < nh->links_n && i < LINKS_CACHED; i++) {
		if (nh->links[i].ifindex == ifindex) {
			memcpy(mac, nh->links[i].mac, 6);
			return 0;
		}
	}
	err = rtnl_get_mac(&nh->ask, ifindex, link.mac);
	if (err)
		return err;
	nh->links[nh->links_n++ % LINKS_CACHED] = link;
	memcpy(mac, link.mac, 6);
	return 0;
}

/* The neighbour on the way to dst and our own MAC there; the errors are those of nexthop_lookup(). */
static int get_way(struct nexthops *nh, const struct lb_addr *dst, struct nexthop *hop)
{
	struct rtnl_route route;
	int err = rtnl_get_route(&nh->ask, dst, &route);

	/* How the kernel says unreachable, prohibit and blackhole. */
	if (err == -EHOSTUNREACH || err == -EACCES || err == -EINVAL)
		return -ENETUNREACH;
	if (err)
		return err;
	if (route.type != RTN_UNICAST)
		return -EINVAL;
	if (!route.ifindex)
		return -ENETUNREACH;
	hop->ifindex = route.ifindex;
	hop->gateway = route.gateway;
	return get_mac(nh, route.ifindex, hop->src_mac);
}

static bool neigh_is_usable(const struct rtnl_neigh *n)
{
	return n->has_mac && (n->state & NUD_USABLE);
}

/* Somebody else's work: an administrator's entry, or a good one of a routing daemon. */
static bool neigh_is_foreign(const struct rtnl_neigh *n)
{
	return n->state & (NUD_PERMANENT | NUD_NOARP) || (n->flags & NTF_EXT_LEARNED && neigh_is_usable(n));
}

/* --- destinations in use ------------------------------------------------------------ */

static struct watch *watch_find(struct nexthops *nh, const struct lb_addr *dst)
{
	for (size_t i = 0; i < nh->watches_n; i++)
		if (addr_equal(&nh->watches[i].dst, dst))
			return &nh->watches[i];
	return NULL;
}

static struct watch *watch_get(struct nexthops *nh, const struct lb_addr *dst)
{
	struct watch *w = watch_find(nh, dst);
	size_t room = nh->watches_room ? 2 * nh->watches_room : 16;

	if (w)
		return w;
	if (nh->watches_n == nh->watches_room) {
		w = reallocarray(nh->watches, room, sizeof(*w));
		if (!w)
			return NULL;
		nh->watches = w;
		nh->watches_room = room;
	}
	w = &nh->watches[nh->watches_n++];
	*w = (struct watch){ .dst = *dst };
	return w;
}

/* Points w to another neighbour, or to none. The old one, when nobody else goes through it, becomes
 * an ordinary entry again, which the kernel forgets in its own time. */
static void watch_move(struct nexthops *nh, struct watch *w, __u32 ifindex, const struct lb_addr *gateway)
{
	struct watch old = *w;
	struct rtnl_neigh n;

	if (w->ifindex == ifindex && (!ifindex || addr_equal(&w->gateway, gateway)))
		return;
	*w = (struct watch){ .dst = old.dst, .ifindex = ifindex };
	if (ifindex)
		w->gateway = *gateway;
	if (!old.kept)
		return;
	for (size_t i = 0; i < nh->watches_n; i++)
		if (nh->watches[i].ifindex == old.ifindex && addr_equal(&nh->watches[i].gateway, &old.gateway))
			return;
	if (!rtnl_get_neigh(&nh->ask, old.ifindex, &old.gateway, &n) && n.ifindex && !neigh_is_foreign(&n))
		rtnl_use_neigh(&nh->ask, old.ifindex, &old.gateway, n.flags & NTF_EXT_LEARNED, false, false);
}

static void arm(sd_event_source *timer, __u64 after_us)
{
	int on = SD_EVENT_OFF;

	if (sd_event_source_get_enabled(timer, &on) >= 0 && on != SD_EVENT_OFF)
		return;
	if (sd_event_source_set_time_relative(timer, after_us) < 0 ||
	    sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT) < 0)
		log_err("next hops: timer does not start, changes are not noticed");
}

/* Makes the kernel keep the neighbour of w. Not being able to is no failure of the look-up: the
 * neighbour may be resolved all the same, by our checks or by anybody's traffic. */
static void keep(struct nexthops *nh, struct watch *w, const struct rtnl_neigh *n)
{
	bool managed = n->flags_ext & NTF_EXT_MANAGED;
	char text[ADDR_STRLEN];
	int err;

	if (neigh_is_foreign(n))
		return;
	if (managed)
		w->kept = nh->knows_managed = true;
	/* Asked for and not shown: the kernel does not know the flag, or somebody has made a new entry. */
	if (neigh_is_usable(n) && (managed || (w->kept && !nh->knows_managed)))
		return;
	err = rtnl_use_neigh(&nh->ask, w->ifindex, &w->gateway, n->flags & NTF_EXT_LEARNED, true, true);
	w->kept = !err;
	if (err && !nh->complained)
		log_warn("neighbour %s: the kernel does not keep it resolved for us: %s",
			 addr_to_str(&w->gateway, text), strerror(-err));
	nh->complained |= err != 0;
}

int nexthop_lookup(struct nexthops *nh, const struct lb_addr *dst, struct nexthop *out)
{
	struct watch *w = watch_get(nh, dst);
	struct nexthop hop = {};
	struct rtnl_neigh n;
	int err;

	if (!w)
		return -ENOMEM;
	err = get_way(nh, dst, &hop);
	if (err == -ENETUNREACH || err == -EINVAL || err == -EOPNOTSUPP)
		watch_move(nh, w, 0, NULL);
	if (err)
		goto out;
	watch_move(nh, w, hop.ifindex, &hop.gateway);
	err = rtnl_get_neigh(&nh->ask, hop.ifindex, &hop.gateway, &n);
	if (err)
		goto out;
	keep(nh, w, &n);
	hop.resolved = neigh_is_usable(&n);
	if (hop.resolved)
		memcpy(hop.dst_mac, n.mac, sizeof(hop.dst_mac));
	memcpy(w->mac, hop.dst_mac, sizeof(w->mac));
	*out = hop;
out:
	w->resolved = !err && hop.resolved;
	/* The other errors are answers: only an event can change them. */
	w->waits = !w->resolved && err != -EINVAL && err != -EOPNOTSUPP;
	if (w->waits)
		arm(nh->retry, RETRY_US);
	return err;
}

void nexthop_release(struct nexthops *nh, const struct lb_addr *dst)
{
	struct watch *w = watch_find(nh, dst);

	if (!w)
		return;
	watch_move(nh, w, 0, NULL);
	*w = nh->watches[--nh->watches_n];
}

/* --- listening ------------------------------------------------------------------------ */

/* Does this event change the answer for a destination in use? A resolved neighbour's walk
 * through STALE, DELAY and PROBE does not, nor does an unresolved one's through FAILED, or its end: the
 * retry timer asks again. */
static bool neigh_matters(struct nexthops *nh, const struct nlmsghdr *nlh)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct rtnl_neigh n;
	bool usable;

	if (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6)
		return false;	/* AF_BRIDGE: forwarding entries come through the same group */
	rtnl_neigh_parse(nlh, &n);
	usable = nlh->nlmsg_type == RTM_NEWNEIGH && neigh_is_usable(&n);
	for (size_t i = 0; i < nh->watches_n; i++) {
		const struct watch *w = &nh->watches[i];

		if (w->ifindex != n.ifindex || !addr_equal(&w->gateway, &n.addr))
			continue;
		if (usable != w->resolved || (usable && memcmp(w->mac, n.mac, sizeof(n.mac))))
			return true;
	}
	return false;
}

/* Does the route's prefix cover a destination in use? In whatever table: rules may lead there. */
static bool route_matters(struct nexthops *nh, const struct nlmsghdr *nlh)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const __u8 *net = NULL, *host;
	unsigned int len;
	struct nlattr *attr;

	if (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6)
		return false;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
		if (mnl_attr_get_type(attr) == RTA_DST && 8 * mnl_attr_get_payload_len(attr) >= rtm->rtm_dst_len)
			net = mnl_attr_get_payload(attr);
	for (size_t i = 0; i < nh->watches_n; i++) {
		if (rtnl_family(&nh->watches[i].dst) != rtm->rtm_family)
			continue;
		host = addr_wire(&nh->watches[i].dst, &len);
		/* Without a prefix it is the default route. */
		if (!net || (rtm->rtm_dst_len <= 8 * len && rtnl_prefix_covers(net, host, rtm->rtm_dst_len)))
			return true;
	}
	return false;
}

static int on_event(const struct nlmsghdr *nlh, void *arg)
{
	struct nexthops *nh = arg;
	bool matters = false;

	switch (nlh->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		matters = neigh_matters(nh, nlh);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		matters = route_matters(nh, nlh);
		break;
	case RTM_NEWLINK:	/* also stands for the IPv4 routes of the link, which go without a word */
	case RTM_DELLINK:
		nh->links_n = 0;
		matters = true;
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		matters = true;
		break;
	}
	if (matters && nh->watches_n)
		arm(nh->soon, COALESCE_US);
	return MNL_CB_OK;
}

static int on_monitor(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	char buf[RTNL_ANSWER_BYTES] RTNL_ALIGNED;
	struct nexthops *nh = arg;
	ssize_t n;

	(void)s;
	(void)fd;
	(void)revents;
	/* Some at a time: a storm of events must not keep the rest of the daemon waiting. */
	for (int i = 0; i < 64; i++) {
		n = mnl_socket_recvfrom(nh->monitor, buf, sizeof(buf));
		if (n == -1 && errno == EAGAIN)
			break;
		if (n == -1 && errno == EINTR)
			continue;
		/* ENOBUFS: events were lost; ENOSPC: one was cut. Take it that everything has changed. */
		if (n == -1 || mnl_cb_run(buf, n, 0, 0, on_event, nh) == MNL_CB_ERROR) {
			nh->links_n = 0;
			arm(nh->soon, COALESCE_US);
		}
	}
	return 0;
}

static int on_soon(sd_event_source *s, uint64_t usec, void *arg)
{
	struct nexthops *nh = arg;

	(void)s;
	(void)usec;
	nh->changed(nh->arg);
	return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *arg)
{
	struct nexthops *nh = arg;

	(void)s;
	(void)usec;
	for (size_t i = 0; i < nh->watches_n; i++) {
		if (!nh->watches[i].waits)
			continue;
		arm(nh->soon, COALESCE_US);
		arm(nh->retry, RETRY_US);
		break;
	}
	return 0;
}

/* --- opening and closing ---------------------------------------------------------------- */

static int open_monitor(struct nexthops *nh)
{
	static const int groups[] = {
		RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR,
		RTNLGRP_IPV6_IFADDR,
	};
	int room = MONITOR_BYTES, group;

	nh->monitor = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!nh->monitor || mnl_socket_bind(nh->monitor, 0, MNL_SOCKET_AUTOPID) == -1)
		return -errno;
	/* Less is no failure: it only means to take everything as changed more often. */
	(void)setsockopt(mnl_socket_get_fd(nh->monitor), SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		group = groups[i];
		if (mnl_socket_setsockopt(nh->monitor, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) == -1)
			return -errno;
	}
	return 0;
}

/* accuracy 1 ms: sd-event's default would round 20 ms up to 250. */
static int add_timer(struct nexthops *nh, sd_event_source **out, sd_event_time_handler_t handler)
{
	int err = sd_event_add_time(nh->event, out, CLOCK_MONOTONIC, UINT64_MAX, 1000, handler, nh);

	return err < 0 ? err : sd_event_source_set_enabled(*out, SD_EVENT_OFF);
}

int nexthops_open(sd_event *event, void (*changed)(void *arg), void *arg, struct nexthops **out)
{
	struct nexthops *nh = calloc(1, sizeof(*nh));
	int err;

	if (!nh)
		return -ENOMEM;
	nh->event = sd_event_ref(event);
	nh->changed = changed;
	nh->arg = arg;
	err = rtnl_open(&nh->ask);
	if (!err)
		err = open_monitor(nh);
	if (err < 0)
		goto out;
	err = sd_event_add_io(event, &nh->io, mnl_socket_get_fd(nh->monitor), EPOLLIN, on_monitor, nh);
	if (err >= 0)
		err = add_timer(nh, &nh->soon, on_soon);
	if (err >= 0)
		err = add_timer(nh, &nh->retry, on_retry);
	if (err < 0)
		goto out;
	*out = nh;
	return 0;
out:
	nexthops_close(nh);
	return err;
}

void nexthops_close(struct nexthops *nh)
{
	if (!nh)
		return;
	sd_event_source_disable_unref(nh->retry);
	sd_event_source_disable_unref(nh->soon);
	sd_event_source_disable_unref(nh->io);
	if (nh->monitor)
		mnl_socket_close(nh->monitor);
	rtnl_close(&nh->ask);
	free(nh->watches);
	sd_event_unref(nh->event);
	free(nh);
}
