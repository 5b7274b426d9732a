"""Faults in the thread that answers HTTP: they cost none of the server's own
clients, and HTTP goes on or, where libmicrohttpd gives up, ends with a line.
"""

import contextlib
import http.client
import os
import re
import signal

from clients import Clients, configure
from daemon import Server, check
from strace import Strace
from test_shim import begin
from test_syscalls import calls_of, errnos_of, injected, injection, keys_of

PATHS = "/metrics", "/live", "/ready"
ASKED = 3  # rounds
WHEN = "1..4+2"
BROKEN = b"http ends until a restart"
LINES_MAX = 4
ALLOCATIONS_MAX = 400
ASK_S = 2  # a fault may cost an answer
HTTP = "http: { port = 0; };\n"
ELSEWHERE = 'http: { address = "127.0.0.2"; port = 0; };\n'
# What the main thread does to begin it, besides what a listener needs.
BEGIN = {"clone3": "EAGAIN", "epoll_create1": "EMFILE", "epoll_ctl": "ENOSPC",
         "eventfd2": "EMFILE", "fcntl": "EMFILE", "openat": "ENFILE"}
BEGIN_MAX = 60


def find_thread(server):
    """The thread that answers; it names itself when it begins."""
    folder = f"/proc/{server.child.pid}/task"
    while True:
        for thread in os.listdir(folder):
            with open(f"{folder}/{thread}/comm", encoding="ascii") as file:
                if file.read().startswith("MHD"):
                    return thread


def read_trace(tracer):
    """Ends the tracer; for a single thread strace writes no number."""
    return "".join(f"1 {line}\n" for line in tracer.stop().splitlines())


def start(folder, head=HTTP):
    configure(folder, head=head)
    server = Server(folder)
    check(server.await_ready(), server.log.decode())
    return server


def ask(server, path):
    """(status, body), or None: no answer."""
    ports = re.findall(rb"listening on http 127.0.0.1:(\d+)", server.log)
    connection = http.client.HTTPConnection("127.0.0.1", int(ports[-1]),
                                            timeout=ASK_S)
    with contextlib.closing(connection), contextlib.suppress(
            OSError, http.client.HTTPException):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    return None


def ask_all(server):
    return [ask(server, path) for path in PATHS for _ in range(ASKED)]


def check_serves(server, since):
    """Its own clients are served, and HTTP as well unless it said no."""
    clients = Clients(server)
    clients.round()
    clients.settle()
    clients.close()
    check(clients.broken == 0, "clients lost")
    server.drain()
    if BROKEN not in server.log[since:]:
        # The last fault may have left a client that is in the way.
        answers = [ask(server, path) for path in PATHS for _ in range(ASKED)]
        for path, answer in zip(PATHS, answers[::ASKED]):
            check(answer and answer[0] == 200, path, answer)
    check(len(server.lines(since)) <= LINES_MAX, len(server.lines(since)),
          "lines in the log")


def check_refuses_http(server, folder):
    """A library that has given up serves no other address either."""
    since = len(server.log)
    configure(folder, head=ELSEWHERE)
    server.signal(signal.SIGHUP)
    server.await_log("reload refused", since=since)
    check(b"cannot be served until a restart" in server.log[since:],
          server.log[since:])


def discover(folder):
    server = start(folder)
    try:
        tracer = Strace(server, thread=find_thread(server))
        check(all(answer and answer[0] == 200 for answer in ask_all(server)),
              "without a fault")
        trace = read_trace(tracer)
        server.stop()
        return keys_of(calls_of(trace, server.log_path))
    finally:
        server.kill()


def fail(key, errno):
    """A case: a call of the thread fails now and then."""
    def case(folder):
        server = start(folder)
        try:
            since = len(server.log)
            tracer = Strace(
                server, "-e", f"trace={key.split(' ')[0]}",
                *injection(key, errno, WHEN), thread=find_thread(server))
            # A fault may lose an answer, but changes none.
            for status, body in filter(None, ask_all(server)):
                check(status in (200, 503) and body, status, body)
            trace = read_trace(tracer)
            check(injected(trace, key) > 0, "the fault never happened")
            check_serves(server, since)
            if BROKEN in server.log[since:]:
                check_refuses_http(server, folder)
            server.stop()
        finally:
            server.kill()
    return f"http: {key}: {errno}", case


def without_memory(folder):
    """Each allocation while it is asked fails once."""
    server, control = begin(folder, head=HTTP)
    try:
        n, failed = 0, True
        while failed and n < ALLOCATIONS_MAX:
            n += 1
            before, since = control.get("failed"), len(server.log)
            control.fail_next(n)
            for status, body in filter(None, (ask(server, "/metrics"),
                                              ask(server, "/live"))):
                check(status in (200, 503, 500) and body, status, body)
            failed = control.get("failed") > before
            control.set("fail_at", 0)
            check_serves(server, since)
        check(3 < n < ALLOCATIONS_MAX, "the last was", n)
        server.stop()
    finally:
        server.kill()


def reload(server, head):
    since = len(server.log)
    configure(server.folder, head=head)
    server.signal(signal.SIGHUP)
    return server.await_log("reloaded", "reload refused", since=since)


def begin_without(call, errno):
    """A case: a reload is to begin HTTP, and the n-th call fails; n = 1, 2 ..."""
    def case(folder):
        server = start(folder, "")
        try:
            before = len(server.descriptors())
            n, failed = 0, True
            while failed and n < BEGIN_MAX:
                n += 1
                tracer = Strace(server, "-e", f"trace=close,{call}",
                                *injection(call, errno, n),
                                thread=str(server.child.pid))
                reload(server, HTTP)
                trace = read_trace(tracer)
                failed = injected(trace, call) > 0
                # The number may be that of another thread's file.
                check("EBADF" not in trace, "closed twice:", trace)
                check(reload(server, "") == "reloaded", "it still fails")
                # The eventfd stays.
                server.check_descriptors(before + 1, before)
            check(1 < n < BEGIN_MAX, "the last was", n)
            check(reload(server, HTTP) == "reloaded", "it still fails")
            check_serves(server, len(server.log))
            server.stop()
        finally:
            server.kill()
    return f"http: begins: {call}: {errno}", case


def groups(folder, run_alone):
    """[(how to run them, cases)]"""
    cases = [fail(key, errno) for key in discover(folder)
             for _, errno in errnos_of(key)]
    cases += [begin_without(call, errno) for call, errno in BEGIN.items()]
    return [(run_alone, [*cases, ("memory: http", without_memory)])]
