"""
What workers without a process have in common, on one that a test steps.
"""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.assignments import entrust
from asynqueue.base import TaskQueue
from asynqueue.errors import WorkerError
from asynqueue.lifetime import Stage
from asynqueue.local import LocalWorker
from asynqueue.messages import Status
from tests import calls
from tests.fakes import Reactor
from tests.memory import makeTask


class SteppedWorker(LocalWorker):
    """
    I make no calls: a test says what they come to.

    @ivar begun: The tasks that I have begun.
    @ivar abandoned: Those that I was to abandon.
    @ivar finishing: What I was told of crashing, each time that I was to finish.
    """

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.begun: list[Any] = []
        self.abandoned: list[Any] = []
        self.finishing: list[bool] = []
        self.outcomes: list[Any] = []
        self.gone: list[Any] = []

    def begin(self, task):
        self.begun.append(task)
        self.outcomes.append(Deferred())
        return self.outcomes[-1]

    def abandon(self, task):
        self.abandoned.append(task)

    def finish(self, isCrashing):
        self.finishing.append(isCrashing)
        d: Deferred[None] = Deferred()
        self.gone.append(d)
        return d

    def end(self, result=None):
        """
        Ends the call that I make.
        """
        self.outcomes.pop(0).callback((Status.RESULT, result))


class LocalCase(SynchronousTestCase):
    def setUp(self):
        self.reactor = Reactor()
        self.worker = SteppedWorker(reactor=self.reactor)

    def give(self, n=1):
        """
        @return: A list of tasks that the worker has been given, and of the
            Deferreds that tell when it is ready for another.
        """
        tasks = [makeTask(calls.echo, i) for i in range(n)]
        return tasks, [entrust(task, self.worker) for task in tasks]

    def cancel(self, task):
        task.d.addErrback(lambda failure: failure.trap(CancelledError)).cancel()


class RunTests(LocalCase):
    def test_oneAtATime(self):
        """Tasks are begun one by one, in order, each when the last is over."""
        tasks, readies = self.give(3)
        for i in range(3):
            self.assertEqual(self.worker.begun, tasks[: i + 1])
            self.assertEqual(self.worker.tasks, tasks[i:])
            self.assertNoResult(readies[i])
            self.worker.end(i)
            self.assertEqual(self.successResultOf(tasks[i].d), (Status.RESULT, i))
            self.successResultOf(readies[i])

    def test_series(self):
        """The list of series is copied; one text is refused, being no list."""
        series = ["x"]
        worker = SteppedWorker(series)
        series.append("y")
        self.assertEqual(worker.iQualified, ["x"])
        self.assertRaises(TypeError, SteppedWorker, "xyz")

    def test_cancelRunning(self):
        """The worker may abandon it, and is ready when the call is over."""
        tasks, readies = self.give(2)
        self.cancel(tasks[0])
        self.assertEqual(self.worker.abandoned, tasks[:1])
        self.assertNoResult(readies[0])
        self.assertEqual(self.worker.tasks, tasks[1:])
        self.worker.end()
        self.successResultOf(readies[0])
        self.assertEqual(self.worker.begun, tasks)

    def test_cancelTwice(self):
        """To cancel what is over, or is not here, changes nothing."""
        tasks, _ = self.give(2)
        self.worker.end()
        self.worker.cancel(tasks[0])
        self.worker.cancel(makeTask(calls.echo))
        self.assertEqual(self.worker.abandoned, [])
        self.assertEqual(self.worker.tasks, tasks[1:])

    def test_notImplemented(self):
        """How tasks are run is for subclasses to say."""
        worker, task = LocalWorker(), makeTask(calls.echo)
        self.assertRaises(NotImplementedError, worker.begin, task)
        self.assertRaises(NotImplementedError, worker.abandon, task)
        self.successResultOf(worker.finish(False))


