#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A mail server comes back and finds all sessions with the others, kept ones that would stay there for hours. With
# "rebalance" as many as are too many are ended, while their client is silent, and come back to the newcomer; no
# transaction is cut, and then there is peace.
. "$(dirname "$0")/../harness/lab.sh"

KEPT=${KEPT:-$(long 24 60)}	# sessions, per client
EACH=$((2 * KEPT / 3))		# of each mail server in the end
ROUND=2				# seconds, of the balancer's

config() # TIMERS
{
	lab_config 4 "timers: {slow-start: 0s, drain-idle: 300ms$1}" "scheduler: least-conn" \
		"check: {kind: tcp, interval: 300ms, timeout: 1s, rise: 1, fall: 1}"
}

conns() # "mailx1 mailx2 mailx3"
{
	list_json '[.backends | sort_by(.name)[].conns] | join(" ")'
}

conns_are() # WANTED
{
	[ "$(conns)" = "$1" ]
}

closed()
{
	list_json '[.backends[].resets_total] | add'
}

# Nobody is over a quarter above its share, and all sessions are there.
is_even()
{
	list_json ".backends | (map(.conns) | add) == $((2 * KEPT)) and all(.[]; .conns * 4 <= $EACH * 5)"
}

need_lbd
lab_up two 2 3
sink_start 1 25 -W .:1
sink_start 2 25 -W .:1
config ""
lbd_start
others_up() { state_is mailx1 up && state_is mailx2 up && state_is mailx3 down; }
check "two of three mail servers are up" wait_for 15 others_up
for n in 1 2; do
	talk_start "c$n" "c$n" --addr "$VIP4" --duration 100 --parallel "$KEPT" --pause 1 --from "c$n"
done
check "$((2 * KEPT)) sessions are kept by the two" wait_for 20 conns_are "$KEPT $KEPT 0"

sink_start 3 25 -W .:1
check "the third comes back" wait_for 10 state_is mailx3 up
delivers() { [ "$(messages_at 1)" -ge "$1" ]; }
wait_for 10 delivers $(($(messages_at 1) + KEPT)) || note "no mail flows"
is "without \"rebalance\" it gets none of them, however much mail flows" "$(conns)" "$KEPT $KEPT 0"

before=$(closed)
config ", rebalance: ${ROUND}s"
lbctl reload >/dev/null
now_ms
from=$NOW
check "with it the three are even" wait_for 20 is_even
now_ms
note "after $((NOW - from)) ms: $(conns)"
closed=$(($(closed) - before))
check "no more were ended than were too many: $closed of $((2 * KEPT))" \
	test "$closed" -gt 0 -a "$closed" -le $((2 * (KEPT - EACH)))
wait_for $((ROUND + 10)) delivers $(($(messages_at 1) + 2 * EACH)) || note "no mail flows" # longer than a round
is "and none after that" "$(($(closed) - before))" "$closed"
config "" # when the clients end, they do so one after the other
lbctl reload >/dev/null
talks_stop
is "each that was ended was silent, or about to speak" "$(talks '[.[].broken | .idle + .mail] | add')" "$closed"
is "no transaction was cut ($(talks '[.[].taken] | add') messages)" "$(talks '[.[].broken | .connect + .hello + .transaction] | add')" 0
is "none was ended while a reply was owed" "$(list_json '[.backends[].at_risk_total] | add')" 0
is "every message arrived once" "$(count_delivered)" "$(talks '[.[].taken] | add')"
lab_done
