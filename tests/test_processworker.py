"""
A worker and its processes, on fakes.
"""

import inspect
import math
from unittest.mock import patch

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from asynqueue.contents import OUT_OF_BAND
from asynqueue.errors import PicklingError, StartFailed, WorkerDied, WorkerError
from asynqueue.interfaces import ICanceller, IRestartable, IWorker
from asynqueue.messages import Status
from asynqueue.process import ProcessWorker
from asynqueue.processworker import WorkerState

from .fakes import Bench, count, double, makeTask


class Unpicklable:
    def __reduce__(self):
        raise SystemExit("not even an Exception")


class WorkerTests(SynchronousTestCase):
    def setUp(self):
        self.bench = Bench(callStats=True)
        self.worker = self.bench.worker

    def run_(self, f, *args, **kw):
        task = makeTask(f, *args, **kw)
        return task, self.worker.run(task)

    def test_provides(self):
        """It provides what it says, and its API is the documented one."""
        for interface in (IWorker, IRestartable, ICanceller):
            verifyObject(interface, self.worker)
        self.assertEqual(ProcessWorker.cQualified, ["process", "local"])
        self.assertEqual(
            list(inspect.signature(ProcessWorker).parameters)[:4],
            ["series", "raw", "callStats", "useReactor"],
        )

    def test_constructingStartsNothing(self):
        """A worker that is only made has no process."""
        self.assertEqual(self.bench.children, [])
        self.assertIsNone(self.worker.memUsage())
        self.assertEqual(self.worker.tasks, [])

    def test_seriesIsCopied(self):
        """The list of series is the worker's own."""
        series = ["a"]
        one, two = Bench(series=series).worker, Bench().worker
        series.append("b")
        two.iQualified.append("c")
        self.assertEqual(one.iQualified, ["a"])
        self.assertEqual(Bench().worker.iQualified, [])

    def test_badArguments(self):
        """What a worker cannot be made with is refused when it is made."""
        for error, kw in (
            (TypeError, {"series": "abc"}),
            (TypeError, {"context": 7}),
            (ValueError, {"context": "nothing"}),
            (ValueError, {"useReactor": True, "context": "fork"}),
            (ValueError, {"interval": 0}),
            (ValueError, {"backoff": 0.9}),
            (ValueError, {"poller": "crystal ball"}),
            (ValueError, {"shareAbove": OUT_OF_BAND - 1}),
            (ValueError, {"shareAbove": 1e6}),
        ):
            self.assertRaises(error, ProcessWorker, **kw)

    def test_cannotShare(self):
        """Arrays cannot be shared where that cannot be done, and so it is said."""
        ProcessWorker(shareAbove=OUT_OF_BAND)
        for what, value in (("os.name", "nt"), ("find_spec", lambda name: None)):
            with patch(f"asynqueue.starting.{what}", value):
                error = self.assertRaises(
                    ValueError, ProcessWorker, shareAbove=OUT_OF_BAND
                )
            self.assertIn("ctypes", str(error))

    def test_paceCanBeSet(self):
        """interval and backoff are the poller's, and are checked when set."""
        self.worker.interval, self.worker.backoff = 0.01, 1.05
        self.assertEqual(
            (self.bench.poller.interval, self.bench.poller.backoff), (0.01, 1.05)
        )
        self.assertRaises(ValueError, setattr, self.worker, "interval", -1)
        self.assertRaises(ValueError, setattr, self.worker, "backoff", 2)

    def test_run(self):
        """A task ends with its result, and the worker is ready again."""
        task, ready = self.run_(double, 4)
        self.assertEqual(self.worker.tasks, [task])
        self.bench.child.come()
        self.bench.poller.answerAll()
        self.assertEqual(self.successResultOf(task.d), (Status.RESULT, 8))
        self.successResultOf(ready)
        self.assertEqual(self.worker.tasks, [])

    def test_error(self):
        """A task that raises ends with the exception and its far traceback."""
        self.bench.up()
        task, ready = self.run_(math.sqrt, -1)
        self.bench.poller.answerAll()
        status, error = self.successResultOf(task.d)
        self.assertIs(status, Status.ERROR)
        self.assertIsInstance(error, ValueError)
        self.assertIn("runner.py", str(error.__cause__))
        self.successResultOf(ready)

    def test_notPicklable(self):
        """A call that cannot be pickled fails alone, and its culprit is named."""
        self.bench.up()
        for f, args, name in (
            (lambda: None, (), "lambda"),
            (double, (1, Unpicklable()), "argument 2"),
        ):
            task, ready = self.run_(f, *args)
            status, error = self.successResultOf(task.d)
            self.assertIs(status, Status.ERROR)
            self.assertIsInstance(error, PicklingError)
            self.assertIn(name, str(error))
            self.successResultOf(ready)
        self.assertEqual(len(self.bench.poller.sent), 1)

    def test_raw(self):
        """raw=True has an iterator pickled, which a generator cannot be."""
        self.bench.up()
        task, _ = self.run_(iter, [1, 2], raw=True)
        self.bench.poller.answerAll()
        self.assertEqual(list(self.successResultOf(task.d)[1]), [1, 2])
        task, _ = self.run_(count, 2, raw=True)
        self.bench.poller.answerAll()
        status, error = self.successResultOf(task.d)
        self.assertIs(status, Status.ERROR)
        self.assertIn("could not be pickled", str(error))

    def test_stats(self):
        """There is a pair for each call that was sent, failed or not."""
        self.bench.up()
        for f, x in ((double, 1), (math.sqrt, -1), (count, 3)):
            self.run_(f, x)
            self.bench.poller.answerAll()
        self.run_(double, 1)
        self.bench.child.die(-9)
        pairs = self.successResultOf(self.worker.stats())
        self.assertEqual(len(pairs), 4)
        for here, there in pairs:
            self.assertLessEqual(there, here)
        self.assertEqual(pairs[-1][1], 0.0)

    def test_noStats(self):
        """Without callStats there are none, and asking harms nothing."""
        bench = Bench().up()
        task = makeTask(double, 1)
        bench.worker.run(task)
        bench.poller.answerAll()
        self.assertEqual(self.successResultOf(bench.worker.stats()), [])
        self.assertEqual(self.successResultOf(task.d)[1], 2)

    def test_death(self):
        """The call in hand fails, naming all; the others are given back."""
        self.bench.up()
        resigned = []
        self.worker.setResignator(lambda: resigned.extend(self.worker.crash()))
        first, firstReady = self.run_(double, 1)
        second, _ = self.run_(double, 2)
        self.bench.child.die(-9)
        status, error = self.successResultOf(first.d)
        self.assertIs(status, Status.ERROR)
        self.assertIsInstance(error, WorkerDied)
        for text in (str(self.bench.child.pid), "SIGKILL", "double(1)"):
            self.assertIn(text, str(error))
        self.assertEqual(resigned, [second])
        self.assertNoResult(second.d)
        self.assertNoResult(firstReady)
        self.assertIs(self.worker.state, WorkerState.DOWN)

    def test_deathWithoutAnybodyToTell(self):
        """With no resignator the tasks that were not begun end all the same."""
        self.bench.up()
        self.run_(double, 1)
        second, _ = self.run_(double, 2)
        self.bench.child.die(3)
        self.assertIsInstance(self.successResultOf(second.d)[1], WorkerDied)

    def test_startsAnew(self):
        """After a death the next task has a process started for it."""
        self.bench.up()
        self.bench.child.die(0)
        task, _ = self.run_(double, 3)
        self.assertEqual(len(self.bench.children), 2)
        self.bench.child.come()
        self.bench.poller.answerAll()
        self.assertEqual(self.successResultOf(task.d), (Status.RESULT, 6))

    def test_startFails(self):
        """Whoever waits for a process that never comes up is told."""
        waits = self.worker.start(), self.worker.start()
        self.bench.child.come()
        self.bench.child.die(1)
        for d in waits:
            self.failureResultOf(d, StartFailed)

    def test_cancelInHand(self):
        """Cancelling the task in hand ends the process, and it says why."""
        self.bench.up()
        task, _ = self.run_(double, 1)
        other, _ = self.run_(double, 2)
        task.holder = self.worker
        task.d.cancel()
        self.failureResultOf(task.d, CancelledError)
        self.assertEqual(self.bench.child.asked, ["terminate"])
        back = []
        self.worker.setResignator(lambda: back.extend(self.worker.crash()))
        self.bench.child.die(-15)
        self.assertEqual(back, [other])

    def test_cancelWaiting(self):
        """Cancelling a task that waits leaves the process alone."""
        self.bench.up()
        self.run_(double, 1)
        task, ready = self.run_(double, 2)
        task.holder = self.worker
        task.d.cancel()
        self.failureResultOf(task.d, CancelledError)
        self.successResultOf(ready)
        self.bench.poller.answerAll()
        self.assertEqual(len(self.bench.poller.sent), 2)
        self.assertEqual(self.bench.child.asked, [])

    def test_crash(self):
        """crash gives all tasks back and ends none of them."""
        self.bench.up()
        tasks = [self.run_(double, x)[0] for x in range(3)]
        self.assertEqual(self.worker.crash(), tasks)
        self.assertEqual(self.worker.crash(), [])
        self.assertEqual(self.bench.child.asked[0], "terminate")
        self.bench.child.die(-15)
        for task in tasks:
            self.assertNoResult(task.d)

    def test_stopIdle(self):
        """Stopping asks the process to end, waits for that, then for the poller."""
        self.bench.up()
        stopped, again = self.worker.stop(), self.worker.stop()
        self.bench.poller.answer()
        self.assertNoResult(stopped)
        self.bench.child.die(0)
        self.successResultOf(stopped)
        self.successResultOf(again)
        self.successResultOf(self.worker.stop())
        self.assertTrue(self.bench.poller.stopped)
        self.assertEqual(self.bench.reactor.getDelayedCalls(), [])

    def test_stopWaitsForTasks(self):
        """Tasks that the worker has are done before it stops, and no others."""
        self.bench.up()
        task, _ = self.run_(double, 1)
        stopped = self.worker.stop()
        late, _ = self.run_(double, 2)
        self.assertIsInstance(self.successResultOf(late.d)[1], WorkerError)
        self.bench.poller.answer()
        self.assertEqual(self.successResultOf(task.d), (Status.RESULT, 2))
        self.bench.poller.answer()
        self.bench.child.die(0)
        self.successResultOf(stopped)

    def test_stopNeverStarted(self):
        """A worker without a process stops at once, and stays stopped."""
        self.successResultOf(self.worker.stop())
        task, ready = self.run_(double, 1)
        self.assertIsInstance(self.successResultOf(task.d)[1], WorkerError)
        self.successResultOf(ready)

    def test_stopWhileDying(self):
        """Stopping fires though the process dies meanwhile with tasks waiting."""
        self.bench.up()
        tasks = [self.run_(double, x)[0] for x in range(2)]
        stopped = self.worker.stop()
        self.bench.child.die(-9)
        for task in tasks:
            self.assertIsInstance(self.successResultOf(task.d)[1], WorkerDied)
        self.successResultOf(stopped)

    def test_stopAfterCrash(self):
        """Stopping after a crash fires when the process is gone."""
        self.bench.up()
        self.run_(double, 1)
        self.worker.crash()
        stopped = self.worker.stop()
        self.assertNoResult(stopped)
        self.bench.child.die(-15)
        self.successResultOf(stopped)

    def test_killProcess(self):
        """_killProcess kills the process outright."""
        self.bench.up()
        self.worker._killProcess()
        self.assertEqual(self.bench.child.asked, ["kill"])
