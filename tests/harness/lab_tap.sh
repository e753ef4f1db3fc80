# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Results, as TAP on stdout: sentences that hold or do not, notes, what was skipped and why. Sourced by lab.sh.
# Knows nothing of the lab.
# shellcheck disable=SC2034 # TAP_END is for lab_exit

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
