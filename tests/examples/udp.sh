#!/bin/bash
# udp.sh HOST PORT LINE: sends LINE to a timestamp server, prints its reply.
if [ $# -ne 3 ]; then
	echo "usage: udp.sh HOST PORT LINE" >&2
	exit 1
fi
# bash's printf writes line by line, each as a datagram, and of nothing none.
if [ -z "$3" ] || [[ $3 == *$'\n'* ]]; then
	echo "udp.sh: LINE has to be one line, and not empty" >&2
	exit 1
fi
exec 3<>"/dev/udp/$1/$2" || exit 1 # bash has said why
printf '%s' "$3" >&3
# dd reads once: a datagram.  The reply may get lost: wait two seconds.
timeout 2 dd bs=65536 count=1 status=none <&3 || {
	echo "udp.sh: no reply" >&2
	exit 1
}
