#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A mail server dies twice: once its process (connections are refused), once its cable (silence). Each time
# it is out of rotation within fall checks, mail goes to the others, and it is back within
# rise checks when it recovers.
. "$(dirname "$0")/../harness/lab.sh"

# The defaults of a check: every 2 s, given up after 5 s, three failures are a fall, two successes a rise; a
# tenth for jitter, a second for this machine.
REFUSED_MS=$((3 * 2000 * 11 / 10 + 1000))
SILENT_MS=$((3 * (2000 + 5000) * 11 / 10 + 1000))
RISE_MS=$((2 * (2000 + 5000) * 11 / 10 + 1000))

# within SENTENCE MS NAME STATE
within()
{
	local start
	now_ms
	start=$NOW
	if wait_for "$(($2 / 1000 + 10))" state_is "$3" "$4"; then
		now_ms
		check "$1 ($((NOW - start)) ms, at most $2)" test $((NOW - start)) -le "$2"
	else
		not_ok "$1: $3 is $(backend_state "$3") after $(($2 / 1000 + 10)) s"
	fi
}

# Sends a little, and sees whether some of it came to mailxN.
takes_mail() # N
{
	smtp_load c3 "$VIP4" 25 20 5
	[ "$(messages_at "$1")" -gt 0 ]
}

need_lbd
lab_up two 3 3
sinks_start
lb_setup nat

sink_stop 2
within "a killed mail server is out of rotation in time" "$REFUSED_MS" mailx2 down
mail_clear
check "mail goes to the others" smtp_load c1 "$VIP4" 25 100 10
is "all of it" $(($(messages_at 1) + $(messages_at 3))) 100
sink_start 2 25
within "it is back in time" "$RISE_MS" mailx2 up
check "in IPv6 too" wait_for 15 state_is mailx2-v6 up

server_unplug 3
within "a silent mail server is out of rotation in time" "$SILENT_MS" mailx3 down
check "in IPv6 too" wait_for 15 state_is mailx3-v6 down
mail_clear
check "mail goes to the others, IPv4" smtp_load c2 "$VIP4" 25 100 10
check "mail goes to the others, IPv6" smtp_load c2 "$VIP6" 25 100 10
is "the silent server got nothing" "$(messages_at 3)" 0
server_plug 3
within "it is back in time" "$RISE_MS" mailx3 up
# Not at once: a server that comes back is given its share slowly.
check "it takes mail again" wait_for 30 takes_mail 3
lab_done
