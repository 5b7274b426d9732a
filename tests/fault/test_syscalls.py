"""Makes each system call of the server fail with each of its errors.

A trace of a run without faults tells which calls the server makes.  A call that
is missing in table.py is a failure.
"""

import collections
import os
import re
import signal
import socket

from clients import Clients, await_silence, configure
from daemon import Server, check
from strace import Strace
from table import CALLS, EVENTS, HARMLESS_IF_TRUE, SIGNALS, UNTOUCHED

ROUNDS = 6
NOW_AND_THEN = "1..7+3"  # the first, fourth and seventh call of each thread
ACCEPT_BATCH = 128  # calls until a pause, when each of them fails
LINES_MAX = 4  # of the log, for the faults of one case
RELOAD_LINES_MAX = 30
COUNTERS = ("closed_idle", "closed_send_timeout", "closed_memory",
            "closed_error", "closed_stop", "closed_address", "closed_denied",
            "closed_proxy", "closed_proxy_from",
            "accept_pauses", "accept_errors",
            "dropped_port", "dropped_denied", "dropped_unnamed",
            "dropped_rate", "dropped_loop", "dropped_oversize", "dropped_send",
            "receive_errors")
# The allocator makes these calls, and may work around a failure.
ALLOCATOR = {"brk", "madvise", "mmap", "mprotect", "munmap"}
# Calls that happen to be made in some runs only.
SELDOM = ALLOCATOR | {"getsockopt", "ioctl", "prctl", "read of events"}
# A thread of a listener that comes and goes may have ended before it waits.
SELDOM_IN_RELOAD = SELDOM | {"poll"}
LINE = re.compile(r"^(\d+) +(\w+)\((?:\d+<(.*?)>)?", re.M)

EXTRA = """,
	{ protocol = "tcp"; address = "127.0.0.2"; port = 0; backlog = 7; },
	{ protocol = "udp"; address = "127.0.0.2"; port = 0; },
	{ protocol = "unix"; path = "FOLDER/extra"; },
	{ protocol = "unix-dgram"; path = "FOLDER/extra-dgram"; },
	{ protocol = "unix-seqpacket"; path = "FOLDER/extra-seqpacket"; }"""


def key_of(call, path, log_path):
    """The name in table.py of a call on a descriptor of path."""
    if call not in ("read", "write"):
        return call
    if path == log_path:
        return f"{call} of the log"
    if path == EVENTS:
        return f"{call} of events"
    if path == SIGNALS:
        return f"{call} of signals"
    if path.startswith("/proc/"):
        return f"{call} of proc"
    return f"{call} of a file" if path.startswith("/") else f"{call} {path}"


def calls_of(trace, log_path):
    """(thread, call, key) of each line; fails if table.py lacks a call."""
    calls = [(thread, call, key_of(call, path, log_path))
             for thread, call, path in LINE.findall(trace)]
    unknown = {key for _, _, key in calls} - set(CALLS) - set(UNTOUCHED)
    check(not unknown, "table.py lacks:", *sorted(unknown))
    return calls


def times_called(trace):
    return collections.Counter(call for _, call, _ in LINE.findall(trace))


def selection(key, server):
    """Options of strace that select only key."""
    call = key.split(" ")[0]
    paths = {"read of events": EVENTS, "write of events": EVENTS,
             "read of signals": SIGNALS,
             "read of a file": os.path.join(server.folder, "conf"),
             "write of the log": server.log_path}
    path = ["-P", paths[key]] if key in paths else []
    if key == "read of a file":
        path += ["-P", os.path.join(server.folder, "denied")]
    return ["-e", f"trace={call}", *path]


def injection(key, errno, when):
    call = key.split(" ")[0]
    return ["-e", f"inject={call}:error={errno}:when={when}"]


def injected(trace, key):
    call = key.split(" ")[0]
    return len(re.findall(rf"^\d+ +(?:{call}\(|<\.\.\. {call} ).*"
                          r"\(INJECTED\)$", trace, re.M))


def undecided(trace, key):
    """How many calls strace left while they ran: one that was to fail does so
    with ENOSYS then, and nothing in the trace tells which."""
    call = key.split(" ")[0]
    return len(re.findall(rf"^\d+ +(?:{call}\(|<\.\.\. {call} ).*"
                          r"<detached \.\.\.>$", trace, re.M))


def errnos_of(key):
    return [(counter, errno) for counter, errnos in CALLS[key].items()
            for errno in dict.fromkeys(errnos.split())]


def keys_of(calls):
    return sorted({key for _, _, key in calls} - set(UNTOUCHED))


