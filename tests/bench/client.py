"""The client, and the programs beside it, as the load.

A job is a function of (place, server, seconds) that runs a program on the
load's CPU and returns its figures; see result.py.  Of these the CPU time is
the program's, not the server's.
"""

import json
import os
import re
import subprocess
import time

from server import Failed, installed

LINES = 4000000  # of 64 bytes: a third of a second for the fastest
TS_LINES = 100000
LINE_BYTES = 64
CHECKED = 1000  # lines whose replies are compared
ECHO_BYTES = 64
INTERVAL = "1ms"
TIMEOUT = 60
REPLY = re.compile(rb"(\[[^]]*\] |\w{3} \d\d \d\d:\d\d:\d\d )(.*)")


def lines(place, count):
    """A file with so many different lines."""
    path = os.path.join(place.scratch, f"lines-{count}")
    if not os.path.exists(path):
        with open(path, "wb") as file:
            for n in range(count):
                file.write(b"%0*d\n" % (LINE_BYTES - 1, n))
    return path


def server_ns(server):
    """The CPU time of the server's threads."""
    folder = f"/proc/{server.pid}/task"
    total = 0
    for thread in os.listdir(folder):
        with open(f"{folder}/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total


def run(place, words, source, sink):
    """Runs a program to its end; returns (wall, CPU) in ns."""
    begin = time.monotonic_ns()
    child = subprocess.Popen(["timeout", str(TIMEOUT), "taskset", "-c",
                              str(place.load_cpu), *words], stdin=source,
                             stdout=sink, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall_ns = time.monotonic_ns() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise Failed(f"{words[0]} ended with {child.returncode}")
    return wall_ns, round((usage.ru_utime + usage.ru_stime) * 1e9)


def check_lines(place, words):
    """Each of some lines comes back once, in order, behind a stamp."""
    path = lines(place, CHECKED)
    output = os.path.join(place.scratch, "stamped")
    with open(path, "rb") as source, open(output, "wb") as sink:
        run(place, words, source, sink)
    with open(path, "rb") as source, open(output, "rb") as stamped:
        came = [REPLY.fullmatch(line.rstrip(b"\n")) for line in stamped]
        if [found and found[2] for found in came] != \
                source.read().splitlines():
            raise Failed("the output is not the input with stamps")


def pipe(command, count=LINES):
    """The job of stamping a file; command: a function of (place, port)."""
    def job(place, server, _seconds):
        words = command(place, server.port)
        check_lines(place, words)
        path = lines(place, count)
        before_ns = server_ns(server)
        with open(path, "rb") as source:
            wall_ns, cpu_ns = run(place, words, source, subprocess.DEVNULL)
        return {"rate": count / wall_ns * 1e9, "cost_ns": cpu_ns / count,
                "busy": cpu_ns / wall_ns,
                "server_busy": (server_ns(server) - before_ns) / wall_ns}
    return job


def timestampc_pipe(place, port):
    return [place.timestampc, f"tcp:127.0.0.1:{port}"]


def socat(_place, port):
    return [installed("socat"), "-t", "20", "-b", "262144", "-",
            f"TCP:127.0.0.1:{port}"]


def nc(_place, port):
    return [installed("nc"), "-N", "127.0.0.1", str(port)]


def ts(_place, _port):
    return [installed("ts")]


def said(place, words):
    """What a program prints."""
    done = subprocess.run(["taskset", "-c", str(place.load_cpu), *words],
                          capture_output=True, text=True, check=False,
                          timeout=TIMEOUT)
    if done.returncode != 0:
        raise Failed(done.stderr.strip()[-200:] or f"exit {done.returncode}")
    return done.stdout


def timestampc_ping(protocol, *options):
    """options: -A, or the interval."""
    def job(place, server, seconds):
        text = said(place, [place.timestampc, "-P", "-j", "-q", *options,
                            "-d", str(seconds),
                            f"{protocol}:127.0.0.1:{server.port}"])
        figures = json.loads(text)
        return {"rate": figures["received"] / figures["elapsed_ns"] * 1e9,
                "lost": figures["lost"],
                "p50_us": figures["rtt_median_ns"] / 1e3,
                "p99_us": figures["rtt_p99_ns"] / 1e3}
    return job


def sockperf(*options):
    """It takes whole seconds."""
    def job(place, server, seconds):
        text = said(place, [installed("sockperf"), "ping-pong", *options,
                            "-i", "127.0.0.1", "-p", str(server.port), "-m",
                            str(ECHO_BYTES), "-t", str(max(1, round(seconds))),
                            "--full-rtt"])

        def figure(pattern):
            found = re.search(pattern + r" *= *([\d.]+)", text)
            if found is None:
                raise Failed("sockperf printed no " + pattern)
            return float(found[1])
        valid = r"Valid Duration\].*"
        return {"rate": figure(valid + "ReceivedMessages") /
                        figure(valid + "RunTime"),
                "p50_us": figure(r"percentile 50\.000"),
                "p99_us": figure(r"percentile 99\.000")}
    return job


def irtt(place, server, seconds):
    """It sends by the clock; its replies are in the JSON one by one."""
    text = said(place, [installed("irtt"), "client", "-i", INTERVAL, "-d",
                        f"{seconds}s", "-l", str(ECHO_BYTES), "-Q", "-o", "-",
                        f"127.0.0.1:{server.port}"])
    report = json.loads(text[text.index("{"):])
    times = sorted(trip["delay"]["rtt"] for trip in report["round_trips"]
                   if trip["lost"] == "false")
    if not times:
        raise Failed("irtt got no reply")
    return {"rate": len(times) / report["stats"]["duration"] * 1e9,
            "p50_us": times[len(times) // 2] / 1e3,
            "p99_us": times[len(times) * 99 // 100] / 1e3}
