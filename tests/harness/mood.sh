# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Mail servers whose behaviour changes while the balancer checks them, and what it says of them. Sourced after lab.sh.

# One service for all mail servers, IPv4 only. Without a slow start, which would be part of every share of the mail.
config() # CHECK
{
	lab_config 4 "timers: {slow-start: 0s}" "scheduler: round-robin" "check: {$1}"
}

declare -A MOODS=() MOOD_MS=()

# From now on mailxN is of this kind.
mood() # N SCRIPT
{
	[ -z "${MOODS[$1]:-}" ] || unspawn "${MOODS[$1]}" KILL
	SPAWN_LOG=smtpd-m$1 spawn "m$1" "$TOOLS/smtpd_tool" --script "$2"
	MOODS[$1]=$SPAWNED
	now_ms
	# shellcheck disable=SC2034	# for scripts
	MOOD_MS[$1]=$NOW
}

states()
{
	list_json '[.backends[].state] | join(" ")'
}

check_text() # NAME
{
	list_json ".backends[] | select(.name == \"$1\") | .check.text"
}

says() # in lbd's log
{
	grep -q "$1" "$LAB_DIR/log/lbd.log"
}
