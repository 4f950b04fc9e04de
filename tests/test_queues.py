"""
Tests of L{asynqueue.queues.Queue}.
"""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import ImplementationError, QueueRunError
from asynqueue.messages import Status
from asynqueue.queues import Queue
from asynqueue.task import Task
from tests import calls
from tests.test_load import Broken, Numbers


class Taker:
    """
    Takes tasks of the series that it is ready for.
    """

    def __init__(self, *ready):
        self.ready = set(ready)
        self.taken = []
        self.then = lambda task: None

    def isReadyFor(self, series):
        return series in self.ready

    def roster(self, series):
        return [self] if series in self.ready else []

    def assign(self, task):
        self.taken.append(task)
        self.then(task)


def task(priority, series=None, serial=0):
    return Task(calls.echo, (), {}, priority, series, serial=serial)


class QueueTests(SynchronousTestCase):
    """
    Tests of L{Queue}.
    """

    def setUp(self):
        self.taker = Taker()
        self.queue = Queue(self.taker)
        self.load = Numbers()
        self.queue.subscribe(self.load)

    def put(self, *tasks):
        for each in tasks:
            self.queue.put(each)
        return list(tasks)

    def assertTooLate(self, task):
        status, error = self.successResultOf(task.d)
        self.assertIs(status, Status.ERROR)
        self.assertIsInstance(error, QueueRunError)
        self.assertIn("tests.calls.echo()", str(error))

    def open(self, *series):
        self.taker.ready.update(series)
        self.queue.dispatch()

    def test_order(self):
        """
        Of all tasks that somebody is ready for, of whatever series, the first
        by priority goes first, and by serial among equals.
        """
        tasks = self.put(
            task(2, "a", 4), task(1, "b", 9), task(1, "a", 7), task(0, "c"), task(3)
        )
        self.open("a", "b", None)
        self.assertEqual(self.taker.taken, [tasks[2], tasks[1], tasks[0], tasks[4]])
        self.assertEqual((len(self.queue), list(self.queue.heaps)), (1, ["c"]))

    def test_atOnce(self):
        """
        A task that somebody is ready for is handed over as it is put.
        """
        self.open(None)
        tasks = self.put(task(1), task(2))
        self.assertEqual(self.taker.taken, tasks)
        self.assertEqual(self.load.written, [1, 0, 1, 0])

    def test_waitsAlone(self):
        """
        A task of a series that nobody is ready for holds up no other.
        """
        waiting, passing = self.put(task(0, "nobody"), task(1, "somebody"))
        self.open("somebody")
        self.assertEqual(self.taker.taken, [passing])
        self.open("nobody")
        self.assertEqual(self.taker.taken, [passing, waiting])
        self.assertEqual(self.load.written[-1], 0)

    def test_notNested(self):
        """
        What is put while a task is handed over is handed over after it, not
        within.
        """
        depths = []

        def more(_):
            depths.append("in")
            if len(self.taker.taken) < 3000:
                self.queue.put(task(1))
            depths.append("out")

        self.taker.then = more
        self.open(None)
        self.put(task(1))
        self.assertEqual(depths, ["in", "out"] * 3000)

    def test_handlerRaises(self):
        """
        Whatever the handler does, the queue can go on.
        """

        def raises(_):
            raise ZeroDivisionError

        self.taker.then = raises
        self.open(None)
        self.assertRaises(ZeroDivisionError, self.queue.put, task(1))
        self.taker.then = lambda _: None
        self.put(task(2))
        self.assertEqual((len(self.taker.taken), len(self.queue)), (2, 0))

    def test_brokenSubscriber(self):
        """
        A subscriber that raises costs no task.
        """
        self.queue.subscribe(Broken())
        tasks = self.put(task(1), task(2))
        self.open(None)
        self.assertEqual(self.taker.taken, tasks)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_cancel(self):
        """
        A task that waits can be taken out, once; one that does not is left
        alone.
        """
        tasks = self.put(task(1), task(2), task(3, "x"))
        for each in (tasks[0], tasks[0], tasks[2], task(1), task(1, "y")):
            self.queue.cancel(each)
        self.assertEqual((len(self.queue), list(self.queue.heaps)), (1, [None]))
        self.open(None, "x")
        self.assertEqual(self.taker.taken, [tasks[1]])
        self.queue.cancel(tasks[1])
        self.assertEqual(self.load.written, [1, 2, 3, 2, 1, 0])

    def test_cancelSeries(self):
        """
        All waiting tasks of a series are cancelled, not every other one, the
        first in order first; they are counted, and those of other series left
        alone.
        """
        ended = []
        tasks = self.put(*[task(-n, "x") for n in range(11)], task(1), task(2, "y"))
        for each in tasks:
            each.d.addErrback(lambda failure, t: ended.append((t, failure.type)), each)
        self.assertEqual(self.queue.cancelSeries("x"), 11)
        self.assertEqual(self.queue.cancelSeries("x"), 0)
        self.assertEqual(ended, [(each, CancelledError) for each in tasks[10::-1]])
        self.assertEqual((len(self.queue), self.load.written[-1]), (2, 2))
        self.assertEqual(self.queue.cancelSeries(None), 1)
        self.open("x", "y", None)
        self.assertEqual(self.taker.taken, tasks[12:])

    def test_cancelAll(self):
        """
        All waiting tasks are cancelled, and counted as gone before anybody is
        told.
        """
        tasks = self.put(*[task(n, n % 3) for n in range(20)])
        loads = []
        for each in tasks:
            each.d.addErrback(lambda failure: loads.append(len(self.queue)))
        self.assertEqual((self.queue.cancelAll(), self.queue.cancelAll()), (20, 0))
        self.assertEqual((loads, self.load.written[-1]), ([0] * 20, 0))
        self.open(0, 1, 2)
        self.assertEqual(self.taker.taken, [])

    def test_cancelledOnce(self):
        """
        A task that ends because another is cancelled with it is not cancelled
        again, nor what its caller waits for then.
        """
        first, second = self.put(task(1), task(2))
        then: Deferred[None] = Deferred()
        second.d.addErrback(lambda failure: then)
        first.d.addErrback(lambda failure: second.d.cancel())
        self.assertEqual(self.queue.cancelAll(), 2)
        self.assertNoResult(second.d)
        then.callback(None)
        self.assertIsNone(self.successResultOf(second.d))

    def test_putWhileCancelled(self):
        """
        A task that is put because another was cancelled is not cancelled.
        """
        (first,) = self.put(task(1))
        other = task(2)
        first.d.addErrback(lambda failure: self.queue.put(other))
        self.queue.cancelAll()
        self.open(None)
        self.assertEqual(self.taker.taken, [other])
        self.assertEqual(self.load.written[-1], 0)

    def meddle(self, f):
        """
        Has a callable called, once, when the load has changed.
        """

        class Meddler(Numbers):
            def write(consumer, data):
                self.queue.unsubscribe(consumer)
                f()

        self.queue.subscribe(Meddler())

    def test_nobody(self):
        """
        A task that ends with the queue says so if nobody could have run it.
        """
        for series, isThere in (("x", False), ("y", True), (None, True)):
            queue = Queue(Taker(series) if isThere else Taker())
            late = task(1, series)
            self.patch(queue.handler, "isReadyFor", lambda _: False)
            queue.put(late)
            queue.shutdown()
            _, error = self.successResultOf(late.d)
            self.assertEqual("qualified for its series 'x'" in str(error), not isThere)

    def test_toldBefore(self):
        """
        Whoever is told is told that a task goes before it can have ended.
        """
        loads = []
        self.taker.then = lambda task: loads.append(self.load.written[-1])
        self.put(task(1), task(2))
        self.open(None)
        self.assertEqual(loads, [1, 0])

    def test_toldAndCancels(self):
        """
        A task that is cancelled by one who is told that it goes does not go.
        """
        tasks = self.put(task(1), task(2))
        self.meddle(tasks[0].d.cancel)
        self.open(None)
        self.failureResultOf(tasks[0].d, CancelledError)
        self.assertEqual((self.taker.taken, self.load.written[-1]), (tasks[1:], 0))

    def test_toldAndShutsDown(self):
        """
        If the queue is shut down by one who is told, the task fails with the
        others.
        """
        tasks = self.put(task(1), task(2))
        self.meddle(self.queue.shutdown)
        self.open(None)
        for each in tasks:
            self.assertTooLate(each)
        self.assertEqual((self.taker.taken, self.load.written[-1]), ([], 0))

    def test_toldAndUnready(self):
        """
        If nobody is ready any more when it was told, the task waits on, in its
        place; or fails, if nobody ever will be.
        """
        tasks = self.put(task(1), task(2))
        self.meddle(self.taker.ready.clear)
        self.open(None)
        self.assertEqual((self.taker.taken, len(self.queue)), ([], 2))
        self.assertEqual(self.load.written[-1], 2)
        self.open(None)
        self.assertEqual((self.taker.taken, self.load.written[-1]), (tasks, 0))
        why = ZeroDivisionError()

        def lose():
            self.taker.ready.clear()
            self.queue.refuse(None, why)

        self.taker.ready.clear()
        tasks = self.put(task(3), task(4))
        self.meddle(lose)
        self.open(None)
        for each in tasks:
            self.assertEqual(self.successResultOf(each.d), (Status.ERROR, why))
        self.assertEqual(self.load.written[-1], 0)

    def test_subscribe(self):
        """
        A consumer is told of the load until it is unsubscribed; what is no
        consumer is refused.
        """
        self.put(task(1))
        for _ in range(2):
            self.queue.unsubscribe(self.load)
        self.put(task(1))
        self.assertEqual((self.load.written, self.load.producer), ([1], None))
        self.assertRaises(ImplementationError, self.queue.subscribe, object())

    def test_refuse(self):
        """
        Tasks of a series that is refused fail, those that wait and those that
        come, with the reason.
        """
        tasks = self.put(task(1, "x"), task(2, "x"), task(3))
        why = ZeroDivisionError()
        self.queue.refuse("x", why)
        tasks += self.put(task(4, "x"))
        for i in (0, 1, 3):
            self.assertEqual(self.successResultOf(tasks[i].d), (Status.ERROR, why))
        self.assertEqual((len(self.queue), self.load.written[-1]), (1, 1))

    def test_shutdown(self):
        """
        It fails what waits, takes no more, and tells those who subscribed that
        it is over.
        """
        tasks = self.put(task(1), task(2, "x"))
        self.assertTrue(self.queue.isRunning())
        self.taker.ready = {"y"}
        self.queue.shutdown()
        for each in tasks:
            self.assertTooLate(each)
        self.assertFalse(self.queue.isRunning())
        self.assertRaises(QueueRunError, self.queue.put, task(1))
        self.assertRaises(QueueRunError, self.queue.subscribe, Numbers())
        self.assertEqual((self.load.written[-1], self.load.producer), (0, None))
        self.queue.shutdown()
        self.open(None, "x")
        self.assertEqual(self.taker.taken, [])
