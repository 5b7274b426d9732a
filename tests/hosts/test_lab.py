"""The main path, between hosts."""

import socket

from daemon import check

BOTH = 'listeners = ( { protocol = "tcp"; port = 0; },' \
       ' { protocol = "udp"; port = 0; } );'


def talk(host, family, kind, address):
    connection = host.socket(family, kind)
    connection.connect(address)
    connection.send(b"hello")
    reply = connection.recv(100)
    connection.close()
    return reply


def check_both(server, client, server_host):
    """TCP and UDP of both families answer a client on another host."""
    for family, address in ((socket.AF_INET, server_host.address),
                            (socket.AF_INET6, server_host.address6)):
        for kind, name in ((socket.SOCK_STREAM, "tcp"),
                           (socket.SOCK_DGRAM, "udp")):
            port = server.port(f"{name} *")
            reply = talk(client, family, kind, (address, port))
            check(reply.endswith(b"] hello"), name, address, reply)


def test_a_client_on_another_host_is_answered(lab):
    """Over a cable and over a switch."""
    server_host, client, other = map(lab.host, ("server", "client", "other"))
    lab.link(server_host, client)
    lab.switch(server_host, other)
    server = server_host.server(BOTH)
    check_both(server, client, server_host)
    reply = talk(other, socket.AF_INET, socket.SOCK_STREAM,
                 (server_host.addresses[1], server.port("tcp *")))
    check(reply.endswith(b"] hello"), reply)
    server.stop()
