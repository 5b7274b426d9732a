"""Faults that need the shim preloaded into the server: memory that runs out,
short sends and receives, and a close(2) that closes but returns an error.
strace can't do this: a call whose result it replaces has no effect.
"""

import errno
import os

from client import STAMP_LEN, Client, check_stamp
from clients import Clients, await_silence, configure, reload
from daemon import Server, check
from shim import Control

CONNECTIONS = 200
ALLOCATIONS_MAX = 2000  # of a start or a reload
LINES_MAX = 30
SHORT_ROUNDS = 20
DEAF_BYTES = 16 << 20  # more than the buffers of a connection hold
EXTRA = """,
	{ protocol = "tcp"; address = "127.0.0.2"; port = 0; backlog = 7; },
	{ protocol = "udp"; address = "127.0.0.2"; port = 0; },
	{ protocol = "unix"; path = "FOLDER/extra"; },
	{ protocol = "unix-dgram"; path = "FOLDER/extra-dgram"; }"""


def begin(folder, *arguments, head=""):
    """Returns a server with the shim that is ready, and the shim's control."""
    configure(folder, head=head)
    control = Control(os.path.join(folder, "control"))
    server = Server(folder, control, arguments=arguments)
    check(server.await_ready(), server.log.decode())
    return server, control


def start_without(folder, n):
    """A start whose n-th allocation fails; False if it makes fewer."""
    configure(folder)
    control = Control(os.path.join(folder, "control"))
    control.set("fail_at", n)
    server = Server(folder, control)
    try:
        if server.await_ready():
            failed = control.get("failed") > 0
            control.set("fail_at", 0)
            check("listening on unix" in server.log.decode(), "without",
                  "allocation", n, "it was ready:", server.log.decode())
            clients = Clients(server)
            clients.settle()
            clients.close()
            server.stop()
            return failed
        status = server.wait()
        check(64 <= status <= 78, "without allocation", n, "it ended with",
              status, server.log.decode())
        check(server.log.strip(), "without allocation", n, "it ended with",
              status, "and logged nothing")
        return True
    finally:
        server.kill()


def without(name, attempt, parts):
    """Cases: attempt, with every allocation failing once, in parts."""
    def case_of(part):
        def case(folder):
            n = part + 1
            while n < ALLOCATIONS_MAX and attempt(folder, n):
                n += parts
            check(parts < n < ALLOCATIONS_MAX, "the last was", n)
        return f"memory: {name}, {part + 1} of {parts}", case
    return [case_of(part) for part in range(parts)]


def connections(folder, *arguments):
    """Many connections, for each of which an allocation fails."""
    server, control = begin(folder, *arguments)
    try:
        bystanders = Clients(server)
        bystanders.settle()
        before = server.counters()
        lost = 0
        for i in range(CONNECTIONS):
            control.fail_next(1 + i % 3)
            client = Client(*bystanders.places[i % len(bystanders.places)])
            client.talk()
            lost += client.broken
            client.close()
            if i % 10 == 0:
                bystanders.round()
        control.set("fail_at", 0)
        bystanders.settle()
        failed = control.get("failed")
        bystanders.close()
        after = await_silence(server)
        check(bystanders.broken == 0, bystanders.broken, "others were lost")
        check(failed > 0, "no allocation failed")
        check(lost <= failed, lost, "connections lost by", failed, "failures")
        check(after["closed_error"] - before["closed_error"] == lost,
              "counted", after["closed_error"], "but lost", lost)
        check(len(server.lines()) <= LINES_MAX or arguments,
              len(server.lines()), "lines in the log")
        server.stop()
    finally:
        server.kill()


def deaf_client(folder):
    """If there is no memory for unread replies, only that client is closed."""
    server, control = begin(folder)
    try:
        bystanders = Clients(server)
        bystanders.settle()
        before = server.counters()
        deaf = Client(*bystanders.places[-1])
        deaf.talk()
        control.fail_next()
        sent = 0
        try:
            while sent < DEAF_BYTES:
                sent += deaf.socket.send(b"x" * 65535 + b"\n")
        except ConnectionError:
            deaf.broken = True
        check(deaf.broken, "it was served without memory")
        bystanders.settle()
        deaf.close()
        bystanders.close()
        after = await_silence(server)
        check(bystanders.broken == 0, bystanders.broken, "others were lost")
        check(after["closed_error"] - before["closed_error"] == 1, after)
        server.stop()
    finally:
        server.kill()


