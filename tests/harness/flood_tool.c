/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A SYN flood: packets with random source addresses, ports and sequence numbers, as fast as one core
 * writes them, from one interface to one address and port. Checksums are right, so that what answers is the
 * target's judgement and not its checksum code. Only for the lab: it refuses to run in the
 * network namespace of process 1, which would be the machine's own.
 * Ends with one JSON line: {"sent":1000000,"errors":0,"seconds":2.41,"pps":414937}
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <libmnl/libmnl.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH	  64
#define MSS_BYTES 4
/* States in which the kernel would use the MAC address itself. */
#define NUD_KNOWN (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

/* Two bytes in front put the IP header where a 32-bit word may start. */
struct frame4 {
	uint8_t pad[2];
	struct ether_header eth;
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t mss[MSS_BYTES];
};

struct frame6 {
	uint8_t pad[2];
	struct ether_header eth;
	struct ip6_hdr ip;
	struct tcphdr tcp;
	uint8_t mss[MSS_BYTES];
};

union frame {
	struct frame4 v4;
	struct frame6 v6;
};

_Static_assert(sizeof(struct frame4) == 2 + 14 + 20 + 20 + 4, "no holes");
_Static_assert(sizeof(struct frame6) == 2 + 14 + 40 + 20 + 4, "no holes");

static struct {
	const char *iface, *addr, *dst_mac, *next_hop;
	uint16_t port;
	uint64_t count, seed;
	double rate;
} opt = { .port = 25, .count = 1000000, .seed = 1 };

static int family;
static uint8_t target[16];
static uint8_t src_mac[ETH_ALEN], dst_mac[ETH_ALEN];
static uint64_t rng;

static void fail(const char *what)
{
	fprintf(stderr, "flood_tool: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* splitmix64: cheap, seedable, good enough for addresses. */
static uint64_t random_u64(void)
{
	uint64_t z = (rng += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* One's complement sum of 16-bit words (RFC 1071), in the order of the wire. */
static uint32_t sum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (; len > 1; len -= 2, p += 2)
		sum += (uint32_t)(p[0] << 8 | p[1]);
	return sum;
}

static uint16_t sum_finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void eth_fill(struct ether_header *eth, uint16_t type)
{
	memcpy(eth->ether_dhost, dst_mac, ETH_ALEN);
	memcpy(eth->ether_shost, src_mac, ETH_ALEN);
	eth->ether_type = htons(type);
}

static void tcp_fill(struct tcphdr *tcp, uint8_t mss[static MSS_BYTES])
{
	static const uint8_t option[MSS_BYTES] = { 2, 4, 1440 >> 8, 1440 & 0xff };

	memset(tcp, 0, sizeof(*tcp));
	tcp->dest = htons(opt.port);
	tcp->doff = (sizeof(*tcp) + MSS_BYTES) / 4;
	tcp->syn = 1;
	tcp->window = htons(64240);
	memcpy(mss, option, sizeof(option));
}

static void frame4_fill(struct frame4 *f)
{
	memset(f, 0, sizeof(*f));
	eth_fill(&f->eth, ETHERTYPE_IP);
	f->ip.version = 4;
	f->ip.ihl = 5;
	f->ip.ttl = 64;
	f->ip.protocol = IPPROTO_TCP;
	f->ip.tot_len = htons(sizeof(f->ip) + sizeof(f->tcp) + MSS_BYTES);
	memcpy(&f->ip.daddr, target, 4);
	tcp_fill(&f->tcp, f->mss);
}

static void frame6_fill(struct frame6 *f)
{
	memset(f, 0, sizeof(*f));
	eth_fill(&f->eth, ETHERTYPE_IPV6);
	f->ip.ip6_vfc = 6 << 4;
	f->ip.ip6_hlim = 64;
	f->ip.ip6_nxt = IPPROTO_TCP;
	f->ip.ip6_plen = htons(sizeof(f->tcp) + MSS_BYTES);
	memcpy(&f->ip.ip6_dst, target, 16);
	tcp_fill(&f->tcp, f->mss);
}

/* Sources that could be anybody on the Internet, and nobody in the lab: 11.0.0.0 to 126.255.255.255. */
static void frame4_vary(struct frame4 *f)
{
	uint64_t r = random_u64();
	uint32_t sum, first = 11 + (uint32_t)(r >> 56) % 116;

	f->ip.saddr = htonl(first << 24 | (uint32_t)(r & 0xffffff));
	f->ip.id = htons((uint16_t)(r >> 24));
	f->ip.check = 0;
	f->ip.check = sum_finish(sum_add(0, &f->ip, sizeof(f->ip)));
	r = random_u64();
	f->tcp.source = htons((uint16_t)(1024 + (r >> 32) % 64000));
	f->tcp.seq = htonl((uint32_t)r);
	f->tcp.check = 0;
	sum = sum_add(0, &f->ip.saddr, 8);
	sum = sum_add(sum + IPPROTO_TCP + sizeof(f->tcp) + MSS_BYTES, &f->tcp, sizeof(f->tcp) + MSS_BYTES);
	f->tcp.check = sum_finish(sum);
}

/* 2001:db8:f000::/36, random below. */
static void frame6_vary(struct frame6 *f)
{
	uint64_t high = 0x20010db8f0000000ULL | (random_u64() & 0x0fffffffULL), low = random_u64(), r = random_u64();
	uint32_t sum;

	for (int i = 0; i < 8; i++) {
		f->ip.ip6_src.s6_addr[i] = (uint8_t)(high >> (56 - 8 * i));
		f->ip.ip6_src.s6_addr[8 + i] = (uint8_t)(low >> (56 - 8 * i));
	}
	f->tcp.source = htons((uint16_t)(1024 + (r >> 32) % 64000));
	f->tcp.seq = htonl((uint32_t)r);
	f->tcp.check = 0;
	sum = sum_add(0, &f->ip.ip6_src, 32);
	sum = sum_add(sum + IPPROTO_TCP + sizeof(f->tcp) + MSS_BYTES, &f->tcp, sizeof(f->tcp) + MSS_BYTES);
	f->tcp.check = sum_finish(sum);
}

struct neigh_query {
	uint8_t addr[16];
	size_t addr_len;
	int ifindex;
	bool found;
	uint8_t mac[ETH_ALEN];
};

static int neigh_seen(const struct nlmsghdr *nlh, void *data)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	const uint8_t *dst = NULL, *mac = NULL;
	struct neigh_query *q = data;
	const struct nlattr *attr;

	if (ndm->ndm_ifindex != q->ifindex || !(ndm->ndm_state & NUD_KNOWN))
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*ndm)) {
		if (mnl_attr_get_type(attr) == NDA_DST && mnl_attr_get_payload_len(attr) == q->addr_len)
			dst = mnl_attr_get_payload(attr);
		if (mnl_attr_get_type(attr) == NDA_LLADDR && mnl_attr_get_payload_len(attr) == ETH_ALEN)
			mac = mnl_attr_get_payload(attr);
	}
	if (dst && mac && memcmp(dst, q->addr, q->addr_len) == 0) {
		memcpy(q->mac, mac, ETH_ALEN);
		q->found = true;
	}
	return MNL_CB_OK;
}

