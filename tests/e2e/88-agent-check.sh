#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What mail servers say of themselves: a part of the weight, a drain that ends no session, down, a cap, nonsense,
# and nothing at all. An administrator's drain and a check's verdict stand beside it, and the agent that comes
# along for Postfix counts a real folder of files.
. "$(dirname "$0")/../harness/lab.sh"

PORT=9707
SESSIONS=${SESSIONS:-$(long 100 1000)}
HELD=${HELD:-30}

config()
{
	lab_config 4 "timers: {slow-start: 0, drain-idle: 100ms}" "scheduler: round-robin" \
		"check: {kind: tcp, interval: 300ms, timeout: 1s, rise: 1, fall: 1}" \
		"agent: {port: $PORT, interval: 200ms, timeout: 1s}"
}

# Whole or not at all, as the agent may read at any time.
say() # N WORDS
{
	echo "$2" >"$LAB_DIR/run/words"
	mv "$LAB_DIR/run/words" "$LAB_DIR/run/agent$1"
}

declare -A AGENTS=()

agent_start() # N CMD...
{
	SPAWN_LOG=agent-m$1 spawn "m$1" "$TOOLS/inetd_tool" "$PORT" "${@:2}"
	AGENTS[$1]=$SPAWNED
}

of() # NAME FILTER: of lbctl list; "null" and "false" are answers too
{
	lbctl list --json | jq -r ".backends[] | select(.name == \"$1\") | $2"
}

of_is() # NAME FILTER WANTED
{
	[ "$(of "$1" "$2")" = "$3" ]
}

is_asked_again() # NAME ANSWERS: so many times
{
	[ "$(of "$1" .agent.answers_total)" -ge "$2" ]
}

# Until the agent has been asked twice more, or so many times: what it says has been heard.
heard() # N [TIMES]
{
	wait_for 10 is_asked_again "mailx$1" $(($(of "mailx$1" .agent.answers_total) + ${2:-2})) || note "mailx$1's agent is not asked"
}

events_of() # NAME: how many events are about it
{
	lbctl events --json | jq "[.events[] | select(.backend == \"$1\" or (.text | startswith(\"$1: agent\")))] | length"
}

# The share of mailx2 among so many new sessions; result in SHARE.
share_of_mailx2()
{
	local before
	before=$(of mailx2 .sessions_total)
	in_ns c1 timeout 60 "$TOOLS/talk_tool" --addr "$VIP4" --sessions "$1" --parallel 10 \
		>"$LAB_DIR/run/talk.json" 2>>"$LAB_DIR/log/talk.log" || note "not all were delivered: $(cat "$LAB_DIR/run/talk.json")"
	SHARE=$(($(of mailx2 .sessions_total) - before))
}

need_lbd
lab_up two 1 3
sinks_start
for n in 1 2 3; do
	say "$n" "up ready 100%"
	agent_start "$n" cat "$LAB_DIR/run/agent$n"
done
config
lbd_start
check "three mail servers are up" wait_for 15 all_up
all_asked() { [ "$(lbctl list --json | jq '[.backends[] | select(.agent.text == "100%")] | length')" = 3 ]; }
check "their agents have been heard" wait_for 10 all_asked
share_of_mailx2 "$SESSIONS"
is "100%: a third of the sessions is mailx2's" "$((SHARE >= SESSIONS / 3 - 5 && SHARE <= SESSIONS / 3 + 5))" 1

say 2 "50% # busy"
check "50%: it is shown" wait_for 5 of_is mailx2 .agent.text "50% (busy)"
is "its weight is a half" "$(of mailx2 .agent.weight)" 0.5
share_of_mailx2 "$SESSIONS"
check "and its share of new sessions, $SHARE of $SESSIONS, a fifth" \
	test "$SHARE" -ge $((SESSIONS / 5 - 5)) -a "$SHARE" -le $((SESSIONS / 5 + 5))
before=$(events_of mailx2)
heard 2
is "the same answer again and again is no event" "$(events_of mailx2)" "$before"

# A drain while sessions are held, silent ones: lbctl drain would end them.
SPAWN_LOG=hold spawn c1 "$TOOLS/hold_tool" --addr "$VIP4" --n "$HELD" --noop-interval 5 --ready-file "$LAB_DIR/run/held"
hold=$SPAWNED
check "$HELD sessions are held" wait_for 20 test -e "$LAB_DIR/run/held"
on_it=$(of mailx2 .conns)
check "some of them on mailx2 ($on_it)" test "$on_it" -gt 0
say 2 "drain"
check "drain: it drains" wait_for 5 state_is mailx2 draining
is "and says why" "$(of mailx2 .reason)" "agent: drain, 50%"
share_of_mailx2 "$((SESSIONS / 2))"
is "it gets no new session" "$SHARE" 0
heard 2 8
is "it keeps those that it has" "$(of mailx2 .conns)" "$on_it"

