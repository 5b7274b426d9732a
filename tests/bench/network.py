"""A network of the benchmark's own, where this user may make one.

In it there is nothing but loopback: no packet filter, no traffic of others, no
TIME_WAIT of the run before, and plain congestion control,
whatever this one is set to (bbr paces loopback too, by guesses that vary).
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
    """Goes on in such a network; in the host's where there can be none."""
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
