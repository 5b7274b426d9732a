"""strace, attached to a running server."""

import os
import signal
import subprocess
import threading

from daemon import LIMIT_S, check, spawn


class Strace:
    """Traces a running server, or one thread, until stop() is called."""

    def __init__(self, server, *options, thread=None):
        self.path = os.path.join(server.folder, "trace")
        self.tracer = spawn(
            ["strace", *([] if thread else ["-f"]), "-y", "-o", self.path,
             *options, "-p", thread or str(server.child.pid)], stderr=subprocess.PIPE,
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
        """Detaches from the server; returns the trace."""
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
