#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The balancer infers replies from TCP alone. Here it is held against clients that count what they were really told: in
# clear, with lost packets, after STARTTLS and inside TLS, where nobody but the two ends can read a word.
. "$(dirname "$0")/../harness/lab.sh"

SESSIONS=${SESSIONS:-$(long 300 3000)}
MESSAGES=5
LOSS=2	# per cent

replies() # that the balancer has inferred
{
	list_json '[.backends[].replies_total] | add'
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

# talk WHAT FAMILY HUNDREDTHS [talk_tool ARGS]: clients in every client name space; their truth against our guess.
talk()
{
	local what=$1 family=$2 allowed=$3 vip=$VIP4 before i pids=() truth=0 taken=0 hands=0 failed=0 after
	shift 3
	[ "$family" = 4 ] || vip=$VIP6
	before=$(replies)
	for ((i = 1; i <= LAB_CLIENTS; i++)); do
		in_ns "c$i" timeout 100 "$TOOLS/talk_tool" --addr "$vip" --sessions $((SESSIONS / LAB_CLIENTS)) --parallel 10 \
			--messages "$MESSAGES" --from "c$i" "$@" >"$LAB_DIR/run/talk$i.json" 2>>"$LAB_DIR/log/talk.log" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || failed=$((failed + 1))
	done
	read -r truth hands taken < <(jq -rs '"\([.[].replies] | add) \([.[].handshakes] | add) \([.[].taken] | add)"' \
		"$LAB_DIR"/run/talk*.json)
	is "$what: $taken messages, none fails" "$failed" 0
	check "$what: nothing stays in flight" wait_for 10 over
	after=$(replies)
	# The client's half of a handshake is answered by the server's, which is no SMTP reply, but is a turn.
	truth=$((truth + hands))
	check "$what: $((after - before)) replies inferred, $truth true, error $(error_of $((after - before)) "$truth")" \
		error_at_most $((after - before)) "$truth" "$allowed"
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
lbctl service add tls --vip "$VIP4,$VIP6" --port 465 --mode nat >/dev/null
lbctl service add starttls --vip "$VIP4,$VIP6" --port 587 --mode nat >/dev/null
for ((n = 1; n <= LAB_SERVERS; n++)); do
	SPAWN_LOG=tls-m$n spawn "m$n" "${STEP_BACK[@]}" "$TOOLS/talk_tool" --serve --port 465 --tls implicit
	SPAWN_LOG=starttls-m$n spawn "m$n" "${STEP_BACK[@]}" "$TOOLS/talk_tool" --serve --port 587 --tls starttls
	lbctl add "tls$n" "$(server_addr "$n")" --service tls >/dev/null
	lbctl add "tls$n-v6" "$(server_addr "$n" 6)" --service tls >/dev/null
	lbctl add "starttls$n" "$(server_addr "$n")" --service starttls >/dev/null
done
wait_for 15 all_up || die "the mail servers do not come up"

hold
source_sessions
talk "in clear, IPv4" 4 100
talk "in clear, IPv6" 6 100
talk "after STARTTLS" 4 100 --port 587 --tls starttls
talk "inside TLS" 4 100 --port 465 --tls implicit
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
