"""The client that a balancer names in a header of the PROXY protocol."""

import os
import shutil
import socket

from daemon import check
from test_places import connect, is_served

LIMIT = 2
CONFIGURATION = """
log_level = "debug";
limits: { max_connections_per_address = LIMIT; };
listeners = ( { protocol = "tcp"; port = 0; proxy_protocol = "require";
	proxy_from = [ "BALANCER/32", "BALANCER6/128" ]; } );
"""
HAPROXY = """
global
	log stderr local0
defaults
	mode tcp
	retries 0
	timeout connect 60s
	timeout client 60s
	timeout server 60s
listen all
	bind BIND:8000
	server one ADDRESS:PORT OPTIONS check inter 100ms check-send-proxy
"""


def fill_in(text, **values):
    for name, value in values.items():
        text = text.replace(name, str(value))
    return text


def start_haproxy(lab, host, **values):
    path = os.path.join(lab.folder("haproxy"), "conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(fill_in(HAPROXY, **values))
    host.popen("haproxy", "-db", "-f", path)


def text_of(client):
    """The client as the log of the server shows it."""
    address = client.getsockname()
    return (f"[{address[0]}]" if client.family == socket.AF_INET6 else
            address[0]) + f":{address[1]}"


def check_behind(lab, options, is_ipv6=False):
    here, balancer, crowd, other = map(
        lab.host, ("here", "balancer", "crowd", "other"))
    lab.switch(here, balancer, crowd, other)

    def address_of(host):
        return host.address6 if is_ipv6 else host.address

    server = here.server(fill_in(
        CONFIGURATION, LIMIT=LIMIT, BALANCER6=balancer.address6,
        BALANCER=balancer.address))
    port = server.port("tcp *")
    start_haproxy(lab, balancer, BIND=address_of(balancer), PORT=port,
                  ADDRESS=address_of(here), OPTIONS=options)
    # It listens when its health check, the balancer's own, has come.
    own = address_of(balancer)
    server.await_log(f" from [{own}]:" if is_ipv6 else f" from {own}:")

    # All of the switch are in one /64, which counts as one source.
    hosts = (crowd, other) if is_ipv6 else (crowd, crowd, other)
    clients = [connect(host, address_of(balancer), 8000) for host in hosts]
    for client in clients:
        check(is_served(client), text_of(client), "is not served")
        server.await_log(f" from {text_of(client)}: open")
    with connect(crowd, address_of(balancer), 8000) as more:
        check(not is_served(more), "more than the limit are served")
        server.await_log(f" from {text_of(more)}: closed, "
                         "max_connections_per_address are open")
    family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
    with crowd.socket(family, socket.SOCK_STREAM) as direct:
        direct.bind((address_of(crowd), 0))
        try:
            direct.connect((address_of(here), port))
            check(not is_served(direct), "a client past the balancer is served")
        except ConnectionResetError:  # already
            pass
        server.await_log(f" from {text_of(direct)}: closed: it is not in")
    for client in clients:
        check(is_served(client), text_of(client), "is not served any more")
    counters = server.counters()
    check(counters["closed_address"] >= 1, counters)
    check(counters["closed_proxy_from"] == 1, counters)
    check(counters["closed_proxy"] == 0, counters)


if shutil.which("haproxy") is None:
    print("skipped: hosts: haproxy is not installed")
else:
    def test_proxy_version_1(lab):
        """Behind haproxy each client counts for itself, its checks are served,
        and nobody gets past it."""
        check_behind(lab, "send-proxy")

    def test_proxy_version_2(lab):
        """The same with a checksum and other additions; its checks count for no
        address."""
        check_behind(lab, "send-proxy-v2 proxy-v2-options crc32c,unique-id")

    def test_proxy_version_2_ipv6(lab):
        """The same over IPv6."""
        check_behind(lab, "send-proxy-v2 proxy-v2-options crc32c",
                     is_ipv6=True)
