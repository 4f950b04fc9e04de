"""
How what came of C{asynqueue tune} is shown.
"""

import json

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.charts import Bar
from asynqueue.findings import introduction, panels, report, table, text
from asynqueue.grid import DEFAULTS, LOADS, Choice
from asynqueue.results import Sample
from asynqueue.survey import PIPE, Survey

ABOUT = {
    "workers": 2,
    "rounds": 3,
    "seconds": 1.5,
    "quick": False,
    "cores": 4,
    "python": "3.12.1",
    "system": "Linux there",
    "platform": "Linux-6",
}
OTHER = Choice("other")


class FindingsTests(SynchronousTestCase):
    def setUp(self):
        loads = [LOADS["mixed"], LOADS["nap1000"]]
        self.survey = Survey([DEFAULTS, OTHER], loads, 2, 3, 1.5)
        self.add(PIPE, "mixed", (99.9, 99.7, 99.8), overhead=0.25, cpu=0.1, wakes=2)
        self.add(
            DEFAULTS.title,
            "mixed",
            (98.0, 99.0, 98.5),
            overhead=0.756,
            cpu=1.2,
            wakes=24.6,
            looks=22.3,
        )
        self.add(OTHER.title, "mixed", (99.0,), overhead=0.5, cpu=0.4, wakes=1)
        self.add(DEFAULTS.title, "nap1000", (99.5,) * 3, overhead=2, cpu=3, wakes=54)
        failed = Sample(2, "mixed", OTHER.title, failed="no answer within 60 seconds")
        self.survey.results.samples.append(failed)

    def add(self, name, load, efficiencies, **measures):
        for number, efficiency in enumerate(efficiencies, 1):
            each = {"efficiency": efficiency, **measures}
            self.survey.results.samples.append(Sample(number, load, name, each))

    def test_introduction(self):
        """It tells what was measured, where, and whether that means anything."""
        self.assertEqual(
            introduction(ABOUT),
            "workers: 2, rounds: 3, each trial: 1.5 s\n"
            "Python 3.12.1, Linux there, cores: 4\n",
        )
        self.assertIn("mean little", introduction({**ABOUT, "quick": True}))

    def test_table(self):
        """Medians and spreads stand in columns, and what went wrong below."""
        columns = "efficiency lost per call CPU per call wakes looks"
        rows = table(self.survey).splitlines()
        self.assertEqual(
            [" ".join(row.split()) for row in rows],
            [
                "",
                f"calls of 0 to 200 ms {columns}",
                "% ms ms per call per call",
                "bare pipe 99.80 ±0.10 0.25 ±0.00 0.10 ±0.00 2 -",
                "thread, 1 ms, 1.10 * 98.50 ±0.50 0.76 ±0.00 1.20 ±0.00 25 22",
                "other 99.00 0.50 0.40 1 -",
                "",
                f"calls of 1 s {columns}",
                "% ms ms per call per call",
                "bare pipe - - - - -",
                "thread, 1 ms, 1.10 * 99.50 ±0.00 2.00 ±0.00 3.00 ±0.00 54 -",
                "other - - - - -",
                "other, calls of 0 to 200 ms: failed in round 2: no answer within "
                "60 seconds",
            ],
        )
        self.assertEqual(len({len(row) for row in rows[1:4]}), 1)

    def test_text(self):
        """The advice comes last, after all figures."""
        lines = text(self.survey, ABOUT).splitlines()
        self.assertEqual(lines[0], "workers: 2, rounds: 3, each trial: 1.5 s")
        self.assertIn("Leave interval and backoff as they are: nothing else", lines[-2])

    def test_panels(self):
        """A panel for each load and measure has a bar for each that was measured."""
        found = panels(self.survey)
        self.assertEqual(
            [panel.title for panel in found],
            [
                f"{load}:\n{title}"
                for load in ("calls of 0 to 200 ms", "calls of 1 s")
                for title in ("efficiency", "lost per call", "CPU per call")
            ],
        )
        self.assertEqual(
            found[0].bars,
            [
                Bar(PIPE, 99.8, 99.7, 99.9),
                Bar(DEFAULTS.title, 98.5, 98.0, 99.0, standsOut=True),
                Bar("other", 99.0, 99.0, 99.0),
            ],
        )
        self.assertEqual((found[0].mark, found[3].mark), (99.8, None))

    def test_report(self):
        """As JSON there are all samples, the settings and what is advised."""
        told = json.loads(json.dumps(report(self.survey, ABOUT)))
        self.assertEqual(told["system"], "Linux there")
        self.assertEqual(len(told["samples"]), 11)
        self.assertEqual(told["samples"][-1]["failed"], "no answer within 60 seconds")
        defaults = {"poller": "thread", "interval": 0.001, "backoff": 1.1}
        self.assertEqual(told["settings"][DEFAULTS.title], defaults)
        self.assertEqual(told["advice"], {"paced": defaults, "best": defaults})
        self.assertEqual(told["loads"]["nap1000"], "calls of 1 s")
