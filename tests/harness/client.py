"""One client, which numbers its messages and checks the replies."""

import calendar
import itertools
import os
import re
import select
import socket
import time

from daemon import LIMIT_S, check

STAMP = re.compile(rb"\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\] ")
STAMP_LEN = 27
UDP_BATCH = 8  # datagrams sent at once, so that the server batches them


def check_stamp(data):
    """Checks that data begins with a stamp of the last minutes, in UTC."""
    found = STAMP.match(data)
    check(found, "no stamp:", data[:60])
    second = calendar.timegm(time.strptime(found.group(1).decode(),
                                           "%a %b %d %H:%M:%S %Y"))
    now = time.clock_gettime(time.CLOCK_REALTIME)
    check(now - 300 < second <= now, "not the present time:", data[:60])


class Client:
    """One connection or datagram socket; broken: the server ended it.

    A Unix datagram client binds a path of its own, to receive replies.  A
    header goes in front of the first message, and has no reply.
    """

    numbers = itertools.count(1)

    def __init__(self, family, kind, address, header=b""):
        self.header = header
        self.socket = socket.socket(family, kind)
        self.socket.settimeout(LIMIT_S)
        self.kind, self.broken, self.path = kind, False, None
        self.name, self.sent, self.waiting = next(self.numbers), 0, b""
        if family == socket.AF_UNIX and kind == socket.SOCK_DGRAM:
            self.path = f"{address}-client-{self.name}"
            self.socket.bind(self.path)
        self.socket.connect(address)

    def say(self):
        self.sent += 1
        self.waiting = b"client %d message %d\n" % (self.name, self.sent)
        try:
            self.socket.sendall(self.header + self.waiting)
        except OSError as problem:
            self.lose(problem)
        self.header = b""

    def lose(self, problem=None):
        """Called when the connection breaks; problem: None at its end."""
        self.broken = True

    def receive(self, size):
        """Returns up to size bytes; none: the connection is broken."""
        try:
            data = self.socket.recv(size)
        except ConnectionError as problem:
            self.lose(problem)
            return b""
        if not data:
            self.lose()
        return data

    def check_stamp(self, data):
        check_stamp(data)

    def hear(self):
        """Checks the reply to the last message, up to the end if it breaks."""
        wanted, data = STAMP_LEN + len(self.waiting), b""
        while len(data) < wanted and not self.broken:
            data += self.receive(wanted - len(data) if
                                 self.kind == socket.SOCK_STREAM else 65536)
        if data:
            if len(data) >= STAMP_LEN:
                self.check_stamp(data)
            rest = data[STAMP_LEN:]
            check(self.waiting.startswith(rest) and
                  (self.broken or rest == self.waiting),
                  "a wrong reply:", data, "to", self.waiting)

    def talk(self):
        self.say()
        self.hear()

    def close(self):
        self.socket.close()
        if self.path is not None:
            os.unlink(self.path)
            self.path = None


class Datagrams:
    """A datagram client.  A reply may be lost, but must not be wrong."""

    def __init__(self, family, address):
        self.client = Client(family, socket.SOCK_DGRAM, address)
        self.wanted, self.lost = [], 0
        # The kernel queues only a few replies for a Unix client.
        self.batch = 1 if family == socket.AF_UNIX else UDP_BATCH

    def say(self):
        for _ in range(self.batch):
            self.client.say()
            self.wanted.append(self.client.waiting)

    def hear(self):
        """Receives one reply; the replies expected before it count as lost."""
        try:
            data = self.client.socket.recv(65536)
        except TimeoutError:
            check(False, "no reply at", self.client.socket, "to any of",
                  self.wanted)
        check_stamp(data)
        check(data[STAMP_LEN:] in self.wanted, "a wrong reply:", data)
        place = self.wanted.index(data[STAMP_LEN:])
        self.lost += place
        del self.wanted[:place + 1]

    def hear_some(self):
        """Receives what has arrived, so that the kernel's queue stays short."""
        while select.select([self.client.socket], [], [], 0)[0]:
            self.hear()

    def hear_all(self):
        """Receives until nothing is expected.  Sends more messages first: the
        replies to them show which earlier ones were lost."""
        self.say()
        while self.wanted:
            self.hear()

    def close(self):
        self.client.close()
