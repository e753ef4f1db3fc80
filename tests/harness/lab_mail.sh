# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Mail servers and mail: smtp-sink and smtp-source of Postfix, what arrived, and load that goes on. Sourced by lab.sh.
# Does not know who is in between.

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

# talk_start NAME CLIENT ARGS...: real SMTP conversations (talk_tool) that go on until talks_stop; NAME tells their logs apart.
TALK_PIDS=()
talk_start()
{
	local name=$1 client=$2
	shift 2
	SPAWN_LOG=talk-$name spawn "$client" "${STEP_BACK[@]}" "$TOOLS/talk_tool" --messages 100000 --again "$@"
	TALK_PIDS+=("$SPAWNED")
}

# talks_stop: they end, each after its conversation; together, not one after the other.
talks_stop()
{
	local pid
	for pid in "${TALK_PIDS[@]}"; do
		kill -TERM "$pid"
	done
	for pid in "${TALK_PIDS[@]}"; do
		unspawn "$pid"
	done
}

# talks FILTER: jq over what all of them report
talks()
{
	grep -h '^{' "$LAB_DIR"/log/talk-*.log | jq -rs "$1"
}

# hold_start CLIENT FAMILY NOOP_SECONDS: HELD sessions that stay open and say a word now and then; one call per family.
HOLD_PIDS=()
hold_start()
{
	local vip=$VIP4
	[ "$2" = 4 ] || vip=$VIP6
	SPAWN_LOG=hold$2 spawn "$1" "$TOOLS/hold_tool" --addr "$vip" --n "$HELD" --noop-interval "$3" \
		--ready-file "$LAB_DIR/run/held$2" --quit
	HOLD_PIDS+=("$SPAWNED")
	wait_for 20 test -e "$LAB_DIR/run/held$2" || die "the sessions cannot be held"
}

# hold_stop: they end, and none may have been lost, or have changed its mail server.
hold_stop()
{
	local pid family
	for pid in "${HOLD_PIDS[@]}"; do
		unspawn "$pid" TERM
	done
	for family in 4 6; do
		is "IPv$family: $HELD held sessions: held, lost, changed" \
			"$(jq -r '"\(.held) \(.lost) \(.changed)"' "$LAB_DIR/log/hold$family.log")" "$HELD 0 0"
	done
}
