"""Datagrams and records: lines that are too long for one, names with several
addresses, calls that find no buffer."""

import fcntl
import os
import re
import signal
import socket
import time

from daemon import LIMIT_S, check
from scene import FEWER, check_lines, marks, may_trace, naming, texts
from test_foreign import ClassicUdp, udp

LISTENERS = """control = ""; listeners = (
    {{ protocol = "udp"; address = "127.0.0.1"; port = 0; }},
    {{ protocol = "unix"; path = "{0}/u"; framing = "line"; }},
    {{ protocol = "unix-dgram"; path = "{0}/d"; }},
    {{ protocol = "unix-seqpacket"; path = "{0}/s"; }});"""


def serve(scene):
    """A server of datagrams; returns its UDP target."""
    server = scene.server(LISTENERS.format(scene.folder))
    return "udp:127.0.0.1:%d" % server.port("udp 127.0.0.1")


def bind_udp(scene, family=socket.AF_INET, host="127.0.0.1", port=0):
    peer = scene.add(socket.socket(family, socket.SOCK_DGRAM))
    if family == socket.AF_INET6:
        peer.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    peer.settimeout(20)
    peer.bind((host, port))
    return peer


def test_datagram_that_the_socket_refuses(scene):
    """A line that no datagram holds: 75 at once with its number, its length and
    the limit; a stream then takes what the spool kept."""
    where = serve(scene)
    spool = f"{scene.folder}/spool"
    for place, size, most in (where, 65507, 65507), \
            (f"unix-dgram:{scene.folder}/d", 4000000, 0):
        long = b"y" * size
        output, errors = scene.pipe(b"short\n" + long + b"\nlast", "-S", spool,
                                    place, status=75)
        check(texts(output) == [b"short"], output[:99])
        check(re.search(b"line 2 has %d bytes, and one to [a-z-]+ may "
                        rb"have at most \d+: use tcp: or unix:\n"
                        % (size + 1), errors), errors)
        check(b"at most %d" % most in errors or not most, errors)
        check(b"2 lines left, which are kept" in errors, errors)
        output, _ = scene.pipe(b"", "-S", spool, f"unix:{scene.folder}/u")
        check(texts(output) == [long, b"last"], output[:99])


def test_datagram_that_the_server_refuses(scene):
    """A line over max_datagram is not answered, while an empty datagram is: 75
    with its number and length.  A record that ends the connection likewise."""
    where = serve(scene)
    for place, size in (where, 1400), (f"unix-seqpacket:{scene.folder}/s",
                                       65536):
        output, errors = scene.pipe(b"a\nb\n" + b"y" * size + b"\nlast\n",
                                    place, status=75)
        check(texts(output) == [b"a", b"b"], output[:99])
        check(b"line 3 has %d bytes, and the server answers only shorter ones"
              % (size + 1) in errors, errors)
        check(b"2 lines left" in errors, errors)


def test_datagram_that_is_long_and_answered_late(scene):
    """A server that answers an empty datagram now and then, and a long line at
    last: the line is answered, and the next one too."""
    peer = bind_udp(scene)
    client = scene.client("udp:127.0.0.1:%d" % peer.getsockname()[1])
    client.say(b"y" * 1000 + b"\n")
    data, where = peer.recvfrom(2000)
    check(peer.recvfrom(2000)[0] == data, "not sent again")
    check(peer.recvfrom(2000)[0] == b"", "no empty datagram")
    for _ in range(2):
        peer.sendto(b"[now] ", where)
    check(peer.recvfrom(2000)[0] == data, "not sent again")
    peer.sendto(b"[now] " + data, where)
    client.hear(b"y\n")
    client.say(b"short\n")
    while peer.recvfrom(2000)[0] != b"short\n":
        pass
    peer.sendto(b"[now] ", where)  # once more, and late
    peer.sendto(b"[now] short\n", where)
    client.hear(b"short\n")
    client.child.stdin.close()
    client.end()


def test_datagram_too_long_for_one_reply(scene):
    """-1: 1, with its length and the limit."""
    errors = scene.pipe(b"", "-1", "y" * 65507, serve(scene), status=1)[1]
    check(b"has 65508 bytes, and one to udp may have at most 65507" in errors, errors)


def test_datagram_tries_each_address(scene):
    """A name whose first address is silent: after -W the next one is tried, by
    a pipe and by one reply."""
    tracer = naming(scene, "both", "::1", "127.0.0.1")
    if tracer is None:
        return
    where = udp(scene, ClassicUdp)
    port = int(where.rpartition(":")[2])
    silent = bind_udp(scene, socket.AF_INET6, "::1", port)
    client = scene.client("-W", "0.2", f"udp:both:{port}", tracer=tracer)
    client.say(b"hello\n")
    check(silent.recv(100) == b"hello\n", "the first address")
    client.hear(b"hello\n")
    client.child.stdin.close()
    client.end()
    client = scene.client("-W", "0.2", "-1", "one", f"udp:both:{port}",
                          tracer=tracer)
    client.hear(b"] one\n")
    client.end()
    while silent.recv(100) != b"one\n":
        pass


def test_datagram_finds_a_name_that_moved(scene):
    """A name with one address that is silent: it is looked up again."""
    tracer = naming(scene, "moves", "127.0.0.2")
    if tracer is None:
        return
    where = udp(scene, ClassicUdp)
    port = int(where.rpartition(":")[2])
    silent = bind_udp(scene, host="127.0.0.2", port=port)
    client = scene.client("-W", "0.2", f"udp:moves:{port}", tracer=tracer)
    client.say(b"hello\n")
    check(silent.recv(100) == b"hello\n", "the first address")
    naming(scene, "moves", "127.0.0.1")
    client.hear(b"hello\n")
    client.child.stdin.close()
    client.end()


