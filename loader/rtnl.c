// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rtnetlink as a conversation: builds single requests with libmnl, waits for the answer, and turns it into a
 * struct. Whatever follows from an answer is decided elsewhere.
 */
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/time.h>
#include "addr.h"
#include "rtnl.h"

int rtnl_open(struct rtnl *rtnl)
{
	struct timeval patience = { .tv_sec = 1 };
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int err;

	if (!nl)
		return -errno;
	if (setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == -1 ||
	    mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == -1) {
		err = -errno;
		mnl_socket_close(nl);
		return err;
	}
	rtnl->socket = nl;
	rtnl->seq = 0;
	return 0;
}

void rtnl_close(struct rtnl *rtnl)
{
	if (rtnl->socket)
		mnl_socket_close(rtnl->socket);
	rtnl->socket = NULL;
}

int rtnl_request(struct rtnl *rtnl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg)
{
	unsigned int port = mnl_socket_get_portid(rtnl->socket);
	char buf[RTNL_ANSWER_BYTES] RTNL_ALIGNED;
	const struct nlmsghdr *answer = (const void *)buf;
	int rc = MNL_CB_OK;
	ssize_t n;

	/* An ACK is wanted for a question too: it comes after the answer and says that there is no more. */
	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = ++rtnl->seq;
	if (mnl_socket_sendto(rtnl->socket, nlh, nlh->nlmsg_len) == -1)
		return -errno;
	while (rc > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(rtnl->socket, buf, sizeof(buf));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		/* The late answer to a request that timed out. */
		if (n >= (ssize_t)sizeof(*answer) && answer->nlmsg_seq != rtnl->seq)
			continue;
		rc = mnl_cb_run(buf, n, rtnl->seq, port, cb, arg);
	}
	return rc == MNL_CB_ERROR ? -errno : 0;
}

int rtnl_family(const struct lb_addr *addr)
{
	return addr_is_v4(addr) ? AF_INET : AF_INET6;
}

void rtnl_put_addr(struct nlmsghdr *nlh, __u16 type, const struct lb_addr *addr)
{
	unsigned int len;
	const __u8 *wire = addr_wire(addr, &len);

	mnl_attr_put(nlh, type, len, wire);
}

bool rtnl_prefix_covers(const __u8 *net, const __u8 *host, unsigned int bits)
{
	unsigned int bytes = bits / 8, rest = bits % 8;

	if (memcmp(net, host, bytes))
		return false;
	return !rest || !((net[bytes] ^ host[bytes]) >> (8 - rest));
}

static bool get_addr(const struct nlattr *attr, int family, struct lb_addr *out)
{
	if (mnl_attr_get_payload_len(attr) != (family == AF_INET ? 4 : 16))
		return false;
	addr_from_wire(family, mnl_attr_get_payload(attr), out);
	return true;
}

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct rtnl_route *route = arg;
	const struct rtvia *via;
	struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	route->type = rtm->rtm_type;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF:
			route->ifindex = mnl_attr_get_u32(attr);
			break;
		case RTA_GATEWAY:
			get_addr(attr, rtm->rtm_family, &route->gateway);
			break;
		case RTA_VIA:	/* an IPv4 route through an IPv6 neighbour (RFC 8950) */
			via = mnl_attr_get_payload(attr);
			if (mnl_attr_get_payload_len(attr) == sizeof(*via) + 16 && via->rtvia_family == AF_INET6)
				addr_from_wire(AF_INET6, via->rtvia_addr, &route->gateway);
			break;
		}
	}
	return MNL_CB_OK;
}

int rtnl_get_route(struct rtnl *rtnl, const struct lb_addr *dst, struct rtnl_route *out)
{
	struct rtnl_route route = { .gateway = *dst };
	char buf[RTNL_REQUEST_BYTES] RTNL_ALIGNED;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm;
	int err;

	nlh->nlmsg_type = RTM_GETROUTE;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = rtnl_family(dst);
	rtm->rtm_dst_len = addr_is_v4(dst) ? 32 : 128;
	rtnl_put_addr(nlh, RTA_DST, dst);
	err = rtnl_request(rtnl, nlh, on_route, &route);
	if (err)
		return err;
	*out = route;
	return 0;
}

struct link {
	bool found;
	__u8 mac[6];
};

