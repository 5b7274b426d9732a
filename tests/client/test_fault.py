"""System calls of the client that fail: no line is lost or doubled, or it says
so."""

import os
import subprocess

from daemon import check
from scene import (CLIENT, FEWER, check_lines, may_trace, port_of, target,
                   texts)

# Each call with the ways in which it may fail, and which calls of it: the
# loader makes the first ones of some.  Each thread counts its own calls, and
# each attempt to connect is a thread: connect and its like fail for ever.
FAULTS = [
    ("recvfrom", "ECONNRESET ENOMEM EINTR EAGAIN", (1, 3)),
    ("sendto", "ECONNRESET EPIPE ENOBUFS ENOMEM EINTR EAGAIN", (1, 3)),
    ("connect", "ECONNREFUSED ENETUNREACH EADDRNOTAVAIL", (1,)),
    ("socket", "EMFILE ENFILE ENOMEM", (1,)),
    ("setsockopt", "EINVAL", (1, 2)),
    ("poll", "ENOMEM EINTR", (1, 2, 5)),
    ("write", "ENOSPC EIO EINTR EAGAIN", (1, 2)),
    ("memfd_create", "EMFILE ENOMEM", (1,)),
    ("ftruncate", "ENOMEM", (1,)),
    ("eventfd2", "EMFILE", (1,)),
    ("signalfd4", "EMFILE", (1,)),
    ("clone3", "EAGAIN", (1,)),
    ("fallocate", "ENOSPC", (1,)),
    ("flock", "EAGAIN", (1,)),
    ("mmap", "ENOMEM", "last"),
    ("read", "EIO EINTR EAGAIN", "last"),
]
LINES = [b"line %d" % n for n in range(400)]
OUTLIVED = {"recvfrom", "sendto", "setsockopt", "clone3"}
SAID = {68, 69, 71, 74, 75}


def run(scene, where, *options):
    """Runs the client under strace; returns (status, output, errors)."""
    source, sink = os.pipe()
    os.write(sink, b"".join(line + b"\n" for line in LINES))
    os.close(sink)
    done = subprocess.run(
        ["strace", "-D", "-f", "-qq", "-o", f"{scene.folder}/trace", *options,
         CLIENT, "-S", f"{scene.folder}/spool", "-G", "1", where],
        stdin=source, capture_output=True, timeout=60, check=False)
    os.close(source)
    return done.returncode, done.stdout, done.stderr


def count(scene, where, call):
    run(scene, where, "-e", f"trace={call}")
    with open(f"{scene.folder}/trace") as trace:
        return sum(f" {call}(" in line for line in trace)


def check_fault(scene, where, call, error, when):
    """One call fails once.  What is left is kept, and comes the next time."""
    name = f"{call} {error} {when}:"
    inject = f"inject={call}:error={error}:when={when}"
    status, output, errors = run(scene, where, "-e", f"trace={call}", "-e",
                                 inject)
    if status == 127:
        return  # it was a call of the loader
    if status == 0:
        check_lines(output, LINES)
        return
    check(call not in OUTLIVED and (call == "flock" or error not in
                                    ("EINTR", "EAGAIN")),
          name, "it ended with", status, errors.decode())
    check(status in SAID, name, "status", status, errors.decode())
    check(errors, name, "no message")
    found = texts(output[:output.rfind(b"\n") + 1])
    check(found == LINES[:len(found)], name, "wrong lines")
    spool = f"{scene.folder}/spool"
    if os.path.exists(spool):
        left, _ = scene.pipe(b"", "-S", spool, where)
        found += texts(left)[:len(LINES)]
        check(not texts(left) or found[-1] in LINES, name, "wrong lines left")


def test_fault_of_each_call(scene):
    """Each system call fails once, in each way."""
    if not may_trace() or FEWER > 1:
        return  # LeakSanitizer does not run under a tracer
    server = scene.server()
    where = target(port_of(server))
    for call, errors, when in FAULTS:
        if when == "last":
            last = count(scene, where, call)
            when = range(max(1, last - 5), last + 1)
        for error in errors.split():
            for number in when:
                server.drain()  # else its messages to the manager stop it
                check_fault(scene, where, call, error, number)
