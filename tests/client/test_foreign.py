"""Servers that are not ours."""

import socket
import socketserver
import threading
import time

from daemon import check
from scene import check_lines, target, texts


class ClassicTcp(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(1024):
            self.request.sendall(f"[{time.ctime()}] ".encode() + data)


class ClassicUdp(socketserver.BaseRequestHandler):
    def handle(self):
        data, answer = self.request
        answer.sendto(f"[{time.ctime()}] ".encode() + data[:1024],
                      self.client_address)


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(1024):
            self.request.sendall(data)


class OneShot(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(f"[{time.ctime()}] ".encode() +
                             self.request.recv(1024))


class LossyUdp(ClassicUdp):
    count = 0

    def handle(self):
        LossyUdp.count += 1
        if LossyUdp.count % 3 != 1:
            super().handle()
        if LossyUdp.count % 5 == 0:
            super().handle()


class Running:
    """A server of the Python library in a thread."""

    def __init__(self, kind, handler):
        kind.daemon_threads = True
        self.server = kind(("127.0.0.1", 0), handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,),
                         daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def tcp(scene, handler):
    return target(scene.add(
        Running(socketserver.ThreadingTCPServer, handler)).port)


def udp(scene, handler):
    port = scene.add(Running(socketserver.UDPServer, handler)).port
    return f"udp:127.0.0.1:{port}"


LINES = [b"line %d" % n for n in range(300)]
INPUT = b"".join(line + b"\n" for line in LINES)


def test_foreign_classic_tcp(scene):
    """A buffer of 1024 bytes, and lines that are longer."""
    lines = LINES + [b"y" * 5000, b"[a] " * 1000, b"end"]
    output, errors = scene.pipe(b"".join(line + b"\n" for line in lines),
                                tcp(scene, ClassicTcp))
    check_lines(output, lines)
    check(b"line by line" in errors, errors)


def test_foreign_classic_udp(scene):
    """Line by line; a line that its buffer cuts is not printed in part."""
    where = udp(scene, ClassicUdp)
    output, _ = scene.pipe(INPUT, where)
    check_lines(output, LINES)
    output, errors = scene.pipe(b"short\n" + b"y" * 2000 + b"\n", where,
                                status=76)
    check(texts(output) == [b"short"], output)
    check(b"part of its line" in errors, errors)


def test_foreign_udp_that_loses(scene):
    """Datagrams and replies are lost and doubled: each line comes once."""
    lines = LINES[:12] + [b"same"] * 4
    output, _ = scene.pipe(b"".join(line + b"\n" for line in lines),
                           udp(scene, LossyUdp))
    check_lines(output, lines)
    check(b"s) " in output, "no mark")


def test_foreign_one_reply_a_connection(scene):
    """A server that closes after each reply."""
    output, _ = scene.pipe(INPUT, tcp(scene, OneShot))
    check_lines(output, LINES)


def test_foreign_echo(scene):
    """What sends data back without a stamp: exit status 76."""
    for data in INPUT, b"no newline", b"[x] y\n", b"[\n":
        output, errors = scene.pipe(data, tcp(scene, Echo), status=76)
        check(output == b"" and b"not a timestamp server" in errors, output,
              errors)


def test_foreign_greeting(scene):
    """What speaks first, or sends a stamp without an end."""
    for greeting in b"220 smtp.example ESMTP\r\n", b"[" * 3000:
        listener = scene.add(socket.create_server(("127.0.0.1", 0)))
        client = scene.client(target(listener.getsockname()[1]))
        peer = scene.add(listener.accept()[0])
        client.say(b"hello\n")
        peer.sendall(greeting)
        client.end(76)
