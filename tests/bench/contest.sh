# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the benchmarks in the lab have in common: a place for their figures, and the contest: contender after
# contender, each in a lab of its own, then again. Sourced first by each of them, brings the lab, the wires and the
# peers. What is measured, and how, is the script's business.

# shellcheck source=../harness/lab.sh
. "$(dirname "${BASH_SOURCE[0]}")/../harness/lab.sh"
# shellcheck source=peers.sh
. "$(dirname "${BASH_SOURCE[0]}")/peers.sh"
# shellcheck source=wires.sh
. "$(dirname "${BASH_SOURCE[0]}")/wires.sh"

RESULTS=	# one object of JSON a line, for report.py

results_to() # NAME: in build/bench, empty at first
{
	RESULTS=$BENCH_OUT/$1
	mkdir -p "$(dirname "$RESULTS")"
	: >"$RESULTS"
}

# Left out, and the report says why: a line of its own kind among the results.
contender_skip() # CONTENDER REASON
{
	jq -cn --arg peer "$1" --arg why "$2" '{peer: $peer, skipped: $why}' >>"$RESULTS"
	skip_one "$1" "$2"
}

# contest ROUNDS RUN CONTENDER...: RUN CONTENDER ROUND builds what it needs, measures and gives its verdict; the lab is
# taken down after it. The rounds are interleaved, so that what the machine does meanwhile hits all alike.
contest()
{
	local rounds=$1 run=$2 round contender
	shift 2
	for ((round = 1; round <= rounds; round++)); do
		for contender in "$@"; do
			if ! peer_available "$(peer_of "$contender")"; then
				[ "$round" != 1 ] || contender_skip "$contender" "$WHY"
				continue
			fi
			"$run" "$contender" "$round"
			lab_down
		done
	done
}

# One client, one mail server, the contender between them; neighbours resolved, caches warm.
way_through() # PEER SESSIONS BACKLOG: of the mail server, at most
{
	wires_up "$1"
	spawn m1 smtp-sink -u nobody -m "$2" inet:0.0.0.0:25 "$3"
	peer_start "$1"
	smtp_load c1 "$TARGET" 25 50 10 || die "$1: no mail comes through"
}
