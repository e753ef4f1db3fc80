#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs the Debian packages that are missing and leaves a stamp, so that make asks only once.
# Usage: install-packages.sh STAMP PACKAGE...
# Only what is missing needs root and the network. Nothing is configured and no daemon is
# started: of Postfix we use two test programs, its mail system stays asleep.
set -euo pipefail

if [ $# -lt 2 ]; then
	echo "usage: ${0##*/} STAMP PACKAGE..." >&2
	exit 2
fi
stamp=$1
shift

missing=()
for package in "$@"; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$status" = installed ] || missing+=("$package")
done

if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "these packages are missing: ${missing[*]}" >&2
		echo "install them as root: sudo apt-get install ${missing[*]}" >&2
		exit 1
	fi
	echo "  APT     ${missing[*]}"
	# RUNLEVEL=1: invoke-rc.d starts nothing in single-user mode.
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	if [[ " ${missing[*]} " == *" postfix "* ]]; then
		echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
	fi
	if ! { apt-get -q update && apt-get -q -y --no-install-recommends install "${missing[@]}"; } >"$log" 2>&1; then
		tail -n 30 "$log" >&2
		echo "apt-get could not install: ${missing[*]}" >&2
		exit 1
	fi
fi

mkdir -p "$(dirname "$stamp")"
touch "$stamp"