class EndTests(LocalCase):
    def setUp(self):
        super().setUp()
        self.resigned: list[Any] = []
        self.worker.setResignator(
            lambda: self.resigned.append((self.worker.state, self.worker.crash()))
        )

    def test_stop(self):
        """
        Stopping waits for the tasks that are there, then for what they ran on,
        and a second time for the first. It resigns when it can run nothing.
        """
        self.give(2)
        stopped = [self.worker.stop(), self.worker.stop()]
        for _ in range(2):
            self.assertEqual(self.worker.finishing, [])
            self.worker.end()
        self.assertEqual(self.worker.finishing, [False])
        late, ready = self.give()
        self.assertIsInstance(self.successResultOf(late[0].d)[1], WorkerError)
        self.successResultOf(ready[0])
        self.assertEqual(self.resigned, [])
        self.worker.gone[0].callback(None)
        self.assertEqual(self.resigned, [(Stage.STOPPED, [])])
        for d in (*stopped, self.worker.stop()):
            self.successResultOf(d)

    def test_stopAfterCancel(self):
        """A task that is cancelled while it waits is not waited for."""
        tasks, _ = self.give(2)
        self.worker.stop()
        self.worker.end()
        self.cancel(tasks[1])
        self.worker.end()
        self.assertEqual(self.worker.finishing, [False])
        worker = self.worker = SteppedWorker()
        tasks, _ = self.give(2)
        worker.stop()
        self.cancel(tasks[1])
        self.assertEqual(worker.finishing, [])
        worker.end()
        self.assertEqual(worker.finishing, [False])

    def test_crash(self):
        """
        Crashing gives back what is not over, waits for nothing, and takes no
        more; what the call comes to is dropped.
        """
        tasks, readies = self.give(3)
        self.cancel(tasks[1])
        stopped = self.worker.stop()
        self.assertEqual(self.worker.crash(), [tasks[0], tasks[2]])
        self.assertEqual(self.worker.finishing, [True])
        self.reactor.advance(0)
        self.assertEqual(self.worker.finishing, [True, False])
        self.assertEqual(self.worker.crash(), [])
        for d in self.worker.gone:
            d.callback(None)
        self.successResultOf(stopped)
        self.worker.end()
        self.assertEqual([task.isOver() for task in tasks], [False, True, False])
        self.assertNoResult(readies[0])
        late, _ = self.give()
        self.assertIsInstance(self.successResultOf(late[0].d)[1], WorkerError)

    def test_crashUnderQueue(self):
        """
        The calls of a worker that is not stopped in time fail, though it is by
        crashing that it comes to stop.
        """
        queue = TaskQueue(self.worker, reactor=self.reactor, timeout=3)
        d = queue.call(calls.echo)
        stopped = queue.shutdown()
        self.reactor.advance(3)
        self.failureResultOf(d, WorkerError)
        self.successResultOf(stopped)

    def test_crashCancelled(self):
        """A call whose task is over already is left, and nothing given back."""
        tasks, _ = self.give()
        self.cancel(tasks[0])
        self.assertEqual(self.worker.crash(), [])
        self.assertTrue(self.worker.finishing[0])

    def test_stoppedUnderQueue(self):
        """
        A queue whose worker is stopped behind its back hears of it, and its calls
        fail instead of waiting for ever.
        """
        queue = TaskQueue(self.worker, reactor=self.reactor)
        ds = [queue.call(calls.echo, i) for i in range(2)]
        self.worker.stop()
        self.worker.end()
        self.failureResultOf(ds[1], WorkerError)
        self.worker.gone[0].callback(None)
        self.assertEqual(len(queue), 0)
        self.failureResultOf(queue.call(calls.echo), WorkerError)
        self.successResultOf(queue.shutdown())


class OnceTests(SynchronousTestCase):
    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=40))
    def test_once(self, steps):
        """
        Whatever happens in whatever order: tasks are begun in order and one at a
        time; each ends once or is given back; and the worker stops.
        """
        worker = SteppedWorker(reactor=Reactor())
        tasks, ends, ready = [], Counter(), Counter()
        givenBack: list[Any] = []

        def give():
            task = makeTask(calls.echo, len(tasks))
            tasks.append(task)
            task.d.addBoth(lambda _: ends.update([task]))
            entrust(task, worker).addCallback(lambda _: ready.update([task]))

        for what, which in steps:
            if what < 5:
                give()
            elif what < 7 and worker.outcomes:
                worker.end()
            elif what == 7 and tasks:
                task = tasks[-1 - which % len(tasks)]
                if task not in givenBack:
                    task.d.cancel()
            elif what == 8 and which == 0:
                givenBack += worker.crash()
            elif what == 9 and which == 0:
                worker.stop()
            self.assertLessEqual(len(worker.outcomes), 1)
        stopped = worker.stop()
        while worker.outcomes:
            worker.end()
        for d in worker.gone:
            d.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(worker.tasks, [])
        places = [tasks.index(task) for task in worker.begun]
        self.assertEqual(places, sorted(set(places)))
        for task in tasks:
            self.assertEqual(ends[task] + (task in givenBack), 1)
            self.assertLessEqual(ready[task], 1)
            if True not in worker.finishing:
                self.assertEqual(ready[task], 1)
