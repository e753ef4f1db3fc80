#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bad input, row by row: what the user hears, the exit code, and that nothing has changed. Where the contract
# leaves a choice between two codes, the row names both.
. "$(dirname "$0")/../harness/lab.sh"

# Everything but what moves by itself.
model()
{
	lbctl list --json | jq -S '[.backends[] | {name, service, address, weight, max_conns, state}] | sort_by(.name)'
	lbctl service list --json | jq -S 'walk(if type == "object" then del(.conns, .sessions_total) else . end)'
	lbctl status --json | jq -S '[.interfaces[] | {name, attached}]'
}

# bad SENTENCE CODES PATTERN CMD...: CMD fails with one of CODES ("2|6"), says on stderr what PATTERN wants to read,
# says nothing on stdout, and changes nothing.
bad()
{
	local sentence=$1 codes=$2 pattern=$3 rc=0 out after why=
	shift 3
	out=$("$@" 2>"$LAB_DIR/run/stderr") || rc=$?
	after=$(model)
	[[ "|$codes|" == *"|$rc|"* ]] || why+=" exit code $rc, not $codes;"
	grep -qiE -- "$pattern" "$LAB_DIR/run/stderr" || why+=" no \"$pattern\" in its words;"
	[ -z "$out" ] || why+=" it spoke on stdout;"
	[ "$(wc -l <"$LAB_DIR/run/stderr")" -le 12 ] || why+=" it said too much;"
	[ "$after" = "$MODEL" ] || why+=" something changed;"
	if [ -z "$why" ]; then
		ok "$sentence ($rc)"
	else
		not_ok "$sentence:$why"
		quote <"$LAB_DIR/run/stderr"
		[ -z "$out" ] || quote <<<"$out"
		[ "$after" = "$MODEL" ] || diff <(echo "$MODEL") <(echo "$after") | quote
	fi
}

lbctl_as_stranger()
{
	MAILXDP_SOCKET=$LAB_DIR/run/lbd.sock in_ns lb setpriv --reuid daemon --regid daemon --clear-groups \
		"$LAB_DIR/run/lbctl" "$@"
}

lbctl_nowhere()
{
	MAILXDP_SOCKET=$LAB_DIR/run/nobody-here.sock in_ns lb "$LBCTL" "$@"
}

lbd_check() # TEXT
{
	printf '%s\n' "$1" >"$LAB_DIR/etc/bad.yaml"
	in_ns lb "$LBD" --check --config "$LAB_DIR/etc/bad.yaml"
}

lbd_second()
{
	in_ns lb timeout 10 "$LBD" --socket "$LAB_DIR/run/lbd.sock" --bpffs "$LAB_DIR/bpf/mailxdp" \
		--state-dir "$LAB_DIR/state" --config "$LAB_DIR/etc/none.yaml" --user nobody
}

need_lbd
lab_up two 1 2
sinks_start
lb_setup nat
cp "$LBCTL" "$LAB_DIR/run/lbctl"
chmod 755 "$LAB_DIR/run/lbctl"
# A service of one family, an interface without native XDP, and one that somebody else's program is on.
lbctl service add four --vip 192.0.2.26 --port 25 >/dev/null
ip -n "${P}lb" link add name plain0 type bridge
ip -n "${P}lb" link set plain0 up
ip link add name taken0 netns "${P}lb" type veth peer name taken1 netns "${P}lb"
in_ns lb ip link set dev taken0 xdp obj "$TOOLS/pass.bpf.o" sec xdp
ip -n "${P}lb" link set taken0 up
wait_for 10 all_up || die "the mail servers do not come up"
MODEL=$(model)

bad "drain an unknown name" 5 'nosuch' lbctl drain nosuch
bad "enable an unknown name" 5 'nosuch' lbctl enable nosuch
bad "remove an unknown name" 5 'nosuch' lbctl remove nosuch
bad "set an unknown name" 5 'nosuch' lbctl set nosuch --weight 2
bad "add to an unknown service" 5 'nosuch' lbctl add mailx9 10.0.0.99 --service nosuch
bad "remove an unknown service" 5 'nosuch' lbctl service remove nosuch
bad "flows of an unknown name" 5 'nosuch' lbctl flows --backend nosuch

bad "add a bad address" 2 '10\.0\.0\.999' lbctl add mailx9 10.0.0.999 --service smtp
bad "add a word as address" 2 'banana' lbctl add mailx9 banana --service smtp
bad "add the unspecified address" 2 '0\.0\.0\.0' lbctl add mailx9 0.0.0.0 --service smtp
bad "add a multicast address" 2 '224\.0\.0\.1' lbctl add mailx9 224.0.0.1 --service smtp
bad "add an address of the wrong family" '2|6' 'IPv6' lbctl add mailx9 fd00:10::99 --service four
bad "add a bad name" 2 'mail x' lbctl add 'mail x' 10.0.0.99 --service smtp
bad "add a duplicate name" 6 'mailx1' lbctl add mailx1 10.0.0.99 --service smtp
bad "add without a service while there are two" '2|6' 'service' lbctl add mailx9 10.0.0.99
bad "add the VIP as a backend" '2|6' '192\.0\.2\.25' lbctl add mailx9 192.0.2.25 --service smtp

