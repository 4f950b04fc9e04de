"""
How worker processes died, and what is kept and told of it.
"""

import copy
import dataclasses
import os
import pickle
import time

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import deaths
from asynqueue.deaths import MOST, PAUSE, MemoryWatch, newHistory, record
from asynqueue.errors import INNERMOST, WorkerDied, aboutFault, signalName
from asynqueue.machine import residentSet
from tests.fakes import Bench, brittle, count, double, makeTask

STACK = """Fatal Python error: Segmentation fault

Thread 0x00007fb4a2ffd6c0 (most recent call first):
  File "/lib/selectors.py", line 468 in select

Current thread 0x00007fb4a67ffb80 (most recent call first):
  File "/home/me/mine.py", line 3 in inner
  File "/home/me/mine.py", line 7 in outer

Extension modules: mine (total: 1)
"""


class Case(SynchronousTestCase):
    def setUp(self):
        captured = capturedLogs()
        self.events = captured.__enter__()
        self.addCleanup(captured.__exit__, None, None, None)
        self.bench = Bench().up()

    def told(self):
        """
        @return: The events that tell of deaths, which are as many as are kept.
        """
        events = [event for event in self.events if "death" in event]
        kept = list(self.bench.worker.deaths)
        self.assertEqual([event["death"] for event in events], kept)
        return events

    def run_(self, f, *args):
        task = makeTask(f, *args)
        self.bench.worker.run(task)
        return task


class DeathTests(Case):
    """
    A worker whose process dies.
    """

    def test_told(self):
        """A death is logged once, and kept, with all that is known of it."""
        self.bench.worker.ID = 4
        self.run_(double, 1)
        before = time.time()
        self.bench.child.die(-9)
        (event,) = self.told()
        for name, value in (
            ("worker", 4),
            ("pid", self.bench.child.pid),
            ("exitCode", -9),
            ("signal", "SIGKILL"),
            ("call", "tests.fakes.double(1)"),
            ("memory", None),
            ("stack", None),
        ):
            self.assertEqual(event[name], value)
            self.assertEqual(getattr(event["death"], name), value)
        self.assertTrue(before <= event["death"].time <= time.time())
        self.assertEqual(event["log_level"].name, "warn")
        self.assertIn(f"process {self.bench.child.pid} ended", formatEvent(event))
        self.assertIn("middle of the call tests.fakes.double(1)", formatEvent(event))

    def test_keptBefore(self):
        """It is kept by when the call that the process had is told of it."""
        kept: list[object] = []
        task = self.run_(double, 1)
        task.d.addCallback(lambda _: kept.extend(self.bench.worker.deaths))
        self.bench.child.die(1)
        self.assertEqual(kept, list(self.bench.worker.deaths))
        self.assertEqual(len(kept), 1)

    def test_idle(self):
        """A process that had no call in hand died in none."""
        self.run_(double, 1)
        self.bench.poller.answerAll()
        self.bench.child.die(3)
        (event,) = self.told()
        self.assertEqual((event["call"], event["signal"]), (None, None))
        self.assertEqual(event["exitCode"], 3)

    def test_iterator(self):
        """One that was asked for an item died in the call that began it."""
        task = self.run_(count, 5)
        self.bench.poller.answerAll()
        deferator = self.successResultOf(task.d)[1]
        next(deferator).addErrback(lambda _: None)
        self.bench.child.die(-11)
        self.assertEqual(self.told()[0]["call"], "tests.fakes.count(5)")

    def test_notBegun(self):
        """A call that was not begun is none that a process died in."""
        self.run_(double, 1)
        self.bench.poller.lose(EOFError(), unsent=1)
        self.bench.child.die(-11)
        self.assertIsNone(self.told()[0]["call"])

    def test_notUp(self):
        """A process that dies before it is up is one more."""
        self.bench = Bench()
        self.bench.worker.start().addErrback(lambda _: None)
        self.bench.child.come()
        self.bench.child.die(1)
        self.assertIn("before it was ready", formatEvent(self.told()[0]))

    def test_notStarted(self):
        """So is one that could not even be started."""
        self.bench = Bench()
        self.bench.worker.start().addErrback(lambda _: None)
        self.bench.child.started.errback(WorkerDied("There is no room"))
        (event,) = self.told()
        self.assertEqual((event["pid"], event["exitCode"]), (None, None))
        self.assertEqual(formatEvent(event), "There is no room")

    def test_askedFor(self):
        """A death that was asked for is none: by stopping, crashing, cancelling."""
        stopped = self.bench.worker.stop()
        self.bench.poller.answer()
        self.bench.child.die(0)
        self.successResultOf(stopped)
        self.assertEqual(self.told(), [])
        self.bench = Bench().up()
        self.bench.worker.crash()
        self.bench.child.die(-15)
        self.assertEqual(self.told(), [])
        self.bench = Bench().up()
        task = self.run_(double, 1)
        task.holder = self.bench.worker
        task.d.addErrback(lambda _: None)
        task.d.cancel()
        self.bench.child.die(-15)
        self.assertEqual(self.told(), [])

    def test_stack(self):
        """The stack is told and kept whole; the error has the end that matters."""
        task = self.run_(brittle, 2)
        self.bench.child.stack = STACK
        self.bench.child.die(-11)
        error = self.successResultOf(task.d)[1]
        self.assertEqual(error.stack, STACK)
        self.assertTrue(
            str(error).endswith(
                "in the middle of the call tests.fakes.brittle(2)\n"
                "Fatal Python error: Segmentation fault\n"
                '  File "/home/me/mine.py", line 3 in inner\n'
                '  File "/home/me/mine.py", line 7 in outer'
            ),
            str(error),
        )
        (event,) = self.told()
        self.assertEqual(event["stack"], STACK)
        self.assertEqual(formatEvent(event).count("Fatal Python error"), 1)
        self.assertIn("Extension modules", formatEvent(event))

    def test_memory(self):
        """The memory is that of the last look, at most one a second."""
        sizes = iter([10, 20, 30])
        self.patch(deaths, "residentSet", lambda pid: next(sizes))
        for pause in (0, PAUSE / 2, PAUSE / 2):
            self.bench.reactor.advance(pause)
            self.run_(double, 1)
            self.bench.poller.answerAll()
        self.run_(double, 2)
        self.bench.child.die(-9)
        (event,) = self.told()
        self.assertEqual(event["memory"], 20)
        self.assertIn("20 kB", formatEvent(event))


