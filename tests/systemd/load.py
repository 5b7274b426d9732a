#!/usr/bin/env -S python3 -B
"""load.py CONNECTIONS

Talks to the server at port 21567 of this host until standard input ends: over
CONNECTIONS that stay open, over new ones, and with datagrams.  Prints "ready"
when all are open, and at the end one line with its counts.
"""
import errno
import os
import select
import socket
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "harness"))

from client import STAMP, STAMP_LEN, Client  # noqa: E402
from daemon import Failure, check  # noqa: E402

ADDRESS = ("127.0.0.1", 21567)
OPEN_MAX = 10  # new connections that are open at a time
RESEND_S = 0.2


class Tally:
    """The counts of one thread."""

    def __init__(self):
        self.replies = self.connects = self.refused = self.reset = 0
        self.wrong = self.ended = 0

    def note(self, problem):
        """Counts a failure of a connection; None: the server closed it."""
        if problem is None:
            self.ended += 1
        elif problem.errno == errno.ECONNREFUSED:
            self.refused += 1
        else:
            self.reset += 1


class Visitor(Client):
    """A client that counts failures and continues."""

    def __init__(self, tally, kind=socket.SOCK_STREAM):
        self.tally = tally
        super().__init__(socket.AF_INET, kind, ADDRESS)

    def check_stamp(self, data):
        """Checks the form only: the service may have another time zone."""
        check(STAMP.match(data), "no stamp:", data[:60])

    def lose(self, problem=None):
        super().lose(problem)
        self.tally.note(problem)

    def talk(self):
        try:
            super().talk()
            self.tally.replies += not self.broken
        except Failure:
            self.tally.wrong += 1
        except OSError as problem:
            self.lose(problem)


def talk_over_new_ones(tally, over):
    """Repeats: opens a connection and sends one message; if more than OPEN_MAX
    are open, sends one more over the oldest and closes it."""
    visitors = []
    while not over.is_set():
        try:
            visitors.append(Visitor(tally))
        except OSError as problem:
            tally.note(problem)
            continue
        tally.connects += 1
        visitors[-1].talk()
        if len(visitors) > OPEN_MAX:
            visitors[0].talk()
            visitors.pop(0).close()


def talk_over_kept_ones(over, kept):
    """Talks over one connection after the other."""
    while not over.is_set():
        for visitor in kept:
            if not visitor.broken:
                visitor.talk()


def talk_by_datagrams(tally, over):
    """Sends one datagram at a time; after RESEND_S without a reply, the next."""
    visitor = Visitor(tally, socket.SOCK_DGRAM)
    visitor.socket.settimeout(RESEND_S)
    while not over.is_set():
        visitor.say()
        try:
            reply = visitor.socket.recv(4096)
            while (reply[STAMP_LEN:] != visitor.waiting and
                   not over.is_set()):
                reply = visitor.socket.recv(4096)
            visitor.check_stamp(reply)
            tally.replies += 1
        except TimeoutError:
            pass
        except Failure:
            tally.wrong += 1
        except OSError as problem:
            tally.note(problem)


def main():
    count = int(sys.argv[1])
    over = threading.Event()
    tallies = [Tally() for _ in range(3)]
    kept = [Visitor(tallies[1]) for _ in range(count)]
    threads = [
        threading.Thread(target=talk_over_new_ones, args=(tallies[0], over)),
        threading.Thread(target=talk_over_kept_ones, args=(over, kept)),
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
    figures["kept"] = sum(not visitor.broken for visitor in kept)
    print(*(f"{name}={value}" for name, value in figures.items()))


main()
