# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab: a whole mail site on one machine, for scripts to source.
#
# The sourcing script is started again inside its own mount, network and process namespaces before its first
# own line runs. All it makes (links, name spaces, pins, files, processes) lives in there
# and ends with it, whatever way it ends, kill -9 included. The host's interfaces are out of reach.
#
#   two:  c1 c2 c3 --[csw]-- front lb back --[ssw]-- m1 m2 m3     one:  c1 c2 c3 --[sw]-- m1 m2 m3
#                                                                                 |front
#                                                                                 lb
#   clients 192.0.2.101... 2001:db8:1::101...     lb 192.0.2.1, 10.0.0.1 (::1)     VIP 192.0.2.25 2001:db8:1::25
#   servers 10.0.0.11...   fd00:10::11...         names: client cN "orgN", server mN "mailxN"
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

VIP4=192.0.2.25
VIP6=2001:db8:1::25

# --- results ---------------------------------------------------------------------
TAP_N=0
TAP_FAILED=0
TAP_END=	# how the script ended: passed, failed, skipped; empty: early

ok()
{
	TAP_N=$((TAP_N + 1))
	echo "ok $TAP_N - $*"
}

not_ok()
{
	TAP_N=$((TAP_N + 1))
	TAP_FAILED=$((TAP_FAILED + 1))
	echo "not ok $TAP_N - $*"
}

note()
{
	echo "# $*"
}

# Makes other people's words comments.
quote()
{
	sed 's/^/#   /'
}

# check SENTENCE CMD...: the sentence holds when CMD succeeds; else CMD's words are shown.
check()
{
	local sentence=$1 out
	shift
	if out=$("$@" 2>&1); then
		ok "$sentence"
	else
		not_ok "$sentence"
		note "failed: $*"
		[ -z "$out" ] || quote <<<"$out"
	fi
}

# is SENTENCE GOT WANTED
is()
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1"
		note "got:    $2"
		note "wanted: $3"
	fi
}

skip_one()
{
	TAP_N=$((TAP_N + 1))
	echo "ok $TAP_N # SKIP $1: $2"
}

# The whole file cannot run here.
skip()
{
	echo "1..0 # SKIP $*"
	TAP_END=skipped
	exit 77
}

die()
{
	echo "Bail out! $*"
	exit 1
}

# The last line of every script.
lab_done()
{
	echo "1..$TAP_N"
	if [ "$TAP_FAILED" != 0 ]; then
		TAP_END=failed
		exit 1
	fi
	TAP_END=passed
	exit 0
}

# long NORMAL LONG: how many, in a normal run and with LONG=1.
long()
{
	if [ "$LONG" = 1 ]; then echo "$2"; else echo "$1"; fi
}

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

# --- wires ---------------------------------------------------------------------------
P=mx$(printf '%04x' $((RANDOM ^ $$)))
LAB_NS=()
LAB_PIDS=()
LAB_CLIENTS=0
LAB_SERVERS=0
LAB_MTU=1500
CLIENT_SWITCH=
SERVER_SWITCH=

client_addr() # N [4|6]
{
	if [ "${2:-4}" = 4 ]; then echo "192.0.2.$((100 + $1))"; else echo "2001:db8:1::$((100 + $1))"; fi
}

server_addr() # N [4|6]
{
	if [ "${2:-4}" = 4 ]; then echo "10.0.0.$((10 + $1))"; else echo "fd00:10::$((10 + $1))"; fi
}

in_ns()
{
	local ns=$P$1
	shift
	ip netns exec "$ns" "$@"
}

ns_add() # NAME
{
	ip netns add "$P$1"
	LAB_NS+=("$P$1")
	in_ns "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv6.conf.default.accept_ra=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
		net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.default.accept_redirects=0 \
		net.ipv6.conf.all.accept_redirects=0 net.ipv6.conf.default.accept_redirects=0 \
		net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0 \
		net.ipv4.ip_local_port_range='2048 65535'
	ip -n "$P$1" link set lo up
}

switch_add() # NAME
{
	ns_add "$1"
	ip -n "$P$1" link add name br0 type bridge stp_state 0 mcast_snooping 0
	ip -n "$P$1" link set dev br0 mtu "$LAB_MTU" up
}

# XDP sees frames as they lie in memory: no unfinished checksums, no frames glued together.
nic_plain() # NS IFACE
{
	in_ns "$1" ethtool -K "$2" tx off tso off gso off gro off >/dev/null 2>&1 || die "ethtool -K $2 failed in $1"
}

