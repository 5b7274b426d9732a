"""The real server as a child process, and strace as its tormentor."""

import contextlib
import ctypes
import mmap
import os
import re
import resource
import select
import signal
import struct
import subprocess
import threading
import time

from manager import BEGINNING, Manager

PROGRAM = os.path.abspath(os.environ.get("TIMESTAMPD", "timestampd"))
SHIM = os.path.abspath(os.environ.get("FAULT_SHIM", "shim.so"))
LIMIT_S = 20  # what takes longer hangs
PR_SET_PTRACER, PR_SET_PDEATHSIG = 0x59616d61, 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """The server did what it must not."""


def check(condition, *what):
    if not condition:
        raise Failure(" ".join(str(word) for word in what))


def prepare_child():
    """Dies with the test, may be traced, dumps no core."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    LIBC.prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Control:
    """The file shared with the shim; the layout is that of shim.h."""

    FIELDS = {"allocations": (0, "Q"), "fail_at": (8, "Q"),
              "failed": (16, "Q"), "meddled": (24, "Q"),
              "meddling": (32, "I"), "close_errno": (36, "i")}

    def __init__(self, path):
        with open(path, "w+b") as file:
            file.truncate(40)
            self.memory = mmap.mmap(file.fileno(), 40)
        self.path = path

    def get(self, name):
        at, kind = self.FIELDS[name]
        return struct.unpack_from(kind, self.memory, at)[0]

    def set(self, name, value):
        at, kind = self.FIELDS[name]
        struct.pack_into(kind, self.memory, at, value)

    def fail_next(self, n=1):
        """The n-th allocation from now on is to fail."""
        self.set("fail_at", self.get("allocations") + n)


def spawn(words, **options):
    with BEGINNING:
        return subprocess.Popen(words, **options)


def command(arguments, control=None, held=False):
    """(words, environment) of the program as a process to be.

    The shell goes first, whose number is that of the program: it may wait to be
    traced, it says whom passed sockets are for, and has no shim itself.
    """
    hold = "kill -STOP $$; " if held else ""
    environment = {"TZ": "UTC0", "PATH": os.environ["PATH"]}
    if control is not None:
        environment |= {"SHIM": SHIM, "FAULT_CONTROL": control.path}
    return ["sh", "-c", hold + 'LISTEN_PID=$$ LD_PRELOAD=$SHIM exec "$@"',
            "sh", *arguments], environment


class Server:
    """A server in folder, which holds its configuration "conf".

    tracer: the words in front of the command line, from the server so far.
    manager: whose server it is; None: it gets one of its own.
    held: it doesn't begin before SIGCONT, so that it can be traced.
    """

    def __init__(self, folder, control=None, tracer=lambda server: [],
                 arguments=(), manager=None, held=False, environment=None):
        self.folder = folder
        self.log, self.ended = b"", False
        self.own_manager = None if manager else Manager(folder)
        self.manager = manager or self.own_manager
        self.log_fd, write_end = os.pipe()
        self.log_path = os.readlink(f"/proc/self/fd/{write_end}")
        words, variables = command(
            [*tracer(self), PROGRAM, "-c", "conf", *arguments], control, held)
        self.child = spawn(
            words, cwd=folder, stdin=subprocess.DEVNULL, stdout=write_end,
            stderr=write_end, preexec_fn=self.prepare, close_fds=False,
            env=variables | self.manager.environment() | (environment or {}))
        os.close(write_end)
        if held:
            os.waitid(os.P_PID, self.child.pid,
                      os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def prepare(self):
        prepare_child()
        self.manager.put_in_place()

    def read_log(self):
        data = os.read(self.log_fd, 65536)
        self.log += data
        self.ended = self.ended or not data

    def drain(self):
        """Reads what has been written so far."""
        while select.select([self.log_fd], [], [], 0)[0] and not self.ended:
            self.read_log()
        while select.select([self.manager], [], [], 0)[0]:
            self.manager.hear()

    def read_news(self, *others):
        """Waits for the next of the log, of the service manager's socket or of
        others, which hear it."""
        ready, _, _ = select.select([self.log_fd, self.manager, *others], [],
                                    [], LIMIT_S)
        check(ready, "nothing heard of the server for", LIMIT_S, "s:",
              self.log.decode())
        if self.log_fd in ready:
            self.read_log()
        for other in others:
            if other in ready:
                other.hear()
        return self.manager.hear() if self.manager in ready else b""

    def await_ready(self):
        """Whether it is up, else it has ended.  One of two signs does."""
        while b"ready: " not in self.log and not self.ended:
            if b"READY=1" in self.read_news():
                break
        self.drain()
        return not self.ended

    def await_log(self, *texts, since=0):
        """Waits for one of texts after the first since bytes of the log."""
        while True:
            for text in texts:
                if text.encode() in self.log[since:]:
                    return text
            check(not self.ended, "it ended:", self.log[since:].decode())
            self.read_news()

    def counters(self):
        """All counters by name; {} when there was no memory to write them."""
        since = len(self.log)
        self.signal(signal.SIGUSR1)
        self.await_log("counters: ", since=since)
        while not self.log.endswith(b"\n"):
            self.read_log()
        line = self.log[since:].decode().rpartition("counters: ")[2]
        return {name: int(value)
                for name, value in re.findall(r"(\w+)=(\d+)", line)}

    def lines(self, since=0):
        """Lines of the log, but for those that were asked for."""
        return [line for line in self.log[since:].decode().splitlines()
                if "counters: " not in line]

    def port(self, name):
        """The port of the listener that is announced as name; None."""
        found = re.search(rf"listening on {re.escape(name)}:(\d+)",
                          self.log.decode())
        return int(found.group(1)) if found else None

    def descriptors(self):
        """{(number, what it is)} but of those open for a moment only, as the
        main thread does to tell its status: not while it counts."""
        folder, looks = f"/proc/{self.child.pid}/fd", []
        for _ in range(2):
            look = set()
            for number in os.listdir(folder):
                with contextlib.suppress(FileNotFoundError):
                    look.add((number, os.readlink(f"{folder}/{number}")))
            looks.append(look)
            self.counters()
        return looks[0] & looks[1]

    def check_descriptors(self, most, least=None):
        """That so many are open, least: most; returns how many.  What a
        thread is about to close goes, what is lost never does."""
        end = time.monotonic() + LIMIT_S
        least = most if least is None else least
        while True:
            now = self.descriptors()
            if least <= len(now) <= most:
                return len(now)
            check(time.monotonic() < end, "not", most, "descriptors are open:",
                  *sorted(now))

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self):
        """The exit status; below 0: the signal that ended it."""
        while not self.ended:
            self.read_news()
        status = self.child.wait(LIMIT_S)
        self.drain()
        self.close()
        return status

    def check_alive(self):
        check(self.child.poll() is None, "it ended with",
              self.child.returncode, self.log.decode())

    def stop(self):
        self.signal(signal.SIGTERM)
        status = self.wait()
        check(status == 0, "a stop ended with", status, self.log.decode())

    def close(self):
        os.close(self.log_fd)
        if self.own_manager:
            self.own_manager.close()

    def kill(self):
        """The end of one that failed the test already."""
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


class Strace:
    """Traces a server that runs, from now until stop."""

    def __init__(self, server, *options):
        self.path = os.path.join(server.folder, "trace")
        self.tracer = spawn(
            ["strace", "-f", "-y", "-o", self.path, *options, "-p",
             str(server.child.pid)], stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, text=True)
        limit = threading.Timer(LIMIT_S, self.tracer.kill)
        limit.start()
        said = ""
        for line in self.tracer.stderr:
            said += line
            if "attached" in line:
                break
        limit.cancel()
        check("attached" in said, "strace:", said)

    def stop(self):
        """Lets go of the server; returns the trace."""
        self.tracer.send_signal(signal.SIGINT)
        self.tracer.communicate(timeout=LIMIT_S)
        with open(self.path, encoding="utf-8", errors="replace") as file:
            return file.read()


def may_trace():
    """Whether strace works here for this user."""
    try:
        done = subprocess.run(["strace", "-o", "/dev/null", "true"],
                              capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0
