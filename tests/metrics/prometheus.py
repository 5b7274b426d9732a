"""A real Prometheus as a child process, and promtool."""

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request

from daemon import LIMIT_S, check, prepare_child, spawn

BEGINS_S = 60


class Missing(Exception):
    """A program is not installed."""


def find(program):
    path = shutil.which(program)
    if path is None:
        raise Missing(f"{program} is not installed")
    return path


def promtool(*words, **options):
    """Runs it, and checks that it is content; returns its output."""
    done = subprocess.run([find("promtool"), *words], capture_output=True,
                          text=True, timeout=BEGINS_S, check=False, **options)
    check(done.returncode == 0, "promtool", *words, "ended with",
          done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """Scrapes the server at port each second until the end of a with block."""

    def __init__(self, folder, port, rules=()):
        self.port = free_port()
        path = os.path.join(folder, "prometheus.yml")
        with open(path, "w", encoding="ascii") as file:
            json.dump({
                "global": {"scrape_interval": "1s",
                           "evaluation_interval": "1s"},
                "rule_files": list(rules),
                "scrape_configs": [{
                    "job_name": "timestampd",
                    "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
                }],
            }, file)
        read, write = os.pipe()
        self.log_fd, self.log = read, ""
        self.child = spawn(
            [find("prometheus"), f"--config.file={path}",
             f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=write, stderr=write,
            preexec_fn=prepare_child)
        os.close(write)

    def __enter__(self):
        end = time.monotonic() + BEGINS_S
        while "Server is ready to receive web requests" not in self.log:
            left = end - time.monotonic()
            check(left > 0 and
                  select.select([self.log_fd], [], [], left)[0],
                  "Prometheus does not begin:", self.log)
            data = os.read(self.log_fd, 65536)
            check(data, "Prometheus ended:", self.log)
            self.log += data.decode(errors="replace")
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.child.kill()
        self.child.wait()
        os.close(self.log_fd)

    def get(self, path, **arguments):
        query = urllib.parse.urlencode(arguments)
        with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/api/v1/{path}?{query}",
                timeout=LIMIT_S) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        """[(labels, value)], now."""
        return [(found["metric"], float(found["value"][1]))
                for found in self.get("query", query=expression)["result"]]

    def await_value(self, expression, is_right):
        """Asks once a scrape until the only value is right; returns it."""
        end, found = time.monotonic() + BEGINS_S, None
        while time.monotonic() < end:
            found = self.query(expression)
            if len(found) == 1 and is_right(found[0][1]):
                return found[0][1]
            select.select([], [], [], 0.5)
        check(False, expression, "is", found, self.get("targets"))
        return None
