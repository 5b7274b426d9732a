# Completion for timestampd(8) in bash.

# What follows the last colon: readline completes that alone, as long as a colon
# is among its word breaks.
_timestampd_reply()
{
	local cut=''
	[[ $COMP_WORDBREAKS != *:* || $1 != *:* ]] || cut=${1%:*}:
	COMPREPLY=("${COMPREPLY[@]#"$cut"}")
}

_timestampd_spec()
{
	case $1 in
	unix:* | unix-dgram:* | unix-seqpacket:*)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -P "${1%%:*}:" -- "${1#*:}")
		;;
	*)
		compopt -o nospace 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -W 'tcp: udp: unix: unix-dgram:
			unix-seqpacket:' -- "$1")
		;;
	esac
	_timestampd_reply "$1"
}

# The words of the line itself, since those of COMP_WORDS end at colons.
_timestampd()
{
	local line=${COMP_LINE:0:COMP_POINT} words word
	word=${line##*[[:space:]]}
	read -ra words <<<"${line%"$word"}"
	case ${words[-1]} in
	-c | --config)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		;;
	-o | --option) ;;
	-l | --listen)
		_timestampd_spec "$word"
		;;
	*)
		mapfile -t COMPREPLY < <(compgen -W '-c --config -l --listen
			-r --reload -s --status -j --json -t --test
			-d --debug -o --option -T --show -V --version
			-h --help' -- "$word")
		;;
	esac
}

complete -F _timestampd timestampd
