"""What the README shows."""

import os
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


def test_readme_log_recipe(scene):
    """The very line survives restarts of the server."""
    with open(README) as file:
        line = next(line for line in file if line.startswith(LOG))
    server = scene.server()
    port = port_of(server)
    log, stamped = f"{scene.folder}/app.log", f"{scene.folder}/stamped.log"
    with open(log, "wb", buffering=0) as file:
        file.write(b"first\n")
        check(" stamphost:21568 " in line, line)
        scene.add(Shell(line.replace("stamphost:21568", f"127.0.0.1:{port}"),
                        scene.folder))
        lines = [b"first"]
        await_lines(stamped, lines)
        for turn in range(3):
            kill(server)
            lines.append(b"while it is away %d" % turn)
            file.write(lines[-1] + b"\n")
            server = scene.server(LINE % port)
            await_lines(stamped, lines)
            lines.append(b"after the restart %d" % turn)
            file.write(lines[-1] + b"\n")
            await_lines(stamped, lines)
