#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Packets per second on one core, through interfaces: pps_tool.c makes the frames and counts them. No switches here:
# client, balancer and mail server hang together by two wires. "generator" counts the frames where they arrive, at the
# balancer's interface: what is left of a packet's time with a contender is the contender's and its wire's.
#
# One line a run in build/bench/pps.jsonl, rounds interleaved.
#
# Usage: pps.sh [CONTENDER...]   Settings: PPS_ROUNDS PPS_SECONDS PPS_FLOWS PPS_CPU
set -euo pipefail
# shellcheck source=contest.sh
. "$(dirname "$0")/contest.sh"

ROUNDS=${PPS_ROUNDS:-7}
LENGTH=${PPS_SECONDS:-2}
FLOWS=${PPS_FLOWS:-1024}
CPU=${PPS_CPU:-$(($(nproc) - 1))}
contenders=("$@")
[ $# != 0 ] || contenders=(generator redirect mailxdp-nat nft nft-stateless)
results_to pps.jsonl
# no mail server answers here, and a client's address that is kept is less work for nft than masquerading
export PEER_CHECK=none PEER_MASQUERADE=

wire_add() # NODE LB_IFACE
{
	ip link add name eth0 netns "$P$1" type veth peer name "$2" netns "${P}lb"
	nic_plain "$1" eth0
	nic_plain lb "$2"
	ip -n "$P$1" link set eth0 up
	ip -n "${P}lb" link set "$2" up
}

wires()
{
	LAB_CLIENTS=1
	LAB_SERVERS=1
	LB_IFACES=(front back)
	ns_add lb
	ns_add c1
	ns_add m1
	in_ns lb sysctl -qw net.ipv4.ip_forward=1
	wire_add c1 front
	wire_add m1 back
	addr_add lb front 192.0.2.1/24
	addr_add lb back 10.0.0.1/24
	addr_add c1 eth0 "$(client_addr 1)/24"
	addr_add m1 eth0 "$(server_addr 1)/24"
	ip -n "${P}c1" route add default via 192.0.2.1
	ip -n "${P}m1" route add default via 10.0.0.1
	# neighbours, so that nobody has to ask while it is measured
	in_ns lb ping -qc1 -W2 "$(client_addr 1)" >/dev/null || die "no way to the client"
	in_ns lb ping -qc1 -W2 "$(server_addr 1)" >/dev/null || die "no way to the mail server"
}

balancer() # PEER
{
	TARGET=$VIP4
	case $1 in
	generator) ;;
	redirect)
		TARGET=$(server_addr 1)
		peer_redirect
		;;
	mailxdp-nat) peer_mailxdp nat least-inflight ;;
	# a veth takes frames only where an XDP program waits for them: this one lets all pass
	nft)
		port_pass lb front
		port_pass lb back
		peer_nft
		;;
	nft-stateless)
		port_pass lb front
		port_pass lb back
		peer_nft_stateless
		;;
	*) die "no contender \"$1\"" ;;
	esac
}

measure() # CONTENDER ROUND
{
	local server=${P}m1 line
	wires
	balancer "$1"
	[ "$1" != generator ] || server=-
	if line=$("$BENCH_BIN/pps_tool" "${P}c1" "$server" "${P}lb" "$(client_addr 1)" "$TARGET" "$(server_addr 1)" \
		"$FLOWS" "$LENGTH" "$CPU"); then
		jq -c --arg peer "$1" --argjson round "$2" '{peer: $peer, round: $round} + .' <<<"$line" | tee -a "$RESULTS"
		ok "round $2: $1"
	else
		not_ok "round $2: $1"
	fi
}

contest "$ROUNDS" measure "${contenders[@]}"
lab_done
