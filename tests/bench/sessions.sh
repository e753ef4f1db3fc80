#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SMTP sessions per second, and what a session costs in CPU time: smtp-source to smtp-sink, one client and one mail
# server, with each contender in between. All CPU time of the machine is counted, mail programs included; report.py
# subtracts what a direct connection costs. So nothing else may run meanwhile; what idles costs nothing.
#
# One line a run in build/bench/sessions.jsonl. Rounds are interleaved: contender after contender, then again.
#
# Usage: sessions.sh [CONTENDER...]   Settings: SESSIONS_ROUNDS SESSIONS_SHAPES SESSIONS_SCALE (percent of the work)
set -euo pipefail
# shellcheck source=contest.sh
. "$(dirname "$0")/contest.sh"

ROUNDS=${SESSIONS_ROUNDS:-5}
SCALE=${SESSIONS_SCALE:-100}
PARALLEL=20
contenders=("$@")
[ $# != 0 ] || contenders=(direct redirect mailxdp-nat mailxdp-dsr nft nft-stateless haproxy nginx ipvs)

# Messages per session, bytes per message, sessions.
shapes=()
for shape in ${SESSIONS_SHAPES:-1x1024x8000 100x1024x200 1x1048576x400 100x1048576x4}; do
	shapes+=("$shape")
done

results_to sessions.jsonl

cpu_ticks() # busy ticks of all CPUs so far, to TICKS
{
	local _ user nice system irq softirq
	read -r _ user nice system _ _ irq softirq _ </proc/stat
	TICKS=$((user + nice + system + irq + softirq))
}

# With -d a session stays for its messages, and one call makes as many sessions as run in parallel.
sessions_run() # MESSAGES BYTES SESSIONS
{
	local rest=$3 batch
	local source=(smtp-source -M c1.example -f news@c1.example -t reader@example.net -l "$2")
	if [ "$1" = 1 ]; then
		in_ns c1 timeout 120 "${source[@]}" -s "$PARALLEL" -m "$3" "inet:$TARGET:25"
		return
	fi
	while [ "$rest" -gt 0 ]; do
		batch=$((rest < PARALLEL ? rest : PARALLEL))
		in_ns c1 timeout 120 "${source[@]}" -d -s "$batch" -m $((batch * $1)) "inet:$TARGET:25"
		rest=$((rest - batch))
	done
}

measure() # CONTENDER ROUND SHAPE
{
	local messages bytes count start ticks hz
	IFS=x read -r messages bytes count <<<"$3"
	count=$((count * SCALE / 100))
	[ "$count" -ge 1 ] || count=1
	hz=$(getconf CLK_TCK)
	cpu_ticks
	ticks=$TICKS
	now_ms
	start=$NOW
	if ! sessions_run "$messages" "$bytes" "$count" >>"$LAB_DIR/log/smtp-source.log" 2>&1; then
		note "$1: smtp-source failed: $(tail -n 1 "$LAB_DIR/log/smtp-source.log")"
		return 1
	fi
	now_ms
	cpu_ticks
	jq -cn --arg peer "$1" --argjson round "$2" --argjson messages "$messages" --argjson bytes "$bytes" \
		--argjson sessions "$count" --argjson ms $((NOW - start)) --argjson cpu_ms $(((TICKS - ticks) * 1000 / hz)) \
		'{peer: $peer, round: $round, messages: $messages, bytes: $bytes, sessions: $sessions, ms: $ms, cpu_ms: $cpu_ms}' \
		>>"$RESULTS"
}

in_all_shapes() # CONTENDER ROUND
{
	local shape failed=0
	way_through "$1" 2000 2000
	for shape in "${shapes[@]}"; do
		measure "$1" "$2" "$shape" || failed=1
	done
	if [ "$failed" = 0 ]; then ok "round $2: $1"; else not_ok "round $2: $1"; fi
}

contest "$ROUNDS" in_all_shapes "${contenders[@]}"
lab_done
