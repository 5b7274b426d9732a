#!/usr/bin/env python3
"""tcp.py HOST PORT TEXT: sends TEXT to a timestamp server, prints its reply."""
import socket
import sys

if len(sys.argv) != 4:
    sys.exit("usage: tcp.py HOST PORT TEXT")
host, port, text = sys.argv[1:]
reply = b""
try:
    with socket.create_connection((host, port)) as server:
        server.sendall(text.encode())
        server.shutdown(socket.SHUT_WR)  # nothing more comes
        while piece := server.recv(4096):  # a reply may come in pieces
            reply += piece
except OSError as problem:
    sys.exit(f"tcp.py: {problem}")
if not reply:
    sys.exit("tcp.py: no reply")
sys.stdout.buffer.write(reply)
