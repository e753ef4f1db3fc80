#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Nobody can take the mail. With "refuse: reply" every client reads 421 at once, may say QUIT, and can do
# nothing else: the balancer is no relay. With "refuse: reset" it is refused at once. When a mail server comes
# back, the first new session is delivered.
. "$(dirname "$0")/../harness/lab.sh"

CLIENTS=${CLIENTS:-$(long 100 120)}	# at once, from each client host; the responder talks to 256
MAX_MS=100

config()
{
	cat >"$LAB_DIR/etc/mailxdp.yaml" <<-YAML
		interfaces:
		  - {name: front, mode: native}
		  - {name: back, mode: native}
		services:
		  - name: smtp
		    vip: [$VIP4, "$VIP6"]
		    ports: [25]
		    refuse: $1
		    check: {kind: greeting, interval: 500ms, timeout: 1s, rise: 1, fall: 2}
		    backends:
		      - {name: mailx1, address: $(server_addr 1)}
		      - {name: mailx1-v6, address: "$(server_addr 1 6)"}
		      - {name: mailx2, address: $(server_addr 2)}
		      - {name: mailx2-v6, address: "$(server_addr 2 6)"}
	YAML
}

all_down()
{
	[ "$(list_json '[.backends[] | select(.state != "down")] | length')" = 0 ]
}

# One conversation: reads the greeting, says the words, reads an answer to each. "# 12 ms" is how long the greeting took.
dialogue() # VIP WORDS...
{
	# shellcheck disable=SC2016
	in_ns c1 timeout 5 bash -c '
		from=${EPOCHREALTIME/./}
		exec 3<>"/dev/tcp/$1/25" || exit 1
		shift
		read -r -t 3 -u 3 line && echo "${line%$'"'\r'"'}"
		echo "# $(((${EPOCHREALTIME/./} - from) / 1000)) ms"
		for words; do
			printf "%s\r\n" "$words" >&3 || exit
			read -r -t 3 -u 3 line || exit
			echo "${line%$'"'\r'"'}"
		done' dialogue "$@" 2>"$LAB_DIR/run/dialogue.err"
}

codes()
{
	grep -v '^#' | cut -c1-3 | paste -sd' '
}

# Many at once, from each client host: every one reads its 421, has its QUIT answered, and none waits long.
crowd() # FAMILY
{
	local vip=$VIP4 i pids=()
	[ "$1" = 4 ] || vip=$VIP6
	for ((i = 1; i <= LAB_CLIENTS; i++)); do
		in_ns "c$i" timeout 60 "$TOOLS/talk_tool" --addr "$vip" --sessions "$CLIENTS" --parallel "$CLIENTS" \
			>"$LAB_DIR/run/crowd$i.json" 2>>"$LAB_DIR/log/crowd.log" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || true
	done
	is "IPv$1: $((CLIENTS * LAB_CLIENTS)) clients at once: all read 421, and an answer to QUIT" \
		"$(jq -rs '"\([.[].refused] | add) \([.[].broken[]] | add)"' "$LAB_DIR"/run/crowd*.json)" \
		"$((CLIENTS * LAB_CLIENTS)) 0"
	i=$(jq -rs '[.[].banner_max_ms] | max' "$LAB_DIR"/run/crowd*.json)
	check "IPv$1: the slowest has read it after $i ms" test "$i" -le "$MAX_MS"
}

need_lbd
lab_up two 2 2
sinks_start
config reply
lbd_start
check "mail servers are up" wait_for 15 all_up
for n in 1 2; do
	sink_stop "$n"
done
check "all mail servers are down" wait_for 15 all_down

for family in 4 6; do
	vip=$VIP4
	[ "$family" = 4 ] || vip=$VIP6
	out=$(dialogue "$vip" QUIT || true)
	is "IPv$family: a client reads 421, says QUIT, reads 221" "$(codes <<<"$out")" "421 221"
	ms=$(sed -n 's/^# \(.*\) ms/\1/p' <<<"$out")
	check "IPv$family: it has read 421 after $ms ms" test "${ms:-9999}" -le "$MAX_MS"
	for words in 'EHLO c1.example' 'MAIL FROM:<a@example.org>' 'RCPT TO:<b@example.net>' DATA; do
		is "IPv$family: ${words%% *} is refused" "$(dialogue "$vip" "$words" | codes || true)" "421 421"
	done
	out=$(dialogue "$vip" 'EHLO c1.example' 'MAIL FROM:<a@example.org>' 'RCPT TO:<b@example.net>' | codes || true)
	check "IPv$family: a whole transaction gets nowhere ($out)" grep -qvE '(^| )[23]' <<<"$out"
	crowd "$family"
done
check "no session of theirs is among the mail servers'" test "$(list_json '[.backends[].conns] | add')" = 0

mail_clear
sink_start 1 25
is_back() { state_is mailx1 up && state_is mailx1-v6 up; }
check "a mail server comes back" wait_for 10 is_back
check "the first new session is delivered, IPv4" smtp_load c1 "$VIP4" 25 1 1
check "the first new session is delivered, IPv6" smtp_load c1 "$VIP6" 25 1 1
is "both arrived" "$(count_delivered)" 2

config reset
lbctl reload >/dev/null
sink_stop 1
check "all mail servers are down again" wait_for 15 all_down
for family in 4 6; do
	vip=$VIP4
	[ "$family" = 4 ] || vip=$VIP6
	now_ms
	from=$NOW
	dialogue "$vip" QUIT >/dev/null || true
	now_ms
	check "IPv$family, refuse reset: refused after $((NOW - from)) ms" \
		grep -q 'Connection refused' "$LAB_DIR/run/dialogue.err"
	check "IPv$family, refuse reset: at once" test $((NOW - from)) -le "$MAX_MS"
done
lab_done
