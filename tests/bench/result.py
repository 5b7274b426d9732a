"""The results of the runs: samples by workload, server and round."""

from statistics import median


def figures(sample):
    """Derives the figures to compare from one line of the load."""
    wall_s = sample["wall_ns"] / 1e9
    messages = sample["messages"]
    derived = dict(
        rate=messages / wall_s,
        bytes_rate=sample["bytes"] / wall_s,
        busy=sample["cpu_ns"] / sample["wall_ns"],
        load_busy=sample["load_cpu_ns"] / sample["wall_ns"])
    if messages > 0 and sample["cpu_ns"] > 0:
        derived["cost_ns"] = sample["cpu_ns"] / messages
    if sample["bytes"] > 0 and sample["cpu_ns"] > 0:
        derived["byte_cost_ns"] = sample["cpu_ns"] / sample["bytes"]
        derived["bytes_per_cpu_s"] = 1e9 / derived["byte_cost_ns"]
    for name in ("p50", "p99"):
        if name + "_ns" in sample:
            derived[name + "_us"] = sample[name + "_ns"] / 1e3
    return {**sample, **derived}


class Results:
    def __init__(self):
        self.samples = {}  # (workload, server): {round: figures}
        self.notes = {}  # (workload, server): why there are none

    def add(self, workload, server, number, sample):
        self.samples.setdefault((workload, server), {})[number] = sample

    def note(self, workload, server, text):
        self.notes[workload, server] = text

    def values(self, key, metric):
        return {number: sample[metric]
                for number, sample in self.samples.get(key, {}).items()
                if metric in sample}

    def spread(self, key, metric):
        """(median, least, most), or None."""
        values = self.values(key, metric).values()
        if not values:
            return None
        return median(values), min(values), max(values)

    def ratio(self, metric, key, base):
        """
        The spread of the quotients, each of two runs of the same round: what
        disturbs the machine for a while disturbs both.
        """
        above = self.values(key, metric)
        below = self.values(base, metric)
        quotients = [above[number] / below[number]
                     for number in above if below.get(number)]
        if not quotients:
            return None
        return median(quotients), min(quotients), max(quotients)

    def as_json(self):
        return [dict(workload=workload, server=server,
                     note=self.notes.get((workload, server)),
                     rounds=list(self.samples.get((workload, server),
                                                  {}).values()))
                for workload, server in sorted({*self.samples, *self.notes})]