say 2 "down # disk full"
check "down: it is down" wait_for 5 state_is mailx2 down
is "with the agent's reason" "$(of mailx2 .reason)" "agent: down, drain, 50% (disk full)"
is "sessions are untouched" "$(of mailx2 .conns)" "$on_it"
before=$(events_of mailx2)
heard 2
is "said once: no event for the same answer" "$(events_of mailx2)" "$before"
is "nor a line in the log" "$(grep -c 'backend mailx2:.*disk full' "$LAB_DIR/log/lbd.log")" 1
say 2 "up"
check "up: it still drains" wait_for 5 state_is mailx2 draining
say 2 "ready 100%"
check "ready: it is up" wait_for 5 state_is mailx2 up
unspawn "$hold"
is "no held session was lost meanwhile" "$(jq .lost "$LAB_DIR/log/hold.log")" 0

# An administrator's word is another.
lbctl drain mailx2 >/dev/null
heard 2
is "\"ready\" does not undo lbctl drain" "$(of mailx2 .state)" draining
say 2 "drain"
heard 2
is "lbctl enable alone does not undo the agent's" "$(lbctl enable mailx2)" \
	"mailx2 is enabled; takes new flows once its agent lets it (agent: drain, 100%)"
is "it drains" "$(of mailx2 .state)" draining
say 2 "ready"
check "both do" wait_for 5 state_is mailx2 up

# Check and agent each have their own opinion.
say 2 "down"
check "the agent says down" wait_for 5 of_is mailx2 .reason "agent: down, 100%"
sink_stop 2
check "and then the check, too" wait_for 10 of_is mailx2 .reason "tcp: connection refused"
say 2 "up"
heard 2
is "the agent says up: it is down by its check" "$(of mailx2 .state)" down
sink_start 2 25
check "up for both: it is up" wait_for 10 state_is mailx2 up

say 2 "maxconn:4"
check "maxconn:4: a cap" wait_for 5 of_is mailx2 .max_conns_now 4
rm -f "$LAB_DIR/run/held"
SPAWN_LOG=hold2 spawn c1 "$TOOLS/hold_tool" --addr "$VIP4" --n "$HELD" --noop-interval 5 --ready-file "$LAB_DIR/run/held"
hold=$SPAWNED
check "$HELD sessions are held" wait_for 20 test -e "$LAB_DIR/run/held"
is "4 of them by mailx2" "$(of mailx2 .conns)" 4
unspawn "$hold"
lbctl set mailx2 --max-conns 3 >/dev/null
is "with a smaller one of its own: that" "$(of mailx2 .max_conns_now)" 3
say 2 "maxconn:0 50%"
check "maxconn:0: its own is left" wait_for 5 of_is mailx2 '"\(.max_conns_now) \(.agent.text)"' "3 50%"

# Nonsense, and then nobody.
fails() { [ "$(of mailx2 .agent.failures_total)" -ge "$1" ]; }
say 2 "220 mailx2 ESMTP"
check "nonsense is counted" wait_for 5 fails 3
is "and shown, and changes nothing" "$(of mailx2 '"\(.state) \(.agent.text) \(.agent.last)"')" \
	"up 50% not understood: 220 mailx2 ESMTP"
unspawn "${AGENTS[2]}"
check "a dead agent is counted" wait_for 5 fails $(($(of mailx2 .agent.failures_total) + 2))
is "and changes nothing" "$(of mailx2 '"\(.state) \(.agent.text) \(.agent.answered)"')" "up 50% false"
check "it is one line in the log ($(grep -c 'its agent has not answered' "$LAB_DIR/log/lbd.log"))" \
	test "$(grep -c 'its agent has not answered' "$LAB_DIR/log/lbd.log")" = 1
