"""Ping: round trips, loss, order, and the offset of the server's clock."""

import glob
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time

from daemon import LIMIT_S, Server, check
from scene import CLIENT, LINE, kill, naming, port_of, target
from test_talk import SlowOnce

MANUAL = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir, "man",
                      "timestampc.1")
# Of <linux/net_tstamp.h> and <asm-generic/socket.h>.
SO_TIMESTAMPING = 37
SOF_TIMESTAMPING_RX_SOFTWARE, SOF_TIMESTAMPING_SOFTWARE = 1 << 3, 1 << 4
MS, S = 1000 * 1000, 1000 * 1000 * 1000
# How many servers with other clocks are asked.
RUNS = int(os.environ.get("PING_RUNS", "12"))
FORMATS = ["ctime", "rfc3339", "rfc3339-ms", "rfc3339-us", "rfc3339-ns",
           "epoch", "epoch-ms", "epoch-us", "epoch-ns"]
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu",
         "Pacific/Kiritimati", "Etc/GMT+12"]
ALL = """control = ""; stamp: { format = "%s"; timezone = "%s";
    source = "%s"; };
    listeners = (
    { protocol = "tcp"; address = "127.0.0.1"; port = 0; },
    { protocol = "tcp"; address = "::1"; port = 0; framing = "line"; },
    { protocol = "udp"; address = "127.0.0.1"; port = 0; },
    { protocol = "unix"; path = "%s/u"; },
    { protocol = "unix-dgram"; path = "%s/d"; },
    { protocol = "unix-seqpacket"; path = "%s/q"; });"""


def faketime(value):
    """The environment of a program whose CLOCK_REALTIME is another: value is
    FAKETIME's, or the path of a file that holds it and may change."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    check(found, "libfaketime is missing: install the package faketime")
    name = "FAKETIME_TIMESTAMP_FILE" if value.startswith("/") else "FAKETIME"
    return {"SHIM": found[0], name: value, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1"}


def set_clock(path, seconds):
    """Changes a file of faketime() at once."""
    with open(path + ".new", "w") as file:
        file.write(f"{seconds:+.6f}\n")
    os.rename(path + ".new", path)


def start(scene, form="ctime", zone="UTC", clock=None, source="clock"):
    """A server of all kinds; clock: its offset in seconds, or a file."""
    if isinstance(clock, (int, float)):
        clock = f"{clock:+.6f}"
    folder = scene.folder
    with open(os.path.join(folder, "conf"), "w") as conf:
        conf.write(ALL % (form, zone, source, folder, folder, folder))
    server = scene.add(Server(folder, environment=clock and faketime(clock)))
    check(server.await_ready(), "no start:", server.log.decode())
    return server


def targets(server):
    folder = server.folder
    return [target(port_of(server)), "tcp:[::1]:%d" % server.port("tcp [::1]"),
            "udp:127.0.0.1:%d" % server.port("udp 127.0.0.1"),
            f"unix:{folder}/u", f"unix-dgram:{folder}/d",
            f"unix-seqpacket:{folder}/q"]


def ping(scene, *arguments, status=0, **options):
    """Runs to the end; returns (objects of the output, standard error)."""
    client = scene.client("-P", "-j", *arguments, stdin=subprocess.DEVNULL,
                          **options)
    lines = client.rest().splitlines()
    return [json.loads(line) for line in lines], client.end(status)


def of_type(objects, kind):
    return [one for one in objects if one["type"] == kind]


def check_inside(one, truth_ns):
    check(abs(one["offset_ns"] - truth_ns) <= one["offset_error_ns"], "not",
          truth_ns, "but", one)


def test_ping_over_every_protocol(scene):
    """Each kind of socket answers; the kernel times TCP and UDP."""
    server = start(scene)
    for where in targets(server):
        objects, said = ping(scene, "-c", "3", "-I", "0.01", where)
        check(said == b"", said)
        replies = of_type(objects, "reply")
        check([one["seq"] for one in replies] == [1, 2, 3], objects)
        for one in objects:
            names = [name for name in one if name.startswith(
                ("rtt", "offset", "sent_", "received_", "stamp", "jitter"))]
            check(all(name.endswith("_ns") for name in names), names)
        for one in replies:
            check(0 < one["rtt_ns"] == one["received_ns"] - one["sent_ns"],
                  one)
            check_inside(one, 0)
        last = objects[-1]
        check(last["type"] == "summary" and last["sent"] == 3 and
              last["received"] == 3 and last["lost"] == 0 and
              last["duplicates"] == 0 and last["reordered"] == 0, last)
        # The kernel may need a moment before it tells when it receives.
        check((last["timed_by_kernel"] > 0) == ("unix" not in where), where,
              last)
        check(last["rtt_min_ns"] <= last["rtt_median_ns"] <=
              last["rtt_p90_ns"] <= last["rtt_p99_ns"] <= last["rtt_max_ns"],
              last)


def test_ping_as_text(scene):
    """Live lines and a summary, as ping(8) has them; -q: the summary only."""
    server = start(scene, "rfc3339-us")
    client = scene.client("-P", "-c", "2", "-I", "0", target(port_of(server)))
    text = client.rest().decode()
    client.end()
    for part in ("PING tcp:127.0.0.1:", "64 bytes, times by the kernel\n",
                 " bytes from 127.0.0.1:", ": seq=2 time=", " ms offset=",
                 "2 sent, 2 received, 0 lost (0 %)",
                 "round trip min/median/p90/p99/max = ", "(RFC 3550)",
                 " of 2 replies timed by the kernel",
                 "the server's clock is ", " s; clocks that drift "):
        check(part in text, part, "is not in", text)
    client = scene.client("-P", "-q", "-c", "2", "-I", "0",
                          target(port_of(server)))
    check(client.rest().startswith(b"--- tcp:127.0.0.1:"), "-q")
    client.end()


def test_ping_bound_holds_for_other_clocks(scene):
    """The truth is inside the bound of each reply, in all of the runs."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    chance = random.Random(seed)
    for run in range(RUNS):
        form, zone = chance.choice(FORMATS), chance.choice(ZONES)
        limit = 440 if form == "ctime" else 10 ** chance.randrange(7)
        clock = round(chance.uniform(-limit, limit), 6)
        server = start(scene, form, zone, clock)
        objects, said = ping(scene, "-c", "8", "-I", "0.01",
                             chance.choice(targets(server)))
        for one in of_type(objects, "reply") + objects[-1:]:
            check("offset_ns" in one, "seed", seed, "run", run, form, one)
            check(abs(one["offset_ns"] - round(clock * S)) <=
                  one["offset_error_ns"], "seed", seed, "run", run, form,
                  zone, clock, "is not", one)
        check(not [one for one in objects if one["type"] not in
                   ("start", "reply", "summary")], "seed", seed, objects)
        server.stop()
        scene.open.remove(server)


