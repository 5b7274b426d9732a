#!/usr/bin/env python3
"""load.py CONNECTIONS

Talks to the server on port 21567 of this host until standard input ends: over
connections that stay open, over ever new ones, and by datagrams.  Says "ready"
when all are open, and at the end, on one line, what came of it.
"""
import errno
import select
import socket
import sys
import threading

ADDRESS = ("127.0.0.1", 21567)
PREFIX = 27  # "[Sat Nov 21 01:15:00 2026] "


class Tally:
    """What came of it; each thread has one of its own."""

    def __init__(self):
        self.replies = self.connects = self.refused = self.reset = 0
        self.wrong = self.ended = 0

    def note(self, problem):
        """Counts an error of a connection by what it says of the server."""
        if problem.errno == errno.ECONNREFUSED:
            self.refused += 1
        else:
            self.reset += 1

    def check(self, reply, message):
        """Counts a reply: right, wrong, or cut off by the end."""
        if len(reply) < PREFIX + len(message):
            self.ended += 1
        elif reply[:1] == b"[" and reply[PREFIX:] == message:
            self.replies += 1
        else:
            self.wrong += 1


def receive(sock, message):
    """A whole reply, or what came before the end."""
    reply = b""
    while len(reply) < PREFIX + len(message):
        piece = sock.recv(4096)
        if not piece:
            break
        reply += piece
    return reply


def talk_over_new_ones(tally, over):
    """Connect and one message; another, and close, when ten others are open."""
    number = 0
    socks = []
    while not over.is_set():
        number += 1
        message = b"new %d" % number
        try:
            socks.append(socket.create_connection(ADDRESS, timeout=30))
            tally.connects += 1
            talk = socks[-1:] + (socks[:1] if len(socks) > 10 else [])
            for sock in talk:
                sock.sendall(message)
                tally.check(receive(sock, message), message)
        except OSError as problem:
            tally.note(problem)
        if len(socks) > 10:
            socks.pop(0).close()


def talk_over_kept_ones(tally, over, socks):
    """A numbered message over each in turn, and its reply."""
    number = 0
    while not over.is_set():
        number += 1
        for i, sock in enumerate(socks):
            message = b"kept %d %d" % (i, number)
            if sock is None:
                continue
            try:
                sock.sendall(message)
                reply = receive(sock, message)
                tally.check(reply, message)
                if not reply:
                    socks[i] = None
            except OSError as problem:
                tally.note(problem)
                socks[i] = None


def talk_by_datagrams(tally, over):
    """One datagram at a time; a lost one is sent again, as clients do."""
    number = 0
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(ADDRESS)
    sock.settimeout(0.2)
    while not over.is_set():
        number += 1
        message = b"datagram %d" % number
        try:
            sock.send(message)
            reply = sock.recv(4096)
            while reply[PREFIX:] != message and not over.is_set():
                reply = sock.recv(4096)
            tally.check(reply, message)
        except TimeoutError:
            pass
        except OSError as problem:
            tally.note(problem)


def main():
    count = int(sys.argv[1])
    socks = [socket.create_connection(ADDRESS, timeout=30)
             for _ in range(count)]
    over = threading.Event()
    tallies = [Tally() for _ in range(3)]
    threads = [
        threading.Thread(target=talk_over_new_ones, args=(tallies[0], over)),
        threading.Thread(target=talk_over_kept_ones,
                         args=(tallies[1], over, socks)),
        threading.Thread(target=talk_by_datagrams, args=(tallies[2], over)),
    ]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    while select.select([sys.stdin], [], [])[0] and sys.stdin.readline():
        pass
    over.set()
    for thread in threads:
        thread.join()
    figures = {name: sum(getattr(tally, name) for tally in tallies)
               for name in vars(tallies[0])}
    figures["kept"] = sum(sock is not None for sock in socks)
    print(*(f"{name}={value}" for name, value in figures.items()))


main()
