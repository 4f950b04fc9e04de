"""
Crash loops of real worker processes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue.errors import CrashLoop, WorkerDied
from asynqueue.process import ProcessQueue, ProcessWorker
from tests import calls
from tests.flags import flagged
from tests.support import BOUND, leavesNothing

HERE = Path(__file__).parent


class ProgramTests(SynchronousTestCase):
    """
    Tests of a program whose main module worker processes fail to import.
    """

    def run_(self, when):
        """
        @return: What it printed, and wrote to standard error.
        """
        done = subprocess.run(
            [sys.executable, str(HERE / "unable.py"), self.mktemp(), when],
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BOUND,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    def test_now(self):
        """
        If it never can be, each call fails at once, with the exit code and where
        to look; and there the reason is.
        """
        told, stderr = self.run_("now")
        self.assertEqual(len(told), 2)
        for name, text, exitCode, _ in told:
            self.assertEqual((name, exitCode), ("StartFailed", 1))
            self.assertIn("standard error", text)
        self.assertIn("ImportError: cannot be imported here", stderr)

    def test_later(self):
        """
        If it no longer can be, calls fail once the workers were given up, and
        tell how often they were tried.
        """
        told, stderr = self.run_("later")
        self.assertEqual(told.pop(0), [1])
        self.assertEqual(len(told), 2)
        for name, text, exitCode, codes in told:
            self.assertEqual((name, exitCode, codes[-2:]), ("CrashLoop", 1, [1, 1]))
            self.assertIn("times in a row", text)
        self.assertIn("ImportError: cannot be imported here", stderr)


class UpdateTests(TestCase):
    """
    Tests of updates that were right once, and no longer are.
    """

    @inlineCallbacks
    def setUp(self):  # type: ignore[override]
        yield deferLater(reactor, 0)
        leavesNothing(self)

    @inlineCallbacks
    def exhaust(self, how):
        path = os.path.abspath(self.mktemp())
        queue = ProcessQueue(1, maxDeaths=3)
        self.addCleanup(queue.shutdown)
        yield queue.update(flagged, path, how)
        yield queue.call(calls.echo)
        open(path, "x").close()
        died = queue.call(os._exit, 3)
        waiting = queue.call(calls.echo)
        yield self.assertFailure(died, WorkerDied)
        error = yield self.assertFailure(waiting, CrashLoop)
        again = yield self.assertFailure(queue.call(calls.echo), CrashLoop)
        self.assertIs(again, error)
        self.assertEqual((len(queue), queue.isRunning()), (0, True))
        os.remove(path)
        yield queue.attachWorker(ProcessWorker())
        self.assertEqual((yield queue.call(calls.echo, 1)), 1)
        return error

    @inlineCallbacks
    def test_kills(self):
        """
        One that kills each new process ends in the worker's being given up.
        """
        error = yield self.exhaust("kill")
        self.assertEqual(error.exitCodes[-3:], [5, 5, 5])
        self.assertEqual((error.exitCode, error.times), (5, 4))

    @inlineCallbacks
    def test_raises(self):
        """
        So does one that raises in it, and what it raised is told.
        """
        error = yield self.exhaust("raise")
        self.assertIsInstance(error.__cause__, ValueError)
        self.assertIn("ValueError: flagged", str(error))
