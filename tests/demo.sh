#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The demo: a mail site in a box. Three organisations send 3,000 real messages through one address while the
# administrator drains a mail server and adds another. Shows each command as it is given, and at the end who
# carried what. Everything lives in namespaces of its own and is gone afterwards, however it ends.
# MESSAGES: how many, 3000. Exit code 1 when a single delivery failed.
if [ "$(id -u)" != 0 ]; then
	echo "the demo builds a network of its own, and needs root for that: sudo make demo" >&2
	exit 1
fi
. "$(dirname "$0")/harness/lab.sh"

MESSAGES=${MESSAGES:-3000}
PER_CLIENT=$(((MESSAGES + 2) / 3))
MESSAGES=$((PER_CLIENT * 3))
PARALLEL=70

LIVE=0
BOLD='' DIM='' GREEN='' RED='' PLAIN=''
if [ -t 1 ]; then
	LIVE=1
	if [ -z "${NO_COLOR:-}" ]; then
		BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
	fi
fi

say()
{
	echo "$*"
}

# Shows the command, runs it, shows the answer.
run()
{
	[ "$LIVE" = 0 ] || printf '\r\e[K'
	echo "${BOLD}\$ $*${PLAIN}"
	"$@" | sed 's/^/  /'
}

# One line: how far we are, and what each mail server has taken and holds.
progress()
{
	local delivered=$1 line
	line=$(lbctl list --json | jq -r '[.backends[] |
		"\(.name) \(.sessions_total) (\(.conns)\(if .state == "draining" then " left" else "" end))"] | join("  ")')
	line=$(printf '%4d of %d  %s' "$delivered" "$MESSAGES" "$line")
	if [ "$LIVE" = 1 ]; then
		printf '\r\e[K  %s' "${line:0:$((${COLUMNS:-$(tput cols 2>/dev/null || echo 100)} - 3))}"
	else
		echo "  $line"
	fi
}

drained()
{
	[ "$(list_json '.backends[] | select(.name == "mailx2") | .conns')" = 0 ]
}

# The administrator's plan, by how many messages have arrived.
act()
{
	local delivered=$1
	if [ "$DRAIN" = "" ] && [ "$delivered" -ge $((MESSAGES / 4)) ]; then
		DRAIN=begun
		run lbctl drain mailx2
	fi
	if [ "$ADD" = "" ] && [ "$delivered" -ge $((MESSAGES / 2)) ]; then
		ADD=made
		run lbctl add mailx4 10.0.0.14
	fi
	if [ "$DRAIN" = begun ] && drained; then
		DRAIN=made
		[ "$LIVE" = 0 ] || printf '\r\e[K'
		say "  ${DIM}mailx2 is empty and could be switched off; no client has noticed${PLAIN}"
	fi
}

send_all()
{
	local i
	for i in 1 2 3; do
		smtp_load "c$i" "$VIP4" 25 "$PER_CLIENT" "$PARALLEL" 2>"$LAB_DIR/load/c$i.err" &
		SENDERS+=($!)
		LAB_PIDS+=($!)
	done
}

sending()
{
	local pid
	for pid in "${SENDERS[@]}"; do
		! kill -0 "$pid" 2>/dev/null || return 0
	done
	return 1
}

addr_count() # N ADDRESS
{
	client_addrs "$1" | awk -v a="$2" '$2 == a { n = $1 } END { print n + 0 }'
}

