"""What the README and the manual show."""

import contextlib
import glob
import os
import re
import signal
import subprocess
import time

from daemon import LIMIT_S, check, prepare_child
from scene import CLIENT, LINE, check_lines, kill, port_of, texts

README = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir,
                      "README.md")
MANUAL = os.path.join(os.path.dirname(README), "man", "timestampc.1")
LOG = "tail -n 0 -F app.log | timestampc "


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
    while not output.endswith((b"] " + lines[-1] + b"\n",
                               b") " + lines[-1] + b"\n")):
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


def await_watch(group):
    """Waits until a process of the group watches a file."""
    end = time.monotonic() + LIMIT_S
    while True:
        for path in glob.glob("/proc/[0-9]*/fdinfo/*"):
            try:
                with open(path) as info:
                    if os.getpgid(int(path.split("/")[2])) == group and \
                            "inotify wd:" in info.read():
                        return
            except OSError:
                pass
        check(time.monotonic() < end, "nobody watches")


def child_of(parent, name):
    """The process of this name that parent has begun, as soon as it runs."""
    end = time.monotonic() + LIMIT_S
    while True:
        with open(f"/proc/{parent}/task/{parent}/children") as file:
            children = file.read().split()
        for child in children:
            # It may have ended meanwhile.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), \
                    open(f"/proc/{child}/comm") as file:
                if file.read().rstrip() == name:
                    return int(child)
        check(time.monotonic() < end, "no", name)


def test_manual_recipe_survives_kills_of_the_client(scene):
    """The program that writes to the named pipe lives, and no line is lost."""
    with open(MANUAL) as file:
        lines = file.read().split("$ mkfifo ")[1].split(".Ed")[0]
    script = "mkfifo " + re.sub(r"^[$>] ", "", lines, flags=re.M)
    port = port_of(scene.server())
    check("stamphost:21569" in script, script)
    script = script.replace("stamphost:21569", f"127.0.0.1:{port}")
    feed, stamped = f"{scene.folder}/feed", f"{scene.folder}/stamped"
    os.mkfifo(feed)
    shell = scene.add(Shell("app() { exec cat feed; }\n" + script,
                            scene.folder))
    said = []
    with open(feed, "wb", buffering=0) as file:
        for turn in range(4):
            client = child_of(shell.child.pid, "timestampc")
            if turn:
                os.kill(client, signal.SIGKILL)
            new = [b"%d %d" % (turn, n) for n in range(500)]
            file.write(b"".join(line + b"\n" for line in new))
            said += new
            found = await_all(stamped, said)
            check(list(dict.fromkeys(found)) == said, "not in order")
        os.kill(child_of(shell.child.pid, "timestampc"), signal.SIGTERM)
        check(shell.child.wait(LIMIT_S) == 0, "the loop goes on")


def await_all(path, lines):
    """Waits until each of lines is in the file; returns what it has."""
    end = time.monotonic() + LIMIT_S
    found = []
    while lines[-1] not in found:
        check(time.monotonic() < end, "only", found[-1:])
        os.sched_yield()
        if os.path.exists(path):
            with open(path, "rb") as file:
                found = texts(file.read())
    return found


def test_readme_log_recipe(scene):
    """The very line survives kills and stops of the server, with lines under
    way and lines that come while it is away.  It takes no earlier line."""
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
        file.write(b"earlier\n")
        shell = scene.add(Shell(line.replace("stamphost:21569",
                                             f"127.0.0.1:{port}"),
                                scene.folder))
        await_watch(shell.child.pid)
        write(b"first", 1)
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
