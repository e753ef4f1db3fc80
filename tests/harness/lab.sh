# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab: a whole mail site on one machine, for scripts to source.
#
# The sourcing script is started again inside its own mount, network and process namespaces before its first
# own line runs. All it makes (links, name spaces, pins, files, processes) lives in there
# and ends with it, whatever way it ends, kill -9 included. The host's interfaces are out of reach.
#
# Here is how it begins and ends, and its processes. The rest, by noun:
#   lab_tap.sh    what was proved, and how a script ends
#   lab_net.sh    the network, with a drawing of it
#   lab_lb.sh     the balancer
#   lab_mail.sh   mail servers and mail
#
# With LAB_MACHINE=1 the machine itself is the lab, and "lb" its own network namespace: in a virtual machine that is there
# for nothing else (tests/vm/).
#
# Results are TAP: `ok 1 - sentence`, `not ok 2 - sentence`, the plan last. Exit 77 means skipped.
# Needs root, and for what starts lbd or lbctl: build/lbd, build/lbctl.
set -euo pipefail

LAB_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$LAB_TOP/build}
LBD=${LBD:-$BUILD/lbd}
LBCTL=${LBCTL:-$BUILD/lbctl}
TOOLS=$BUILD/tests
LONG=${LONG:-0}
PATH=$PATH:/usr/sbin:/sbin

# shellcheck source=../harness/lab_tap.sh
. "$LAB_TOP/tests/harness/lab_tap.sh"
# shellcheck source=../harness/lab_net.sh
. "$LAB_TOP/tests/harness/lab_net.sh"
# shellcheck source=../harness/lab_lb.sh
. "$LAB_TOP/tests/harness/lab_lb.sh"
# shellcheck source=../harness/lab_mail.sh
. "$LAB_TOP/tests/harness/lab_mail.sh"

LAB_PIDS=()

# --- a world of its own ------------------------------------------------------------
# Outer half: starts the script again inside, and takes it down when told to.
lab_isolate()
{
	local child rc stopped='' tool
	[ "$(id -u)" = 0 ] || skip "needs root: it makes network namespaces"
	for tool in ip ethtool unshare setpriv jq smtp-sink smtp-source ss; do
		command -v "$tool" >/dev/null || die "$tool is missing: make test-deps"
	done
	unshare --mount --net --pid --fork true 2>/dev/null || skip "namespaces are not permitted here"
	LAB_DIR=$(mktemp -d /tmp/mailxdp-lab-XXXXXX)
	trap 'rm -rf "$LAB_DIR"' EXIT
	trap 'stopped=130; exec 2>/dev/null; kill -KILL "$child"' INT TERM HUP
	# Three ways down, all complete: the script ends; the outer half kills unshare; the outer half dies.
	LAB_INSIDE=$LAB_DIR setpriv --pdeathsig KILL \
		unshare --mount --net --pid --fork --kill-child --mount-proc bash "$0" "$@" &
	child=$!
	while :; do
		rc=0
		wait "$child" 2>/dev/null || rc=$?
		kill -0 "$child" 2>/dev/null || break
	done
	exit "${stopped:-$rc}"
}

# Inner half: private places for all that is shared by path.
lab_enter()
{
	LAB_DIR=$LAB_INSIDE
	unset LAB_INSIDE
	mount -t tmpfs -o mode=755 mailxdp-lab "$LAB_DIR"
	mkdir -p /run/netns
	mount -t tmpfs mailxdp-netns /run/netns
	mkdir "$LAB_DIR"/{bpf,etc,log,mail,run,state,load}
	mount -t bpf mailxdp-bpf "$LAB_DIR/bpf"
	chmod 755 "$LAB_DIR/bpf"
	mkdir "$LAB_DIR/bpf/mailxdp"
	chown nobody "$LAB_DIR"/{etc,mail,run,state,bpf/mailxdp}
	ip link set lo up
	trap lab_exit EXIT
	trap 'exit 130' INT TERM HUP
}

