"""The echo of xinetd: what comes back is the line, without a stamp."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time

from daemon import LIMIT_S, check

ECHO = """
service echo
{
	type = INTERNAL UNLISTED
	id = echo-KIND
	socket_type = KIND
	protocol = PROTOCOL
	wait = WAIT
	user = USER
	bind = 127.0.0.1
	port = PORT
	cps = 0 1
}
"""


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def echo(kind, protocol, wait, port):
    words = {"KIND": kind, "PROTOCOL": protocol, "WAIT": wait,
             "USER": getpass.getuser(), "PORT": str(port)}
    text = ECHO
    for name, value in words.items():
        text = text.replace(name, value)
    return text


class Xinetd:
    """xinetd with its own echo, over TCP and UDP."""

    def __init__(self, folder):
        program = shutil.which("xinetd", path="/usr/sbin:" + os.environ["PATH"])
        check(program, "xinetd is missing: install the package xinetd")
        self.tcp = free_port(socket.SOCK_STREAM)
        self.udp = free_port(socket.SOCK_DGRAM)
        with open(f"{folder}/xinetd.conf", "w", encoding="ascii") as conf:
            conf.write(echo("stream", "tcp", "no", self.tcp) +
                       echo("dgram", "udp", "yes", self.udp))
        # It has a child for each client: they are in its session.
        self.child = subprocess.Popen(
            [program, "-dontfork", "-f", f"{folder}/xinetd.conf", "-pidfile",
             f"{folder}/xinetd.pid", "-filelog", f"{folder}/xinetd.log"],
            stdin=subprocess.DEVNULL, start_new_session=True)

    def await_echo(self):
        end = time.monotonic() + LIMIT_S
        while not (self.answers(socket.SOCK_STREAM, self.tcp) and
                   self.answers(socket.SOCK_DGRAM, self.udp)):
            check(self.child.poll() is None, "xinetd ended")
            check(time.monotonic() < end, "xinetd does not answer")

    @staticmethod
    def answers(kind, port):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.settimeout(0.1)
            try:
                probe.connect(("127.0.0.1", port))
                probe.send(b"x")
                return probe.recv(1) == b"x"
            except OSError:
                return False

    def close(self):
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()


def test_xinetd_echo(scene):
    """Each job ends with 76, over TCP and UDP, and prints nothing."""
    xinetd = scene.add(Xinetd(scene.folder))
    xinetd.await_echo()
    for where in f"127.0.0.1:{xinetd.tcp}", f"udp:127.0.0.1:{xinetd.udp}":
        for job in [], ["-P", "-q"], ["-1", "hello"]:
            client = scene.client(*job, where)
            client.feed(b"hello\nworld\n")
            output = client.rest()
            said = client.end(76)
            check(output == b"" or "-P" in job, where, job, output)
            check(b"not" in said, where, job, said)