static void neigh_dump(struct neigh_query *q)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct mnl_socket *nl = mnl_socket_open(NETLINK_ROUTE);
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ndmsg *ndm;
	ssize_t n;

	nlh->nlmsg_type = RTM_GETNEIGH;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = 1;
	ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	ndm->ndm_family = (uint8_t)family;
	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == -1 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) == -1)
		fail("neighbour table");
	while ((n = mnl_socket_recvfrom(nl, buf, sizeof(buf))) > 0)
		if (mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(nl), neigh_seen, q) <= MNL_CB_STOP)
			break;
	mnl_socket_close(nl);
}

/* Makes the kernel ask for the next hop's MAC by sending it one datagram, and waits for the answer. */
static void dst_mac_resolve(int ifindex)
{
	const char *hop = opt.next_hop ? opt.next_hop : opt.addr;
	struct neigh_query q = { .ifindex = ifindex, .addr_len = family == AF_INET ? 4 : 16 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	const struct timespec nap = { .tv_nsec = 20000000 };
	double deadline = now_s() + 5;
	int fd;

	if (inet_pton(family, hop, q.addr) != 1) {
		fprintf(stderr, "flood_tool: next hop \"%s\" is no address of the target's family\n", hop);
		exit(2);
	}
	memcpy(&in.sin_addr, q.addr, 4);
	memcpy(&in6.sin6_addr, q.addr, 16);
	fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		fail("socket");
	if (family == AF_INET)
		sendto(fd, "", 1, 0, (struct sockaddr *)&in, sizeof(in));
	else
		sendto(fd, "", 1, 0, (struct sockaddr *)&in6, sizeof(in6));
	close(fd);
	for (neigh_dump(&q); !q.found && now_s() < deadline; neigh_dump(&q))
		nanosleep(&nap, NULL);
	if (!q.found) {
		fprintf(stderr, "flood_tool: \"%s\" has no MAC address on %s: give --dst-mac\n", hop, opt.iface);
		exit(1);
	}
	memcpy(dst_mac, q.mac, ETH_ALEN);
}

static void src_mac_read(int fd)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", opt.iface);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) == -1)
		fail(opt.iface);
	memcpy(src_mac, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
}

static void dst_mac_parse(const char *text)
{
	unsigned int b[ETH_ALEN];
	char junk;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &junk) != ETH_ALEN) {
		fprintf(stderr, "flood_tool: \"%s\" is no MAC address\n", text);
		exit(2);
	}
	for (int i = 0; i < ETH_ALEN; i++)
		dst_mac[i] = (uint8_t)b[i];
}