check "lbctl status names it" grep -qx 'agents     3: 1 silent' <(lbctl status)
check "so do the metrics" grep -q 'agent_failures_total{service="smtp",backend="mailx2"} [1-9]' \
	<(in_ns lb curl -s --unix-socket "$LAB_DIR/run/lbd.sock" http://x/metrics)

# The one for Postfix, on a queue of our making.
queue=$LAB_DIR/mail/queue
mkdir -p "$LAB_DIR/etc/postfix" "$LAB_DIR/run/agent" "$queue"/{incoming,active,deferred}
touch "$LAB_DIR/etc/postfix/master.cf" # postconf warns of its absence
printf 'queue_directory = %s\nqmgr_message_active_limit = 20\n' "$queue" >"$LAB_DIR/etc/postfix/main.cf"
agent_start 2 env MAIL_CONFIG="$LAB_DIR/etc/postfix" RUNTIME_DIRECTORY="$LAB_DIR/run/agent" "$LAB_TOP/loader/postfix-agent"
touch "$queue"/deferred/{1..50}
check "postfix-agent: an empty queue is all of the weight" wait_for 5 of_is mailx2 .agent.text "100% (queue 0 of 20)"
touch "$queue"/incoming/{1..4} "$queue"/active/{5..9}
check "9 of 20: less" wait_for 5 of_is mailx2 '"\(.state) \(.agent.text)"' "up 60% (queue 9 of 20)"
touch "$queue"/active/{10..18}
check "18 of 20: it drains" wait_for 5 of_is mailx2 '"\(.state) \(.reason)"' "draining agent: drain, 60% (queue 18 of 20, drains to 13)"
before=$(events_of mailx2)
rm "$queue"/active/18
check "17 of 20: it still does" wait_for 5 of_is mailx2 '"\(.state) \(.reason)"' "draining agent: drain, 60% (queue 17 of 20, drains to 13)"
touch "$queue"/active/18
heard 2
rm "$queue"/active/{15..18}
check "14 of 20: still" wait_for 5 of_is mailx2 '"\(.state) \(.reason)"' "draining agent: drain, 60% (queue 14 of 20, drains to 13)"
is "nothing has happened to it meanwhile" "$(events_of mailx2)" "$before"
rm "$queue"/active/14
check "13 of 20: it takes sessions again" wait_for 5 of_is mailx2 '"\(.state) \(.agent.text)"' "up 40% (queue 13 of 20)"
touch "$queue"/active/{14..17}
check "17 of 20: it goes on taking them" wait_for 5 of_is mailx2 '"\(.state) \(.agent.text)"' "up 20% (queue 17 of 20)"
rm "$queue"/active/*
check "4 of 20: it takes sessions again" wait_for 5 of_is mailx2 '"\(.state) \(.agent.text)"' "up 80% (queue 4 of 20)"
is "without a place to remember it the high mark alone counts" \
	"$(touch "$queue"/active/{1..11}; MAIL_CONFIG=$LAB_DIR/etc/postfix "$LAB_TOP/loader/postfix-agent"; rm "$queue"/active/*)" \
	"up ready 30% # queue 15 of 20"
rm -r "$queue"/active
check "a queue that cannot be read says nothing" wait_for 5 of_is mailx2 .agent.answered false
is "and changes nothing" "$(of mailx2 '"\(.state) \(.agent.text)"')" "up 80% (queue 4 of 20)"

# A new daemon knows nothing of what was said before, and asks.
mkdir "$queue"/active
touch "$queue"/active/{5..18}
check "18 of 20 again: it drains" wait_for 5 state_is mailx2 draining
lbd_kill9
lbd_start
share_of_mailx2 20
is "after kill -9 it gets no session" "$SHARE" 0
check "and drains" wait_for 5 of_is mailx2 '"\(.state) \(.reason)"' "draining agent: drain (queue 18 of 20, drains to 13)"
rm "$queue"/active/*
check "until it is ready" wait_for 5 of_is mailx2 '"\(.state) \(.agent.text)"' "up 80% (queue 4 of 20)"

is "a service from the command line can have agents, too" \
	"$(lbctl service add more --vip 192.0.2.26 --port 587 --scheduler random --check none --agent "$PORT")" \
	"service more added: 192.0.2.26 port 587, nat, random, agents at port $PORT; now add backends"
lbctl add mailx4 "$(server_addr 3)" --service more >/dev/null
check "they are asked" wait_for 10 of_is mailx4 .agent.text "100%"
check "lbctl service list shows the port" grep -qE "^more .* port $PORT " <(lbctl service list)
lbctl save >/dev/null
check "lbctl save keeps the agent" grep -q "agent: {port: $PORT, interval: 200ms, timeout: 1s}" "$LAB_DIR/etc/mailxdp.yaml"
check "and that of the command line, with the usual times" grep -q "agent: {port: $PORT, interval: 5s, timeout: 2s}" "$LAB_DIR/etc/mailxdp.yaml"
lab_done
