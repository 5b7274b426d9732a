"""Sessions at a terminal, and single replies."""

import fcntl
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
import threading

from daemon import LIMIT_S, check, prepare_child
from scene import CLIENT, LINE, kill, naming, port_of, target
from test_foreign import Echo, tcp

REPLY = rb"\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\] "
UP = b"\033[A"


class Terminal:
    """timestampc at a pseudo-terminal.  stdout: something else for it; tracer:
    words in front of the command line."""

    def __init__(self, *arguments, stdout=None, tracer=()):
        self.fd, inside = pty.openpty()

        def prepare():
            prepare_child()
            os.setsid()
            fcntl.ioctl(inside, termios.TIOCSCTTY, 0)
        self.child = subprocess.Popen(
            [*tracer, CLIENT, *arguments], stdin=inside,
            stdout=stdout or inside,
            stderr=inside, preexec_fn=prepare,
            env={**os.environ, "TERM": "vt100", "HOME": "/nonexistent"})
        os.close(inside)
        self.seen = b""

    def type(self, text):
        os.write(self.fd, text)

    def read(self):
        check(select.select([self.fd], [], [], LIMIT_S)[0],
              "nothing for", LIMIT_S, "s but", self.seen)
        try:
            return os.read(self.fd, 1 << 16)
        except OSError:  # the other side is closed
            return b""

    def expect(self, pattern):
        """Waits for pattern, and forgets what came up to its end."""
        while not (found := re.search(pattern, self.seen)):
            data = self.read()
            check(data, "no", pattern, "but", self.seen)
            self.seen += data
        self.seen = self.seen[found.end():]
        return found

    def prompt(self):
        """Waits for the prompt, and until the editor reads keys: libedit
        writes the prompt first."""
        self.expect(b"> ")
        while termios.tcgetattr(self.fd)[3] & termios.ICANON:
            os.sched_yield()

    def end(self, status=0):
        while data := self.read():
            self.seen += data
        check(self.child.wait(LIMIT_S) == status, "it ended with",
              self.child.returncode, self.seen)

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        os.close(self.fd)


