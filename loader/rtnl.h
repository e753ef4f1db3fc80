/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions and orders to the kernel over rtnetlink: one message, one answer, waited for at most
 * a second. It keeps no state but the socket and draws no conclusions: nexthop.c and vip.c do.
 */
#ifndef LB_RTNL_H
#define LB_RTNL_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include "../bpf/lb_abi.h"

#define RTNL_REQUEST_BYTES	256	/* room for any request made here */
#define RTNL_ANSWER_BYTES	32768	/* the most that the kernel puts into one datagram of an answer */
#define RTNL_ALIGNED		__attribute__((aligned(4)))	/* for buffers that libmnl reads and writes */

struct rtnl {
	struct mnl_socket *socket;
	unsigned int seq;
};

int rtnl_open(struct rtnl *rtnl);	/* 0 or -errno */
void rtnl_close(struct rtnl *rtnl);	/* also one that is all zero */
/* Sends nlh (flags and sequence number are completed here) and reads until the kernel has no more to say; cb,
 * which may be NULL, sees every message. 0, -ETIMEDOUT, -EINTR (a table changed while it was dumped: ask
 * again), or the kernel's -errno. */
int rtnl_request(struct rtnl *rtnl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg);

int rtnl_family(const struct lb_addr *addr);	/* AF_INET or AF_INET6 */
void rtnl_put_addr(struct nlmsghdr *nlh, __u16 type, const struct lb_addr *addr);
/* Do the first bits bits of two addresses in network order agree? */
bool rtnl_prefix_covers(const __u8 *net, const __u8 *host, unsigned int bits);

struct rtnl_route {
	__u8 type;		/* RTN_UNICAST, RTN_LOCAL, ... */
	__u32 ifindex;		/* 0: none */
	struct lb_addr gateway;	/* dst itself where it is on the link */
};
/* The kernel's own choice for dst. Routes that forbid are errors: -ENETUNREACH, -EHOSTUNREACH,
 * -EACCES, -EINVAL. */
int rtnl_get_route(struct rtnl *rtnl, const struct lb_addr *dst, struct rtnl_route *out);
/* -EOPNOTSUPP: not Ethernet. */
int rtnl_get_mac(struct rtnl *rtnl, __u32 ifindex, __u8 mac[static 6]);

struct rtnl_neigh {
	__u32 ifindex;		/* 0: there is no such entry */
	struct lb_addr addr;
	__u16 state;		/* NUD_... */
	__u8 flags;		/* NTF_... */
	__u32 flags_ext;	/* NTF_EXT_... */
	bool has_mac;
	__u8 mac[6];
};
void rtnl_neigh_parse(const struct nlmsghdr *nlh, struct rtnl_neigh *out);
int rtnl_get_neigh(struct rtnl *rtnl, __u32 ifindex, const struct lb_addr *addr, struct rtnl_neigh *out);
/* Resolve it now. managed: and keep it so for ever (NTF_EXT_MANAGED, Linux 5.16; earlier kernels resolve it
 * once); else an entry that was managed becomes an ordinary one. flags: of the old entry, to be kept.
 * create: also when there is none. Destroys a permanent entry: do not call it for one. */
int rtnl_use_neigh(struct rtnl *rtnl, __u32 ifindex, const struct lb_addr *addr, __u8 flags, bool managed, bool create);

#endif
