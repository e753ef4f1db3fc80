#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a contender adds to the time from SYN to greeting, at 10 and at 80 percent of the connections a second that it can
# take at most in this lab (found first, with 32 at a time); and at the same low rate for all of them, where only
# the way through counts.
#
# One line a run in build/bench/latency.jsonl, rounds interleaved.
#
# Usage: latency.sh [CONTENDER...]   Settings: LATENCY_ROUNDS LATENCY_SECONDS LATENCY_SAME (connections a second)
set -euo pipefail
# shellcheck source=../harness/lab.sh
. "$(dirname "$0")/../harness/lab.sh"
# shellcheck source=peers.sh
. "$(dirname "$0")/peers.sh"

ROUNDS=${LATENCY_ROUNDS:-5}
LENGTH=${LATENCY_SECONDS:-4}
SAME=${LATENCY_SAME:-300}
contenders=("$@")
[ $# != 0 ] || contenders=(direct redirect mailxdp-nat mailxdp-dsr nft nft-stateless haproxy nginx ipvs)
RESULTS=$BENCH_OUT/latency.jsonl
mkdir -p "$BENCH_OUT"
: >"$RESULTS"

measure() # CONTENDER ROUND LOAD [TOOL ARGS]: the tool's JSON to LINE
{
	local peer=$1 round=$2 load=$3
	shift 3
	LINE=$(in_ns c1 "$BENCH_BIN/latency_tool" --connect "$TARGET" --seconds "$LENGTH" --seed "$round" "$@") ||
		die "$peer: latency_tool failed"
	LINE=$(jq -c --arg peer "$peer" --argjson round "$round" --arg load "$load" \
		'{peer: $peer, round: $round, load: $load} + .' <<<"$LINE")
	echo "$LINE" >>"$RESULTS"
}

for ((round = 1; round <= ROUNDS; round++)); do
	for peer in "${contenders[@]}"; do
		if ! peer_available "$peer"; then
			[ "$round" != 1 ] || contender_skip "$peer" "$WHY"
			continue
		fi
		peer_wires "$peer" 1 1
		spawn m1 smtp-sink -u nobody -m 8000 inet:0.0.0.0:25 4096
		peer_start "$peer"
		smtp_load c1 "$TARGET" 25 50 10 || die "$peer: no mail comes through"
		measure "$peer" "$round" same --rate "$SAME"
		measure "$peer" "$round" most --parallel 32
		most=$(jq .per_s <<<"$LINE")
		for percent in 10 80; do
			measure "$peer" "$round" "$percent%" --rate $((most * percent / 100))
		done
		ok "round $round: $peer: $most connections a second, $(jq -r '"p50 \(.p50_us) us, p99 \(.p99_us) us at 80 %"' <<<"$LINE")"
		lab_down
	done
done
lab_done
