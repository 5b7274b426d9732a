#!/usr/bin/env -S python3 -B
"""Measures timestampd beside other servers; see README.md.

In each round every server runs on one CPU, one after the other, and the load on
another: what disturbs the machine for a while disturbs all servers alike.
"""

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from statistics import median

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(1, os.path.join(HERE, os.pardir, "harness"))

import chart  # noqa: E402
import compare  # noqa: E402
import goal  # noqa: E402
import network  # noqa: E402
import ready  # noqa: E402
import table  # noqa: E402
from result import Results, figures  # noqa: E402
from server import Failed, Missing, Place, Server, version  # noqa: E402
from workload import WORKLOADS, Job, with_base  # noqa: E402

SPARE_FILES = 500  # beyond those of a workload
FILES = SPARE_FILES + max(workload.files for workload in WORKLOADS)
WARM_MS = 100
RUN_TIMEOUT = 60
PICTURE = os.path.join(HERE, "performance.svg")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="timestampd")
    parser.add_argument("--client", required=True, help="timestampc")
    parser.add_argument("--base", default="",
                        help="another timestampd to compare it with")
    parser.add_argument("--programs", required=True,
                        help="folder of the load and the limit programs")
    parser.add_argument("--output", required=True, help="folder for results")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4,
                        help="of a run")
    parser.add_argument("--budget", type=float, default=300,
                        help="seconds for all")
    parser.add_argument("--only", default="",
                        help="regular expression for workloads")
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--load-cpu", type=int, default=1)
    parser.add_argument("--plot", action="store_true",
                        help="draw PICTURE")
    parser.add_argument("--baseline", choices=("compare", "write"),
                        default="compare",
                        help="write: keep the ratios for later comparisons")
    return parser.parse_args()


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE,
                           (max(FILES, hard), max(FILES, hard)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def files_allowed():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Bench:
    def __init__(self, options, place, workloads):
        self.options = options
        self.place = place
        self.workloads = workloads
        self.results = Results()
        self.ready_ms = {}
        self.deadline = time.monotonic() + options.budget

    def measure(self, workload, candidate, server):
        """Runs the load once; returns its figures."""
        seconds = workload.seconds or self.options.seconds
        if isinstance(candidate, Job):
            return candidate.run(self.place, server, seconds)
        command = ["taskset", "-c", self.options.load_cpu,
                   os.path.join(self.place.programs, "load"),
                   "--port", server.port, "--server", server.pid,
                   "--warm-ms", WARM_MS, "--run-ms", round(seconds * 1000),
                   *workload.options, *candidate.talk, workload.load]
        done = subprocess.run([str(word) for word in command], text=True,
                              capture_output=True, check=False,
                              timeout=RUN_TIMEOUT + seconds)
        if done.returncode != 0:
            raise Failed(done.stderr.strip() or f"exit {done.returncode}")
        return figures(json.loads(done.stdout))

    def run(self, workload, candidate, number):
        key = (workload.name, candidate.name)
        if key in self.results.notes:
            return
        if workload.files + SPARE_FILES > files_allowed():
            self.results.note(*key, f"skipped: only {files_allowed()} open "
                              "files are allowed")
            return
        try:
            with Server(candidate.command, self.place,
                        candidate.datagrams) as server:
                self.results.add(*key, number, self.measure(
                    workload, candidate, server))
        except Missing as missing:
            self.results.note(*key, f"not installed: {missing}")
        except (Failed, subprocess.TimeoutExpired) as failure:
            self.results.note(*key, f"failed: {failure}")

    def round(self, number):
        """Returns False if the time is over."""
        for workload in self.workloads:
            if workload.rounds and number >= workload.rounds:
                continue
            for candidate in workload.candidates:
                if time.monotonic() > self.deadline:
                    return False
                self.tell(f"round {number + 1} of {self.options.rounds}: "
                          f"{workload.name} {candidate.name}")
                self.run(workload, candidate, number)
        self.start_times()
        return True

    def start_times(self):
        for candidate in ready.CANDIDATES:
            try:
                taken = ready.measure(candidate, self.place)
            except Missing:
                continue
            if taken is not None:
                self.ready_ms.setdefault(candidate.name, []).append(taken)

    def all_rounds(self):
        for number in range(self.options.rounds):
            if not self.round(number):
                print(f"\nthe time is over in round {number + 1}",
                      file=sys.stderr)
                break
        self.tell("")

    def tell(self, text):
        """Shows the progress on one line of a terminal."""
        if sys.stderr.isatty():
            print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)

    def report(self):
        print(f"Linux {platform.release()}, {network.describe()}\n")
        print(table.show(self.results, self.workloads), end="\n\n")
        for name, times in self.ready_ms.items():
            print(f"start to READY=1, {name}: {median(times):.1f} ms "
                  f"({min(times):.1f}..{max(times):.1f})")
        print("\n" + goal.show(self.results))

    def quotients(self):
        """{workload: {server: median of its quotients to the limit}}."""
        return {workload.name: {
            each.name: quotient[0] for each in workload.candidates
            if (quotient := table.to_limit(self.results, workload, each.name))}
            for workload in self.workloads}

    def write(self):
        path = os.path.join(self.options.output, "results.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(dict(kernel=platform.release(),
                           network=network.describe(),
                           processor_count=os.cpu_count(),
                           rounds=self.options.rounds,
                           seconds=self.options.seconds,
                           ready_ms=self.ready_ms,
                           goals=goal.as_json(self.results),
                           to_limit=self.quotients(),
                           results=self.results.as_json()), file, indent=1)
        print(f"\n{path}")
        if self.options.plot:
            self.plot()

    def plot(self):
        try:
            chart.draw(self.results, self.options.rounds, PICTURE)
            print(os.path.relpath(PICTURE))
        except chart.Lacking as lacking:
            print(f"no picture: {lacking} was not measured")

    def compare(self):
        """Says what got slower since the last release, or keeps the ratios."""
        now = compare.ratios(self.results, self.workloads)
        if self.options.baseline == "write":
            compare.write(now, version(self.options.server))
            print(os.path.relpath(compare.BASELINE))
        elif (baseline := compare.load()) is not None:
            print("\n" + compare.show(now, baseline))


def main():
    options = arguments()
    network.enter()
    workloads = [workload for workload in WORKLOADS
                 if re.search(options.only, workload.name)]
    if options.base:
        workloads = [with_base(workload, options.base)
                     for workload in workloads]
    if not workloads:
        sys.exit("workloads: " + " ".join(each.name for each in WORKLOADS))
    if len({options.server_cpu, options.load_cpu} &
           os.sched_getaffinity(0)) < 2:
        sys.exit("the server and the load want a CPU each: SERVER_CPU, "
                 "LOAD_CPU")
    os.makedirs(options.output, exist_ok=True)
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="timestampd-bench-") as scratch:
        place = Place(options.server, options.client, options.programs,
                      scratch, (options.server_cpu, options.load_cpu))
        bench = Bench(options, place, workloads)
        bench.all_rounds()
        bench.report()
        bench.compare()
        bench.write()


main()
