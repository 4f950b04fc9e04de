"""
How programs that use a queue come to their end.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from twisted.trial.unittest import SynchronousTestCase

from tests.support import hearInterrupts

HERE = Path(__file__).parent
METHODS = ("forkserver", "spawn", "fork")
BOUND = 30
"""
How long a program may take at most, in seconds: far more than any does, so that
what is told is that it hangs, not that the machine is slow.
"""


def run(*args):
    """
    @return: The completed process and the worker processes' IDs that it told.
    """
    done = subprocess.run(
        [sys.executable, str(HERE / "ending.py"), *args],
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        preexec_fn=hearInterrupts,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BOUND,
    )
    return done, json.loads(done.stdout.splitlines()[0])


def runAll(*several):
    """
    Runs some programs at a time, as the machine has cores.

    @param several: For each, a tuple of what L{run} takes.
    @return: A list of what that returns.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(lambda args: run(*args), several))


def isThere(pid):
    """
    @return: C{True} if there is a process of an ID that has not ended. One that has may
        wait for long until whoever it was left to takes notice.
    """
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def waitUntilGone(pids):
    """
    @return: The IDs of those processes that are still there after a while.
    """
    deadline = time.monotonic() + 5
    while (left := [*filter(isThere, pids)]) and time.monotonic() < deadline:
        # They are not ours: nobody tells us of their end.
        time.sleep(0.01)
    return left


class EndingsTests(SynchronousTestCase):
    def check(self, *args):
        (done,) = self.checkAll(args)
        return done

    def checkAll(self, *several):
        ran = runAll(*several)
        for done, pids in ran:
            self.assertEqual(done.stderr, "")
            self.assertEqual(len(pids), 2)
            self.assertEqual(waitUntilGone(pids), [])
        return [done for done, _ in ran]

    def test_shutdownLeavesNoThread(self):
        """Nothing but the main thread is left when a queue has been shut down."""
        done = self.check("default", "forkserver", "idle", "shutdown")
        self.assertEqual(json.loads(done.stdout.splitlines()[1]), ["MainThread"])
        self.assertEqual(done.returncode, 0)

    def test_reactorStops(self):
        """A bare reactor.stop() ends idle workers, however they were started."""
        ways = [("default", method, "idle", "stop") for method in METHODS]
        for done in self.checkAll(*ways):
            self.assertEqual(done.returncode, 0)

    def test_reactorStopsWhileBusy(self):
        """reactor.stop() waits for running calls no longer than the grace."""
        began = time.monotonic()
        self.assertEqual(
            self.check("default", "forkserver", "busy", "stop").returncode, 0
        )
        self.assertLess(time.monotonic() - began, 15)

    def test_interrupt(self):
        """Ctrl-C ends busy workers, and says nothing."""
        self.check("default", "forkserver", "busy", "SIGINT")

    def test_terminate(self):
        """SIGTERM ends busy workers, and says nothing."""
        self.check("default", "forkserver", "busy", "SIGTERM")

    def test_exitWithoutShutdown(self):
        """The interpreter exits though nobody has shut the queue down."""
        ways = [("default", method, "busy", "exit") for method in METHODS]
        for done in self.checkAll(*ways):
            self.assertEqual(done.returncode, 0)

    def test_killed(self):
        """Busy workers go with a program that is killed outright."""
        self.check("default", "forkserver", "busy", "SIGKILL")


class ReactorsTests(SynchronousTestCase):
    def test_reactors(self):
        """A queue works and ends under each reactor."""
        names = ("select", "poll", "epoll", "asyncio")
        ran = runAll(*[(name, "forkserver", "idle", "shutdown") for name in names])
        for name, (done, pids) in zip(names, ran, strict=True):
            self.assertEqual(done.stderr, "", name)
            self.assertEqual(done.returncode, 0, name)
            self.assertEqual(waitUntilGone(pids), [], name)
            self.assertIn(name, done.stdout.splitlines()[-1].lower())
