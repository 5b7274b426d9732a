"""Files of conf/examples that must agree with each other."""

import os
import re
import subprocess

from daemon import LIMIT_S, PROGRAM, check
from fleet import EXAMPLES, example

SECONDS = {"s": 1, "m": 60, "h": 3600}


def idle_timeout_s():
    """Of the TCP listener, which is the only one that has it."""
    path = os.path.join(EXAMPLES, "timestampd.conf")
    settings = subprocess.run([PROGRAM, "-T", "-c", path], check=True,
                              text=True, stdout=subprocess.PIPE,
                              timeout=LIMIT_S).stdout
    listeners = settings.partition("listeners = (")[2]
    return int(re.search(r"idle_timeout = (\d+);", listeners).group(1))


def check_longer(name, pattern, count):
    """All time limits in conf/examples/NAME that pattern finds."""
    found = re.findall(pattern + r" (\d+)([smh])\b", example(name, {}),
                       re.DOTALL)
    check(len(found) == count, name, "has the limits", found)
    for number, unit in found:
        check(0 < idle_timeout_s() < int(number) * SECONDS[unit], name,
              "ends a silent connection before the server does:", number + unit,
              "and idle_timeout =", idle_timeout_s())


def test_the_server_ends_silent_connections(_):
    """No balancer does so before it: the log of the server says why."""
    check_longer("haproxy.cfg", r"timeout (?:client|server)", 2)
    check_longer("nginx.conf", r"listen 21567;.*?proxy_timeout", 1)
