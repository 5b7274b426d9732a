"""The results as a table for a terminal."""

LOAD_BOUND = 0.9  # for a server that is less busy the load is the limit

COLUMNS = ("workload", "server", "per second", "(min..max)", "CPU ns each",
           "(min..max)", "to limit", "(min..max)", "busy", "MB/s out",
           "p50 us", "p99 us", "")


def short(value):
    """Formats with about three digits."""
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    if value >= 1e4:
        return f"{value / 1e3:.0f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def centre(spread):
    return short(spread[0]) if spread else ""


def reach(spread):
    return f"{short(spread[1])}..{short(spread[2])}" if spread else ""


def remarks(results, key):
    texts = []
    busy = results.spread(key, "busy")
    load = results.spread(key, "load_busy")
    private = results.spread(key, "private_bytes")
    if load and load[0] > busy[0] and busy[0] < LOAD_BOUND and not private:
        texts.append("the load is the limit")
    server = results.spread(key, "server_busy")
    if server and server[0] > busy[0] and busy[0] < LOAD_BOUND:
        texts.append("the server is the limit")
    lost = sum(results.values(key, "lost").values())
    if lost:
        texts.append(f"{lost} lost")
    if private:
        texts.append(f"{private[0]:.0f} bytes each; "
                     f"{results.spread(key, 'cpu_ns')[0] / 1e6:.2f} ms "
                     "of CPU in 2 s")
    crowd = results.spread(key, "crowd_bytes")
    if crowd:
        kernel = results.spread(key, "crowd_kernel_bytes")
        texts.append(f"{crowd[0] / 2**20:.0f} MiB; "
                     f"{kernel[0] / 2**20:.0f} MiB in TCP sockets; "
                     f"{results.spread(key, 'crowd_cpu_ns')[0] / 1e7:.1f} % "
                     "of the CPU for the crowd alone")
    if key in results.notes:
        texts.append(results.notes[key])
    return "; ".join(texts)


def to_limit(results, workload, server):
    """The spread of what a server costs over what the limit does, or None."""
    if not workload.limit:
        return None
    return results.ratio(workload.cost, (workload.name, server),
                         (workload.name, workload.limit))


def row(results, workload, server):
    key = (workload.name, server)
    # Idle connections have neither a rate nor a CPU time per message.
    served = not results.values(key, "private_bytes")
    rate = results.spread(key, "rate") if served else None
    cost = results.spread(key, "cost_ns") if served else None
    quotient = to_limit(results, workload, server) if served else None
    busy = results.spread(key, "busy")
    out = results.spread(key, "bytes_rate") if served else None
    return (workload.name, server, centre(rate), reach(rate), centre(cost),
            reach(cost), centre(quotient), reach(quotient),
            f"{busy[0]:.0%}" if busy else "",
            short(out[0] / 1e6) if out else "",
            centre(results.spread(key, "p50_us")),
            centre(results.spread(key, "p99_us")), remarks(results, key))


def render(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) if i < 2 or i == len(row) - 1
                  else cell.rjust(width)
                  for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
        for row in rows)


def show(results, workloads):
    rows = [COLUMNS]
    for workload in workloads:
        for candidate in workload.candidates:
            rows.append(row(results, workload, candidate.name))
    return render(rows)
