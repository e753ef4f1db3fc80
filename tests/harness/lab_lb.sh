# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The balancer of the lab: lbd as an unprivileged user in "lb", lbctl beside it, and what they say. Sourced by lab.sh.

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

# lbd_spawn [ARGS]: the daemon as an unprivileged user, empty or with etc/mailxdp.yaml; it may not be ready yet.
lbd_spawn()
{
	need_lbd
	SPAWN_LOG=lbd spawn lb "$LBD" --socket "$LAB_DIR/run/lbd.sock" --bpffs "$LAB_DIR/bpf/mailxdp" \
		--state-dir "$LAB_DIR/state" --config "$LAB_DIR/etc/mailxdp.yaml" --user nobody "$@"
	LBD_PID=$SPAWNED
}

# lbd_start [ARGS]: and it answers.
lbd_start()
{
	lbd_spawn "$@"
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

# lab_config FAMILIES TOP [LINE...]: etc/mailxdp.yaml with both interfaces and one service at port 25 for all mail
# servers. FAMILIES is 4 or 46; TOP is a line at the top level, each LINE one of the service.
lab_config()
{
	local families=$1 top=$2 vip=$VIP4 n
	shift 2
	[ "$families" = 4 ] || vip="[$VIP4, \"$VIP6\"]"
	{
		printf '%s\n' "interfaces:" "  - {name: front, mode: native}" "  - {name: back, mode: native}" "$top" "services:"
		printf '%s\n' "  - name: smtp" "    vip: $vip" "    ports: [25]"
		[ $# = 0 ] || printf '    %s\n' "$@"
		echo "    backends:"
		for ((n = 1; n <= LAB_SERVERS; n++)); do
			echo "      - {name: mailx$n, address: $(server_addr "$n")}"
			[ "$families" = 4 ] || echo "      - {name: mailx$n-v6, address: \"$(server_addr "$n" 6)\"}"
		done
	} >"$LAB_DIR/etc/mailxdp.yaml"
}
