"""
Processes that others have started, and what they print.
"""

import os
import signal
import subprocess
import sys
import time
from typing import Any

import psutil
from twisted.internet.defer import CancelledError
from twisted.internet.process import reapProcessHandlers
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import ProcessError
from asynqueue.programs import KILL_AFTER, LOOK_LAST, killProcess
from tests.support import BOUND, leavesNothing
from tests.test_stops import StoppableReactor

SLEEP = f"import time; print('up', flush=True); time.sleep({BOUND})"

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP

PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", {SLEEP!r}], stdout=-1)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep({BOUND})
"""
"""
Never reaps its child.
"""


def command(program):
    """
    @return: The command by which Python runs a program, as it starts fastest.
    """
    return [sys.executable, "-I", "-S", "-c", program]


def ended(pid):
    """
    Waits until a child has ended, but does not reap it.

    @return: The signal that has ended it, or its exit code.
    """
    status: Any = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return status.si_status


class KillCase(SynchronousTestCase):
    def setUp(self):
        leavesNothing(self)
        self.reactor = StoppableReactor()

    def start(self, program):
        """
        Starts a process, and waits until it prints a line.

        @return: Its ID, and the line.
        """
        process: Any = subprocess.Popen(command(program), stdout=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        return process.pid, process.stdout.readline()

    def kill(self, pid):
        return killProcess(pid, self.reactor)

    def step(self, when):
        """
        Lets the time come, in small steps.
        """
        while self.reactor.seconds() < when:
            left = when - self.reactor.seconds()
            self.reactor.advance(min(LOOK_LAST, left))

    def untilFired(self, d):
        """
        Lets time pass until a Deferred has fired, where nothing else tells when a
        process has ended.
        """
        end = time.monotonic() + BOUND
        while not d.called and time.monotonic() < end:
            time.sleep(0.001)
            self.reactor.advance(0.001)

    def assertReaped(self, pid):
        self.assertRaises(ChildProcessError, os.waitpid, pid, os.WNOHANG)


class KillTests(KillCase):
    def test_terminates(self):
        """A process that follows SIGTERM is gone with that, reaped and all."""
        pid, _ = self.start(SLEEP)
        d = self.kill(pid)
        self.assertEqual(ended(pid), signal.SIGTERM)
        self.reactor.advance(LOOK_LAST)
        self.assertIs(self.successResultOf(d), True)
        self.assertReaped(pid)
        self.assertEqual(self.reactor.left(), [])

    def test_kills(self):
        """One that does not is killed after five seconds, and not before."""
        self.assertEqual(KILL_AFTER, 5.0)
        pid, _ = self.start(STUBBORN)
        d = self.kill(pid)
        self.step(4.999)
        self.assertTrue(psutil.Process(pid).is_running())
        self.assertNoResult(d)
        self.step(5.0)
        self.assertEqual(ended(pid), signal.SIGKILL)
        self.reactor.advance(LOOK_LAST)
        self.assertIs(self.successResultOf(d), True)
        self.assertReaped(pid)
        self.assertEqual(self.reactor.left(), [])

    def test_gone(self):
        """A process that is gone need not be ended, and a zombie of ours is reaped."""
        pid, _ = self.start("print()")
        ended(pid)
        self.assertIs(self.successResultOf(self.kill(pid)), False)
        self.assertReaped(pid)
        self.assertIs(self.successResultOf(self.kill(pid)), False)
        self.assertEqual(self.reactor.left(), [])

    def test_exitsWell(self):
        """One that ends with status 0 has ended like any other."""
        program = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); "
        pid, _ = self.start(program + SLEEP)
        d = self.kill(pid)
        self.assertEqual(ended(pid), 0)
        self.reactor.advance(LOOK_LAST)
        self.assertIs(self.successResultOf(d), True)

    def test_another(self):
        """
        A process that is not a child can be ended; as we cannot reap it, that it
        has ended is enough.
        """
        parent, line = self.start(PARENT)
        pid = int(line)
        d = self.kill(pid)
        self.untilFired(d)
        self.assertIs(self.successResultOf(d), True)
        self.assertEqual(psutil.Process(pid).status(), psutil.STATUS_ZOMBIE)
        self.assertIs(self.successResultOf(self.kill(pid)), False)
        self.assertTrue(psutil.Process(parent).is_running())

    def test_twice(self):
        """Two who end the same process are both told."""
        pid, _ = self.start(STUBBORN)
        both = [self.kill(pid), self.kill(pid)]
        self.step(KILL_AFTER)
        for d in both:
            self.untilFired(d)
        self.assertEqual([self.successResultOf(d) for d in both], [True, True])

    def test_reactors(self):
        """A process of the reactor's is reaped by what it has for that."""
        pid, _ = self.start(SLEEP)
        reaped = []

        class Handler:
            def reapProcess(self):
                reaped.append(os.waitpid(pid, os.WNOHANG))
                del reapProcessHandlers[pid]

        handler: Any = Handler()
        reapProcessHandlers[pid] = handler
        self.addCleanup(reapProcessHandlers.pop, pid, None)
        d = self.kill(pid)
        ended(pid)
        self.reactor.advance(LOOK_LAST)
        self.assertIs(self.successResultOf(d), True)
        self.assertEqual(reaped, [(pid, signal.SIGTERM)])

    def test_looks(self):
        """It looks more and more seldom, but never too seldom."""
        pid, _ = self.start(STUBBORN)
        d = self.kill(pid)
        waits = []
        while len(self.reactor.getDelayedCalls()) == 1 and self.reactor.seconds() < 4.8:
            (call,) = self.reactor.getDelayedCalls()
            waits.append(call.getTime() - self.reactor.seconds())
            self.reactor.advance(waits[-1])
        self.assertAlmostEqual(waits[0], 0.001)
        self.assertAlmostEqual(waits[10] / waits[9], 1.1)
        self.assertAlmostEqual(max(waits), 0.1)
        d.cancel()
        self.failureResultOf(d, CancelledError)


