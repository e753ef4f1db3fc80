#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Packets per second on one core, through interfaces: pps_tool.c makes the frames and counts them. "generator" counts
# the frames where they arrive, at the balancer's interface: what is left of a packet's time with a contender is the
# contender's and its wire's.
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
	nft) peer_nft ;;
	nft-stateless) peer_nft_stateless ;;
	*) die "no contender \"$1\"" ;;
	esac
}

measure() # CONTENDER ROUND
{
	local server=${P}m1 line
	wires_up "$1"
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
