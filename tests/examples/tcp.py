#!/usr/bin/env python3
"""tcp.py HOST PORT LINE: sends LINE to a timestamp server, prints its reply."""
import socket
import sys

if len(sys.argv) != 4:
    sys.exit("usage: tcp.py HOST PORT LINE")
host, port, line = sys.argv[1:]
reply = b""
try:
    with socket.create_connection((host, port)) as server:
        server.sendall(line.encode() + b"\n")
        server.shutdown(socket.SHUT_WR)  # nothing more comes
        while piece := server.recv(4096):  # a reply may come in pieces
            reply += piece
except OSError as problem:
    sys.exit(f"tcp.py: {problem}")
sys.stdout.buffer.write(reply)
if not reply.endswith(b"\n"):
    sys.exit(f"tcp.py: {'half a' if reply else 'no'} reply")
