"""Lines through the client: each once, in order, whatever happens between."""

import fcntl
import json
import os
import random
import re
import select
import signal
import socket
import subprocess

from daemon import check
from scene import (CHUNK, FEWER, LINE, check_lines, kill, marks, may_trace,
                   port_of, target, texts)


def numbered(count, seed=0):
    """Lines of different lengths, some of them empty."""
    chance = random.Random(seed)
    return [b"%d %s" % (n, b"x" * chance.randrange(40)) if n % 50 else b""
            for n in range(count)]


def joined(lines):
    return b"".join(line + b"\n" for line in lines)


def test_pipe_passes_every_byte(scene):
    """CR LF, NULs, empty lines, no newline at the end: over each protocol."""
    folder = scene.folder
    server = scene.server(f"""control = ""; listeners = (
        {{ protocol = "tcp"; address = "127.0.0.1"; port = 0; }},
        {{ protocol = "udp"; address = "127.0.0.1"; port = 0; }},
        {{ protocol = "unix"; path = "{folder}/u"; framing = "line"; }},
        {{ protocol = "unix-dgram"; path = "{folder}/d"; }},
        {{ protocol = "unix-seqpacket"; path = "{folder}/s"; }});""")
    data = b"a\n\n\nb\r\n\0\0x\0\n[x] y\n[\n] \n\xff\xfe\nlast"
    for where in (target(port_of(server)),
                  "udp:127.0.0.1:%d" % server.port("udp 127.0.0.1"),
                  f"unix:{folder}/u", f"{folder}/u", f"unix-dgram:{folder}/d",
                  f"unix-seqpacket:{folder}/s"):
        output, _ = scene.pipe(data, where)
        check(b"\n".join(texts(output + b"\n")) == data, where, "gave", output)
    check(not os.path.exists(f"{folder}/d/socket"), "a socket is left")


def test_pipe_of_nothing_ends_well(scene):
    """An empty input has an empty output."""
    server = scene.server()
    check(scene.pipe(b"", target(port_of(server))) == (b"", b""), "output")


