"""What the README shows."""

import os
import signal
import subprocess
import time

from daemon import LIMIT_S, check, prepare_child
from scene import CLIENT, LINE, check_lines, kill, port_of

README = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir,
                      "README.md")
LOG = "tail -F app.log | timestampc "


class Shell:
    """The line of the README, in a folder of its own."""

    def __init__(self, line, folder):
        path = os.path.dirname(CLIENT) + ":" + os.environ["PATH"]
        self.child = subprocess.Popen(
            ["sh", "-c", line], cwd=folder, start_new_session=True,
            stderr=subprocess.DEVNULL, preexec_fn=prepare_child,
            env={**os.environ, "PATH": path})

    def close(self):
        os.killpg(self.child.pid, 9)
        self.child.wait()


def await_lines(path, lines):
    """Waits until the file ends in the last of lines, and compares it."""
    end = time.monotonic() + LIMIT_S
    output = b""
    while not output.endswith(b"] " + lines[-1] + b"\n") and \
            not output.endswith(b"s) " + lines[-1] + b"\n"):
        check(time.monotonic() < end, "only", output[-200:])
        os.sched_yield()
        if os.path.exists(path):
            with open(path, "rb") as file:
                output = file.read()
    check_lines(output, lines)


def await_queued(port):
    """Waits until the server at port has been sent what it has not read."""
    end = time.monotonic() + LIMIT_S
    while True:
        queues = subprocess.run(["ss", "-tnH", f"sport = :{port}"],
                                capture_output=True, check=True).stdout
        if any(line.split()[1] != b"0" for line in queues.splitlines()):
            return
        check(time.monotonic() < end, "nothing is sent")


def test_readme_log_recipe(scene):
    """The very line survives kills and stops of the server, with lines under
    way and lines that come while it is away."""
    with open(README) as file:
        line = next(line for line in file if line.startswith(LOG))
    check(" stamphost:21569 " in line, line)
    server = scene.server()
    port = port_of(server)
    log, stamped = f"{scene.folder}/app.log", f"{scene.folder}/stamped.log"
    with open(log, "wb", buffering=0) as file:
        lines = []

        def write(name, count):
            new = [b"%s %d" % (name, n) for n in range(count)]
            file.write(b"".join(line + b"\n" for line in new))
            lines.extend(new)
        write(b"first", 1)
        scene.add(Shell(line.replace("stamphost:21569", f"127.0.0.1:{port}"),
                        scene.folder))
        await_lines(stamped, lines)
        for turn in range(6):
            server.signal(signal.SIGSTOP)
            os.waitid(os.P_PID, server.child.pid, os.WSTOPPED)
            write(b"under way %d," % turn, 500)
            await_queued(port)
            if turn % 2:
                kill(server)
            else:
                server.signal(signal.SIGTERM)
                server.signal(signal.SIGCONT)
                check(server.wait() == 0, "the stop failed")
            write(b"while it is away %d," % turn, 500)
            server = scene.server(LINE % port)
            await_lines(stamped, lines)
            write(b"after the restart %d," % turn, 500)
            await_lines(stamped, lines)
