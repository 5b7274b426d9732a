"""The client and its server on different hosts."""

import os
import socket
import sys
import time

from daemon import LIMIT_S, check

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, os.pardir, "client"))

from scene import Client, check_lines, texts  # noqa: E402
from test_talk import Terminal  # noqa: E402

LINES = 'listeners = ( { protocol = "tcp"; port = %d; framing = "line"; },' \
        ' { protocol = "udp"; port = %d; } );'
SPARE = "10.77.1.100"  # an address that moves
DEAD = "fd77:1::dead"  # of a host that takes packets and answers none
NAME = "stamphost"


def on(host, names=""):
    """The words that run a program on host; names: its /etc/hosts."""
    words = ["nsenter", f"--net=/proc/{host.holder.pid}/ns/net", "--"]
    if not names:
        return words
    path = os.path.join(host.lab.folder("names"), "hosts")
    with open(path, "w", encoding="ascii") as file:
        file.write(names)
    return [*words, "unshare", "--mount", "sh", "-c",
            'mount --bind "$0" /etc/hosts && exec "$@"', path]


def numbered(name, count):
    return [b"%s %d" % (name, n) for n in range(count)]


def joined(lines):
    return b"".join(line + b"\n" for line in lines)


class Pipe:
    """The client in a pipe; ends with the lab."""

    def __init__(self, lab, host, *words):
        self.client, self.lines, self.host = (
            Client(*words, tracer=on(host)), [], host)
        lab.things.append(self.client)

    def say(self, lines):
        self.lines += lines
        self.client.say(joined(lines))

    def await_replies(self):
        """Waits until the last line has its reply."""
        self.client.hear(b" " + self.lines[-1] + b"\n")

    def await_retransmission(self, port):
        """Waits until TCP has sent again what the other side has not got."""
        end = time.monotonic() + LIMIT_S
        while "backoff:" not in self.host.run(
                "ss", "-tinH", f"dport = :{port}"):
            check(time.monotonic() < end, "nothing is sent again")

    def end(self):
        """Ends the input and compares all of the output with it."""
        self.client.child.stdin.close()
        output = self.client.rest()
        said = self.client.end()
        check_lines(output, self.lines)
        return said


def set_link(host, state):
    host.run("ip", "link", "set", "eth0", state)


def test_the_network_is_away_while_lines_are_piped(lab):
    """On either side, for more than a packet: no line is lost, comes twice or
    out of order."""
    here, there = lab.host("client"), lab.host("server")
    lab.link(here, there)
    port = there.server(LINES % (0, 0)).port("tcp *")
    pipe = Pipe(lab, here, f"{there.address}:{port}")
    for number, side in enumerate((here, there, here)):
        pipe.say(numbered(b"before %d," % number, 2000))
        pipe.await_replies()
        set_link(side, "down")
        pipe.say(numbered(b"away %d," % number, 2000))
        pipe.await_retransmission(port)
        pipe.say(numbered(b"still away %d," % number, 2000))
        set_link(side, "up")
        pipe.await_replies()
    pipe.end()


def test_the_network_is_away_while_datagrams_are_piped(lab):
    """A line whose datagram or reply is lost goes again, and comes once."""
    here, there = lab.host("client"), lab.host("server")
    lab.link(here, there)
    port = there.server(LINES % (0, 0)).port("udp *")
    pipe = Pipe(lab, here, f"udp:{there.address}:{port}")
    for number, side in enumerate((here, there)):
        pipe.say(numbered(b"before %d," % number, 200))
        pipe.await_replies()
        set_link(side, "down")
        pipe.say(numbered(b"away %d," % number, 200))
        pipe.client.complain(b"trying again")
        set_link(side, "up")
        pipe.await_replies()
    pipe.end()


def test_the_server_is_restarted_while_the_network_is_away(lab):
    """No packet tells the client: the new server resets the connection."""
    here, there = lab.host("client"), lab.host("server")
    lab.link(here, there)
    server = there.server(LINES % (0, 0))
    port = server.port("tcp *")
    pipe = Pipe(lab, here, f"{there.address}:{port}")
    pipe.say(numbered(b"before", 2000))
    pipe.await_replies()
    set_link(there, "down")
    pipe.say(numbered(b"away", 2000))
    pipe.await_retransmission(port)
    server.kill()
    there.server(LINES % (port, port))
    set_link(there, "up")
    pipe.await_replies()
    pipe.say([b"after"])
    pipe.end()


