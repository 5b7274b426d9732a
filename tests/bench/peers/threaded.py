#!/usr/bin/env python3
"""The usual timestamp server in Python: a thread for each client."""

import socket
import sys
import threading
import time


def serve(client):
    with client:
        while data := client.recv(65536):
            stamp = time.ctime().encode()
            client.sendall(b"[" + stamp + b"] " + data)


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(f"listening on tcp 127.0.0.1:{listener.getsockname()[1]}",
          file=sys.stderr, flush=True)
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(client,), daemon=True).start()


main()
