/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses as people write them and as the maps hold them (struct lb_addr, IPv4
 * as ::ffff:a.b.c.d). Pure: no system calls but inet_pton and inet_ntop.
 */
#ifndef LB_ADDR_H
#define LB_ADDR_H

#include <stdbool.h>
#include <sys/socket.h>
#include "../bpf/lb_abi.h"

#define ADDR_STRLEN 46	/* INET6_ADDRSTRLEN */

/* 0, or -EINVAL when text is not an address (nothing is written then). Refuses
 * v4-mapped IPv6 text, zone ids, prefixes. */
int addr_parse(const char *text, struct lb_addr *out);
/* Writes at most ADDR_STRLEN bytes; returns buf. */
const char *addr_to_str(const struct lb_addr *addr, char buf[static ADDR_STRLEN]);
bool addr_is_v4(const struct lb_addr *addr);
bool addr_equal(const struct lb_addr *a, const struct lb_addr *b);
/* May it be a VIP or a backend: not unspecified, loopback, multicast, broadcast, link-local. */
bool addr_is_usable(const struct lb_addr *addr);
/* port in host order; returns the length for bind() and connect(). */
socklen_t addr_to_sockaddr(const struct lb_addr *addr, __u16 port, struct sockaddr_storage *out);
/* The way back; port NULL: who cares. */
void addr_from_sockaddr(const struct sockaddr_storage *ss, struct lb_addr *out, __u16 *port);
/* The 4 (IPv4) or 16 address bytes in network order, and how many they are. */
const __u8 *addr_wire(const struct lb_addr *addr, unsigned int *len);
/* Back from 4 or 16 bytes. */
void addr_from_wire(int family, const void *bytes, struct lb_addr *out);

#endif
