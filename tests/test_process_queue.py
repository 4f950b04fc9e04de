"""
Queues of real worker processes: workers that are made to go in the middle of their
work, and the keywords that a queue hands on to its workers.
"""

import os

import psutil
from twisted.internet import reactor
from twisted.internet.defer import gatherResults, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from asynqueue.base import TaskQueue
from asynqueue.deferator import Deferator
from asynqueue.errors import WorkerError
from asynqueue.process import ProcessQueue, ProcessWorker
from tests import calls, deeds
from tests.support import leavesNothing
from tests.test_load import Numbers


class QueueTestCase(TestCase):
    """
    What the tests below use. Each leaves nothing behind.
    """

    @inlineCallbacks
    def setUp(self):  # type: ignore[override]
        # Once it runs, the reactor has a pipe for itself.
        yield deferLater(reactor, 0)
        leavesNothing(self)

    def keep(self, queue):
        """
        Has a queue shut down when the test is over.
        """
        self.addCleanup(queue.shutdown)
        return queue

    @inlineCallbacks
    def hold(self, queue, n):
        """
        Makes a number of calls that go on until they are ended.

        @return: A Deferred of the paths to end them by, and of a list of their
            Deferreds, when all have begun.
        """
        paths = [os.path.abspath(self.mktemp()) for _ in range(n)]
        held = [queue.call(calls.hold, path) for path in paths]
        for path in paths:
            while not os.path.exists(path + calls.BEGUN):
                yield deferLater(reactor, 0.002)
        return paths, held

    @inlineCallbacks
    def assertEnded(self, *ds):
        """
        Calls have failed with errors that name them.
        """
        for d in ds:
            error = yield self.assertFailure(d, WorkerError)
            self.assertIn("tests.calls.hold(", str(error))


class CrashWorkersTests(QueueTestCase):
    """
    Tests of C{crashWorkers}.
    """

    @inlineCallbacks
    def test_crash(self):
        """
        It fires with a list of lists of tasks when the processes are gone. What
        ran has failed, by name; what waited still waits, and a new worker
        revives the queue.
        """
        queue = self.keep(ProcessQueue(2))
        load = Numbers()
        queue.subscribe(load)
        pids = yield queue.update(os.getpid)
        paths, held = yield self.hold(queue, 2)
        waiting = [queue.call(calls.echo, n) for n in range(3)]
        lists = yield queue.crashWorkers()
        self.assertEqual(
            sorted(task.callTuple[1] for tasks in lists for task in tasks),
            sorted((path,) for path in paths),
        )
        self.assertEqual([len(tasks) for tasks in lists], [1, 1])
        self.assertEqual([pid for pid in pids if psutil.pid_exists(pid)], [])
        yield self.assertEnded(*held)
        for d in waiting:
            self.assertNoResult(d)
        self.assertEqual((queue.workers(), bool(queue)), ([], False))
        self.assertEqual((load.written[-1], queue.isRunning()), (3, True))
        yield queue.attachWorker(ProcessWorker())
        self.assertEqual((yield gatherResults(waiting)), [0, 1, 2])
        self.assertEqual((load.written[-1], bool(queue)), (0, True))

    @inlineCallbacks
    def test_again(self):
        """
        To crash workers that are going is to wait for them, and to crash those
        that are gone is harmless.
        """
        queue = self.keep(ProcessQueue(2))
        pids = yield queue.update(os.getpid)
        _, held = yield self.hold(queue, 1)
        first, second = queue.crashWorkers(), queue.crashWorkers()
        self.assertEqual((yield second), [[], []])
        self.assertEqual([pid for pid in pids if psutil.pid_exists(pid)], [])
        self.assertEqual(sorted(map(len, (yield first))), [0, 1])
        yield self.assertEnded(*held)
        self.assertEqual((yield queue.crashWorkers()), [])

    @inlineCallbacks
    def test_atOnce(self):
        """
        Workers that have not come up can be crashed, and calls wait for others.
        """
        queue = self.keep(ProcessQueue(2))
        waiting = queue.call(calls.echo, 1)
        self.assertEqual((yield queue.crashWorkers()), [[], []])
        self.assertNoResult(waiting)
        queue.attachWorker(ProcessWorker())
        self.assertEqual((yield waiting), 1)

    @inlineCallbacks
    def test_afterShutdown(self):
        """
        There is nothing to crash in a queue that was shut down.
        """
        queue = ProcessQueue(1)
        yield queue.shutdown()
        self.assertEqual((yield queue.crashWorkers()), [])

    @inlineCallbacks
    def test_duringShutdown(self):
        """
        A shutdown that waits for long calls is over when they are crashed.
        """
        queue = ProcessQueue(2)
        _, held = yield self.hold(queue, 2)
        over = queue.shutdown()
        self.assertNoResult(over)
        self.assertEqual((yield queue.crashWorkers()), [[], []])
        yield over
        yield self.assertEnded(*held)

    @inlineCallbacks
    def test_oneWorkerTwice(self):
        """
        A worker that is crashed by itself, twice, gives its task back once, and
        goes on in a new process; shutting down does not hang.
        """
        queue = self.keep(ProcessQueue(1))
        (worker,) = queue.workers()
        pid = yield queue.call(os.getpid)
        (path,), held = yield self.hold(queue, 1)
        (task,) = worker.crash()
        self.assertEqual((task.callTuple[1], worker.crash()), ((path,), []))
        self.assertNoResult(held[0])
        task.fail(WorkerError("tests.calls.hold() was given back"))
        yield self.assertEnded(*held)
        self.assertNotEqual((yield queue.call(os.getpid)), pid)


