# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What "delivered" means, for both forwarding modes and both families: sends real mail through the VIP and
# compares what the clients, the mail servers and the balancer say about it. Sourced after lab.sh.

# Sum of a field of `lbctl list --json` over the backends of a family.
family_sum() # FIELD FAMILY
{
	list_json "[.backends[] | select((.address | contains(\":\")) == ($2 == 6)) | .$1] | add // 0"
}

family_sum_is() # FIELD FAMILY WANTED
{
	[ "$(family_sum "$1" "$2")" = "$3" ]
}

# deliver_send FAMILY SESSIONS [smtp-source ARGS]: all clients together, 20 sessions at a time. Fails when one of them does.
deliver_send()
{
	local family=$1 sessions=$2 vip=$VIP4 i n pids=() failed=0
	shift 2
	[ "$family" = 4 ] || vip=$VIP6
	for ((i = 1; i <= LAB_CLIENTS; i++)); do
		n=$((sessions / LAB_CLIENTS + (i <= sessions % LAB_CLIENTS ? 1 : 0)))
		smtp_load "c$i" "$vip" 25 "$n" $(((20 + LAB_CLIENTS - 1) / LAB_CLIENTS)) "$@" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || failed=$((failed + 1))
	done
	[ "$failed" = 0 ] || echo "$failed of $LAB_CLIENTS clients failed"
	return "$failed"
}

client_list() # FAMILY: every client's address, sorted
{
	local i
	for ((i = 1; i <= LAB_CLIENTS; i++)); do
		client_addr "$i" "$1"
	done | sort | paste -sd' '
}

deliver_check() # MODE FAMILY SESSIONS [smtp-source ARGS]
{
	local mode=$1 family=$2 sessions=$3 before i least total=0
	local what="$mode, IPv$2"
	shift 3
	mail_clear
	before=$(family_sum sessions_total "$family")
	check "$what: $sessions sessions, none fails" deliver_send "$family" "$sessions" "$@"
	is "$what: every message arrived once" "$(count_delivered "$family.")" "$sessions"
	for ((i = 1; i <= LAB_SERVERS; i++)); do
		is "$what: mailx$i saw the clients' own addresses" \
			"$(client_addrs "$i" | awk '{ print $2 }' | sort | paste -sd' ')" "$(client_list "$family")"
		least=$(messages_at "$i" "$family.")
		total=$((total + least))
		check "$what: mailx$i has a fair share ($least)" test $((least * LAB_SERVERS * 2)) -ge "$sessions"
	done
	is "$what: sessions_total of all backends add up" \
		$(($(family_sum sessions_total "$family") - before)) "$sessions"
	check "$what: no session is left open" wait_for 10 family_sum_is conns "$family" 0
	check "$what: bytes were counted" test "$(family_sum bytes_in "$family")" -gt 0
}
