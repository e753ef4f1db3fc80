# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion of lbctl for bash. The words are those of the tables in cli/lbctl.c; names of backends and
# services come from the daemon, and where none answers there are none.

_lbctl_names() {
	# The arguments are a command that lists. Only what we want is in a field called "name".
	lbctl "${_lbctl_socket[@]}" "$@" --json 2>/dev/null | sed -n 's/^ *"name": "\([^"\\]*\)",*$/\1/p'
}

_lbctl_options() {
	local global="--socket --json --color --help --version"

	case $1 in
	flows)		echo "--backend --limit $global" ;;
	events)		echo "--follow $global" ;;
	add)		echo "--service --weight --max-conns $global" ;;
	set)		echo "--weight --max-conns $global" ;;
	drain)		echo "--wait --deadline $global" ;;
	remove)		echo "--now $global" ;;
	attach)		echo "--mode $global" ;;
	"service add")	echo "--vip --port --mode --scheduler --refuse --check --agent $global" ;;
	*)		echo "$global" ;;
	esac
}

# Values of the option $2 of the command $1; 1 when it takes none.
_lbctl_values() {
	case $2 in
	--color)	echo "auto always never" ;;
	--mode)		if [[ $1 == attach ]]; then echo "auto native generic"; else echo "nat dsr"; fi ;;
	--scheduler)	echo "least-inflight least-conn maglev round-robin random" ;;
	--refuse)	echo "reset drop reply" ;;
	--check)	echo "tcp none greeting ehlo starttls tls rcpt canary" ;;
	--backend)	_lbctl_names list ;;
	--service)	_lbctl_names service list ;;
	--port)		echo "25 25,587 25,465,587" ;;
	--agent)	echo "9707" ;;
	--deadline)	echo "30s 10m 1h" ;;
	--vip|--weight|--max-conns|--limit) ;;
	*)		return 1 ;;
	esac
}

# The word at place $2 of the command $1.
_lbctl_words() {
	case $1:$2 in
	:0)		echo "status list flows events stats add set drain enable remove check service attach detach reload save version" ;;
	service:1)	echo "add remove list" ;;
	set:1|drain:1|enable:1|remove:1|check:1)
			_lbctl_names list ;;
	"service remove:2")
			_lbctl_names service list ;;
	attach:1|detach:1)
			ls /sys/class/net 2>/dev/null ;;
	esac
}

_lbctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command="" word values i places=0
	local -a _lbctl_socket=()

	# bash takes "--mode=nat" apart at the "=".
	if [[ $cur == "=" ]]; then
		cur=""
	elif [[ $prev == "=" ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--socket)
			[[ ${COMP_WORDS[i + 1]} == "=" ]] && ((i++))
			((i++))
			_lbctl_socket=(--socket "${COMP_WORDS[i]/#\~/$HOME}") ;;
		--color|--mode|--vip|--port|--scheduler|--refuse|--check|--agent|--service|--weight|--max-conns|--deadline|--backend|--limit)
			[[ ${COMP_WORDS[i + 1]} == "=" ]] && ((i++))
			((i++)) ;;
		-*|=)	;;
		*)
			((places++))
			if ((places == 1)); then
				command=$word
			elif ((places == 2)) && [[ $command == service ]]; then
				command="service $word"
			fi ;;
		esac
	done
	if [[ $prev == --socket ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
	fi
	if values=$(_lbctl_values "$command" "$prev"); then
		:
	elif [[ $cur == -* ]]; then
		values=$(_lbctl_options "$command")
	else
		values=$(_lbctl_words "$command" "$places")
	fi
	# shellcheck disable=SC2207	# none of these words has a blank in it
	COMPREPLY=($(compgen -W "$values" -- "$cur"))
}

complete -F _lbctl lbctl
