// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Puts the redirecting program of redirect.bpf.c on two interfaces, and leaves: the interfaces keep it.
 *
 * Usage: redirect_tool FIRST SECOND MAC_BEHIND_SECOND MAC_BEFORE_FIRST
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "redirect.h"
#include "tool.h"
#include "bench/redirect.skel.h"

static void way_fill(struct redirect_way *way, const char *out_ifname, const char *dst_mac)
{
	__u8 mac[12];
	struct ifreq req = {};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", out_ifname);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &req) == -1)
		die("%s: %m", out_ifname);
	close(fd);
	if (sscanf(dst_mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) != 6)
		die("\"%s\" is no MAC address", dst_mac);
	memcpy(mac + 6, req.ifr_hwaddr.sa_data, 6);
	memcpy(way->macs, mac, sizeof(mac));
	way->ifindex = if_nametoindex(out_ifname);
}

int main(int argc, char **argv)
{
	struct redirect_bpf *skel;

	if (argc != 5) {
		fputs("usage: redirect_tool FIRST SECOND MAC_BEHIND_SECOND MAC_BEFORE_FIRST\n", stderr);
		return 2;
	}
	skel = redirect_bpf__open_and_load();
	if (!skel)
		die("cannot load: %m");
	way_fill(&skel->bss->ways[0], argv[2], argv[3]);
	way_fill(&skel->bss->ways[1], argv[1], argv[4]);
	skel->bss->second_ifindex = if_nametoindex(argv[2]);
	for (int i = 1; i <= 2; i++) {
		int ret = bpf_xdp_attach(if_nametoindex(argv[i]), bpf_program__fd(skel->progs.redirect), XDP_FLAGS_DRV_MODE, NULL);

		if (ret)
			die("%s: %s", argv[i], strerror(-ret));
	}
	return 0;
}
