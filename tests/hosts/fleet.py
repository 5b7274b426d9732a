"""Several servers behind a balancer, and clients that use them all the time."""

import collections
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time

from daemon import LIMIT_S, PROGRAM, check
from lab import Skip
from manager import Manager

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, os.pardir, os.pardir, "conf", "examples")
PORT = 21567  # of the examples; every host has ports of its own
NAMES = "one", "two", "three"
STAYERS, VISITORS, SENDERS = 12, 6, 6
SOURCES = 30  # addresses of the clients
LOG_CLIENTS = "log_connections = true;\n"
EVENTS = "failed", "broken", "ended", "wrong"


def need(program):
    if not shutil.which(program):
        raise Skip(f"there is no {program} here")


def await_true(condition, *what, service=None):
    """Looks again and again until condition() holds.  service: that must make it
    true."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        check(time.monotonic() < end, "never came true:", *what,
              service.output() if service else "")
        select.select([], [], [], 0.02)


def example(name, addresses, *others):
    """The text of conf/examples/NAME with the addresses of a lab, and with
    others: (old, new)."""
    with open(os.path.join(EXAMPLES, name), encoding="utf-8") as file:
        text = file.read()
    for old, new in others:
        check(old in text, f"conf/examples/{name} does not have", old)
        text = text.replace(old, new)
    return re.sub(r"\d+\.\d+\.\d+\.\d+",
                  lambda found: addresses.get(found[0], found[0]), text)


class Service:
    """A program that runs on host, and all that it starts: the shell is the
    first process of a namespace, and its end is the end of all others."""

    def __init__(self, host, *words):
        need(words[0])
        path = os.path.join(host.lab.folder(words[0]), "output")
        with open(path, "wb") as output:
            self.child = host.popen(
                "unshare", "--pid", "--fork", "--kill-child",
                "sh", "-c", '"$@"; exit $?', "sh", *words,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.output_path = path

    def output(self):
        with open(self.output_path, "rb") as file:
            return file.read().decode()

    def signal(self, number):
        pid = self.child.pid
        for _ in "shell", "program":
            with open(f"/proc/{pid}/task/{pid}/children",
                      encoding="ascii") as file:
                pid = int(file.read().split()[0])
        os.kill(pid, number)

    def stop(self):
        self.signal(signal.SIGTERM)
        self.child.wait(LIMIT_S)


class Tally(collections.Counter):
    """What happened to the clients of a kind: see crowd.py; answered by X is
    by:X."""

    def __init__(self, report=None):
        super().__init__()
        for event in EVENTS if report else ():
            self[event] = report[event]
        for server, count in (report or {}).get("answered", {}).items():
            self["by:" + server] = count

    def servers(self):
        return {event[3:] for event, count in self.items()
                if event.startswith("by:") and count}

    def troubles(self):
        return {event: self[event] for event in EVENTS if self[event]}


class Crowd:
    """Clients on a host, from addresses of their own; see crowd.py."""

    def __init__(self, host, address, kinds=(STAYERS, VISITORS, SENDERS)):
        self.sources = []
        for number in range(100, 100 + SOURCES):
            self.sources.append(f"{host.address.rpartition('.')[0]}.{number}")
            host.run("ip", "address", "add", self.sources[-1] + "/24", "dev",
                     "eth0")
        self.child = host.popen(
            sys.executable, os.path.join(HERE, "crowd.py"), address,
            str(PORT), *map(str, kinds), *self.sources,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.seen = {}

    def go_on(self, count=20):
        """Returns what has happened since the last call, by kind, when every
        client has tried count more exchanges."""
        self.child.stdin.write(f"{count}\n")
        self.child.stdin.flush()
        return self.read()

    def read(self):
        ready, _, _ = select.select([self.child.stdout], [], [], 3 * LIMIT_S)
        check(ready, "the clients don't get on")
        report = json.loads(self.child.stdout.readline())
        news = {}
        for kind, entry in report.items():
            tally = Tally(entry)
            news[kind] = Tally()
            news[kind].update(tally)
            news[kind].subtract(self.seen.get(kind, {}))
            self.seen[kind] = tally
        self.slowest_ms = {kind: report[kind]["slowest_ms"] for kind in report}
        return news

    def leave(self):
        self.child.stdin.close()
        return self.read()


def check_well(news, *when):
    """Every exchange was answered, and no connection ended."""
    for kind, tally in news.items():
        check(not tally.troubles(), kind, tally.troubles(), *when, news)


class Backend:
    """A server on a host.  Its stamps name it and its generation: one.2."""

    def __init__(self, host, name):
        self.host, self.name, self.configuration = host, name, ""
        self.generation, self.manager, self.server = 0, None, None
        self.lame_duck = 0

    @property
    def label(self):
        return f"{self.name}.{self.generation}"

    def start(self, program=PROGRAM):
        self.generation += 1
        if self.manager is None:
            self.manager = Manager(self.host.lab.folder(self.name), 100)
        self.server = self.host.server(
            f'stamp: {{ format = "{self.label} %T"; }};\n' +
            self.configuration, manager=self.manager, program=program)

    def restart(self, program=PROGRAM):
        """Hands over to another process, as "systemctl restart" does."""
        self.server.signal(signal.SIGUSR2)
        self.await_end()
        self.start(program)

    def await_end(self):
        status = self.server.wait()
        check(status == 0, self.name, "ended with", status,
              self.server.log.decode())

    def forget(self):
        """What the service manager keeps for the process is closed."""
        self.manager.close()
        self.manager = None

    def kill(self):
        """It and its sockets are gone, and nobody starts it again."""
        self.forget()
        self.server.kill()

    def announce_stop(self):
        """It is not ready any more, and serves for the time of lame_duck."""
        self.server.signal(signal.SIGTERM)
        self.server.await_log("(lame_duck)")

    def stop(self):
        """Ends it; a second signal cuts the time of lame_duck short."""
        if self.lame_duck and b"(lame_duck)" not in self.server.log:
            self.announce_stop()
        self.server.signal(signal.SIGTERM)
        self.await_end()
        self.forget()


class Fleet:
    """Clients, balancers and three servers, on hosts of their own, in two
    networks: the balancers are in both."""

    def __init__(self, lab, balancers=1):
        self.lab = lab
        self.crowd_host = lab.host("crowd")
        self.balancers = [lab.host("balancer") for _ in range(balancers)]
        self.balancer = self.balancers[0]
        hosts = [lab.host(name) for name in NAMES]
        lab.switch(self.crowd_host, *self.balancers)
        lab.switch(*self.balancers, *hosts)
        self.addresses = {}  # of the examples, and those here
        for number, host in enumerate(self.balancers, 1):
            self.addresses[f"198.51.100.{number}"] = host.addresses[1]
        for number, host in enumerate(hosts, 11):
            self.addresses[f"198.51.100.{number}"] = host.address
        self.backends = [Backend(host, name) for host, name in
                         zip(hosts, NAMES)]

    def write_example(self, name, *others):
        """Writes conf/examples/NAME for this fleet, with others: (old, new).
        Its time limits are for a machine that has time.  Returns the path."""
        path = os.path.join(self.lab.folder("example"), name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(example(name, self.addresses, *others))
        return path

    def start_backends(self, *others, lame_duck=0, settings=""):
        """Starts the servers with settings and conf/examples/timestampd.conf."""
        for backend in self.backends:
            addresses = {**self.addresses,
                         "198.51.100.11": backend.host.address}
            backend.configuration = settings + example(
                "timestampd.conf", addresses,
                ("limits: {", "limits: { drain_timeout = 1;"),
                ("max_connections = 18000", "max_connections = 1000"),
                ("lame_duck = 5", f"lame_duck = {lame_duck}"), *others)
            backend.lame_duck = lame_duck
            backend.start()

    def labels(self):
        return {backend.label for backend in self.backends}

    def go_well(self, *when):
        """Every client does some exchanges, all of which are answered; returns
        what happened."""
        news = self.crowd.go_on()
        check_well(news, *when)
        return news

    def check_used(self, news, *when):
        """Every server answers connections, and datagrams if there are any.
        Visitors alone need not meet all: the least busy one gets them."""
        streams = news["stayers"].servers() | news["visitors"].servers()
        for servers in streams, news["senders"].servers():
            check(servers in (set(), self.labels()), "only", *servers,
                  "are used", *when)

    def check_clients_shown(self):
        """With LOG_CLIENTS the logs name the clients, and no balancer."""
        for backend in self.backends:
            backend.server.await_log(": open")
            shown = set(re.findall(r"tcp .* from ([\d.]+):\d+: open",
                                   backend.server.log.decode()))
            check(shown and shown <= set(self.crowd.sources), backend.name,
                  "shows", *shown)

    def upgrade(self):
        """Restarts one server after another with the program of another
        release, here a copy.  No client notices."""
        program = os.path.join(self.lab.folder("release"), "timestampd")
        shutil.copy(PROGRAM, program)
        for backend in self.backends:
            backend.restart(program)
            check(os.readlink(f"/proc/{backend.server.child.pid}/exe") ==
                  program, "not the other program runs")
            self.go_well("at the upgrade of", backend.name)
        self.check_used(self.go_well("after the upgrade"), "after the upgrade")

    def check_unused(self, backend, *kinds):
        """Clients of these kinds are not answered by backend any more, once what
        was under way is done."""
        self.go_well("while", backend.name, "drains")
        news = self.go_well("after", backend.name, "was drained")
        for kind in kinds:
            check(backend.label not in news[kind].servers(), kind, "still use",
                  backend.label, news)
        return news

    def check_stop(self, backend):
        """A server that is drained stops: this costs the connections that are
        still there, and nobody else anything."""
        had = backend.server.counters()["open"]
        backend.stop()
        news = self.crowd.go_on()
        lost = news["stayers"].pop("ended") + news["stayers"].pop("broken")
        check(0 < lost <= had, lost, "of", had, "connections were lost")
        check_well(news, "when", backend.name, "stopped")
        self.go_well("after", backend.name, "stopped")

    def crash(self, backend):
        """A server and its sockets are gone.  Returns what happened to the
        clients, who lose no more than what was under way there."""
        had = backend.server.counters()["open"]
        backend.kill()
        news = self.crowd.go_on(5)
        lost = sum(news[kind]["broken"] + news[kind]["ended"]
                   for kind in ("stayers", "visitors"))
        check(lost <= had + VISITORS, "of", had, "connections", lost,
              "were lost", news)
        return news

    def finish(self):
        check_well(self.crowd.leave(), "at the end")
        for backend in self.backends:
            if backend.manager is not None:
                backend.stop()