class DetachTests(QueueTestCase):
    """
    Tests of C{detachWorker}.
    """

    @inlineCallbacks
    def test_timeout(self):
        """
        A worker that is detached with a call in hand is ended when the queue's
        timeout is over, the call fails, and the reactor runs on meanwhile.
        """
        worker = ProcessWorker()
        queue = self.keep(TaskQueue(worker, timeout=0.1))
        (path,), held = yield self.hold(queue, 1)
        pid = worker.process.pid
        (task,) = yield queue.detachWorker(worker)
        self.assertEqual(task.callTuple[1], (path,))
        yield self.assertEnded(*held)
        self.assertFalse(psutil.pid_exists(pid))

    @inlineCallbacks
    def test_reassign(self):
        """
        A call whose worker is crashed to have it reassigned has one outcome:
        what comes of it on the other worker. The one that is gone gets no more.
        """
        queue = self.keep(ProcessQueue(2))
        yield queue.update(os.getpid)
        (path,), (held,) = yield self.hold(queue, 1)
        (worker,) = [worker for worker in queue.workers() if worker.tasks]
        os.remove(path + calls.BEGUN)
        gone = queue.detachWorker(worker, reassign=True, crash=True)
        more = [queue.call(calls.echo, n) for n in range(5)]
        self.assertEqual((yield gone), [])
        open(path, "x").close()
        self.assertEqual((yield held), path)
        self.assertTrue(os.path.exists(path + calls.BEGUN))
        self.assertEqual((yield gatherResults(more)), list(range(5)))


class KeywordTests(QueueTestCase):
    """
    Tests of the keywords that a queue hands on to each of its workers.
    """

    @inlineCallbacks
    def test_raw(self):
        """
        I{raw} has iterators come back as they are, if they can be pickled, and
        fail alone if not; each call may have it otherwise.
        """
        queue = self.keep(ProcessQueue(1, raw=True))
        iterator = yield queue.call(calls.numbers, 3)
        self.assertEqual(
            (type(iterator), list(iterator)), (type(iter(range(0))), [0, 1, 2])
        )
        error = yield self.assertFailure(queue.call(calls.count, 3), Exception)
        self.assertIn("generator", str(error))
        dr = yield queue.call(calls.count, 3, raw=False)
        self.assertIsInstance(dr, Deferator)
        items = []
        for d in dr:
            items.append((yield d))
        self.assertEqual(items, [0, 1, 2])

    @inlineCallbacks
    def test_series(self):
        """
        All workers of the queue are qualified for its I{series}. A worker that is
        qualified for one more is alone in that, now and later.
        """
        given = ["own"]
        queue = self.keep(ProcessQueue(2, series=given))
        pids = yield queue.update(os.getpid, series="own")
        self.assertEqual(len(set(pids)), 2)
        blocked = queue.call(calls.echo, "blocked", series="more")
        own = [queue.call(calls.echo, n, series="own") for n in range(4)]
        self.assertEqual((yield gatherResults(own)), [0, 1, 2, 3])
        self.assertNoResult(blocked)
        one, other = queue.workers()
        queue.qualifyWorker(one, "more")
        self.assertEqual((yield blocked), "blocked")
        pids = yield gatherResults(
            [queue.call(os.getpid, series="more") for _ in range(4)]
        )
        self.assertEqual(set(pids), {one.process.pid})
        self.assertEqual((given, other.iQualified), (["own"], ["own"]))
        self.assertEqual(ProcessWorker().iQualified, [])
        self.assertEqual(ProcessWorker.cQualified, ["process", "local"])

    @inlineCallbacks
    def test_useReactor(self):
        """
        I{useReactor} has Deferreds and coroutines awaited in the processes, also
        such as have not fired, by workers that are I{raw} and by those that are
        not.
        """
        for raw in (False, True):
            queue = self.keep(ProcessQueue(2, useReactor=True, raw=raw))
            ds = [
                queue.call(f, n) for n in range(3) for f in (deeds.later, deeds.slowly)
            ]
            self.assertEqual((yield gatherResults(ds)), [0, 0, 1, 1, 2, 2])
            failing = queue.call(deeds.later, ValueError("later"))
            self.assertEqual(
                str((yield self.assertFailure(failing, ValueError))), "later"
            )
            self.assertTrue((yield queue.call(deeds.inReactorThread)))
            yield queue.shutdown()
