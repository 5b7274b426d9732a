"""The goals of timestampd, and whether it meets them."""

from dataclasses import dataclass

import table
from workload import IDLE

OURS = "timestampd"
CALM = ("tcp-64-64", OURS)
LINE = ("lines-64-1", OURS)
PLAIN = ("udp-256", OURS)


@dataclass
class Goal:
    text: str
    most: bool  # the bound is the maximum; False: the minimum
    bound: float
    metric: str
    key: tuple
    base: tuple  # key to divide by; (): no division
    aside: tuple = ()  # (text, metric, key, base): another figure to show


def versus(server, bound):
    base = ("tcp-64-64", server)
    return Goal(f"TCP ping-pong, messages a second / {server}", False, bound,
                "rate", CALM, base, ("CPU each", "cost_ns", CALM, base))


PIPE = ("pipe-64", "timestampc")


def piped(other, bound):
    base = ("pipe-64", other)
    return Goal(f"timestampc in a pipe, lines a second / {other}", False, bound,
                "rate", PIPE, base, ("CPU each", "cost_ns", PIPE, base))


GOALS = [
    Goal("TCP ping-pong, CPU per message / bare epoll echo", True, 1.02,
         "cost_ns", CALM, ("tcp-64-64", "bare echo"),
         ("512 clients", "cost_ns", ("tcp-512-64", OURS),
          ("tcp-512-64", "bare echo"))),
    versus("memcached", 1.0),
    versus("redis", 1.0),
    versus("Python threaded", 2.0),
    *(Goal(f"churn, {clients}, CPU per connection / bare blocking loop", True,
           bound, "cost_ns", (f"churn-{clients}", OURS),
           (f"churn-{clients}", "bare visit"),
           ("/ hang-up", "cost_ns", (f"churn-{clients}", OURS),
            (f"churn-{clients}", "bare hang-up")))
      for clients, bound in ((1, 1.45), (32, 1.35))),
    Goal("64-byte lines, bytes out / bare stream echo", False, 0.85,
         "bytes_rate", LINE, ("lines-64-1", "bare stream"),
         ("per CPU second", "bytes_per_cpu_s", LINE,
          ("lines-64-1", "bare stream"))),
    Goal("64-byte lines, lines a second / ts", False, 150,
         "rate", LINE, ("lines-64-1", "ts")),
    Goal("UDP, CPU per datagram / bare recvmmsg echo", True, 1.05,
         "cost_ns", PLAIN, ("udp-256", "bare datagram"),
         ("window 16", "cost_ns", ("udp-16", OURS),
          ("udp-16", "bare datagram"))),
    Goal("UDP, CPU / bare echo from the address asked", True, 1.05,
         "cost_ns", PLAIN, ("udp-256", "bare addressed")),
    Goal("UDP segments, datagrams a second / plain UDP", False, 20,
         "rate", ("segments-64", OURS), PLAIN,
         ("CPU each", "cost_ns", ("segments-64", OURS), PLAIN)),
    Goal("private bytes for each idle connection", True, 128,
         "private_bytes", (f"idle-{IDLE}", OURS), ()),
    Goal("p99 of a client beside a full-speed stream / alone", True, 3,
         "p99_us", ("latency-stream", OURS), ("latency-alone", OURS),
         ("p50", "p50_us", ("latency-stream", OURS),
          ("latency-alone", OURS))),
    Goal("p99 of a client beside a slow and deaf crowd / alone", True, 5,
         "p99_us", ("latency-crowd", OURS), ("latency-alone", OURS),
         ("the bare echo's", "p99_us", ("latency-crowd", "bare echo"),
          ("latency-alone", "bare echo"))),
    Goal("messages a second, 10,000 clients / 64", False, 0.9,
         "rate", ("tcp-10000-64", OURS), CALM,
         ("the bare echo's", "rate", ("tcp-10000-64", "bare echo"),
          ("tcp-64-64", "bare echo"))),
    piped("socat", 0.8),
    piped("nc -N", 1.2),
    piped("ts", 60),
]


def measure(results, metric, key, base):
    if base:
        return results.ratio(metric, key, base)
    return results.spread(key, metric)


def verdict(goal, spread):
    if spread is None:
        return "not measured"
    met = (spread[0] <= goal.bound if goal.most
           else spread[0] >= goal.bound)
    return "met" if met else "missed"


def row(goal, results):
    spread = measure(results, goal.metric, goal.key, goal.base)
    aside = ""
    if goal.aside:
        text, *what = goal.aside
        other = measure(results, *what)
        aside = f"{text}: {other[0]:.4g}" if other else ""
    sign = "<=" if goal.most else ">="
    return (goal.text, f"{sign} {goal.bound:g}", f"{spread[0]:.4g}" if spread else "",
            table.reach(spread), verdict(goal, spread), aside)


def show(results):
    rows = [("goal", "", "measured", "(min..max)", "", "beside it")]
    return table.render(rows + [row(goal, results) for goal in GOALS])


def as_json(results):
    documents = []
    for goal in GOALS:
        spread = measure(results, goal.metric, goal.key, goal.base)
        documents.append(dict(
            goal=goal.text, bound=goal.bound,
            at="most" if goal.most else "least",
            measured=spread[0] if spread else None,
            verdict=verdict(goal, spread)))
    return documents