# No halves: what would be hidden inside is to be seen by this machine's services.
lab_machine()
{
	LAB_DIR=$(mktemp -d /tmp/mailxdp-lab-XXXXXX)
	chmod 755 "$LAB_DIR"
	mkdir -p "$LAB_DIR"/{bpf/mailxdp,etc,log,mail,run,state,load}
	chown nobody "$LAB_DIR"/{etc,mail,run,state}
	trap lab_exit EXIT
	trap 'exit 130' INT TERM HUP
}

lab_exit()
{
	local rc=$?
	trap - EXIT
	set +e
	if [ "$TAP_END" != passed ] && [ "$TAP_END" != skipped ]; then
		if [ "$TAP_END" != failed ]; then
			note "the script ended early, with exit code $rc"
			[ "$rc" != 0 ] || rc=1
		fi
		lab_show
	fi
	lab_down
	exit "$rc"
}

# What a person wants to see after a failure.
lab_show()
{
	local log
	[ ! -S "$LAB_DIR/run/lbd.sock" ] || {
		note "lbctl list:"
		timeout 5 env MAILXDP_SOCKET="$LAB_DIR/run/lbd.sock" "$LBCTL" list 2>&1 | quote
		note "lbctl stats:"
		timeout 5 env MAILXDP_SOCKET="$LAB_DIR/run/lbd.sock" "$LBCTL" stats 2>&1 | quote
	}
	for log in "$LAB_DIR"/log/*.log; do
		[ -s "$log" ] || continue
		note "the end of ${log##*/}:"
		tail -c 4000 "$log" | sed 's/.*\r\(.\)/\1/' | tail -n 30 | quote
	done
}

lab_down()
{
	local pid ns
	for pid in "${LAB_PIDS[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	for pid in "${LAB_PIDS[@]}"; do
		wait "$pid" 2>/dev/null || true
	done
	for ns in "${LAB_NS[@]}"; do
		ip netns del "$ns" 2>/dev/null || true
	done
	find "$LAB_DIR"/{bpf/mailxdp,etc,mail,run,state,load} -mindepth 1 -delete
	LAB_PIDS=() LAB_NS=() LBD_PID=
}

# --- processes -----------------------------------------------------------------------
# spawn NS CMD...: runs in the background; its words go to log/CMD-NS.log; its pid to SPAWNED.
spawn()
{
	local ns=$1
	shift
	ip netns exec "$P$ns" "$@" >>"$LAB_DIR/log/${SPAWN_LOG:-${1##*/}-$ns}.log" 2>&1 &
	SPAWNED=$!
	LAB_PIDS+=("$SPAWNED")
}

# unspawn PID [SIGNAL]: ends a spawned process, and waits until it has.
unspawn()
{
	local pid left=()
	kill "-${2:-TERM}" "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
	for pid in "${LAB_PIDS[@]}"; do
		[ "$pid" = "$1" ] || left+=("$pid")
	done
	LAB_PIDS=("${left[@]}")
}

now_ms() # result in NOW
{
	NOW=${EPOCHREALTIME/[.,]/}
	NOW=${NOW%???}
}

# wait_for SECONDS CMD...: until CMD succeeds; fails at the deadline. SECONDS may be 0.5.
# LAB_PATIENCE multiplies the deadline where processors are emulated: there an lbd that starts wants half a minute.
wait_for()
{
	local deadline
	now_ms
	deadline=$(awk -v now="$NOW" -v s="$1" -v p="${LAB_PATIENCE:-1}" 'BEGIN { printf "%.0f", now + s * 1000 * p }')
	shift
	while ! "$@" >/dev/null 2>&1; do
		now_ms
		[ "$NOW" -lt "$deadline" ] || return 1
		sleep 0.05
	done
}

if [ "${LAB_MACHINE:-0}" = 1 ]; then
	lab_machine
elif [ -n "${LAB_INSIDE:-}" ] && [ $$ = 1 ]; then
	lab_enter
else
	lab_isolate "$@"
fi
