"""conf/examples/nftables.conf."""

import re
import subprocess

from daemon import check
from fleet import LOG_CLIENTS, Crowd, Fleet, example, need
from lab import Skip

SERVICE = "192.0.2.1"


def need_nftables():
    need("nft")
    asked = subprocess.run(["unshare", "--net", "nft", "list", "tables"],
                           capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise Skip("this kernel has no nf_tables: " + asked.stderr.strip())


class Nftables(Fleet):
    """The fleet behind a router."""

    def __init__(self, lab, **options):
        need_nftables()
        super().__init__(lab)
        # The servers see the clients' addresses, so the limits of each hold.
        self.start_backends(
            ('proxy_protocol = "require";', ""), ("rate_limit = 0;", ""),
            ('proxy_from = [ "198.51.100.1", "198.51.100.2" ];', ""),
            ('allow = [ "198.51.100.1", "198.51.100.2" ];', ""),
            **options)
        self.balancer.run("ip", "address", "add", SERVICE, "dev", "eth0")
        self.balancer.sysctl("net.ipv4.ip_forward", "1")
        for backend in self.backends:
            backend.host.run("ip", "route", "add", "default", "via",
                             self.balancer.addresses[1])
        self.crowd_host.run("ip", "route", "add", SERVICE, "via",
                            self.balancer.address)
        self.balancer.run("nft", "-f", self.write_example("nftables.conf"))
        self.crowd = Crowd(self.crowd_host, SERVICE)
        self.check_used(self.go_well("at the beginning"))

    def drain_second(self):
        """As the comment in the example says."""
        text = example("nftables.conf", self.addresses)
        command = re.search(r"nft '([^']*)'", text).group(1)
        self.balancer.run("nft", command.replace("#", ""))


def test_nftables_shows_clients(lab):
    """The servers know who their clients are."""
    fleet = Nftables(lab, settings=LOG_CLIENTS)
    fleet.check_clients_shown()
    fleet.finish()


def test_nftables_upgrade(lab):
    """Each server becomes another program."""
    fleet = Nftables(lab)
    fleet.upgrade()
    fleet.finish()


def test_nftables_crash(lab):
    """A server dies: its clients are not served until others get its shares."""
    fleet = Nftables(lab)
    lost = fleet.backends[1]
    news = fleet.crash(lost)
    check(news["visitors"]["failed"], "which clients did it have?", news)
    fleet.drain_second()
    fleet.crowd.go_on()  # those that were sent there
    fleet.go_well("with two servers")
    fleet.finish()


def test_nftables_drain(lab):
    """Others get the shares of a server, and it stops."""
    fleet = Nftables(lab)
    gone = fleet.backends[1]
    fleet.drain_second()
    fleet.check_unused(gone, "visitors", "senders")
    fleet.check_stop(gone)
    fleet.finish()
