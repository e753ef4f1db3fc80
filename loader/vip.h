/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VIPs as addresses of this host: puts them on the interface where they are missing,
 * announces them (gratuitous ARP, RFC 5227; unsolicited neighbour advertisement, RFC 4861 7.2.6),
 * and takes away only what it put there itself.
 */
#ifndef LB_VIP_H
#define LB_VIP_H

#include <stdbool.h>
#include "../bpf/lb_abi.h"

/* Is addr on any interface of this network namespace? 1, 0 or -errno. */
int vip_is_present(const struct lb_addr *addr);
/* Adds addr/32 or /128 to ifindex (IPv6: no DAD, preferred_lft 0 so it is never chosen as a source).
 * 1 added, 0 was there already (on any interface: left alone), -errno. */
int vip_add(int ifindex, const struct lb_addr *addr);
/* 0 also when it is not there any more. */
int vip_remove(int ifindex, const struct lb_addr *addr);
/* Three-frame announcement is the caller's timer; this sends one. Needs CAP_NET_RAW. 0 or -errno. */
int vip_announce(int ifindex, const struct lb_addr *addr);
/* Does ifindex have a prefix on the link that covers addr? 1, 0 or -errno. Picks the side the VIP lives on. */
int vip_is_onlink(int ifindex, const struct lb_addr *addr);

#endif