bad "a service that exists" 6 'smtp' lbctl service add smtp --vip 192.0.2.27 --port 25
bad "a VIP that is served" 6 '192\.0\.2\.25' lbctl service add other --vip 192.0.2.25 --port 25
bad "a bad VIP" 2 '192\.0\.2\.256' lbctl service add other --vip 192.0.2.256 --port 25
bad "two VIPs of one family" '2|6' 'two IPv4 VIPs' lbctl service add other --vip 192.0.2.27,192.0.2.28 --port 25
bad "port 0" 2 '0' lbctl service add other --vip 192.0.2.27 --port 0
bad "port 65536" 2 '65536' lbctl service add other --vip 192.0.2.27 --port 65536
bad "port 25x" 2 '25x' lbctl service add other --vip 192.0.2.27 --port 25x
bad "a port twice" '2|6' '25' lbctl service add other --vip 192.0.2.27 --port 25,25
bad "an unknown mode" 2 'teleport' lbctl service add other --vip 192.0.2.27 --port 25 --mode teleport
bad "an unknown scheduler" 2 'fair' lbctl service add other --vip 192.0.2.27 --port 25 --scheduler fair
bad "a bad agent port" 2 '97070' lbctl service add other --vip 192.0.2.27 --port 25 --agent 97070
bad "a service without a VIP" 2 'vip' lbctl service add other --port 25
bad "removing a service that has backends" 6 'backends' lbctl service remove smtp

bad "weight 0" 2 '"?0"?.*(1-65535|drain)' lbctl set mailx1 --weight 0
bad "weight 70000" 2 '70000' lbctl set mailx1 --weight 70000
bad "weight -1" 2 'weight|-1' lbctl set mailx1 --weight -1
bad "weight 10x" 2 '10x' lbctl set mailx1 --weight 10x
bad "no weight" 2 'weight' lbctl set mailx1 --weight ''
bad "weight 0 for a new one" 2 '0' lbctl add mailx9 10.0.0.99 --service smtp --weight 0
bad "max-conns -1" 2 'max-conns|-1' lbctl set mailx1 --max-conns -1
bad "nothing to set" 2 'weight' lbctl set mailx1
bad "a deadline without sense" 2 'soon' lbctl drain mailx1 --deadline soon

bad "attach to an interface without native XDP" '1|2|6' 'native' lbctl attach plain0 --mode native
bad "attach to no interface" 5 'nosuch0' lbctl attach nosuch0
bad "attach where another program is" 6 'taken0' lbctl attach taken0
bad "attach in an unknown mode" 2 'fast' lbctl attach front --mode fast
bad "detach where nothing is" '5|6' 'plain0' lbctl detach plain0

bad "an unknown command" 2 'frobnicate' lbctl frobnicate
bad "an unknown option" 2 'frobnicate' lbctl list --frobnicate
bad "a name that is missing" 2 'NAME' lbctl drain
bad "one word too many" 2 'NAME' lbctl drain mailx1 mailx2

bad "not root" 4 'root|permi' lbctl_as_stranger drain mailx1
bad "the daemon is not running" 3 'lbd|daemon' lbctl_nowhere list
bad "a second daemon" '1|6' 'already|running|lock' lbd_second
bad "a config that is no YAML" 2 'bad\.yaml:[0-9]+:[0-9]+: ' lbd_check 'services: ['
bad "a config with an unknown key" 2 'bad\.yaml:[0-9]+:[0-9]+: .*servces' lbd_check 'servces: []'

is "the balancer was set up without a file" "$(find "$LAB_DIR/etc" -name mailxdp.yaml)" ""
bad "a reload without a file" 2 'mailxdp\.yaml: no such file, so nothing was changed; "lbctl save"' lbctl reload
echo 'services: [' >"$LAB_DIR/etc/mailxdp.yaml"
bad "a reload of a file that is no YAML" 2 'mailxdp\.yaml:[0-9]+:[0-9]+: ' lbctl reload
rm "$LAB_DIR/etc/mailxdp.yaml"

# Not bad, but more than a reload can do: it says so, and goes on saying so.
lbctl save >/dev/null
is "a reload of what is running needs no more words" "$(lbctl reload)" "config read: 0 backends added, 0 removed, 0 changed"
sed -i '/^flows:/d; $a flows: 4096' "$LAB_DIR/etc/mailxdp.yaml"
limit=$(lbctl status --json | jq .flows.limit)
late="config read: 0 backends added, 0 removed, 0 changed; not in effect yet: flows 4096 (now $limit), which lbd takes up \
only when it starts: restart it, no session is lost by that"
is "another size of the flow table: what, why, what to do" "$(lbctl reload)" "$late"
is "and again" "$(lbctl reload)" "$late"
is "the table is as it was" "$(lbctl status --json | jq .flows.limit)" "$limit"
lbd_stop
lbd_start
is "a restart does it" "$(lbctl status --json | jq .flows.limit)" 4096
is "then a reload has nothing to add" "$(lbctl reload)" "config read: 0 backends added, 0 removed, 0 changed"
wait_for 10 all_up || note "not all are up again"

check "the daemon answers as before" lbctl status
check "mail flows as before" smtp_load c1 "$VIP4" 25 20 5
lab_done
