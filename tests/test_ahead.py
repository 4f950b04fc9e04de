"""
Calls that wait in the pipe of a worker process, on fakes.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from asynqueue.base import TaskQueue
from asynqueue.errors import TimeoutError, WorkerDied
from asynqueue.interfaces import IPrefetcher
from asynqueue.messages import Call
from asynqueue.packets import AT_ONCE
from asynqueue.processworker import ProcessWorker
from asynqueue.recalls import PATIENCE
from asynqueue.tickets import MOST
from tests.fakes import Bench, count, double, makeTask

STEPS = st.lists(
    st.sampled_from(
        ["call", "call", "begin", "answer", "cancel", "recall", "die", "come"]
    ),
    min_size=20,
    max_size=80,
)


class WorkerTests(SynchronousTestCase):
    """
    Tests of one worker with I{prefetch}.
    """

    def setUp(self):
        self.bench = Bench(prefetch=2).up()
        self.worker = self.bench.worker

    def run_(self, *values):
        tasks = [makeTask(double, value) for value in values]
        self.ready = [self.worker.run(task) for task in tasks]
        return tasks

    def calls(self):
        """
        @return: How many calls have been sent.
        """
        return sum(isinstance(envelope, Call) for envelope in self.bench.poller.sent)

    def test_interface(self):
        """It is an L{IPrefetcher}, that takes no more than it was told to."""
        verifyObject(IPrefetcher, self.worker)
        self.assertEqual((self.worker.prefetch, Bench().worker.prefetch), (2, 0))

    def test_outOfRange(self):
        """A number that there cannot be is refused."""
        for wrong in (-1, MOST + 1, 1.0, None):
            self.assertRaises(ValueError, ProcessWorker, prefetch=wrong)

    def test_ahead(self):
        """So many calls wait in the pipe beside the one in hand, and no more."""
        tasks = self.run_(*range(5))
        self.assertEqual(self.calls(), 3)
        self.bench.poller.answer()
        self.assertEqual(self.calls(), 4)
        self.bench.poller.answerAll()
        results = [self.successResultOf(task.d)[1] for task in tasks]
        self.assertEqual((results, self.bench.poller.most), ([0, 2, 4, 6, 8], 3))

    def test_notByDefault(self):
        """Without it none does."""
        self.bench = Bench().up()
        self.worker = self.bench.worker
        self.run_(*range(5))
        self.bench.poller.answerAll()
        self.assertEqual(self.bench.poller.most, 1)

    def test_longWaitsHere(self):
        """What may not fit into the pipe is sent when nothing else is there."""
        tasks = self.run_(1, b"x" * AT_ONCE, 2)
        self.assertEqual(self.calls(), 1)
        self.bench.poller.answer()
        self.assertEqual(self.calls(), 3)
        self.bench.poller.answerAll()
        self.assertEqual(self.successResultOf(tasks[2].d)[1], 4)

    def test_recall(self):
        """Those not begun are given back, in order; the process skips them."""
        tasks = self.run_(*range(5))
        self.bench.poller.begin()
        self.assertEqual(self.worker.recall(), tasks[1:])
        self.assertEqual(self.worker.tasks, tasks[:1])
        self.assertEqual(self.worker.recall(), [])
        (last,) = self.run_(7)
        self.bench.poller.answerAll()
        self.assertEqual(self.successResultOf(last.d)[1], 14)
        self.assertEqual(self.successResultOf(tasks[0].d)[1], 0)
        for task in tasks[1:]:
            self.assertNoResult(task.d)

    def test_cancel(self):
        """One that waits in the pipe never runs, and the others run in order."""
        tasks = self.run_(*range(3))
        self.worker.cancel(tasks[1])
        self.assertEqual(self.bench.child.asked, [])
        self.successResultOf(self.ready[1])
        self.bench.poller.answerAll()
        self.assertEqual(self.successResultOf(tasks[2].d)[1], 4)
        self.assertNoResult(tasks[1].d)

    def test_cancelBegun(self):
        """One that the process has begun ends with it."""
        tasks = self.run_(*range(3))
        self.bench.poller.begin()
        self.worker.cancel(tasks[0])
        self.assertEqual(self.bench.child.asked, ["terminate"])

    def test_death(self):
        """A death fails the one that was begun; the others are given back."""
        tasks = self.run_(*range(4))
        resigned: list[Any] = []
        self.worker.setResignator(lambda: resigned.extend(self.worker.crash()))
        self.bench.poller.begin()
        self.bench.child.die(-9)
        error = self.successResultOf(tasks[0].d)[1]
        self.assertIsInstance(error, WorkerDied)
        self.assertIn("double(0)", str(error))
        self.assertEqual(resigned, tasks[1:])

    def test_deathBeforeAny(self):
        """If none was begun, all are given back, whatever had been sent."""
        tasks = self.run_(*range(4))
        resigned: list[Any] = []
        self.worker.setResignator(lambda: resigned.extend(self.worker.crash()))
        self.bench.child.die(-9)
        self.assertEqual(resigned, tasks)

    def test_closed(self):
        """The ticket pipe is let go of, also if the process ended before it was up."""
        for isUp in (True, False):
            bench = Bench(prefetch=2)
            bench.worker.start().addErrback(lambda _: None)
            if isUp:
                bench.child.come()
            bench.worker.crash()
            if not isUp:
                bench.child.come()
            bench.child.die(-9)
            self.assertTrue(bench.child.near.closed)

    def test_timeCounts(self):
        """A task's time counts from when it is the first."""
        tasks = self.run_(1)
        late = makeTask(double, 2)
        late.timeout, late.reactor = 5, self.bench.reactor
        self.worker.run(late)
        self.bench.reactor.advance(100)
        self.assertNoResult(late.d)
        self.bench.poller.answer()
        self.successResultOf(tasks[0].d)
        self.bench.reactor.advance(5)
        self.assertTrue(late.isOver())

    def test_items(self):
        """Items are asked for among the calls, and take their turns."""
        task = makeTask(count, 3)
        self.worker.run(task)
        self.bench.poller.answer()
        deferator = self.successResultOf(task.d)[1]
        items = [next(deferator) for _ in range(1)]
        others = self.run_(1, 2, 3)
        self.bench.poller.answerAll()
        items.append(next(deferator))
        self.bench.poller.answerAll()
        self.assertEqual([self.successResultOf(d) for d in items], [0, 1])
        self.assertEqual([self.successResultOf(t.d)[1] for t in others], [2, 4, 6])


