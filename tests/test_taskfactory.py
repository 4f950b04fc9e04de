"""
Tests of L{asynqueue.task.TaskFactory}.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.messages import Status
from asynqueue.task import Task, TaskFactory
from tests import calls

FACTORS = {-20: 1, -10: 2, 0: 5, 10: 10, 20: 17}
"""
What a serial number is multiplied by for each niceness, by the documentation.
"""


class TaskFactoryTests(SynchronousTestCase):
    """
    Tests of L{TaskFactory}.
    """

    def setUp(self):
        self.factory = TaskFactory()

    def new(self, niceness=0, series=None, timeout=None):
        return self.factory.new(calls.echo, (), {}, niceness, series, timeout)

    def test_formula(self):
        """
        The priority is the serial number times the documented factor.
        """
        for niceness, factor in FACTORS.items():
            for serial in (1, 2, 3):
                task = self.new(niceness, niceness)
                expected = (self.base(niceness) + serial) * factor
                self.assertEqual(task.priority, expected, niceness)

    def base(self, niceness):
        # Each niceness is a series here, which begins at the highest serial.
        return 3 * list(FACTORS).index(niceness)

    def test_klass(self):
        """
        It makes tasks of the class that it is told to, which need take no more
        than tasks of the ancestor do; they keep their order and time, and so do
        their copies.
        """

        class Old(Task):
            def __init__(self, f, args, kw, priority, series, timeout=None):
                super().__init__(f, args, kw, priority, series, timeout)

        clock = Clock()
        factory = TaskFactory(Old, clock)
        tasks = [factory.new(calls.echo, (), {}, 0, "x", 3) for _ in range(2)]
        self.assertEqual([task.serial for task in tasks], [0, 1])
        for task in (tasks[1], tasks[1].copy()):
            self.assertIsInstance(task, Old)
            self.assertEqual((task.key, task.series), ((10, 1), "x"))
            task.startTimer()
            clock.advance(3)
            self.assertEqual(self.successResultOf(task.d)[0], Status.TIMEOUT)
        self.assertIs(type(TaskFactory(None).new(calls.echo, (), {}, 0)), Task)

    def test_formulaBetween(self):
        """
        The factor is that of the documented formula everywhere.
        """
        for serial, niceness in enumerate(range(-20, 21), 1):
            factor = 1 + ((niceness + 20) / 10) ** 2
            self.assertAlmostEqual(self.new(niceness).priority, serial * factor)

    def test_niceness(self):
        """
        A niceness is an integer from -20 to 20, and nothing else.
        """
        for niceness in (-21, 21, 1000, True, False, 0.0, 1.5, "1", None):
            with self.assertRaises(ValueError) as raised:
                self.new(niceness)
            self.assertIn("niceness", str(raised.exception))
            self.assertIn(repr(niceness), str(raised.exception))

    def test_timeout(self):
        """
        A timeout is above zero.
        """
        for timeout in (0, -1, 0.0, float("nan")):
            with self.assertRaises(ValueError) as raised:
                self.new(timeout=timeout)
            self.assertIn("timeout", str(raised.exception))
        self.assertEqual(self.new(timeout=0.1).timeout, 0.1)

    def test_series(self):
        """
        A series has serial numbers of its own, and a new one begins with the
        highest of all, behind those who wait already.
        """
        old = [self.new(series="old") for _ in range(10)]
        new = [self.new(series="new") for _ in range(3)]
        later = self.new(series="old")
        self.assertEqual([task.priority for task in new], [55, 60, 65])
        self.assertTrue(all(task < new[0] for task in old))
        # They share a serial number, so the one that was made first goes first.
        self.assertEqual(later.priority, 55)
        self.assertTrue(new[0] < later < new[1])

    def test_unhashable(self):
        """
        A series has to be hashable.
        """
        self.assertRaises(TypeError, self.new, series=[])

    def test_fifo(self):
        """
        Of equal niceness, and of equal haste, those made first go first.
        """
        for how in (lambda task: None, Task.rush, Task.relax):
            tasks = [self.new() for _ in range(50)]
            for task in tasks:
                how(task)
            self.assertEqual(sorted(tasks[25:] + tasks[:25]), tasks)

    def test_share(self):
        """
        Of equal streams of calls, one of a niceness 10 higher is served about
        half as often.
        """
        for one, other in ((-20, -10), (-10, 0), (0, 10), (10, 20)):
            self.factory = TaskFactory()
            tasks = [
                self.new(niceness) for _ in range(300) for niceness in (one, other)
            ]
            first = sorted(tasks)[:200]
            ratio = FACTORS[other] / FACTORS[one]
            taken = [sum(task in first for task in tasks[i::2]) for i in range(2)]
            self.assertLess(abs(taken[0] / taken[1] - ratio), 0.1)

    def test_longLife(self):
        """
        Last is last and next is next after 300,000 calls, and a call made with
        neither still takes its place by its niceness.
        """
        last, first = self.new(), self.new()
        last.relax()
        first.rush()
        for _ in range(300_000):
            task = self.new(20)
        urgent = self.new(-20)
        self.assertEqual(
            sorted([last, task, urgent, first]), [first, urgent, task, last]
        )

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(st.integers(-20, 20), st.sampled_from("abc"))))
    def test_neverStarves(self, made):
        """
        Every call comes to its turn: the priorities of a niceness in a series
        only ever grow, by at least 1 a call.
        """
        factory = TaskFactory()
        latest: dict[Any, float] = {}
        for niceness, series in made:
            task = factory.new(calls.echo, (), {}, niceness, series)
            before = latest.get((niceness, series), 0)
            self.assertGreaterEqual(task.priority, before + 1)
            latest[niceness, series] = task.priority
