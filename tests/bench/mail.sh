#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Heavy-tailed mail from three organisations to three mail servers, one of which scans three times slower: once with
# each scheduler of mailxdp, then with HAProxy and nginx in its place, always the same seed. After that,
# twenty drains under load, mailxdp and HAProxy. Results: build/bench/mail/ (one folder a contender), for report.py.
#
# The load is that of a site in fast motion, one day in under two hours: scans of 350 ms take 25, connections
# that think for 20 s think for 1.4. In real time the run would last 12 minutes.
#
# Usage: mail.sh [CONTENDER...]   Settings: MAIL_SECONDS MAIL_RATE MAIL_SEED MAIL_DRAINS
set -euo pipefail
# shellcheck source=contest.sh
. "$(dirname "$0")/contest.sh"

SECONDS_OF_LOAD=${MAIL_SECONDS:-50}
RATE=${MAIL_RATE:-280}		# sessions a second, all organisations together
SEED=${MAIL_SEED:-1}
DRAINS=${MAIL_DRAINS:-20}
DRAIN_DEADLINE=${MAIL_DRAIN_DEADLINE:-6}		# seconds
SLOTS=24
WORK_MS=25		# of scanning, on the average
SLOW=(1 1 3)			# the third one

contenders=("$@")
[ $# != 0 ] || contenders=(round-robin maglev least-conn least-inflight haproxy nginx drain-mailxdp drain-haproxy)

servers_start() # OUT SLOWNESS...
{
	local out=$1 i
	shift
	SERVER_PIDS=()
	for ((i = 1; i <= LAB_SERVERS; i++)); do
		spawn "m$i" "$BENCH_BIN/smtpd_scan_tool" --name "mailx$i" --slots "$SLOTS" --slow "${!i}" --log "$out/m$i.json"
		SERVER_PIDS+=("$SPAWNED")
	done
}

servers_stop()
{
	local pid
	for pid in "${SERVER_PIDS[@]}"; do
		unspawn "$pid" TERM
	done
}

clients_start() # OUT SECONDS RATE WORK_MS
{
	local i
	CLIENT_PIDS=()
	for ((i = 1; i <= LAB_CLIENTS; i++)); do
		spawn "c$i" "$BENCH_BIN/mail_tool" --connect "$TARGET" --seed "$((SEED * 10 + i))" --seconds "$2" \
			--rate "$(awk -v r="$3" -v n="$LAB_CLIENTS" 'BEGIN { print r / n }')" --work-ms "$4" --out "$1/c$i.txt"
		CLIENT_PIDS+=("$SPAWNED")
	done
}

clients_wait()
{
	local pid
	for pid in "${CLIENT_PIDS[@]}"; do
		wait "$pid" || die "a mail client failed: $(tail -n 3 "$LAB_DIR"/log/mail_tool-*.log)"
	done
}

out_folder() # NAME
{
	OUT=$BENCH_OUT/mail/$1
	rm -rf "$OUT"
	mkdir -p "$OUT"
}

run_mail() # CONTENDER
{
	out_folder "$1"
	lab_up two 3 3
	servers_start "$OUT" "${SLOW[@]}"
	peer_start "$(peer_of "$1")" "$1"
	clients_start "$OUT" "$SECONDS_OF_LOAD" "$RATE" "$WORK_MS"
	clients_wait
	[ "$(peer_of "$1")" != mailxdp-nat ] || lbctl list --json >"$OUT/list.json"
	servers_stop
}

# --- drains ------------------------------------------------------------------------------

haproxy_say()
{
	python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b"\n")
out = b""
while chunk := s.recv(65536):
	out += chunk
print(out.decode(), end="")' "$HAPROXY_SOCKET" "$1"
}

sessions_at() # NAME
{
	if [ -n "$HAPROXY_SOCKET" ]; then
		haproxy_say "show stat" | awk -F, -v name="$1" '$2 == name { print $5 }'
	else
		list_json ".backends[] | select(.name == \"$1\") | .conns"
	fi
}

is_empty() # NAME
{
	[ "$(sessions_at "$1")" = 0 ]
}

# One drain: no new sessions, wait for the old ones, at the deadline close the rest, the way each offers it.
drain_one() # NAME
{
	local start end before
	before=$(sessions_at "$1")
	now_ms
	start=$NOW
	if [ -n "$HAPROXY_SOCKET" ]; then
		haproxy_say "set server smtp/$1 state drain" >/dev/null
		wait_for "$DRAIN_DEADLINE" is_empty "$1" || haproxy_say "shutdown sessions server smtp/$1" >/dev/null
	else
		lbctl drain "$1" --deadline "${DRAIN_DEADLINE}s" >/dev/null
	fi
	wait_for 30 is_empty "$1" || note "$1 was not empty after 30 s"
	now_ms
	end=$NOW
	echo "$1 $before $((end - start))" >>"$OUT/drains.txt"
	if [ -n "$HAPROXY_SOCKET" ]; then
		haproxy_say "set server smtp/$1 state ready" >/dev/null
	else
		lbctl enable "$1" >/dev/null
		wait_for 10 state_is "$1" up || note "$1 does not come up again"
	fi
}

run_drains() # CONTENDER
{
	local i peer
	peer=$(peer_of "$1")
	out_folder "$1"
	lab_up two 3 3
	servers_start "$OUT" 1 1 1
	# a session is closed once it has been the client's turn for this long
	echo 'timers: {drain-idle: 200ms}' >"$LAB_DIR/etc/mailxdp.yaml"
	peer_start "$peer" least-inflight
	clients_start "$OUT" $((DRAINS * (DRAIN_DEADLINE + 2) + 10)) 60 25
	for ((i = 0; i < DRAINS; i++)); do
		drain_one "mailx$((i % 3 + 1))"
	done
	for i in "${CLIENT_PIDS[@]}"; do
		kill -INT "$i" 2>/dev/null || true
	done
	clients_wait
	[ "$peer" != mailxdp-nat ] || lbctl list --json >"$OUT/list.json"
	servers_stop
}

run_one() # CONTENDER
{
	HAPROXY_SOCKET=
	case $1 in
	drain-*) run_drains "$1" ;;
	*) run_mail "$1" ;;
	esac
	ok "$1: $(cat "$OUT"/c?.txt | awk '{ n[$3]++ } END { for (s in n) printf "%s %d  ", s, n[s] }')"
}

results_to mail/skipped.jsonl
jq -n --arg seconds "$SECONDS_OF_LOAD" --arg rate "$RATE" --arg seed "$SEED" --arg slots "$SLOTS" --arg work "$WORK_MS" \
	--arg deadline "$DRAIN_DEADLINE" '{seconds: $seconds, sessions_per_second: $rate, seed: $seed, slots: $slots,
	work_ms: $work, slow: [1, 1, 3], drain_deadline_s: $deadline}' >"$BENCH_OUT/mail/setting.json"
contest 1 run_one "${contenders[@]}"
lab_done
