#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The flow table changes its size, up and down, while mail flows and sessions are held; once lbd dies on the way. No session
# may be lost, and no count.
. "$(dirname "$0")/../harness/lab.sh"

HELD=${HELD:-$(long 60 400)}
ROUNDS=${ROUNDS:-$(long 1 5)}

config() # FLOWS
{
	lab_config 46 "flows: $1" "check: {kind: tcp, interval: 1s}"
}

limit_is() # ENTRIES
{
	[ "$(lbctl status --json | jq .flows.limit)" = "$1" ]
}

moving() # the table before is still there
{
	[ -e "$LAB_DIR/bpf/mailxdp/flows_before" ]
}

moved()
{
	! moving
}

resize() # FLOWS ENTRIES
{
	config "$1"
	lbd_stop
	lbd_start
	check "restarted with $1 entries: the table has them" wait_for 10 limit_is "$2"
	check "and all flows have moved" wait_for 10 moved
}

counts_agree() # what the balancer counts, and what is in the table
{
	local open counted
	open=$(lbctl flows --json | jq '[.flows[] | select(.turn != "-")] | length')
	counted=$(list_json '[.backends[].conns] | add')
	[ "$open" = "$counted" ] && [ "$open" = "$1" ]
}

need_lbd
lab_up two 3 3
sinks_start
config 4096
lbd_start
wait_for 15 all_up || die "the mail servers do not come up"
hold_start c1 4 0.3
hold_start c2 6 0.3
LOAD_BATCH=60
LOAD_ARGS=(-w 1)
load_start 20 "$VIP4" "$VIP6"
for ((round = 1; round <= ROUNDS; round++)); do
	resize 64k 65536
	resize 8192 8192
done
config 16k
lbd_kill9
lbd_spawn
wait_for 10 moving || die "the new lbd does not begin"
lbd_kill9
check "killed on the way, the flows are still to move" moving
config 32k
lbd_start
check "the next lbd has moved them all" wait_for 10 moved
load_stop
is "no batch of sessions failed" "$LOAD_FAILED" 0
check "mail flowed all the time ($LOAD_SENT messages)" test "$LOAD_SENT" -gt 0
is "every message arrived once" "$(count_delivered)" "$LOAD_SENT"
check "the counts are those of the flows" wait_for 10 counts_agree $((2 * HELD))
config 16
lbd_stop
lbd_start
check "a table too small for its flows is not made" limit_is "$(lbctl status --json | jq .flows.limit)"
is "the log says why" "$(grep -c 'is too small for the' "$LAB_DIR/log/lbd.log")" 1
hold_stop
lab_done
