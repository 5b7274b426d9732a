"""conf/examples/haproxy.cfg."""

import csv
import os
import socket

from daemon import LIMIT_S, check
from fleet import LOG_CLIENTS, NAMES, STAYERS, VISITORS, Crowd, Fleet, \
    Service, await_true


class Haproxy(Fleet):
    """The fleet behind haproxy."""

    def __init__(self, lab, **options):
        super().__init__(lab)
        self.start_backends(**options)
        folder = lab.folder("haproxy")
        self.admin = os.path.join(folder, "admin.sock")
        path = self.write_example("haproxy.cfg", ("/run/haproxy", folder),
                                  ("maxconn 50000", "maxconn 2000"),
                                  ("connect 1s", "connect 10s"),
                                  ("check 1s", "check 10s"))
        self.service = Service(self.balancer, "haproxy", "-db", "-f", path)
        await_true(lambda: os.path.exists(self.admin), "haproxy runs",
                   service=self.service)
        self.await_status("UP")
        self.crowd = Crowd(self.crowd_host, self.balancer.address,
                           (STAYERS, VISITORS, 0))
        self.check_used(self.go_well("at the beginning"))

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(LIMIT_S)
            admin.connect(self.admin)
            admin.sendall(command.encode() + b"\n")
            answer = b""
            while piece := admin.recv(65536):
                answer += piece
        return answer.decode()

    def servers(self):
        """What haproxy thinks of each server."""
        rows = csv.DictReader(self.ask("show stat").lstrip("# ").splitlines())
        return {row["svname"]: row for row in rows
                if row["pxname"] == "timestampd" and row["svname"] != "BACKEND"}

    def await_status(self, status, *names):
        """Waits until these servers, or all of them, have this status."""
        await_true(lambda: all(self.servers()[name]["status"] == status
                               for name in names or NAMES),
                   status, *names, service=self.service)


def test_haproxy_shows_clients(lab):
    """The servers know who their clients are."""
    fleet = Haproxy(lab, settings=LOG_CLIENTS)
    fleet.check_clients_shown()
    fleet.finish()


def test_haproxy_upgrade(lab):
    """Each server becomes another program."""
    fleet = Haproxy(lab)
    fleet.upgrade()
    fleet.finish()


def test_haproxy_crash(lab):
    """A server dies: no visit fails, not even before haproxy knows.  It comes
    back and is used again."""
    fleet = Haproxy(lab)
    lost = fleet.backends[1]
    fleet.ask("disable health timestampd/two")
    fleet.crash(lost)
    fleet.go_well("before haproxy knows")
    check(int(fleet.servers()["two"]["wredis"]), "it was not tried")
    fleet.ask("enable health timestampd/two")
    fleet.await_status("DOWN", "two")
    fleet.go_well("with two servers")
    lost.start()
    fleet.await_status("UP")
    news = fleet.go_well("with three servers again")
    check(lost.label in news["visitors"].servers(), lost.label, "is not used",
          news)
    fleet.finish()


def test_haproxy_stop(lab):
    """A server that is told to stop says so at /ready, and goes on serving until
    the time is over: here a second signal says so."""
    fleet = Haproxy(lab, lame_duck=1000)
    gone = fleet.backends[1]
    gone.announce_stop()
    fleet.await_status("DOWN", "two")
    news = fleet.check_unused(gone, "visitors")
    check(gone.label in news["stayers"].servers(), "connections ended", news)
    fleet.check_stop(gone)
    fleet.finish()


def test_haproxy_drain(lab):
    """An administrator drains a server, and stops it."""
    fleet = Haproxy(lab)
    gone = fleet.backends[1]
    fleet.ask("set server timestampd/two state drain")
    fleet.check_unused(gone, "visitors")
    fleet.check_stop(gone)
    fleet.finish()
