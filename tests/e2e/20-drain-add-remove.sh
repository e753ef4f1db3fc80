#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Everything an administrator does on a working day, in a loop, while mail flows in both families: add a
# mail server, drain one, change weights, enable, remove. No session may fail.
. "$(dirname "$0")/../harness/lab.sh"

ROUNDS=${ROUNDS:-$(long 3 20)}
PARALLEL=${PARALLEL:-5}

# One change, by lbctl; its answer is the proof that it was made.
change()
{
	local out
	if ! out=$(lbctl "$@" 2>&1); then
		note "lbctl $*: $out"
		CHANGES_FAILED=$((CHANGES_FAILED + 1))
	fi
}

# Waits until mail has moved on by N messages: a change must be seen by sessions, not by silence.
mail_moves()
{
	local from
	from=$(count_delivered)
	wait_for 30 delivered_since "$from" "$1" || note "mail does not move"
}

delivered_since()
{
	[ "$(count_delivered)" -ge $(($1 + $2)) ]
}

both_up()
{
	state_is mailx4 up && state_is mailx4-v6 up
}

both_gone()
{
	no_backend mailx4 && no_backend mailx4-v6
}

need_lbd
lab_up two 3 4
sinks_start
lb_setup nat
lbctl remove mailx4 >/dev/null
lbctl remove mailx4-v6 >/dev/null
wait_for 10 both_gone || die "mailx4 does not go"

CHANGES_FAILED=0
BACK=0
load_start "$PARALLEL" "$VIP4" "$VIP6"
for ((round = 1; round <= ROUNDS; round++)); do
	for v in "" -v6; do
		family=4
		[ -z "$v" ] || family=6
		change add "mailx4$v" "$(server_addr 4 "$family")"
		change drain "mailx1$v"
		change set "mailx2$v" --weight $((round % 9 + 1))
	done
	wait_for 15 both_up || note "mailx4 does not come up"
	mail_moves 100
	for v in "" -v6; do
		change remove "mailx4$v"
		change enable "mailx1$v"
		change set "mailx2$v" --weight 1 --max-conns $((round + 20))
	done
	wait_for 15 state_is mailx1 up && BACK=$((BACK + 1))
	mail_moves 100
	wait_for 60 both_gone || note "mailx4 does not go"
done
load_stop

is "$ROUNDS rounds of add, drain, set, enable and remove were made" "$CHANGES_FAILED" 0
is "a drained server came back each time" "$BACK" "$ROUNDS"
is "no batch of sessions failed" "$LOAD_FAILED" 0
check "mail flowed all the time ($LOAD_SENT messages)" test "$LOAD_SENT" -gt 0
is "every message arrived once" "$(count_delivered)" "$LOAD_SENT"
check "the added server took its part ($(messages_at 4))" test "$(messages_at 4)" -gt 0
lab_done
