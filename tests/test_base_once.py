"""
Tests of L{asynqueue.base}: each call ends once, whatever happens in whatever order.
"""

import gc
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests import calls
from tests.memory import MemoryWorker, PlainMemoryWorker, Results, SteppedQueue
from tests.test_load import Numbers

SERIES = (None, "x", "y")

STEPS = {
    "call": 8,
    "finish": 6,
    "end": 2,
    "die": 3,
    "comeUp": 3,
    "cancel": 3,
    "cancelMany": 1,
    "listen": 1,
    "attach": 2,
    "detach": 2,
    "qualify": 1,
    "advance": 2,
    "update": 2,
    "shutdown": 1,
}
"""
What can happen, and how often in comparison.
"""


class Watched(MemoryWorker):
    """
    A worker that notes whether it begins a task that is over.
    """

    reassigns = wasted = False

    def note(self, task):
        super().note(task)
        if task.isOver():
            self.wasted = True


class Plain(PlainMemoryWorker):
    """
    A worker that cannot be started anew, nor told that a task is over.
    """

    reassigns = wasted = False


class Scenario:
    """
    A queue, its workers, and what happens to them.
    """

    def __init__(self):
        self.queue = SteppedQueue()
        self.load = Numbers()
        self.queue.subscribe(self.load)
        self.moody = Numbers()
        self.queue.subscribe(self.moody)
        self.workers: list[Any] = []
        self.results = Results()
        self.ds: list[Any] = []
        self.mayBegin: Counter[int] = Counter()
        self.over = None
        for n in (0, 1):
            self.attach(n, 0)

    def pick(self, n):
        """
        @return: One of the workers.
        """
        return self.workers[n % len(self.workers)]

    def busy(self, n):
        """
        @return: A worker that has a task in hand, or C{None}.
        """
        busy = [worker for worker in self.workers if worker.inHand is not None]
        return busy[n % len(busy)] if busy else None

    def number(self, worker):
        """
        @return: The number of the call that a worker has in hand, or C{None}.
        """
        task = worker.inHand
        return task.callTuple[1][0] if task is not None else None

    def call(self, a, b):
        if not self.queue.isRunning():
            return
        number = len(self.ds)
        timeout, retries = ((None, 1), (2, 0), (2, 1), (2, 2))[a % 4]
        self.mayBegin[number] = 1 + retries
        d = self.queue.call(
            calls.echo,
            number,
            series=SERIES[b % 3],
            niceness=a % 41 - 20,
            doNext=b % 7 == 0,
            doLast=b % 7 == 1,
            timeout=timeout,
            retries=retries,
        )
        self.ds.append(self.results.watch(number, d))

    def finish(self, a, b):
        worker = self.busy(a)
        if worker is not None:
            worker.finish()

    def end(self, a, b):
        worker = self.busy(a)
        if worker is not None:
            code = (b"e", b"d", b"t", b"?")[b % 4]
            self.mayBegin[self.number(worker)] += code == b"d"
            worker.finish(code, "a text")

    def die(self, a, b):
        self.pick(a).die(read=bool(b % 3))

    def comeUp(self, a, b):
        worker = self.pick(a)
        if worker.isComingUp:
            worker.comeUp()

    def cancel(self, a, b):
        if self.ds:
            self.ds[a % len(self.ds)].cancel()

    def cancelMany(self, a, b):
        """
        Cancels all that waits, or one series of it.
        """
        waiting = {
            task.callTuple[1][0]: task.series
            for heap in self.queue.q.heaps.values()
            for task in heap.heap
        }
        if a % 3 == 0:
            cancelled = list(waiting)
            assert self.queue.cancelAll() == len(cancelled)
        else:
            cancelled = [n for n in waiting if waiting[n] == SERIES[b % 3]]
            assert self.queue.cancelSeries(SERIES[b % 3]) == len(cancelled)
        for number in cancelled:
            (result,) = self.results[number]
            assert result.check(CancelledError)

    def listen(self, a, b):
        """
        One who is told of the load pauses or resumes.
        """
        if self.moody.producer is not None:
            pause = self.moody.producer.pauseProducing
            (pause if a % 2 else self.moody.producer.resumeProducing)()

    def attach(self, a, b):
        if self.queue.isRunning() and len(self.workers) < 6:
            klass = Plain if a % 4 == 3 else Watched
            series = [s for i, s in enumerate(SERIES) if b >> i & 1]
            worker = klass(series, up=klass is Plain or a % 3 != 2)
            self.workers.append(worker)
            self.queue.attachWorker(worker).addErrback(lambda _: None)

    def detach(self, a, b):
        worker = self.pick(a)
        crash, reassign = b % 2 == 0, b % 3 == 0
        worker.reassigns = worker.reassigns or reassign
        if crash and worker.reassigns:
            # Whoever detached it first decided that.
            self.mayBegin[self.number(worker)] += 1
        self.results.watch(
            f"detach {len(self.results.all)}",
            self.queue.detachWorker(worker, reassign, crash),
        )

    def qualify(self, a, b):
        self.queue.qualifyWorker(self.pick(a), SERIES[b % 3])

    def advance(self, a, b):
        self.queue.reactor.advance((0.1, 1, 2)[a % 3])

    def update(self, a, b):
        if self.queue.isRunning():
            d = self.queue.update(
                calls.echo,
                f"update {a}",
                ephemeral=bool(a % 2),
                sequential=b % 3 == 0,
                series=SERIES[b % 3],
            )
            self.results.watch(f"update {len(self.results.all)}", d)

    def shutdown(self, a, b):
        # Rarely, so that something has happened before.
        if a % 4 == 0:
            self.over = self.queue.shutdown()

    def check(self):
        """
        What holds at any time.
        """
        waiting = sum(len(heap) for heap in self.queue.q.heaps.values())
        assert len(self.queue.q) == waiting
        assert [0, *self.load.written][-1] == waiting
        assert min(self.load.written + self.moody.written, default=0) >= 0
        assert all(len(results) <= 1 for results in self.results.all.values())

    def finale(self):
        """
        Shuts the queue down, and has the workers finish what they have.
        """
        if self.moody.producer is not None:
            self.moody.producer.resumeProducing()
        over = self.queue.shutdown()
        for worker in self.workers:
            while worker.isUp and worker.tasks:
                worker.finish()
        self.check()
        assert over.called
        begun = Counter(args[0] for worker in self.workers for args in worker.begun)
        for number in range(len(self.ds)):
            (result,) = self.results[number]
            assert isinstance(result, Failure) or result == number
            assert begun[number] <= self.mayBegin[number], number
            # It can only have a result of its own if it was run.
            assert begun[number] or isinstance(result, Failure)
        assert all(len(results) == 1 for results in self.results.all.values())
        assert len(self.queue.q) == 0
        assert self.load.written[-1:] in ([], [0])
        assert self.load.producer is None
        assert self.queue.reactor.getDelayedCalls() == []
        assert len(self.queue) == 0
        for worker in self.workers:
            assert not worker.tasks
            assert not worker.wasted


class OnceTests(SynchronousTestCase):
    """
    Tests of everything at once.
    """

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([name for name in STEPS for _ in range(STEPS[name])]),
                st.integers(0, 50),
                st.integers(0, 50),
            ),
            max_size=80,
        )
    )
    def test_once(self, steps):
        """
        Every Deferred of a call, an update or a detachment fires exactly once,
        no call begins more often than its retries and whoever reassigned it
        allow, none begins when it is over, and when all is shut down nothing is
        left: no task, no delayed call, no load.
        """
        scenario = Scenario()
        for name, a, b in steps:
            getattr(scenario, name)(a, b)
            scenario.check()
        scenario.finale()

    def tearDown(self):
        # Errors that nobody handled are logged when they are collected.
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])
