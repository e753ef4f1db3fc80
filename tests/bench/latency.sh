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
# shellcheck source=contest.sh
. "$(dirname "$0")/contest.sh"

ROUNDS=${LATENCY_ROUNDS:-5}
LENGTH=${LATENCY_SECONDS:-4}
SAME=${LATENCY_SAME:-300}
contenders=("$@")
[ $# != 0 ] || contenders=(direct redirect mailxdp-nat mailxdp-dsr nft nft-stateless haproxy nginx ipvs)
results_to latency.jsonl

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

at_all_loads() # CONTENDER ROUND
{
	local most percent
	way_through "$1" 8000 4096
	measure "$1" "$2" same --rate "$SAME"
	measure "$1" "$2" most --parallel 32
	most=$(jq .per_s <<<"$LINE")
	for percent in 10 80; do
		measure "$1" "$2" "$percent%" --rate $((most * percent / 100))
	done
	ok "round $2: $1: $most connections a second, $(jq -r '"p50 \(.p50_us) us, p99 \(.p99_us) us at 80 %"' <<<"$LINE")"
}

contest "$ROUNDS" at_all_loads "${contenders[@]}"
lab_done
