#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon dies, comes back, and is replaced by another build, while mail flows and sessions are held.
# Packets must not notice: no session fails, none changes its mail server, the configuration made
# at run time is still there.
. "$(dirname "$0")/../harness/lab.sh"

ROUNDS=${ROUNDS:-$(long 3 20)}
HELD=${HELD:-50}

xdp_prog() # the program on lb's first interface
{
	ip -n "${P}lb" -j link show dev front | jq -r '.[0].xdp.prog.id // "none"'
}

model()
{
	lbctl list --json | jq -S '[.backends[] | {name, service, address, weight}] | sort_by(.name)'
	lbctl service list --json | jq -S .
}

need_lbd
lab_up two 3 3
sinks_start
lb_setup nat
lbctl set mailx2 --weight 3 >/dev/null
hold_start c1 4 0.5
hold_start c2 6 0.5
model_before=$(model)
prog_before=$(xdp_prog)
# Steady rather than full load: the verifier wants seconds of a processor at each start.
LOAD_BATCH=60
LOAD_ARGS=(-w 1)
load_start 20 "$VIP4" "$VIP6"

attached=0
for ((round = 1; round <= ROUNDS; round++)); do
	lbd_kill9
	[ "$(xdp_prog)" = none ] || attached=$((attached + 1))
	lbd_start
done
is "the program stayed attached through $ROUNDS kill -9" "$attached" "$ROUNDS"
check "all mail servers are up after the restarts" wait_for 15 all_up
is "backends and services are as before" "$(model)" "$model_before"

# An upgrade is another file that takes over: stopped politely, then started from its own path.
cp "$LBD" "$LAB_DIR/run/lbd-next"
chmod 755 "$LAB_DIR/run/lbd-next"
replaced=0
attached=0
for ((round = 1; round <= ROUNDS; round++)); do
	prog=$(xdp_prog)
	lbd_stop
	[ "$(xdp_prog)" = none ] || attached=$((attached + 1))
	LBD=$LAB_DIR/run/lbd-next lbd_start
	[ "$(xdp_prog)" = "$prog" ] || replaced=$((replaced + 1))
done
is "the program stayed attached through $ROUNDS upgrades" "$attached" "$ROUNDS"
is "each upgrade replaced the program" "$replaced" "$ROUNDS"
note "program id: $prog_before before, $(xdp_prog) now"
check "all mail servers are up after the upgrades" wait_for 15 all_up
is "backends and services are still as before" "$(model)" "$model_before"

# Mail without any daemon, for a while.
lbd_kill9
from=$(count_delivered)
more_mail() { [ "$(count_delivered)" -ge $((from + 300)) ]; }
check "mail flows without a daemon" wait_for 30 more_mail
lbd_start
load_stop

is "no batch of sessions failed" "$LOAD_FAILED" 0
check "mail flowed all the time ($LOAD_SENT messages)" test "$LOAD_SENT" -gt 0
is "every message arrived once" "$(count_delivered)" "$LOAD_SENT"
hold_stop
lab_done