class Serving:
    """A server for many cases, stopped after the last."""

    def __init__(self, folder):
        self.folder = folder
        self.server = None

    def begin(self):
        configure(self.folder)
        self.server = Server(self.folder)
        check(self.server.await_ready(), self.server.log.decode())
        # For its first Unix client the server reads of users and mounts.
        clients = Clients(self.server)
        clients.round()
        clients.settle()
        clients.close()
        self.before = await_silence(self.server)
        self.descriptors = len(self.server.descriptors())

    def run(self, case):
        """Runs a case.  If it fails, the next case gets a new server."""
        try:
            if self.server is None:
                self.begin()
            case(self)
            self.server.check_alive()
        except BaseException:
            self.server.kill()
            self.server = None
            raise

    def end(self):
        if self.server is None:
            return
        self.server.check_descriptors(self.descriptors)
        self.server.stop()

    def talk(self):
        """The load.  Also asks for the counters; their log line may be lost."""
        clients = Clients(self.server)
        for _ in range(ROUNDS):
            clients.grow()
            clients.round()
            self.server.signal(signal.SIGUSR1)
        return clients


def discover_serving(serving):
    tracer = Strace(serving.server)
    clients = serving.talk()
    trace = tracer.stop()
    clients.settle()
    clients.close()
    serving.before = await_silence(serving.server)
    return calls_of(trace, serving.server.log_path)


def check_counters(serving, clients, key, counter, faults, more):
    """Checks that each fault is counted and affects its own client only; more:
    so many more faults may have happened."""
    after = await_silence(serving.server)
    delta = {name: after[name] - serving.before[name] for name in COUNTERS}
    serving.before = after
    check(delta["closed_error"] == clients.broken, delta["closed_error"],
          "connections closed in error, but", clients.broken, "lost")
    check(delta["dropped_send"] == clients.lost(), delta["dropped_send"],
          "replies dropped, but", clients.lost(), "lost")
    if key in ALLOCATOR:
        delta["closed_error"] = 0
    for name in COUNTERS:
        wanted = faults if name == counter else 0
        check(wanted <= delta[name] <= wanted + more, name, "is up by",
              delta[name], "after", faults, "faults, perhaps", more, "more")


def serve(key, counter, errno):
    """A case: key fails with errno sometimes while clients talk."""
    def case(serving):
        server, options = serving.server, []
        since = len(server.log)
        if key == "epoll_ctl":  # workers call it for clients that don't read
            options = ["-e", "trace=epoll_ctl,sendto",
                       *injection("sendto", "EAGAIN", "1..9+4")]
        tracer = Strace(server, *selection(key, server), *options,
                        *injection(key, errno, NOW_AND_THEN))
        clients = serving.talk()
        trace = tracer.stop()
        clients.settle()
        faults = injected(trace, key)
        clients.close()
        check_counters(serving, clients, key, counter, faults,
                       undecided(trace, key))
        check(faults > 0 or key in SELDOM, "the fault never happened")
        check(len(server.lines(since)) <= LINES_MAX,
              len(server.lines(since)), "lines in the log:\n" +
              "\n".join(server.lines(since)))
    return f"serve: {key}: {errno}", case


def fail_every_accept(serving):
    """A case: every accept fails, with an error that is one client's fault."""
    server, before = serving.server, serving.before
    tracer = Strace(server, *selection("accept4", server),
                    *injection("accept4", "EPERM", "1+"))
    with socket.create_connection(("127.0.0.1",
                                   server.port("tcp 127.0.0.1"))):
        errors = pauses = 0
        while errors < 2 * ACCEPT_BATCH:
            now = server.counters()
            errors = now["accept_errors"] - before["accept_errors"]
            pauses = now["accept_pauses"] - before["accept_pauses"]
        check(errors <= ACCEPT_BATCH * pauses, errors, "errors, but",
              pauses, "pauses")
        tracer.stop()
    clients = Clients(server)
    clients.settle()
    clients.close()
    serving.before = await_silence(server)


def serve_cases(calls):
    cases = [serve(key, counter, errno) for key in keys_of(calls)
             for counter, errno in errnos_of(key)]
    return [*cases, ("serve: accept4: EPERM for ever", fail_every_accept)]


def once_each(calls, main, full):
    """(key, errno, when): each call of the thread main fails once, the first of
    each key in every way; full: each call in every way."""
    seen, cases = {}, []
    for thread, _, key in calls:
        if key in UNTOUCHED or thread != main:
            continue
        at = seen[key] = seen.get(key, 0) + 1
        errnos = [errno for _, errno in errnos_of(key)
                  if (key, errno) not in HARMLESS_IF_TRUE]
        first = all(key != other for other, _, _ in cases)
        if not full and not first:
            errnos = [errnos[at % len(errnos)]]
        cases += [(key, errno, at) for errno in errnos]
    others = {key for thread, _, key in calls if thread != main}
    for key in sorted(others - set(UNTOUCHED)):
        cases += [(key, errno, 1) for _, errno in errnos_of(key)
                  if (key, errno, 1) not in cases]
    return cases


def reload_once(serving, extra):
    """Reloads; the reload may fail."""
    server = serving.server
    configure(serving.folder, extra)
    server.drain()
    since = len(server.log)
    server.signal(signal.SIGHUP)
    await_reload(server, since)


def await_reload(server, since):
    """Waits until a reload is over: the log or READY=1 says so."""
    begun = False
    while not any(text in server.log[since:]
                  for text in (b"reloaded", b"reload refused")):
        check(not server.ended, "it ended:", server.log[since:].decode())
        news = server.read_news()
        if begun and b"READY=1" in news:
            break
        begun = begun or b"RELOADING=1" in news


