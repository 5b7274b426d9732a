"""Faults in a restart: in the process that hands listeners and connections over
by way of the service manager, and in the one that is passed them, with sockets
of a socket unit as well.
"""

import os
import signal
import socket

from client import STAMP, STAMP_LEN, Client
from clients import Clients, await_silence, configure
from daemon import Server, check
from manager import Manager
from shim import Control
from strace import Strace
from test_shim import without
from test_syscalls import (SELDOM, calls_of, injected, injection, once_each,
                           selection, times_called)

DESCRIPTORS_MAX = 1024
STORE_SIZE = 100
LINES_MAX = 12  # of the log of a process, besides those of its listeners
PARTS = 4  # of the allocations of a start
DEAF_BYTES = 230000  # more than one buffer of its socket holds, not two
NOT_ALL = "not all connections can be handed over"
NONE = "another process can't start with this configuration"
NOT_TAKEN = "states of connections can't be read", "taking connections over: "
NOT_ADOPTED = "cannot be served", "was passed, but", "out of memory"
NOTIFYING = {"socket", "sendmsg"}
EXTRA = """,
	{ protocol = "tcp"; address = "127.0.0.3"; port = 0; framing = "line"; }"""
PASSED = (
    ("named", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.2", 0)),
    ("unit", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.2", 0)),
    ("unit", socket.AF_UNIX, socket.SOCK_STREAM, "passed-stream"),
    ("unit", socket.AF_UNIX, socket.SOCK_SEQPACKET, "passed-seqpacket"),
    ("unit", socket.AF_UNIX, socket.SOCK_DGRAM, "passed-dgram"))


def place(kind, address):
    """What a listener has in common with the far end of its clients."""
    return kind, address if isinstance(address, str) else address[1]


class Deaf:
    """A client that doesn't read before the end."""

    def __init__(self, *where):
        self.client = Client(*where)
        self.sent = b"what no one wants to hear\n" * (DEAF_BYTES // 26)
        self.data, self.done = b"", False
        self.client.socket.sendall(self.sent)

    def fileno(self):
        return self.client.socket.fileno()

    def hear(self):
        """The next piece of the replies, however they were cut."""
        self.data += self.client.receive(65536)
        text = STAMP.sub(b"", self.data)
        self.done = self.client.broken or text == self.sent
        if not self.done or self.client.broken:
            text = text[:-STAMP_LEN]  # a stamp may be cut
        check(self.sent.startswith(text), "a wrong reply:", text[-60:])

    def hear_all(self):
        """Unless the connection breaks."""
        while not self.done:
            self.hear()


class Relay:
    """A manager, one server of it after the other, and clients that stay."""

    def __init__(self, folder, control=None):
        self.folder, self.control = folder, control
        self.refusal = b""  # the log of a start that failed
        configure(folder, EXTRA)
        self.manager = Manager(folder, STORE_SIZE)
        more = [self.pass_one(*passed) for passed in PASSED]
        self.server = self.tracer = self.clients = self.deaf = None
        try:
            check(self.start(), self.server.log.decode())
            self.clients = Clients(
                self.server,
                [at for at in more if at[1] != socket.SOCK_DGRAM],
                [(at[0], at[2]) for at in more if at[1] == socket.SOCK_DGRAM])
            self.clients.settle()
            self.deaf = Deaf(*self.clients.places[0])
        except BaseException:
            self.close()
            raise

    def pass_one(self, name, family, kind, address):
        """A socket for the servers to come, and where it is."""
        if family == socket.AF_UNIX:
            address = os.path.join(self.folder, address)
            if os.path.exists(address):
                os.unlink(address)
        passed = socket.socket(family, kind)
        passed.bind(address)
        if kind != socket.SOCK_DGRAM:
            passed.listen()
        address = passed.getsockname()
        self.manager.kept.append((name, passed.detach()))
        return family, kind, address

    def start(self, choose=None):
        """Starts the next, traced with what choose says; whether it is up."""
        self.server = Server(self.folder, self.control, manager=self.manager,
                             held=choose is not None)
        if choose is not None:
            self.tracer = Strace(self.server, *choose(self.server))
            self.server.signal(signal.SIGCONT)
        return self.server.await_ready()

    def give(self, choose=None):
        """The server is to hand over in the midst of the work; the trace."""
        server, trace = self.server, None
        self.listeners = {inode: place(*at) for inode, at in
                          self.manager.listeners().items()}
        if choose is not None:
            self.tracer = Strace(server, *choose(server))
        for client in self.clients.streams + self.clients.datagrams:
            client.say()
        server.signal(signal.SIGUSR2)
        while not server.ended:
            server.read_news(*([self.deaf] if self.is_stop() and
                               not self.deaf.done else []))
        status = server.wait()
        if choose is not None:
            trace = self.tracer.stop()
        check(status == 0, "it ended with", status, server.log.decode())
        self.check_log()
        return trace

    def is_stop(self):
        """Whether the server answers and closes instead of handing over."""
        return any(text.encode() in self.server.log for text in (NOT_ALL, NONE))

    def check_log(self):
        lines = [line for line in self.server.lines()
                 if "listening on" not in line]
        check(len(lines) <= LINES_MAX, len(lines), "lines in the log:\n" +
              "\n".join(lines))

    def missing(self):
        """The places that the next server was to be at, and is not."""
        held = {what for _, what in self.server.descriptors()}
        return {at for inode, at in self.listeners.items()
                if f"socket:[{inode}]" not in held}

    def go_on(self, faults):
        """What was said last is answered, and what is said now; returns how
        many connections have ended, and how many before their answer."""
        missing = self.missing()
        check(len(missing) <= faults, "it is not at", *missing)
        log = (self.refusal + self.server.log).decode()
        check(not missing or any(text in log for text in NOT_ADOPTED),
              "it says nothing of", *missing)
        clients = self.clients
        unanswered = self.hear_answers()
        clients.datagrams, silent = [
            [datagrams for datagrams in clients.datagrams
             if (self.place_of(datagrams.client) in missing) == is_missing]
            for is_missing in (False, True)]
        for datagrams in silent:
            datagrams.close()
        clients.places = [at for at in clients.places
                          if place(*at[1:3]) not in missing]
        before = clients.broken
        clients.round()
        clients.grow()
        clients.settle()
        check(clients.lost() <= faults, clients.lost(), "datagrams lost")
        self.check_log()
        return clients.broken - before, unanswered

    def hear_answers(self):
        """To what was said last; returns how many have ended before."""
        self.deaf.hear_all()
        for client in self.clients.streams:
            client.hear()
        return self.deaf.client.broken + sum(
            client.broken for client in self.clients.streams)

    @staticmethod
    def place_of(client):
        return place(client.kind, client.socket.getpeername())

    def finish(self, descriptors=DESCRIPTORS_MAX, spare=0):
        """The end, by which nothing is kept, or one more; returns how much was
        open."""
        self.clients.close()
        self.deaf.client.close()
        await_silence(self.server)
        now = self.server.check_descriptors(descriptors, 0)
        self.server.stop()
        kept = [name for name, _ in self.manager.kept]
        check(len(kept) - len(PASSED) <= spare, "still kept:", *kept)
        return now

    def close(self):
        for clients in self.clients, self.deaf and self.deaf.client:
            if clients:
                clients.close()
        self.server.kill()
        self.manager.close()


def relayed(case):
    """A case with a relay of its own, that is put away."""
    def run(folder, control=None):
        relay = Relay(folder, control)
        try:
            return case(relay)
        finally:
            relay.close()
    return run


@relayed
def discover_give(relay):
    """(calls, the main thread)"""
    main = str(relay.server.child.pid)
    trace = relay.give(lambda server: [])
    calls = calls_of(trace, relay.server.log_path)
    check_given(relay, 0)
    return calls, main


def check_given(relay, faults):
    """What faults of a process that gives may cost: their own connections, or
    all, and then it answers and closes as at a stop."""
    as_a_stop, hands_over = relay.is_stop(), NONE.encode() not in (
        relay.server.log)
    relay.control = None
    check(relay.start(), "the next can't start:", relay.server.log.decode())
    if hands_over:
        ended, unanswered = relay.go_on(faults)
    else:
        ended, unanswered = 0, relay.hear_answers()
    check(unanswered <= (0 if as_a_stop else faults), unanswered,
          "clients not answered by", faults, "faults")
    check(ended <= faults or as_a_stop, ended, "connections ended by", faults,
          "faults")
    relay.finish()


def give(key, errno, when):
    """A case: a call of the process that gives fails."""
    @relayed
    def case(relay):
        trace = relay.give(lambda server: [
            *selection(key, server), *injection(key, errno, when)])
        faults = injected(trace, key)
        check(faults > 0 or when > 1 or key in SELDOM,
              "the fault never happened")
        check_given(relay, faults)
    return f"give: {key}: {errno} at {when}", case


@relayed
def discover_take(relay):
    """The calls from the first on what was passed on; how often each was made
    before; and how much is open at the end."""
    relay.give()
    check(relay.start(lambda server: []), relay.server.log.decode())
    trace, log_path = relay.tracer.stop(), relay.server.log_path
    check(relay.go_on(0) == (0, 0), "connections lost without a fault")
    descriptors = relay.finish()
    main = str(relay.server.child.pid)
    lines = [line for line in trace.splitlines() if line.startswith(main)]
    begin = next(n for n, line in enumerate(lines) if "fcntl(3<" in line)
    made = times_called("\n".join(lines[:begin]))
    end = next((n for n, line in enumerate(lines) if "epoll_wait(" in line),
               None)
    return calls_of("\n".join(lines[begin:end]), log_path), made, descriptors


def check_taken(relay, up, faults, descriptors, spare):
    """What faults of a start may cost: their own connections and listeners, or
    the start, and then the next one finds all.  spare: what the manager has not
    been told to drop."""
    if not up:
        status = relay.server.wait()
        check(64 <= status <= 78, "it ended with", status,
              relay.server.log.decode())
        check(relay.server.log.strip(), "it ended with", status,
              "and said nothing")
        relay.control, relay.refusal = None, relay.server.log
        check(relay.start(), "nor can the next start:",
              relay.server.log.decode())
        check(relay.go_on(faults) == (0, 0),
              "connections lost by a start that failed")
    else:
        ended, _ = relay.go_on(faults)
        check(ended <= faults or any(text in relay.server.log.decode()
                                     for text in NOT_TAKEN),
              ended, "connections ended by", faults, "faults")
    relay.finish(descriptors, spare)


def take(key, errno, at, before, descriptors):
    """A case: a call of the process that takes fails; before: how often it was
    made earlier."""
    @relayed
    def case(relay):
        relay.give()
        up = relay.start(lambda server: [
            *selection(key, server), *injection(key, errno, before + at)])
        faults = injected(relay.tracer.stop(), key)
        check(faults > 0 or at > 1 or key in SELDOM,
              "the fault never happened")
        check_taken(relay, up, faults, descriptors, key in NOTIFYING)
    return f"take: {key}: {errno} at {at}", case


def give_without(folder, n):
    """The n-th allocation of the process that gives fails; False when it has
    fewer."""
    control = Control(os.path.join(folder, "control"))

    @relayed
    def case(relay):
        control.fail_next(n)
        relay.give()
        check_given(relay, 1)
        return control.get("failed") > 0
    return case(folder, control)


def take_without(folder, n, descriptors):
    """As give_without, of the process that takes."""
    @relayed
    def case(relay):
        relay.give()
        control = relay.control = Control(os.path.join(folder, "control"))
        control.set("fail_at", n)
        up = relay.start()
        failed = control.get("failed")
        control.set("fail_at", 0)
        check_taken(relay, up, failed, descriptors, failed)
        return failed > 0
    return case(folder)


def groups(folder, run_alone, full):
    """[(how to run them, cases)]"""
    given, main = discover_give(folder)
    taken, made, descriptors = discover_take(folder)

    def take_less(folder, n):
        return take_without(folder, n, descriptors)
    return [
        (run_alone, [give(*case) for case in once_each(given, main, full)
                     if case[0] != "munmap"]),  # of a thread's stack: see futex
        (run_alone, [take(key, errno, at, made[key], descriptors)
                     for key, errno, at in once_each(taken, taken[0][0],
                                                     full)]),
        (run_alone, without("give", give_without, 1) +
         without("take", take_less, PARTS)),
    ]
