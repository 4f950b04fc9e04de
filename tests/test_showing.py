"""
How results are shown.
"""

import json

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.charts import Bar, Bars, Curves
from asynqueue.loads import theLoads
from asynqueue.results import Sample
from asynqueue.showing import boundsTable, introduction, panels, report, table
from asynqueue.tournament import Tournament
from tests.test_results import measured

ABOUT = {
    "workers": 2,
    "rounds": 3,
    "startMethod": "spawn",
    "python": "3.12.1",
    "platform": "Here",
    "cores": 4,
    "quick": False,
}


class ShowingTestCase(SynchronousTestCase):
    def setUp(self):
        self.loads = list(theLoads(4).values())
        self.held = Tournament([], self.loads, 3, "spawn", {})
        self.results = self.held.results

    def add(self, *samples):
        self.results.samples += samples


class TableTests(ShowingTestCase):
    def test_table(self):
        """Medians, spreads and ratios stand in columns, and reasons in lines."""
        self.add(
            *measured("start", "executor", 200.0, 180.0, 260.0, measure="first"),
            *measured("start", "asynqueue", 100.0, 90.0, 1234.0, measure="first"),
            *measured("start", "pipe", 50.0, measure="first"),
            *measured("items", "asynqueue", 1000.0),
            Sample(1, "items", "pool", cannot="has no remote iterators"),
            *measured("items", "ancestor", 250.0),
            Sample(2, "items", "ancestor", failed="no answer within 60 seconds"),
        )
        text = table(self.results, self.loads)
        rows = text.splitlines()
        self.assertEqual(len({row.index("median") for row in rows if "med" in row}), 1)
        self.assertEqual(
            [" ".join(row.split()) for row in rows],
            [
                "",
                "items from a generator in a worker",
                "items a second, items/s (more is better) median least most x ours",
                "asynqueue 1,000 1,000 1,000 1.00",
                "the ancestor 250 250 250 0.25",
                "multiprocessing.Pool: has no remote iterators",
                "the ancestor: failed in round 2: no answer within 60 seconds",
                "",
                "from nothing to the first answer",
                "time to the first answer, ms (less is better) "
                "median least most x ours x pipe",
                "asynqueue 100 90.0 1,234 1.00 2.00",
                "ProcessPoolExecutor 200 180 260 2.00 4.00",
                "bare pipe 50.0 50.0 50.0 0.50 1.00",
            ],
        )

    def test_nothing(self):
        """Nothing is shown of nothing."""
        self.assertEqual(table(self.results, self.loads), "")
        self.assertEqual(boundsTable(self.results, self.loads), "")
        self.assertEqual(panels(self.results, self.loads), [])

    def test_onlyReasons(self):
        """If nobody could do it, that is shown."""
        self.add(Sample(1, "items", "pool", cannot="has none"))
        self.assertIn(
            "  multiprocessing.Pool: has none\n", table(self.results, self.loads)
        )

    def test_bounds(self):
        """Each bound that can be judged has a row, with what was measured."""
        self.add(
            *measured("burst", "asynqueue", 240.0),
            *measured("burst", "executor", 200.0),
            *measured("waiting", "asynqueue", 4096.0, measure="size"),
        )
        head, *rows = boundsTable(self.results, self.loads).splitlines()
        self.assertEqual(head.split(), ["bounds", "of", "measured", "bound", "met"])
        burst, size = (" ".join(row.split()) for row in rows)
        self.assertTrue(
            burst.endswith("asynqueue / ProcessPoolExecutor 1.2 at least 1.2 yes")
        )
        self.assertTrue(
            size.endswith("asynqueue 4096 bytes at most 2048 bytes NO"), size
        )

    def test_introduction(self):
        """First comes what was measured, where, and who was not, and why."""
        self.held.versions.update(asynqueue="1.0", pool="3.12.1")
        self.held.leftOut.update(loky="No module named 'loky'")
        self.held.reactor = "PollReactor"
        text = introduction(self.held, ABOUT)
        self.assertIn("workers: 2, rounds: 3, start method: spawn\n", text)
        self.assertIn("Python 3.12.1, PollReactor, Here, cores: 4\n", text)
        self.assertIn("asynqueue 1.0, multiprocessing.Pool 3.12.1\n", text)
        self.assertIn("left out: loky: No module named 'loky'\n", text)
        self.assertNotIn("quick", text)
        self.assertIn("quick", introduction(self.held, {**ABOUT, "quick": True}))


class PanelsTests(ShowingTestCase):
    def test_bars(self):
        """Each measure has a panel, with a bar for each, and ours stand out."""
        self.add(
            *measured("one", "asynqueue", 60.0, 70.0, 90.0, measure="p50"),
            *measured("one", "pool", 88.0, measure="p50"),
            *measured("one", "pipe", 30.0, measure="p50"),
            Sample(1, "one", "loky", failed="bad"),
        )
        self.assertEqual(
            panels(self.results, self.loads),
            [
                Bars(
                    "no-op calls, one at a time:\nhalf of the calls return within",
                    "µs",
                    [
                        Bar("asynqueue", 70.0, 60.0, 90.0, standsOut=True),
                        Bar("multiprocessing.Pool", 88.0, 88.0, 88.0),
                        Bar("bare pipe", 30.0, 30.0, 30.0),
                    ],
                    mark=30.0,
                )
            ],
        )

    def test_curves(self):
        """All numbers of workers have one panel, with what would be ideal."""
        self.add(
            Sample(1, "cpu", "asynqueue", {"2": 1.9, "4": 3.7}),
            Sample(1, "cpu", "pool", {"2": 1.8, "4": 3.5}),
            Sample(1, "cpu", "loky", failed="bad"),
        )
        curves = {
            "asynqueue": [(1, 1.0), (2, 1.9), (4, 3.7)],
            "multiprocessing.Pool": [(1, 1.0), (2, 1.8), (4, 3.5)],
            "ideal": [(1, 1.0), (4, 4.0)],
        }
        title = "CPU-bound calls of 50 ms:\nspeed-up"
        self.assertEqual(
            panels(self.results, self.loads),
            [Curves(title, "workers", "times", curves, ["ideal"])],
        )


class ReportTests(ShowingTestCase):
    def test_json(self):
        """All samples are in the report, with medians, bounds and what is known."""
        self.held.versions["asynqueue"] = "1.0"
        self.held.leftOut["loky"] = "none"
        samples = [
            *measured("burst", "asynqueue", 3.0, 1.0, 2.0),
            *measured("burst", "executor", 1.0),
            Sample(1, "items", "pool", cannot="has none"),
        ]
        self.add(*samples)
        told = json.loads(json.dumps(report(self.held, self.loads, ABOUT)))
        self.assertEqual(told["startMethod"], "spawn")
        self.assertEqual(told["versions"], {"asynqueue": "1.0"})
        self.assertEqual(told["leftOut"], {"loky": "none"})
        self.assertEqual([Sample(**each) for each in told["samples"]], samples)
        self.assertEqual(
            told["loads"]["burst"]["medians"],
            {"asynqueue": {"rate": 2.0}, "executor": {"rate": 1.0}},
        )
        self.assertEqual(told["loads"]["items"]["medians"], {"pool": {"rate": None}})
        self.assertEqual(told["loads"]["burst"]["measures"]["rate"]["unit"], "calls/s")
        (bound,) = told["bounds"]
        self.assertEqual((bound["measured"], bound["met"]), (2.0, True))
