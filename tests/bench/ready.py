"""How long a server takes from its start to READY=1."""

import os
import signal
import socket
import subprocess
import time

import server
from workload import Candidate

TIMEOUT = 5


def measure(candidate, place):
    """In milliseconds; None when it never says so."""
    argv, _ = candidate.command(place)
    path = os.path.join(place.scratch, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        if os.path.exists(path):
            os.unlink(path)
        manager.bind(path)
        manager.settimeout(TIMEOUT)
        begin = time.monotonic()
        process = subprocess.Popen(
            ["taskset", "-c", str(place.cpu), *argv],
            env={**os.environ, "NOTIFY_SOCKET": path},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        try:
            while b"READY=1" not in manager.recv(4096).split(b"\n"):
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