class HistoryTests(SynchronousTestCase):
    def test_bound(self):
        """Only the last deaths are kept."""
        history = newHistory()
        for pid in range(MOST + 5):
            record(history, WorkerDied("gone", pid, 1), None, None, None)
        self.assertEqual([death.pid for death in history], list(range(5, MOST + 5)))

    def test_frozen(self):
        """A death is as it is."""
        history = newHistory()
        record(history, WorkerDied("gone", 7, 1), None, None, None)
        (death,) = history
        self.assertEqual(death, dataclasses.replace(death))
        with self.assertRaises(dataclasses.FrozenInstanceError):
            death.pid = 8  # type: ignore[misc]


class MemoryWatchTests(SynchronousTestCase):
    class Child:
        alive = True
        pid = os.getpid()

        def is_alive(self):
            return self.alive

    def test_look(self):
        """It looks when it is told to, and knows nothing of who does not run."""
        watch, child = MemoryWatch(Clock()), self.Child()
        self.assertIsNone(watch.look())
        watch.follow(child)
        self.assertIsNone(watch.last)
        size = watch.look()
        self.assertEqual(watch.last, size)
        self.assertApproximates(size, residentSet(child.pid), 10000)
        child.alive = False
        self.assertIsNone(watch.look())
        self.assertEqual(watch.last, size)
        watch.follow(self.Child())
        self.assertIsNone(watch.last)


class TextTests(SynchronousTestCase):
    def test_same(self):
        """An error that was copied or pickled says, and has, the same."""
        error = WorkerDied("gone", 7, -11, STACK)
        for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            self.assertEqual(str(same), str(error))
            self.assertEqual(vars(same), vars(error))

    def test_signal(self):
        """The name of a signal is told where there is a signal and a name."""
        for code, name in (
            (-9, "SIGKILL"),
            (-11, "SIGSEGV"),
            (0, None),
            (3, None),
            (-200, None),
            (None, None),
        ):
            self.assertEqual(signalName(code), name)

    def test_fault(self):
        """However long a stack is, an error tells of few functions of it."""
        self.assertEqual(aboutFault(None), "")
        self.assertEqual(aboutFault(""), "")
        self.assertEqual(aboutFault("Fatal error"), "\nFatal error")
        lines = [f'  File "x.py", line {i} in f' for i in range(99)]
        for thread in ("Thread", "Current thread"):
            stack = "\n".join(
                ["Fatal error", "", f"{thread} 0x1 (most recent call first):", *lines]
            )
            expected = ["", "Fatal error", *lines[:INNERMOST]]
            if thread == "Thread":
                expected = expected[:2]
            self.assertEqual(aboutFault(stack).split("\n"), expected)
