"""
Tests of L{asynqueue.task.Task} and its factory.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.messages import Status
from asynqueue.task import Task, TaskFactory
from tests import calls
from tests.memory import makeTask

FACTORS = {-20: 1, -10: 2, 0: 5, 10: 10, 20: 17}
"""
What a serial number is multiplied by for each niceness, by the documentation.
"""


class Holder:
    """
    Has tasks, and is told when it has them no more.
    """

    def __init__(self):
        self.cancelled = []

    def cancel(self, task):
        self.cancelled.append(task)


class TaskTests(SynchronousTestCase):
    """
    Tests of L{Task}.
    """

    def setUp(self):
        self.clock = Clock()
        self.holder = Holder()
        self.task = Task(
            calls.add, (1,), {"y": 2}, 10, "x", timeout=5, reactor=self.clock
        )
        self.task.holder = self.holder

    def test_types(self):
        """
        Arguments and keywords have to be what they are called.
        """
        self.assertRaises(TypeError, Task, calls.add, 1, {}, 1, None)
        self.assertRaises(TypeError, Task, calls.add, "ab", {}, 1, None)
        self.assertRaises(TypeError, Task, calls.add, (1,), [], 1, None)
        self.assertRaises(TypeError, Task, calls.add, (1,), None, 1, None)
        self.assertEqual(Task(calls.add, [1], {}, 1, None).callTuple[1], [1])

    def test_order(self):
        """
        Tasks go by priority, then by serial; whatever is no task goes last.
        """
        tasks = [
            Task(calls.echo, (), {}, priority, None, serial=serial)
            for priority, serial in ((2, 0), (1, 5), (1, 1))
        ]
        self.assertEqual(sorted(tasks), [tasks[2], tasks[1], tasks[0]])
        self.assertTrue(tasks[0] > tasks[1])
        self.assertFalse(tasks[0] < tasks[1])
        self.assertTrue(tasks[0] < None)
        self.assertFalse(tasks[0] > None)

    def test_rushAndRelax(self):
        """
        A rushed task goes before whatever was not rushed, a relaxed one after
        whatever was not relaxed, however far the priorities have grown.
        """
        rushed, relaxed, usual = (
            Task(calls.echo, (), {}, priority, None) for priority in (1e300, 0, 1e200)
        )
        rushed.rush()
        relaxed.relax()
        self.assertEqual(sorted([usual, relaxed, rushed]), [rushed, usual, relaxed])

    def test_repr(self):
        """
        It shows the call, even if an argument cannot be shown.
        """

        class Shy:
            def __repr__(self):
                raise RuntimeError

        self.assertEqual(repr(self.task), "<Task tests.calls.add(1, y=2)>")
        self.assertIn("Shy", repr(makeTask(calls.echo, Shy())))
        text = repr(makeTask(calls.echo, b"x" * 10**6, "y" * 10**6))
        self.assertLess(len(text), 200)

    def test_callback(self):
        """
        It ends once, and with it its time.
        """
        self.task.startTimer()
        self.assertFalse(self.task.isOver())
        for result in (1, 2):
            self.task.callback((Status.RESULT, result))
        self.assertTrue(self.task.isOver())
        self.assertIsNone(self.task.holder)
        self.assertEqual(self.successResultOf(self.task.d), (Status.RESULT, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.holder.cancelled, [])

    def test_errback(self):
        """
        An error ends it, by either name, once.
        """
        for end in (Task.fail, Task.errback):
            task, error = makeTask(calls.echo), ValueError()
            for each in (error, KeyError()):
                end(task, each)
            self.assertEqual(self.successResultOf(task.d), (Status.ERROR, error))

    def test_addCallback(self):
        """
        A callback that is added by the task's own method is each copy's too.
        """
        self.task.addCallback(lambda result, n, m: (result, n, m), 1, m=2)
        copy = self.task.copy().copy()
        for each in (copy, self.task):
            each.callback((Status.RESULT, each))
            expected = ((Status.RESULT, each), 1, 2)
            self.assertEqual(self.successResultOf(each.d), expected)

    def test_reset(self):
        """
        A task that has ended can begin anew, with a Deferred and a time of its
        own.
        """
        self.task.startTimer()
        old = self.task.d
        d = self.task.reset()
        self.assertIs(self.task.d, d)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(self.task.holder)
        self.task.startTimer()
        self.clock.advance(5)
        self.assertEqual(self.successResultOf(d)[0], Status.TIMEOUT)
        self.assertNoResult(old)

    def test_timeout(self):
        """
        It is ended when its time is up, not before, and whoever has it lets go
        of it.
        """
        self.clock.advance(100)
        self.task.startTimer()
        self.clock.advance(4.9)
        self.assertNoResult(self.task.d)
        self.clock.advance(0.1)
        status, text = self.successResultOf(self.task.d)
        self.assertEqual(status, Status.TIMEOUT)
        self.assertIn("5 seconds", text)
        self.assertEqual(self.holder.cancelled, [self.task])

    def test_noTimeout(self):
        """
        A task without a timeout sets no timer.
        """
        task = makeTask(calls.echo)
        task.startTimer()
        self.assertNoResult(task.d)

    def test_cancel(self):
        """
        Cancelling stops its time, and whoever has it lets go of it, once;
        whatever comes later is of no account.
        """
        self.task.startTimer()
        for _ in range(2):
            self.task.d.cancel()
        self.task.callback((Status.RESULT, 1))
        self.failureResultOf(self.task.d, CancelledError)
        self.assertEqual(self.holder.cancelled, [self.task])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_release(self):
        """
        A task that nobody has any more can be handed over anew.
        """
        self.task.startTimer()
        self.task.release()
        self.clock.advance(10)
        self.assertNoResult(self.task.d)
        self.task.startTimer()
        self.clock.advance(5)
        self.assertEqual(self.successResultOf(self.task.d)[0], Status.TIMEOUT)
        self.assertEqual(self.holder.cancelled, [])

    def test_copy(self):
        """
        A copy is the same call in the same place, but has not ended and is
        nobody's.
        """
        self.task.raw, self.task.retries = True, 3
        self.task.callback((Status.RESULT, 1))
        copy = self.task.copy()
        for name in ("callTuple", "key", "series", "timeout", "raw", "retries"):
            self.assertEqual(getattr(copy, name), getattr(self.task, name), name)
        self.assertFalse(copy.isOver())
        self.assertIsNone(copy.holder)
        copy.startTimer()
        self.clock.advance(5)
        self.assertEqual(self.successResultOf(copy.d)[0], Status.TIMEOUT)


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
