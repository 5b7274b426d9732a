"""The servers that are measured, and how each is started.

A server is a function that takes a Place and returns the command and the port;
the port is None if the server chooses it and prints a line "listening on".
"""

import getpass
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CTIME = "[%a %b %e %H:%M:%S %Y] "
START_TIMEOUT = 10
RETRY_MS = 5


class Missing(Exception):
    """The program is not installed."""


class Failed(Exception):
    """The server or the load failed."""


class Place:
    """Where the programs are, where they may write, and on which CPUs."""

    def __init__(self, timestampd, timestampc, programs, scratch, cpus):
        self.timestampd = os.path.abspath(timestampd)
        self.timestampc = os.path.abspath(timestampc)
        self.programs = os.path.abspath(programs)
        self.scratch = scratch
        self.cpu, self.load_cpu = cpus

    def write(self, name, text):
        path = os.path.join(self.scratch, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path


def installed(program):
    """The path of a program, also if only root has its folder in PATH."""
    path = shutil.which(program, path=os.environ.get("PATH", "") +
                        ":/usr/sbin:/sbin")
    if path is None:
        raise Missing(program)
    return path


def version(program):
    """What a program says that it is, such as "timestampd 1.0"."""
    return subprocess.run([program, "-V"], text=True, check=True,
                          capture_output=True).stdout.split("\n")[0]


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def timestampd(protocol, settings="", program=""):
    def command(place):
        config = place.write("timestampd.conf", f"""
log_level = "info";
workers = 1;
limits: {{ max_connections = 16000; }};
listeners = ({{ protocol = "{protocol}"; address = "127.0.0.1";
               port = 0; {settings} }});
""")
        return [program or place.timestampd, "-c", config], None
    return command


def limit(name, *arguments):
    def command(place):
        return [os.path.join(place.programs, "limits", name),
                *arguments], None
    return command


def threaded(_place):
    return [sys.executable, os.path.join(HERE, "peers", "threaded.py")], None


def memcached(_place):
    port = free_port()
    return [installed("memcached"), "-l", "127.0.0.1", "-p", str(port),
            "-U", "0", "-t", "1", "-c", "16000", "-b", "4096",
            "-u", getpass.getuser()], port


def redis(place):
    port = free_port()
    return [installed("redis-server"), "--bind", "127.0.0.1",
            "--port", str(port), "--save", "", "--appendonly", "no",
            "--maxclients", "16000", "--tcp-backlog", "4096",
            # Otherwise it refuses clients from 127.1.0.1.
            "--protected-mode", "no",
            "--dir", place.scratch, "--loglevel", "warning"], port


def xinetd(service, kind):
    def command(place):
        stream = kind == "stream"
        port = free_port(socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        config = place.write("xinetd.conf", f"""
service {service}
{{
	type = INTERNAL UNLISTED
	id = {service}-{kind}
	socket_type = {kind}
	protocol = {"tcp" if stream else "udp"}
	wait = {"no" if stream else "yes"}
	user = {getpass.getuser()}
	bind = 127.0.0.1
	port = {port}
	instances = UNLIMITED
	per_source = UNLIMITED
	cps = 0 1
	{"flags = NODELAY" if stream else ""}
}}
""")
        return [installed("xinetd"), "-dontfork", "-f", config, "-pidfile",
                os.path.join(place.scratch, "xinetd.pid"), "-filelog",
                os.path.join(place.scratch, "xinetd.log")], port
    return command


def socat(child):
    def command(_place):
        if child.startswith("EXEC:"):
            installed(child[len("EXEC:"):])
        port = free_port()
        return [installed("socat"), f"TCP4-LISTEN:{port},bind=127.0.0.1,fork,"
                "reuseaddr,nodelay,backlog=4096", child], port
    return command


def sockperf(*options):
    def command(_place):
        port = free_port(socket.SOCK_STREAM if options else socket.SOCK_DGRAM)
        return [installed("sockperf"), "server", *options, "-i", "127.0.0.1",
                "-p", str(port)], port
    return command


def irtt(_place):
    port = free_port(socket.SOCK_DGRAM)
    # It would allow its clients no interval below 10 ms.
    return [installed("irtt"), "server", "-i", "100us", "-b",
            f"127.0.0.1:{port}"], port


def is_bound(port):
    """Whether there is a UDP socket at this port."""
    with open("/proc/self/net/udp", encoding="ascii") as file:
        return any(line.split()[1].endswith(f":{port:04X}")
                   for line in list(file)[1:])


def ncat(_place):
    port = free_port()
    return [installed("ncat"), "-l", "-k", "-m", "1000", "127.0.0.1",
            str(port), "-e", "/bin/cat"], port


class Server:
    """A running server; as a context manager it ends at the exit."""

    def __init__(self, command, place, datagrams=False):
        argv, self.port = command(place)
        self.log_path = os.path.join(place.scratch, "server.log")
        with open(self.log_path, "wb") as log:
            # A session of its own, so that stop() ends its children too.
            self.process = subprocess.Popen(
                ["taskset", "-c", str(place.cpu), *argv], stdout=log,
                stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            self.wait(datagrams)
        except Failed:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def is_ready(self, datagrams):
        if self.port is None:
            found = re.search(r"listening on \w+ 127\.0\.0\.1:(\d+)",
                              self.log())
            if found:
                self.port = int(found[1])
            return found is not None
        if datagrams:
            return is_bound(self.port)
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def wait(self, datagrams):
        """Asks again and again; foreign servers don't say that they are
        ready.  Between the questions only the server's end is an event."""
        deadline = time.monotonic() + START_TIMEOUT
        process = os.pidfd_open(self.pid)
        end = select.poll()
        end.register(process, select.POLLIN)
        try:
            while not self.is_ready(datagrams):
                if end.poll(RETRY_MS):
                    raise Failed("ended at once: " + self.log().strip()[-200:])
                if time.monotonic() > deadline:
                    raise Failed("is not ready after 10 s")
        finally:
            os.close(process)

    def stop(self):
        # Until its leader is waited for, no other process group can have the
        # number.
        if self.process.returncode is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
