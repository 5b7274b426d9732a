"""conf/examples/keepalived.conf, with nginx on both balancers."""

import os

from daemon import check
from fleet import STAYERS, Crowd, Fleet, Service, await_true
from test_nginx import NginxService

CLIENT = os.path.abspath(os.environ.get("TIMESTAMPC", "timestampc"))


class Keepalived(Fleet):
    """The fleet behind two balancers."""

    def __init__(self, lab):
        super().__init__(lab, balancers=2)
        self.service = "10.77.1.200"
        self.addresses["192.0.2.1"] = self.service
        self.start_backends()
        self.nginx, self.keepalived = [], []
        for host in self.balancers:
            self.nginx.append(NginxService(self, host))
            self.start_keepalived(host)
        await_true(lambda: len(self.holders()) == 1, "one has the address",
                   service=self.keepalived[0])
        self.crowd = Crowd(self.crowd_host, self.service)
        self.check_used(self.go_well("at the beginning"))

    def start_keepalived(self, host):
        folder = self.lab.folder("keepalived")
        path = self.write_example(
            "keepalived.conf", ("script_user nobody", "script_user root"),
            ("enable_script_security", ""),
            ("/usr/local/bin/timestampc", CLIENT), ("-W 1 ", "-W 10 "),
            ("timeout 2", "timeout 15"), ("advert_int 0.2", "advert_int 1"))
        self.keepalived.append(Service(
            host, "keepalived", "-n", "-l", "-P", "-f", path,
            "-p", folder + "/pid", "-r", folder + "/vrrp"))

    def holders(self):
        """The numbers of the balancers that have the address."""
        return [number for number, host in enumerate(self.balancers)
                if self.service + "/" in host.run("ip", "-4", "address", "show",
                                                  "dev", "eth0")]

    def holder(self):
        return self.holders()[0]

    def check_moved(self, first):
        """The address moves away from balancer first: this costs the
        connections and what is under way, and then all is as before."""
        await_true(lambda: 1 - first in self.holders(), "it moves",
                   service=self.keepalived[1 - first])
        stayers = self.crowd.go_on()["stayers"]
        check(stayers["ended"] + stayers["broken"] >= STAYERS,
              "connections were kept", stayers)
        self.check_used(self.go_well("after the move"))


def test_keepalived_upgrade(lab):
    """Each server becomes another program."""
    fleet = Keepalived(lab)
    fleet.upgrade()
    fleet.finish()


def test_keepalived_move(lab):
    """One balancer is stopped for maintenance, and then the other one."""
    fleet = Keepalived(lab)
    first = fleet.holder()
    fleet.keepalived[first].stop()
    fleet.check_moved(first)
    fleet.finish()


def test_keepalived_crash(lab):
    """The balancer's program ends, and the check notices."""
    fleet = Keepalived(lab)
    first = fleet.holder()
    fleet.nginx[first].stop()
    fleet.check_moved(first)
    fleet.finish()


def test_keepalived_host_gone(lab):
    """The host of one balancer is gone."""
    fleet = Keepalived(lab)
    first = fleet.holder()
    fleet.balancers[first].run("ip", "link", "set", "eth0", "down")
    fleet.check_moved(first)
    fleet.finish()
