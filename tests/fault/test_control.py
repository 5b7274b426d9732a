"""Faults while a server is asked at its control socket, for a reload or for the
counters: in the process that asks and in the one that is asked; and in a server
that a watchdog looks after.
"""

import os
import subprocess
import types

from clients import configure
from daemon import (LIMIT_S, PROGRAM, Server, check, command, prepare_child,
                    spawn)
from shim import Control
from strace import Strace
from test_shim import ALLOCATIONS_MAX, LINES_MAX, begin
from test_syscalls import (NOW_AND_THEN, SELDOM, calls_of,
                           errnos_of, injected, injection, keys_of, once_each,
                           selection, times_called)

WATCHDOG_US = 80000  # four beats
BEATS = 4
RELOAD, COUNTERS = "-r", "-s"
UNAVAILABLE = 69
FAULTY = 'wrong = "%s";\n'
MANY = 100  # errors, more than fit into an answer; no more are told


class Asker:
    """A process that asks the server, by default to reload; its own file is
    good."""

    def __init__(self, server, control=None, tracer=lambda asker: [],
                 request=RELOAD):
        self.request = request
        self.folder = os.path.join(server.folder, "asker")
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, "conf"), "w",
                  encoding="ascii") as file:
            file.write(f'control = "{server.folder}/ask";\n')
        self.log_path = os.path.join(self.folder, "asker.log")
        words, environment = command(
            [*tracer(self), PROGRAM, "-c", "conf", request], control)
        with open(self.log_path, "wb") as log:
            self.child = spawn(
                words, cwd=self.folder, env=environment, stdout=log,
                stderr=log, stdin=subprocess.DEVNULL,
                preexec_fn=prepare_child)

    def wait(self):
        """The exit status."""
        try:
            return self.child.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            raise

    def said(self):
        with open(self.log_path, encoding="utf-8") as log:
            return log.read()


def check_answer(server, since, asker, mute=False):
    """(its status, whether the server reloaded wholly), which fit.  mute: one of
    them could not say so."""
    status = asker.wait()
    server.drain()
    done = b"reloaded\n" in server.log[since:]
    if status != 0:
        check(64 <= status <= 78, "it ended with", status)
        check(mute or asker.said().strip(), "it ended with", status,
              "and said nothing")
    elif asker.request == RELOAD:
        check(done or mute, "told of a reload that was not done")
    else:
        check(asker.said().startswith("open "), "no counters:", asker.said())
    return status, done


def check_alive(server):
    since = len(server.log)
    status, _ = check_answer(server, since, Asker(server))
    check(status == 0, "no reload any more:", status)


def traced(server, request, choose):
    """An asker that is traced, and where its trace will be."""
    path = os.path.join(server.folder, "asker.trace")
    return Asker(server, tracer=lambda asker: [
        "strace", "-f", "-y", "-o", path, *choose(asker)],
        request=request), path


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def discover_asking(serving, request):
    """The calls from main on, whose first is fcntl; and how often each was made
    before."""
    asker, path = traced(serving.server, request, lambda asker: [])
    check(asker.wait() == 0, asker.said())
    lines = read(path).splitlines()
    first = next(n for n, line in enumerate(lines) if " fcntl(" in line)
    return (calls_of("\n".join(lines[first:]), asker.log_path),
            times_called("\n".join(lines[:first])))


def asking(request, key, errno, at, before):
    """A case: a call of the process that asks fails."""
    def case(serving):
        server = serving.server
        server.drain()
        since = len(server.log)
        asker, path = traced(server, request, lambda asker: [
            *selection(key, asker), *injection(key, errno, before + at)])
        check_answer(server, since, asker, key == "write of the log")
        check(injected(read(path), key) > 0 or at > 1 or key in SELDOM,
              "the fault never happened")
        check_alive(server)
    return f"ask {request}: {key}: {errno} at {at}", case


def ask_traced(serving, request, *options):
    """A server that is asked; the trace, the asker, and where its log began."""
    server = serving.server
    server.drain()
    since = len(server.log)
    tracer = Strace(server, *options)
    asker = Asker(server, request=request)
    asker.wait()
    server.counters()  # come after all of it
    return tracer.stop(), asker, since


def discover_asked(serving, request):
    trace, asker, _ = ask_traced(serving, request)
    check(asker.wait() == 0, asker.said())
    end = trace.index("\n", trace.rindex("sendto("))  # the answer
    return calls_of(trace[:end], serving.server.log_path)


def asked(request, key, errno, when):
    """A case: a call of the process that is asked fails."""
    def case(serving):
        server = serving.server
        trace, asker, since = ask_traced(
            serving, request, *selection(key, server),
            *injection(key, errno, when))
        check(injected(trace, key) > 0 or when > 1 or key in SELDOM,
              "the fault never happened")
        status, done = check_answer(server, since, asker,
                                    key == "write of the log")
        # An answer may be lost, but none is wrong.
        check(status in (0, UNAVAILABLE) or not done, "it reloaded, and said:",
              asker.said())
        check_alive(server)
    return f"asked {request}: {key}: {errno} at {when}", case


def fail_each(fail, least):
    """Calls fail(n), which lets the nth allocation fail, for n from 1 until it
    returns that there was none.  There are least of them, or more."""
    n = 1
    while fail(n) and n < ALLOCATIONS_MAX:
        n += 1
    check(least < n < ALLOCATIONS_MAX, "the last was", n)


