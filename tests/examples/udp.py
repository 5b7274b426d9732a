#!/usr/bin/env python3
"""udp.py HOST PORT TEXT: sends TEXT to a timestamp server, prints its reply."""
import socket
import sys

if len(sys.argv) != 4:
    sys.exit("usage: udp.py HOST PORT TEXT")
host, port, text = sys.argv[1:]
try:
    family, kind, *_, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_DGRAM)[0]  # only the first is tried
    with socket.socket(family, kind) as server:
        server.connect(address)  # only replies of this server count
        server.settimeout(2)  # a datagram may get lost
        server.send(text.encode())
        sys.stdout.buffer.write(server.recv(65536))
except TimeoutError:
    sys.exit("udp.py: no reply")
except OSError as problem:
    sys.exit(f"udp.py: {problem}")
