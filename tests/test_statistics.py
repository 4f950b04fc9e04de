"""
Tests of C{statistics()}: what a queue tells of itself.
"""

import os
import pickle
import signal

from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from asynqueue.asyncworker import AsyncWorker
from asynqueue.errors import QueueFull, TimeoutError, WorkerDied, WorkerError
from asynqueue.interfaces import IMeasured
from asynqueue.messages import Status
from asynqueue.null import NullQueue
from asynqueue.process import ProcessQueue, ProcessWorker
from asynqueue.statistics import BOUNDS
from asynqueue.tally import AT_ONCE, Tally
from tests import calls
from tests.fakes import Reactor
from tests.memory import (
    MemoryWorker,
    PlainMemoryWorker,
    RenewableMemoryWorker,
    SteppedQueue,
)


@implementer(IMeasured)
class MeasuredWorker(MemoryWorker):
    """
    Tells of each call that it took 3 seconds, of which it ran for 2.
    """

    pid = 17
    memory = 4096

    def finish(self, *outcome):
        self.inHand.measured(3.0, 2.0)
        super().finish(*outcome)


class TallyTests(SynchronousTestCase):
    """
    Tests of L{Tally}.
    """

    def test_buckets(self):
        """A time is in the first bucket whose bound it does not exceed."""
        tally = Tally()
        for there in (BOUNDS[0], BOUNDS[0] * 1.01, BOUNDS[-1] * 2):
            tally.record(there + 1.0, there)
        ran, over = tally.histograms()
        self.assertEqual((ran.counts[0], ran.counts[1], ran.counts[-1]), (1, 1, 1))
        self.assertEqual((sum(over.counts), over.total), (3, 3.0))
        self.assertEqual(over.counts[BOUNDS.index(1.0)], 3)
        self.assertEqual(len(ran.counts), len(ran.bounds) + 1)

    def test_untold(self):
        """Where nobody knows how long a call ran, all is that, and there is no more."""
        tally = Tally()
        tally.record(0.2, 0.0)
        there, over = tally.histograms()
        self.assertEqual((there.total, sum(over.counts)), (0.2, 0))

    def test_many(self):
        """However many there are, each is counted once, and few are kept."""
        tally = Tally()
        for _ in range(3 * AT_ONCE + 1):
            tally.record(0.5, 0.25)
        self.assertLess(len(tally._new), AT_ONCE)
        there, over = tally.histograms()
        self.assertEqual((sum(there.counts), there.total), (601, 601 * 0.25))
        self.assertEqual((sum(over.counts), over.total), (601, 601 * 0.25))

    def test_shared(self):
        """What is counted goes to the root when the last that had it is gone."""
        root = Tally()
        tally = Tally(root)
        tally.join()
        tally.join()
        tally.done = 4
        tally.leave()
        self.assertEqual(root.done, 0)
        tally.leave()
        self.assertEqual(root.done, 4)


class WaitingTests(SynchronousTestCase):
    """
    Tests of how many calls wait.
    """

    def setUp(self):
        self.queue = SteppedQueue(maxWaiting=9)

    def waiting(self):
        return [tuple(each) for each in self.queue.statistics().waiting]

    def test_counts(self):
        """They are told by series and urgency, the most urgent of each first."""
        self.queue.call(calls.echo, niceness=5)
        self.queue.call(calls.echo, series="x", doLast=True)
        self.queue.call(calls.echo, niceness=5)
        self.queue.call(calls.echo, niceness=-20)
        self.queue.call(calls.echo, series="x", doNext=True)
        inf = float("inf")
        self.assertEqual(
            self.waiting(),
            [(None, -20, 1), (None, 5, 2), ("x", -inf, 1), ("x", inf, 1)],
        )

    def test_gone(self):
        """What is run, cancelled or failed waits no more."""
        ds = [self.queue.call(calls.echo, series=s) for s in ("x", "x", "y", None)]
        for d in ds:
            d.addErrback(lambda _: None)
        ds[0].cancel()
        self.assertEqual(self.waiting(), [("x", 0, 1), ("y", 0, 1), (None, 0, 1)])
        self.queue.cancelSeries("y")
        self.assertEqual(self.waiting(), [("x", 0, 1), (None, 0, 1)])
        self.queue.attachWorker(MemoryWorker(instant=True))
        self.assertEqual(self.waiting(), [("x", 0, 1)])
        self.queue.shutdown()
        self.assertEqual(self.waiting(), [])
        told = self.queue.statistics()
        self.assertEqual((told.done, told.failed, told.cancelled), (1, 1, 2))
        self.assertFalse(told.isRunning)

    def test_room(self):
        """Those that wait for room wait, and are counted once."""
        worker = MemoryWorker(instant=True, held=(calls.boom,))
        ds = [self.queue.callWhenReady(calls.echo, i) for i in range(12)]
        self.assertEqual(self.waiting(), [(None, 0, 12)])
        ds[11].addErrback(lambda _: None).cancel()
        self.assertEqual(self.waiting(), [(None, 0, 11)])
        self.assertRaises(QueueFull, self.queue.call, calls.echo)
        self.queue.attachWorker(worker)
        self.assertEqual((self.waiting(), self.queue.statistics().done), ([], 11))
        self.assertEqual(self.queue.q._inLine, {})

    def test_noWalk(self):
        """Nobody looks at what waits to count it."""
        for i in range(5):
            self.queue.call(calls.echo, i)
        for heap in (self.queue.q.line, self.queue.q.heaps[None]):
            self.patch(heap, "_heap", None)
        self.assertEqual(self.waiting(), [(None, 0, 5)])


