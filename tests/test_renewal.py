"""
Tests of L{asynqueue.renewal}: workers that are replaced when they are worn out.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from asynqueue.errors import QueueRunError, WorkerDied
from asynqueue.interfaces import IRenewable
from asynqueue.process import ProcessWorker
from asynqueue.renewal import LONGEST, PAUSE
from tests import calls
from tests.fakes import Reactor
from tests.memory import RenewableMemoryWorker, SteppedQueue


class RenewalTests(SynchronousTestCase):
    """
    Tests of a queue on a worker that is worn out after two calls, and so are
    those that follow.
    """

    def setUp(self):
        self.made = []
        self.up = False
        self.worker = self.new(["x"], up=True)
        self.queue = SteppedQueue(self.worker)
        self.reactor = self.queue.reactor

    def new(self, series, up=None):
        worker = RenewableMemoryWorker(
            series, worn=2, make=self.new, up=self.up if up is None else up
        )
        self.made.append(worker)
        return worker

    def call(self, worker, *xs):
        """
        Has a worker do calls.
        """
        for x in xs:
            d = self.queue.call(calls.echo, x)
            worker.finish()
            self.assertEqual(self.successResultOf(d), x)

    def successor(self, n=1):
        """
        @return: The I{n}th successor, which is coming up.
        """
        self.assertEqual(len(self.made), n + 1)
        self.assertTrue(self.made[n].isComingUp)
        return self.made[n]

    def test_interface(self):
        """
        What the queue asks of a worker is there.
        """
        for worker in (self.worker, ProcessWorker(reactor=Reactor())):
            self.assertTrue(verifyObject(IRenewable, worker))

    def test_replaced(self):
        """
        The successor comes up while the old one works, gets its calls when it is
        up, and has its place: the number of workers, the ID, the qualifications.
        """
        self.call(self.worker, 1)
        self.assertEqual(len(self.made), 1)
        self.call(self.worker, 2)
        successor = self.successor()
        self.assertEqual(successor.iQualified, ["x"])
        self.call(self.worker, 3, 4)
        self.assertEqual((len(self.made), self.queue.workers()), (2, [self.worker]))
        successor.comeUp()
        self.assertEqual((successor.ID, self.queue.workers(1)), (1, successor))
        self.assertEqual(self.queue.workers(), [successor])
        self.call(successor, 5)
        self.assertFalse(self.worker.isStopping)
        self.worker.settle()
        self.assertTrue(self.worker.isStopping)
        self.assertEqual(self.worker.begun, [(n,) for n in (1, 2, 3, 4)])
        self.assertEqual(self.queue.th.leaving(), [])

    def test_atOnce(self):
        """
        A successor that is up at once takes the very next call.
        """
        self.up = True
        ds = [self.queue.call(calls.echo, n) for n in range(5)]
        for n in range(5):
            [worker] = self.queue.workers()
            worker.finish()
            worker.settle()
            for old in self.made:
                old.settle()
            self.assertEqual(self.successResultOf(ds[n]), n)
        self.assertEqual([len(w.begun) for w in self.made], [2, 2, 1])

    def test_callInHand(self):
        """
        The call that the old one has in hand when it is replaced ends well, and
        those that wait do not wait for it.
        """
        self.call(self.worker, 1, 2)
        long = self.queue.call(calls.echo, "long")
        waiting = self.queue.call(calls.echo, "waiting")
        self.successor().comeUp()
        self.made[1].finish()
        self.assertEqual(self.successResultOf(waiting), "waiting")
        self.worker.finish()
        self.assertEqual(self.successResultOf(long), "long")

    def test_diesOfTheLast(self):
        """
        If the old one dies meanwhile, only that call fails; what it had not
        begun is run by its successor.
        """
        for read in (True, False):
            self.setUp()
            self.call(self.worker, 1, 2)
            d = self.queue.call(calls.echo, "last")
            successor = self.successor()
            successor.comeUp()
            self.worker.die(read=read)
            self.worker.settle()
            if read:
                self.failureResultOf(d, WorkerDied)
            else:
                successor.finish()
                self.assertEqual(self.successResultOf(d), "last")
            self.assertEqual(self.queue.workers(), [successor])
            self.assertEqual(self.queue.th.leaving(), [])

    def test_onlyTwo(self):
        """
        Another successor is not begun before the old worker is gone, however
        worn the present one.
        """
        self.call(self.worker, 1, 2)
        successor = self.successor()
        successor.comeUp()
        self.call(successor, 3, 4, 5)
        self.assertEqual(len(self.made), 2)
        self.worker.settle()
        self.call(successor, 6)
        self.assertTrue(self.successor(2).isComingUp)

    def test_updates(self):
        """
        A successor runs the saved updates first, and those made while it comes
        up once. They do not count as calls, nor are its results the queue's.
        """
        self.queue.update(calls.echo, "saved")
        self.worker.finish()
        self.call(self.worker, 1)
        self.assertEqual(len(self.made), 1)
        self.call(self.worker, 2)
        successor = self.successor()
        during = self.queue.update(calls.echo, "during")
        passing = self.queue.update(calls.echo, "passing", ephemeral=True)
        for _ in range(2):
            self.worker.finish()
        self.assertEqual(self.successResultOf(during), ["during"])
        self.assertEqual(self.successResultOf(passing), ["passing"])
        successor.comeUp()
        for _ in range(3):
            self.assertEqual(self.queue.workers(), [self.worker])
            successor.finish()
        self.assertEqual(self.queue.workers(), [successor])
        self.assertEqual(
            sorted(args[0] for args in successor.begun), ["during", "passing", "saved"]
        )

    def test_qualified(self):
        """
        What the old one becomes qualified for meanwhile its successor is too.
        """
        self.call(self.worker, 1, 2)
        self.queue.qualifyWorker(self.worker, "y")
        self.successor().comeUp()
        d = self.queue.call(calls.echo, "y", series="y")
        self.made[1].finish()
        self.assertEqual(self.successResultOf(d), "y")

    def test_cannotStart(self):
        """
        If a successor does not come up, the old one goes on, the fault is
        logged, and others are tried after growing pauses, when there are calls.
        """
        self.call(self.worker, 1, 2)
        for n in range(1, 9):
            self.successor(n).die()
            self.assertEqual(len(self.flushLoggedErrors(WorkerDied)), 1)
            self.assertEqual(self.queue.workers(), [self.worker])
            pause = min(PAUSE * 2 ** (n - 1), LONGEST)
            self.reactor.advance(pause - 0.01)
            self.call(self.worker, "early")
            self.assertEqual(len(self.made), n + 1)
            self.reactor.advance(0.02)
            self.assertEqual(len(self.made), n + 1)
            self.call(self.worker, "due")
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.made[-1].comeUp()
        self.assertEqual(self.queue.workers(), [self.made[-1]])

    def test_cannotBeMade(self):
        """
        One that cannot even be made does no harm either.
        """
        self.worker._make = lambda series: 1 / 0
        self.call(self.worker, 1, 2, 3)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.queue.workers(), [self.worker])

    def test_oldOneLost(self):
        """
        If the old one is given up, its successor has the place before it is up.
        """
        self.call(self.worker, 1, 2)
        successor = self.successor()
        self.worker.comesUp = False
        self.worker.die()
        while self.worker in self.queue.workers():
            self.worker.die()
            self.reactor.advance(60)
        d = self.queue.call(calls.echo, "x")
        self.assertNoResult(d)
        self.assertEqual(self.queue.workers(), [successor])
        successor.comeUp()
        successor.finish()
        self.assertEqual(self.successResultOf(d), "x")

    def test_bothLost(self):
        """
        If neither is left, calls fail.
        """
        self.call(self.worker, 1, 2)
        successor = self.successor()
        self.worker.comesUp = False
        self.worker.die()
        while self.worker in self.queue.workers():
            self.worker.die()
            self.reactor.advance(60)
        d = self.queue.call(calls.echo, "x")
        successor.die()
        self.failureResultOf(d, WorkerDied)
        self.assertEqual(self.queue.workers(), [])

    def test_detached(self):
        """
        A worker that is detached takes its successor with it.
        """
        for crash in (False, True):
            self.setUp()
            self.call(self.worker, 1, 2)
            successor = self.successor()
            d = self.queue.detachWorker(1, crash=crash)
            self.assertEqual(self.successResultOf(d), [])
            self.assertEqual((len(self.queue), successor.isStopping), (0, True))
            self.assertEqual(self.queue.th.leaving(), [])

    def test_detachedLater(self):
        """
        The ID is the successor's once it has taken over.
        """
        self.call(self.worker, 1, 2)
        self.successor().comeUp()
        self.successResultOf(self.queue.detachWorker(1))
        self.assertEqual(self.queue.th.leaving(), [self.worker])
        self.worker.settle()
        self.assertEqual(self.queue.th.leaving(), [])

    def test_shutdownMeanwhile(self):
        """
        Shutting down while a successor comes up ends both.
        """
        self.call(self.worker, 1, 2)
        successor = self.successor()
        self.successResultOf(self.queue.shutdown())
        self.assertTrue(successor.isStopping and self.worker.isStopping)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_shutdownAfterwards(self):
        """
        Shutting down waits no longer for the iterators of the old one than for
        others, and makes it crash when the time is over.
        """
        self.call(self.worker, 1, 2)
        self.worker.lingers = True
        self.successor().comeUp()
        self.queue.timeout = 3
        long = self.queue.shutdown()
        self.assertTrue(self.worker.isStopping)
        self.assertNoResult(long)
        self.worker.vanish()
        self.successResultOf(long)
        self.worker.settle()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_shutdownTimeout(self):
        """
        A call that the old one still has is ended with the others.
        """
        self.call(self.worker, 1, 2)
        long = self.queue.call(calls.echo)
        self.successor().comeUp()
        self.queue.timeout = 3
        over = self.queue.shutdown()
        self.reactor.advance(2.9)
        self.assertNoResult(over)
        self.assertNoResult(long)
        self.reactor.advance(0.1)
        self.successResultOf(over)
        self.assertIsNotNone(self.failureResultOf(long))

    def test_order(self):
        """
        The results of updates are in the order of the workers, whoever was
        replaced.
        """
        other = self.new([], up=True)
        self.queue.attachWorker(other)
        ds = [self.queue.call(calls.echo, i) for i in range(2)]
        for worker, d in zip((self.worker, other), ds, strict=True):
            worker.finish()
            self.successResultOf(d)
            worker.worn = 1
        d = self.queue.call(calls.echo, 2)
        other.finish()
        self.successResultOf(d)
        self.made[2].comeUp()
        self.assertEqual(self.queue.workers(), [self.worker, self.made[2]])


class RandomTests(SynchronousTestCase):
    """
    Whatever happens to workers that are replaced.
    """

    @settings(deadline=None, max_examples=150)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["call", "call", "finish", "finish", "up", "settle", "die", "wait"]
                ),
                st.integers(0, 5),
            ),
            max_size=60,
        )
    )
    def test_onceEach(self, events):
        """
        The queue has as many workers as before, each call ends once, and all is
        over when it is shut down.
        """
        made = []

        def new(series, up=False):
            made.append(RenewableMemoryWorker(series, up=up, worn=2, make=new))
            return made[-1]

        queue = SteppedQueue(new([], up=True), new([], up=True), maxDeaths=None)
        ends: list[list[Any]] = []
        for what, n in events:
            worker = made[-1 - n % len(made)]
            if what == "call":
                ends.append([])
                queue.call(calls.echo, len(ends)).addBoth(ends[-1].append)
            elif what == "finish" and worker.inHand:
                worker.finish()
            elif what == "up" and worker.isComingUp:
                worker.comeUp()
            elif what == "settle" and not worker.tasks:
                worker.settle()
            elif what == "die" and (worker.isUp or worker.isComingUp):
                worker.die()
            elif what == "wait":
                queue.reactor.advance(n)
            self.assertEqual((len(queue), sorted(queue.th.workers)), (2, [1, 2]))
            self.assertEqual(len(set(queue.workers())), 2)
        over = queue.shutdown()
        for worker in made:
            while worker.inHand:
                worker.finish()
            worker.settle()
        self.successResultOf(over)
        for number, end in enumerate(ends, 1):
            self.assertEqual(len(end), 1)
            if end[0] != number:
                end[0].trap(WorkerDied, QueueRunError)
        self.assertEqual(queue.reactor.getDelayedCalls(), [])
        self.flushLoggedErrors(WorkerDied)
