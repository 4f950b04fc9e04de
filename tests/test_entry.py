"""
Where a worker process begins.
"""

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import threading
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from asynqueue import entry
from asynqueue.messages import Status
from tests import deeds
from tests.support import BOUND, Line, leavesNothing

PARENT = Path(__file__).with_name("parent.py")


class SignalsTests(SynchronousTestCase):
    def setUp(self):
        leavesNothing(self)

    def have(self, signum, handler):
        self.addCleanup(signal.signal, signum, signal.signal(signum, handler))

    def test_reset(self):
        """Handlers of the parent are none of the child, what it ignores is."""
        self.have(signal.SIGUSR1, lambda *_: None)
        self.have(signal.SIGTERM, signal.SIG_IGN)
        self.have(signal.SIGUSR2, signal.SIG_IGN)
        here, there = socket.socketpair()
        for end in (here, there):
            self.addCleanup(end.close)
            end.setblocking(False)
        self.addCleanup(signal.set_wakeup_fd, signal.set_wakeup_fd(there.fileno()))
        line = Line(self, "fork")
        for signum, handler in (
            (signal.SIGUSR1, signal.SIG_DFL),
            (signal.SIGTERM, signal.SIG_DFL),
            (signal.SIGUSR2, signal.SIG_IGN),
            (signal.SIGINT, signal.SIG_IGN),
            (signal.SIGPIPE, signal.SIG_IGN),
        ):
            got = line.call(signal.getsignal, signum)
            self.assertEqual(got, (Status.RESULT, handler))
        self.assertEqual(line.call(signal.set_wakeup_fd, -1), (Status.RESULT, -1))

    def test_effect(self):
        """SIGINT does nothing to a child, however it was started."""
        for method in ("spawn", "forkserver", "fork"):
            line = Line(self, method)
            os.kill(line.child.pid or 0, signal.SIGINT)
            self.assertEqual(line.call(int), (Status.RESULT, 0))
            line.cut()

    def test_otherThread(self):
        """In a thread that may not set handlers, none is set."""
        before = [signal.getsignal(n) for n in signal.valid_signals()]
        raised: list[Any] = []
        self.patch(threading, "excepthook", raised.append)
        thread = threading.Thread(target=entry.resetSignals)
        thread.start()
        thread.join(BOUND)
        self.assertEqual(raised, [])
        self.assertEqual([signal.getsignal(n) for n in signal.valid_signals()], before)


class PrintTests(SynchronousTestCase):
    def test_lines(self):
        """A line that is printed into a pipe is in it at once."""
        written = io.BytesIO()
        self.patch(sys, "stdout", io.TextIOWrapper(written))
        entry.printLines()
        print("a line")
        self.assertEqual(written.getvalue(), b"a line\n")

    def test_other(self):
        """What somebody else has put in the place of the output is left alone."""
        self.patch(sys, "stdout", io.StringIO())
        entry.printLines()


