#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In dsr a mail server must have the VIP itself. One that answers at its own address and has lost the VIP from lo, or does
# not listen there, is a black hole for clients: it goes out of rotation, with the reason, and comes back. Both families.
. "$(dirname "$0")/../harness/lab.sh"
. "$(dirname "$0")/../harness/mood.sh"

reason() # NAME
{
	list_json ".backends[] | select(.name == \"$1\") | .reason"
}

connections() # N
{
	grep -c '^open' "$LAB_DIR/log/smtpd-m$1.log"
}

more_connections() # N THAN
{
	[ "$(connections "$1")" -gt "$2" ]
}

none_half_open() # NS
{
	[ -z "$(in_ns "$1" ss -Htn state syn-recv 'sport = :25')" ]
}

need_lbd
lab_up one 1 3
lab_dsr
# As on a host that runs containers: what is not for it goes on to where the VIP really is, the balancer.
in_ns m2 sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for n in 1 2 3; do
	mood "$n" ok
done
{
	echo "interfaces: [{name: front, mode: native}]"
	echo "services:"
	echo "  - name: smtp"
	echo "    vip: [$VIP4, \"$VIP6\"]"
	echo "    ports: [25]"
	echo "    mode: dsr"
	echo "    check: {kind: ehlo, interval: 500ms, timeout: 1s, rise: 1, fall: 2}"
	echo "    backends:"
	for n in 1 2 3; do
		for family in 4 6; do
			echo "      - {name: $(backend_name "$n" "$family"), address: \"$(server_addr "$n" "$family")\"}"
		done
	done
} >"$LAB_DIR/etc/mailxdp.yaml"
lbd_start
check "mail servers with the VIP are up" wait_for 10 all_up
check "lbctl check says that the VIP answers" grep -q "VIP $VIP4:25: answers" <(lbctl check mailx1)

check "some more checks" wait_for 10 more_connections 1 $(($(connections 1) + 8))
check "no half-open connection stays at the server" wait_for 3 none_half_open m1
is "and none that says nothing" "$(grep -c 'after 0 bytes' "$LAB_DIR/log/smtpd-m1.log" || true)" 0

for family in 4 6; do
	name=$(backend_name 2 "$family")
	vip=$VIP4/32 at="$VIP4:25"
	[ "$family" = 4 ] || vip=$VIP6/128 at="[$VIP6]:25"
	ip -n "${P}m2" addr del "$vip" dev lo
	check "IPv$family: without the VIP on its lo a mail server goes down" wait_for 10 state_is "$name" down
	is "IPv$family: for that reason" "$(reason "$name")" "smtp: VIP $at: no answer (is the VIP on the server's loopback?)"
	is "IPv$family: no other does" "$(list_json '[.backends[] | select(.state != "up").name] | join(" ")')" "$name"
	check "IPv$family: its own address answers all the same" in_ns lb timeout 5 bash -c "exec 3<>/dev/tcp/$(server_addr 2 "$family")/25"
	check "IPv$family: mail is delivered by the others" smtp_load c1 "${vip%/*}" 25 20 4
	addr_add m2 lo "$vip"
	check "IPv$family: with the VIP it comes back" wait_for 10 state_is "$name" up
done

# Postfix with inet_interfaces = its own address.
unspawn "${MOODS[2]}" KILL
SPAWN_LOG=smtpd-m2 spawn m2 "$TOOLS/smtpd_tool" --script ok --listen "$(server_addr 2)"
MOODS[2]=$SPAWNED
check "a mail server that listens at its own address alone goes down" wait_for 10 state_is mailx2 down
is "for that reason" "$(reason mailx2)" "smtp: VIP $VIP4:25: connection refused (does the mail server listen on the VIP?)"
mood 2 ok
check "and comes back when it listens everywhere" wait_for 10 all_up

# Nobody knocks where nobody wants it.
sed -i 's/fall: 2}/fall: 2, probe-vip: false}/' "$LAB_DIR/etc/mailxdp.yaml"
lbctl reload >/dev/null
ip -n "${P}m3" addr del "$VIP4/32" dev lo
# Two families, two failures each would have been enough; each opens one connection.
check "with probe-vip: false the checks go on" wait_for 10 more_connections 3 $(($(connections 3) + 8))
is "and the VIP does not count" "$(backend_state mailx3)" up
lab_done
