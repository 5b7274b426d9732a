"""conf/examples/nginx.conf."""

import os
import re

from daemon import check
from fleet import LOG_CLIENTS, Crowd, Fleet, Service, await_true, \
    check_well, example


class NginxService(Service):
    """nginx on a host; path: of its configuration."""

    def __init__(self, fleet, host):
        folder = fleet.lab.folder("nginx")
        self.path = fleet.write_example(
            "nginx.conf", ("/run/nginx.pid", folder + "/pid"),
            ("/var/log/nginx/error.log", "stderr"),
            ("proxy_connect_timeout 1s", "proxy_connect_timeout 10s"),
            ("worker_rlimit_nofile 50000", "worker_rlimit_nofile 2000"),
            ("worker_connections 20000", "worker_connections 1000"))
        super().__init__(host, "nginx", "-e", "stderr", "-c", self.path, "-g",
                         "daemon off;")
        await_true(lambda: os.path.exists(folder + "/pid"), "nginx runs",
                   service=self)

    def refusals(self):
        """How many connects were refused by a server."""
        return self.output().count("connect() failed")


class Nginx(Fleet):
    """The fleet behind nginx."""

    def __init__(self, lab, **options):
        super().__init__(lab)
        self.start_backends(**options)
        self.nginx = NginxService(self, self.balancer)
        self.crowd = Crowd(self.crowd_host, self.balancer.address)
        self.check_used(self.go_well("at the beginning"))

    def crowd_goes_on(self):
        """A datagram may be lost, and nothing else."""
        news = self.crowd.go_on(5)
        senders = news.pop("senders")
        check(senders["broken"] < sum(senders.values()) / 2, senders)
        check_well(news, "before nginx is told")
        return True

    def route(self, action):
        """Adds or deletes the route in the example, by which the second server
        gets no datagrams."""
        text = example("nginx.conf", self.addresses)
        rule = re.search(r"ip rule add (.*)", text).group(1)
        self.balancer.run("ip", "rule", action, *rule.split())


def test_nginx_shows_clients(lab):
    """The servers know who their clients are."""
    fleet = Nginx(lab, settings=LOG_CLIENTS)
    fleet.check_clients_shown()
    fleet.finish()


def test_nginx_upgrade(lab):
    """Each server becomes another program."""
    fleet = Nginx(lab)
    fleet.upgrade()
    fleet.finish()


def test_nginx_crash(lab):
    """A server dies: no visit fails, and a datagram now and then is lost until
    nginx is told.  It comes back and is used again."""
    fleet = Nginx(lab)
    lost = fleet.backends[1]
    fleet.crash(lost)
    tried = fleet.nginx.refusals()
    await_true(lambda: fleet.crowd_goes_on() and
               fleet.nginx.refusals() > tried + 1, "it is tried again")
    fleet.route("add")
    fleet.crowd.go_on()  # those that nginx had sent there
    fleet.go_well("with two servers")
    lost.start()
    fleet.route("del")
    await_true(lambda: lost.label in
               fleet.go_well("again")["senders"].servers(), "it is used")
    fleet.finish()


def test_nginx_stop(lab):
    """A server gets no more datagrams, and then it stops: connects that it
    refuses go to another one."""
    fleet = Nginx(lab)
    gone = fleet.backends[1]
    fleet.route("add")
    fleet.check_unused(gone, "senders")
    fleet.check_stop(gone)
    fleet.finish()
