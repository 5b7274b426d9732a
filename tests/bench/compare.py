"""Compares what timestampd costs with what it cost in the last release.

A ratio is what timestampd costs over what the limit program costs in the same
round, so it says little about the machine.  baseline.json has no other figures.
"""

import json
import math
import os
import platform

import table

BASELINE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                        "baseline.json")
TOLERANCE = 0.02  # a change that is not worth a word


def kernel():
    return ".".join(platform.release().split(".")[:2])


def ratios(results, workloads):
    """{workload: [median, least, most]} of those that have a limit."""
    found = {}
    for workload in workloads:
        ours = workload.candidates[0].name
        spread = table.to_limit(results, workload, ours)
        # Idle connections have no cost of a message.
        if spread and not results.values((workload.name, ours),
                                         "private_bytes"):
            found[workload.name] = [round(value, 3) for value in spread]
    return found


def noise(spread):
    """Half of the range of the rounds, as a share of their median."""
    return (spread[2] - spread[1]) / 2 / spread[0]


def judge(now, before):
    """Returns (verdict, change, noise), both as shares: 0.1 is a tenth more."""
    change = now[0] / before[0] - 1
    both = math.hypot(noise(now), noise(before))
    if abs(change) <= TOLERANCE:
        return "the same", change, both
    if abs(change) <= both:
        return "within the noise", change, both
    return "SLOWER" if change > 0 else "faster", change, both


def compare(now, before):
    """
    [(workload, verdict, change, noise)] of the workloads that both have; what got
    slower comes first.
    """
    rank = ["SLOWER", "faster", "within the noise", "the same"]
    return sorted(((name, *judge(now[name], before[name]))
                   for name in now if name in before),
                  key=lambda row: (rank.index(row[1]), -abs(row[2])))


def row(now, before, compared):
    name, verdict, change, both = compared
    return (name, "/ limit", f"{now[name][0]:.2f}", f"{before[name][0]:.2f}",
            f"{change:+.1%}", f"{both:.1%}", verdict)


def show(now, baseline):
    """The comparison as text; baseline: what the file has."""
    before = baseline["ratios"]
    compared = compare(now, before)
    rows = [("compared with " + baseline["of"], "", "now", "then", "change",
             "noise", "")]
    text = table.render(rows + [row(now, before, each) for each in compared])
    counts = {}
    for _, verdict, *_ in compared:
        counts[verdict] = counts.get(verdict, 0) + 1
    summary = ", ".join(f"{count} {verdict}"
                        for verdict, count in counts.items())
    text += (f"\n{summary or 'no workload to compare'}; less than "
             f"{TOLERANCE:.0%} is the same, less than half of the range of the "
             "rounds is noise")
    if baseline["kernel"] != kernel():
        text += (f"\nthe baseline is of Linux {baseline['kernel']}, and a ratio "
                 "may differ between kernels")
    missing = sorted(set(before) - set(now))
    if missing:
        text += "\nnot measured now: " + ", ".join(missing)
    return text


def load(path=BASELINE):
    """Returns what the file has, or None if there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def write(now, version, path=BASELINE):
    """Workloads that were not measured keep their ratios."""
    old = load(path)
    kept = old["ratios"] if old else {}
    document = {"of": version, "kernel": kernel(), "ratios": {**kept, **now}}
    with open(path, "w", encoding="utf-8") as file:
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(spread)}"
                           for name, spread in document["ratios"].items())
        file.write(f'{{\n "of": {json.dumps(document["of"])},\n '
                   f'"kernel": {json.dumps(document["kernel"])},\n '
                   f'"ratios": {{\n{lines}\n }}\n}}\n')
