"""UDP against forged datagrams."""

import select
import socket

from daemon import LIMIT_S, check

UDP = 'listeners = ( { protocol = "udp"; port = 0; } );'


class Forger:
    """tests/hosts/forge on a host; dots: one for each EVERY datagrams."""

    def __init__(self, lab, host, *words):
        self.child = host.popen(lab.program("forge"), *map(str, words),
                                stdout=-1)

    def await_dot(self):
        check(self.child.stdout.read(1) == b".", "forge has ended")

    def end(self):
        """Waits for the end; returns (datagrams sent, seconds it took)."""
        sent, microseconds = self.child.stdout.read().split(b"\n")[1].split()
        check(self.child.wait(LIMIT_S) == 0, "forge failed")
        return int(sent), int(microseconds) / 1e6


def count_replies(asker):
    """How many replies there are before the one to an "end" that is sent until
    it is answered."""
    replies = 0
    while True:
        asker.send(b"end")
        while select.select([asker], [], [], 1)[0]:
            if asker.recv(100).endswith(b"] end"):
                return replies
            replies += 1


def asker_of(host, server_host, server):
    asker = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.connect((server_host.address, server.port("udp *")))
    return asker


def received(host):
    """UDP datagrams that a host got for ports at which nobody listens."""
    names, values = [line.split()[1:] for line in
                     host.run("cat", "/proc/net/snmp").splitlines()
                     if line.startswith("Udp:")]
    return int(dict(zip(names, values))["NoPorts"])


def flood(lab, *pattern):
    """100,000 datagrams a second in the names of a victim and of 200,000 others;
    returns (replies to the victim, seconds), counted once its burst is spent."""
    hosts = server_host, victim, attacker = [
        lab.host(name) for name in ("server", "victim", "attacker")]
    lab.switch(*hosts)
    server_host.run("ip", "route", "add", "default", "via", attacker.address)
    server = server_host.server(UDP)
    words = (100000, "10.80.0.0", 200000, server_host.address,
             server.port("udp *"))
    pattern = ("-v", victim.address, "-m", pattern[0], "-o", pattern[1])
    Forger(lab, attacker, *pattern, 150000, *words).end()
    before, asked = received(victim), server.counters()["udp_messages_in"]
    sent, seconds = Forger(lab, attacker, *pattern, 300000, *words).end()
    heard = server.counters()["udp_messages_in"] - asked
    check(heard > sent / 10, "the server heard", heard, "of", sent)
    replies = received(victim) - before
    server.stop()
    return replies, seconds


def test_a_victim_gets_few_replies(lab):
    """At a limit of 1,000 a second at most 1,600 a second, whether most
    datagrams are in its name ..."""
    replies, seconds = flood(lab, 1, 1)
    check(replies <= 1600 * seconds, replies, "replies in", seconds, "s")


def test_others_do_not_make_room_for_a_victim(lab):
    """... or runs of others are to have its bucket forgotten."""
    replies, seconds = flood(lab, 600, 6000)
    check(replies <= 1600 * seconds, replies, "replies in", seconds, "s")


def test_a_client_beside_a_flood_is_answered(lab):
    """20,000 forged datagrams a second from 200,000 sources, none of which is
    over the limit.  What exceeds the receive buffer may be lost."""
    hosts = server_host, honest, attacker = [
        lab.host(name) for name in ("server", "honest", "attacker")]
    lab.switch(*hosts)
    server_host.run("ip", "route", "add", "default", "via", attacker.address)
    server = server_host.server("udp: { rate_limit = 100; rate_burst = 1; };"
                                + UDP)
    asker = asker_of(honest, server_host, server)
    forger = Forger(lab, attacker, "-p", 500, 100000, 20000, "10.80.0.0",
                    200000, server_host.address, server.port("udp *"))
    for _ in range(200):
        forger.await_dot()
        asker.send(b"honest")
    forger.end()
    replies, dropped = count_replies(asker), server.counters()["dropped_rate"]
    check(replies >= 100, replies, "of 200 replies")
    check(dropped < 100, dropped, "datagrams over the limit")
    server.stop()
