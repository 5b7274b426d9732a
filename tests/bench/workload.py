"""What is measured: workloads, and the servers for each."""

import os
from dataclasses import dataclass, field, replace

import client
import server

STAMP = ["--prefix", server.CTIME]
TS_STAMP = ["--prefix", "%b %d %H:%M:%S "]
MEMCACHED = ["--request", "mn\r\n", "--reply", "MN\r\n"]
REDIS = ["--request", "PING\r\n", "--reply", "+PONG\r\n"]
DAYTIME = ["--request", "", "--reply", ""]

LINES = 'framing = "line";'
IDLE = 15000
SLOW, DEAF = 10000, 5000  # of a crowd


@dataclass
class Candidate:
    name: str
    command: object  # see server.py
    talk: list = field(default_factory=list)  # options of the load
    datagrams: bool = False


@dataclass
class Job(Candidate):
    """A program that is itself measured, beside a server; see client.py."""
    run: object = None


@dataclass
class Workload:
    name: str
    group: str
    load: str  # its name in the load program
    options: list
    candidates: list
    limit: str = ""  # the candidate that others are compared with
    cost: str = "cost_ns"  # the figure to compare; see result.py
    seconds: float = 0  # 0: the general setting
    rounds: int = 0  # 0: the general setting
    files: int = 0  # that the server and the load each have open at once


@dataclass
class Ours(Candidate):
    protocol: str = ""
    settings: str = ""


def ours(protocol, settings="", name="timestampd", program=""):
    return Ours(name, server.timestampd(protocol, settings, program), STAMP,
                protocol=protocol, settings=settings)


def with_base(workload, program):
    """The same workload with another timestampd beside the measured one."""
    first, *others = workload.candidates
    if not isinstance(first, Ours):
        return workload
    base = ours(first.protocol, first.settings, "its base",
                os.path.abspath(program))
    return replace(workload, candidates=[first, base, *others])


def tcp(settings=""):
    return ours("tcp", settings)


def udp():
    return ours("udp")


def limit(name):
    return Candidate(f"bare {name}", server.limit(name))


def addressed():
    return Candidate("bare addressed", server.limit("datagram", "addressed"))


def memcached():
    return Candidate("memcached", server.memcached, MEMCACHED)


def redis():
    return Candidate("redis", server.redis, REDIS)


def threaded():
    return Candidate("Python threaded", server.threaded, STAMP)


def socat_fork():
    return Candidate("socat fork", server.socat("PIPE"))


def pingpong(connections, size):
    peers = []
    if (connections, size) == (64, 64):
        peers = [memcached(), redis(), threaded(), socat_fork(),
                 Candidate("xinetd echo", server.xinetd("echo", "stream")),
                 Candidate("ncat -e cat", server.ncat)]
    return Workload(
        f"tcp-{connections}-{size}", "TCP ping-pong", "pingpong",
        ["--connections", connections, "--size", size],
        [tcp("backlog = 4096;"), limit("echo"), *peers], "bare echo",
        files=connections)


def churn(clients):
    peers = []
    if clients > 1:
        peers = [memcached(), redis(), threaded(), socat_fork(),
                 Candidate("xinetd daytime",
                           server.xinetd("daytime", "stream"), DAYTIME)]
    return Workload(
        f"churn-{clients}", "connection churn", "churn",
        ["--window", clients],
        [tcp(), limit("visit"),
         Candidate("bare hang-up", server.limit("visit", "hang-up")),
         limit("echo"), *peers], "bare visit")


def lines(size, streams):
    peers = []
    if (size, streams) == (64, 1):
        peers = [Candidate("ts", server.socat("EXEC:ts"), TS_STAMP)]
    return Workload(
        f"lines-{size}-{streams}", "line streams", "stream",
        ["--connections", streams, "--size", size],
        [tcp(LINES), limit("stream"), *peers], "bare stream",
        # The bare echo sends fewer bytes for a line: it adds no stamp.
        "byte_cost_ns")


def datagrams(window):
    peers = []
    if window == 1:
        peers = [Candidate("xinetd echo", server.xinetd("echo", "dgram"),
                           datagrams=True)]
    if window == 256:
        peers = [addressed(), limit("group")]
    return Workload(
        f"udp-{window}", "UDP ping-pong", "datagram", ["--window", window],
        [udp(), limit("datagram"), *peers], "bare datagram")


def segments():
    return Workload(
        "segments-64", "UDP segments", "segments", ["--window", 8],
        [udp(), limit("group"), limit("datagram")], "bare group")


def idle():
    return Workload(
        f"idle-{IDLE}", "idle connections", "idle", ["--connections", IDLE],
        [tcp("backlog = 4096;"), limit("echo"), memcached(), redis()],
        seconds=2, rounds=1, files=IDLE)


def latency(neighbour, *peers):
    return Workload(f"latency-{neighbour}", "latency of one client",
                    f"latency-{neighbour}", [],
                    [tcp("backlog = 4096; " + LINES), *peers])


def crowd():
    return replace(latency("crowd", limit("echo")),
                   options=["--connections", SLOW, "--deaf", DEAF],
                   files=SLOW + DEAF)


def pipe():
    """Lines of a file; the output is not kept."""
    command = server.timestampd("tcp", LINES)
    return Workload("pipe-64", "client in a pipe", "", [], [
        Job("timestampc", command, run=client.pipe(client.timestampc_pipe)),
        Job("socat", command, run=client.pipe(client.socat)),
        Job("nc -N", command, run=client.pipe(client.nc)),
        Job("ts", command, run=client.pipe(client.ts, client.TS_LINES))],
        "socat")


def round_trip(protocol, *beside):
    """What the programs report of one message at a time."""
    command = server.timestampd(protocol)
    datagrams = protocol == "udp"
    options = [] if datagrams else ["--tcp"]
    return Workload(f"ping-{protocol}", "round trips that are reported", "",
                    [], [
        Job("timestampc -A", command,
            run=client.timestampc_ping(protocol, "-A")),
        Job("sockperf", server.sockperf(*options), datagrams=datagrams,
            run=client.sockperf(*options)),
        *beside], "sockperf", "p50_us")


def round_trips():
    """irtt has UDP only, and an interval."""
    timed = Job("timestampc -I", server.timestampd("udp"),
                run=client.timestampc_ping("udp", "-I", "0.001"))
    irtt = Job("irtt", server.irtt, datagrams=True, run=client.irtt)
    return [round_trip("tcp"), round_trip("udp", timed, irtt)]


WORKLOADS = [
    *(pingpong(connections, size) for size in (64, 1024)
      for connections in (1, 64, 512, 10000)),
    churn(1),
    churn(32),
    *(lines(size, streams) for streams in (1, 16) for size in (16, 64, 256)),
    *(datagrams(window) for window in (1, 16, 256)),
    segments(),
    latency("stream"),
    latency("alone", limit("echo")),
    crowd(),
    pipe(),
    *round_trips(),
    idle(),
]
