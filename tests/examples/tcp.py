#!/usr/bin/env python3
"""tcp.py HOST PORT TEXT: sends TEXT to a timestamp server, prints its reply."""
import socket
import sys

if len(sys.argv) != 4:
    sys.exit("usage: tcp.py HOST PORT TEXT")
host, port, text = sys.argv[1:]
try:
    with socket.create_connection((host, int(port))) as server:
        server.sendall(text.encode())
        server.shutdown(socket.SHUT_WR)  # nothing more comes
        while piece := server.recv(4096):  # a reply may come in pieces
            sys.stdout.buffer.write(piece)
except OSError as problem:
    sys.exit(f"tcp.py: {problem}")
