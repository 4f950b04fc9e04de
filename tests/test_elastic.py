"""
Tests of L{asynqueue.employment} and L{asynqueue.workload} with workers that take
several tasks at a time, and come to take more or fewer, or others.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.base import TaskQueue
from asynqueue.errors import TimeoutError, WorkerDied
from asynqueue.interfaces import IConcurrent, IPrefetcher
from asynqueue.recalls import PATIENCE
from tests import calls
from tests.crew import CrewWorker, LedWorker
from tests.memory import MemoryWorker, PlainMemoryWorker, SteppedQueue

STEPS = st.lists(
    st.one_of(
        st.sampled_from(["call", "x", "x", "y", "finish", "finish", "die", "update"]),
        st.integers(0, 5),
        st.sampled_from([(), ("x",), ("y",), ("x", "y")]),
    ),
    max_size=60,
)


class ElasticTestCase(SynchronousTestCase):
    """
    What the tests below use: a worker with two hands.
    """

    def setUp(self):
        self.make(CrewWorker(["x"], hands=2))

    def make(self, worker, *others):
        self.worker: Any = worker
        self.queue: TaskQueue = SteppedQueue(worker, *others)
        self.ds: list[Any] = []

    def call(self, n, **kw):
        """
        Makes so many calls more.
        """
        for _ in range(n):
            self.ds.append(self.queue.call(calls.echo, len(self.ds), **kw))

    def running(self, worker=None):
        """
        @return: The arguments of the calls that a worker has in hand.
        """
        return [task.callTuple[1][0] for task in (worker or self.worker).running]

    def finishAll(self):
        """
        Has the worker finish all that it is given.

        @return: What all calls have come to.
        """
        while self.worker.running:
            self.worker.finish()
        return [self.successResultOf(d) for d in self.ds]


class HandsTests(ElasticTestCase):
    """
    Tests of how many tasks a worker is handed.
    """

    def test_interface(self):
        """
        It takes several tasks at a time, but is not asked to give any back.
        """
        self.assertTrue(IConcurrent.providedBy(self.worker))
        self.assertFalse(IPrefetcher.providedBy(self.worker))

    def test_several(self):
        """
        It has as many as it has hands, and another when one is over, whichever.
        """
        self.call(4)
        self.assertEqual(self.running(), [0, 1])
        self.worker.finish(which=1)
        self.assertEqual(self.running(), [0, 2])
        self.assertEqual(self.successResultOf(self.ds.pop(1)), 1)
        self.assertEqual(self.finishAll(), [0, 2, 3])

    def test_grow(self):
        """
        When it grows, as many tasks as wait and as it takes are handed to it at
        once.
        """
        self.call(7)
        self.worker.have(5)
        self.assertEqual((self.running(), len(self.queue.q)), ([0, 1, 2, 3, 4], 2))
        self.assertEqual(self.finishAll(), list(range(7)))

    def test_growIdle(self):
        """
        Likewise when it had nothing to do, or could do nothing.
        """
        self.worker.have(0)
        self.call(5)
        self.assertEqual(self.running(), [])
        self.worker.have(3)
        self.assertEqual(self.running(), [0, 1, 2])
        self.assertEqual(self.finishAll(), list(range(5)))

    def test_none(self):
        """
        When it takes none, it is handed none, and what it has goes on; then it
        grows again.
        """
        self.worker.have(3)
        self.call(2)
        self.worker.have(0)
        self.call(2)
        self.assertEqual((self.running(), len(self.queue.q)), ([0, 1], 2))
        self.worker.finish()
        self.worker.finish()
        self.assertEqual((self.running(), len(self.queue.q)), ([], 2))
        self.worker.have(1)
        self.assertEqual((self.running(), len(self.queue.q)), ([2], 1))
        self.assertEqual(self.finishAll(), [0, 1, 2, 3])

    def test_fewer(self):
        """
        One that has more than it takes now is handed another when it has fewer.
        """
        self.worker.have(4)
        self.call(6)
        self.worker.have(2)
        for running in ([1, 2, 3], [2, 3], [3, 4]):
            self.worker.finish()
            self.assertEqual(self.running(), running)
        self.assertEqual(self.finishAll(), list(range(6)))

    def test_one(self):
        """
        One that takes no more beside the first is handed none beside it.
        """
        self.call(1)
        self.worker.have(1)
        self.call(2)
        self.assertEqual(self.running(), [0])
        self.worker.finish()
        self.assertEqual(self.running(), [1])
        self.assertEqual(self.finishAll(), [0, 1, 2])

    def test_othersFirst(self):
        """
        A worker that has nothing to do comes before one that has; nothing is taken
        back from one that cannot give it.
        """
        other = MemoryWorker()
        self.make(CrewWorker(hands=2), other)
        self.call(3)
        self.assertEqual((self.running(), other.begun), ([0, 2], [(1,)]))
        other.finish()
        self.assertEqual(self.queue.th._recalls._call, None)
        self.queue._reactor.advance(PATIENCE)
        self.assertEqual(self.running(), [0, 2])
        self.finishAll()

    def test_timeCounts(self):
        """
        A task's time counts from when the worker begins it, as it says itself.
        """
        waiting = CrewWorker(hands=2)
        self.make(waiting)
        self.call(1)
        self.worker.prefetch = 0
        self.call(1, timeout=5, retries=0)
        self.queue._reactor.advance(60)
        self.assertEqual(len(waiting.tasks), 2)
        self.worker.finish()
        self.queue._reactor.advance(5)
        self.failureResultOf(self.ds[1], TimeoutError)
        self.assertEqual(len(self.worker.cancelled), 1)
        self.worker.finish()


class WhenTests(ElasticTestCase):
    """
    Tests of when a worker tells that it has changed.
    """

    def test_comingUp(self):
        """
        While it comes up it is handed nothing for that; when it is up, as much as
        it takes then.
        """
        self.make(CrewWorker(up=False, hands=1))
        self.call(4)
        self.worker.have(3)
        self.assertEqual(self.worker.tasks, [])
        self.worker.comeUp()
        self.assertEqual(self.running(), [0, 1, 2])
        self.assertEqual(self.finishAll(), [0, 1, 2, 3])

    def test_beginningAnew(self):
        """
        Nor while it begins anew.
        """
        self.call(5)
        self.worker.comesUp = False
        self.worker.die()
        for hands in (0, 4):
            self.worker.have(hands)
            self.assertEqual(self.worker.tasks, [])
        self.worker.comeUp()
        for d in self.ds[:2]:
            self.failureResultOf(d, WorkerDied)
        self.assertEqual(self.running(), [2, 3, 4])

    def test_left(self):
        """
        Nor when it has been let go, or is about to be.
        """
        self.call(4)
        gone = self.queue.detachWorker(self.worker)
        self.worker.have(4)
        self.assertEqual(self.running(), [0, 1])
        self.worker.finish()
        self.worker.finish()
        self.successResultOf(gone)
        self.worker.have(6)
        self.assertEqual((self.worker.tasks, len(self.queue.q)), ([], 2))
        self.assertFalse(self.queue.th.isReadyFor(None))

    def test_whenGiven(self):
        """
        Told in the middle of being given a task, it counts: for more, for none, and
        for as many as before.
        """
        for before, after, running in ((2, 4, 4), (4, 1, 1), (3, 0, 1), (2, 2, 2)):
            self.make(CrewWorker(hands=before))

            def changes(task, hands=after):
                self.worker.whenGiven = lambda task: None
                self.worker.have(hands)

            self.worker.whenGiven = changes
            self.call(6)
            self.assertEqual(self.running(), list(range(running)), (before, after))
            self.worker.have(2)
            self.assertEqual(self.finishAll(), list(range(6)))

    def test_whenReady(self):
        """
        Likewise if it is told between the end of a task and the word that the
        worker is ready, or in the middle of that.
        """
        for hands, running in ((4, [1, 2, 3, 4]), (1, [1]), (0, [1])):
            for when in ("over", "ready"):
                self.make(CrewWorker(hands=2))
                self.call(6)
                if when == "over":
                    self.ds[0].addCallback(self.changed, hands)
                else:
                    self.patch(self.queue.th._renewals, "look", self.changesOnce(hands))
                self.worker.finish()
                self.assertEqual(self.running(), running, (hands, when))
                self.worker.have(2)
                self.assertEqual(self.finishAll(), list(range(6)))

    def changed(self, result, hands):
        """
        Has the worker change.

        @return: The I{result}.
        """
        self.worker.have(hands)
        return result

    def changesOnce(self, hands):
        """
        @return: What has the worker change the first time that it is called.
        """
        todo = [hands]
        return lambda *_: self.worker.have(todo.pop()) if todo else None

    def test_inUpdate(self):
        """
        Told while it is given an update, it is handed tasks after that.
        """
        self.make(LedWorker(hands=0))
        self.call(2)
        self.worker.whenUpdated = lambda task: self.worker.have(3)
        update = self.queue.update(calls.echo, "u")
        self.assertEqual(self.running(), ["u", 0, 1])
        self.finishAll()
        self.assertEqual(self.successResultOf(update), ["u"])

    def test_unchanged(self):
        """
        To tell of nothing changes nothing.
        """
        self.call(3)
        for _ in range(3):
            self.worker.tell()
        self.assertEqual((self.running(), len(self.queue.q)), ([0, 1], 1))
        self.assertEqual(self.finishAll(), [0, 1, 2])


class SeriesTests(ElasticTestCase):
    """
    Tests of workers that become qualified for series by themselves, or are no
    longer.
    """

    def test_more(self):
        """
        Tasks that wait for one are handed over at once.
        """
        self.call(2, series="y")
        self.worker.iQualified = ["x", "y"]
        self.worker.tell()
        self.assertEqual(self.finishAll(), [0, 1])

    def test_fewer(self):
        """
        Tasks of a series that it is no longer qualified for are not handed to it;
        those that it has go on.
        """
        self.call(1, series="x")
        self.worker.iQualified.clear()
        self.worker.tell()
        self.call(1, series="x")
        self.call(1)
        self.assertEqual((self.running(), len(self.queue.q)), ([0, 2], 1))
        self.worker.iQualified = ["x"]
        self.worker.finish()
        self.worker.tell()
        self.assertEqual(self.finishAll(), [0, 1, 2])

    def test_comingUp(self):
        """
        What changes while it comes up counts when it is up.
        """
        self.make(CrewWorker(["x"], up=False))
        self.call(1, series="x")
        self.call(1, series="y")
        self.worker.iQualified = ["y"]
        self.worker.tell()
        self.worker.comeUp()
        self.assertEqual((self.running(), len(self.queue.q)), ([1], 1))

    def test_refused(self):
        """
        A series whose tasks are refused because nobody is left is accepted again.
        """
        lost = PlainMemoryWorker(["y"])
        self.make(CrewWorker(), lost)
        lost.die()
        self.failureResultOf(self.queue.call(calls.echo, series="y"))
        self.worker.tell()
        self.failureResultOf(self.queue.call(calls.echo, series="y"))
        self.worker.iQualified = ["y"]
        self.worker.tell()
        self.call(1, series="y")
        self.assertEqual(self.finishAll(), [0])

    def test_refusedWhileComingUp(self):
        """
        Also while the worker comes up: then they wait for it.
        """
        lost = PlainMemoryWorker(["y"])
        self.make(CrewWorker(up=False), lost)
        lost.die()
        self.worker.iQualified = ["y"]
        self.worker.tell()
        self.call(1, series="y")
        self.assertNoResult(self.ds[0])
        self.worker.comeUp()
        self.assertEqual(self.finishAll(), [0])

    def test_refusedWhenLeft(self):
        """
        Not by one that has left.
        """
        self.make(CrewWorker(["y"]))
        self.worker.mayBeginAnew = False
        self.worker.die()
        self.worker.tell()
        self.failureResultOf(self.queue.call(calls.echo, series="y"))


class HistoryTests(SynchronousTestCase):
    @settings(max_examples=100, deadline=None)
    @given(STEPS)
    def test_history(self, steps):
        """
        However a worker changes, it is handed no task that it does not take, none
        waits that it would take, and each ends once; no update is run twice in one
        life.
        """
        worker = LedWorker()
        queue = SteppedQueue(worker, maxDeaths=None)
        (employee,) = queue.th._employees.values()
        results: list[list[Any]] = []
        updates: list[Any] = []
        runs: list[Any] = []
        wrong: list[Any] = []

        def begins(task):
            qualified = [None, *worker.iQualified]
            inHand = [task for task in worker.tasks if task not in updates]
            if len(inHand) > worker.prefetch or task.series not in qualified:
                wrong.append(task)

        def updated(task):
            updates.append(task)
            runs.append((worker.starts, task.callTuple[1]))

        worker.whenGiven = begins
        worker.whenUpdated = updated
        for step in [*steps, 3, ("x", "y"), *["finish"] * 200]:
            if step == "finish":
                queue.reactor.advance(60)
                if worker.running:
                    worker.finish()
            elif step == "die":
                worker.die()
            elif step == "update":
                series = ("x", "y", None)[len(results) % 3]
                results.append([])
                d = queue.update(calls.echo, len(results), series=series)
                d.addBoth(results[-1].append)
            elif isinstance(step, int):
                worker.have(step)
            elif isinstance(step, tuple):
                worker.iQualified = list(step)
                worker.tell()
            else:
                results.append([])
                series = None if step == "call" else step
                d = queue.call(calls.echo, len(results), series=series)
                d.addBoth(results[-1].append)
            qualifications = employee.qualifications()
            if employee.hasRoom() and any(s in qualifications for s in queue.q.heaps):
                wrong.append(step)
        self.assertEqual((wrong, len(runs)), ([], len(set(runs))))
        self.assertEqual([len(result) for result in results], [1] * len(results))