def reload_without(server, control, extra, n):
    """A reload that adds or removes the extra listeners, whose n-th allocation
    fails; then the same without a fault.  False if it makes fewer."""
    since, before = len(server.log), control.get("failed")
    control.fail_next(n)
    verdict = reload(server, extra)
    control.set("fail_at", 0)
    failed = control.get("failed") > before
    check(len(server.lines(since)) <= LINES_MAX,
          len(server.lines(since)), "lines in the log")
    if verdict == "reload refused":
        there = os.path.exists(os.path.join(server.folder, "extra"))
        check(there == (not extra), "without allocation", n,
              "it was refused, but took effect:", server.log[since:].decode())
        check(reload(server, extra) == "reloaded",
              server.log[since:].decode())
    return failed


def reloads(folder):
    """Each allocation of a reload fails once; all clients stay connected."""
    server, control = begin(folder)
    try:
        bystanders = Clients(server)
        bystanders.settle()
        n, failed = 0, True
        while failed and n < ALLOCATIONS_MAX:
            n += 1
            failed = False
            for extra in EXTRA, "":
                failed |= reload_without(server, control, extra, n)
                bystanders.round()
        check(5 < n < ALLOCATIONS_MAX, "the last was", n)
        bystanders.settle()
        check(bystanders.broken == 0, bystanders.broken, "clients were lost")
        bystanders.close()
        await_silence(server)
        server.stop()
    finally:
        server.kill()


def stops(folder):
    """Each allocation of a stop, if there is any, fails once."""
    failed, n = True, 0
    while failed and n < ALLOCATIONS_MAX:
        n += 1
        server, control = begin(folder)
        try:
            clients = Clients(server)
            clients.settle()
            control.fail_next(n)
            server.stop()
            clients.close()
            failed = control.get("failed") > 0
        finally:
            server.kill()
    check(n < ALLOCATIONS_MAX, "the last was", n)


def chunks(data):
    """The data of a reply in any number of chunks, without the stamps."""
    text = b""
    while data:
        check_stamp(data)
        text += data[STAMP_LEN:STAMP_LEN + 1]
        data = data[STAMP_LEN + 1:]
    return text


def short_calls(folder):
    """Calls that move one byte, are interrupted or find nothing to do lose no
    data.  A chunk is what was received at once; lines stay lines."""
    server, control = begin(folder)
    try:
        clients = Clients(server)
        clients.settle()
        before = server.counters()
        control.set("meddling", 1)
        unix, proxied, record, chunk, line = clients.streams
        for _ in range(SHORT_ROUNDS):
            for client in unix, proxied, chunk:
                client.say()
                size = len(client.waiting) * (STAMP_LEN + 1)
                data = b""
                while len(data) < size and not client.broken:
                    data += client.receive(size - len(data))
                check(chunks(data) == client.waiting, "a wrong reply:", data)
            record.talk()
            line.talk()
            for datagrams in clients.datagrams:
                datagrams.hear_all()
        meddled = control.get("meddled")
        control.set("meddling", 0)
        clients.settle()
        clients.close()
        after = await_silence(server)
        check(clients.lost() == 0, clients.lost(), "datagrams lost")
        check(meddled > 0, "the shim changed no call")
        check(after["closed_error"] == before["closed_error"], after)
        server.stop()
    finally:
        server.kill()


def complaining_close(folder):
    """close(2) returns an error but closes; no descriptor stays open."""
    server, control = begin(folder)
    try:
        before = len(server.descriptors())
        for problem in errno.EINTR, errno.EIO, errno.ENOSPC, errno.EDQUOT:
            control.set("close_errno", problem)
            clients = Clients(server)
            clients.settle()
            clients.close()
            after = await_silence(server)
            check(after["closed_error"] == 0, after)
        check(reload(server) == "reloaded", server.log.decode())
        control.set("close_errno", 0)
        check(control.get("meddled") > 0, "the shim changed no call")
        server.check_descriptors(before)
        server.stop()
    finally:
        server.kill()


def groups(run_alone, parts=8):
    """[(how to run them, cases)]"""
    return [(run_alone, without("start", start_without, parts) + [
        ("memory: connections", connections),
        ("memory: connections, debug",
         lambda folder: connections(folder, "-d")),
        ("memory: a client that does not read", deaf_client),
        ("memory: reloads", reloads),
        ("memory: stops", stops),
        ("short calls", short_calls),
        ("close", complaining_close),
    ])]