class QueueTests(SynchronousTestCase):
    """
    Tests of a queue whose workers have I{prefetch}.
    """

    def setUp(self):
        self.benches = [Bench(prefetch=3), Bench(prefetch=3)]
        self.reactor = self.benches[0].reactor
        self.queue = TaskQueue(reactor=self.reactor)
        for bench in self.benches:
            self.queue.attachWorker(bench.worker)
            self.come(bench)

    def come(self, bench):
        bench.child.come()
        bench.poller.answerAll()

    def begin(self, bench):
        """The process begins with the next call, and is not done with it."""
        bench.poller.begin()

    def loads(self):
        return [len(bench.worker.tasks) for bench in self.benches]

    def test_idleFirst(self):
        """A call waits behind another only if no worker is idle; the urgent first."""
        self.queue.call(double, 1)
        self.assertEqual(self.loads(), [1, 0])
        self.queue.call(double, 1)
        self.assertEqual(self.loads(), [1, 1])
        calls = [self.queue.call(double, n) for n in range(7)]
        self.assertEqual((self.loads(), len(self.queue.q)), ([4, 4], 1))
        self.benches[1].poller.answer()
        self.assertEqual((self.loads(), len(self.queue.q)), ([4, 4], 0))
        for bench in self.benches:
            bench.poller.answerAll()
        self.assertEqual([self.successResultOf(d) for d in calls], [*range(0, 14, 2)])

    def test_stranded(self):
        """Those behind a long call are run by a worker that is idle, once."""
        calls = [self.queue.call(double, n) for n in range(8)]
        self.begin(self.benches[0])
        self.benches[1].poller.answerAll()
        self.assertEqual(self.loads(), [4, 0])
        self.reactor.advance(PATIENCE)
        self.assertEqual(self.loads(), [1, 3])
        self.benches[1].poller.answerAll()
        self.assertEqual(self.loads(), [1, 0])
        done = [self.successResultOf(d) for d in calls if d.called]
        self.assertEqual(len(done), 7)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_notStranded(self):
        """Nothing is taken back from a worker that is done soon."""
        calls = [self.queue.call(double, n) for n in range(8)]
        self.benches[1].poller.answerAll()
        self.reactor.advance(PATIENCE / 2)
        self.benches[0].poller.answerAll()
        self.reactor.advance(PATIENCE)
        sent = sum(len(bench.poller.sent) for bench in self.benches)
        self.assertEqual((sent, [d.called for d in calls]), (2 + 8, [True] * 8))

    def test_notQualified(self):
        """Nothing is taken back for a worker that is not qualified for it."""
        self.queue.qualifyWorker(self.benches[0].worker, "x")
        for n in range(4):
            self.queue.call(double, n, series="x")
        self.assertEqual(self.loads(), [4, 0])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cancel(self):
        """A call that is cancelled while it waits in the pipe never runs."""
        calls = [self.queue.call(double, n) for n in range(8)]
        for bench in self.benches:
            self.begin(bench)
        calls[6].cancel()
        self.failureResultOf(calls[6], CancelledError)
        self.assertEqual([bench.child.asked for bench in self.benches], [[], []])
        self.assertEqual(sum(self.loads()), 7)

    def test_timeout(self):
        """A call that overruns takes nothing with it but its process."""
        calls = [self.queue.call(double, n, timeout=1, retries=0) for n in range(8)]
        self.begin(self.benches[0])
        self.benches[1].poller.answerAll()
        self.reactor.advance(1)
        self.failureResultOf(calls[0], TimeoutError)
        self.benches[0].child.die(-15)
        for _ in range(9):
            self.reactor.advance(PATIENCE)
            self.benches[1].poller.answerAll()
        for d in calls[1:]:
            self.successResultOf(d)

    def test_shutdown(self):
        """What a worker has, in the pipe too, is done before it goes."""
        calls = [self.queue.call(double, n) for n in range(8)]
        done = self.queue.shutdown()
        for bench in self.benches:
            bench.poller.answerAll()
            bench.child.die(0)
        self.successResultOf(done)
        self.assertEqual([self.successResultOf(d) for d in calls], [*range(0, 16, 2)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class HistoryTests(SynchronousTestCase):
    @settings(max_examples=100, deadline=None)
    @given(STEPS, st.integers(0, 4))
    def test_history(self, steps, prefetch):
        """
        Whatever happens in whichever order, each call ends once: with its result, or
        cancelled, or with the death of the process that had begun it.
        """
        bench = Bench(prefetch=prefetch)
        queue = TaskQueue(bench.worker, maxDeaths=None, reactor=bench.reactor)
        calls: list[Any] = []
        results: list[list[Any]] = []
        begun: set[int | None] = set()
        for step in ["come", "answer", *steps, *["come", "answer"] * 100]:
            if step == "call":
                calls.append(queue.call(double, len(calls)))
                results.append([])
                calls[-1].addBoth(results[-1].append)
            elif step == "come" and bench.child.pid is None:
                bench.child.come()
            elif step == "begin" and prefetch:
                begun.add(bench.poller.begin())
            elif step == "answer" and bench.poller.asked:
                bench.poller.answer()
            elif step == "cancel" and calls:
                calls[len(results) * 7 % len(calls)].cancel()
            elif step == "recall":
                for employee in queue.th._employees.values():
                    employee.recall()
            elif step == "die" and bench.child.is_alive() and bench.poller.asked:
                bench.child.die(-9)
            if bench.child.asked and bench.child.is_alive():
                bench.child.die(-15)
            bench.reactor.advance(1)
        for n, result in enumerate(results):
            self.assertEqual(len(result), 1, n)
            (outcome,) = result
            if outcome != 2 * n:
                self.assertTrue(outcome.check(CancelledError, WorkerDied), outcome)
                if prefetch and outcome.check(WorkerDied):
                    self.assertIn(n, begun)
