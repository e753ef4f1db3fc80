#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# How the control plane scales: filling a selection table and `lbctl add` with 3, 100 and 1000 backends; with a million
# flows: restart of lbd, another size of their table, the CPU share of lbd (its sweeps), and memory per flow.
#
# One line a figure in build/bench/control.jsonl.
#
# Usage: control.sh   Settings: CONTROL_FLOWS CONTROL_ADDS CONTROL_WATCH (seconds) CONTROL_RESTARTS
set -euo pipefail
# shellcheck source=contest.sh
. "$(dirname "$0")/contest.sh"

FLOWS=${CONTROL_FLOWS:-1000000}
ADDS=${CONTROL_ADDS:-21}
WATCH=${CONTROL_WATCH:-20}
RESTARTS=${CONTROL_RESTARTS:-5}
results_to control.jsonl

tell()
{
	tee -a "$RESULTS" | quote
}

now_us() # to NOW_US
{
	NOW_US=${EPOCHREALTIME/[.,]/}
}

# Numbers on stdin to one line: median and the 10 % and 90 % points.
spread() # WHAT KEY VALUE
{
	sort -n | jq -cs --arg what "$1" --arg key "$2" --argjson value "$3" '{what: $what, ($key): $value,
		ms: .[length / 2 | floor], low: .[length / 10 | floor], high: .[length * 9 / 10 | floor], n: length}'
}

address_of() # N: a network behind m1, so that every backend has a next hop
{
	echo "10.1.$(($1 >> 8)).$(($1 & 255))"
}

site() # FLOWS
{
	lab_up two 1 1
	ip -n "${P}lb" route add 10.1.0.0/16 via 10.0.0.11
	echo "flows: $1" >"$LAB_DIR/etc/mailxdp.yaml"
	# shellcheck disable=SC2119
	lbd_start
	lbctl attach front --mode native >/dev/null
	lbctl attach back --mode native >/dev/null
	lbctl service add smtp --vip "$VIP4" --port 25 --check none >/dev/null
}

adds() # BACKENDS
{
	local i start file=$LAB_DIR/run/adds
	site 131072
	for ((i = 1; i <= $1; i++)); do
		lbctl add "mailx$i" "$(address_of "$i")" >/dev/null
	done
	wait_for 30 all_up || die "the backends do not come up"
	for ((i = 0; i < ADDS; i++)); do
		now_us
		start=$NOW_US
		lbctl add extra "$(address_of 60000)" >/dev/null
		now_us
		echo "$(((NOW_US - start) / 1000)).$(((NOW_US - start) % 1000 / 100))" >>"$file"
		lbctl remove extra --now >/dev/null
	done
	spread "lbctl add" backends "$1" <"$file" | tell
	ok "lbctl add with $1 backends"
	lab_down
}

# Ticks that lbd has used so far.
lbd_ticks()
{
	local pid
	pid=$(pgrep -P "$LBD_PID" 2>/dev/null | head -n 1 || true)
	awk '{ print $14 + $15 }' "/proc/${pid:-$LBD_PID}/stat"
}

entries_are() # N
{
	[ "$(lbctl status --json | jq -r '.flows.entries // .flow_entries')" = "$1" ]
}

moved() # the table before is gone
{
	[ ! -e "$LAB_DIR/bpf/mailxdp/flows_before" ]
}

many_flows()
{
	local i start ticks id bytes file=$LAB_DIR/run/restarts
	site "$FLOWS"
	lbctl add mailx1 "$(address_of 1)" >/dev/null
	wait_for 30 all_up || die "the backend does not come up"
	id=$(ip -n "${P}lb" -j link show front | jq -r '.[0].xdp.prog.id')
	in_ns lb "$BENCH_BIN/control_bench" fill "$id" front "$VIP4" "$FLOWS" | tell
	lbctl status --json >"$LAB_DIR/run/status.json"

	bytes=$(bpftool -j map show pinned "$LAB_DIR/bpf/mailxdp/flows" | jq .bytes_memlock)
	jq -cn --argjson bytes "$bytes" --argjson flows "$FLOWS" \
		'{what: "memory", flows: $flows, bytes: $bytes, mb: ($bytes / 1e6), bytes_per_flow: ($bytes / $flows)}' | tell
	ok "memory of the flow table"

	ticks=$(lbd_ticks)
	sleep "$WATCH"
	ticks=$(($(lbd_ticks) - ticks))
	jq -cn --argjson ticks "$ticks" --argjson hz "$(getconf CLK_TCK)" --argjson s "$WATCH" --argjson flows "$FLOWS" \
		'{what: "lbd at rest", flows: $flows, seconds: $s, cpu_percent: ($ticks / $hz / $s * 100)}' | tell
	ok "CPU share of lbd with $FLOWS flows"

	for ((i = 0; i < RESTARTS; i++)); do
		lbd_kill9
		now_us
		start=$NOW_US
		# shellcheck disable=SC2119
		lbd_start
		now_us
		echo "$(((NOW_US - start) / 1000))" >>"$file"
	done
	spread restart flows "$FLOWS" <"$file" | tell
	ok "restart of lbd with $FLOWS flows"

	lbctl save >/dev/null
	sed -i 's/^flows:.*/flows: 2097152/' "$LAB_DIR/etc/mailxdp.yaml"
	lbd_stop
	now_us
	start=$NOW_US
	# shellcheck disable=SC2119
	lbd_start
	wait_for 60 moved || die "the flows do not move"
	now_us
	jq -cn --argjson ms "$(((NOW_US - start) / 1000))" --argjson flows "$FLOWS" '{what: "resize", flows: $flows, ms: $ms}' | tell
	entries_are "$FLOWS" || die "flows were lost in the move"
	ok "$FLOWS flows move to a table of 2097152"
	lab_down
}

need_lbd
"$BENCH_BIN/control_bench" tables | tell
ok "filling a selection table"
for backends in 3 100 1000; do
	adds "$backends"
done
many_flows
lab_done