def test_pipe_cut_at_random_bytes(scene):
    """100,000 lines over 200 cut connections: output equals input."""
    lines = numbered(100000 // FEWER)
    total = len(joined(lines)) + 27 * len(lines)
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    chance = random.Random(seed)
    cuts = [(chance.randrange(1, max(2, total // 220)),
             chance.choice(["up", "down", "down"]),
             chance.choice(["fin", "rst"])) for _ in range(200 // FEWER)]
    server = scene.server()
    proxy = scene.proxy(port_of(server), cuts)
    output, errors = scene.pipe(joined(lines), target(proxy.port))
    try:
        check_lines(output, lines)
        check(proxy.done == len(cuts), proxy.done, "cuts")
        check(marks(output) > 0, "no line is marked as late")
        check(re.fullmatch(rb"(timestampc: (.*; trying again|replies come again.*)\n)*", errors), errors)
    except Exception:
        print("client: the seed was", seed)
        raise


def test_pipe_quiet_has_no_marks(scene):
    """-q leaves the marks out."""
    lines = numbered(2000)
    server = scene.server()
    proxy = scene.proxy(port_of(server), [(n * 997, "down", "rst")
                                          for n in range(1, 9)])
    output, _ = scene.pipe(joined(lines), "-q", target(proxy.port))
    check_lines(output, lines)
    check(marks(output) == 0, "marks")


def test_pipe_survives_kills_of_the_server(scene):
    """1,000,000 lines while the server is killed ten times."""
    lines = [b"%d" % n for n in range(1000000 // FEWER)]
    server = scene.server()
    port = port_of(server)
    data = joined(lines)
    client = scene.client(target(port))
    client.feed(data)
    step = (len(data) + 27 * len(lines)) // 11
    for turn in range(1, 11):
        check(client.hear_until(turn * step), "the output ended")
        kill(server)
        server = scene.server(LINE % port)
    output = client.rest()
    client.end()
    check_lines(output, lines)


def test_pipe_first_line_after_a_restart(scene):
    """The line that comes first after the server was away is not lost, nor is
    the first after an idle_timeout."""
    server = scene.server('limits: { idle_timeout = 1; }; ' + LINE % 0)
    port = port_of(server)
    client = scene.client("-v", target(port))
    client.say(b"one\n")
    client.hear(b"one\n")
    client.complain(b"closed by the server")
    client.say(b"two\n")
    client.hear(b"two\n")
    kill(server)
    client.complain(b"connection lost")
    client.say(b"three\n")
    client.complain(b"trying again")
    scene.server(LINE % port)
    client.hear(b"three\n")
    client.child.stdin.close()
    check(texts(client.rest()) == [b"one", b"two", b"three"], client.heard)
    client.end()


def test_pipe_marks_a_line_that_went_twice(scene):
    """A line without its reply goes again, with the late stamp and a mark."""
    server = scene.server()
    proxy = scene.proxy(port_of(server), [(29, "down", "rst")])
    output, _ = scene.pipe(b"hello\n", target(proxy.port))
    check(re.fullmatch(rb"\[[^]]{24}\] \((\+0\.[1-9]s|again)\) hello\n", output),
          output)


def test_pipe_recognises_chunks(scene):
    """A listener that stamps pieces: line by line, with a warning, each line
    with a stamp."""
    lines = numbered(3000) + [b"long " * 20000, b"[x] [", b"end"]
    server = scene.server(CHUNK % 0)
    output, errors = scene.pipe(joined(lines), target(port_of(server)))
    check_lines(output, lines)
    check(errors.count(b"line by line") == 1, errors)
    errors = scene.pipe(joined(lines), "-q", target(port_of(server)))[1]
    check(errors == b"", "in spite of -q:", errors)


def test_pipe_tells_the_framing_again(scene):
    """After a lost connection the server may stamp lines: they go together
    again.  There is one warning."""
    listener = scene.add(socket.create_server(("127.0.0.1", 0)))
    client = scene.client(target(listener.getsockname()[1]))
    sent = [b"a\nb\n", b"c\nd\n"]
    for lines in sent:
        client.say(lines)
        peer = scene.add(listener.accept()[0])
        check(peer.recv(100) == lines, "not two lines")
        peer.sendall(b"[1] " + lines)
        client.hear(lines[2:])
        peer.close()
    client.say(b"e\nf\n")
    peer = scene.add(listener.accept()[0])
    check(peer.recv(100) == b"e\nf\n", "not two lines")
    peer.sendall(b"[1] e\n[1] f\n")
    client.hear(b"f\n")
    client.say(b"g\nh\ni\n")
    check(peer.recv(100) == b"g\nh\ni\n", "not all lines")
    peer.sendall(b"[1] g\n[1] h\n[1] i\n")
    client.hear(b"i\n")
    client.child.stdin.close()
    check(client.end().count(b"line by line") == 1, "not one warning")


def test_pipe_outlives_a_foreign_server(scene):
    """After good replies a foreign one is a lost connection; if nothing else
    comes, it ends with 76."""
    listener = scene.add(socket.create_server(("127.0.0.1", 0)))
    client = scene.client(target(listener.getsockname()[1]))
    client.say(b"a\n")
    peer = scene.add(listener.accept()[0])
    peer.recv(100)
    peer.sendall(b"[1] a\n503 no server\n")
    client.complain(b"not [stamp] and the line; trying again\n")
    client.say(b"b\n")
    peer = scene.add(listener.accept()[0])
    check(peer.recv(100) == b"b\n", "b")
    peer.sendall(b"[1] b\n")
    client.hear(b"b\n")
    client.say(b"c\n")
    for _ in range(8):
        peer.recv(100)
        peer.sendall(b"503 no server\n")
        check(not peer.recv(100), "c went twice")
        if _ < 7:
            peer = scene.add(listener.accept()[0])
    check(b"1 line left" in client.end(76), "no count")


def test_pipe_of_stamped_lines(scene):
    """Lines that already begin with a stamp, over both framings."""
    for framing in LINE, CHUNK:
        server = scene.server(framing % 0)
        once, _ = scene.pipe(joined(numbered(500)), target(port_of(server)))
        twice, _ = scene.pipe(once, target(port_of(server)))
        check_lines(twice, once.split(b"\n")[:-1])


def test_pipe_of_a_line_of_100_megabytes(scene):
    """It passes unchanged, and so do its neighbours."""
    lines = [b"before", b"0123456789" * (10000000 // FEWER), b"after"]
    server = scene.server()
    output, _ = scene.pipe(joined(lines), target(port_of(server)))
    check_lines(output, lines)


def test_pipe_window_bounds_what_is_read(scene):
    """A server that does not answer: the client stops reading its input."""
    listener = scene.add(socket.create_server(("127.0.0.1", 0)))
    client = scene.client("-w", "65536", target(listener.getsockname()[1]))
    os.set_blocking(client.child.stdin.fileno(), False)
    peer = scene.add(listener.accept()[0])
    written = 0
    line = b"x" * 99 + b"\n"
    while True:  # until nobody has read for a second
        try:
            written += os.write(client.child.stdin.fileno(), line * 40)
        except BlockingIOError:
            if not select.select([], [client.child.stdin], [], 1)[1]:
                break
    check(written <= 65536 + (1 << 17), written, "bytes were read")
    check(peer.recv(1 << 16).startswith(b"x"), "nothing was sent")
    client.child.send_signal(signal.SIGTERM)
    client.child.send_signal(signal.SIGINT)
    check(b"6 lines left; the input has more\n" in client.end(75), "no count")


def test_pipe_ends_when_nobody_reads(scene):
    """EPIPE of the output: quietly, with 74."""
    server = scene.server()
    client = scene.client(target(port_of(server)))
    client.child.stdout.close()
    client.child.stdout = None
    client.say(b"hello\n")
    check(client.end(74) == b"", "a message")


def test_pipe_without_an_output(scene):
    """With standard output closed each job ends with 74."""
    where = target(port_of(scene.server()))
    for job in ["-q"], ["-1", "text"], ["-P", "-c", "1"], ["-V"], ["-h"]:
        client = scene.client(*job, where, tracer=[
            "sh", "-c", 'exec "$@" >&-', "sh"])
        client.feed(b"hello\n")
        client.end(74)


def test_pipe_awaits_replies_at_sigterm(scene):
    """SIGTERM, SIGINT and SIGHUP: the replies under way are awaited for -W,
    then 75 when some are left, else 0.  nohup keeps SIGHUP away."""
    server = scene.server()
    for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
        client = scene.client(target(port_of(server)))
        client.say(b"hello\n")
        client.hear(b"hello\n")
        client.child.send_signal(number)
        client.end(0)
    client = scene.client(target(port_of(server)), tracer=["nohup"])
    for line in b"one\n", b"two\n":
        client.say(line)
        client.hear(line)
        client.child.send_signal(signal.SIGHUP)
    client.child.stdin.close()
    client.end()
    listener = scene.add(socket.create_server(("127.0.0.1", 0)))
    client = scene.client("-W", "0.1", target(listener.getsockname()[1]))
    client.say(b"a\nb\n")
    peer = scene.add(listener.accept()[0])
    check(peer.recv(10) == b"a\nb\n", "not sent together")
    client.child.send_signal(signal.SIGTERM)
    check(b"2 lines left" in client.end(75), "no count of lines")


def test_pipe_says_that_the_input_has_more(scene):
    """SIGTERM while the output is full: what was read is answered, and the rest
    of the input is not, of a pipe or a file: 75."""
    where = target(port_of(scene.server()))
    lines = numbered(200000)
    with open(f"{scene.folder}/in", "wb") as file:
        file.write(joined(lines))
    with open(f"{scene.folder}/in", "rb") as file:
        for stdin in file, subprocess.PIPE:
            client = scene.client("-w", "65536", where, stdin=stdin)
            if stdin != file:
                client.feed(joined(lines))
            client.hear(b"\n")
            client.child.send_signal(signal.SIGTERM)
            found = texts(client.rest()[:client.heard.rfind(b"\n") + 1])
            check(found == lines[:len(found)], "not these lines")
            check(b"ended by a signal; the rest of the input was not read\n" in
                  client.end(75), "no message")


def test_pipe_says_that_nothing_gets_through(scene):
    """Connections that can be made and carry no reply: it says so, once, and
    -q does not."""
    closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    closed.bind(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    client = scene.client(f"udp:127.0.0.1:{port}")
    client.say(b"one\n")
    client.complain(b"refused; trying again\n")
    listener = scene.add(socket.create_server(("127.0.0.1", 0)))
    where = target(listener.getsockname()[1])
    for option, said in ("-j", 1), ("-q", 0):
        client = scene.client(option, where)
        client.say(b"one\n")
        for _ in range(4):
            listener.accept()[0].close()
        client.child.send_signal(signal.SIGTERM)
        client.child.send_signal(signal.SIGINT)
        errors = client.end(75)
        check(errors.count(b"; trying again\n") == said, errors)


def test_pipe_says_that_a_stream_is_silent(scene):
    """A server that takes lines and does not answer: it says so, once for
    each silence, and -G counts."""
    listener = scene.add(socket.create_server(("127.0.0.1", 0)))
    where = target(listener.getsockname()[1])
    client = scene.client("-W", "0.1", where)
    client.say(b"one\n")
    peer = scene.add(listener.accept()[0])
    client.complain(b"no reply; waiting\n")
    peer.sendall(b"[stamp] one\n")
    client.hear(b"one\n")
    said = client.complain(b" s\n")
    after = re.fullmatch(rb"timestampc: replies come again after (\d+\.\d) s\n",
                         said)
    # It counts from the question, not from when the reply was overdue.
    check(after and float(after[1]) >= 0.1, said)
    client.say(b"two\n")
    client.complain(b"no reply; waiting\n")
    client = scene.client("-W", "0.1", "-G", "0.1", where)
    client.say(b"one\ntwo\n")
    check(client.end(75) == b"timestampc: no reply; waiting\n"
          b"timestampc: gave up with 2 lines left\n", "messages")


def test_pipe_says_what_a_signal_left(scene):
    """Nothing where all that was there is answered, though the pipe is open;
    else what was not read, or the one line that is kept."""
    listener = scene.add(socket.create_server(("127.0.0.1", 0)))
    where = target(listener.getsockname()[1])
    client = scene.client(target(port_of(scene.server())))
    client.say(b"one\n")
    client.hear(b"one\n")
    client.child.send_signal(signal.SIGTERM)
    check(client.end(0) == b"", "a message")
    size, line = 65536, b"x" * 999 + b"\n"
    whole, part = size // len(line), line[:size % len(line)]
    path = f"{scene.folder}/input"
    with open(path, "wb") as file:
        file.write(line * 1000)
    with open(path, "rb") as file:
        client = scene.client("-w", str(size), where, stdin=file)
    peer = scene.add(listener.accept()[0])
    check(peer.recv(3000) == line * 2, "not two lines")
    client.child.send_signal(signal.SIGTERM)
    peer.sendall((b"[now] " + line) * 2)
    rest = line * (whole - 2) + part
    check(peer.recv(len(rest), socket.MSG_WAITALL) == rest, "not the rest")
    peer.sendall((b"[now] " + line) * (whole - 2) + b"[now] " + part)
    client.rest()
    check(client.end(75) == b"timestampc: ended by a signal; the rest of the "
          b"input was not read\n", "75")
    spool = f"{scene.folder}/spool"
    client = scene.client("-W", "0.1", "-S", spool, where)
    client.say(b"one\n")
    peer = scene.add(listener.accept()[0])
    check(peer.recv(4, socket.MSG_WAITALL) == b"one\n", "not sent")
    client.child.send_signal(signal.SIGTERM)
    check(f"gave up with 1 line left, which is kept in {spool}\n".encode() in
          client.end(75), "not kept")


def fill(peer, line, source):
    """Answers a line, and waits until the client writes to source's pipe."""
    check(peer.recv(len(line), socket.MSG_WAITALL) == line, "not sent")
    peer.sendall(b"[now] " + line)
    check(select.select([source], [], [], 20)[0], "nothing is written")


def test_pipe_counts_what_is_left(scene):
    """Lines that were not sent, the part of a line, lines whose replies nobody
    takes; after a second signal, a foreign reply, and where the output fails."""
    listener = scene.add(socket.create_server(("127.0.0.1", 0)))
    where = target(listener.getsockname()[1])
    client = scene.client("-W", "1000", where)
    client.say(b"a\nb\nc\npart")
    peer = scene.add(listener.accept()[0])
    check(peer.recv(10) == b"a\nb\n", "not two lines")
    client.child.send_signal(signal.SIGTERM)
    client.child.send_signal(signal.SIGINT)
    check(client.end(75) == b"timestampc: gave up with 4 lines left\n", "75")
    client = scene.client("-w", "4096", where)
    client.say(b"a\nb\nc\npart")
    peer = scene.add(listener.accept()[0])
    check(peer.recv(10) == b"a\nb\n", "not two lines")
    peer.sendall(b"hello\n")
    check(b"gave up with 4 lines left\n" in client.end(76), "76")
    source, sink = os.pipe()
    size = fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, 4096)
    client = scene.client("-W", "0.1", where, stdout=sink)
    line = b"x" * (2 * size) + b"\n"
    client.say(line)
    fill(scene.add(listener.accept()[0]), line, source)
    client.child.send_signal(signal.SIGTERM)
    check(b"gave up with 1 line left\n" in client.end(75), "unwritten")
    os.close(source)
    os.close(sink)
    with open("/dev/full", "wb") as full:
        client = scene.client(target(port_of(scene.server())), stdout=full)
        client.say(b"a\nb\n")
        check(b"gave up with 2 lines left\n" in client.end(74), "74")


def test_pipe_shrinks_after_a_long_line(scene):
    """The memory that a line needed which is longer than the window."""
    client = scene.client("-w", "65536", target(port_of(scene.server())))
    for line in b"y" * 1000000 + b"\n", b"short\n":
        client.say(line)
        client.hear(line[-6:])
    with open(f"/proc/{client.child.pid}/maps") as maps:
        sizes = [int(end, 16) - int(begin, 16) for begin, end in re.findall(
            r"^(\w+)-(\w+) .*memfd:timestampc", maps.read(), re.M)]
    check(sizes == [65536, 65536], sizes)


def closed_port():
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_pipe_gives_up(scene):
    """-G: 75 with lines left; 69 and 68 where there never was a connection."""
    server = scene.server()
    client = scene.client("-G", "0.3", target(port_of(server)))
    client.say(b"one\n")
    client.hear(b"one\n")
    kill(server)
    client.say(b"two\nthree\n")
    check(b"2 lines left" in client.end(75), "no count")
    port = closed_port()
    check(b"refused" in scene.pipe(b"x\n", target(port), status=69)[1], "69")
    scene.pipe(b"x\n", "-G", "0.1", target(port), status=69)
    scene.pipe(b"x\n", "tcp:nosuchhost.invalid", status=68)


def silent_port(scene):
    """A port at which no SYN is answered: its backlog is full."""
    listener = scene.add(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    where = listener.getsockname()
    scene.add(socket.create_connection(where))
    return where[1]


def test_pipe_gives_up_while_it_connects(scene):
    """-G counts while an attempt to connect has no answer, which would time out
    after 10 s."""
    port = silent_port(scene)
    errors = scene.pipe(b"x\n", "-G", "0.1", target(port), status=69)[1]
    check(errors == b"timestampc: no connection\n"
          b"timestampc: gave up with 1 line left\n", errors)


def test_pipe_of_nothing_awaits_an_attempt(scene):
    """An empty input, and no server: the same status as with lines."""
    port = closed_port()
    check(b"refused" in scene.pipe(b"", target(port), status=69)[1], "69")
    check(b"no connection" in scene.pipe(
        b"", "-G", "0.1", target(silent_port(scene)), status=69)[1], "silent")
    scene.pipe(b"", "-S", f"{scene.folder}/spool", target(port))


def test_pipe_with_a_spool_waits_for_its_server(scene):
    """-S: a forwarder that is started before its server, or where threads run
    out for a moment, is not ended by that."""
    port = closed_port()
    client = scene.client("-S", f"{scene.folder}/spool", target(port))
    client.say(b"one\n")
    client.complain(b"refused; trying again\n")
    scene.server(LINE % port)
    client.hear(b"one\n")
    client.child.stdin.close()
    client.end()


def test_pipe_shows_elapsed_time(scene):
    """-i and -s: as ts of moreutils has it; -j: JSON."""
    server = scene.server('stamp: { format = "rfc3339-ms"; }; ' + LINE % 0)
    where = target(port_of(server))
    for option in "-i", "-s":
        output, _ = scene.pipe(b"a\nb\n", option, where)
        check(re.fullmatch(rb"00:00:00\.000 a\n00:00:00\.\d{3} b\n", output),
              output)
    output, _ = scene.pipe(b'a"\\\t\xff\xc3\xa4\n', "-j", where)
    found = json.loads(output)
    check(found["data"].encode("utf-8", "surrogateescape") ==
          b'a"\\\t\xff\xc3\xa4', output)
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT.*", found["stamp"]), output)
    server = scene.server('stamp: { format = "%A"; }; ' + LINE % 0)
    scene.pipe(b"a\n", "-i", target(port_of(server)), status=76)


def test_pipe_into_each_kind_of_output(scene):
    """A file, a socket, and a pipe that is read slowly."""
    lines = numbered(20000)
    server = scene.server()
    where = target(port_of(server))
    with open(f"{scene.folder}/in", "wb") as file:
        file.write(joined(lines))
    with open(f"{scene.folder}/in", "rb") as source, \
            open(f"{scene.folder}/out", "ab") as sink:
        sink.write(b"before\n")
        sink.flush()
        client = scene.client(where, stdin=source, stdout=sink)
        client.end()
    with open(f"{scene.folder}/out", "rb") as file:
        output = file.read()
    check(output.startswith(b"before\n"), "the file was overwritten")
    check_lines(output[7:], lines)
    ours, its = socket.socketpair()
    client = scene.client(where, stdout=its)
    its.close()
    client.feed(joined(lines))
    output = b""
    while data := ours.recv(1 << 16):
        output += data
    ours.close()
    check_lines(output, lines)
    client.end()


def test_pipe_into_a_pipe_of_another_user(scene):
    """It cannot be opened once more: signals are taken while it is full."""
    if not may_trace() or FEWER > 1:
        return  # LeakSanitizer does not run under a tracer
    listener = scene.add(socket.create_server(("127.0.0.1", 0)))
    source, sink = os.pipe()
    size = fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, 4096)
    client = scene.client(
        "-W", "0.1", target(listener.getsockname()[1]), stdout=sink,
        tracer=["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P",
                "/proc/self/fd/1", "-e", "inject=openat:error=EACCES"])
    os.close(sink)
    for line in b"short\n", b"x" * size + b"\n":
        client.say(line)
        if line == b"short\n":
            peer = scene.add(listener.accept()[0])
        fill(peer, line, source)
    client.child.send_signal(signal.SIGTERM)
    check(b"gave up with 1 line left\n" in client.end(75), "no count")
    os.close(source)


def test_pipe_leaves_its_output_as_it_was(scene):
    """The descriptors that others share do not become non-blocking."""
    server = scene.server()
    client = scene.client(target(port_of(server)))
    client.say(b"hello\n")
    client.hear(b"hello\n")
    with open(f"/proc/{client.child.pid}/fdinfo/1") as info:
        flags = int(re.search(r"flags:\s*(\d+)", info.read()).group(1), 8)
    check(not flags & os.O_NONBLOCK, "it became non-blocking")
