"""A network namespace for the benchmark, if this user may make one.

It has only loopback: no packet filter, no other traffic, no TIME_WAIT of an
earlier run.  Its congestion control is cubic or reno: bbr, which the host may
use, paces loopback too, by estimates that vary.
"""

import os
import subprocess
import sys

INSIDE = "TIMESTAMPD_BENCH_NETWORK"
CONTROLS = "/proc/sys/net/ipv4/tcp_allowed_congestion_control"
CONTROL = "/proc/sys/net/ipv4/tcp_congestion_control"


def can_have_own():
    try:
        return os.geteuid() == 0 and subprocess.run(
            ["unshare", "--net", "ip", "link", "set", "lo", "up"],
            capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def prepare():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with open(CONTROLS, encoding="ascii") as file:
        known = file.read().split()
    with open(CONTROL, "w", encoding="ascii") as file:
        file.write("cubic" if "cubic" in known else "reno")


def enter():
    """Continues in a new namespace, or in the host's network without one."""
    if INSIDE in os.environ:
        prepare()
    elif can_have_own():
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, "-B",
                              *sys.argv])


def describe():
    with open(CONTROL, encoding="ascii") as file:
        control = file.read().strip()
    whose = "of its own" if INSIDE in os.environ else "of this host"
    return f"network {whose}, congestion control {control}"