class DescriptorsTests(SynchronousTestCase):
    def setUp(self):
        leavesNothing(self)

    def link(self, line, fd):
        return line.call(os.readlink, f"/proc/self/fd/{fd}")[1]

    def test_forked(self):
        """A forked child has its pipe, its parent's and the tracker's, only."""
        here, there = socket.socketpair()
        with open(self.mktemp(), "wb") as file, here, there:
            line = Line(self, "fork")
            opened = line.call(deeds.opened)[1]
            for inherited in (file, here, there):
                self.assertEqual(self.link(line, inherited.fileno()), os.devnull)
        tracker = getattr(resource_tracker._resource_tracker, "_fd", None)
        self.assertIn(tracker, opened)
        own = {fd: what for fd, what in opened.items() if fd not in (0, 1, 2, tracker)}
        kinds = sorted(what.partition(":")[0] for what in own.values())
        self.assertEqual(kinds, ["pipe", "socket"])

    def test_numbersStayTaken(self):
        """What the child has inherited and writes to goes nowhere, and harms nobody."""
        with open(self.mktemp(), "w+b", buffering=0) as file:
            line = Line(self, "fork")
            fd = file.fileno()
            mine = line.call(os.open, self.mktemp(), os.O_RDWR | os.O_CREAT)[1]
            self.assertNotEqual(mine, fd)
            self.assertEqual(line.call(os.write, fd, b"x"), (Status.RESULT, 1))
            self.assertEqual(line.call(os.fstat, mine)[1].st_size, 0)
            self.assertEqual(os.fstat(fd).st_size, 0)

    def test_siblings(self):
        """A child sees the end of its pipe though a later one was forked since."""
        first, second = Line(self, "fork"), Line(self, "fork")
        first.reactor.until(first.poller.hangUp())
        self.assertEqual(first.end(), 0)
        self.assertTrue(second.child.is_alive())

    def test_otherListing(self):
        """So it is where descriptors are listed elsewhere, as on other systems."""
        self.patch(entry, "_onLinux", False)
        with open(self.mktemp(), "wb") as file:
            line = Line(self, "fork")
            self.assertEqual(self.link(line, file.fileno()), os.devnull)

    def test_started(self):
        """A child that is no copy has opened nothing of the parent's anyway."""
        with open(self.mktemp(), "wb") as file:
            for method in ("spawn", "forkserver"):
                line = Line(self, method)
                opened = line.call(deeds.opened)[1].values()
                self.assertNotIn(os.path.abspath(file.name), opened)


class ParentTests(SynchronousTestCase):
    """
    What becomes of the children of a parent that is killed outright.
    """

    def setUp(self):
        leavesNothing(self)

    def test_cannotBeIgnored(self):
        """The signal that comes with a parent's end is one that cannot be ignored."""
        line = Line(self, "fork")
        theirs, end = line.call(os.pipe)[1]
        line.call(signal.signal, signal.SIGIO, signal.SIG_IGN)
        status = line.call(entry.dieWithParent, theirs)[0]
        self.assertIs(status, Status.RESULT)
        line.begin(os.close, end).addErrback(lambda _: None)
        self.assertEqual(line.end(), -signal.SIGKILL)

    def test_goneBefore(self):
        """Where a parent has gone before, there is no signal, but the same end."""
        line = Line(self, "fork")
        theirs, end = line.call(os.pipe)[1]
        line.call(os.close, end)
        line.begin(entry.dieWithParent, theirs).addErrback(lambda _: None)
        self.assertEqual(line.end(), 1)

    def check(self, method, watch, *doing):
        parent = subprocess.Popen(
            [sys.executable, str(PARENT), method, watch, *doing],
            env={**os.environ, "PYTHONPATH": str(PARENT.parent.parent)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        pids = [parent.pid]
        timer = threading.Timer(BOUND, self.killAll, (pids,))
        timer.start()
        self.addCleanup(timer.cancel)
        with parent:
            assert parent.stdout is not None
            for _ in doing:
                pids.append(int(parent.stdout.readline()))
            parent.kill()
            # It ends when the last has ended who could write there.
            self.assertEqual(parent.stdout.read(), b"")
        self.assertFalse(timer.finished.is_set(), "only now that they were killed")
        self.assertEqual(parent.returncode, -signal.SIGKILL)
        self.assertEqual(len(set(pids)), len(pids))

    def killAll(self, pids):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def test_killed(self):
        """They go with it, even amid a call that lets no other thread run."""
        for method in ("spawn", "forkserver", "fork"):
            self.check(method, "kernel", "idle", "spin", "grind")

    def test_killedBefore(self):
        """They go if it has gone before they have ever heard from it."""
        for method in ("spawn", "forkserver", "fork"):
            self.check(method, "kernel", "unheard", "unheard")

    def test_thread(self):
        """Where the kernel does not help, a thread sees to it."""
        for doing in (("idle", "spin", "wait"), ("unheard",)):
            self.check("fork", "thread", *doing)
