#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A SYN flood from random addresses, in both families, against a balancer that carries held sessions: all of
# them survive, none changes its mail server, and mail flows as soon as the flood is over.
. "$(dirname "$0")/../harness/lab.sh"

SYNS=${SYNS:-$(long 200000 1000000)}
HELD=${HELD:-200}

flood() # ADDR
{
	in_ns c3 timeout 100 "$TOOLS/flood_tool" --iface eth0 --addr "$1" --count "$SYNS" --seed "$RANDOM"
}

need_lbd
lab_up two 3 3
sinks_start
lb_setup nat
declare -A pids
for family in 4 6; do
	vip=$VIP4 client=c1
	[ "$family" = 4 ] || vip=$VIP6 client=c2
	SPAWN_LOG=hold$family spawn "$client" "$TOOLS/hold_tool" --addr "$vip" --n "$HELD" --noop-interval 0.5 \
		--ready-file "$LAB_DIR/run/held$family" --quit
	pids[$family]=$SPAWNED
	check "IPv$family: $HELD sessions are held" wait_for 20 test -e "$LAB_DIR/run/held$family"
done
for family in 4 6; do
	vip=$VIP4
	[ "$family" = 4 ] || vip=$VIP6
	if flood "$vip" >"$LAB_DIR/run/flood.json"; then
		ok "IPv$family: $SYNS SYNs were sent ($(jq -r '.pps' "$LAB_DIR/run/flood.json") per second)"
	else
		not_ok "IPv$family: $SYNS SYNs were sent"
	fi
	is "IPv$family: they did not become sessions" \
		"$(list_json '[.backends[].conns] | add')" "$((2 * HELD))"
	check "IPv$family: mail flows after the flood" smtp_load c3 "$vip" 25 60 5
done
for family in 4 6; do
	unspawn "${pids[$family]}" TERM
	is "IPv$family: of $HELD held sessions: held, lost, changed" \
		"$(jq -r '"\(.held) \(.lost) \(.changed)"' "$LAB_DIR/log/hold$family.log")" "$HELD 0 0"
done
lab_done
