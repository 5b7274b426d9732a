"""UDP against forged datagrams and forged ICMP messages."""

import re
import select
import socket
import struct

from daemon import LIMIT_S, check

UDP = 'listeners = ( { protocol = "udp"; port = 0; } );'
LARGE = 'listeners = ( { protocol = "udp"; port = 0; max_datagram = 65000; } );'
STAMP = 27  # bytes
WMEM_MAX = "/proc/sys/net/core/wmem_max"
SEND_BUFFER = 4 << 20  # what the server asks for


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


def test_replies_that_wait_for_neighbours_do_not_silence_the_server(lab):
    """Beside 400 forged datagrams a second from unused addresses of the
    server's own network, an honest client gets 155 of 160 replies."""
    hosts = server_host, honest, attacker = [
        lab.host(name) for name in ("server", "honest", "attacker")]
    lab.switch(*hosts)
    server = server_host.server(UDP)
    asker = asker_of(honest, server_host, server)
    forger = Forger(lab, attacker, "-p", 10, 3200, 400, "10.77.1.100", 150,
                    server_host.address, server.port("udp *"))
    # By then the first neighbours have been given up.
    for _ in range(160):
        forger.await_dot()
    for _ in range(160):
        forger.await_dot()
        asker.send(b"honest")
    forger.end()
    replies = count_replies(asker)
    check(replies >= 155, replies, "of 160 replies")
    server.stop()


def fill_send_buffer(lab, **options):
    """Has replies fill the send buffer of a server; returns what it logged."""
    server_host, attacker = lab.host("server"), lab.host("attacker")
    lab.switch(server_host, attacker)
    server = server_host.server(UDP, **options)
    dropped, rounds = 0, 0
    while dropped < 2 and rounds < 10:
        forger = Forger(lab, attacker, "-l", 1400, 6000, 4000, "10.77.1.100",
                        150, server_host.address, server.port("udp *"))
        forger.end()
        dropped, rounds = server.counters()["dropped_send"], rounds + 1
    check(dropped >= 2, "nothing was dropped")
    server.stop()
    return server.log.decode()


def without_admin(server):
    return ["setpriv", "--bounding-set", "-net_admin"]


def check_warning(log, is_capped):
    warnings = re.findall(r"warning: udp: (replies are dropped.*)\n", log)
    check(len(warnings) == 1, len(warnings), "warnings:", log)
    check(("net.core.wmem_max" in warnings[0]) == is_capped, warnings[0])
    check(is_capped or "4096 KiB" in warnings[0], warnings[0])


def test_a_full_send_buffer_is_logged_once(lab):
    """With CAP_NET_ADMIN nothing caps the buffer."""
    check_warning(fill_send_buffer(lab), False)


def test_a_cap_of_the_send_buffer_is_named(lab):
    """Without CAP_NET_ADMIN the sysctl does, where it is lower."""
    with open(WMEM_MAX, encoding="ascii") as file:
        is_capped = int(file.read()) < SEND_BUFFER
    check_warning(fill_send_buffer(lab, tracer=without_admin), is_capped)


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


def checksum(data):
    """The Internet checksum of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def quoted_ports(server_port, client):
    return struct.pack("!HHHH", server_port, client.getsockname()[1], 1400, 0)


def need_fragments(attacker, server_host, server_port, client):
    """Forges ICMP: a reply was too long for a router, which takes 600 bytes."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 1420, 1, 0x4000, 64,
                     socket.IPPROTO_UDP, 0,
                     socket.inet_aton(server_host.address),
                     socket.inet_aton(client.getsockname()[0]))
    quote = ip + quoted_ports(server_port, client)
    message = struct.pack("!BBHHH", 3, 4, 0, 0, 600) + quote
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    attacker.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP
                    ).sendto(message, (server_host.address, 0))


def packet_too_big(attacker, server_host, server_port, client):
    """The same with ICMPv6, and 1280 bytes.  The kernel adds the checksum."""
    ip = struct.pack("!IHBB16s16s", 6 << 28, 1400, socket.IPPROTO_UDP, 64,
                     socket.inet_pton(socket.AF_INET6, server_host.address6),
                     socket.inet_pton(socket.AF_INET6,
                                      client.getsockname()[0]))
    message = struct.pack("!BBHI", 2, 0, 0, 1280) + ip + quoted_ports(
        server_port, client)
    attacker.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6
                    ).sendto(message, (server_host.address6, 0))


def fragments(host):
    """How many fragments of datagrams a host has got, of both families."""
    ip = [line.split()[1:] for line in
          host.run("cat", "/proc/net/snmp").splitlines()
          if line.startswith("Ip:")]
    ip6 = re.search(r"Ip6ReasmReqds\s+(\d+)",
                    host.run("cat", "/proc/net/snmp6")).group(1)
    return int(dict(zip(*ip))["ReasmReqds"]) + int(ip6)


def check_long_reply(client, data=b"x" * 1400):
    client.send(data)
    reply = client.recv(65536)
    check(reply[STAMP:] == data, len(reply), "bytes came back")


FAMILIES = ((socket.AF_INET, need_fragments, "address"),
            (socket.AF_INET6, packet_too_big, "address6"))


def test_a_forged_icmp_message_changes_nothing(lab):
    """Replies stay whole, and the host's route cache is untouched."""
    hosts = server_host, client_host, attacker = [
        lab.host(name) for name in ("server", "client", "attacker")]
    lab.switch(*hosts)
    server = server_host.server(UDP)
    for family, forge, name in FAMILIES:
        client = client_host.socket(family, socket.SOCK_DGRAM)
        client.connect((getattr(server_host, name), server.port("udp *")))
        check_long_reply(client)
        forge(attacker, server_host, server.port("udp *"), client)
        check_long_reply(client)
        route = server_host.run("ip", "route", "get",
                                getattr(client_host, name))
        check("mtu" not in route, route)
    cache = server_host.run("ip", "-6", "route", "show", "cache")
    check(cache == "", cache)
    check(fragments(client_host) == 0, fragments(client_host), "fragments")
    server.stop()


def test_a_reply_longer_than_a_packet_arrives(lab):
    """In fragments, although no path's MTU is asked for."""
    server_host, client_host = lab.host("server"), lab.host("client")
    lab.link(server_host, client_host)
    server = server_host.server(LARGE)
    for family, _, name in FAMILIES:
        client = client_host.socket(family, socket.SOCK_DGRAM)
        client.connect((getattr(server_host, name), server.port("udp *")))
        check_long_reply(client, b"x" * 60000)
    check(fragments(client_host) > 80, fragments(client_host), "fragments")
    server.stop()