# link NODE IFACE SWITCH: NODE's IFACE into a port of SWITCH that is called to_NODE.
link_add()
{
	local node=$1 iface=$2 switch=$3 port=to_$1
	ip link add name "$iface" mtu "$LAB_MTU" netns "$P$node" type veth peer name "$port" mtu "$LAB_MTU" netns "$P$switch"
	nic_plain "$node" "$iface"
	nic_plain "$switch" "$port"
	ip -n "$P$switch" link set "$port" master br0 up
	ip -n "$P$node" link set "$iface" up
}

# The balancer's links need an XDP program at their far end, or what it transmits is lost.
port_pass() # SWITCH PORT
{
	local section=xdp
	[ "$LAB_MTU" -le 1500 ] || section=xdp.frags
	in_ns "$1" ip link set dev "$2" xdp obj "$TOOLS/pass.bpf.o" sec "$section" ||
		die "cannot attach $TOOLS/pass.bpf.o: build it with make $TOOLS/pass.bpf.o"
}

addr_add() # NODE IFACE ADDR...
{
	local node=$1 iface=$2 addr
	shift 2
	for addr in "$@"; do
		case $addr in
		*:*) ip -n "$P$node" addr add "$addr" dev "$iface" nodad ;;
		*) ip -n "$P$node" addr add "$addr" dev "$iface" ;;
		esac
	done
}

# lab_up LAYOUT CLIENTS SERVERS [MTU]
lab_up()
{
	local layout=$1 i
	LAB_CLIENTS=$2
	LAB_SERVERS=$3
	LAB_MTU=${4:-1500}
	case $layout in
	two) CLIENT_SWITCH=csw SERVER_SWITCH=ssw LB_IFACES=(front back) ;;
	one) CLIENT_SWITCH=sw SERVER_SWITCH=sw LB_IFACES=(front) ;;
	*) die "lab_up: no layout \"$layout\", only one and two" ;;
	esac
	ns_add lb
	in_ns lb sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	switch_add "$CLIENT_SWITCH"
	link_add lb front "$CLIENT_SWITCH"
	port_pass "$CLIENT_SWITCH" to_lb
	addr_add lb front 192.0.2.1/24 2001:db8:1::1/64
	if [ "$layout" = two ]; then
		switch_add "$SERVER_SWITCH"
		link_add lb back "$SERVER_SWITCH"
		port_pass "$SERVER_SWITCH" to_lb
		addr_add lb back 10.0.0.1/24 fd00:10::1/64
	else
		addr_add lb front 10.0.0.1/24 fd00:10::1/64
	fi
	for ((i = 1; i <= LAB_CLIENTS; i++)); do
		ns_add "c$i"
		link_add "c$i" eth0 "$CLIENT_SWITCH"
		addr_add "c$i" eth0 "$(client_addr "$i")/24" "$(client_addr "$i" 6)/64"
		ip -n "${P}c$i" route add default via 192.0.2.1
		ip -n "${P}c$i" route add default via 2001:db8:1::1
	done
	for ((i = 1; i <= LAB_SERVERS; i++)); do
		ns_add "m$i"
		link_add "m$i" eth0 "$SERVER_SWITCH"
		addr_add "m$i" eth0 "$(server_addr "$i")/24" "$(server_addr "$i" 6)/64"
		ip -n "${P}m$i" route add default via 10.0.0.1
		ip -n "${P}m$i" route add default via fd00:10::1
	done
}

# After lab_up one: the mail servers answer clients themselves, from the VIP on lo, and say nothing about it in ARP.
lab_dsr()
{
	local i
	for ((i = 1; i <= LAB_SERVERS; i++)); do
		in_ns "m$i" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 \
			net.ipv4.conf.eth0.arp_ignore=1 net.ipv4.conf.eth0.arp_announce=2
		addr_add "m$i" lo "$VIP4/32" "$VIP6/128"
		addr_add "m$i" eth0 "192.0.2.$((10 + i))/24" "2001:db8:1::$((10 + i))/64"
	done
}

# A mail server's cable: it keeps its power and loses its link, and nobody tells the balancer.
server_unplug() # N
{
	ip -n "$P$SERVER_SWITCH" link set "to_m$1" down
}

