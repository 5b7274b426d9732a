"""Tests of the comparison with the last release, with made-up ratios."""

import os
import tempfile
import unittest

import compare

QUIET = [1.0, 0.99, 1.01]


def verdict(now, before):
    return compare.judge(now, before)[0]


class Judge(unittest.TestCase):
    def test_a_change_below_the_tolerance_is_none(self):
        self.assertEqual(verdict([1.019, 1.018, 1.02], QUIET), "the same")
        self.assertEqual(verdict([0.981, 0.98, 0.982], QUIET), "the same")

    def test_more_than_the_tolerance_is_slower_or_faster(self):
        self.assertEqual(verdict([1.03, 1.02, 1.04], QUIET), "SLOWER")
        self.assertEqual(verdict([0.97, 0.96, 0.98], QUIET), "faster")

    def test_the_noise_of_either_run_excuses_a_change(self):
        noisy = [1.1, 1.0, 1.3]
        self.assertEqual(verdict(noisy, QUIET), "within the noise")
        self.assertEqual(verdict(QUIET, noisy), "within the noise")

    def test_a_change_above_the_noise_is_not_excused(self):
        self.assertEqual(verdict([1.5, 1.4, 1.7], QUIET), "SLOWER")
        self.assertEqual(verdict([0.5, 0.45, 0.55], QUIET), "faster")

    def test_change_and_noise_are_shares(self):
        _, change, noise = compare.judge([2.2, 2.0, 2.4], [2.0, 2.0, 2.0])
        self.assertAlmostEqual(change, 0.1)
        self.assertAlmostEqual(noise, 0.2 / 2.2)

    def test_the_noise_of_two_runs_adds_up_as_squares(self):
        _, _, noise = compare.judge([1.0, 0.97, 1.03], [1.0, 0.96, 1.04])
        self.assertAlmostEqual(noise, 0.05)


class Compare(unittest.TestCase):
    def test_what_got_slower_comes_first(self):
        rows = compare.compare(
            dict(same=QUIET, faster=[0.5] * 3, slow=[1.2] * 3,
                 slower=[1.4] * 3, noisy=[1.2, 0.8, 1.6], new=QUIET),
            dict(same=QUIET, faster=QUIET, slow=QUIET, slower=QUIET,
                 noisy=QUIET, gone=QUIET))
        self.assertEqual([row[0] for row in rows],
                         ["slower", "slow", "faster", "noisy", "same"])

    def test_the_text_says_what_to_know(self):
        text = compare.show(
            {"tcp": [1.4] * 3, "udp": QUIET},
            {"of": "timestampd 0.9", "kernel": "2.4",
             "ratios": {"tcp": QUIET, "udp": QUIET, "idle": QUIET}})
        for part in ("compared with timestampd 0.9", "+40.0%", "SLOWER",
                     "1 SLOWER, 1 the same", "of Linux 2.4",
                     "not measured now: idle"):
            self.assertIn(part, text)

    def test_without_a_common_workload_it_says_so(self):
        text = compare.show({}, {"of": "x", "kernel": compare.kernel(),
                                 "ratios": {}})
        self.assertIn("no workload to compare", text)
        self.assertNotIn("Linux", text)


class Ratios(unittest.TestCase):
    def results(self):
        from result import Results
        results = Results()
        for number, (ours, limit) in enumerate(((30, 20), (24, 20), (44, 20))):
            results.add("tcp-1-64", "timestampd", number, {"cost_ns": ours})
            results.add("tcp-1-64", "bare echo", number, {"cost_ns": limit})
        results.add("idle-15000", "timestampd", 0,
                    {"cost_ns": 1, "private_bytes": 1})
        return results

    def test_they_are_those_of_the_same_rounds_and_no_more(self):
        from workload import WORKLOADS
        self.assertEqual(compare.ratios(self.results(), WORKLOADS),
                         {"tcp-1-64": [1.5, 1.2, 2.2]})


class File(unittest.TestCase):
    def test_what_is_written_is_read(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "baseline.json")
            self.assertIsNone(compare.load(path))
            compare.write({"tcp": [1.1, 1.0, 1.2], "udp": QUIET}, "a", path)
            compare.write({"tcp": QUIET}, "b 2", path)
            self.assertEqual(compare.load(path), {
                "of": "b 2", "kernel": compare.kernel(),
                "ratios": {"tcp": QUIET, "udp": QUIET}})

    def test_the_one_of_the_last_release_has_ratios_only(self):
        baseline = compare.load()
        self.assertEqual(set(baseline), {"of", "kernel", "ratios"})
        for name, (middle, least, most) in baseline["ratios"].items():
            self.assertTrue(0 < least <= middle <= most < 10, name)
