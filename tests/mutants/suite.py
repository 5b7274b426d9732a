"""The tests that are run against a mutant, a suite at a time."""

import contextlib
import glob
import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass

import tree

# Of a test that sets no limit of its own; a mutant may hang.
TEST_LIMIT_S = "20"
# Of a suite; and until it was timed, a guess.
LIMIT_S = 100
GUESSED_S = {"unit": 1, "integration": 5, "client": 2}
CLIENT = {"timestampc", "talk", "pipe", "ping", "lines"}
# Server and client share them, but not each module.
SHARED = {"base", "net", "stamp"}
# Of the client: where its jobs begin, by the word in the names of test files.
JOBS = {"ping": "timestampc/ping", "talk": "talk/talk", "pipe": "pipe/pipe",
        "spool": "pipe/pipe"}
START = ["timestampc/options", "timestampc/target"]
# They wait for other programs: a busy machine can fail them, but not twice.
FLAKY = {"integration", "client"}

running = set()


def session(leader):
    """The processes of a session; Check puts each test into a group of its own."""
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.getsid(int(name)) == leader:
                yield int(name)
        except ProcessLookupError:
            pass


def end(child):
    """Ends a suite with all that it started."""
    for pid in session(child.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def end_all():
    for child in list(running):
        end(child)


@dataclass(frozen=True)
class Suite:
    kind: str  # unit, integration or client
    name: str  # of a suite of Check, or of a test of the client
    word: str  # what the name of its file says
    knows: frozenset  # modules of src/ that its tests include: "net/cmsg"
    reaches: frozenset  # and those that these include, and so on
    served: frozenset  # modules that the server reaches

    def __str__(self):
        return f"{self.kind} {self.name}"

    def command(self, programs):
        if self.kind == "client":
            return ["tests/client/run", self.name]
        return [os.path.join(programs, f"{self.kind}-tests")]

    def applies(self, module):
        """Whether its tests can come to a module of src/."""
        place = module.split("/")[0]
        of_client = place in CLIENT or (place in SHARED and
                                        module not in self.served)
        if self.kind == "integration":
            return not of_client
        if self.kind == "client" and not of_client:
            return False
        return module in self.reaches or (self.kind == "client" and
                                          module == "timestampc")

    def rank(self, module):
        """Lower, the more it has to do with a module."""
        if self.word == module.rsplit("/", 1)[-1]:
            return 0
        if module in self.knows:
            return 1
        return 2 if self.word in module else 3

    def result(self, place, limit_s, programs):
        """Whether all its tests pass, or "late"."""
        with subprocess.Popen(
                self.command(programs), cwd=place.folder, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**tree.environment(), "CK_RUN_SUITE": self.name,
                     "CK_DEFAULT_TIMEOUT": TEST_LIMIT_S, "CK_VERBOSITY": "silent",
                     "PYTHONDONTWRITEBYTECODE": "1",
                     "TIMESTAMPD": place.path(programs, "timestampd"),
                     "TIMESTAMPC": place.path(programs, "bin", "timestampc")
                     }) as child:
            running.add(child)
            try:
                return child.wait(limit_s) == 0
            except subprocess.TimeoutExpired:
                return "late"
            finally:
                running.discard(child)
                end(child)

    def passes(self, place, limit_s, programs=tree.BUILD):
        """Whether all its tests pass in time."""
        result = self.result(place, limit_s, programs)
        if not result and self.kind in FLAKY:
            result = self.result(place, limit_s, programs)
        return result is True


def included(path):
    """The headers that a file includes, without .h."""
    try:
        with open(path, encoding="utf-8") as file:
            return set(re.findall(r'^#include "([\w/]+)\.h"', file.read(),
                                  re.MULTILINE))
    except FileNotFoundError:
        return set()


def reached(root, modules):
    """The modules that these include, directly or not."""
    found, left = set(), set(modules)
    while left:
        module = left.pop()
        found.add(module)
        for folder in ("src", "tests"):
            for ending in (".c", ".h"):
                left |= included(os.path.join(root, folder,
                                              module + ending)) - found
    return frozenset(found)


def discover(root):
    found = []
    served = reached(root, {"timestampd"})
    for pattern in ("unit/*/test_*.c", "integration/test_*.c",
                    "client/test_*.py"):
        kind = pattern.split("/", 1)[0]
        for path in sorted(glob.glob(os.path.join(root, "tests", pattern))):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            word = re.search(r"test_(\w+)", os.path.basename(path)).group(1)
            knows = frozenset(included(path))
            entries = knows
            if kind == "client":
                entries = {JOBS.get(word, "timestampc"), *START}
            names = re.findall(r'suite_create\("(\w+)"\)|^def (test_\w+)',
                               text, re.MULTILINE)
            found += [Suite(kind, suite or test, word, knows,
                            reached(root, entries), served)
                      for suite, test in names]
    return found


class Order:
    """Which suite is run first: one that is likely to notice, and quick."""

    def __init__(self, suites):
        self.suites = suites
        self.locks = {suite: threading.Lock() for suite in suites}
        self.useful = {}  # whether its tests pass without a mutant
        self.seconds = {}  # that its tests took
        self.killed = {}  # (folder, suite): how many mutants

    def is_useful(self, suite, place):
        with self.locks[suite]:
            if suite not in self.useful:
                self.useful[suite] = suite.passes(place, LIMIT_S, tree.CLEAN)
                if not self.useful[suite]:
                    print(f"{suite} fails without a mutant, and is left out",
                          flush=True)
            return self.useful[suite]

    def notices(self, suite, place, left_s):
        """Whether a test of the suite fails with the mutant in place."""
        if not self.useful.get(suite, True):
            return False
        limit_s = min(left_s, 20 + 5 * self.seconds[suite]
                      if suite in self.seconds else LIMIT_S)
        begin = time.monotonic()
        if not suite.passes(place, limit_s):
            return self.is_useful(suite, place)
        self.seconds[suite] = time.monotonic() - begin
        return False

    def kill(self, file, suite):
        key = (os.path.dirname(file), suite)
        self.killed[key] = self.killed.get(key, 0) + 1

    def of(self, file):
        module = os.path.splitext(file)[0][len("src/"):]
        return sorted(
            (suite for suite in self.suites if suite.applies(module)),
            key=lambda suite: (
                suite.rank(module),
                -self.killed.get((os.path.dirname(file), suite), 0),
                self.seconds.get(suite, GUESSED_S[suite.kind])))
