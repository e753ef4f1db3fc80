#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The job of the virtual machine: what systemd runs in it once it is up (tests/vm/image.sh has the unit). Says what
# machine this is, runs what was asked for, and leaves results and exit code on the third disk, as a tar. Knows nothing of
# qemu; tests/vm.sh, outside, knows nothing of what happens in here but that.
#
# The file "job" beside the tree is from vm.sh: WHAT (packets, tests, systemd, bench, command), ARGS, and settings.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# The other end is a pipe, not a screen.
stty -onlcr <&1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
# shellcheck disable=SC1091
. ./job

echo "vm: $(uname -sr), $(nproc) processors, up for $(cut -d' ' -f1 /proc/uptime) s; runs: $WHAT${ARGS[*]:+ ${ARGS[*]}}"
results=()
rc=0
case $WHAT in
packets)
	tests/run.sh build/tests/bpf/*_test "${ARGS[@]}" || rc=$?
	results=(build/test-logs)
	;;
tests)
	tests/run.sh "${ARGS[@]}" || rc=$?
	results=(build/test-logs)
	;;
systemd)
	tests/vm/systemd.sh || rc=$?
	;;
bench)
	tests/bench/sessions.sh "${ARGS[@]}" || rc=$?
	cat build/bench/sessions.jsonl
	results=(build/bench/sessions.jsonl build/bench/conf)
	;;
command) bash -c "${ARGS[*]}" || rc=$? ;;
*)
	echo "vm: no job \"$WHAT\""
	rc=2
	;;
esac

dmesg --level=warn,err,crit,alert,emerg >kernel.log
journalctl -b --no-pager >journal.log
echo "$rc" >verdict
tar -cf /dev/vdc --ignore-failed-read verdict kernel.log journal.log "${results[@]}"
sync
# 0 whatever the verdict: that is in "verdict". Another code tells systemd that the job itself broke.
exit 0
