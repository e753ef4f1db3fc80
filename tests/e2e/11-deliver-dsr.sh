#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Mail through the VIP in dsr mode, IPv4 and IPv6: the mail servers own the VIP on lo and answer the
# clients themselves; the balancer sees one half of every session and still counts right.
. "$(dirname "$0")/../harness/lab.sh"
. "$(dirname "$0")/../harness/deliver.sh"

SESSIONS=${SESSIONS:-$(long 600 5000)}

need_lbd
lab_up one 3 3
lab_dsr
sinks_start
lb_setup dsr
for family in 4 6; do
	deliver_check dsr "$family" "$SESSIONS"
	is "dsr, IPv$family: no reply came through the balancer" "$(family_sum bytes_out "$family")" 0
done
is "no check has failed meanwhile" "$(lbctl events --json | jq '[.events[] | select(.to == "down" or .to == "busy")] | length')" 0
lab_done
