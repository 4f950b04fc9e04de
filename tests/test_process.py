"""
Queues of real worker processes, from end to end.
"""

import gc
import math
import os
import signal
import socket
import threading

import psutil
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, gatherResults, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue.base import TaskQueue
from asynqueue.errors import (
    PicklingError,
    RemoteTraceback,
    TimeoutError,
    UnpicklingError,
    WorkerDied,
    WorkerError,
)
from asynqueue.process import ProcessQueue, ProcessWorker
from asynqueue.producers import ListConsumer
from tests import calls, far
from tests.support import hideMain


def descriptors():
    """The open descriptors of this process, as a count."""
    return psutil.Process().num_fds()


class QueueTestCase(TestCase):
    def makeQueue(self, N=1, **kw):
        queue = ProcessQueue(N, **kw)
        self.addCleanup(queue.shutdown)
        return queue


class SeedPageTests(QueueTestCase):
    """
    What the reference page says of C{ProcessWorker}.
    """

    def test_coresHonoursAffinity(self):
        """cores() is the number of cores that this process may use."""
        allowed = psutil.Process().cpu_affinity()
        self.assertEqual(ProcessWorker.cores(), len(allowed))
        self.addCleanup(psutil.Process().cpu_affinity, allowed)
        psutil.Process().cpu_affinity(allowed[:1])
        self.assertEqual(ProcessWorker.cores(), 1)
        self.assertEqual(ProcessQueue.cores(), 1)

    @inlineCallbacks
    def test_memUsage(self):
        """memUsage() is the resident set in kilobytes, None when not running."""
        queue = self.makeQueue()
        (worker,) = queue.workers()
        self.assertIsNone(ProcessWorker().memUsage())
        yield queue.call(calls.echo)
        before = worker.memUsage()
        self.assertIsInstance(before, int)
        yield queue.call(far.memory, 50)
        self.assertApproximates(worker.memUsage() - before, 50 << 10, 5 << 10)
        rss = psutil.Process(worker.process.pid).memory_info().rss
        self.assertApproximates(worker.memUsage(), rss / 1024, 1 << 10)
        yield queue.shutdown()
        self.assertIsNone(worker.memUsage())

    @inlineCallbacks
    def test_stats(self):
        """stats() pairs each finished call's seconds here with those there."""
        queue = self.makeQueue(2, callStats=True)
        done = [queue.call(far.nap, 0.02) for _ in range(4)]
        done.append(queue.call(calls.boom).addErrback(lambda _: None))
        yield gatherResults(done)
        pairs = yield queue.stats()
        self.assertEqual(len(pairs), 5)
        for here, there in pairs:
            self.assertGreaterEqual(here, there)
        self.assertEqual(len([pair for pair in pairs if pair[1] >= 0.02]), 4)

    @inlineCallbacks
    def test_stop(self):
        """stop() fires when the process has ended."""
        queue = self.makeQueue()
        (worker,) = queue.workers()
        yield queue.call(calls.echo)
        self.assertTrue(worker.process.is_alive())
        yield worker.stop()
        self.assertFalse(worker.process.is_alive())
        self.assertEqual(worker.process.exitcode, 0)

    @inlineCallbacks
    def test_series(self):
        """A worker is qualified for its class's series and for its own."""
        worker = ProcessWorker(series=["own"])
        queue = TaskQueue(worker)
        self.addCleanup(queue.shutdown)
        for series in (None, "process", "local", "own"):
            self.assertEqual((yield queue.call(calls.echo, 1, series=series)), 1)
        waits = queue.call(calls.echo, 2, series="other")
        self.assertEqual((yield queue.call(calls.echo, 3)), 3)
        self.assertNoResult(waits)
        queue.qualifyWorker(worker, "other")
        self.assertEqual((yield waits), 2)


