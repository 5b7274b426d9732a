#!/bin/bash
# tcp.sh HOST PORT LINE: sends LINE to a timestamp server, prints its reply.
if [ $# -ne 3 ]; then
	echo "usage: tcp.sh HOST PORT LINE" >&2
	exit 1
fi
exec 3<>"/dev/tcp/$1/$2" || exit 1 # bash has said why
printf '%s\n' "$3" >&3
# bash cannot say that nothing more comes, so the newline ends the reply.
if ! IFS= read -r reply <&3; then
	printf '%s' "$reply"
	[ -n "$reply" ] && came="half a reply" || came="no reply"
	echo "tcp.sh: $came" >&2
	exit 1
fi
printf '%s\n' "$reply"
