"""Tests of the picture, with made-up figures."""

import os
import re
import unittest
from xml.etree import ElementTree

import chart
import workload

HERE = os.path.dirname(os.path.abspath(__file__))
SVG = "{http://www.w3.org/2000/svg}"


def figures(without=()):
    return {(workload, server): [number + 4.0, number + 3.0, number + 6.0]
            for workload, _, _, servers in chart.PANELS
            for number, (server, _) in enumerate(servers)
            if server not in without}


def parts(found, name, kind):
    return [each for each in ElementTree.fromstring(
        chart.picture(found, 5)).iter(SVG + name)
        if kind in each.get("class", "").split()]


class Picture(unittest.TestCase):
    def test_the_benchmark_measures_what_is_drawn(self):
        measured = {(each.name, candidate.name) for each in workload.WORKLOADS
                    for candidate in each.candidates}
        self.assertEqual(set(figures()) - measured, set())

    def test_the_documented_command_measures_what_is_drawn(self):
        with open(os.path.join(HERE, "README.md")) as file:
            only = re.search(r"PLOT=1 ONLY='(.*)'", file.read())[1]
        self.assertEqual([each.name for each in workload.WORKLOADS
                          if re.search(only, each.name)],
                         [name for name, *_ in chart.PANELS])

    def test_each_server_has_a_bar_and_ours_differs(self):
        found = figures()
        self.assertEqual(len(parts(found, "rect", "bar")), len(found))
        self.assertEqual(len(parts(found, "rect", "ours")), len(chart.PANELS))

    def test_nothing_leaves_the_paper(self):
        for bar in parts(figures(), "rect", "bar"):
            right = float(bar.get("x")) + float(bar.get("width"))
            self.assertLessEqual(right, chart.WIDTH - chart.VALUE)

    def test_lengths_are_in_proportion(self):
        ours, bare, *_ = parts(figures(), "rect", "bar")
        self.assertAlmostEqual(
            float(bare.get("width")) / float(ours.get("width")), 5 / 4,
            places=2)

    def test_a_server_that_is_not_installed_has_none(self):
        self.assertEqual(len(parts(figures(("redis",)), "rect", "bar")),
                         len(figures()) - 2)

    def test_without_ours_there_is_no_picture(self):
        with self.assertRaises(chart.Lacking):
            chart.picture(figures(("timestampd",)), 5)

    def test_it_has_colours_for_a_dark_page(self):
        self.assertIn("@media (prefers-color-scheme: dark)",
                      chart.picture(figures(), 5))

    def test_figures_have_two_digits_or_whole_microseconds(self):
        self.assertEqual([chart.microseconds(value)
                          for value in (0.15, 5.44, 9.94, 9.96, 99.6, 1204)],
                         ["0.1 µs", "5.4 µs", "9.9 µs", "10 µs", "100 µs",
                          "1204 µs"])
