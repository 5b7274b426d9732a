#!/usr/bin/env -S python3 -B
"""crowd ADDRESS PORT STAYERS VISITORS SENDERS SOURCE...

Clients of a service whose stamps name the server that made them, "[NAME ...] ".
STAYERS keep a TCP connection, VISITORS make a new one for each exchange, SENDERS
send datagrams, each one after the reply to the one before.  They take their own
addresses from SOURCEs, in turn, a sender for every few datagrams.

A number on standard input: when every client has tried that many more exchanges,
the tallies are written as a line of JSON.  At the end of the input the clients
end, and the tallies are written once more.

The tallies of each kind: answered (by each server), failed (connects that were
refused, reset or not answered), broken (exchanges without a whole reply), ended
(connections that the server ended between two exchanges), wrong (replies), and
the longest time to a reply in milliseconds.
"""

import collections
import json
import re
import select
import socket
import sys
import threading
import time

# Of a client between exchanges.  This is the pace of the load and not a wait for
# anything: no result depends on it, because go_on counts exchanges.  Without it
# the crowd would use a core whole, and visitors would use up the ports of a
# balancer, each of which is in TIME_WAIT for a minute after its exchange.
PAUSE_S = 0.02
BIND_ADDRESS_NO_PORT = 24  # IP_BIND_ADDRESS_NO_PORT of ip(7)
STREAM_S = 10  # a reply or a connect that takes longer is a failure
A_FEW = 5
DATAGRAM_S = 1  # a datagram that has no reply until then is lost
STAMPED = re.compile(rb"\[(\S+) [^\]]*\] (.*)", re.DOTALL)
KINDS = "stayers", "visitors", "senders"


class Tally:
    """What the clients of a kind have seen."""

    def __init__(self):
        self.lock = threading.Lock()
        self.answered = collections.Counter()
        self.events = collections.Counter()
        self.slowest_s = 0

    def count(self, event):
        with self.lock:
            self.events[event] += 1

    def answer(self, server, seconds):
        with self.lock:
            self.answered[server] += 1
            self.slowest_s = max(self.slowest_s, seconds)

    def report(self):
        with self.lock:
            return {"answered": dict(self.answered),
                    "slowest_ms": round(self.slowest_s * 1000),
                    **{event: self.events[event] for event in
                       ("failed", "broken", "ended", "wrong")}}


class Crowd:
    def __init__(self, target, sources):
        self.target, self.sources = target, sources
        self.tallies = {kind: Tally() for kind in KINDS}
        self.progress = threading.Condition()
        self.tries = []  # of each client
        self.ending = threading.Event()

    def step(self, number):
        with self.progress:
            self.tries[number] += 1
            self.progress.notify_all()

    def go_on(self, count):
        """Returns when every client has tried count more exchanges."""
        with self.progress:
            wanted = [tries + count for tries in self.tries]
            self.progress.wait_for(lambda: all(
                tries >= least for tries, least in zip(self.tries, wanted)))

    def report(self):
        return json.dumps({kind: tally.report()
                           for kind, tally in self.tallies.items()})


class Client(threading.Thread):
    def __init__(self, crowd, kind, number):
        super().__init__(daemon=True)
        self.crowd, self.kind, self.number = crowd, kind, number
        self.tally = crowd.tallies[kind]
        self.socket, self.sent, self.turn = None, 0, number
        crowd.tries.append(0)

    def run(self):
        while not self.crowd.ending.is_set():
            self.try_once()
            self.crowd.step(self.number)
            self.pause()
        self.leave()

    def try_once(self):
        if self.socket is None and not self.connect():
            return
        if not self.exchange() or self.kind == "visitors" or (
                self.kind == "senders" and self.sent % A_FEW == 0):
            self.leave()

    def pause(self):
        """Waits; sees whether the server ends the connection meanwhile."""
        if self.kind != "stayers" or self.socket is None:
            self.crowd.ending.wait(PAUSE_S)
        elif select.select([self.socket], [], [], PAUSE_S)[0]:
            self.tally.count("ended" if self.is_at_end() else "wrong")
            self.leave()

    def is_at_end(self):
        try:
            return not self.socket.recv(1)
        except OSError:
            return True

    def connect(self):
        datagrams = self.kind == "senders"
        source = self.crowd.sources[self.turn % len(self.crowd.sources)]
        self.turn += 1
        self.socket = socket.socket(
            socket.AF_INET,
            socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM)
        self.socket.settimeout(DATAGRAM_S if datagrams else STREAM_S)
        try:
            # One port may then serve several connections to different targets.
            self.socket.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
            self.socket.bind((source, 0))
            self.socket.connect(self.crowd.target)
            return True
        except OSError:
            self.tally.count("failed")
            self.leave()
            return False

    def exchange(self):
        """Returns whether the connection is still good."""
        self.sent += 1
        data = b"client %d message %d %s\n" % (self.number, self.sent,
                                              b"x" * (self.sent % 100))
        begin = time.monotonic()
        try:
            self.socket.sendall(data)
            reply = self.receive(data)
        except OSError:
            reply = None
        found = STAMPED.fullmatch(reply or b"")
        if found and found.group(2) == data:
            self.tally.answer(found.group(1).decode(),
                              time.monotonic() - begin)
            return True
        self.tally.count("wrong" if found else "broken")
        return self.kind == "senders"

    def receive(self, data):
        """The reply, or less of it if the connection ended.  A datagram of a
        lost exchange may come late."""
        if self.kind == "senders":
            reply = self.socket.recv(65536)
            while not reply.endswith(b"] " + data):
                reply = self.socket.recv(65536)
            return reply
        reply = b""
        while not reply.endswith(b"\n"):
            piece = self.socket.recv(65536)
            if not piece:
                break
            reply += piece
        return reply

    def leave(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def main(address, port, *rest):
    counts, sources = rest[:len(KINDS)], rest[len(KINDS):]
    crowd = Crowd((address, int(port)), sources)
    kinds = [kind for kind, count in zip(KINDS, counts)
             for _ in range(int(count))]
    clients = [Client(crowd, kind, number)
               for number, kind in enumerate(kinds)]
    for client in clients:
        client.start()
    for line in sys.stdin:
        crowd.go_on(int(line))
        print(crowd.report(), flush=True)
    crowd.ending.set()
    for client in clients:
        client.join()
    print(crowd.report(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
