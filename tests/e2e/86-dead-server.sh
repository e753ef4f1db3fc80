#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A mail server dies under steady load, once by kill -9 (its host refuses connections), once by its cable (silence),
# long before a check comes round. How long do new sessions still go there, when is the last client told
# that waits on it, what is lost, and what comes twice?
. "$(dirname "$0")/../harness/lab.sh"

PARALLEL=${PARALLEL:-$(long 90 120)}	# sessions per client, each of about two seconds
SCAN=.:1:40				# a second, or a few: equal times would make sessions come and go in waves
SECONDS_OF_LOAD=${SECONDS_OF_LOAD:-$(long 10 30)}
SETTLED=3				# seconds of load before the accident
OUT_MS=1000	# from the accident, and from the first that went there in vain
# Silence shows only when somebody tries, and where replies are slow sessions are seldom tried.
SILENT_OUT_MS=3000
TOLD_MS=5000

config()
{
	lab_config 4 "timers: {slow-start: 1s}" "check: {kind: greeting, interval: 2s, timeout: 5s}"
}

figure() # FIELD of mailx2
{
	list_json ".backends[] | select(.name == \"mailx2\") | .$1"
}

# When mailx2 last changed to a state, in ms; it says so itself.
changed_ms() # STATE
{
	lbctl events --json | jq -r "[.events[] | select(.backend == \"mailx2\" and .to == \"$1\")] | last |
		.time | (sub(\"\\\\.[0-9]+Z$\"; \"Z\") | fromdateiso8601) * 1000 + (capture(\"\\\\.(?<ms>[0-9]+)Z$\").ms | tonumber)"
}

# What clients report: "ms step why server waited" lines, and a JSON line each.
reports()
{
	cat "$LAB_DIR"/log/talk-*.log
}

count() # AWK CONDITION, where $2 is the step, $3 why, $4 the server
{
	reports | grep '^[0-9]' | awk "$1 { n++ } END { print n + 0 }"
}

last_ms() # AWK CONDITION: of the last such line, since the accident
{
	reports | grep '^[0-9]' | awk -v from="$T0" "$1 && \$1 > last { last = \$1 } END { print last ? last - from : 0 }"
}

first_ms() # AWK CONDITION: of the first such line, since the accident
{
	reports | grep '^[0-9]' | awk -v from="$T0" "$1 && (!first || \$1 < first) { first = \$1 } END { print first ? first - from : 0 }"
}

talks() # FIELD, summed up
{
	reports | grep '^{' | jq -s "[.[].$1] | add"
}

message_ids() # of all messages that mail servers hold
{
	find "$LAB_DIR/mail" -type f -exec grep -him1 '^Message-ID:' {} +
}

# accident CMD...: under load. Results: T0, RESETS, RISK, what the clients report.
accident()
{
	local i pid pids=() resets risk
	rm -f "$LAB_DIR"/log/talk-*.log
	mail_clear
	resets=$(figure resets_total) risk=$(figure at_risk_total)
	for ((i = 1; i <= LAB_CLIENTS; i++)); do
		SPAWN_LOG=talk-$i spawn "c$i" "${STEP_BACK[@]}" "$TOOLS/talk_tool" --addr "$VIP4" --duration "$SECONDS_OF_LOAD" \
			--parallel "$PARALLEL" --pause 0.2 --again --from "c$i"
		pids+=("$SPAWNED")
	done
	sleep "$SETTLED"
	ON_IT=$(figure conns)
	now_ms
	T0=$NOW
	"$@"
	for pid in "${pids[@]}"; do
		wait "$pid" || true
	done
	RESETS=$(($(figure resets_total) - resets))
	RISK=$(($(figure at_risk_total) - risk))
	TAKEN=$(talks taken)
	DUPLICATES=$(($(message_ids | wc -l) - $(message_ids | sort -u | wc -l)))
}

# What holds after either death. WHY is what a client reports that went there in vain.
judge() # WHAT WHY MS
{
	local out first
	# shellcheck disable=SC2016
	is "$1: no session failed that was not on it (load: $((TAKEN / SECONDS_OF_LOAD)) sessions/s, $ON_IT on it)" \
		"$(count '$2 != "connect" && $2 != "slow" && $4 != "mailx2" && $4 != "-"')" 0
	out=$(($(changed_ms down) - T0)) first=$(first_ms "(\$2 == \"$2\" || \$3 == \"$2\")")
	check "$1: out of rotation after $out ms, $((out - first)) after the first that went there in vain" \
		test "$((out - first))" -le "$OUT_MS" -a "$out" -le "$3" -a "$out" -gt 0
	is "$1: every message was taken in the end" "$(talks messages)" "$TAKEN"
	is "$1: and is there" "$(message_ids | sort -u | wc -l)" "$TAKEN"
}

killed()
{
	sink_stop 2
	# Before the checks find it, that is.
	wait_for 10 state_is mailx2 down || note "mailx2 does not go down"
}

unplugged()
{
	server_unplug 2
	wait_for 10 state_is mailx2 down || note "mailx2 does not go down"
}

need_lbd
lab_up two 3 3
sinks_start -W "$SCAN"
config
lbd_start
wait_for 15 all_up || die "the mail servers do not come up"

accident killed
judge "kill -9" refused "$OUT_MS"
# shellcheck disable=SC2016
{
	first=$(first_ms '$3 == "refused"') last=$(last_ms '$3 == "refused"')
	check "kill -9: clients were refused there from $first to $last ms after; $(count '$3 == "refused"') were" \
		test "$last" -le "$OUT_MS"
}
# shellcheck disable=SC2016
check "kill -9: $(count '$4 == "mailx2"') sessions on it ended, the last after $(last_ms '$4 == "mailx2"') ms" \
	test "$(last_ms '$4 == "mailx2"')" -le "$TOLD_MS"
check "kill -9: $DUPLICATES messages arrived twice, at most the $RISK that were counted" test "$DUPLICATES" -le "$RISK"

sink_start 2 25 -W "$SCAN"
check "it is back" wait_for 20 state_is mailx2 up
sleep 2 # its slow start

accident unplugged
judge "unplugged" slow "$SILENT_OUT_MS"
# shellcheck disable=SC2016
{
	slow=$(count '$2 == "slow"') first=$(first_ms '$2 == "slow"') last=$(last_ms '$2 == "slow"')
	check "unplugged: new sessions went there from $first to $last ms after; $slow had to repeat their SYN" \
		test $((last - first)) -le "$OUT_MS"
	is "unplugged: none of them failed" "$(count '$2 == "connect"')" 0
	# one that had not been greeted yet does not know whose it was
	told=$(count '$2 != "slow" && ($4 == "mailx2" || $4 == "-") && $3 == "reset"')
	check "unplugged: the last waiting client was told after $(last_ms '$3 == "reset"') ms ($told clients)" \
		test "$(last_ms '$3 == "reset"')" -le "$TOLD_MS" -a "$told" -gt 0
	is "unplugged: who was told by RST, who was reset, who broke" \
		"$told $(count '$2 != "slow"')" "$RESETS $RESETS"
}
check "unplugged: $DUPLICATES messages arrived twice, at most the $RISK that were counted" test "$DUPLICATES" -le "$RISK"
server_plug 2
check "it is back" wait_for 30 state_is mailx2 up
# Its own side was told while the cable was out. Who speaks again hears it from the balancer, for as long as the flows
# linger there; who only listens waits for its own time-out: no promise, so only a figure.
its_sessions() { in_ns m2 ss -Htn state established '( sport = :25 )' | grep -c '192\.0\.2\.' || true; }
its_sessions_end() { [ "$(its_sessions)" = 0 ]; }
wait_for 10 its_sessions_end || true
note "of its own side of those sessions, $(its_sessions) are left after 10 s"
lab_done
