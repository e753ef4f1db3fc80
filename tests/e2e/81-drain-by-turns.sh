#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Drain by turns: mail servers that think for a second about each message are drained, again and again, while clients
# send with one message per session and with sessions that they keep. No transaction may be cut; a kept session is
# closed only while its client is silent, and one that waits for a reply not before the deadline.
. "$(dirname "$0")/../harness/lab.sh"

ROUNDS=${ROUNDS:-$(long 5 20)}
KEPT=${KEPT:-25}	# sessions that are kept, per client
HELD=${HELD:-30}
MOST_MS=15000		# one drain
DEADLINE=5

config()
{
	lab_config 46 "timers: {drain-idle: 1s, slow-start: 1s}"
}

of_mailx2() # FIELD: both families together
{
	list_json "[.backends[] | select(.name | startswith(\"mailx2\")) | .$1] | add"
}

mailx2_has() # FIELD N: at least
{
	[ "$(of_mailx2 "$1")" -ge "$2" ]
}

established() # at mailx2, with clients
{
	in_ns m2 ss -Htn state established '( sport = :25 )' | grep -cvE '10\.0\.0\.1:|fd00:10::1\]'
}

none_established()
{
	[ "$(established || true)" = 0 ]
}

# Result in TOOK; what was seen on the way in run/drain.
drain()
{
	now_ms
	TOOK=$NOW
	lbctl drain mailx2-v6 >/dev/null
	lbctl drain mailx2 --wait --deadline 60s >/dev/null 2>>"$LAB_DIR/log/drain.log" || return 1
	lbctl drain mailx2-v6 --wait --deadline 60s >/dev/null 2>>"$LAB_DIR/log/drain.log" || return 1
	now_ms
	TOOK=$((NOW - TOOK))
}

need_lbd
lab_up two 2 3
sinks_start -W .:1 -W NOOP:3
config
lbd_start
wait_for 15 all_up || die "the mail servers do not come up"

LOAD_BATCH=20
load_start 10 "$VIP4" "$VIP6"
for ((i = 1; i <= LAB_CLIENTS; i++)); do
	for vip in "$VIP4" "$VIP6"; do
		talk_start "$i-${vip//:/_}" "c$i" --addr "$vip" --duration 600 --parallel "$KEPT" --pause 2 \
			--from "c$i-${vip//[.:]/-}"
	done
done

drained=0 told=0 slowest=0 sum=0 before=$(of_mailx2 resets_total)
for ((round = 1; round <= ROUNDS; round++)); do
	wait_for 20 mailx2_has conns 12 || note "mailx2 gets few sessions"
	wait_for 20 mailx2_has inflight 4 || note "mailx2 has little to do"
	if drain; then
		drained=$((drained + 1))
		sum=$((sum + TOOK))
		[ "$TOOK" -le "$slowest" ] || slowest=$TOOK
	fi
	! wait_for 2 none_established || told=$((told + 1))
	lbctl enable mailx2 >/dev/null
	lbctl enable mailx2-v6 >/dev/null
done
closed=$(($(of_mailx2 resets_total) - before))
talks_stop
load_stop

is "$ROUNDS drains under load were completed" "$drained" "$ROUNDS"
check "each within $MOST_MS ms: $((sum / (drained ? drained : 1))) ms in the mean, $slowest at most" test "$slowest" -le "$MOST_MS"
is "mailx2 was told each time: no session was left on its side" "$told" "$ROUNDS"
is "one message per session: no batch of $LOAD_BATCH failed ($LOAD_SENT messages)" "$LOAD_FAILED" 0
is "kept sessions: no transaction was cut ($(talks '[.[].taken] | add') messages)" \
	"$(talks '[.[].broken | .connect + .hello + .transaction] | add')" 0
check "$closed sessions were closed in their client's turn, $(talks '[.[].broken.idle] | add') of them seen by clients while silent" \
	test "$closed" -gt 0
# It may happen to speak in the very moment; then it has been told before anything began.
check "$(talks '[.[].broken.mail] | add') of them as their client began to speak" \
	test "$(talks '[.[].broken.mail] | add')" -le $((closed / 20 + 1))
is "none while a reply was owed" "$(list_json '[.backends[].at_risk_total] | add')" 0
is "every message arrived once" "$(count_delivered)" "$((LOAD_SENT + $(talks '[.[].taken] | add')))"

# Sessions that are never silent for long in their own turn, and wait three seconds for every other reply.
both_up() { state_is mailx2 up && state_is mailx2-v6 up; }
wait_for 10 both_up || note "mailx2 does not come back"
sleep 1.5 # its slow start
SPAWN_LOG=hold spawn c1 "$TOOLS/hold_tool" --addr "$VIP4" --n "$HELD" --noop-interval 0.3 --ready-file "$LAB_DIR/run/held"
hold=$SPAWNED
check "$HELD sessions are held" wait_for 20 test -e "$LAB_DIR/run/held"
on_it=$(of_mailx2 conns)
check "some of them on mailx2 ($on_it)" test "$on_it" -gt 0
before=$(of_mailx2 resets_total)
now_ms
from=$NOW
lbctl drain mailx2 --deadline "${DEADLINE}s" >/dev/null
shrinks() { [ "$(of_mailx2 conns)" -lt "$on_it" ]; }
wait_for $((DEADLINE + 5)) shrinks || true
now_ms
check "drained with a deadline of $DEADLINE s, the first of them was closed after $((NOW - from)) ms" \
	test $((NOW - from)) -ge $((DEADLINE * 1000 - 100)) -a $((NOW - from)) -le $((DEADLINE * 1000 + 2000))
gone() { [ "$(of_mailx2 conns)" = 0 ]; }
check "all of them were, then" wait_for 2 gone
is "each was reset" $(($(of_mailx2 resets_total) - before)) "$on_it"
check "those that waited for a reply are counted ($(of_mailx2 at_risk_total))" \
	test "$(of_mailx2 at_risk_total)" -gt 0 -a "$(of_mailx2 at_risk_total)" -le "$on_it"
unspawn "$hold" TERM
is "their clients were told, all others are held" \
	"$(jq -r '"\(.lost_by.reset) \(.lost) \(.held)"' "$LAB_DIR/log/hold.log")" "$on_it $on_it $((HELD - on_it))"
lab_done
