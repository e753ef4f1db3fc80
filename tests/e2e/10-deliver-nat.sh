#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Mail through the VIP in nat mode, IPv4 and IPv6: every session succeeds, every mail server sees the
# clients' own addresses, and the balancer's figures add up.
. "$(dirname "$0")/../harness/lab.sh"
. "$(dirname "$0")/../harness/deliver.sh"

SESSIONS=${SESSIONS:-$(long 600 5000)}

need_lbd
lab_up two 3 3
sinks_start
lb_setup nat
for family in 4 6; do
	deliver_check nat "$family" "$SESSIONS"
	check "nat, IPv$family: replies were counted" test "$(family_sum bytes_out "$family")" -gt 0
done
lab_done