class CountingTests(SynchronousTestCase):
    """
    Tests of what is told of workers and of calls that they have had.
    """

    def make(self, *workers, **kw):
        self.queue = SteppedQueue(*workers, **kw)
        return self.queue

    def counts(self):
        told = self.queue.statistics()
        return told.done, told.failed, told.cancelled, told.inHand

    def test_interface(self):
        """Those that say so tell what is asked of them."""
        for worker in (
            AsyncWorker(reactor=Reactor()),
            ProcessWorker(reactor=Reactor()),
        ):
            verifyObject(IMeasured, worker)
            self.assertEqual(
                (worker.pid, worker.memory, worker.tasks), (None, None, [])
            )

    def test_calls(self):
        """Calls are told while they are in hand, and counted when they end."""
        worker = MeasuredWorker(["x"])
        queue = self.make(worker)
        ds = [queue.call(calls.add, i, y=i, series="x") for i in range(3)]
        told = queue.statistics()
        (row,) = told.workers
        self.assertEqual(
            (row.ID, row.kind, row.state), (1, "MeasuredWorker", "working")
        )
        self.assertEqual((row.pid, row.memory), (17, 4096))
        self.assertEqual(row.series, ("x", "memory", "local"))
        (call,) = row.calls
        self.assertEqual((call.function, call.series), ("tests.calls.add", "x"))
        self.assertEqual(call.text, "tests.calls.add(0, y=0)")
        self.assertGreaterEqual(call.seconds, 0.0)
        worker.finish()
        worker.finish(Status.ERROR, RuntimeError("no"))
        self.failureResultOf(ds[1], RuntimeError)
        ds[2].addErrback(lambda _: None).cancel()
        told = queue.statistics()
        self.assertEqual(self.counts(), (1, 1, 1, 0))
        self.assertEqual((told.workers[0].done, told.workers[0].failed), (1, 1))
        self.assertEqual(
            (told.callSeconds.total, told.overheadSeconds.total), (4.0, 2.0)
        )
        self.assertEqual(told.workers[0].callSeconds, told.callSeconds)

    def test_value(self):
        """What is told can be compared, kept and sent, and does not change."""
        worker = MemoryWorker()
        queue = self.make(worker)
        queue.call(calls.echo)
        told = queue.statistics()
        self.assertEqual(pickle.loads(pickle.dumps(told)), told)
        before = hash(told)
        worker.finish()
        self.assertEqual(hash(told), before)
        self.assertNotEqual(queue.statistics().done, told.done)

    def test_plain(self):
        """One that tells nothing has its calls timed, and told, all the same."""
        worker = PlainMemoryWorker()
        queue = self.make(worker)
        queue.call(calls.echo)
        (call,) = queue.statistics().workers[0].calls
        self.assertEqual(call.text, "tests.calls.echo()")
        worker.finish()
        told = queue.statistics()
        self.assertEqual((told.inHand, sum(told.callSeconds.counts)), (0, 1))
        self.assertEqual(sum(told.overheadSeconds.counts), 0)

    def test_updates(self):
        """Updates are no calls."""
        worker = MeasuredWorker()
        queue = self.make(worker)
        queue.update(calls.echo)
        self.assertEqual(self.counts(), (0, 0, 0, 0))
        worker.finish()
        told = queue.statistics()
        self.assertEqual((self.counts(), told.callSeconds.total), ((0, 0, 0, 0), 0.0))

    def test_retried(self):
        """A call that is tried again is counted once, when it ends for good."""
        worker = MemoryWorker()
        queue = self.make(worker)
        d = queue.call(calls.echo, timeout=1, retries=1)
        queue.reactor.advance(1)
        self.assertEqual(self.counts()[:3], (0, 0, 0))
        worker.die()
        self.assertEqual(self.counts(), (0, 0, 0, 1))
        queue.reactor.advance(1)
        self.failureResultOf(d, TimeoutError)
        self.assertEqual(self.counts(), (0, 1, 0, 0))

    def test_retriedAndCancelled(self):
        """So is one that is cancelled at its second try."""
        queue = self.make(MemoryWorker())
        d = queue.call(calls.echo, timeout=1, retries=1)
        queue.reactor.advance(1)
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.assertEqual(self.counts()[:3], (0, 0, 1))

    def test_texts(self):
        """A call that has failed has, though its error comes as a text."""
        worker = MemoryWorker(instant=True)
        queue = self.make(worker, returnFailure=False, warn=True)
        self.successResultOf(queue.call(calls.boom))
        self.assertEqual(self.counts(), (0, 1, 0, 0))

    def test_deaths(self):
        """Deaths that nobody asked for are counted, and each new beginning."""
        worker = MemoryWorker()
        queue = self.make(worker)
        d = queue.call(calls.echo)
        worker.die()
        self.failureResultOf(d, WorkerDied)
        told = queue.statistics()
        self.assertEqual((told.deaths, told.restarts, told.failed), (1, 1, 1))
        self.assertEqual((told.workers[0].deaths, told.workers[0].restarts), (1, 1))
        self.assertEqual(told.inHand, 0)

    def test_leaving(self):
        """One that is let go is told of until it is gone; its counts remain."""
        worker = MeasuredWorker()
        queue = self.make(worker)
        d = queue.call(calls.echo)
        gone = queue.detachWorker(worker)
        (row,) = queue.statistics().workers
        self.assertEqual((row.ID, row.state, len(row.calls)), (1, "leaving", 1))
        worker.finish()
        self.successResultOf(d)
        self.successResultOf(gone)
        told = queue.statistics()
        self.assertEqual((told.workers, told.done), ((), 1))
        self.assertEqual(told.callSeconds.total, 2.0)

    def test_crashed(self):
        """What it had and did not do has failed, and counts once."""
        worker = MemoryWorker()
        queue = self.make(worker)
        d = queue.call(calls.echo)
        self.successResultOf(queue.detachWorker(worker, crash=True))
        self.failureResultOf(d, WorkerError)
        self.assertEqual(self.counts(), (0, 1, 0, 0))

    def test_successor(self):
        """
        A successor goes on with the counts of its predecessor, which is told of beside
        it, without any, until it is gone; nothing is counted twice, or lost.
        """
        made = []

        def make(series):
            made.append(RenewableMemoryWorker(series, worn=1, make=make))
            return made[-1]

        first = make(())
        queue = self.make(first)
        queue.call(calls.echo)
        first.finish()
        rows = queue.statistics().workers
        self.assertEqual(
            [(r.ID, r.state) for r in rows], [(1, "working"), (1, "leaving")]
        )
        self.assertEqual([(r.done, r.restarts) for r in rows], [(1, 1), (0, 0)])
        first.settle()
        self.assertEqual([r.done for r in queue.statistics().workers], [1])
        told = queue.statistics()
        self.assertEqual((told.done, told.restarts, told.deaths), (1, 1, 0))

    def test_shutdown(self):
        """When all is over the counts are still there."""
        worker = MemoryWorker(instant=True)
        queue = self.make(worker)
        queue.call(calls.echo)
        queue.shutdown()
        told = queue.statistics()
        self.assertEqual((told.isRunning, told.done, told.workers), (False, 1, ()))

    def test_null(self):
        """A queue in the reactor's thread tells how long its calls took."""
        queue = NullQueue(reactor=Reactor())
        self.successResultOf(queue.call(calls.echo, 1))
        told = queue.statistics()
        self.assertEqual((told.done, sum(told.callSeconds.counts)), (1, 1))
        self.assertEqual((told.workers[0].pid, told.workers[0].memory), (None, None))
        queue.shutdown()


