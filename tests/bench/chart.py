"""Bar charts of the CPU time of each message, drawn by gnuplot."""

import os
import re
import subprocess

import server


def bars(results, workloads):
    lines = []
    for workload in workloads:
        for candidate in workload.candidates:
            cost = results.spread((workload.name, candidate.name), "cost_ns")
            if cost:
                lines.append(f'"{workload.name} {candidate.name}" '
                             f"{cost[0]} {cost[1]} {cost[2]}")
    return lines


def draw(results, workloads, folder):
    """Draws a chart for each group of workloads; returns the paths."""
    gnuplot = server.installed("gnuplot")
    paths = []
    for group in dict.fromkeys(workload.group for workload in workloads):
        lines = bars(results, [workload for workload in workloads
                               if workload.group == group])
        if not lines or group == "idle connections":
            continue
        stem = re.sub(r"\W+", "-", group.lower())
        path = os.path.join(folder, stem + ".svg")
        script = "\n".join([
            f'set terminal svg size {200 + 45 * len(lines)},480',
            f'set output "{path}"', f'set title "{group}"',
            'set ylabel "CPU nanoseconds for each, min..max"',
            "set yrange [0:*]", "set style fill solid 0.6", "unset key",
            "set boxwidth 0.7", "set bmargin 11", "set xtics rotate by -40",
            "$bars << END", *lines, "END",
            "plot $bars using 0:2:xtic(1) with boxes, "
            "$bars using 0:2:3:4 with yerrorbars pt 0 lc black", ""])
        subprocess.run([gnuplot], input=script.encode(), check=True)
        paths.append(path)
    return paths
