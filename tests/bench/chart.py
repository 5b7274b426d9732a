"""The picture of what an answer costs each server, drawn as SVG."""

import platform
from html import escape

# (workload, what it does, [(server, its label)]); ours is the first.
PANELS = [
    ("tcp-64-64", "A TCP message", "64 clients, a connection each", [
        ("timestampd", "timestampd"), ("bare echo", "bare epoll loop"),
        ("memcached", "memcached"), ("redis", "redis"),
        ("xinetd echo", "xinetd (echo)")]),
    ("churn-32", "A TCP connection", "connect, one message, close", [
        ("timestampd", "timestampd"), ("bare visit", "bare accept loop"),
        ("memcached", "memcached"), ("redis", "redis"),
        ("xinetd daytime", "xinetd (daytime)")]),
    ("udp-256", "A UDP datagram", "256 on their way", [
        ("timestampd", "timestampd"), ("bare datagram", "bare recvmmsg loop"),
        ("bare addressed", "same, IP_PKTINFO")]),
]

WIDTH = 720
MARGIN = 24
LABEL = 168  # where bars begin
VALUE = 84  # right of the longest bar
BAR, STEP = 16, 24
HEADING, GAP = 34, 18
TITLE, FOOT = 62, 50

STYLE = """
  text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif;
         fill: #1f2328; }
  .title { font-size: 17px; font-weight: 600; }
  .heading { font-weight: 600; }
  .aside { fill: #59636e; }
  .small { font-size: 11.5px; fill: #59636e; }
  .ours { font-weight: 700; }
  .paper { fill: #ffffff; stroke: #d1d9e0; }
  .bar { fill: #afb8c1; }
  .bar.ours { fill: #0969da; }
  .range { fill: none; stroke: #1f2328; stroke-width: 1.2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .aside, .small { fill: #9198a1; }
    .paper { fill: #0d1117; stroke: #3d444d; }
    .bar { fill: #565f6a; }
    .bar.ours { fill: #4493f8; }
    .range { stroke: #e6edf3; }
  }
"""


class Lacking(Exception):
    """The picture needs figures that were not measured."""


def spreads(results):
    """{(workload, server): (median, least, most)} in microseconds."""
    found = {}
    for workload, _, _, servers in PANELS:
        for server, _ in servers:
            spread = results.spread((workload, server), "cost_ns")
            if spread:
                found[workload, server] = [value / 1e3 for value in spread]
    return found


def check(found):
    """A server that is not installed may lack, ours and the loop may not."""
    lacking = [workload for workload, _, _, servers in PANELS
               for server, _ in servers[:2] if (workload, server) not in found]
    if lacking:
        raise Lacking(", ".join(dict.fromkeys(lacking)))


def text(x, y, words, kind="", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" '
            f'text-anchor="{anchor}">{escape(words)}</text>')


def microseconds(value):
    return f"{value:.{1 if value < 9.95 else 0}f} µs"


def bar(y, label, spread, scale, kind):
    """One server: its name, the bar, the range of the rounds, the figure."""
    middle, centre = y + BAR / 2 + 4.5, y + BAR / 2
    left, right = (LABEL + value * scale for value in spread[1:])
    return [
        text(LABEL - 10, middle, label, kind, "end"),
        f'<rect x="{LABEL}" y="{y}" width="{spread[0] * scale:.1f}" '
        f'height="{BAR}" rx="2" class="bar {kind}"/>',
        f'<path d="M{left:.1f} {centre}H{right:.1f}M{left:.1f} {centre - 3}v6'
        f'M{right:.1f} {centre - 3}v6" class="range"/>',
        text(max(LABEL + spread[0] * scale, right) + 8, middle,
             microseconds(spread[0]), kind)]


def panel(y, found, description):
    """Returns the lines of a panel, and where the next begins."""
    workload, heading, aside, servers = description
    shown = [(label, found[workload, server]) for server, label in servers
             if (workload, server) in found]
    scale = (WIDTH - MARGIN - VALUE - LABEL) / max(
        spread[2] for _, spread in shown)
    lines = [f'<text x="{MARGIN}" y="{y + 18}" class="heading">'
             f'{escape(heading)}<tspan class="aside" font-weight="400" '
             f'dx="6">– {escape(aside)}</tspan></text>']
    y += HEADING
    for number, (label, spread) in enumerate(shown):
        lines += bar(y, label, spread, scale, "" if number else "ours")
        y += STEP
    return lines, y + GAP


def picture(found, rounds):
    check(found)
    y = TITLE
    body = []
    for description in PANELS:
        lines, y = panel(y, found, description)
        body += lines
    height = y - GAP + FOOT
    kernel = ".".join(platform.release().split(".")[:2])
    title = "CPU time that an answer costs the server"
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
        f'height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{title}">',
        f"<style>{STYLE}</style>",
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" '
        'rx="6" class="paper"/>',
        text(MARGIN, 32, title, "title"),
        text(MARGIN, 52, "Shorter is better. timestampd puts the time in front "
             "of what it sends back; the bare loops only echo.", "small")]
    foot = [text(MARGIN, height - 28, "Bars: medians; lines: the range of "
                 f"{rounds} rounds. One core for the server, one for the "
                 "load.", "small"),
            text(MARGIN, height - 12, f"Linux {kernel}, loopback, messages of "
                 "64 bytes (redis 6, memcached 4). Made by make bench PLOT=1.",
                 "small")]
    return "\n".join([*head, *body, *foot, "</svg>", ""])


def draw(results, rounds, path):
    """Writes the picture; raises Lacking."""
    with_figures = picture(spreads(results), rounds)
    with open(path, "w", encoding="utf-8") as file:
        file.write(with_figures)
