"""
Charts, drawn into files.
"""

import sys
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

import png
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import charts
from asynqueue.charts import COLUMNS, Bar, Bars, Curves, NoCharts, draw

PANELS: list[Bars | Curves] = [
    Bars(
        "Round trip",
        "µs",
        [Bar("ours", 70, 60, 90, standsOut=True), Bar("theirs", 180.4, 170, 200)],
        mark=30,
    ),
    Curves("Speed-up", "workers", "times", {"ideal": [(1, 1), (2, 2)]}, ["ideal"]),
    *[Bars(f"Panel {n}", "ms", [Bar("one", n, n, n)]) for n in range(COLUMNS)],
]


class ChartsTests(SynchronousTestCase):
    def test_svg(self):
        """All panels are in an SVG file, with their texts as such."""
        path = Path(self.mktemp() + ".svg")
        draw(str(path), "All of them", PANELS)
        tree = ElementTree.fromstring(path.read_bytes())
        self.assertEqual(tree.tag, "{http://www.w3.org/2000/svg}svg")
        texts = {text.strip() for text in tree.itertext()}
        for text in ("All of them", "Round trip", "µs", "ours", "70.0", "180"):
            self.assertIn(text, texts)
        self.assertLessEqual({panel.title for panel in PANELS}, texts)
        self.assertIn("workers", texts)

    def test_png(self):
        """A PNG file can be read, and has room for two rows of panels."""
        path = self.mktemp() + ".png"
        draw(path, "All of them", PANELS)
        with open(path, "rb") as file:
            width, height, rows, _ = png.Reader(file=file).read()
            self.assertEqual(len(list(rows)), height)
        self.assertGreater(width, 1000)
        self.assertGreater(height, 600)

    def test_notInstalled(self):
        """Without matplotlib nothing is drawn, and what installs it is told."""
        lacking = {"matplotlib": None, "matplotlib.figure": None}
        patched = mock.patch.dict(sys.modules, lacking)
        patched.start()
        self.addCleanup(patched.stop)
        for f, args in [(charts.requireCharts, ()), (draw, ("x.svg", "", PANELS))]:
            error = self.assertRaises(NoCharts, f, *args)
            self.assertIn("pip install 'asynqueue[bench]'", str(error))
