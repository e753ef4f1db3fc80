// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * VIPs as addresses of this host: asks the kernel over netlink which addresses there are, adds and
 * removes single ones, and tells the neighbours on the link with one hand-made frame. It keeps no
 * state: who put which VIP where, and when to announce it again, is the caller's to remember.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/icmpv6.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "addr.h"
#include "rtnl.h"
#include "vip.h"

#define DUMP_TRIES	5	/* the table may change while it is read (NLM_F_DUMP_INTR) */

/* A socket for one request: this happens when a service is added, not per packet. */
static int request(struct nlmsghdr *nlh, mnl_cb_t cb, void *arg)
{
	struct rtnl rtnl = {};
	int err = rtnl_open(&rtnl);

	if (!err)
		err = rtnl_request(&rtnl, nlh, cb, arg);
	rtnl_close(&rtnl);
	return err;
}

struct search {
	const struct lb_addr *addr;
	int ifindex;		/* 0: any */
	bool present;		/* the address itself */
	bool onlink;		/* a prefix that covers it */
};

static int search_one(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const __u8 *local = NULL, *net = NULL, *wanted;
	struct search *s = arg;
	struct nlattr *attr;
	unsigned int len;

	wanted = addr_wire(s->addr, &len);
	if (nlh->nlmsg_type != RTM_NEWADDR || ifa->ifa_family != rtnl_family(s->addr))
		return MNL_CB_OK;
	if (s->ifindex && (int)ifa->ifa_index != s->ifindex)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa)) {
		if (mnl_attr_get_payload_len(attr) != len)
			continue;
		if (mnl_attr_get_type(attr) == IFA_LOCAL)
			local = mnl_attr_get_payload(attr);
		else if (mnl_attr_get_type(attr) == IFA_ADDRESS)
			net = mnl_attr_get_payload(attr);
	}
	/* IFA_ADDRESS is the peer on a point-to-point link, ours elsewhere; IPv6 has only that one then. */
	if (!local)
		local = net;
	if (local && !memcmp(local, wanted, len))
		s->present = true;
	/* A full-length prefix is an address, often the VIP itself, and says nothing about the link. */
	if (net && ifa->ifa_prefixlen < 8 * len && rtnl_prefix_covers(net, wanted, ifa->ifa_prefixlen))
		s->onlink = true;
	return MNL_CB_OK;
}

static int search(struct search *s)
{
	char buf[RTNL_REQUEST_BYTES] RTNL_ALIGNED;
	struct nlmsghdr *nlh;
	struct ifaddrmsg *ifa;
	int err = -EINTR;

	for (int i = 0; i < DUMP_TRIES && err == -EINTR; i++) {
		s->present = s->onlink = false;
		nlh = mnl_nlmsg_put_header(buf);
		nlh->nlmsg_type = RTM_GETADDR;
		nlh->nlmsg_flags = NLM_F_DUMP;
		ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
		ifa->ifa_family = rtnl_family(s->addr);
		err = request(nlh, search_one, s);
	}
	return err;
}

int vip_is_present(const struct lb_addr *addr)
{
	struct search s = { .addr = addr };
	int err = search(&s);

	return err ? err : s.present;
}

int vip_is_onlink(int ifindex, const struct lb_addr *addr)
{
	struct search s = { .addr = addr, .ifindex = ifindex };
	int err = search(&s);

	return err ? err : s.onlink;
}

static struct nlmsghdr *put_address(char *buf, __u16 type, __u16 flags, int ifindex, const struct lb_addr *addr)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *ifa;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = rtnl_family(addr);
	ifa->ifa_prefixlen = addr_is_v4(addr) ? 32 : 128;
	ifa->ifa_scope = RT_SCOPE_UNIVERSE;
	ifa->ifa_index = ifindex;
	rtnl_put_addr(nlh, IFA_LOCAL, addr);
	rtnl_put_addr(nlh, IFA_ADDRESS, addr);
	return nlh;
}

int vip_add(int ifindex, const struct lb_addr *addr)
{
	/* Deprecated for ever, never invalid: no session of our own starts from a VIP (RFC 6724, 5, rule 3). */
	const struct ifa_cacheinfo lifetime = { .ifa_prefered = 0, .ifa_valid = 0xffffffff };
	struct nlmsghdr *nlh;
	char buf[RTNL_REQUEST_BYTES] RTNL_ALIGNED;
	int err;

	err = vip_is_present(addr);
	if (err)
		return err < 0 ? err : 0;
	nlh = put_address(buf, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, addr);
	if (!addr_is_v4(addr)) {
		/* Without DAD: a standby with the same VIP must not make the kernel disable ours. */
		mnl_attr_put_u32(nlh, IFA_FLAGS, IFA_F_NODAD);
		mnl_attr_put(nlh, IFA_CACHEINFO, sizeof(lifetime), &lifetime);
	}
	err = request(nlh, NULL, NULL);
	if (err == -EEXIST)
		return 0;
	return err ? err : 1;
}