def test_the_address_of_the_server_moves_to_another_host(lab):
    """And back: lines without a reply go to the server that has it now."""
    here, first, second = map(lab.host, ("client", "first", "second"))
    lab.switch(here, first, second)
    first.run("ip", "address", "add", SPARE + "/24", "dev", "eth0")
    port = first.server(LINES % (0, 0)).port("tcp *")
    second.server(LINES % (port, port))
    pipe = Pipe(lab, here, "-v", f"{SPARE}:{port}")
    for number, (source, sink) in enumerate(((first, second),
                                             (second, first))):
        pipe.say(numbered(b"before %d," % number, 2000))
        pipe.await_replies()
        source.run("ip", "address", "del", SPARE + "/24", "dev", "eth0")
        pipe.say(numbered(b"nowhere %d," % number, 2000))
        pipe.await_retransmission(port)
        sink.run("ip", "address", "add", SPARE + "/24", "dev", "eth0")
        here.run("ip", "neighbour", "flush", "dev", "eth0")
        pipe.await_replies()
    said = pipe.end()
    check(said.count(b"connection lost") == 2, said)


class Listener:
    """Hears the attempts to connect that a host makes."""

    SYN, ACK = 2, 16
    ETH_P_ALL = 3

    def __init__(self, lab, host):
        self.socket = host.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                                  socket.htons(self.ETH_P_ALL))
        self.socket.bind(("eth0", self.ETH_P_ALL))
        lab.things.append(self.socket)

    @classmethod
    def attempt(cls, packet):
        """The address to which packet opens a connection, or None."""
        if packet[0] >> 4 == 6:
            protocol, at, address = packet[6], 40, packet[24:40]
        else:
            protocol, at, address = (packet[9], 4 * (packet[0] & 15),
                                     packet[16:20])
        if protocol != socket.IPPROTO_TCP or \
                packet[at + 13] & (cls.SYN | cls.ACK) != cls.SYN:
            return None
        return socket.inet_ntop(
            socket.AF_INET6 if len(address) == 16 else socket.AF_INET,
            address)

    def first_attempts(self):
        """The addresses so far, each once, in the order of the first."""
        found = []
        self.socket.setblocking(False)
        try:
            while True:
                to = self.attempt(self.socket.recv(2048))
                if to and to not in found:
                    found.append(to)
        except BlockingIOError:
            return found


def two_addresses(lab):
    """A server at the second address of a name whose first one is silent;
    returns (host, where, words, listener) of the client."""
    here, there = lab.host("client"), lab.host("server")
    lab.link(here, there)
    # An attempt would last for two minutes, much longer than the test.
    here.sysctl("net.ipv4.tcp_syn_retries", "6")
    here.run("ip", "neighbour", "add", DEAD, "lladdr", "02:00:00:00:de:ad",
             "dev", "eth0", "nud", "permanent")
    port = there.server(LINES % (0, 0)).port("tcp *")
    words = on(here, f"{DEAD} {NAME}\n{there.address} {NAME}\n")
    return there, f"{NAME}:{port}", words, Listener(lab, here)


def check_attempts(listener, there):
    """The silent address was the first that was tried."""
    attempts = listener.first_attempts()
    check(attempts == [DEAD, there.address], "attempts:", attempts)


def test_an_address_that_is_silent_does_not_hold_up_the_next(lab):
    """RFC 8305: a single reply and a pipe come by the second address while the
    attempt at the first one lasts."""
    there, where, words, listener = two_addresses(lab)
    for options in ["-1", "hello", "-W", "1000"], []:
        client = Client(*options, where, tracer=words)
        lab.things.append(client)
        client.feed(b"hello\n")
        check(texts(client.rest()) == [b"hello"], client.heard)
        check(client.end() == b"", "a message")
        check_attempts(listener, there)


def test_an_address_that_is_silent_does_not_hold_up_a_session(lab):
    """The same at a terminal."""
    there, where, words, listener = two_addresses(lab)
    terminal = Terminal("-W", "1000", where, tracer=words)
    lab.things.append(terminal)
    terminal.prompt()
    terminal.type(b"hello\n")
    terminal.expect(rb"\[[^]]{24}\] hello\r\n")
    check_attempts(listener, there)
    terminal.prompt()
    terminal.type(b"\n")
    terminal.end()