def test_datagram_server_that_is_slow_once(scene):
    """A Unix server that does not answer in time which name of the client it
    takes: the client has its reply when the server goes on."""
    server = scene.server(LISTENERS.format(scene.folder))
    where = f"unix-dgram:{scene.folder}/d"
    server.signal(signal.SIGSTOP)
    client = scene.client("-v", "-W", "0.5", where)
    one = scene.client("-W", "5", "-1", "one", where)
    client.say(b"hello\n")
    client.complain(b"no reply; trying again\n")
    server.signal(signal.SIGCONT)
    client.hear(b"hello\n")
    client.child.stdin.close()
    client.end()
    one.hear(b"one\n")
    one.end()


def folder_of(client):
    """Waits for the folder of a client's Unix socket."""
    fds, since = f"/proc/{client.child.pid}/fd", time.monotonic()
    while time.monotonic() - since < LIMIT_S:
        names = []
        for fd in os.listdir(fds):
            try:
                names.append(os.readlink(f"{fds}/{fd}"))
            except FileNotFoundError:
                pass
        with open("/proc/net/unix") as sockets:
            for line in map(str.split, sockets):
                if f"socket:[{line[6]}]" in names and \
                        line[-1].startswith("/tmp/timestampc."):
                    return os.path.dirname(line[-1])
    check(False, "it has no folder")


def test_datagram_client_leaves_no_folder(scene):
    """A Unix client that signals end while it asks which name is answered."""
    server = scene.server(LISTENERS.format(scene.folder))
    server.signal(signal.SIGSTOP)
    client = scene.client(f"unix-dgram:{scene.folder}/d")
    client.say(b"hello\n")
    folder = folder_of(client)
    for number in signal.SIGTERM, signal.SIGINT:
        client.child.send_signal(number)
    client.end(75)
    check(not os.path.exists(folder), "the folder is left")
    server.signal(signal.SIGCONT)


def test_datagram_while_the_output_is_full(scene):
    """-G and the repetition of a datagram do not count while the reply before
    is not written, as the next one cannot be received."""
    peer, silent = bind_udp(scene), bind_udp(scene)
    source, sink = os.pipe()
    size = fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, 4096)
    client = scene.client("-G", "0.3",
                          "udp:127.0.0.1:%d" % peer.getsockname()[1],
                          stdout=sink)
    os.close(sink)
    lines = [b"x" * 2 * size + b"\n", b"short\n"]
    for line in lines:
        client.say(line)
        data, where = peer.recvfrom(10000)
        check(data == line, "not sent")
        peer.sendto(b"[now] " + line, where)
    other = scene.client("-G", "0.3",
                         "udp:127.0.0.1:%d" % silent.getsockname()[1])
    other.say(b"no reply\n")
    other.end(75)
    client.child.stdin.close()
    with os.fdopen(source, "rb") as stream:
        check_lines(stream.read(), [line[:-1] for line in lines])
    check(client.end() == b"", "a message")
    peer.settimeout(0)
    try:
        check(False, "sent again:", peer.recv(100))
    except BlockingIOError:
        pass


def test_datagram_that_a_limit_drops(scene):
    """A server on another host that drops one now and then: a hint names the
    limit, once, and only the lines that were dropped are marked as late."""
    own = scene.add(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    try:
        own.connect(("198.51.100.1", 9))  # sends nothing
    except OSError:
        return
    host = own.getsockname()[0]
    peer = bind_udp(scene, host=host)
    lines = [b"%d" % n for n in range(300)]
    client = scene.client(f"udp:{host}:{peer.getsockname()[1]}")
    client.feed(b"".join(line + b"\n" for line in lines))
    drops = {b"120\n", b"180\n", b"240\n"}
    data = b""
    while data != lines[-1] + b"\n":
        data, where = peer.recvfrom(100)
        if data in drops:
            drops.remove(data)
        else:
            peer.sendto(b"[now] " + data, where)
    check_lines(client.rest(), lines)
    errors = client.end()
    if not host.startswith("127."):
        check(errors.count(b"\n") == errors.count(b"udp.rate_limit") == 1,
              errors)
    check(marks(client.heard) == 3, marks(client.heard), "marks")


def test_datagram_that_finds_no_buffer(scene):
    """ENOBUFS: it goes again after a while, not at once again and again."""
    if not may_trace() or FEWER > 1:
        return  # LeakSanitizer does not run under a tracer
    peer = bind_udp(scene)
    trace = f"{scene.folder}/trace"
    client = scene.client(
        "udp:127.0.0.1:%d" % peer.getsockname()[1],
        tracer=["strace", "-D", "-f", "-qq", "-o", trace, "-e", "trace=sendto",
                "-e", "inject=sendto:error=ENOBUFS:when=1..2"])
    client.say(b"hello\n")
    data, where = peer.recvfrom(100)
    peer.sendto(b"[now] " + data, where)
    client.hear(b"hello\n")
    client.child.stdin.close()
    client.end()
    with open(trace) as file:
        check(sum("ENOBUFS" in line for line in file) == 2, "calls")
    check(re.search(rb"\(\+1\.\ds\) hello", client.heard), client.heard)
