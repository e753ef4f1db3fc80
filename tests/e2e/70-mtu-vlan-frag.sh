#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Frames that are not the usual ones: 9000 bytes, with a priority tag, in fragments. Big messages go through the
# VIP on one and on two interfaces.
. "$(dirname "$0")/../harness/lab.sh"
. "$(dirname "$0")/../harness/deliver.sh"

SESSIONS=${SESSIONS:-$(long 30 90)}
MESSAGE=1000000

# deliver WHAT FAMILY BYTES
deliver()
{
	local what=$1 family=$2 size=$3
	mail_clear
	check "$what, IPv$family: $SESSIONS messages of $size bytes" deliver_send "$family" "$SESSIONS" -l "$size"
	is "$what, IPv$family: every message arrived once" "$(count_delivered "$family.")" "$SESSIONS"
	# The files have bare newlines and a header: about as long as what was sent.
	is "$what, IPv$family: none was cut short" \
		"$(find "$LAB_DIR/mail" -type f -size "-$((size * 9 / 10))c" | wc -l)" 0
	is "$what, IPv$family: from the clients' own addresses" \
		"$(client_addrs | awk '{ print $2 }' | sort | paste -sd' ')" "$(client_list "$family")"
}

rx_packets()
{
	ip -n "${P}lb" -j -s link show dev front | jq '.[0].stats64.rx.packets'
}

need_lbd
for layout in two one; do
	lab_up "$layout" 3 3 9000
	sinks_start
	lb_setup nat
	for family in 4 6; do
		before=$(rx_packets)
		deliver "MTU 9000, layout $layout" "$family" "$MESSAGE"
		packets=$(($(rx_packets) - before))
		check "MTU 9000, layout $layout, IPv$family: frames were large ($packets for $((SESSIONS * MESSAGE)) bytes)" \
			test $((packets * 4000)) -lt $((SESSIONS * MESSAGE))
	done
	lbd_stop
	lab_down
done

# Every frame to the balancer carries an 802.1Q priority tag, inline.
lab_up one 3 3
sinks_start
if in_ns sw ethtool -K to_lb txvlan off >/dev/null 2>&1 &&
	in_ns sw tc qdisc add dev to_lb clsact 2>/dev/null &&
	in_ns sw tc filter add dev to_lb egress bpf da obj "$TOOLS/tag.bpf.o" sec tc 2>"$LAB_DIR/log/tc.log"; then
	lb_setup nat
	for family in 4 6; do
		deliver "priority tag" "$family" 20000
	done
	lbd_stop
elif [ ! -e "$TOOLS/tag.bpf.o" ]; then
	not_ok "priority tag: $TOOLS/tag.bpf.o is not built"
else
	skip_one "priority tag" "tc cannot run a program here: $(tail -n 1 "$LAB_DIR/log/tc.log" 2>/dev/null)"
fi
lab_down

# A client behind a router with a small MTU, whose packets may be fragmented: TCP in pieces.
lab_up two 1 2
ns_add far
ip link add name eth0 netns "${P}far" type veth peer name down0 netns "${P}c1"
nic_plain far eth0
nic_plain c1 down0
ip -n "${P}far" link set eth0 up
ip -n "${P}c1" link set down0 up
addr_add far eth0 198.51.100.2/24
addr_add c1 down0 198.51.100.1/24
ip -n "${P}far" route add default via 198.51.100.1
ip -n "${P}lb" route add 198.51.100.0/24 via "$(client_addr 1)"
in_ns far sysctl -qw net.ipv4.ip_no_pmtu_disc=1
in_ns c1 sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.eth0.disable_ipv6=1
ip -n "${P}c1" link set eth0 mtu 900
sinks_start
lb_setup nat
check "fragments: $SESSIONS messages of 20000 bytes" smtp_load far "$VIP4" 25 "$SESSIONS" 5 -l 20000
is "fragments: every message arrived once" "$(count_delivered)" "$SESSIONS"
is "fragments: from the client's own address" "$(client_addrs)" "$SESSIONS 198.51.100.2"
fragments=$(in_ns c1 nstat -asz IpFragCreates | awk '$1 == "IpFragCreates" { print $2 }')
check "fragments: there were some ($fragments)" test "$fragments" -gt "$SESSIONS"
lab_done
