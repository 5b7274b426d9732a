"""Lists of clients, whose addresses are those of other hosts."""

import socket
import time

from daemon import LIMIT_S, check

LISTENERS = """listeners = ( { protocol = "tcp"; port = 0; },
                { protocol = "udp"; port = 0; } );
"""
HELLO = b"hello"


def await_counter(server, name, value):
    end = time.monotonic() + LIMIT_S
    while (now := server.counters()[name]) != value:
        check(time.monotonic() < end, name, "is", now, "not", value)


class Place:
    """A server on a host, and two clients on others."""

    def __init__(self, lab, lists):
        self.here, self.denied, self.other = map(
            lab.host, ("here", "denied", "other"))
        lab.switch(self.here, self.denied, self.other)
        self.server = self.here.server(lists.format(
            denied=self.denied.address, denied6=self.denied.address6)
            + LISTENERS)

    def connect(self, host, kind, address, source=None):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        client = host.socket(family, kind)
        if source is not None:
            client.bind((source, 0))
        name = "tcp *" if kind == socket.SOCK_STREAM else "udp *"
        client.connect((address, self.server.port(name)))
        return client

    def check_served(self, host, address, source=None):
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
            client = self.connect(host, kind, address, source)
            client.send(HELLO)
            reply = client.recv(100)
            check(reply.endswith(b"] " + HELLO), host.name, address, reply)
            client.close()

    def check_refused(self, host, address, source=None):
        before = self.server.counters()
        try:
            client = self.connect(host, socket.SOCK_STREAM, address, source)
            client.send(HELLO)
            data = client.recv(100)
            check(data == b"", host.name, "gets", data)
        except (ConnectionResetError, BrokenPipeError):
            pass
        self.connect(host, socket.SOCK_DGRAM, address, source).send(HELLO)
        for name in "closed_denied", "dropped_denied":
            await_counter(self.server, name, before[name] + 1)


def test_a_denied_host_is_refused_in_both_families(lab):
    """The other one on its network is served, as both are without lists."""
    place = Place(lab, 'deny = [ "{denied}", "{denied6}" ];\n')
    for address in place.here.address, place.here.address6:
        place.check_refused(place.denied, address)
        place.check_served(place.other, address)
    place.server.stop()


def test_the_longest_network_decides(lab):
    """One host of a denied network is allowed, and nobody else."""
    place = Place(lab, 'deny = [ "10.77.1.0/24", "fd77:1::/64" ];\n'
                  'allow = [ "{denied}", "{denied6}", "10.77.0.0/16" ];\n')
    for address in place.here.address, place.here.address6:
        place.check_served(place.denied, address)
        place.check_refused(place.other, address)
    second = "10.77.2.9"
    place.other.run("ip", "address", "add", second + "/24", "dev", "eth0")
    place.here.run("ip", "address", "add", "10.77.2.1/24", "dev", "eth0")
    place.check_served(place.other, "10.77.2.1", source=second)
    place.server.stop()


def test_a_client_behind_nat64_has_its_ipv4_address(lab):
    place = Place(lab, 'deny = [ "192.0.2.0/24", "::/0" ];\n'
                  'allow = [ "192.0.2.8" ];\n')
    for host, source in ((place.here, "64:ff9b::10.0.0.1"),
                         (place.denied, "64:ff9b::192.0.2.7"),
                         (place.other, "64:ff9b::192.0.2.8")):
        host.run("ip", "address", "add", source + "/96", "dev", "eth0", "nodad")
    place.check_refused(place.denied, "64:ff9b::10.0.0.1")
    place.check_served(place.other, "64:ff9b::10.0.0.1")
    place.check_refused(place.other, place.here.address6)
    place.server.stop()
