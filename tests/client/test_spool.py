"""-S: lines without a reply outlive the client."""

import os
import random
import select
import signal
import socket
import threading
import time

from daemon import LIMIT_S, check
from scene import CHUNK, FEWER, check_lines, may_trace, port_of, target, texts


def test_spool_kills_of_the_client(scene):
    """The client is killed again and again while one pipe feeds it: no line is
    lost, and what comes twice comes again from an earlier line on."""
    lines = [b"%d" % n for n in range(200000 // FEWER)]
    spool = f"{scene.folder}/spool"
    server = scene.server()
    proxy = scene.proxy(port_of(server))
    arguments = ["-S", spool, "-w", "65536", target(proxy.port)]
    source, sink = os.pipe()
    client = scene.client(*arguments, stdin=source)
    data = b"".join(line + b"\n" for line in lines)

    def feed():
        with os.fdopen(sink, "wb") as stream:
            stream.write(data)
    threading.Thread(target=feed, daemon=True).start()
    chance, output = random.Random(1), []
    for _ in range(10):
        client.hear_until(chance.randrange(1, len(data) // 5))
        client.child.kill()
        client.child.wait()
        output.append(client.rest())
        client = scene.client(*arguments, stdin=source)
    os.close(source)
    output.append(client.rest())
    client.end()
    due = 0
    for part in output:
        part = part[:part.rfind(b"\n") + 1]  # killed while it wrote
        for text in texts(part):
            check(int(text) <= due, "lost:", due, "before", text)
            due = max(due, int(text) + 1)
    check(due == len(lines), due, "lines")
    check(not os.path.exists(spool), "an empty spool is left")


def test_spool_is_found_by_another_input(scene):
    """Lines that were not sent, and one that was not read to its end."""
    spool = f"{scene.folder}/spool"
    server = scene.server()
    where = target(port_of(server))
    listener = scene.add(socket.create_server(("127.0.0.1", 0)))
    client = scene.client("-S", spool, target(listener.getsockname()[1]))
    client.say(b"one\ntwo\nthr")
    scene.add(listener.accept()[0]).recv(8, socket.MSG_WAITALL)
    client.child.kill()
    client.child.wait()
    output, _ = scene.pipe(b"four\n", "-S", spool, where)
    check(texts(output) == [b"one", b"two", b"thr", b"four"], output)
    check(b") one" in output, "not marked")
    check(not os.path.exists(spool), "an empty spool is left")


def test_spool_keeps_a_part_of_a_line_at_sigterm(scene):
    """The next client continues it from the same pipe; without -S it is a line
    of its own."""
    spool = f"{scene.folder}/spool"
    where = target(port_of(scene.server()))
    source, sink = os.pipe()
    client = scene.client("-S", spool, where, stdin=source)
    os.write(sink, b"one\ntwo")
    client.hear(b"one\n")
    client.child.send_signal(signal.SIGTERM)
    check(texts(client.rest()) == [b"one"], client.heard)
    check(b"1 line left, which is kept in" in client.end(75), "no message")
    client = scene.client("-S", spool, where, stdin=source)
    os.close(source)
    os.write(sink, b"three\n")
    os.close(sink)
    check(texts(client.rest()) == [b"twothree"], client.heard)
    client.end()
    check(not os.path.exists(spool), "an empty spool is left")
    client = scene.client(where)
    client.say(b"one\ntwo")
    client.hear(b"one\n")
    client.child.send_signal(signal.SIGTERM)
    check(client.rest().endswith(b"] two"), client.heard)
    client.end()


def test_spool_grows_with_a_long_line(scene):
    """A line that is longer than the window."""
    lines = [b"a", b"0123456789" * 100000, b"b"]
    with open(f"{scene.folder}/spool.new", "w") as file:
        file.write("not ours")
    server = scene.server(CHUNK % 0)
    output, _ = scene.pipe(b"".join(line + b"\n" for line in lines), "-S",
                           f"{scene.folder}/spool", "-w", "65536",
                           target(port_of(server)))
    check_lines(output, lines)
    check([name for name in os.listdir(scene.folder) if "spool" in name] ==
          ["spool.new"], os.listdir(scene.folder))


def test_spool_that_is_removed_while_it_is_opened(scene):
    """The last client removes the file between open and flock of the next one,
    which makes a new file."""
    if not may_trace() or FEWER > 1:
        return  # LeakSanitizer does not run under a tracer
    spool = f"{scene.folder}/spool"
    where = target(port_of(scene.server()))
    first = scene.client("-S", spool, where)
    first.say(b"one\n")
    first.hear(b"one\n")
    second = scene.client("-S", spool, where, tracer=[
        "strace", "-D", "-f", "-qq", "-o", f"{scene.folder}/trace", "-P", spool,
        "-e", "inject=openat:signal=STOP:when=1"])
    os.waitid(os.P_PID, second.child.pid, os.WSTOPPED)
    first.child.stdin.close()
    first.end()
    check(not os.path.exists(spool), "the first client left its file")
    second.child.send_signal(signal.SIGCONT)
    second.say(b"two\n")
    second.hear(b"two\n")
    check(os.path.exists(spool), "the file is not at its path")
    second.child.stdin.close()
    second.end()


def test_spool_belongs_to_one_client(scene):
    """A second client is refused, and so is a file that is not a spool."""
    server = scene.server()
    spool = f"{scene.folder}/spool"
    where = target(port_of(server))
    client = scene.client("-S", spool, where)
    client.say(b"one\n")
    client.hear(b"one\n")
    check(b"uses it" in scene.pipe(b"x\n", "-S", spool, where, status=74)[1],
          "not refused")
    check(b"No such file" in scene.pipe(b"", "-S", f"{scene.folder}/no/spool",
                                        where, status=74)[1], "no folder")
    with open(f"{scene.folder}/text", "w") as file:
        file.write("text " * 100000)
    scene.pipe(b"x\n", "-S", f"{scene.folder}/text", where, status=74)
    with open(f"{scene.folder}/text") as file:
        check(file.read() == "text " * 100000, "the file was changed")


def joined(lines):
    return b"".join(line + b"\n" for line in lines)


def await_full(sink):
    """Waits until a pipe is full."""
    since = time.monotonic()
    while select.select([], [sink], [], 0)[1]:
        check(time.monotonic() - since < LIMIT_S, "it is not full")
        os.sched_yield()


def check_cut_once(output, lines):
    """Each line comes once and in order; one reply may be cut, which stands in
    a line of its own.  Returns whether there is one."""
    found = output.split(b"\n")[:-1]
    for number, line in enumerate(lines):
        if not found[number].endswith(b" " + line):
            cut = found.pop(number)
            check(len(cut) < 60 + len(line), "lost:", line[:60])
            break
    check_lines(joined(found), lines)
    return b"\n".join(found) + b"\n" != output


def feed(scene, data):
    """A pipe that brings data, for several clients."""
    source, sink = os.pipe()

    def run():
        with os.fdopen(sink, "wb") as stream:
            stream.write(data)
    threading.Thread(target=run, daemon=True).start()
    return scene.add(os.fdopen(source, "rb", 0))


def test_spool_after_a_slow_reader(scene):
    """SIGTERM while the output is full: the next client begins with the line
    whose reply was not written to its end.  With the same output it ends that
    first."""
    where = target(port_of(scene.server()))
    for width in 10, 777:
        lines = [b"%d" % n + b"x" * width for n in range(20000 // FEWER)]
        spool = f"{scene.folder}/spool"
        stdin = feed(scene, joined(lines))
        source, sink = os.pipe()
        client = scene.client("-S", spool, where, stdin=stdin, stdout=sink)
        await_full(sink)
        client.child.send_signal(signal.SIGTERM)
        client.child.send_signal(signal.SIGINT)
        check(b"lines left, which are kept" in client.end(75), "no count")
        client = scene.client("-S", spool, where, stdin=stdin, stdout=sink)
        os.close(sink)
        with os.fdopen(source, "rb") as stream:
            output = stream.read()
        client.end()
        check(check_cut_once(output, lines), "no reply was cut")
        check(not os.path.exists(spool), "an empty spool is left")


def test_spool_after_a_full_disk(scene):
    """74; the next client goes on in the same file behind the cut reply, and in
    another one with the whole reply."""
    where = target(port_of(scene.server()))
    lines = [b"%d" % n + b"x" * 99 for n in range(5000)]
    spool = f"{scene.folder}/spool"
    before = b"x" * 1150001  # 78799 bytes below the limit of a file
    for names in "aa", "bc":
        paths = [f"{scene.folder}/{name}" for name in names]
        stdin = feed(scene, joined(lines))
        with open(paths[0], "wb") as sink:
            sink.write(before)
            sink.flush()
            client = scene.client(
                "-S", spool, where, stdin=stdin, stdout=sink,
                tracer=["sh", "-c", 'ulimit -f 2400; exec "$@"', "sh"])
            errors = client.end(74)
        check(b"output: File too large" in errors, errors)
        with open(paths[0], "rb") as file:
            done = file.read().count(b"\n")
        with open(paths[1], "ab") as sink:
            scene.client("-S", spool, where, stdin=stdin, stdout=sink).end()
        with open(paths[1], "rb") as file:
            output = file.read()
        if names == "aa":
            check(check_cut_once(output[len(before):], lines), "not cut")
        else:
            check_lines(output, lines[done:])


def test_spool_keeps_a_line_that_cannot_be_printed(scene):
    """-i, and a stamp that cannot be read: 76, and the line stays."""
    spool = f"{scene.folder}/spool"
    listener = scene.add(socket.create_server(("127.0.0.1", 0)))
    client = scene.client("-S", spool, "-i", target(listener.getsockname()[1]))
    client.feed(b"one\ntwo\n")
    peer = scene.add(listener.accept()[0])
    check(peer.recv(8, socket.MSG_WAITALL) == b"one\ntwo\n", "not sent")
    peer.sendall(b"[1700000000] one\n[Monday] two\n")
    check(client.rest() == b"00:00:00 one\n", client.heard)
    check(b"1 line left, which is kept" in client.end(76), "no message")
    output, _ = scene.pipe(b"", "-S", spool, target(port_of(scene.server())))
    check(texts(output) == [b"two"], output)


def test_spool_that_cannot_be_made(scene):
    """Files may not have its size, at the start or when it grows: 74; an empty
    file is not left.  Without -S it is memory that lacks: 71."""
    spool = f"{scene.folder}/spool"
    where = target(port_of(scene.server()))
    for blocks, options, status, said in (
            (16, ("-S", spool), 74, b"spool: File too large"),
            (16, (), 71, b"memory: File too large"),
            (256, ("-S", spool), 74, b"no room for a line: File too large"),
            (128, (), 71, b"no room for a line: File too large")):
        client = scene.client("-w", "65536", *options, where, tracer=[
            "sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh"])
        client.feed(b"x" * 100000 + b"\n")
        errors = client.end(status)
        check(said in errors, errors)
        if blocks == 16:
            check(not os.path.exists(spool), "an empty file is left")