def test_ping_finds_a_clock_that_tells_seconds(scene):
    """Whole seconds yield the offset to much less than a second."""
    server = start(scene, clock=12.345678)
    objects, _ = ping(scene, "-q", "-A", "-d", "2.2", target(port_of(server)))
    check_inside(objects[-1], 12345678000)
    check(objects[-1]["offset_error_ns"] < 10 * MS, objects[-1])
    check(objects[-1]["assumed_zone_ns"] == 0, objects[-1])


def test_ping_asks_when_the_stamp_turns(scene):
    """The range is halved again and again, from 0.5 ms."""
    server = start(scene, "epoch-ms", clock=-3.14159)
    objects, _ = ping(scene, "-c", "40", "-I", "0.02", target(port_of(server)))
    check_inside(objects[-1], -3141590000)
    check(objects[-1]["offset_error_ns"] < 250000, objects[-1])


def test_ping_assumes_the_zone(scene):
    """ctime tells no zone: one of whole quarters of an hour is found."""
    for zone, minutes in ("Asia/Kathmandu", 345), ("Etc/GMT+12", -720):
        server = start(scene, zone=zone, clock=400)
        objects, _ = ping(scene, "-c", "1", target(port_of(server)))
        check_inside(objects[-1], 400 * S)
        check(objects[-1]["assumed_zone_ns"] == minutes * 60 * S, objects[-1])
        server.stop()
        scene.open.remove(server)


