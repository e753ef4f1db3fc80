#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The checks speak SMTP: what the balancer makes of mail servers that are well, busy, refusing or mute; that it does
# not believe its own checks when they fail for all at once; that a dead checker changes nothing, and that one that cannot
# be started is no secret; and that a check is two or three lines in a mail log, none of them a complaint.
. "$(dirname "$0")/../harness/lab.sh"
. "$(dirname "$0")/../harness/mood.sh"
. "$(dirname "$0")/../harness/postfix.sh"

CHECKS=${CHECKS:-$(long 12 1200)}	# of a real Postfix, two a second: ten minutes

# A check every 500 ms, given up after 1 s, two failures are a fall; a tenth for jitter, a second for this machine.
FALL_MS=$((2 * (500 + 1000) * 11 / 10 + 1000))

sessions_of() # NAME
{
	list_json ".backends[] | select(.name == \"$1\") | .sessions_total"
}

# When mailxN last changed to a state, in ms since its mood did; the balancer says so itself.
changed_after() # N STATE
{
	local at
	at=$(lbctl events --json | jq -r "[.events[] | select(.backend == \"mailx$1\" and .to == \"$2\")] | last |
		.time | (sub(\"\\\\.[0-9]+Z$\"; \"Z\") | fromdateiso8601) * 1000 + (capture(\"\\\\.(?<ms>[0-9]+)Z$\").ms | tonumber)")
	echo $((at - MOOD_MS[$1]))
}

becomes() # SENTENCE N STATE MS
{
	local after
	wait_for "$(($4 / 1000 + 5))" state_is "mailx$2" "$3" || true
	after=$(changed_after "$2" "$3")
	check "$1 is $3 after $after ms ($(check_text "mailx$2"))" test "$(backend_state "mailx$2")" = "$3" -a "$after" -le "$4"
}

# Sends N sessions of one message; the JSON line goes to run/talk.json.
talk()
{
	in_ns c1 timeout 60 "$TOOLS/talk_tool" --addr "$VIP4" --sessions "$1" --parallel 10 "${@:2}" \
		>"$LAB_DIR/run/talk.json" 2>>"$LAB_DIR/log/talk.log"
}

children()
{
	cat "/proc/$LBD_PID/task/$LBD_PID/children"
}

checker_is() # STATE
{
	[ "$(lbctl status --json | jq -r .checker.state)" = "$1" ]
}

# How many processes it may have, read or set. Its own user may, where root lacks CAP_SYS_RESOURCE.
lbd_processes() # ARGS
{
	setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups prlimit --pid "$LBD_PID" "$@"
}

checker_metric()
{
	in_ns lb curl -s --unix-socket "$LAB_DIR/run/lbd.sock" http://x/metrics | sed -n 's/^mailxdp_checker_up //p'
}

status_says() # REGEX
{
	grep -qE -- "$1" <(lbctl status)
}

# Only what lbd itself connects to passes here: the mail does not.
checks_block()
{
	in_ns lb nft -f - <<-RULES
		table inet checks {
			set mute {
				type ipv4_addr
				elements = { $(for n in 1 2 3 4 5; do server_addr "$n"; done | paste -sd,) }
			}
			chain out {
				type filter hook output priority 0;
				ip daddr @mute tcp dport 25 tcp flags & (syn | ack) == syn counter drop
			}
		}
	RULES
}

checks_unblock() # N...
{
	in_ns lb nft delete element inet checks mute "{ $(for n in "$@"; do server_addr "$n"; done | paste -sd,) }"
}

# What has happened to backends since there were so many events: "mailx5 up down" lines.
events_since() # COUNT
{
	lbctl events --json | jq -r "[.events[] | select(.backend)][$1:][] | \"\(.backend) \(.from) \(.to)\""
}

events_count()
{
	lbctl events --json | jq '[.events[] | select(.backend)] | length'
}

full_weights() # lower while a slow start lasts
{
	list_json '[.backends[] | select(.weight_now == .weight) | .name] | join(" ")'
}

mail_log() # PATTERN: so many lines of Postfix's smtpd
{
	grep -cE "postfix/smtpd\[[0-9]+\]: $1" "$LAB_DIR/log/postfix-m1.log" || true
}

# No check is under way, and there have been so many.
checked() # CHECKS
{
	local open
	open=$(mail_log 'connect from ')
	[ "$open" -ge "$1" ] && [ "$open" = "$(mail_log 'disconnect from ')" ]
}

# How Postfix sees so many checks of a kind. Nothing else talks to it.
watch_mail_log() # KIND CHECKS LINES
{
	local lines lost connects from=$EPOCHSECONDS
	config "kind: $1, interval: 500ms, timeout: 5s, rise: 1, fall: 2"
	lbctl reload >/dev/null
	wait_for 10 checked $(($(mail_log 'connect from ') + 2)) || true	# the first of this kind is over
	connects=$(mail_log 'connect from ') lines=$(mail_log '') lost=$(mail_log 'lost connection')
	wait_for $(($2 + 30)) checked $((connects + $2)) || true
	connects=$(($(mail_log 'connect from ') - connects)) lines=$(($(mail_log '') - lines))
	lost=$(($(mail_log 'lost connection') - lost))
	check "$1: Postfix has seen $connects checks in $((EPOCHSECONDS - from)) s" test "$connects" -ge "$2"
	is "$1: each is $3 lines in its log, none of them \"lost connection\"" "$lines $lost" "$((connects * $3)) 0"
	is "$1: it is up" "$(backend_state mailx1)" up
}

need_lbd
lab_up two 1 5
for n in 1 2 3 4 5; do
	mood "$n" ok
done
# A slow start longer than this test: who ever began one is found out. None is in rotation when shares are counted.
lab_config 4 "timers: {slow-start: 120s}" "scheduler: round-robin" \
	"check: {kind: ehlo, keywords: 8BITMIME, interval: 500ms, timeout: 1s, rise: 1, fall: 2, panic: 50%}"
lbd_start
check "five healthy mail servers are up" wait_for 15 all_up
for n in 1 2 3 4 5; do
	lbctl set "mailx$n" --weight 100 >/dev/null
done

if command -v nft >/dev/null && checks_block; then
	# Mail flows, a session every 50 ms, while no check gets through: longer than all of them need to fall.
	SPAWN_LOG=panic spawn c1 "$TOOLS/talk_tool" --addr "$VIP4" --duration 8 --parallel 4 --pause 0.2
	pid=$SPAWNED
	now_ms
	from=$NOW
	check "all checks fail at once: it says panic" wait_for 12 says 'panic, the last good ones stay'
	now_ms
	note "after $((NOW - from)) ms"
	check "the last good mail servers stay in rotation ($(states))" test "$(list_json '[.backends[] | select(.state == "up")] | length')" -ge 3
	wait "$pid" || true
	is "no session failed meanwhile ($(jq .sessions "$LAB_DIR/log/panic.log") sessions)" \
		"$(jq '.messages - .taken' "$LAB_DIR/log/panic.log")" 0
	check "all are in rotation after 8 s of it ($(states))" all_up
	is "with all of their weight, also those that fell first" "$(full_weights)" "mailx1 mailx2 mailx3 mailx4 mailx5"
	is "it has said so once" "$(grep -c 'panic, the last good' "$LAB_DIR/log/lbd.log")" 1
	since=$(events_count)
	checks_unblock 1 2 3 4
	check "when most checks pass again it says that the panic is over" wait_for 12 says 'panic is over'
	check "who still fails goes down" wait_for 12 state_is mailx5 down
	is "once, and nothing happens to the others" "$(events_since "$since")" "mailx5 up down"
	is "they have all of their weight" "$(full_weights | sed 's/ mailx5$//')" "mailx1 mailx2 mailx3 mailx4"
	in_ns lb nft delete table inet checks
	check "all are up" wait_for 10 all_up
	is "the one that was down has come back" "$(events_since "$since")" $'mailx5 up down\nmailx5 down up'
else
	skip_one "panic" "nft is not usable here"
fi

# The checker dies: a new one comes, and no opinion changes.
since=$(events_count)
before=$(children)
check "there is a checker (a process of its own)" test -n "$before"
for pid in $before; do
	kill -KILL "$pid"
done
new_checker()
{
	local now
	now=$(children)
	[ -n "$now" ] && [ "$now" != "$before" ]
}
check "after kill -9 there is a new one" wait_for 10 new_checker
checked_again() { [ "$(list_json '[.backends[].check.age_ms] | max')" -lt 1500 ]; }
sleep 2
check "checks go on" wait_for 15 checked_again
is "no backend changed its state" "$(events_since "$since")" ""

# It cannot be started: no opinion changes either, so it has to be said that these are old.
check "status: checks run" wait_for 10 checker_is running
is "metrics: 1" "$(checker_metric)" 1
is "the list needs no word" "$(lbctl list 2>&1 >/dev/null)" ""
soft=$(lbd_processes --nproc --raw --noheadings --output SOFT)
lbd_processes --nproc=0:
for pid in $(children); do
	kill -KILL "$pid"
done
check "killed, and no other can start: status says that checks do not run, and why" wait_for 10 \
	status_says 'checks     NOT RUNNING for [0-9]+s, .*: cannot start: Resource temporarily unavailable'
is "metrics: 0" "$(checker_metric)" 0
check "the list says that its states are old" grep -qE '^checks have not been running for [0-9]+s, .*cannot start' \
	<(lbctl list 2>&1 >/dev/null)
check "they are the last good ones ($(states))" all_up
lbd_processes --nproc="$soft:"
check "when it can start again, checks run" wait_for 15 checker_is running
is "metrics: 1 again" "$(checker_metric)" 1
is "and no backend has changed its state" "$(events_since "$since")" ""

mood 2 two-line
mood 3 421
mood 4 554
mood 5 silent
becomes "a mail server that says 554" 4 down "$FALL_MS"
becomes "one that says nothing" 5 down "$FALL_MS"
becomes "one that says 421" 3 busy "$FALL_MS"
check "one that greets in two lines is up" wait_for 5 state_is mailx2 up
is "all five" "$(states)" "up up busy down down"
busy=$(sessions_of mailx3) down=$(($(sessions_of mailx4) + $(sessions_of mailx5)))
talk 300 || true
busy=$(($(sessions_of mailx3) - busy))
check "of 300 sessions the busy one got $busy, less than its share" test "$busy" -gt 0 -a "$busy" -lt 100
is "and those that are down none" $(($(sessions_of mailx4) + $(sessions_of mailx5) - down)) 0
is "all others were delivered" "$(jq '.taken + .refused' "$LAB_DIR/run/talk.json")" 300
for n in 2 3 4 5; do
	mood "$n" ok
done
check "all recover" wait_for 15 all_up

unspawn "${MOODS[1]}" KILL
if postfix_start 1; then
	watch_mail_log greeting $((CHECKS / 3)) 2
	watch_mail_log ehlo $((CHECKS / 3)) 2
	watch_mail_log rcpt $((CHECKS / 3)) 3 # Postfix has a queue ID ready for whoever names a recipient
else
	skip_one "a real Postfix" "it does not start here"
fi
lab_done
