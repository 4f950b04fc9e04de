"""
Tests of L{asynqueue.task.Task}.
"""

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.messages import Status
from asynqueue.task import Task
from tests import calls
from tests.memory import makeTask


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