server_plug() # N
{
	ip -n "$P$SERVER_SWITCH" link set "to_m$1" up
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
wait_for()
{
	local deadline
	now_ms
	deadline=$(awk -v now="$NOW" -v s="$1" 'BEGIN { printf "%.0f", now + s * 1000 }')
	shift
	while ! "$@" >/dev/null 2>&1; do
		now_ms
		[ "$NOW" -lt "$deadline" ] || return 1
		sleep 0.05
	done
}

# --- the balancer ------------------------------------------------------------------------
LBD_PID=

need_lbd()
{
	[ -x "$LBD" ] || die "$LBD is not built: make"
	[ -x "$LBCTL" ] || die "$LBCTL is not built: make"
}

lbctl()
{
	MAILXDP_SOCKET=$LAB_DIR/run/lbd.sock in_ns lb "$LBCTL" "$@"
}

lbd_is_alive()
{
	kill -0 "$LBD_PID" 2>/dev/null
}

# It answers, or there is nothing left to wait for.
lbd_is_settled()
{
	! lbd_is_alive || lbctl status
}

# lbd_start [ARGS]: the daemon as an unprivileged user, empty or with etc/mailxdp.yaml.
lbd_start()
{
	need_lbd
	SPAWN_LOG=lbd spawn lb "$LBD" --socket "$LAB_DIR/run/lbd.sock" --bpffs "$LAB_DIR/bpf/mailxdp" \
		--state-dir "$LAB_DIR/state" --config "$LAB_DIR/etc/mailxdp.yaml" --user nobody "$@"
	LBD_PID=$SPAWNED
	wait_for 30 lbd_is_settled || die "lbd does not answer"
	lbd_is_alive || die "lbd has ended"
}

lbd_kill9()
{
	unspawn "$LBD_PID" KILL
	LBD_PID=
}

lbd_stop()
{
	unspawn "$LBD_PID" TERM
	LBD_PID=
}

# list_json FILTER: of lbctl list --json.
list_json()
{
	lbctl list --json | jq -er "$1"
}

backend_state() # NAME
{
	list_json ".backends[] | select(.name == \"$1\") | .state"
}

state_is() # NAME STATE
{
	[ "$(backend_state "$1")" = "$2" ]
}

no_backend() # NAME
{
	[ "$(list_json "[.backends[] | select(.name == \"$1\")] | length")" = 0 ]
}

all_up()
{
	[ "$(list_json '[.backends[] | select(.state != "up")] | length')" = 0 ]
}

# Backends of a family of their own: mailxN (IPv4), mailxN-v6.
backend_name() # N [4|6]
{
	if [ "${2:-4}" = 4 ]; then echo "mailx$1"; else echo "mailx$1-v6"; fi
}

# lb_setup MODE [SCHEDULER]: daemon, interfaces, the service "smtp", every mail server in both families.
lb_setup()
{
	local i family iface
	lbd_start
	for iface in "${LB_IFACES[@]}"; do
		lbctl attach "$iface" --mode native >/dev/null
	done
	lbctl service add smtp --vip "$VIP4,$VIP6" --port 25 --mode "$1" --scheduler "${2:-least-conn}" >/dev/null
	for ((i = 1; i <= LAB_SERVERS; i++)); do
		for family in 4 6; do
			lbctl add "$(backend_name "$i" "$family")" "$(server_addr "$i" "$family")" >/dev/null
		done
	done
	wait_for 15 all_up || die "the mail servers do not come up"
}

# --- mail --------------------------------------------------------------------------------
# Clients and mail servers share our processors with the balancer, which they would not in life: they
# step back, so that a daemon that starts under load is not starved by the load.
STEP_BACK=(nice -n 19)

declare -A SINK_PIDS=()

listens() # NS PORT
{
	[ "$(in_ns "$1" ss -Hltn "sport = :$2" | wc -l)" -ge 2 ]
}

# sink_start N PORT [smtp-sink ARGS]: one process per family; every message becomes a file in mail/mN.
sink_start()
{
	local n=$1 port=$2 family
	shift 2
	mkdir -p "$LAB_DIR/mail/m$n"
	chown nobody "$LAB_DIR/mail/m$n"
	for family in 4 6; do
		local host=0.0.0.0
		[ "$family" = 4 ] || host='[::]'
		SPAWN_LOG=sink-m$n-$family spawn "m$n" "${STEP_BACK[@]}" smtp-sink -u nobody -c -m 2000 -h "mailx$n" \
			-d "$LAB_DIR/mail/m$n/$family." "$@" "inet:$host:$port" 2000
		SINK_PIDS[$n]+=" $SPAWNED"
	done
	wait_for 10 listens "m$n" "$port" || die "smtp-sink does not listen in m$n"
}

sink_stop() # N
{
	local pid
	for pid in ${SINK_PIDS[$1]}; do
		unspawn "$pid" KILL
	done
	SINK_PIDS[$1]=
}

sinks_start() # [smtp-sink ARGS]
{
	local i
	for ((i = 1; i <= LAB_SERVERS; i++)); do
		sink_start "$i" 25 "$@"
	done
}

# smtp_load CLIENT ADDR PORT SESSIONS PARALLEL [smtp-source ARGS]: one message per session. smtp-source
# ends at the first thing that goes wrong, so success means that all of them arrived.
smtp_load()
{
	local client=$1 addr=$2 port=$3 sessions=$4 parallel=$5
	shift 5
	[[ $addr != *:* ]] || addr="[$addr]"
	in_ns "$client" timeout "${SMTP_TIMEOUT:-100}" "${STEP_BACK[@]}" smtp-source -s "$parallel" -m "$sessions" \
		-M "$client.example" -f "news@$client.example" -t reader@example.net "$@" "inet:$addr:$port"
}

messages_at() # N [4|6]
{
	find "$LAB_DIR/mail/m$1" -name "${2:-}*" -type f 2>/dev/null | wc -l
}

count_delivered() # [4|6]
{
	find "$LAB_DIR/mail" -name "${1:-}*" -type f | wc -l
}

# client_addrs [N]: how often which client address was seen, by server mN or by all: "count address" lines.
client_addrs()
{
	find "$LAB_DIR/mail${1:+/m$1}" -type f -exec grep -hm1 '^X-Client-Addr: ' {} + 2>/dev/null |
		sed 's/^X-Client-Addr: //; s/^ipv6://' | sort | uniq -c | awk '{ print $1, $2 }'
}

mail_clear()
{
	find "$LAB_DIR/mail" -type f -delete
}

# load_start PARALLEL ADDR...: every client sends to every ADDR, batch after batch, until load_stop. As fast
# as it can, or with LOAD_ARGS=(-w 1) each of the PARALLEL pauses a second between sessions.
LOAD_PIDS=()
LOAD_BATCH=200
LOAD_ARGS=()
load_start()
{
	local parallel=$1 client addr
	shift
	rm -f "$LAB_DIR"/load/*
	for ((client = 1; client <= LAB_CLIENTS; client++)); do
		for addr in "$@"; do
			load_loop "c$client" "$addr" "$parallel" &
			LOAD_PIDS+=($!)
			LAB_PIDS+=($!)
		done
	done
}

load_loop() # CLIENT ADDR PARALLEL
{
	local file=$LAB_DIR/load/$1-${2//:/_}
	while [ ! -e "$LAB_DIR/load/stop" ]; do
		if smtp_load "$1" "$2" 25 "$LOAD_BATCH" "$3" "${LOAD_ARGS[@]}" 2>>"$file.err"; then
			echo "$LOAD_BATCH" >>"$file.sent"
		else
			echo 1 >>"$file.failed"
		fi
	done
}

load_sent()
{
	find "$LAB_DIR/load" -name '*.sent' -exec cat {} + | awk '{ n += $1 } END { print n + 0 }'
}

load_failed()
{
	find "$LAB_DIR/load" -name '*.failed' -exec cat {} + | wc -l
}

# load_stop: waits for the batches under way. Results: LOAD_SENT messages, LOAD_FAILED batches.
load_stop()
{
	local pid
	touch "$LAB_DIR/load/stop"
	for pid in "${LOAD_PIDS[@]}"; do
		wait "$pid" || true
	done
	LOAD_PIDS=()
	# shellcheck disable=SC2034
	LOAD_SENT=$(load_sent)
	LOAD_FAILED=$(load_failed)
	[ "$LOAD_FAILED" = 0 ] || sort "$LAB_DIR"/load/*.err | uniq -c | sort -rn | head -n 10 | sed 's/^/# /'
}

if [ -n "${LAB_INSIDE:-}" ] && [ $$ = 1 ]; then
	lab_enter
else
	lab_isolate "$@"
fi