class ChildTests(QueueTestCase):
    """
    What a worker process is like.
    """

    @inlineCallbacks
    def test_light(self):
        """An ordinary child imports neither Twisted nor zope, however started."""
        hideMain(self)
        for method in ("spawn", "forkserver"):
            self.assertEqual(
                (yield self.makeQueue(context=method).call(far.modules)), []
            )

    @inlineCallbacks
    def test_signals(self):
        """A child ignores SIGINT and dies of SIGTERM, however it was started."""
        for method in ("spawn", "forkserver", "fork"):
            self.assertEqual(
                (yield self.makeQueue(context=method).call(far.signals)),
                [str(signal.SIG_IGN), str(signal.SIG_DFL)],
            )

    @inlineCallbacks
    def test_reactorsSignals(self):
        """So does one with a reactor."""
        queue = self.makeQueue(useReactor=True)
        ignored, default = yield queue.call(far.signals)
        self.assertNotIn("shutdown", default)
        self.assertEqual(ignored, str(signal.SIG_IGN))

    @inlineCallbacks
    def test_killedWhileIdle(self):
        """A child that is killed between calls costs no call."""
        queue = self.makeQueue(2)
        for pid in (yield queue.update(os.getpid)):
            os.kill(pid, signal.SIGKILL)
        results = yield gatherResults([queue.call(calls.echo, i) for i in range(6)])
        self.assertEqual(results, list(range(6)))

    @inlineCallbacks
    def test_replacementIsUpdated(self):
        """The child that replaces one that died runs the saved updates first."""
        queue = self.makeQueue()
        yield queue.update(os.putenv, "ASYNQUEUE", "1")
        yield queue.update(setattr, os, "asynqueue", 7)
        yield self.assertFailure(queue.call(os._exit, 3), WorkerDied)
        self.assertEqual((yield queue.call(getattr, os, "asynqueue", None)), 7)


class CallsTests(QueueTestCase):
    """
    What becomes of calls.
    """

    @inlineCallbacks
    def test_died(self):
        """A call that its process dies of says what, where and how."""
        queue = self.makeQueue()
        for f, args, how in (
            (os._exit, (3,), "exit code 3"),
            (signal.raise_signal, (signal.SIGSEGV,), "SIGSEGV"),
        ):
            pid = yield queue.call(os.getpid)
            error = yield self.assertFailure(queue.call(f, *args), WorkerDied)
            self.assertEqual(error.pid, pid)
            for text in (str(pid), how, str(args[0])):
                self.assertIn(text, str(error))
        self.assertEqual((yield queue.call(calls.echo, 1)), 1)

    @inlineCallbacks
    def test_farTraceback(self):
        """An error is the original exception, caused by the far traceback."""
        error = yield self.assertFailure(
            self.makeQueue().call(calls.boom, "bang"), ValueError
        )
        self.assertEqual(error.args, ("bang",))
        self.assertIsInstance(error.__cause__, RemoteTraceback)
        self.assertIn("in boom", str(error.__cause__))

    @inlineCallbacks
    def test_nothingCrosses(self):
        """What cannot cross in either direction fails alone, and says why."""
        queue = self.makeQueue()
        for f, args, error, text in (
            (calls.echo, (threading.Lock(),), PicklingError, "argument 1"),
            (lambda: None, (), PicklingError, "lambda"),
            (calls.echo, (far.Poison(os.getpid()),), Exception, "not at home"),
            (far.poison, (), UnpicklingError, "not at home"),
            (far.unpicklable, (), Exception, "lock"),
            (calls.bye, (), WorkerError, "SystemExit"),
            (calls.interrupted, (), WorkerError, "KeyboardInterrupt"),
        ):
            failed = yield self.assertFailure(queue.call(f, *args), error)
            self.assertIn(text, str(failed))
        self.assertEqual((yield queue.call(calls.echo, 1)), 1)

    @inlineCallbacks
    def test_large(self):
        """Large arguments and results cross whole."""
        queue = self.makeQueue()
        self.assertEqual((yield queue.call(len, far.blob(20))), 20 << 20)
        self.assertEqual((yield queue.call(far.blob, 20)), far.blob(20))

    @inlineCallbacks
    def test_socket(self):
        """A socket can be handed over, as multiprocessing can."""
        here, there = socket.socketpair()
        with here:
            yield self.makeQueue().call(far.greet, there)
            there.close()
            self.assertEqual(here.recv(10), b"hello")

    @inlineCallbacks
    def test_cancelRunning(self):
        """Cancelling ends what runs at once, and the next call runs elsewhere."""
        queue = self.makeQueue()
        pid = yield queue.call(os.getpid)
        path = os.path.abspath(self.mktemp())
        d = queue.call(calls.hold, path)
        while not os.path.exists(path + calls.BEGUN):
            yield deferLater(reactor, 0.002)
        d.cancel()
        yield self.assertFailure(d, CancelledError)
        self.assertNotEqual((yield queue.call(os.getpid)), pid)

    @inlineCallbacks
    def test_timeout(self):
        """A call that overruns is ended, and the worker goes on in a new process."""
        queue = self.makeQueue()
        pid = yield queue.call(os.getpid)
        d = queue.call(far.nap, 60, timeout=0.05, retries=0)
        error = yield self.assertFailure(d, TimeoutError)
        self.assertIn("far.nap(60)", str(error))
        self.assertNotEqual((yield queue.call(os.getpid)), pid)

    @inlineCallbacks
    def test_killersAmongGood(self):
        """Of 400 calls mixed with 20 that kill their process, none is lost."""
        queue = self.makeQueue(2)
        good, bad = [], []
        for i in range(400):
            good.append(queue.call(calls.echo, i))
            if i % 20 == 0:
                d = queue.call(os._exit, 1)
                bad.append(self.assertFailure(d, WorkerDied))
        self.assertEqual((yield gatherResults(good)), list(range(400)))
        self.assertEqual(len((yield gatherResults(bad))), 20)

    @inlineCallbacks
    def test_consumer(self):
        """The items of an iterator go to a consumer, in order and whole."""
        consumer = ListConsumer()
        queue = self.makeQueue()
        result = yield queue.call(calls.count, 200, consumer=consumer)
        self.assertIs(result, consumer)
        self.assertEqual((yield consumer()), list(range(200)))

    @inlineCallbacks
    def test_brokenOffLoop(self):
        """Shutting down does not depend on a loop that was broken off."""
        queue = self.makeQueue()
        dr = yield queue.call(calls.count, 10**9)
        for d in dr:
            item = yield d
            if item == 3:
                break
        yield queue.shutdown()


