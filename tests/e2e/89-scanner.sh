#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The canary that a scanner must refuse: a mail server that takes the test virus gets no mail, however healthy it looks
# otherwise, even when that leaves none; one that refuses it, a real Postfix among them, does.
. "$(dirname "$0")/../harness/lab.sh"
. "$(dirname "$0")/../harness/mood.sh"

CHECK="kind: canary, to: sink@example.com, must-refuse: eicar, interval: 500ms, timeout: 5s, rise: 1, fall: 10"

# mailx1: Postfix, which looks into bodies itself.
postfix_start()
{
	local dir=$LAB_DIR/run/postfix
	mkdir -p "$dir/queue" "$dir/data"
	chown postfix "$dir/data"
	cat >"$dir/main.cf" <<-CF
		compatibility_level = 3.6
		queue_directory = $dir/queue
		data_directory = $dir/data
		command_directory = /usr/sbin
		daemon_directory = /usr/lib/postfix/sbin
		mail_owner = postfix
		setgid_group = postdrop
		maillog_file = /dev/stdout
		myhostname = mailx1.example.com
		mydestination =
		mynetworks = 10.0.0.0/24 192.0.2.0/24
		inet_interfaces = all
		default_transport = discard:
		body_checks = regexp:$dir/body
		smtpd_recipient_restrictions = permit_mynetworks, reject
		alias_maps =
		local_recipient_maps =
		smtpd_peername_lookup = no
	CF
	cat >"$dir/master.cf" <<-CF
		smtp      inet  n - n - -  smtpd
		cleanup   unix  n - n - 0  cleanup
		qmgr      unix  n - n 300 1 qmgr
		rewrite   unix  - - n - -  trivial-rewrite
		discard   unix  - - n - -  discard
		bounce    unix  - - n - 0  bounce
		defer     unix  - - n - 0  bounce
		error     unix  - - n - -  error
		anvil     unix  - - n - 1  anvil
		proxymap  unix  - - n - -  proxymap
		tlsmgr    unix  - - n 1000? 1 tlsmgr
		postlog   unix-dgram n - n - 1 postlogd
	CF
	echo '/^X5O.*EICAR-STANDARD-ANTIVIRUS-TEST-FILE/ REJECT test virus' >"$dir/body"
	SPAWN_LOG=postfix spawn m1 postfix -c "$dir" start-fg
	wait_for 20 smtp_answers m1
}

smtp_answers()
{
	[ -n "$(in_ns "$1" ss -Hltn 'sport = :25')" ]
}

settled()
{
	[ "$(list_json '[.backends[] | select(.check == null)] | length')" = 0 ]
}

text_has() # NAME TEXT
{
	check_text "$1" | grep -q "$2"
}

all_down()
{
	[ "$(states)" = "down down down down" ]
}

not_said()
{
	! says "$1"
}

need_lbd
lab_up two 1 4
if command -v postfix >/dev/null && postfix_start; then
	first="a real Postfix with body_checks"
else
	skip_one "a real Postfix" "it does not start here"
	mood 1 scans
	first="a mail server that scans"
fi
mood 2 scans
mood 3 ok
mood 4 defers
config "$CHECK"
lbd_start
wait_for 15 settled || true
is "$first is up, one that scans too, one that takes the test virus is down, one whose scanner is ill is busy" \
	"$(states)" "up up down busy"
is "the reason says so" "$(check_text mailx3)" "smtp: scanner took the EICAR test virus: 250 2.0.0 Ok: queued (scan)"
note "mailx1: $(check_text mailx1)"
lbctl check mailx1 >"$LAB_DIR/run/dialogue" || true
check "lbctl check shows both messages" grep -q 'a message with the EICAR test virus' "$LAB_DIR/run/dialogue"
check "and the refusal" grep -q '< 5.. ' "$LAB_DIR/run/dialogue"
is "lbctl check of the one that takes it fails" "$(lbctl check mailx3 >/dev/null && echo good || echo fails)" fails

mood 2 ok
check "a scanner goes out of order: one canary, not ten, takes the mail server down" \
	wait_for 4 state_is mailx2 down
is "for that reason" "$(check_text mailx2)" "smtp: scanner took the EICAR test virus: 250 2.0.0 Ok: queued (scan)"
mood 2 defers
check "then its scanner is ill: 451" wait_for 4 text_has mailx2 451
is "that alone does not bring it back" "$(backend_state mailx2)" down
mood 2 scans
check "the next virus that it refuses does" wait_for 4 state_is mailx2 up

for n in 2 3 4; do
	mood "$n" ok
done
config "${CHECK/eicar/gtube}"
lbctl reload >/dev/null
check "nobody scans, Postfix neither, for the test spam: nobody gets mail" wait_for 6 all_down
check "there is no panic that keeps them in rotation" not_said panic
is "a client is refused" "$(in_ns c1 timeout 5 "$TOOLS/talk_tool" --addr "$VIP4" --sessions 1 --parallel 1 2>/dev/null | jq .taken)" 0
lab_done
