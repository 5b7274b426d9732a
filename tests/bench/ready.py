"""How long a server takes from its start to READY=1."""

import contextlib
import os
import signal
import subprocess
import time

import server
from manager import Manager
from workload import Candidate

TIMEOUT = 5


def measure(candidate, place):
    """Returns milliseconds; None if READY=1 does not come."""
    argv, _ = candidate.command(place)
    with contextlib.closing(Manager(place.scratch)) as manager:
        manager.socket.settimeout(TIMEOUT)
        begin = time.monotonic()
        process = subprocess.Popen(
            ["taskset", "-c", str(place.cpu), *argv],
            env={**os.environ, **manager.environment()},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        try:
            while b"READY=1" not in manager.hear().split(b"\n"):
                pass
            return (time.monotonic() - begin) * 1e3
        except TimeoutError:
            return None
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def redis(place):
    argv, port = server.redis(place)
    return argv + ["--supervised", "systemd"], port


CANDIDATES = [Candidate("timestampd", server.timestampd("tcp")),
              Candidate("redis", redis)]
