# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The network of the lab: name spaces, switches, links, addresses. Sourced by lab.sh. Carries any traffic, starts none.
#
#   two:  c1 c2 c3 --[csw]-- front lb back --[ssw]-- m1 m2 m3     one:  c1 c2 c3 --[sw]-- m1 m2 m3
#                                                                                 |front
#                                                                                 lb
#   clients 192.0.2.101... 2001:db8:1::101...     lb 192.0.2.1, 10.0.0.1 (::1)     VIP 192.0.2.25 2001:db8:1::25
#   servers 10.0.0.11...   fd00:10::11...         names: client cN "orgN", server mN "mailxN"

VIP4=192.0.2.25
VIP6=2001:db8:1::25

P=mx$(printf '%04x' $((RANDOM ^ $$)))
LAB_NS=()
LAB_CLIENTS=0
LAB_SERVERS=0
LAB_MTU=1500
CLIENT_SWITCH=
SERVER_SWITCH=

client_addr() # N [4|6]
{
	if [ "${2:-4}" = 4 ]; then echo "192.0.2.$((100 + $1))"; else echo "2001:db8:1::$((100 + $1))"; fi
}

server_addr() # N [4|6]
{
	if [ "${2:-4}" = 4 ]; then echo "10.0.0.$((10 + $1))"; else echo "fd00:10::$((10 + $1))"; fi
}

in_ns()
{
	local ns=$P$1
	shift
	ip netns exec "$ns" "$@"
}

ns_add() # NAME
{
	if [ "$1" = lb ] && [ "${LAB_MACHINE:-0}" = 1 ]; then
		ip netns attach "$P$1" $$
	else
		ip netns add "$P$1"
	fi
	LAB_NS+=("$P$1")
	in_ns "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv6.conf.default.accept_ra=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
		net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.default.accept_redirects=0 \
		net.ipv6.conf.all.accept_redirects=0 net.ipv6.conf.default.accept_redirects=0 \
		net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0 \
		net.ipv4.ip_local_port_range='2048 65535'
	ip -n "$P$1" link set lo up
}

switch_add() # NAME
{
	ns_add "$1"
	ip -n "$P$1" link add name br0 type bridge stp_state 0 mcast_snooping 0
	ip -n "$P$1" link set dev br0 mtu "$LAB_MTU" up
}

# XDP sees frames as they lie in memory: no unfinished checksums, no frames glued together.
nic_plain() # NS IFACE
{
	in_ns "$1" ethtool -K "$2" tx off tso off gso off gro off >/dev/null 2>&1 || die "ethtool -K $2 failed in $1"
}

# link NODE IFACE SWITCH: NODE's IFACE into a port of SWITCH that is called to_NODE.
link_add()
{
	local node=$1 iface=$2 switch=$3 port=to_$1
	ip link add name "$iface" mtu "$LAB_MTU" netns "$P$node" type veth peer name "$port" mtu "$LAB_MTU" netns "$P$switch"
	nic_plain "$node" "$iface"
	nic_plain "$switch" "$port"
	ip -n "$P$switch" link set "$port" master br0 up
	ip -n "$P$node" link set "$iface" up
}

# The balancer's links need an XDP program at their far end, or what it transmits is lost.
port_pass() # SWITCH PORT
{
	local section=xdp
	[ "$LAB_MTU" -le 1500 ] || section=xdp.frags
	in_ns "$1" ip link set dev "$2" xdp obj "$TOOLS/pass.bpf.o" sec "$section" ||
		die "cannot attach $TOOLS/pass.bpf.o: build it with make $TOOLS/pass.bpf.o"
}

addr_add() # NODE IFACE ADDR...
{
	local node=$1 iface=$2 addr
	shift 2
	for addr in "$@"; do
		case $addr in
		*:*) ip -n "$P$node" addr add "$addr" dev "$iface" nodad ;;
		*) ip -n "$P$node" addr add "$addr" dev "$iface" ;;
		esac
	done
}

# lab_up LAYOUT CLIENTS SERVERS [MTU]
# shellcheck disable=SC2034 # LB_IFACES is for lab_lb.sh
lab_up()
{
	local layout=$1 i
	LAB_CLIENTS=$2
	LAB_SERVERS=$3
	LAB_MTU=${4:-1500}
	case $layout in
	two) CLIENT_SWITCH=csw SERVER_SWITCH=ssw LB_IFACES=(front back) ;;
	one) CLIENT_SWITCH=sw SERVER_SWITCH=sw LB_IFACES=(front) ;;
	*) die "lab_up: no layout \"$layout\", only one and two" ;;
	esac
	ns_add lb
	in_ns lb sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	switch_add "$CLIENT_SWITCH"
	link_add lb front "$CLIENT_SWITCH"
	port_pass "$CLIENT_SWITCH" to_lb
	addr_add lb front 192.0.2.1/24 2001:db8:1::1/64
	if [ "$layout" = two ]; then
		switch_add "$SERVER_SWITCH"
		link_add lb back "$SERVER_SWITCH"
		port_pass "$SERVER_SWITCH" to_lb
		addr_add lb back 10.0.0.1/24 fd00:10::1/64
	else
		addr_add lb front 10.0.0.1/24 fd00:10::1/64
	fi
	for ((i = 1; i <= LAB_CLIENTS; i++)); do
		ns_add "c$i"
		link_add "c$i" eth0 "$CLIENT_SWITCH"
		addr_add "c$i" eth0 "$(client_addr "$i")/24" "$(client_addr "$i" 6)/64"
		ip -n "${P}c$i" route add default via 192.0.2.1
		ip -n "${P}c$i" route add default via 2001:db8:1::1
	done
	for ((i = 1; i <= LAB_SERVERS; i++)); do
		ns_add "m$i"
		link_add "m$i" eth0 "$SERVER_SWITCH"
		addr_add "m$i" eth0 "$(server_addr "$i")/24" "$(server_addr "$i" 6)/64"
		ip -n "${P}m$i" route add default via 10.0.0.1
		ip -n "${P}m$i" route add default via fd00:10::1
	done
}

# After lab_up one: the mail servers answer clients themselves, from the VIP on lo, and say nothing about it in ARP.
lab_dsr()
{
	local i
	for ((i = 1; i <= LAB_SERVERS; i++)); do
		in_ns "m$i" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 \
			net.ipv4.conf.eth0.arp_ignore=1 net.ipv4.conf.eth0.arp_announce=2
		addr_add "m$i" lo "$VIP4/32" "$VIP6/128"
		addr_add "m$i" eth0 "192.0.2.$((10 + i))/24" "2001:db8:1::$((10 + i))/64"
	done
}

# A mail server's cable: it keeps its power and loses its link, and nobody tells the balancer.
server_unplug() # N
{
	ip -n "$P$SERVER_SWITCH" link set "to_m$1" down
}

server_plug() # N
{
	ip -n "$P$SERVER_SWITCH" link set "to_m$1" up
}