class SlowOnce:
    """A server of Unix datagrams that answers nothing until a line has come,
    and then paths only, as timestampd does."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        is_awake = False
        while True:
            data, client = self.socket.recvfrom(65536)
            if data == b"the end":
                return
            if is_awake and isinstance(client, str):
                self.socket.sendto(b"[stamp] " + data, client)
            is_awake |= bool(data)

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"the end", self.path)


def test_talk_at_a_terminal(scene):
    """Prompt, reply, editing, history; an empty line ends it."""
    terminal = scene.add(Terminal(target(port_of(scene.server()))))
    terminal.prompt()
    terminal.type(b"hello\n")
    terminal.expect(REPLY + b"hello\r\n")
    terminal.prompt()
    terminal.type(b"worl\x01the \x05d\n")  # Ctrl-A, Ctrl-E
    terminal.expect(REPLY + b"the world\r\n")
    terminal.prompt()
    terminal.type(UP + UP + b"!\n")
    terminal.expect(REPLY + b"hello!\r\n")
    terminal.prompt()
    terminal.type(b"\n")
    terminal.end()


def test_talk_ends_at_control_d_and_c(scene):
    """Ctrl-D ends it well, Ctrl-C kills it and leaves the terminal sane."""
    server = scene.server()
    terminal = scene.add(Terminal(target(port_of(server))))
    terminal.prompt()
    terminal.type(b"\x04")
    terminal.end()
    terminal = scene.add(Terminal(target(port_of(server))))
    terminal.prompt()
    terminal.type(b"half a line\x03")
    terminal.end(-signal.SIGINT)
    modes = termios.tcgetattr(terminal.fd)[3]
    check(modes & termios.ICANON and modes & termios.ECHO, "raw mode is left")


def test_talk_over_each_protocol(scene):
    """UDP, and the three kinds of Unix socket."""
    folder = scene.folder
    server = scene.server(f"""control = ""; listeners = (
        {{ protocol = "udp"; address = "127.0.0.1"; port = 0; }},
        {{ protocol = "unix"; path = "{folder}/u"; }},
        {{ protocol = "unix-dgram"; path = "{folder}/d"; }},
        {{ protocol = "unix-seqpacket"; path = "{folder}/s"; }});""")
    port = server.port("udp 127.0.0.1")
    for where in (f"udp:127.0.0.1:{port}", f"udp:localhost:{port}",
                  f"unix:{folder}/u", f"unix-dgram:{folder}/d",
                  f"unix-seqpacket:{folder}/s"):
        terminal = scene.add(Terminal(where))
        for text in b"hello", b"again":
            terminal.prompt()
            terminal.type(text + b"\n")
            terminal.expect(REPLY + text + b"\r\n")
        terminal.prompt()
        terminal.type(b"\n")
        terminal.end()


def test_talk_says_that_no_reply_came(scene):
    """A UDP reply that does not come within -W; the next line is read."""
    silent = scene.add(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    silent.bind(("127.0.0.1", 0))
    terminal = scene.add(Terminal("-W", "0.4", "udp:127.0.0.1:%d" %
                                  silent.getsockname()[1]))
    terminal.prompt()
    terminal.type(b"hello\n")
    terminal.expect(rb"no reply within 0\.4 s")
    data, client = silent.recvfrom(100)
    check(data == b"hello\n", data)
    terminal.prompt()
    terminal.type(b"again\n")
    check(silent.recv(100) == b"again\n", "the second line")
    silent.sendto(b"[late] hello\n", client)
    silent.sendto(b"[stamp] again\n", client)
    terminal.expect(rb"\[stamp\] again\r\n")
    terminal.prompt()
    terminal.type(b"\x04")
    terminal.end()


def test_talk_refuses_what_is_for_a_pipe(scene):
    """-S, -w and -G do nothing at a terminal: 64.  Messages have the name of the
    program, wherever it is."""
    for option in ["-S", f"{scene.folder}/spool"], ["-w", "65536"], ["-G", "1"]:
        terminal = scene.add(Terminal(*option, "tcp:127.0.0.1:1"))
        terminal.expect(f"timestampc: {option[0]} needs an input".encode())
        terminal.end(64)
    errors = scene.pipe(b"", "-x", status=64)[1]
    check(all(line.startswith(b"timestampc: ")
              for line in errors.splitlines()), errors)


def test_talk_quietly(scene):
    """-q: a connection that was lost is made again without a word."""
    proxy = scene.proxy(port_of(scene.server()), [(40, "down", "fin")])
    terminal = scene.add(Terminal("-q", target(proxy.port)))
    for text in b"one", b"two":
        terminal.prompt()
        terminal.type(text + b"\n")
        found = terminal.expect(b"(?s).*" + REPLY + text + b"\r\n")
        check(b"timestampc" not in found.group(), found.group())


def test_talk_connects_again(scene):
    """A lost connection is made again, and it says so; while the server is away
    each line says so, and the dialogue goes on when it is back."""
    server = scene.server()
    proxy = scene.proxy(port_of(server), [(40, "down", "fin")])
    terminal = scene.add(Terminal(target(proxy.port)))
    terminal.prompt()
    terminal.type(b"one\n")
    terminal.expect(REPLY + b"one\r\n")
    terminal.prompt()
    terminal.type(b"two\n")
    terminal.expect(b"connection was lost")
    terminal.expect(REPLY + b"two\r\n")
    terminal.prompt()
    terminal.type(b"three\n")
    terminal.expect(REPLY + b"three\r\n")
    terminal.prompt()
    direct = scene.add(Terminal(target(port_of(server))))
    direct.prompt()
    kill(server)
    for text, first in (b"four", b"connection was lost"), (b"five", b"five"):
        direct.type(text + b"\n")
        direct.expect(first)
        direct.expect(b"refused")
        direct.prompt()
    scene.server(LINE % port_of(server))
    direct.type(b"six\n")
    direct.expect(REPLY + b"six\r\n")
    direct.prompt()
    direct.type(b"\n")
    direct.end()


def test_talk_without_a_prompt(scene):
    """Where the output is not a terminal."""
    source, sink = os.pipe()
    terminal = scene.add(Terminal(target(port_of(scene.server())),
                                  stdout=sink))
    os.close(sink)
    terminal.type(b"hello\n\n")
    terminal.end()
    with os.fdopen(source, "rb") as stream:
        output = stream.read()
    check(re.fullmatch(REPLY + b"hello\n", output), output)
    check(b"> " not in terminal.seen, "a prompt")


def test_once(scene):
    """-1: one reply, and its exit statuses."""
    server = scene.server()
    where = target(port_of(server))
    output, _ = scene.pipe(b"ignored\n", "-1", "hello world", where)
    check(re.fullmatch(REPLY + b"hello world\n", output), output)
    scene.pipe(b"", "-1", "a\nb", where, status=64)
    scene.pipe(b"", "-1", "a", "tcp:nosuchhost.invalid", status=68)
    scene.pipe(b"", "-1", "a", tcp(scene, Echo), status=76)
    silent = scene.add(socket.create_server(("127.0.0.1", 0)))
    scene.pipe(b"", "-W", "0.1", "-1", "a",
               target(silent.getsockname()[1]), status=1)
    kill(server)
    scene.pipe(b"", "-1", "a", where, status=69)


def test_once_when_nobody_reads(scene):
    """EPIPE of the output: quietly, with 74; so it is for a dialogue."""
    where = target(port_of(scene.server()))
    source, sink = os.pipe()
    os.close(source)
    client = scene.client("-1", "hello", where, stdout=sink)
    check(client.end(74) == b"", "a message")
    terminal = scene.add(Terminal(where, stdout=sink))
    os.close(sink)
    terminal.type(b"hello\n")
    terminal.end(74)


def test_once_tries_each_address(scene):
    """A name with several addresses: the first that answers is used."""
    server = scene.server(LINE % 0)
    for name, tracer in ("localhost", ()), \
            ("both", naming(scene, "both", "::1", "127.0.0.1")):
        if tracer is not None:
            client = scene.client("-1", "hello", f"{name}:{port_of(server)}",
                                  tracer=tracer)
            client.hear(b"] hello\n")
            client.end()
    check(scene.pipe(b"", "-4", "-1", "x", "tcp:[::1]:9", status=68)[1],
          "no message")


def test_once_waits_for_a_connection(scene):
    """As long as -W says: the client that waits less ends first."""
    full = scene.add(socket.create_server(("127.0.0.1", 0), backlog=0))
    where = target(full.getsockname()[1])
    scene.add(socket.create_connection(full.getsockname()))
    other = scene.client("-1", "hello", "-W", "6", where)
    check(b"timed out" in scene.client("-1", "x", "-W", "0.1", where).end(69),
          "no message")
    check(other.child.poll() is None, "both waited as long")


def test_once_and_talk_when_a_unix_server_was_slow(scene):
    """Where nothing came back to a path, the client asks from there again."""
    server = scene.add(SlowOnce(scene.folder, "one"))
    client = scene.client("-W", "0.5", "-1", "hello",
                          f"unix-dgram:{server.path}")
    check(client.rest() == b"[stamp] hello\n", client.heard)
    client.end()
    server = scene.add(SlowOnce(scene.folder, "two"))
    terminal = scene.add(Terminal("-W", "0.5", f"unix-dgram:{server.path}"))
    for text in b"one", b"two":
        terminal.prompt()
        terminal.type(text + b"\n")
        terminal.expect(rb"\[stamp\] " + text + b"\r\n")
