#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs the tests, tier after tier, and counts. Usage: tests/run.sh [FILE...]; without files: all.
#
# A file is a program that says TAP (`ok 1 - sentence`; cmocka speaks it too) and ends with 0, or with 77 when it
# cannot run here. One line per file that passes; a file that fails is shown in full. A file that crashes, is
# too slow, or ends with an error that none of its tests owns up to, is one failure more.
# Everything said goes to build/test-logs/. The last line is always `N passed, N failed, N skipped`.
# TEST_TIMEOUT: seconds per file, 120; LONG=1 runs the full counts, and gives each file 1800.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
LOGS=build/test-logs
LONG=${LONG:-0}
TIMEOUT=${TEST_TIMEOUT:-$([ "$LONG" = 1 ] && echo 1800 || echo 120)}
export LONG CMOCKA_MESSAGE_OUTPUT=TAP
PASSED=0 FAILED=0 SKIPPED=0

skip_reason()
{
	sed -n 's/.*# *SKIP *//p' "$1" | head -n 1
}

run_file()
{
	local file=$1 log rc start=$EPOCHREALTIME seconds ok bad skipped why=
	log=$LOGS/$(tr / - <<<"${file#build/}").log
	# Leak reports are the point of the sanitizer build; they end a program with 23.
	{
		ASAN_OPTIONS=exitcode=23 UBSAN_OPTIONS=print_stacktrace=1 \
			timeout -k 10 "$TIMEOUT" "./$file" >"$log" 2>&1 </dev/null
		rc=$?
	} 2>/dev/null # where bash itself mourns those who died by a signal
	seconds=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
	# cmocka says "not ok 3 # SKIP name" of what it skips.
	skipped=$(grep -cE '^(not )?ok [0-9]+ .*# *SKIP' "$log")
	ok=$(grep -E '^ok [0-9]+' "$log" | grep -cvE '# *SKIP')
	bad=$(grep -E '^not ok [0-9]+' "$log" | grep -cvE '# *SKIP')
	case $rc in
	0) [ $((ok + bad + skipped)) -gt 0 ] || why="reported no result" ;;
	77)
		[ "$ok$bad$skipped" = 000 ] && skipped=1
		;;
	124 | 137) why="was not done after $TIMEOUT s" ;;
	*) [ "$bad" -gt 0 ] && [ "$rc" -lt 126 ] && [ "$rc" != 23 ] || why="ended with exit code $rc" ;;
	esac
	[ -z "$why" ] || bad=$((bad + 1))
	PASSED=$((PASSED + ok)) FAILED=$((FAILED + bad)) SKIPPED=$((SKIPPED + skipped))
	if [ "$bad" -gt 0 ]; then
		printf '  FAIL    %-34s %3d passed, %d failed, %s s%s\n' "$file" "$ok" "$bad" "$seconds" "${why:+: it $why}"
		sed 's/^/          | /' "$log"
	elif [ "$ok" = 0 ] && [ "$skipped" -gt 0 ]; then
		printf '  SKIP    %-34s %s\n' "$file" "$(skip_reason "$log")"
	else
		printf '  PASS    %-34s %3d passed%s, %s s\n' "$file" "$ok" \
			"$([ "$skipped" = 0 ] || echo ", $skipped skipped ($(skip_reason "$log"))")" "$seconds"
	fi
}

# tier NAME NEEDS FILE...: NEEDS is "root" or "-".
run_tier()
{
	local name=$1 needs=$2 file
	shift 2
	[ $# -gt 0 ] || return 0
	echo "$name"
	if [ "$needs" = root ] && [ "$(id -u)" != 0 ]; then
		SKIPPED=$((SKIPPED + $#))
		echo "  SKIP    $# files: they need root (sudo make test)"
		return 0
	fi
	for file in "$@"; do
		run_file "$file"
	done
}

shopt -s nullglob
mkdir -p "$LOGS"
if [ ! -w "$LOGS" ]; then
	echo "$LOGS belongs to somebody else, perhaps root: the logs of this run are lost"
	LOGS=$(mktemp -d)
	trap 'rm -rf "$LOGS"' EXIT
fi
if [ $# -gt 0 ]; then
	for file in "$@"; do
		file=${file#"$PWD/"}
		if [ -x "$file" ]; then
			run_file "$file"
		else
			FAILED=$((FAILED + 1))
			echo "  FAIL    $file: no such program"
		fi
	done
else
	run_tier "unit tests" - build/tests/*_test
	run_tier "unit tests, with sanitizers" - build/san/tests/*_test
	run_tier "packet tests" root build/tests/bpf/*_test
	run_tier "end to end" root tests/e2e/[0-9][0-9]-*.sh
fi
echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
[ "$FAILED" = 0 ] && [ "$PASSED" -gt 0 ]
