"""The real server as a child process."""

import contextlib
import ctypes
import os
import re
import resource
import select
import signal
import subprocess
import time

from manager import BEGINNING, Manager

PROGRAM = os.path.abspath(os.environ.get("TIMESTAMPD", "timestampd"))
LIMIT_S = 20  # a wait that takes longer is a failure
PR_SET_PTRACER, PR_SET_PDEATHSIG = 0x59616d61, 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """The server did something wrong."""


def check(condition, *what):
    if not condition:
        raise Failure(" ".join(str(word) for word in what))


def prepare_child():
    """Makes the child die with the test, traceable, and dump no core.  It heeds
    signals also where the tests ignore them: under nohup, in the background."""
    for number in signal.SIGHUP, signal.SIGINT, signal.SIGQUIT:
        signal.signal(number, signal.SIG_DFL)
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    LIBC.prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def spawn(words, **options):
    with BEGINNING:
        return subprocess.Popen(words, **options)


def command(arguments, control=None, held=False):
    """Returns (words, environment) with which to start the program.

    control: of the shim to preload; None: no shim.  held: see Server.
    A shell sets LISTEN_PID and LD_PRELOAD and then executes the program: the
    program gets the shell's PID, and the shell runs without the shim.
    """
    hold = "kill -STOP $$; " if held else ""
    environment = {"TZ": "UTC0", "PATH": os.environ["PATH"]}
    if control is not None:
        environment |= control.environment()
    return ["sh", "-c", hold + 'LISTEN_PID=$$ LD_PRELOAD=$SHIM exec "$@"',
            "sh", *arguments], environment


class Server:
    """A server that runs in folder with the configuration folder/conf.

    control: of the shim to preload; None: no shim.
    tracer: a function of this object that returns the words in front of the
    command line.  manager: the service manager; None: the server gets its
    own.  held: the process waits for SIGCONT, so that a tracer can attach
    before the server's first call.  program: of another version.
    """

    def __init__(self, folder, control=None, tracer=lambda server: [],
                 arguments=(), manager=None, held=False, environment=None,
                 program=PROGRAM):
        self.folder = folder
        self.log, self.ended = b"", False
        self.own_manager = None if manager else Manager(folder)
        self.manager = manager or self.own_manager
        self.log_fd, write_end = os.pipe()
        self.log_path = os.readlink(f"/proc/self/fd/{write_end}")
        words, variables = command(
            [*tracer(self), program, "-c", "conf", *arguments], control, held)
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
        """Waits for a line of the log, a message to the service manager, or
        input for one of others, and then calls its hear(); returns the message
        or b"".
        """
        ready, _, _ = select.select([self.log_fd, self.manager, *others], [],
                                    [], LIMIT_S)
        check(ready, "the server wrote nothing for", LIMIT_S, "s:",
              self.log.decode())
        if self.log_fd in ready:
            self.read_log()
        for other in others:
            if other in ready:
                other.hear()
        return self.manager.hear() if self.manager in ready else b""

    def await_ready(self):
        """Waits until the server is ready (its log or READY=1 says so) or has
        ended; returns whether it is ready."""
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
        """All counters by name; {} if the server had no memory to log them."""
        since = len(self.log)
        self.signal(signal.SIGUSR1)
        self.await_log("counters: ", since=since)
        while not self.log.endswith(b"\n"):
            self.read_log()
        line = self.log[since:].decode().rpartition("counters: ")[2]
        return {name: int(value)
                for name, value in re.findall(r"(\w+)=(\d+)", line)}

    def lines(self, since=0):
        """The lines of the log without the counters that the tests ask for."""
        return [line for line in self.log[since:].decode().splitlines()
                if "counters: " not in line]

    def port(self, name):
        """The port of the listener that the log announces as name, or None."""
        found = re.search(rf"listening on {re.escape(name)}:(\d+)",
                          self.log.decode())
        return int(found.group(1)) if found else None

    def descriptors(self):
        """{(number, target)} of the descriptors that are open at two moments:
        the main thread opens some for a short time."""
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
        """Waits until least (default: most) to most descriptors are open, for a
        thread may be about to close one; fails after the time limit.  Returns
        how many are open."""
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
        """Waits for the end; returns the exit status, or the negated signal."""
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
        """Ends a server whose test has failed; harmless after its end."""
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
