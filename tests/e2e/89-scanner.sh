#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The canary that a scanner must refuse: a mail server that takes the test virus gets no mail, however healthy it looks
# otherwise, even when that leaves none; one that refuses it, a real Postfix among them, does.
. "$(dirname "$0")/../harness/lab.sh"
. "$(dirname "$0")/../harness/mood.sh"
. "$(dirname "$0")/../harness/postfix.sh"

CHECK="kind: canary, to: sink@example.com, must-refuse: eicar, interval: 500ms, timeout: 5s, rise: 1, fall: 10"

# mailx1: Postfix, which looks into bodies itself.
scanning_postfix()
{
	echo '/^X5O.*EICAR-STANDARD-ANTIVIRUS-TEST-FILE/ REJECT test virus' >"$LAB_DIR/run/body"
	postfix_start 1 "body_checks = regexp:$LAB_DIR/run/body"
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
if scanning_postfix; then
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
