#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A mail server that comes and goes, under mail: each time it is taken out at once, but the more often it was, the more
# checks it has to pass before it gets mail again. The others notice nothing.
. "$(dirname "$0")/../harness/lab.sh"
. "$(dirname "$0")/../harness/mood.sh"

ROUNDS=${ROUNDS:-$(long 5 8)}

checks_seen() # by mailx2: connections of the balancer itself
{
	grep -c '^open .* from 10\.0\.0\.1 ' "$LAB_DIR/log/smtpd-m2.log" || true
}

mailx2_stops()
{
	unspawn "${MOODS[2]}" KILL
	MOODS[2]=
}

# How many checks it has seen until it is up; result in PASSED.
mailx2_starts()
{
	PASSED=$(checks_seen)
	mood 2 ok
	wait_for 20 state_is mailx2 up || return 1
	PASSED=$(($(checks_seen) - PASSED))
}

others_events() # after their first
{
	lbctl events --json | jq '[.events[] | select(.backend == "mailx1" or .backend == "mailx3") | select(.from != "down")] | length'
}

need_lbd
lab_up two 1 3
for n in 1 2 3; do
	mood "$n" ok
done
config "kind: ehlo, interval: 300ms, timeout: 1s, rise: 1, fall: 1"
lbd_start
check "three mail servers are up" wait_for 15 all_up
SPAWN_LOG="talk" spawn c1 "${STEP_BACK[@]}" "$TOOLS/talk_tool" --addr "$VIP4" --duration 100 --parallel 4 --pause 0.05
talk=$SPAWNED
down=0 passed=()
for ((round = 1; round <= ROUNDS; round++)); do
	mailx2_stops
	! wait_for 3 state_is mailx2 down || down=$((down + 1))
	mailx2_starts || break
	passed+=("$PASSED")
done
is "each time it stopped it was down" "$down" "$ROUNDS"
check "each time it was up again in the end, after ${passed[*]} checks" test "${#passed[@]}" = "$ROUNDS"
check "the first time one was enough, or the next was quicker than this script" test "${passed[0]}" -le 3
check "the last time it had to pass eight" test "${passed[-1]}" -ge 8
is "no session of the others broke, nor did they change their state" \
	"$(others_events) $(list_json '[.backends[] | select(.name != "mailx2") | .at_risk_total + .resets_total] | add')" "0 0"
unspawn "$talk" TERM
taken=$(grep '^{' "$LAB_DIR/log/talk.log" | jq .taken)
check "mail flowed all the time: $taken messages" test "$taken" -gt 100
lab_done