class ProcessTests(TestCase):
    """
    Tests of a queue with a real process.
    """

    async def test_killed(self):
        """
        A process that is killed counts as dead, its call as failed, and what follows
        as of another process in the same place.
        """
        queue = ProcessQueue(1, timeout=1)
        self.addCleanup(queue.shutdown)
        await queue.call(calls.echo)
        before = queue.statistics().workers[0]
        self.assertGreater(before.memory or 0, 1 << 20)
        assert before.pid
        path = os.path.abspath(self.mktemp())
        d = queue.call(calls.stand, path)
        # One that its process has not read runs elsewhere.
        while not os.path.exists(path + calls.BEGUN):
            await deferLater(reactor, 0.005)
        (call,) = queue.statistics().workers[0].calls
        self.assertEqual(call.function, "tests.calls.stand")
        os.kill(before.pid, signal.SIGKILL)
        await self.assertFailure(d, WorkerDied)
        await queue.call(calls.echo)
        told = queue.statistics()
        (row,) = told.workers
        self.assertEqual((row.ID, row.done, row.failed), (1, 2, 1))
        self.assertEqual((told.deaths, told.restarts), (1, 1))
        self.assertNotEqual(row.pid, before.pid)
        self.assertEqual(sum(told.callSeconds.counts), 3)
        self.assertEqual(sum(told.overheadSeconds.counts), 2)
