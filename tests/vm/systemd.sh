#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The service as an administrator has it: `make install`, the unit with all its fences under a live systemd, lbctl from
# the PATH, real mail. It is started, restarted, killed, hung and stopped while sessions are held, and none may be
# lost. Must not know how lbd is started: only systemctl does. Needs a machine that is there for nothing else.
#
# Run by tests/vm.sh systemd.
if [ "$(cat /etc/hostname)" != mailxdp-vm ] || [ ! -d /run/systemd/system ]; then
	echo "1..0 # SKIP this changes the machine that it runs on: tests/vm.sh systemd"
	exit 77
fi
export LAB_MACHINE=1
. "$(dirname "$0")/../harness/lab.sh"

HELD=${HELD:-20}
MAILS=${MAILS:-60}
UNIT=mailxdp.service
PATIENCE=30	# seconds; the watchdog alone waits for half of them

lbctl()
{
	command lbctl "$@"
}

xdp_prog()
{
	ip -j link show dev front | jq -r '.[0].xdp.prog.id // "none"'
}

main_pid()
{
	systemctl show -P MainPID "$UNIT"
}

answers_as_another() # PID
{
	[ "$(main_pid)" != "$1" ] && lbctl status && [ "$(systemctl is-active "$UNIT")" = active ]
}

model()
{
	lbctl list --json | jq -S '[.backends[] | {name, service, address, weight}] | sort_by(.name)'
	lbctl service list --json | jq -S .
}

mails_for() # RECIPIENT
{
	grep -rls "X-Rcpt-Args: <$1>" "$LAB_DIR/mail" | wc -l
}

# Every client sends; all of it has to arrive.
mail()
{
	local client before
	before=$(mails_for reader@example.net)
	for client in 1 2 3; do
		smtp_load "c$client" "$VIP4" 25 $((MAILS / 3)) 5 || return 1
	done
	[ "$(mails_for reader@example.net)" = $((before + MAILS)) ]
}

# What lbd itself said: systemd speaks under the unit's name too.
lbd_said() # [journalctl ARGS]
{
	journalctl -b -q --no-pager -o cat "_SYSTEMD_UNIT=$UNIT" "$@"
}

lbd_has_said() # REGEX
{
	lbd_said | grep -qE "$1"
}

fails() # CMD...
{
	! "$@"
}

has_been_restarted() # TIMES
{
	[ "$(systemctl show -P NRestarts "$UNIT")" -ge "$1" ]
}

up_again() # HOW PID
{
	check "$1: another lbd answers" wait_for "$PATIENCE" answers_as_another "$2"
	check "$1: the mail servers are up" wait_for "$PATIENCE" all_up
	is "$1: services and backends are as before" "$(model)" "$MODEL"
	check "$1: mail flows" mail
}

canary_arrived()
{
	[ "$(mails_for sink@example.net)" -ge 1 ]
}

# As built elsewhere: this machine has no compiler.
check "make install" make -s -o build/lbd -o build/lbctl install
check "systemd-sysusers makes the user" systemd-sysusers
systemctl daemon-reload
check "systemctl start: it says when it is ready" systemctl start "$UNIT"
is "lbd runs as its own user" "$(ps -o user= -p "$(main_pid)")" mailxdp

lab_up two 3 3
sinks_start
check "lbctl attach" lbctl attach front
check "lbctl attach, the other side" lbctl attach back
check "lbctl service add" lbctl service add smtp --vip "$VIP4,$VIP6" --port 25 --scheduler least-conn
for n in 1 2 3; do
	check "lbctl add mailx$n" lbctl add "mailx$n" "$(server_addr "$n")"
	check "lbctl add mailx$n-v6" lbctl add "mailx$n-v6" "$(server_addr "$n" 6)"
done
check "the checks find them up" wait_for "$PATIENCE" all_up
is "the VIPs are on the interface" "$(ip -j addr show dev front | jq -r '.[].addr_info[].local' | grep -cFx -e "$VIP4" -e "$VIP6")" 2
check "mail flows" mail
is "seen from the organisations' own addresses" "$(client_addrs | awk '{ print $2 }' | sort | paste -sd' ')" \
	"$(client_addr 1) $(client_addr 2) $(client_addr 3)"