def test_ping_claims_no_more_than_ctime_tells(scene):
    """Without a zone the offset is known but for quarters of an hour: the
    summary says so, shortly where the zone that is assumed is likely."""
    doubt = b"or that and any multiple of 15 min: its stamps have no zone"
    for clock, zone, form, short in ((600, "UTC", "ctime", False),
                                     (0, "Asia/Kathmandu", "ctime", False),
                                     (5, "Etc/GMT-1", "ctime", True),
                                     (600, "UTC", "epoch", None)):
        server = start(scene, form, zone, clock)
        where = target(port_of(server))
        client = scene.client("-P", "-c", "1", where)
        text = client.rest()
        client.end()
        check((doubt in text) == (text.count(b"(mod 15 min)") == 1) ==
              (short is False), clock, zone, form, text)
        check((b"if its stamps are in zone UTC+01:00" in text) == bool(short), text)
        # An offset that the replies allow is not proved wrong.
        for given, wrong in (str(clock), False), (str(clock + 7), True):
            last = ping(scene, "-q", "-c", "1", "--offset", given, where)[0][-1]
            check(last.get("is_given_offset_wrong", False) == wrong, last)
            check(last.get("offset_modulo_ns") ==
                  (None if short is None else 900 * S), last)
            if short is not None:
                off = (clock * S - last["offset_ns"]) % (900 * S)
                check(min(off, 900 * S - off) <= last["offset_error_ns"], last)
        server.stop()
        scene.open.remove(server)


def have_kernel_times(scene):
    """The kernel begins to tell times some moments after the first socket has
    asked for them, and ends after the last."""
    fd = scene.add(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    fd.bind(("127.0.0.1", 0))
    fd.connect(fd.getsockname())
    fd.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING,
                  SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE)
    end = time.monotonic() + LIMIT_S
    while True:
        fd.send(b"x")
        if fd.recvmsg(1, 100)[1]:
            return
        check(time.monotonic() < end, "the kernel tells no times")


def test_ping_tells_whose_times_it_shows(scene):
    """Messages that go as several packets have the times of the program."""
    have_kernel_times(scene)
    server = start(scene)
    stream, _, datagram = targets(server)[:3]
    for where, size, times in ((stream, "500", "kernel"),
                               (stream, "501", "program"),
                               (datagram, "501", "kernel")):
        objects, _ = ping(scene, "-c", "2", "-I", "0", "-l", size, where)
        check(objects[0]["times"] == times, where, size, objects[0])
        check((objects[-1]["timed_by_kernel"] > 0) == (times == "kernel"),
              where, size, objects)


