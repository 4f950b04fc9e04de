"""
Which settings and loads C{asynqueue tune} has, and how often a thread looks.
"""

import inspect
from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.grid import DEFAULTS, LOADS, Choice, looks, theChoices
from asynqueue.pace import intervals
from asynqueue.process import ProcessQueue


class ChoicesTests(SynchronousTestCase):
    def test_defaults(self):
        """The defaults are those of the queue."""
        keywords = inspect.signature(ProcessQueue).parameters
        for name, value in DEFAULTS.keywords().items():
            self.assertEqual(keywords[name].default, value)

    def test_grid(self):
        """Each pair is tried once, and each poller that does not look is too."""
        spans, backoffs = [0.01, 0.001, 0.01], [1.2, 1.1]
        self.assertEqual(
            theChoices(["other", "thread", "third"], spans, backoffs),
            [
                Choice("thread", 0.001, 1.1),
                Choice("thread", 0.001, 1.2),
                Choice("thread", 0.01, 1.1),
                Choice("thread", 0.01, 1.2),
                Choice("other"),
                Choice("third"),
            ],
        )

    def test_defaultsAnyway(self):
        """The defaults are tried whatever else is, in their place."""
        self.assertEqual(
            theChoices(["thread"], [0.0005, 0.5], [1.3]),
            [Choice("thread", 0.0005, 1.3), DEFAULTS, Choice("thread", 0.5, 1.3)],
        )
        self.assertEqual(
            theChoices(["other"], [0.5], [1.3]), [DEFAULTS, Choice("other")]
        )

    def test_titles(self):
        """A title tells all that makes a difference, so no two are the same."""
        choices = theChoices(["thread", "other"], [0.001, 0.0125], [1.05, 1.2])
        self.assertEqual(
            [choice.title for choice in choices],
            [
                "thread, 1 ms, 1.05",
                "thread, 1 ms, 1.10",
                "thread, 1 ms, 1.20",
                "thread, 12.5 ms, 1.05",
                "thread, 12.5 ms, 1.20",
                "other",
            ],
        )


class LooksTests(SynchronousTestCase):
    def test_documented(self):
        """There are as many as the documentation of the worker says."""
        for interval, backoff, seconds, n in [
            (0.001, 1.10, 0.010, 7),
            (0.001, 1.10, 0.020, 11),
            (0.001, 1.10, 0.100, 25),
            (0.001, 1.10, 0.200, 31),
            (0.001, 1.10, 1.000, 48),
            (0.001, 1.05, 1.000, 80),
            (0.010, 1.10, 0.100, 7),
            (0.010, 1.10, 0.200, 11),
            (0.100, 1.10, 0.099, 0),
        ]:
            self.assertEqual(looks(seconds, interval, backoff), n)

    def test_sum(self):
        """They are as many as the sum of a geometric series has room for."""
        for interval, backoff in product((0.001, 0.02), (1.05, 1.10, 1.20)):
            for n in (1, 5, 20):
                passed = interval * (backoff**n - 1) / (backoff - 1)
                self.assertEqual(looks(passed * 0.9999, interval, backoff), n - 1)
                self.assertEqual(looks(passed * 1.0001, interval, backoff), n)


class NapsTests(SynchronousTestCase):
    def test_each(self):
        """There are as many calls as take the time, and one at least."""
        for seconds, counts in [
            (1.5, {"mixed": 15, "nap100": 15, "nap1000": 2}),
            (0.01, {"mixed": 1, "nap100": 1, "nap1000": 1}),
        ]:
            found = {name: load.each(seconds) for name, load in LOADS.items()}
            self.assertEqual(found, counts)


def late(seconds, backoff, each=0.0):
    """
    @param each: How much later than planned each look comes, in seconds.
    @return: How many milliseconds after the end of a call it is found, by somebody
        who sleeps the intervals out, the first of them 1 ms.
    """
    passed = 0.0
    for interval in intervals(0.001, backoff):
        passed += interval + each
        if passed >= seconds:
            return 1000 * (passed - seconds)
    return None


class SleptOutTests(SynchronousTestCase):
    """
    Why AsynQueue lost as much time as its documentation says, as C{docs/tuning.rst}
    tells it.
    """

    def test_anyLength(self):
        """Calls of 0 to 200 ms lose half of an interval, on the average."""
        lengths = [0.2 * (n + 0.5) / 5000 for n in range(5000)]
        for backoff, lost in [(1.05, 3.0), (1.10, 5.3)]:
            mean = sum(late(seconds, backoff) for seconds in lengths) / len(lengths)
            self.assertAlmostEqual(mean, lost, 1)

    def test_second(self):
        """Calls of a second lose the rest of a long interval."""
        self.assertAlmostEqual(late(1.0, 1.05), 20.8, 1)
        self.assertAlmostEqual(late(1.0, 1.10), 57.2, 1)

    def test_byChance(self):
        """What calls of 100 ms lose, a little delay of each look turns round."""
        for delay, lost in [(0.0, (1.6, 9.2)), (0.00007, (4.2, 0.1))]:
            for backoff, wanted in zip((1.05, 1.10), lost, strict=True):
                self.assertAlmostEqual(late(0.1, backoff, delay), wanted, 1)