int vip_remove(int ifindex, const struct lb_addr *addr)
{
	char buf[RTNL_REQUEST_BYTES] RTNL_ALIGNED;
	int err = request(put_address(buf, RTM_DELADDR, 0, ifindex, addr), NULL, NULL);

	return err == -EADDRNOTAVAIL || err == -ENODEV ? 0 : err;
}

/* ARP Announcement (RFC 5227, 3): a request whose sender and target are the VIP, to everybody. */
static size_t build_arp(const struct lb_addr *addr, const __u8 *mac, __u8 *frame)
{
	struct {
		struct ethhdr eth;
		struct arphdr arp;
		__u8 sender_mac[6], sender[4], target_mac[6], target[4];
	} __attribute__((packed)) f = {
		.eth.h_proto = htons(ETH_P_ARP),
		.arp = { htons(ARPHRD_ETHER), htons(ETH_P_IP), 6, 4, htons(ARPOP_REQUEST) },
	};
	unsigned int len;
	const __u8 *wire = addr_wire(addr, &len);

	memset(f.eth.h_dest, 0xff, 6);
	memcpy(f.eth.h_source, mac, 6);
	memcpy(f.sender_mac, mac, 6);
	memcpy(f.sender, wire, 4);
	memcpy(f.target, wire, 4);
	memcpy(frame, &f, sizeof(f));
	return sizeof(f);
}

struct advert {
	struct icmp6hdr icmp;
	__u8 target[16];
	__u8 opt_type, opt_len, opt_mac[6];
};

/* RFC 4443, 2.3: over the pseudo header (RFC 8200, 8.1) and the message. */
static __u16 advert_checksum(const struct ipv6hdr *ip, const struct advert *na)
{
	__u8 all[32 + sizeof(*na)];
	__u32 sum = htons(IPPROTO_ICMPV6) + htons(sizeof(*na));
	__u16 word;

	memcpy(all, &ip->saddr, 16);
	memcpy(all + 16, &ip->daddr, 16);
	memcpy(all + 32, na, sizeof(*na));
	for (size_t i = 0; i < sizeof(all); i += 2) {
		memcpy(&word, all + i, 2);
		sum += word;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Unsolicited neighbour advertisement (RFC 4861, 4.4 and 7.2.6) to ff02::1: Override set, or
 * caches keep the old MAC; hop limit 255, or receivers discard it (7.1.2). */
static size_t build_advert(const struct lb_addr *addr, const __u8 *mac, __u8 *frame)
{
	struct ethhdr eth = { .h_dest = { 0x33, 0x33, 0, 0, 0, 1 }, .h_proto = htons(ETH_P_IPV6) };
	struct ipv6hdr ip = { .version = 6, .hop_limit = 255, .nexthdr = IPPROTO_ICMPV6,
			      .payload_len = htons(sizeof(struct advert)) };
	struct advert na = { .opt_type = 2, .opt_len = 1 };	/* target link-layer address, in units of 8 bytes */

	memcpy(eth.h_source, mac, 6);
	memcpy(&ip.saddr, addr->bytes, 16);
	ip.daddr.s6_addr[0] = 0xff;
	ip.daddr.s6_addr[1] = 0x02;
	ip.daddr.s6_addr[15] = 1;
	na.icmp.icmp6_type = 136;
	na.icmp.icmp6_override = 1;
	memcpy(na.target, addr->bytes, 16);
	memcpy(na.opt_mac, mac, 6);
	na.icmp.icmp6_cksum = advert_checksum(&ip, &na);

	memcpy(frame, &eth, sizeof(eth));
	memcpy(frame + sizeof(eth), &ip, sizeof(ip));
	memcpy(frame + sizeof(eth) + sizeof(ip), &na, sizeof(na));
	return sizeof(eth) + sizeof(ip) + sizeof(na);
}

int vip_announce(int ifindex, const struct lb_addr *addr)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_ifindex = ifindex };
	socklen_t ll_len = sizeof(ll);
	__u8 frame[128];
	size_t len;
	int fd, err = 0;

	/* Protocol 0: it only sends. */
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -errno;
	/* A bound packet socket knows its interface's type and MAC address. */
	if (bind(fd, (struct sockaddr *)&ll, sizeof(ll)) == -1 ||
	    getsockname(fd, (struct sockaddr *)&ll, &ll_len) == -1) {
		err = -errno;
		goto out;
	}
	if (ll.sll_hatype != ARPHRD_ETHER || ll.sll_halen != ETH_ALEN) {
		err = -EOPNOTSUPP;
		goto out;
	}
	len = addr_is_v4(addr) ? build_arp(addr, ll.sll_addr, frame) : build_advert(addr, ll.sll_addr, frame);
	if (send(fd, frame, len, 0) == -1)
		err = -errno;
out:
	close(fd);
	return err;
}