def test_ping_hints_at_a_limit(scene):
    """Losses between replies, at a pace that a server may limit; not where it
    was away once, and not again and again."""
    own = scene.add(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    try:
        own.connect(("198.51.100.1", 9))  # sends nothing
    except OSError:
        return
    host = own.getsockname()[0]
    if host.startswith("127."):
        return
    for drops, extra, hints in ((range(16, 60, 2), (), 1),
                                (range(16, 26), (), 0),
                                (range(16, 60, 2), ("-q",), 0)):
        peer = scene.add(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        peer.bind((host, 0))
        client = scene.client("-P", "-c", "60", "-I", "0.01", "-W", "1",
                              *extra,
                              "udp:%s:%d" % (host, peer.getsockname()[1]))
        for number in range(1, 61):
            data, where = peer.recvfrom(100)
            if number not in drops:
                peer.sendto(b"[now] " + data, where)
        client.rest()
        said = client.end()
        check(said.count(b"udp.rate_limit") == said.count(b"\n") == hints,
              drops, said)


def test_ping_has_a_manual_for_each_field(scene):
    """The names of all that JSON may show."""
    server = start(scene)
    with open(MANUAL) as file:
        manual = set(re.findall(r"^\.Cm (\w+)", file.read(), re.M))
    objects, _ = ping(scene, "-c", "2", "-I", "0", "--offset", "7",
                      target(port_of(server)))
    server.stop()
    scene.open.remove(server)
    server = start(scene, "epoch-ns")
    objects += ping(scene, "-c", "2", "-I", "0", "--offset", "0",
                    target(port_of(server)))[0]
    names = {name.replace("there_m", "rtt_m").replace("there_p", "rtt_p")
             .replace("back_m", "rtt_m").replace("back_p", "rtt_p")
             for one in objects for name in one}
    check({"is_given_offset_wrong", "assumed_zone_ns", "there_ns",
           "jitter_ns"} < names, names)
    check(names <= manual, "missing:", names - manual)


def test_ping_shows_each_way(scene):
    """With --offset there and back add up to the round trip."""
    for source in "clock", "arrival":
        server = start(scene, "epoch-ns", source=source,
                       clock=None if source == "arrival" else 5)
        given = "0" if source == "arrival" else "5"
        objects, _ = ping(scene, "-c", "3", "-I", "0.01", "--offset", given,
                          "udp:127.0.0.1:%d" % server.port("udp 127.0.0.1"))
        for one in of_type(objects, "reply"):
            check(one["there_ns"] >= 0 and one["back_ns"] >= 0 and
                  one["there_ns"] + one["back_ns"] == one["rtt_ns"], one)
        last = objects[-1]
        check("there_median_ns" in last and "back_p99_ns" in last and
              "is_given_offset_wrong" not in last, last)
        for wrong in "-2", "7":
            objects, _ = ping(scene, "-c", "3", "-I", "0.01", "--offset",
                              wrong, target(port_of(server)))
            check(objects[-1]["is_given_offset_wrong"], objects[-1])
        server.stop()
        scene.open.remove(server)


def test_ping_notices_that_the_server_clock_is_set(scene):
    """What was known is dropped and said; the bound holds afterwards."""
    path = os.path.join(scene.folder, "clock")
    set_clock(path, 10)
    server = start(scene, "epoch-us", clock=path)
    client = scene.client("-P", "-j", "-I", "0.01", target(port_of(server)))
    client.hear(b'"seq":3,')
    set_clock(path, 20.5)
    client.hear(b'"server_clock_set"')
    client.hear(b"\n")
    client.child.send_signal(signal.SIGINT)
    objects = [json.loads(line) for line in client.rest().splitlines()]
    client.end()
    steps = of_type(objects, "server_clock_set")
    check(len(steps) == 1 and 10 * S < steps[0]["by_ns"] <= 10.5 * S, steps)
    check_inside(of_type(objects, "reply")[2], 10 * S)
    check_inside(objects[-1], 20.5 * S)


def test_ping_notices_that_its_own_clock_is_set(scene):
    """The offset moves by as much, and what was known still counts."""
    server = start(scene, "epoch-us")
    path = os.path.join(scene.folder, "clock")
    variables = faketime(path)
    variables["LD_PRELOAD"] = variables.pop("SHIM")
    for step in 100, -100:
        set_clock(path, 0)
        client = scene.client("-P", "-j", "-I", "0.01",
                              f"unix:{server.folder}/u", environment=variables)
        client.hear(b'"seq":3,')
        set_clock(path, step)
        client.hear(b'"clock_set"')
        client.hear(b'"reply"')
        client.hear(b"\n")
        client.child.send_signal(signal.SIGINT)
        objects = [json.loads(line) for line in client.rest().splitlines()]
        client.end()
        steps = of_type(objects, "clock_set")
        check(len(steps) == 1 and abs(steps[0]["by_ns"] - step * S) < S, steps)
        check(not of_type(objects, "server_clock_set"), objects)
        check_inside(of_type(objects, "reply")[2], 0)
        check_inside(of_type(objects, "reply")[-1], -step * S)
        check_inside(objects[-1], -step * S)


class Relay:
    """Passes datagrams on to a UDP port, those of the client as do says:
    do(number) returns how often to pass the number-th one on, or "hold" to
    pass it on behind the next."""

    def __init__(self, port, do):
        self.do, self.count, self.held = do, 0, []
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.back.connect(("127.0.0.1", port))
        self.where = "udp:127.0.0.1:%d" % self.front.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            while True:
                data, client = self.front.recvfrom(65536)
                if not data:
                    return
                self.count += 1
                times = self.do(self.count)
                if times == "hold":
                    self.held.append(data)
                    continue
                for message in [data] * times + self.held:
                    self.back.send(message)
                    self.front.sendto(self.back.recv(65536), client)
                self.held = []
        except OSError:
            return

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.front.getsockname())


def test_ping_counts_what_the_network_does(scene):
    """A relay loses one datagram, doubles one and passes one on late."""
    server = start(scene, "epoch-us")
    port = server.port("udp 127.0.0.1")

    def do(number):
        return {3: 0, 5: 2, 7: "hold"}.get(number, 1)

    arguments = ["-c", "10", "-I", "0.02", "-W", "1"]
    relay = scene.add(Relay(port, do))
    objects, _ = ping(scene, *arguments, relay.where)
    last = objects[-1]
    check((last["sent"], last["received"], last["lost"], last["duplicates"],
           last["reordered"], last["late"]) == (10, 9, 1, 1, 1, 0), last)
    check([one["seq"] for one in of_type(objects, "lost")] == [3], objects)
    kinds = {(one["seq"], one["kind"], one["reordered"])
             for one in of_type(objects, "reply")}
    check((5, "duplicate", False) in kinds and (7, "first", True) in kinds and
          (8, "first", False) in kinds, kinds)
    check_inside(last, 0)
    relay = scene.add(Relay(port, do))
    _, said = ping(scene, *arguments, "--max-loss", "9.9", relay.where,
                   status=1)
    check(b"10 % lost" in said, said)
    relay = scene.add(Relay(port, do))
    ping(scene, *arguments, "--max-loss", "10", relay.where)


def test_ping_counts_a_late_reply(scene):
    """A reply behind -W is late, and no longer lost."""
    server = start(scene)
    relay = scene.add(Relay(server.port("udp 127.0.0.1"),
                            lambda number: "hold" if number == 1 else 1))
    objects, _ = ping(scene, "-c", "3", "-I", "0.5", "-W", "0.3",
                      relay.where)
    check(objects[-1]["late"] == 1 and objects[-1]["received"] == 3 and
          objects[-1]["lost"] == 0, objects)
    check([one["kind"] for one in of_type(objects, "reply")
           if one["seq"] == 1] == ["late"], objects)


class Lagging(Relay):
    """A relay that passes the reply to a datagram on when two more have come,
    the last ones when there were so many; it notes when each came."""

    def __init__(self, port, total):
        self.total, self.came, self.replies = total, {}, []
        super().__init__(port, None)

    def run(self):
        while True:
            data, client = self.front.recvfrom(65536)
            if not data:
                return
            self.came[int(data.split()[1])] = time.time_ns()
            self.back.send(data)
            self.replies.append(self.back.recv(65536))
            lag = 2 if len(self.came) < self.total else 0
            while len(self.replies) > lag:
                self.front.sendto(self.replies.pop(0), client)


def can_trace():
    return subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"],
                          check=False).returncode == 0