static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct link *link = arg;
	struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWLINK || ifi->ifi_type != ARPHRD_ETHER)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*ifi)) {
		if (mnl_attr_get_type(attr) != IFLA_ADDRESS || mnl_attr_get_payload_len(attr) != sizeof(link->mac))
			continue;
		memcpy(link->mac, mnl_attr_get_payload(attr), sizeof(link->mac));
		link->found = true;
	}
	return MNL_CB_OK;
}

int rtnl_get_mac(struct rtnl *rtnl, __u32 ifindex, __u8 mac[static 6])
{
	char buf[RTNL_REQUEST_BYTES] RTNL_ALIGNED;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct link link = {};
	struct ifinfomsg *ifi;
	int err;

	nlh->nlmsg_type = RTM_GETLINK;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = ifindex;
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	err = rtnl_request(rtnl, nlh, on_link, &link);
	if (err)
		return err;
	if (!link.found)
		return -EOPNOTSUPP;
	memcpy(mac, link.mac, sizeof(link.mac));
	return 0;
}

void rtnl_neigh_parse(const struct nlmsghdr *nlh, struct rtnl_neigh *out)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct nlattr *attr;

	*out = (struct rtnl_neigh){ .ifindex = ndm->ndm_ifindex, .state = ndm->ndm_state, .flags = ndm->ndm_flags };
	mnl_attr_for_each(attr, nlh, sizeof(*ndm)) {
		switch (mnl_attr_get_type(attr)) {
		case NDA_DST:
			get_addr(attr, ndm->ndm_family, &out->addr);
			break;
		case NDA_LLADDR:
			out->has_mac = mnl_attr_get_payload_len(attr) == sizeof(out->mac);
			if (out->has_mac)
				memcpy(out->mac, mnl_attr_get_payload(attr), sizeof(out->mac));
			break;
		case NDA_FLAGS_EXT:
			out->flags_ext = mnl_attr_get_u32(attr);
			break;
		}
	}
}

static int on_neigh(const struct nlmsghdr *nlh, void *arg)
{
	if (nlh->nlmsg_type == RTM_NEWNEIGH)
		rtnl_neigh_parse(nlh, arg);
	return MNL_CB_OK;
}

static struct nlmsghdr *put_neigh(char *buf, __u16 type, __u32 ifindex, const struct lb_addr *addr, __u8 flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ndmsg *ndm;

	nlh->nlmsg_type = type;
	ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	ndm->ndm_family = rtnl_family(addr);
	ndm->ndm_ifindex = ifindex;
	ndm->ndm_flags = flags;
	rtnl_put_addr(nlh, NDA_DST, addr);
	return nlh;
}

int rtnl_get_neigh(struct rtnl *rtnl, __u32 ifindex, const struct lb_addr *addr, struct rtnl_neigh *out)
{
	char buf[RTNL_REQUEST_BYTES] RTNL_ALIGNED;
	struct rtnl_neigh n = {};
	int err = rtnl_request(rtnl, put_neigh(buf, RTM_GETNEIGH, ifindex, addr, 0), on_neigh, &n);

	if (err && err != -ENOENT)
		return err;
	*out = n;
	return 0;
}

int rtnl_use_neigh(struct rtnl *rtnl, __u32 ifindex, const struct lb_addr *addr, __u8 flags, bool managed, bool create)
{
	__u16 how = NLM_F_REPLACE | (create ? NLM_F_CREATE : 0);
	char buf[RTNL_REQUEST_BYTES] RTNL_ALIGNED;
	struct nlmsghdr *nlh;
	int err;

	nlh = put_neigh(buf, RTM_NEWNEIGH, ifindex, addr, flags | NTF_USE);
	nlh->nlmsg_flags = how;
	if (managed)
		mnl_attr_put_u32(nlh, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	err = rtnl_request(rtnl, nlh, NULL, NULL);
	if (!managed || (err != -EINVAL && err != -EOPNOTSUPP))
		return err;
	/* A kernel that refuses the flag rather than ignoring it. */
	nlh = put_neigh(buf, RTM_NEWNEIGH, ifindex, addr, flags | NTF_USE);
	nlh->nlmsg_flags = how;
	return rtnl_request(rtnl, nlh, NULL, NULL);
}