def reload_both(serving, *options):
    """Reloads to add listeners and to remove them; returns the trace."""
    tracer = Strace(serving.server, *options)
    reload_once(serving, EXTRA)
    reload_once(serving, "")
    return tracer.stop()


def discover_reload(serving):
    trace = reload_both(serving)
    check(serving.server.log.count(b"reloaded") == 2,
          serving.server.log.decode())
    return calls_of(trace, serving.server.log_path)


def reload(key, errno, when):
    """A case: a call of a reload fails."""
    def case(serving):
        server = serving.server
        clients = Clients(server)
        clients.round()
        since = len(server.log)
        trace = reload_both(serving, *selection(key, server),
                            *injection(key, errno, when))
        clients.settle()
        check(clients.broken == 0, clients.broken, "clients lost")
        check(injected(trace, key) > 0 or when > 1 or key in SELDOM_IN_RELOAD,
              "the fault never happened")
        since_last = len(server.log)
        reload_once(serving, "")
        server.await_log("reloaded", since=since_last)
        clients.settle()
        clients.close()
        serving.before = await_silence(server)
        check(len(server.lines(since)) <= RELOAD_LINES_MAX,
              len(server.lines(since)), "lines in the log")
    return f"reload: {key}: {errno} at {when}", case


def reload_cases(calls, main, full):
    return [reload(*case) for case in once_each(calls, main, full)]


def stop_traced(folder, *options):
    """A stop while clients wait for replies; (trace, clients lost, server)."""
    configure(folder)
    server = Server(folder)
    check(server.await_ready(), server.log.decode())
    try:
        clients = Clients(server)
        clients.round()
        selected = options[0](server) if options else ["-e", "trace=all"]
        tracer = Strace(server, *selected)
        for client in clients.streams:
            client.say()
        server.signal(signal.SIGTERM)
        for client in clients.streams:
            client.hear()
        clients.broken = sum(client.broken for client in clients.streams)
        clients.close()
        status = server.wait()
        trace = tracer.stop()
        check(status == 0, "it ended with", status, server.log.decode())
        return trace, clients.broken, server
    finally:
        server.kill()


def discover_stop(folder):
    """(calls, the main thread)"""
    trace, broken, server = stop_traced(folder)
    check(broken == 0, broken, "clients lost without a fault")
    return calls_of(trace, server.log_path), str(server.child.pid)


def stop(key, errno, when):
    """A case: a call of a stop fails."""
    def case(folder):
        trace, broken, _ = stop_traced(folder, lambda server: [
            *selection(key, server), *injection(key, errno, when)])
        faults = injected(trace, key)
        check(faults > 0 or when > 1 or key in SELDOM,
              "the fault never happened")
        check(broken <= faults, broken, "clients lost by", faults, "faults")
    return f"stop: {key}: {errno} at {when}", case


def stop_cases(calls, main, full):
    return [stop(*case) for case in once_each(calls, main, full)]


def traced_pid(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return int(file.read().split(" ", 1)[0])


def start_traced(folder, choose):
    """(trace, exit status or None, server) of a start."""
    configure(folder)
    path = os.path.join(folder, "trace")
    server = Server(folder, tracer=lambda server: [
        "strace", "-f", "-y", "-o", path, *choose(server)])
    try:
        status = None
        if server.await_ready():
            clients = Clients(server)
            clients.settle()
            clients.close()
            os.kill(traced_pid(path), signal.SIGTERM)
            check(server.wait() == 0, "a stop failed:", server.log.decode())
        else:
            status = server.wait()
    except BaseException:
        os.kill(traced_pid(path), signal.SIGKILL)
        server.kill()
        raise
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(), status, server


def discover_start(folder):
    """The calls from the beginning of main, the first of which is fcntl, to the
    wait for events; and how often each was made before."""
    trace, status, server = start_traced(folder, lambda server: [])
    check(status is None, "a start without a fault failed")
    main = trace.split(" ", 1)[0]
    lines = [line for line in trace.splitlines()
             if line.split(" ", 1)[0] == main]
    calls = [line.split("(")[0].split()[-1] for line in lines]
    begin, end = calls.index("fcntl"), calls.index("epoll_wait")
    before, rest = "\n".join(lines[:begin]), "\n".join(lines[begin:end])
    return calls_of(rest, server.log_path), times_called(before)


def start(key, errno, when):
    """A case: the start fails with a message and a status, or succeeds."""
    def case(folder):
        trace, status, server = start_traced(folder, lambda server: [
            *selection(key, server), *injection(key, errno, when)])
        check(injected(trace, key) > 0, "the fault never happened")
        if status is None:
            return
        check(64 <= status <= 78, "it ended with", status,
              server.log.decode())
        check(server.log != b"" or key == "write of the log",
              "it ended with", status, "and logged nothing")
    return f"start: {key}: {errno} at {when}", case


def start_cases(calls, made, full):
    main = calls[0][0]
    return [start(key, errno, made[key] + at)
            for key, errno, at in once_each(calls, main, full)]