def with_fault(fault, *arguments):
    """Runs ping to its end while strace injects a fault."""
    return subprocess.run(
        ["strace", "-qq", "-f", "-o", "/dev/null", "-e",
         "trace=" + fault.partition(":")[0], "-e", "inject=" + fault,
         CLIENT, "-P", "-j", *arguments], capture_output=True, check=False,
        timeout=LIMIT_S, env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"})


def test_ping_times_behind_a_failed_send(scene):
    """A datagram that is not sent shifts no time to another: each is sent
    before it arrives, and the bound holds."""
    if not can_trace():
        return
    server = start(scene, "epoch-ns")
    for error in "ENETUNREACH", "ENOMEM", "EAGAIN":
        relay = scene.add(Lagging(server.port("udp 127.0.0.1"), 9))
        done = with_fault(f"sendto:error={error}:when=4", "-c", "10", "-I",
                          "0.01", "-W", "1", relay.where)
        check(done.returncode == 0, done)
        objects = [json.loads(line) for line in done.stdout.splitlines()]
        replies = of_type(objects, "reply")
        check(len(replies) == 9, objects)
        for one in replies:
            check(one["sent_ns"] <= relay.came[one["seq"]], one)
            check_inside(one, 0)
        check_inside(objects[-1], 0)
        check(objects[-1]["timed_by_kernel"] >= 5, objects[-1])


def test_ping_limits(scene):
    """Exit 1 when a limit does not hold, and only then."""
    server = start(scene, "epoch-ns", clock=-12)
    where = target(port_of(server))
    for limit, status in (("--max-rtt=0.000001", 1), ("--max-rtt=1000000", 0),
                          ("--max-offset=11000", 1), ("--max-offset=13000", 0),
                          ("--max-loss=0", 0)):
        objects, said = ping(scene, "-c", "2", "-I", "0.01", limit, where,
                             status=status)
        check(objects[-1]["received"] == 2, objects)
        check(bool(said) == bool(status), limit, said)


def test_ping_limit_of_an_offset_that_is_not_known(scene):
    """A limit that the replies do not prove does not hold."""
    server = start(scene, "%H:%M")
    objects, said = ping(scene, "-c", "2", "-I", "0", "--max-offset", "1e6",
                         target(port_of(server)), status=1)
    check(b"not shown" in said, said)
    check("offset_ns" not in objects[-1] and objects[-1]["received"] == 2 and
          "rtt_min_ns" in objects[-1], objects[-1])


def test_ping_without_a_reply(scene):
    """Silence and a refusal are loss; without a connection it is 69."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        where = "udp:127.0.0.1:%d" % silent.getsockname()[1]
        objects, said = ping(scene, "-c", "2", "-I", "0", "-W", "0.05", where,
                             status=1)
        check(objects[-1]["lost"] == 2 and b"no reply" in said, objects)
    objects, said = ping(scene, "-c", "2", "-I", "0", "-W", "0.05", where,
                         status=1)
    check(objects[-1]["lost"] == 2 and b"refused" in said, objects, said)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        _, said = ping(scene, target(closed.getsockname()[1]), status=69)
        check(b"refused" in said, said)


def test_ping_says_a_refusal_once(scene):
    """Not with each attempt; again behind a connection."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    _, said = ping(scene, "-c", "6", "-I", "0.01", "-W", "0.1",
                   f"udp:127.0.0.1:{port}", status=1)
    check(said.count(b"refused") == 1, said)
    server = scene.server()
    port = port_of(server)
    client = scene.client("-P", "-j", "-I", "0.01", "-W", "0.02", target(port))
    said = b""
    for _ in range(2):
        client.hear(b'"reply"')
        kill(server)
        said += client.complain(b"refused")
        for _ in range(4):
            client.hear(b'"lost"')
        server = scene.server(LINE % port)
    client.hear(b'"reply"')
    client.child.send_signal(signal.SIGINT)
    client.rest()
    said += client.end()
    check(said.count(b"refused") == 2, said)