table()
{
	local i name sessions messages
	printf '%s%-12s %-9s %8s %8s %6s   %s%s\n' "$BOLD" "MAIL SERVER" STATE SESSIONS MESSAGES SHARE \
		"SEEN FROM $(client_addr 1) $(client_addr 2) $(client_addr 3)" "$PLAIN"
	for i in 1 2 3 4; do
		name=mailx$i
		sessions=$(list_json ".backends[] | select(.name == \"$name\") | .sessions_total" || echo 0)
		messages=$(messages_at "$i")
		SESSIONS_ALL=$((SESSIONS_ALL + sessions))
		MESSAGES_ALL=$((MESSAGES_ALL + messages))
		printf '%-12s %-9s %8d %8d %5d%%   %9s %11d %11d %11d\n' "$name" "$(backend_state "$name")" "$sessions" \
			"$messages" $(((messages * 100 + MESSAGES / 2) / MESSAGES)) "" \
			"$(addr_count "$i" "$(client_addr 1)")" "$(addr_count "$i" "$(client_addr 2)")" \
			"$(addr_count "$i" "$(client_addr 3)")"
	done
	printf '%-12s %-9s %8d %8d\n' all "" "$SESSIONS_ALL" "$MESSAGES_ALL"
}

verdict() # SENTENCE CMD...
{
	local sentence=$1
	shift
	if "$@"; then
		say "${GREEN}yes${PLAIN}  $sentence"
	else
		say "${RED}NO${PLAIN}   $sentence"
		FAILED=$((FAILED + 1))
	fi
}

need_lbd
say "${BOLD}mailxdp${PLAIN}: three organisations, one address, three mail servers"
say "$DIM"
say "  org1 192.0.2.101 --.                                  .-- mailx1 10.0.0.11"
say "  org2 192.0.2.102 ---+-- 192.0.2.25:25 -- balancer ---+--- mailx2 10.0.0.12"
say "  org3 192.0.2.103 --'        (VIP)          (XDP)      '-- mailx3 10.0.0.13   (later: mailx4)"
say "$PLAIN"
lab_up two 3 4
# Scanning takes a mail server its time: none, or one second, or two, ...
sinks_start -W .:1:50
lbd_start
run lbctl attach front
run lbctl attach back
run lbctl service add smtp --vip "$VIP4" --port 25
for i in 1 2 3; do
	run lbctl add "mailx$i" "$(server_addr "$i")"
done
wait_for 15 all_up || die "the mail servers do not come up"

say ""
say "${BOLD}now $MESSAGES messages, $((3 * PARALLEL)) sessions at a time${PLAIN}; of each mail server: sessions so far (open now)"
DRAIN='' ADD='' FAILED=0 SENDERS=() SESSIONS_ALL=0 MESSAGES_ALL=0
START=$SECONDS SHOWN=-9
send_all
while sending; do
	delivered=$(count_delivered)
	act "$delivered"
	if [ "$LIVE" = 1 ] || [ $((SECONDS - SHOWN)) -ge 3 ]; then
		progress "$delivered"
		SHOWN=$SECONDS
	fi
	sleep 0.3
done
senders_failed=0
for pid in "${SENDERS[@]}"; do
	wait "$pid" || senders_failed=$((senders_failed + 1))
done
progress "$(count_delivered)"
[ "$LIVE" = 0 ] || echo
run lbctl list
say ""
table
say ""
lost=$((MESSAGES - MESSAGES_ALL))
say "failed deliveries: ${BOLD}${lost#-}${PLAIN}, in $((SECONDS - START)) s"
verdict "every sender finished without an error" test "$senders_failed" = 0
verdict "every message arrived exactly once" test "$MESSAGES_ALL" = "$MESSAGES"
verdict "the balancer counted as many sessions" test "$SESSIONS_ALL" = "$MESSAGES"
verdict "the mail servers saw the organisations' own addresses and no other" \
	test "$(client_addrs | awk '{ print $2 }' | sort | paste -sd' ')" = \
	"$(client_addr 1) $(client_addr 2) $(client_addr 3)"
verdict "mailx2 was drained and mailx4 added while mail flowed" test "$DRAIN $ADD" = "made made"
verdict "mailx4 took its part" test "$(messages_at 4)" -gt 0
if [ "$FAILED" != 0 ]; then
	cat "$LAB_DIR"/load/*.err
	TAP_END=failed
	exit 1
fi
TAP_END=passed