class ManyTests(QueueTestCase):
    @inlineCallbacks
    def test_atOnce(self):
        """20,000 instant calls queued at once complete in order."""
        queue = self.makeQueue()
        order: list[float] = []
        ds = [queue.call(math.sqrt, i).addCallback(order.append) for i in range(20000)]
        yield gatherResults(ds)
        self.assertEqual(order, [math.sqrt(i) for i in range(20000)])

    @inlineCallbacks
    def test_oneAfterAnother(self):
        """5,000 calls in an inlineCallbacks loop complete."""
        queue, total = self.makeQueue(), 0
        for i in range(5000):
            total += yield queue.call(abs, -i)
        self.assertEqual(total, sum(range(5000)))


class LeftoversTests(TestCase):
    @inlineCallbacks
    def test_nothingIsLeft(self):
        """After a shutdown there is no child, thread or descriptor more."""
        for method in ("forkserver", "spawn", "fork"):
            # What multiprocessing keeps for good, such as its fork server.
            yield self._useQueue(method)
            before = descriptors()
            for _ in range(2):
                yield self._useQueue(method)
            self.assertEqual(descriptors(), before, method)
        names = [thread.name for thread in threading.enumerate()]
        self.assertEqual([name for name in names if "asynqueue" in name], [])

    @inlineCallbacks
    def _useQueue(self, method):
        queue = ProcessQueue(2, context=method)
        pids = yield queue.update(os.getpid)
        yield self.assertFailure(queue.call(os._exit, 1), WorkerDied)
        dr = yield queue.call(calls.count, 5)
        yield next(dr)
        del dr
        gc.collect()
        pids += yield queue.update(os.getpid)
        yield queue.shutdown()
        self.assertEqual([pid for pid in pids if psutil.pid_exists(pid)], [])


class BadInputTests(SynchronousTestCase):
    def test_count(self):
        """A number of workers that is none is refused at once."""
        for N in (0, -1, 1.5, True, "2"):
            self.assertRaises(ValueError, ProcessQueue, N)

    def test_unknownKeyword(self):
        """A keyword that nobody knows is refused, not ignored."""
        self.assertRaises(TypeError, ProcessQueue, 1, callstats=True)
