#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# All benchmarks in one go, or the quick ones, or the mail run; then the report. Results of an earlier run are
# removed first, so that the report never mixes two.
#
# Usage: bench.sh all|quick|mail
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
OUT=$BUILD/bench
HERE=tests/bench
PATH=$PATH:/usr/sbin:/sbin
failed=0

case ${1:-} in
all | quick | mail) ;;
*)
	echo "usage: bench.sh all|quick|mail" >&2
	exit 2
	;;
esac
[ "$(id -u)" = 0 ] || {
	echo "bench.sh: needs root: it makes network namespaces and loads programs" >&2
	exit 1
}
mkdir -p "$OUT"
rm -rf "$OUT"/{conf,mail} "$OUT"/*.{json,jsonl,png,md} "$OUT/commands.txt"

# run [NAME=VALUE...] COMMAND...: and remember how
run()
{
	echo "$*" >>"$OUT/commands.txt"
	echo "--- $*"
	env "$@" || {
		failed=1
		echo "bench.sh: failed: $*" >&2
	}
}

case $1 in
all)
	run "$OUT/packet_bench" --json "$OUT/packet.json"
	run "$HERE/pps.sh"
	run "$HERE/sessions.sh"
	run "$HERE/latency.sh"
	run "$HERE/control.sh"
	run "$HERE/mail.sh"
	;;
quick)
	run "$OUT/packet_bench" --json "$OUT/packet.json" --quick --rounds 7
	run PPS_ROUNDS=3 PPS_SECONDS=0.5 "$HERE/pps.sh"
	run SESSIONS_ROUNDS=2 SESSIONS_SHAPES="1x1024x2000 100x1024x40" "$HERE/sessions.sh" direct redirect mailxdp-nat nft haproxy nginx
	;;
mail) run "$HERE/mail.sh" ;;
esac
/usr/bin/python3 "$HERE/report.py" "$OUT"
exit "$failed"
