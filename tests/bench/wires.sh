# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The network of those benchmarks that count CPU time: one client, one mail server, the contender between them, and wires. No
# switches, because a switch made of software costs more than most contenders. Sourced by contest.sh, after the lab.
#
#   direct: c1 ---- m1       dsr: c1 --front lb back-- m1, and a wire from m1 back to c1       others: c1 --front lb back-- m1
#
# All interfaces are alike: they merge what they receive (GRO), as a NIC's driver does, which also lets them take frames from
# an XDP program; what they send has the wire's size and its checksums, or XDP would meet what no NIC receives.

# An interface learns when it comes up whether the other end takes frames from XDP: so both are ready before either is up.
wire() # NODE IFACE NODE IFACE
{
	ip link add name "$2" netns "$P$1" type veth peer name "$4" netns "$P$3"
	nic_merging "$1" "$2"
	nic_merging "$3" "$4"
	ip -n "$P$1" link set "$2" up
	ip -n "$P$3" link set "$4" up
}

nic_merging() # NODE IFACE
{
	nic_plain "$1" "$2"
	in_ns "$1" ethtool -K "$2" gro on >/dev/null 2>&1 || die "ethtool -K $2 gro on failed in $1"
}

# The mail server has the VIP as well, says nothing about it in ARP, and answers on its own wire.
wire_back()
{
	wire c1 eth1 m1 eth1
	in_ns m1 sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	addr_add m1 lo "$VIP4/32"
	ip -n "${P}m1" route add "$(client_addr 1)/32" dev eth1 src "$VIP4"
}

# shellcheck disable=SC2034 # LB_IFACES is for lab_lb.sh
wires_up() # PEER
{
	LAB_CLIENTS=1
	LAB_SERVERS=1
	LB_IFACES=(front back)
	ns_add lb
	ns_add c1
	ns_add m1
	if [ "$1" = direct ]; then
		wire c1 eth0 m1 eth0
		addr_add c1 eth0 "$(client_addr 1)/24"
		addr_add m1 eth0 192.0.2.11/24
		return
	fi
	in_ns lb sysctl -qw net.ipv4.ip_forward=1
	wire c1 eth0 lb front
	wire m1 eth0 lb back
	addr_add lb front 192.0.2.1/24
	addr_add lb back 10.0.0.1/24
	addr_add c1 eth0 "$(client_addr 1)/24"
	addr_add m1 eth0 "$(server_addr 1)/24"
	ip -n "${P}c1" route add default via 192.0.2.1
	ip -n "${P}m1" route add default via 10.0.0.1
	[ "$1" != mailxdp-dsr ] || wire_back
	# neighbours, so that nobody has to ask while it is measured
	in_ns lb ping -qc1 -W2 "$(client_addr 1)" >/dev/null || die "no way to the client"
	in_ns lb ping -qc1 -W2 "$(server_addr 1)" >/dev/null || die "no way to the mail server"
}