hold_start c1 4 0.5
hold_start c2 6 0.5
MODEL=$(model)

prog=$(xdp_prog)
pid=$(main_pid)
check "systemctl restart" systemctl restart "$UNIT"
up_again restart "$pid"
check "restart: the program was replaced in place" test "$(xdp_prog)" != "$prog" -a "$(xdp_prog)" != none

pid=$(main_pid)
systemctl kill -s KILL "$UNIT"
check "killed: the program stays attached" test "$(xdp_prog)" != none
up_again killed "$pid"

# SIGSTOP: the watchdog gets no sign of life, and systemd does the rest.
pid=$(main_pid)
systemctl kill -s STOP "$UNIT"
up_again hung "$pid"

check "lbctl save" lbctl save
check "its file is a good one" lbd --check
lab_config 46 "manage-vips: true" "scheduler: least-conn" "check: {kind: canary, to: sink@example.net, interval: 1s}"
check "an administrator's file replaces it" install -m 0644 "$LAB_DIR/etc/mailxdp.yaml" /etc/mailxdp/mailxdp.yaml
check "systemctl reload" systemctl reload "$UNIT"
check "canaries arrive, by SMTP" wait_for "$PATIENCE" canary_arrived
check "and say that all is well" wait_for "$PATIENCE" all_up
MODEL=$(model)
mv /etc/mailxdp/mailxdp.yaml /etc/mailxdp/aside.yaml
check "systemctl reload without a file fails" fails systemctl reload "$UNIT"
is "and changes nothing" "$(systemctl is-active "$UNIT") $(model)" "active $MODEL"
mv /etc/mailxdp/aside.yaml /etc/mailxdp/mailxdp.yaml

systemctl stop "$UNIT"
check "stopped: the program stays attached" test "$(xdp_prog)" != none
check "stopped: mail flows" mail
check "systemctl start" systemctl start "$UNIT"
up_again "started again" 0
hold_stop

# Events of the kernel's half, the check process, resets by raw packets: all of them fenced in.
rm "$LAB_DIR/run/held4"
hold_start c1 4 0.5
server_unplug 3
check "a server's cable is pulled: it is down" wait_for "$PATIENCE" state_is mailx3 down
check "its clients are told" wait_for "$PATIENCE" lbd_has_said 'mailx3: dead: [1-9][0-9]* sessions reset'
server_plug 3
check "and back" wait_for "$PATIENCE" all_up

check "the agent's units are there" cp /usr/local/share/mailxdp/postfix-agent{.socket,@.service} /etc/systemd/system/
systemctl daemon-reload
check "postfix-agent.socket starts" systemctl start postfix-agent.socket
is "the agent of Postfix answers" "$(timeout 60 cat </dev/tcp/127.0.0.1/9707)" "up ready 100% # queue 0 of 20000"

is "the kernel reports no call that the fences forbid" "$(journalctl -b -q -k --no-pager | grep -c 'type=1326')" 0
is "lbd was refused nothing" "$(lbd_said | grep -ciE 'not permitted|permission denied|read-only file system|sandbox')" 0
is "it warned of nothing but the server that was gone" "$(lbd_said -p warning | grep -cvE '^backend mailx3(-v6)?: ')" 0

# After what it must not say: this it has to. systemd's own limit would be five starts.
cp -p /etc/mailxdp/mailxdp.yaml /etc/mailxdp/aside.yaml
echo 'servces: []' >/etc/mailxdp/mailxdp.yaml
check "a start with a broken file fails" fails systemctl restart "$UNIT"
check "it is tried on and on" wait_for "$PATIENCE" has_been_restarted 7
check "mail flows" mail
mv /etc/mailxdp/aside.yaml /etc/mailxdp/mailxdp.yaml
up_again "the file is whole again" 0
note "what an administrator sees:"
journalctl -b -q --no-pager -o short -u "$UNIT" -u 'postfix-agent*' | cut -c17- | quote
lab_done
