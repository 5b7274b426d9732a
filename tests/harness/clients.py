"""Clients of every protocol, and the configuration that they need."""

import os
import select
import signal
import socket

from client import Client, Datagrams
from daemon import check

CONFIGURATION = """
workers = 2;
control = "FOLDER/ask";
limits: { drain_timeout = 10; };
deny_file = "FOLDER/denied";
listeners = (
	{ protocol = "tcp"; address = "127.0.0.1"; port = 0; },
	{ protocol = "tcp"; port = 0; framing = "line"; },
	{ protocol = "udp"; address = "127.0.0.1"; port = 0; },
	{ protocol = "unix"; path = "FOLDER/stream"; },
	{ protocol = "unix"; path = "FOLDER/proxied"; proxy_protocol = "require"; },
	{ protocol = "unix-dgram"; path = "FOLDER/dgram"; },
	{ protocol = "unix-seqpacket"; path = "FOLDER/seqpacket"; }EXTRA
);
"""


HEADER = b"PROXY TCP4 198.51.100.7 192.0.2.1 8080 7\r\n"


def configure(folder, extra="", head=""):
    """Writes the configuration that Clients needs; extra: more listeners, head:
    more settings."""
    with open(os.path.join(folder, "denied"), "w", encoding="ascii") as file:
        file.write("192.0.2.0/24\n")
    with open(os.path.join(folder, "conf"), "w", encoding="ascii") as file:
        file.write(head + CONFIGURATION.replace("EXTRA", extra)
                   .replace("FOLDER", folder))


def reload(server, extra=""):
    """Reloads with more listeners; returns the result that the log names."""
    since = len(server.log)
    configure(server.folder, extra)
    server.signal(signal.SIGHUP)
    return server.await_log("reloaded", "reload refused", since=since)


class Clients:
    """Clients of every protocol."""

    def __init__(self, server, places=(), datagram_places=()):
        """places, datagram_places: further (family, kind, address[, header])
        and (family, address) to connect to."""
        self.server = server
        self.streams, self.datagrams = [], []
        self.broken = 0
        stream, record = socket.SOCK_STREAM, socket.SOCK_SEQPACKET
        folder = server.folder
        chunk, line = server.port("tcp 127.0.0.1"), server.port("tcp *")
        udp = server.port("udp 127.0.0.1")
        self.places = [
            (socket.AF_UNIX, stream, f"{folder}/stream"),
            (socket.AF_UNIX, stream, f"{folder}/proxied", HEADER),
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
        """Adds a client of each stream kind."""
        self.streams += [Client(*place) for place in self.places]

    def round(self):
        """Each client sends a message and receives the reply.  Clients whose
        connection broke are counted and removed."""
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
        """Receives the outstanding replies; no connection may break."""
        for datagrams in self.datagrams:
            datagrams.hear_all()
        before = self.broken
        self.round()
        for datagrams in self.datagrams:
            datagrams.hear_all()
        check(self.broken == before, "a client was lost without a fault")

    def lost(self):
        """How many datagrams got no reply."""
        return sum(datagrams.lost for datagrams in self.datagrams)

    def close(self):
        for client in self.streams + self.datagrams:
            client.close()


def await_silence(server):
    """Waits until all connections are closed; returns the counters."""
    while True:
        counters = server.counters()
        if counters.get("open") == 0:
            return counters
        select.select([], [], [], 0)