class TroubleTests(KillCase):
    def test_wrong(self):
        """What would signal a whole group, or everybody, is refused."""
        wrong: Any
        for wrong in (0, -1, -os.getpgrp(), None, "7", True, 7.0):
            self.assertRaises(ValueError, self.kill, wrong)

    def test_own(self):
        """A program that wants to end itself is told what else to do."""
        error = self.assertRaises(ValueError, self.kill, os.getpid())
        self.assertIn("reactor.stop()", str(error))

    def test_noRight(self):
        """A process that is not ours to end is left alone, and we are told so."""
        pid, _ = self.start(SLEEP)

        def refuse(process):
            raise psutil.AccessDenied(process.pid)

        self.patch(psutil.Process, "terminate", refuse)
        failure = self.failureResultOf(self.kill(pid), ProcessError)
        self.assertIn(f"Process {pid} cannot be ended", failure.getErrorMessage())
        self.assertIsInstance(failure.value.__cause__, psutil.AccessDenied)
        self.assertEqual(self.reactor.left(), [])

    def test_justGone(self):
        """One that ends as it is about to be signalled has ended."""
        pid, _ = self.start(STUBBORN)

        def late(process):
            os.kill(pid, signal.SIGKILL)
            ended(pid)
            raise psutil.NoSuchProcess(pid)

        self.patch(psutil.Process, "terminate", late)
        d = self.kill(pid)
        self.reactor.advance(LOOK_LAST)
        self.assertIs(self.successResultOf(d), True)

    def test_otherProcess(self):
        """If its ID is another's by now, it is gone, and the other left alone."""
        pid, _ = self.start(STUBBORN)
        d = self.kill(pid)
        self.patch(psutil.Process, "is_running", lambda process: False)
        self.reactor.advance(LOOK_LAST)
        self.assertIs(self.successResultOf(d), True)
        self.assertEqual(os.waitpid(pid, os.WNOHANG), (0, 0))

    def test_unkillable(self):
        """What even a SIGKILL does not end does not keep anybody waiting for ever."""
        pid, _ = self.start(STUBBORN)
        self.patch(psutil.Process, "kill", lambda process: None)
        d = self.kill(pid)
        self.step(KILL_AFTER)
        self.step(2 * KILL_AFTER - 0.01)
        self.assertNoResult(d)
        self.step(2 * KILL_AFTER)
        failure = self.failureResultOf(d, ProcessError)
        self.assertIn(f"Process {pid} was killed", failure.getErrorMessage())
        self.assertEqual(self.reactor.left(), [])

    def test_cancel(self):
        """Whoever cancels is told so, and no other signal is sent."""
        pid, _ = self.start(STUBBORN)
        d = self.kill(pid)
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.assertEqual(self.reactor.left(), [])
        self.reactor.advance(2 * KILL_AFTER)
        self.assertEqual(os.waitpid(pid, os.WNOHANG), (0, 0))

    def test_reactorStops(self):
        """The reactor does not stop before the process has ended."""
        pid, _ = self.start(STUBBORN)
        d = self.kill(pid)
        (patience,) = self.reactor.stopSoon()
        self.assertNoResult(patience)
        self.step(KILL_AFTER)
        self.assertEqual(ended(pid), signal.SIGKILL)
        self.reactor.advance(LOOK_LAST)
        self.assertIsNone(self.successResultOf(patience))
        self.assertIs(self.successResultOf(d), True)
        self.assertEqual(self.reactor.left(), [])
