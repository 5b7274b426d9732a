# Completion for timestampc(1) in bash.

_timestampc_target()
{
	local cut=''
	case $1 in
	unix:* | unix-dgram:* | unix-seqpacket:*)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -P "${1%%:*}:" -- "${1#*:}")
		;;
	tcp:* | udp:*)
		mapfile -t COMPREPLY < <(compgen -A hostname -P "${1%%:*}:" \
			-- "${1#*:}")
		;;
	*)
		compopt -o nospace 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -W 'tcp: udp: unix: unix-dgram:
			unix-seqpacket:' -- "$1"; compgen -A hostname -- "$1")
		;;
	esac
	# Readline completes what follows the last colon, as long as a colon is
	# among its word breaks.
	[[ $COMP_WORDBREAKS != *:* || $1 != *:* ]] || cut=${1%:*}:
	COMPREPLY=("${COMPREPLY[@]#"$cut"}")
}

# The words of the line itself, since those of COMP_WORDS end at colons.
_timestampc()
{
	local line=${COMP_LINE:0:COMP_POINT} words word
	word=${line##*[[:space:]]}
	read -ra words <<<"${line%"$word"}"
	case ${words[-1]} in
	-S | --spool)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		return
		;;
	-[1cdGIlwW] | --max-loss | --max-rtt | --max-offset | --offset)
		return
		;;
	esac
	case $word in
	-*)
		mapfile -t COMPREPLY < <(compgen -W '-4 -6 -j --json -q --quiet -v
			--verbose -W -i -s -w -G -S --spool -P --ping -A -c -I
			-l -d --max-loss --max-rtt --max-offset --offset -1 -V
			--version -h --help' -- "$word")
		;;
	*)
		_timestampc_target "$word"
		;;
	esac
}

complete -F _timestampc timestampc
