"""
Samples, their medians and ratios; and the bounds that they are held to.
"""

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.bounds import AT_LEAST, AT_MOST, BOUNDS, Bound, judge
from asynqueue.loads import theLoads
from asynqueue.results import Results, Sample
from asynqueue.tournament import TITLES


def measured(load, contender, *values, measure="rate"):
    """
    @return: Samples of a contender in as many rounds as there are values.
    """
    return [
        Sample(number, load, contender, {measure: value})
        for number, value in enumerate(values, 1)
    ]


class ResultsTests(SynchronousTestCase):
    def setUp(self):
        self.results = Results()
        self.results.samples += [
            *measured("burst", "asynqueue", 10.0, 40.0, 20.0),
            *measured("burst", "pool", 5.0, 4.0),
            *measured("one", "pool", 3.0),
            Sample(1, "one", "ampoule", cannot="takes none"),
            *measured("one", "ancestor", 7.0),
            Sample(2, "one", "ancestor", failed="no answer"),
        ]

    def test_values(self):
        """What was measured is kept apart by load, measure and contender."""
        self.assertEqual(
            self.results.values("burst", "rate", "asynqueue"), [10.0, 40.0, 20.0]
        )
        self.assertEqual(self.results.values("one", "rate", "ancestor"), [7.0])
        self.assertEqual(self.results.values("one", "p50", "pool"), [])

    def test_median(self):
        """Medians are of what was measured, if anything was."""
        self.assertEqual(self.results.median("burst", "rate", "asynqueue"), 20.0)
        self.assertEqual(self.results.median("burst", "rate", "pool"), 4.5)
        self.assertIsNone(self.results.median("one", "rate", "ampoule"))

    def test_ratio(self):
        """A ratio is one median by another, if there are both."""

        def ratio(load, one, other):
            return self.results.ratio(load, "rate", one, other)

        self.assertEqual(ratio("burst", "asynqueue", "pool"), 20.0 / 4.5)
        self.assertIsNone(ratio("one", "pool", "ampoule"))
        self.assertIsNone(ratio("one", "ampoule", "pool"))
        self.results.samples += measured("items", "pool", 0.0)
        self.results.samples += measured("items", "asynqueue", 1.0)
        self.assertIsNone(ratio("items", "asynqueue", "pool"))
        self.assertEqual(ratio("items", "pool", "asynqueue"), 0.0)

    def test_trouble(self):
        """Why there is no sample, or no more, is told."""
        trouble = self.results.trouble
        self.assertEqual(trouble("one", "ampoule"), "takes none")
        self.assertEqual(trouble("one", "ancestor"), "failed in round 2: no answer")
        self.assertEqual(trouble("one", "pool"), "")
        self.assertEqual(trouble("mixed", "pool"), "")


class BoundsTests(SynchronousTestCase):
    def test_known(self):
        """All that bounds are about is there to be measured."""
        loads = theLoads(2)
        for bound in BOUNDS:
            names = {measure.name for measure in loads[bound.load].measures}
            self.assertIn(bound.measure, names)
            self.assertLessEqual(
                {bound.contender, bound.rival or "pipe"}, TITLES.keys()
            )

    def test_direction(self):
        """A bound is above what is better if less, and below what is if more."""
        loads = theLoads(2)
        for bound in BOUNDS:
            (measure,) = (
                each
                for each in loads[bound.load].measures
                if each.name == bound.measure
            )
            self.assertIs(bound.isAtMost, not measure.isBetterIfMore, bound)

    def test_met(self):
        """A figure at the limit is within it."""
        most = Bound("one", "p50", "asynqueue", None, AT_MOST, 2)
        least = Bound("one", "p50", "asynqueue", None, AT_LEAST, 2)
        found = [(most.isMetBy(n), least.isMetBy(n)) for n in (1.9, 2, 2.1)]
        self.assertEqual(found, [(True, False), (True, True), (False, True)])

    def test_judged(self):
        """Only bounds whose contenders were all measured are judged."""
        results = Results()
        self.assertEqual(judge(results), [])
        results.samples += [
            *measured("burst", "asynqueue", 30.0, 10.0, 20.0),
            *measured("burst", "prefetch", 90.0),
            *measured("burst", "executor", 10.0),
            *measured("waiting", "asynqueue", 1500.0, measure="size"),
        ]
        found = [
            (bound.load, bound.contender, bound.rival, figure)
            for bound, figure in judge(results)
        ]
        self.assertEqual(
            found,
            [
                ("burst", "asynqueue", "executor", 2.0),
                ("waiting", "asynqueue", None, 1500.0),
            ],
        )


class LoadsTests(SynchronousTestCase):
    def test_cores(self):
        """Where there is but one core, nothing is made of more workers."""
        self.assertNotIn("cpu", theLoads(1))
        names = [measure.name for measure in theLoads(6)["cpu"].measures]
        self.assertEqual(names, ["2", "4", "6"])

    def test_sizes(self):
        """What is only to be seen to work is not done as much of."""
        load = theLoads(2)["outstanding"]
        self.assertEqual(load.howMuch(False), {"calls": 10_000, "at": 64})
        self.assertEqual(load.howMuch(True), {"calls": 640, "at": 64})