def test_ping_tries_each_address(scene):
    """UDP to a name: the next address if one refuses or is silent; when all
    refuse, each says so once."""
    server = start(scene)
    port = server.port("udp 127.0.0.1")
    silent = scene.add(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    silent.bind(("127.0.0.2", port))
    for others in ["::1"], ["127.0.0.2"], ["127.0.0.2", "::1"]:
        tracer = naming(scene, "several", *others, "127.0.0.1")
        if tracer is None:
            return
        objects, _ = ping(scene, "-c", "4", "-I", "0.3", "-W", "0.2",
                          f"udp:several:{port}", tracer=tracer)
        check(of_type(objects, "reply")[-1]["seq"] == 4, others, objects)
    server.stop()
    silent.close()
    _, said = ping(scene, "-c", "7", "-I", "0.05", "-W", "0.2",
                   f"udp:several:{port}", tracer=tracer, status=1)
    check(said.count(b"refused") == 3, said)


def test_ping_of_a_unix_server_that_was_slow(scene):
    """Where nothing came back to a path, the client asks from there again."""
    where = f"unix-dgram:{scene.add(SlowOnce(scene.folder, 'slow')).path}"
    objects, _ = ping(scene, "-c", "3", "-I", "0.3", "-W", "0.2", where)
    check(objects[-1]["received"] == 2, objects)


def test_ping_of_a_server_that_reads_no_more(scene):
    """What can't be sent is lost, and the connection with it; it ends."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        where = target(deaf.getsockname()[1])
        for extra in [], ["-A"]:
            objects, said = ping(scene, "-c", "12", "-I", "0", "-W", "0.05",
                                 "-l", "1048576", *extra, where, status=1)
            check(objects[-1]["sent"] == objects[-1]["lost"] == 12, objects)
            check(b"connection lost: the server reads no more" in said, said)


def test_ping_refuses_what_is_not_a_stamp(scene):
    """An echo is not a timestamp server, over TCP and UDP."""
    listener = socket.create_server(("127.0.0.1", 0))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))

    def echo():
        connection = listener.accept()[0]
        connection.sendall(connection.recv(65536))
        datagrams.sendto(*datagrams.recvfrom(65536))

    with listener, datagrams:
        threading.Thread(target=echo, daemon=True).start()
        for where in (target(listener.getsockname()[1]),
                      "udp:127.0.0.1:%d" % datagrams.getsockname()[1]):
            _, said = ping(scene, where, status=76)
            check(b"not [stamp] data" in said, said)


def test_ping_signals(scene):
    """SIGQUIT: a summary, and on; SIGINT and SIGTERM: a summary, and the end."""
    server = start(scene)
    for number in signal.SIGINT, signal.SIGTERM:
        client = scene.client("-P", "-I", "0.01", target(port_of(server)))
        client.hear(b"seq=2 ")
        client.child.send_signal(signal.SIGQUIT)
        client.hear(b"ping statistics")
        client.hear(b"seq=")
        client.hear(b"\n")
        client.child.send_signal(number)
        check(client.rest().count(b"ping statistics") == 2, client.heard)
        client.end()


def takes_signals(client, number=signal.SIGTERM):
    """Waits until the client has blocked a signal, to take it in its loop."""
    path = f"/proc/{client.child.pid}/status"
    end = time.monotonic() + LIMIT_S
    while True:
        with open(path) as status:
            blocked = next(line for line in status if line[:6] == "SigBlk")
        if int(blocked.split()[1], 16) >> (number - 1) & 1:
            return
        check(time.monotonic() < end, "it blocks no signal")
        os.sched_yield()


def full_pipe():
    """(source, sink) of a pipe that takes no more."""
    source, sink = os.pipe()
    fill(sink)
    return source, sink


def full_socket():
    """The same of sockets, which cannot be opened again."""
    pair = [one.detach() for one in socket.socketpair()]
    fill(pair[1])
    return pair


def fill(sink):
    os.set_blocking(sink, False)
    try:
        while True:
            os.write(sink, bytes(1024))
    except BlockingIOError:
        os.set_blocking(sink, True)


def test_ping_signals_while_nobody_reads(scene):
    """The output is awaited for -W, and not at all after a second signal; if it
    is read the summary comes."""
    where = target(port_of(start(scene)))
    for make in full_pipe, full_socket:
        for wait, number in ("0.3", signal.SIGTERM), ("1000", signal.SIGTERM):
            source, sink = make()
            client = scene.client("-P", "-I", "0.01", "-W", wait, where,
                                  stdout=sink)
            os.close(sink)
            takes_signals(client)
            client.child.send_signal(number)
            if wait == "1000":
                client.child.send_signal(signal.SIGINT)
            check(b"nobody reads" in client.end(74), "no message")
            os.close(source)
        source, sink = make()
        client = scene.client("-P", "-I", "0.01", "-W", "1000", where,
                              stdout=sink)
        os.close(sink)
        takes_signals(client)
        client.child.send_signal(signal.SIGQUIT)
        client.child.send_signal(signal.SIGTERM)
        with os.fdopen(source, "rb") as stream:
            output = stream.read()
        check(b"ping statistics" in output[-2000:], output[-2000:])
        check(client.child.wait(LIMIT_S) in (0, 1), client.child.returncode)


def test_ping_ends_at_a_hangup(scene):
    """SIGHUP: a summary, and the folder of its socket is gone; not with
    nohup."""
    peer = scene.add(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    peer.bind(f"{scene.folder}/peer")
    peer.settimeout(LIMIT_S)
    client = scene.client("-P", "-c", "2", "-I", "0.01",
                          f"unix-dgram:{scene.folder}/peer")
    for _ in range(2):
        data, path = peer.recvfrom(1000)
        peer.sendto(b"[stamp] " + data, path)
    check(os.path.exists(path), path)
    client.child.send_signal(signal.SIGHUP)
    check(b"ping statistics" in client.rest(), client.heard)
    client.end()
    check(not os.path.exists(os.path.dirname(path)), "its folder is left")
    client = scene.client("-P", "-I", "0.01", target(port_of(start(scene))),
                          tracer=["nohup"])
    client.hear(b"seq=1 ")
    client.child.send_signal(signal.SIGHUP)
    client.hear(b"seq=9 ")
    client.child.send_signal(signal.SIGINT)
    client.rest()
    client.end()


def test_ping_connects_again(scene):
    """A lost connection costs what was under way, and is made again."""
    server = start(scene)
    proxy = scene.proxy(port_of(server), [(2 * 91 + 30, "down", "fin"),
                                          (91, "down", "rst")])
    objects, said = ping(scene, "-c", "6", "-I", "0.05", "-W", "1",
                         target(proxy.port))
    last = objects[-1]
    check(last["sent"] == 6 and last["received"] + last["lost"] == 6 and
          last["received"] >= 4, last)
    check(said.count(b"connection lost") == 2, said)


def test_ping_of_any_size(scene):
    """From the least size on; for datagrams up to the server's largest."""
    server = start(scene)
    stream, _, datagram = targets(server)[:3]
    for where, size, status in ((stream, 0, 64), (stream, 23, 64),
                                (stream, 24, 0), (stream, 1000000, 0),
                                (datagram, 24, 0), (datagram, 1400, 0),
                                (datagram, 64513, 64)):
        objects, said = ping(scene, "-c", "2", "-I", "0.01", "-l", str(size),
                             where, status=status)
        check(bool(said) == bool(status), said)
        check(size > 24 or status == 0 or b"from 24 to 1048576" in said, said)
        if status == 0:
            check(objects[0]["bytes"] == size and
                  of_type(objects, "reply")[0]["rtt_ns"] > 0, objects)


def test_ping_adapts(scene):
    """-A does not wait for the interval; -d ends it."""
    server = start(scene)
    where = target(port_of(server))
    objects, _ = ping(scene, "-A", "-c", "2000", where)
    check(objects[-1]["received"] == 2000, objects[-1])
    objects, _ = ping(scene, "-q", "-A", "-d", "0.05", where)
    check(objects[-1]["elapsed_ns"] >= S // 20 and
          objects[-1]["received"] == objects[-1]["sent"] > 1, objects)


def test_ping_output_fails(scene):
    """Exit 74, and it says why, unless the reader is gone."""
    server = start(scene)
    where = target(port_of(server))
    with open("/dev/full", "wb") as full:
        for words in ["-P", "-c", "1", where], ["-h"], ["-V"]:
            client = scene.client(*words, stdout=full)
            check(b"output: No space left" in client.end(74), words)
    client = scene.client("-P", "-I", "0.01", where)
    client.hear(b"seq=1 ")
    client.child.stdout.close()
    check(client.end(74) == b"", "a message")


def alone(*words):
    """A client on a network of its own where nobody answers."""
    script = ("ip link set lo up && ip link add name one type veth peer name two && "
              "ip address add 10.77.0.1/24 dev one && ip link set one up && ip link set two up && "
              "cd /proc/sys/net/ipv4 && echo 0 >ip_unprivileged_port_start && "
              "echo 1000 1020 >ip_local_port_range && "
              'exec "$0" "$@"')
    done = subprocess.run(["unshare", "--net", "sh", "-c", script, *words],
                          stdout=subprocess.DEVNULL, check=False,
                          stderr=subprocess.PIPE, timeout=LIMIT_S)
    check(done.returncode == 1, words, done.returncode, done.stderr)
    return done.stderr


def test_ping_warns_of_what_looks_like_loss(scene):
    """Size, rate and source port, each only where it matters."""
    server = start(scene)
    stream, _, datagram = targets(server)[:3]
    for where, wait, warns in (stream, "10", False), (datagram, "0.05", True):
        _, said = ping(scene, "-c", "1", "-W", wait, "-l", "1401", where,
                       status=int(warns))
        check((b"max_datagram" in said) == warns, where, said)
        _, said = ping(scene, "-q", "-c", "1", "-W", wait, "-l", "1401", where,
                       status=int(warns))
        check(b"warning" not in said, said)
    if subprocess.run(["unshare", "--net", "true"], check=False,
                      stderr=subprocess.DEVNULL).returncode != 0:
        return
    words = [CLIENT, "-P", "-c", "1", "-W", "0.05"]
    for extra, where, rate in (
            (["-A"], "udp:10.77.0.2", True),
            (["-I", "0.0009"], "udp:10.77.0.2", True),
            (["-I", "0.001"], "udp:10.77.0.2", False),
            (["-A"], "udp:127.0.0.1", False)):
        said = alone(*words, *extra, where)
        check((b"udp.rate_limit" in said) == rate, extra, where, said)
        check(b"does not answer port 10" in said, said)


def test_ping_with_calls_that_fail(scene):
    """A call that fails once costs a probe at most; without signals or output
    it ends and says why."""
    if not can_trace():
        return
    server = start(scene)
    stream, _, datagram = targets(server)[:3]
    for where in stream, datagram:
        for fault, status in (
                ("setsockopt:error=ENOPROTOOPT", 0),
                ("signalfd4:error=EMFILE", 71),
                ("rt_sigprocmask:error=EINVAL:when=1", 0),
                ("prctl:error=EINVAL", 0), ("ioctl:error=EINVAL", 0),
                ("sendto:error=ENOMEM:when=2", 0),
                ("sendto:error=EPIPE:when=2", 0),
                ("sendto:error=EAGAIN:when=2", 0),
                ("sendto:error=EINTR:when=2", 0),
                ("recvmsg:error=EINTR:when=2", 0),
                ("recvmsg:error=ENOMEM:when=2", 0),
                ("recvmsg:error=ECONNRESET:when=3", 0),
                ("recvmsg:error=EAGAIN", 1), ("getsockname:error=ENOBUFS", 0),
                ("ppoll:error=ENOMEM:when=2", 0), ("write:error=EIO", 74)):
            done = with_fault(fault, "-q", "-A", "-c", "3", "-W", "1",
                              where)
            check(done.returncode == status, where, fault, done)
            if status == 0:
                check(json.loads(done.stdout)["received"] >= 2, fault, done)
