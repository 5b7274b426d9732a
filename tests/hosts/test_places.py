"""Connections that one address may have open, also over a restart."""

import os
import select
import signal
import socket
import time

from daemon import LIMIT_S, check
from manager import Manager

TCP = 'listeners = ( { protocol = "tcp"; port = 0; } );\n'
HELLO = b"hello"


def limits(most, more=""):
    return f"limits: {{ max_connections_per_address = {most}; {more} }};\n{TCP}"


def connect(host, address, port, source=None):
    """A connection from host; source: an address of host's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    client = host.socket(family, socket.SOCK_STREAM)
    if source is not None:
        client.bind((source, 0))
    client.connect((address, port))
    return client


def is_served(client):
    """Whether the server answers; else it has ended the connection."""
    try:
        client.sendall(HELLO)
        return client.recv(100).endswith(b"] " + HELLO)
    except (ConnectionResetError, BrokenPipeError):
        return False


class Place:
    """A server on a host, and clients on others."""

    def __init__(self, lab, configuration, **options):
        self.here, self.crowd, self.other = map(
            lab.host, ("here", "crowd", "other"))
        lab.switch(self.here, self.crowd, self.other)
        self.server = self.here.server(configuration, **options)
        self.port = self.server.port("tcp *")

    def connect(self, host, address=None, source=None):
        return connect(host, address or self.here.address, self.port, source)

    def fill(self, count, **options):
        """count connections of the crowd, which are all served."""
        clients = [self.connect(self.crowd, **options) for _ in range(count)]
        for number, client in enumerate(clients):
            check(is_served(client), "connection", number, "is not served")
        return clients

    def check_full(self, **options):
        try:
            client = self.connect(self.crowd, **options)
        except ConnectionResetError:
            return  # already
        check(not is_served(client), "one too many is served")

    def check_room(self, host, **options):
        client = self.connect(host, **options)
        check(is_served(client), "a client of", host.name, "is not served",
              options)
        return client

    def reload(self, configuration):
        path = os.path.join(self.server.folder, "conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write('control = "";\n' + configuration)
        since = len(self.server.log)
        self.server.signal(signal.SIGHUP)
        self.server.await_log("reloaded", since=since)

    def restart(self, configuration):
        """Hands over to another process."""
        manager = self.server.manager
        self.server.signal(signal.SIGUSR2)
        status = self.server.wait()
        check(status == 0, "it ended with", status, self.server.log.decode())
        self.server = self.here.server(configuration, manager=manager)


def test_an_address_has_its_share_of_places(lab):
    """One too many is closed at once and counted, and costs nobody else."""
    place = Place(lab, limits(3))
    kept = place.fill(3)
    for _ in range(5):
        place.check_full()
    second = "10.77.1.200"
    place.crowd.run("ip", "address", "add", second + "/24", "dev", "eth0")
    place.check_room(place.crowd, source=second)
    place.check_room(place.other)
    for client in kept:
        check(is_served(client), "one that was served is not any more")
    counters = place.server.counters()
    check(counters["closed_address"] == 5 and counters["accepted"] == 10,
          counters)
    check(counters["open"] + counters["closed_client"] == 5, counters)
    place.server.stop()
    lines = [line for line in place.server.lines() if
             "max_connections_per_address (3)" in line]
    check(len(lines) == 1, "not one warning:", *lines)
    check("10.77." not in "".join(place.server.lines()), "addresses are logged",
          *place.server.lines())


def test_a_refused_address_is_shown_at_level_debug(lab):
    place = Place(lab, 'log_level = "debug";\n' + limits(1))
    kept = place.fill(1)
    place.check_full()
    place.server.await_log(f"from {place.crowd.address}:")
    place.server.await_log("closed: max_connections_per_address (1) are open")
    kept[0].close()
    place.server.stop()


def test_an_ipv6_network_is_one_address(lab):
    place = Place(lab, limits(2))
    to = place.here.address6
    place.crowd.run("ip", "address", "add", "fd77:1::77/64", "dev", "eth0",
                    "nodad")
    place.crowd.run("ip", "address", "add", "fd99::1/64", "dev", "eth0",
                    "nodad")
    place.here.run("ip", "address", "add", "fd99::2/64", "dev", "eth0",
                   "nodad")
    kept = place.fill(1, address=to, source=place.crowd.address6)
    kept += place.fill(1, address=to, source="fd77:1::77")
    place.check_full(address=to, source=place.crowd.address6)
    place.check_full(address=to, source="fd77:1::77")
    kept.append(place.check_room(place.crowd, address="fd99::2",
                                 source="fd99::1"))
    place.server.stop()


def test_loopback_and_unix_have_no_share(lab):
    place = Place(lab, limits(1).replace(
        "} );", '}, { protocol = "unix"; path = "' + lab.top + '/s"; } );'))
    clients = [connect(place.here, address, place.port)
               for address in ("127.0.0.1", "127.0.0.1", "::1", "::1")]
    for _ in range(3):
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].connect(lab.top + "/s")
    for client in clients:
        check(is_served(client), "a local client is not served")
    place.server.stop()


def test_a_closed_connection_leaves_its_place(lab):
    place = Place(lab, limits(2))
    for _ in range(3):
        clients = place.fill(2)
        place.check_full()
        for client in clients:
            client.shutdown(socket.SHUT_WR)
            # The end is seen only after the place is free.
            check(client.recv(100) == b"", "data after the end")
            client.close()
    place.server.stop()


def test_by_default_an_address_has_a_tenth(lab):
    place = Place(lab, "limits: { max_connections = 1200; };\n" + TCP)
    kept = place.fill(120)
    place.check_full()
    kept.append(place.check_room(place.other))
    place.server.stop()


def test_a_reload_changes_the_share(lab):
    place = Place(lab, limits(2))
    kept = place.fill(2)
    place.check_full()
    place.reload(limits(4))
    kept += place.fill(2)
    place.check_full()
    place.reload(limits(1))
    place.check_full()
    for client in kept:
        check(is_served(client), "one that was served is not any more")
    place.reload(limits(0))
    kept += place.fill(5)
    place.server.stop()


def test_connections_that_are_handed_over_count(lab):
    manager = Manager(lab.top, 100)
    place = Place(lab, limits(3), manager=manager)
    kept = place.fill(3)
    for _ in range(2):
        place.restart(limits(3))
        for client in kept:
            check(is_served(client), "one that was served is not any more")
        place.check_full()
        place.check_room(place.other)
    kept[0].shutdown(socket.SHUT_WR)
    check(kept[0].recv(100) == b"", "data after the end")
    place.check_room(place.crowd)
    place.server.stop()
    manager.close()


def test_silence_lasts_over_restarts(lab):
    """Restarts that come sooner than idle_timeout let no connection live on,
    and those that speak meanwhile stay."""
    configuration = "limits: { idle_timeout = 2; };\n" + TCP
    manager = Manager(lab.top, 100)
    place = Place(lab, configuration, manager=manager)
    silent, speaker = place.fill(2)
    end = time.monotonic() + LIMIT_S
    while not select.select([silent], [], [], 0.3)[0]:
        check(is_served(speaker), "a connection that speaks is closed")
        check(time.monotonic() < end, "a silent connection is never closed")
        place.restart(configuration)
    check(silent.recv(100) == b"", "data that nobody asked for")
    check(is_served(speaker), "a connection that speaks is closed")
    check(place.server.counters()["closed_idle"] == 1,
          place.server.counters())
    place.server.stop()
    manager.close()