static void refuse_outside(void)
{
	struct stat self, first;

	if (stat("/proc/self/ns/net", &self) == -1 || stat("/proc/1/ns/net", &first) == -1)
		fail("/proc");
	if (self.st_ino == first.st_ino && self.st_dev == first.st_dev) {
		fprintf(stderr, "flood_tool: this is the machine's own network: run it in a namespace of the lab\n");
		exit(1);
	}
}

static void flood(int fd)
{
	static union frame frames[BATCH];
	struct mmsghdr msgs[BATCH] = { 0 };
	struct iovec iov[BATCH];
	uint64_t sent = 0, errors = 0;
	double start, took;

	for (int i = 0; i < BATCH; i++) {
		if (family == AF_INET)
			frame4_fill(&frames[i].v4);
		else
			frame6_fill(&frames[i].v6);
		iov[i].iov_base = &frames[i].v4.eth;
		iov[i].iov_len = (family == AF_INET ? sizeof(struct frame4) : sizeof(struct frame6)) - 2;
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	start = now_s();
	while (sent < opt.count) {
		unsigned int n = opt.count - sent < BATCH ? (unsigned int)(opt.count - sent) : BATCH;
		int done;

		for (unsigned int i = 0; i < n; i++) {
			if (family == AF_INET)
				frame4_vary(&frames[i].v4);
			else
				frame6_vary(&frames[i].v6);
		}
		done = sendmmsg(fd, msgs, n, 0);
		if (done == -1) {
			/* The queue is full: the flood is as dense as it can be, go on with the next packets. */
			if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
				fail("send");
			errors++;
			continue;
		}
		sent += (uint64_t)done;
		while (opt.rate > 0 && (double)sent / (now_s() - start) > opt.rate) {
			const struct timespec nap = { .tv_nsec = 200000 };

			nanosleep(&nap, NULL);
		}
	}
	took = now_s() - start;
	printf("{\"sent\":%llu,\"errors\":%llu,\"seconds\":%.3f,\"pps\":%.0f}\n", (unsigned long long)sent,
	       (unsigned long long)errors, took, (double)sent / took);
}

static void usage(void)
{
	fprintf(stderr, "usage: flood_tool --iface IFACE --addr ADDR [--port 25] [--count 1000000] [--rate PPS] [--seed N]\n"
			"                  [--dst-mac MAC | --next-hop ADDR]\n"
			"without --dst-mac the MAC address of the next hop, or of ADDR itself, is asked for\n");
	exit(2);
}

static void options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "iface", required_argument, NULL, 'i' },    { "addr", required_argument, NULL, 'a' },
		{ "port", required_argument, NULL, 'p' },     { "count", required_argument, NULL, 'c' },
		{ "rate", required_argument, NULL, 'r' },     { "seed", required_argument, NULL, 's' },
		{ "dst-mac", required_argument, NULL, 'm' },  { "next-hop", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (c) {
		case 'i': opt.iface = optarg; break;
		case 'a': opt.addr = optarg; break;
		case 'p': opt.port = (uint16_t)strtoul(optarg, NULL, 10); break;
		case 'c': opt.count = strtoull(optarg, NULL, 10); break;
		case 'r': opt.rate = strtod(optarg, NULL); break;
		case 's': opt.seed = strtoull(optarg, NULL, 10); break;
		case 'm': opt.dst_mac = optarg; break;
		case 'n': opt.next_hop = optarg; break;
		default: usage();
		}
	}
	if (!opt.iface || !opt.addr || !opt.port || optind != argc)
		usage();
	family = strchr(opt.addr, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(family, opt.addr, target) != 1) {
		fprintf(stderr, "flood_tool: \"%s\" is no address\n", opt.addr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };
	int fd;

	options(argc, argv);
	refuse_outside();
	rng = opt.seed;
	ll.sll_ifindex = (int)if_nametoindex(opt.iface);
	if (!ll.sll_ifindex)
		fail(opt.iface);
	/* Protocol 0: this socket only sends. */
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&ll, sizeof(ll)) == -1)
		fail("packet socket");
	src_mac_read(fd);
	if (opt.dst_mac)
		dst_mac_parse(opt.dst_mac);
	else
		dst_mac_resolve(ll.sll_ifindex);
	flood(fd);
	close(fd);
	return 0;
}
