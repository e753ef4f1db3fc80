/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Next hops: which interface and which two MAC addresses lead to a backend. Asks the
 * kernel over netlink (libmnl), has it keep the neighbours resolved, and listens for changes of
 * neighbours, routes, links and addresses. Knows nothing of services or maps.
 */
#ifndef LB_NEXTHOP_H
#define LB_NEXTHOP_H

#include <stdbool.h>
#include <systemd/sd-event.h>
#include "../bpf/lb_abi.h"

struct nexthop {
	bool resolved;
	__u32 ifindex;
	__u8 dst_mac[6];
	__u8 src_mac[6];
	struct lb_addr gateway;		/* whose MAC it is: the backend itself on the link */
};

struct nexthops;	/* one watcher */

/* changed(arg) is called from the event loop, coalesced (at most every 20 ms), when anything
 * that could alter a next hop has changed: the caller asks nexthop_lookup again for all it needs. Also
 * every second while a destination that was looked up last came out unresolved or without a route.
 * changed() may call anything here, nexthops_close() too.
 * Needs no privilege but CAP_NET_ADMIN for managed neighbours. 0 or -errno. */
int nexthops_open(sd_event *event, void (*changed)(void *arg), void *arg, struct nexthops **out);
/* Leaves the neighbours managed: packets that flow without the daemon need them. */
void nexthops_close(struct nexthops *nh);

/* Route look-up, link address, neighbour; asks the kernel to resolve and keep the neighbour (NTF_EXT_MANAGED,
 * NTF_USE where that is not known); neighbours that somebody else looks after (permanent, noarp, learned by
 * a routing daemon) are used but never touched. 0 with out->resolved true or false (still being resolved:
 * changed() will be called, and all members but dst_mac are good); -ENETUNREACH: no route, or one that
 * forbids (blackhole, unreachable, prohibit); -EINVAL: dst is this host itself, or no unicast address here;
 * -EOPNOTSUPP: the interface has no Ethernet addresses; or another -errno. */
int nexthop_lookup(struct nexthops *nh, const struct lb_addr *dst, struct nexthop *out);
/* Nobody needs dst any more: let the kernel forget it. */
void nexthop_release(struct nexthops *nh, const struct lb_addr *dst);

#endif