def asked_without(folder, faulty):
    """Each allocation of the process that is asked fails once."""
    server, control = begin(folder)

    def fail(n):
        server.drain()
        since, before = len(server.log), control.get("failed")
        if faulty:
            with open(os.path.join(folder, "conf"), "w",
                      encoding="ascii") as file:
                file.write(FAULTY % n)
        control.fail_next(n)
        status, done = check_answer(server, since, Asker(server))
        check((status == 0) == done, "it ended with", status, "at", n)
        check(len(server.lines(since)) <= LINES_MAX,
              len(server.lines(since)), "lines in the log")
        return control.get("failed") > before

    try:
        fail_each(fail, 5)
        control.set("fail_at", 0)
        in_part = b"reloaded in part" in server.log
        check(in_part != faulty, "reloaded in part:", in_part)
        configure(folder)
        check_alive(server)
        server.stop()
    finally:
        server.kill()


def counted_without(folder):
    """Each allocation of the process that is asked for counters fails once."""
    server, control = begin(folder)

    def fail(n):
        before = control.get("failed")
        control.fail_next(n)
        asker = Asker(server, request=COUNTERS)
        status, _ = check_answer(server, 0, asker)
        check(status == 0 or "out of memory" in asker.said(), status)
        return control.get("failed") > before

    try:
        fail_each(fail, 0)
        server.stop()
    finally:
        server.kill()


def asking_without(folder):
    """Each allocation of the process that asks fails once."""
    server, _ = begin(folder)

    def fail(n):
        server.drain()
        since = len(server.log)
        control = Control(os.path.join(folder, "asking"))
        control.set("fail_at", n)
        check_answer(server, since, Asker(server, control))
        return control.get("failed") > 0

    try:
        fail_each(fail, 3)
        check_alive(server)
        server.stop()
    finally:
        server.kill()


def long_refusal(folder):
    """More reasons than can be sent are no reason to send none."""
    server, _ = begin(folder)
    try:
        with open(os.path.join(folder, "conf"), "w", encoding="ascii") as file:
            file.write("".join(f"wrong{n}_of_many_settings = 1;\n"
                               for n in range(MANY)))
        asker = Asker(server)
        server.await_log("reload refused")
        check(asker.wait() == 78, asker.said())
        check("wrong0" in asker.said(), asker.said())
        check("log has the rest" in asker.said(), asker.said()[-100:])
        server.stop()
    finally:
        server.kill()


def await_beats(server, count):
    """Until the manager has heard count times that all threads respond."""
    while count > 0:
        check(not server.ended, "it ended:", server.log.decode())
        count -= b"WATCHDOG=1" in server.read_news()


def watch(folder, *options):
    """A watched server; the trace of some beats."""
    configure(folder)
    server = Server(folder, environment={"WATCHDOG_USEC": str(WATCHDOG_US)})
    try:
        check(server.await_ready(), server.log.decode())
        since = len(server.log)
        chosen = options[0](server) if options else []
        tracer = Strace(server, *chosen)
        server.drain()  # beats from before the tracer do not count
        await_beats(server, BEATS)
        trace = tracer.stop()
        await_beats(server, 2)
        check(len(server.lines(since)) <= LINES_MAX,
              len(server.lines(since)), "lines in the log")
        server.stop()
        return trace, server
    finally:
        server.kill()


def watched(key, errno):
    """A case: key fails now and then while the watchdog pings threads."""
    def case(folder):
        trace, _ = watch(folder, lambda server: [
            *selection(key, server), *injection(key, errno, NOW_AND_THEN)])
        check(injected(trace, key) > 0 or key in SELDOM,
              "the fault never happened")
    return f"watchdog: {key}: {errno}", case


def groups(folder, run_serving, run_alone, serving, full):
    """[(how to run them, cases)]"""
    asking_cases, asked_cases = [], []
    for request in RELOAD, COUNTERS:
        found = types.SimpleNamespace()
        serving.run(lambda serving, found=found, request=request:
                    vars(found).update(ask=discover_asking(serving, request),
                                       asked=discover_asked(serving, request)))
        main = str(serving.server.child.pid)
        calls, made = found.ask
        asking_cases += [asking(request, key, errno, at, made[key])
                         for key, errno, at in
                         once_each(calls, calls[0][0], full)]
        # The other threads' calls fail in the reloads of test_syscalls.py.
        asked_cases += [asked(request, *case) for case in once_each(
            [call for call in found.asked if call[0] == main], main, full)]
    serving.end()
    trace, server = watch(folder)
    beats = [(key, errno) for key in keys_of(calls_of(trace, server.log_path))
             for _, errno in errnos_of(key)]
    # A ping that is lost is made up for by the next.
    beats += [("write of events", errno) for errno in ("EAGAIN", "EINTR")]
    return [
        (run_serving, asking_cases),
        (run_serving, asked_cases),
        (run_alone, [watched(*beat) for beat in beats] + [
            ("memory: asked",
             lambda folder: asked_without(folder, False)),
            ("memory: asked, with a faulty file",
             lambda folder: asked_without(folder, True)),
            ("memory: asked for counters", counted_without),
            ("memory: asking", asking_without),
            ("asked: a long refusal", long_refusal),
        ]),
    ]
