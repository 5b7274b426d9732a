"""Clients that number their messages and know what must come back."""

import calendar
import os
import re
import select
import socket
import time

from server import LIMIT_S, check

STAMP = re.compile(rb"\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\] ")
STAMP_LEN = 27
UDP_BURST = 8  # datagrams at a time, for the server to take in together

CONFIGURATION = """
workers = 2;
limits: { drain_timeout = 10; };
listeners = (
	{ protocol = "tcp"; address = "127.0.0.1"; port = 0; },
	{ protocol = "tcp"; port = 0; framing = "line"; },
	{ protocol = "udp"; address = "127.0.0.1"; port = 0; },
	{ protocol = "unix"; path = "FOLDER/stream"; },
	{ protocol = "unix-dgram"; path = "FOLDER/dgram"; },
	{ protocol = "unix-seqpacket"; path = "FOLDER/seqpacket"; }EXTRA
);
"""


def configure(folder, extra=""):
    """Writes the configuration that Clients wants; extra: more listeners."""
    with open(os.path.join(folder, "conf"), "w", encoding="ascii") as file:
        file.write(CONFIGURATION.replace("EXTRA", extra)
                   .replace("FOLDER", folder))


def check_stamp(data):
    """That data begins with a stamp of about now, in UTC."""
    found = STAMP.match(data)
    check(found, "no stamp:", data[:60])
    second = calendar.timegm(time.strptime(found.group(1).decode(),
                                           "%a %b %d %H:%M:%S %Y"))
    now = time.clock_gettime(time.CLOCK_REALTIME)
    check(now - 300 < second <= now, "not of now:", data[:60])


class Client:
    """One connection; broken when the server ended it."""

    count = 0

    def __init__(self, family, kind, address):
        self.socket = socket.socket(family, kind)
        self.socket.settimeout(LIMIT_S)
        self.kind, self.broken, self.path = kind, False, None
        Client.count += 1
        self.name, self.sent, self.waiting = Client.count, 0, b""
        if family == socket.AF_UNIX and kind == socket.SOCK_DGRAM:
            self.path = f"{address}-client-{self.name}"
            self.socket.bind(self.path)
        self.socket.connect(address)

    def say(self):
        self.sent += 1
        self.waiting = b"client %d message %d\n" % (self.name, self.sent)
        try:
            self.socket.sendall(self.waiting)
        except OSError:
            self.broken = True

    def receive(self, size):
        """Up to size bytes; none: it is broken."""
        try:
            data = self.socket.recv(size)
        except ConnectionError:
            data = b""
        self.broken = self.broken or not data
        return data

    def hear(self):
        """The reply to what was said, unless the connection breaks."""
        wanted, data = STAMP_LEN + len(self.waiting), b""
        while len(data) < wanted and not self.broken:
            data += self.receive(wanted - len(data) if
                                 self.kind == socket.SOCK_STREAM else 65536)
        if data:
            if len(data) >= STAMP_LEN:
                check_stamp(data)
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
    """One datagram client, whose replies may be lost but not wrong."""

    def __init__(self, family, address):
        self.client = Client(family, socket.SOCK_DGRAM, address)
        self.wanted, self.lost = [], 0
        # The kernel queues few replies for a Unix client.
        self.burst = 1 if family == socket.AF_UNIX else UDP_BURST

    def say(self):
        for _ in range(self.burst):
            self.client.say()
            self.wanted.append(self.client.waiting)

    def hear(self):
        """The next reply; all before it that were asked for are lost."""
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
        """What is there: the kernel keeps only so many."""
        while select.select([self.client.socket], [], [], 0)[0]:
            self.hear()

    def hear_all(self):
        """With the help of more, which the server is not to lose."""
        self.say()
        while self.wanted:
            self.hear()

    def close(self):
        self.client.close()


class Clients:
    """Clients of every protocol."""

    def __init__(self, server, places=(), datagram_places=()):
        """places: (family, kind, address), (family, address) of more."""
        self.server = server
        self.streams, self.datagrams = [], []
        self.broken = 0
        stream, record = socket.SOCK_STREAM, socket.SOCK_SEQPACKET
        folder = server.folder
        chunk, line = server.port("tcp 127.0.0.1"), server.port("tcp *")
        udp = server.port("udp 127.0.0.1")
        self.places = [
            (socket.AF_UNIX, stream, f"{folder}/stream"),
            (socket.AF_UNIX, record, f"{folder}/seqpacket")]
        for port in chunk, line:
            if port is not None:
                self.places.append((socket.AF_INET, stream,
                                    ("127.0.0.1", port)))
        self.places += places
        self.grow()
        datagram_places = [(socket.AF_UNIX, f"{folder}/dgram"),
                           *datagram_places]
        if udp is not None:
            datagram_places.append((socket.AF_INET, ("127.0.0.1", udp)))
        self.datagrams = [Datagrams(*place) for place in datagram_places]

    def grow(self):
        """One client more of each kind."""
        self.streams += [Client(*place) for place in self.places]

    def round(self):
        """Everyone says something, and hears the reply."""
        for client in self.streams + self.datagrams:
            client.say()
        for client in self.streams:
            client.hear()
        for datagrams in self.datagrams:
            datagrams.hear_some()
        for client in [c for c in self.streams if c.broken]:
            self.broken += 1
            self.streams.remove(client)
            client.close()

    def settle(self):
        """Hears what is left; nothing may fail any more."""
        for datagrams in self.datagrams:
            datagrams.hear_all()
        before = self.broken
        self.round()
        for datagrams in self.datagrams:
            datagrams.hear_all()
        check(self.broken == before, "a client was lost without a fault")

    def lost(self):
        """Datagrams without a reply."""
        return sum(datagrams.lost for datagrams in self.datagrams)

    def close(self):
        for client in self.streams + self.datagrams:
            client.close()


def await_silence(server):
    """Until every connection is counted as closed; returns the counters."""
    while True:
        counters = server.counters()
        if counters.get("open") == 0:
            return counters
        select.select([], [], [], 0)
