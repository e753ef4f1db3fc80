#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The balancer infers replies from TCP alone. Here it is held against clients that count what they were really told: in
# clear, pipelined, with lost packets, after STARTTLS and inside TLS, where nobody but the two ends can read a word; and
# that time how long they waited.
. "$(dirname "$0")/../harness/lab.sh"

SESSIONS=${SESSIONS:-$(long 300 3000)}
MESSAGES=5
LOSS=2	# per cent
SCAN=0.01 # seconds, mean
TIME_ERROR_US=2000

replies() # that the balancer has inferred
{
	list_json '[.backends[].replies_total] | add'
}

waited() # us, as the balancer has inferred
{
	list_json '[.backends[].reply_us_total] | add'
}

sum_of() # FIELD of what the clients say
{
	jq -s "[.[].$1] | add" "$LAB_DIR"/run/talk*.json
}

inflight_is() # N
{
	[ "$(list_json '[.backends[].inflight] | add')" = "$1" ]
}

over()
{
	inflight_is 0 && [ "$(list_json '[.backends[].conns] | add')" = 0 ]
}

error_of() # INFERRED TRUE: the error, to be read
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%+.2f %%", (a - b) * 100 / (b ? b : 1) }'
}

error_at_most() # INFERRED TRUE HUNDREDTHS of a per cent
{
	local off=$(($1 - $2))
	[ "$2" -gt 0 ] && [ $((${off#-} * 10000)) -le $(($2 * $3)) ]
}

# talk WHAT FAMILY HUNDREDTHS [talk_tool ARGS]: clients in every client name space; their truth against our guess. One
# turn is what is said at once, its reply the first that comes; a TLS handshake is one too.
talk()
{
	local what=$1 family=$2 allowed=$3 vip=$VIP4 replies waited i pids=() turns failed=0 first all
	shift 3
	[ "$family" = 4 ] || vip=$VIP6
	replies=$(replies) waited=$(waited)
	for ((i = 1; i <= LAB_CLIENTS; i++)); do
		in_ns "c$i" timeout 100 "$TOOLS/talk_tool" --addr "$vip" --sessions $((SESSIONS / LAB_CLIENTS)) --parallel 10 \
			--messages "$MESSAGES" --from "c$i" --tell "$@" >"$LAB_DIR/run/talk$i.json" 2>"$LAB_DIR/log/talk-$i.log" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || failed=$((failed + 1))
	done
	is "$what: $(sum_of taken) messages, none fails" "$failed" 0
	check "$what: nothing stays in flight" wait_for 10 over
	replies=$(($(replies) - replies)) waited=$(($(waited) - waited))
	turns=$(sum_of turns) first=$(sum_of first_us) all=$(sum_of all_us)
	check "$what: $replies replies inferred in $turns turns ($(sum_of replies) replies), error $(error_of "$replies" "$turns")" \
		error_at_most "$replies" "$turns" "$allowed"
	MEAN_ERROR=$(((waited - first) / turns))
	note "$what: mean wait inferred $((waited / turns)) us, true $((first / turns)) us ($((all / turns)) us for all replies of a turn)"
}

# The same of the waiting times: what the clients add until they have read it is in the error.
timed() # WHAT
{
	check "$1: the mean wait is inferred to $MEAN_ERROR us" test "${MEAN_ERROR#-}" -le "$TIME_ERROR_US"
}

# The longest wait of each session, the end of data, ours against the client's own; in ms.
longest() # WHAT
{
	local errors
	lbctl flows --json | jq -r '.flows[] | "\(.client) \(.client_port) \(.longest_ms)"' >"$LAB_DIR/run/flows"
	errors=$(for ((i = 1; i <= LAB_CLIENTS; i++)); do
		awk -v client="$(client_addr "$i")" '/^session/ { print client, $2, $3 }' "$LAB_DIR/log/talk-$i.log"
	done | awk 'NR == FNR { ours[$1 " " $2] = $3; next }
		($1 " " $2) in ours { off = ours[$1 " " $2] + 0.5 - $3 / 1000; print off < 0 ? -off : off }' \
		"$LAB_DIR/run/flows" - | sort -g)
	N=$(wc -l <<<"$errors")
	ERROR_P50=$(sed -n "$((N / 2))p" <<<"$errors") ERROR_P99=$(sed -n "$((N * 99 / 100))p" <<<"$errors")
	check "$1: all sessions are there" test "$N" -eq "$((SESSIONS / LAB_CLIENTS * LAB_CLIENTS))"
	check "$1: longest wait of $N sessions, inferred with an error of $ERROR_P50 ms at p50, $ERROR_P99 at p99" \
		awk -v ms="$ERROR_P50" -v us="$TIME_ERROR_US" 'BEGIN { exit ms * 1000 > us }'
}

# Sessions that are held say how often they were answered, banner included.
hold()
{
	local before after truth n=100
	before=$(replies)
	SPAWN_LOG=hold spawn c1 "$TOOLS/hold_tool" --addr "$VIP4" --n $n --noop-interval 0.2 --ready-file "$LAB_DIR/run/held" --quit
	check "$n sessions are held" wait_for 20 test -e "$LAB_DIR/run/held"
	more_turns() { [ "$(replies)" -ge $((before + n * 10)) ]; }
	wait_for 20 more_turns || note "the held sessions do not talk"
	unspawn "$SPAWNED" TERM
	wait_for 10 over || note "sessions stay open"
	after=$(replies)
	truth=$(jq .turns "$LAB_DIR/log/hold.log")
	check "in clear, held sessions: $((after - before)) replies inferred, $truth true" error_at_most $((after - before)) "$truth" 100
}

# smtp-source cannot count, but its dialogue is always the same: greeting and EHLO a session; MAIL, RCPT, DATA and the end
# of it a message. The answer to QUIT is not among them: it hangs up by RST as soon as it has read it.
source_sessions()
{
	local before after truth messages=$((SESSIONS * MESSAGES)) parallel=20
	before=$(replies)
	check "smtp-source: $messages messages in $parallel sessions, none fails" \
		smtp_load c1 "$VIP4" 25 "$messages" "$parallel" -d
	wait_for 10 over || note "sessions stay open"
	after=$(replies)
	truth=$((parallel * 2 + messages * 4))
	check "smtp-source: $((after - before)) replies inferred, $truth true, error $(error_of $((after - before)) "$truth")" \
		error_at_most $((after - before)) "$truth" 100
}

# What the clients and the mail servers send is lost on its way to the balancer, now and then.
loss_start()
{
	local i
	command -v nft >/dev/null || return 1
	for ((i = 1; i <= LAB_CLIENTS; i++)); do
		loss_at "$CLIENT_SWITCH" "to_c$i" || return 1
	done
	for ((i = 1; i <= LAB_SERVERS; i++)); do
		loss_at "$SERVER_SWITCH" "to_m$i" || return 1
	done
}

loss_at() # SWITCH PORT
{
	in_ns "$1" nft -f - 2>>"$LAB_DIR/log/nft.log" <<-RULES
		table netdev loss {
			chain $2 {
				type filter hook ingress device "$2" priority 0;
				ip protocol tcp numgen random mod 100 < $LOSS counter drop
				ip6 nexthdr tcp numgen random mod 100 < $LOSS counter drop
			}
		}
	RULES
}

loss_stop() # result in LOST: packets
{
	local switch
	LOST=0
	for switch in "$CLIENT_SWITCH" "$SERVER_SWITCH"; do
		LOST=$((LOST + $(in_ns "$switch" nft -j list ruleset | jq '[.. | .counter? | objects | .packets] | add')))
		in_ns "$switch" nft flush ruleset
	done
}

need_lbd
lab_up two 3 3
sinks_start
lb_setup nat
lbctl service add clear --vip "$VIP4" --port 2525 --mode nat >/dev/null
lbctl service add tls --vip "$VIP4,$VIP6" --port 465 --mode nat >/dev/null
lbctl service add starttls --vip "$VIP4,$VIP6" --port 587 --mode nat >/dev/null
for ((n = 1; n <= LAB_SERVERS; n++)); do
	SPAWN_LOG=clear-m$n spawn "m$n" "${STEP_BACK[@]}" "$TOOLS/talk_tool" --serve --port 2525 --scan "$SCAN"
	SPAWN_LOG=tls-m$n spawn "m$n" "${STEP_BACK[@]}" "$TOOLS/talk_tool" --serve --port 465 --tls implicit --scan "$SCAN"
	SPAWN_LOG=starttls-m$n spawn "m$n" "${STEP_BACK[@]}" "$TOOLS/talk_tool" --serve --port 587 --tls starttls --scan "$SCAN"
	lbctl add "clear$n" "$(server_addr "$n")" --service clear >/dev/null
	lbctl add "tls$n" "$(server_addr "$n")" --service tls >/dev/null
	lbctl add "tls$n-v6" "$(server_addr "$n" 6)" --service tls >/dev/null
	lbctl add "starttls$n" "$(server_addr "$n")" --service starttls >/dev/null
done
wait_for 15 all_up || die "the mail servers do not come up"

hold
source_sessions
talk "in clear, IPv4" 4 100
talk "in clear, IPv6" 6 100
talk "scanned" 4 100 --port 2525
timed "scanned"
longest "scanned"
talk "pipelined" 4 100 --port 2525 --pipeline
timed "pipelined"
# no check of the time: whoever has nothing more to say acknowledges up to 40 ms late
talk "scanned, silent after each message" 4 100 --port 2525 --pause 0.1
talk "after STARTTLS" 4 100 --port 587 --tls starttls
timed "after STARTTLS"
talk "inside TLS" 4 100 --port 465 --tls implicit
timed "inside TLS"
talk "inside TLS, IPv6" 6 100 --port 465 --tls implicit
if loss_start; then
	SESSIONS=$((SESSIONS / 3))
	talk "in clear, $LOSS % lost" 4 100
	talk "inside TLS, $LOSS % lost" 4 100 --port 465 --tls implicit
	loss_stop
	check "packets were lost indeed ($LOST)" test "$LOST" -gt 0
else
	skip_one "with packet loss" "nft cannot drop at a switch's port here"
fi
lab_done
