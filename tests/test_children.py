"""
Starting, watching and ending the processes of workers.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from asynqueue import children
from asynqueue.children import KILL_AFTER, Child, getContext
from asynqueue.entry import Settings
from asynqueue.errors import StartFailed
from asynqueue.messages import Status
from tests import deeds
from tests.support import BOUND, Line, SteppedReactor, leavesNothing

PRELOADING = """
import multiprocessing, sys
from asynqueue.children import getContext
multiprocessing.set_forkserver_preload(["wave"])
look = "import sys; sys.exit(len({'wave', 'asynqueue.entry'} & set(sys.modules)))"
process = getContext("forkserver").Process(target=exec, args=(look,))
process.start()
process.join()
print(process.exitcode)
"""


class ContextTests(SynchronousTestCase):
    def test_default(self):
        """Without a context, it is the fork server's where there is one."""
        self.assertEqual(getContext().get_start_method(), "forkserver")
        self.patch(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
        self.assertEqual(getContext().get_start_method(), "spawn")

    def test_given(self):
        """A context can be given, or named by its start method."""
        for method in ("spawn", "forkserver", "fork"):
            context = multiprocessing.get_context(method)
            self.assertIs(getContext(method), context)
            self.assertIs(getContext(context), context)

    def test_unknown(self):
        """What is no context is refused, a name together with those there are."""
        error = self.assertRaises(ValueError, getContext, "thread")
        for text in ("'thread'", "spawn", "forkserver", "fork"):
            self.assertIn(text, str(error))
        for wrong in (3, multiprocessing, []):
            self.assertRaises(TypeError, getContext, wrong)

    def test_preload(self):
        """The application's list of what to preload grows once, where it is used."""
        server: Any = forkserver._forkserver
        self.patch(server, "_preload_modules", ["wave"])
        getContext("spawn")
        self.assertEqual(server._preload_modules, ["wave"])
        for context in (None, "forkserver", None):
            getContext(context)
        self.assertEqual(server._preload_modules, ["wave", "asynqueue.entry"])

    def test_preloaded(self):
        """The fork server's children come with both, ours and the application's."""
        done = subprocess.run(
            [sys.executable, "-c", PRELOADING],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BOUND,
        )
        self.assertEqual((done.stdout, done.stderr), ("2\n", ""))


class ChildCase(SynchronousTestCase):
    method = "spawn"

    def setUp(self):
        leavesNothing(self)
        self.addCleanup(self.assertEqual, children._living, set())
        self.reactor = SteppedReactor()

    def makeChild(self, **settings):
        context = getContext(self.method)
        settings.setdefault("forked", self.method == "fork")
        return Child(context, Settings(**settings), self.reactor)

    def line(self):
        return Line(self, self.method)

    def checkNotStarted(self, child, *texts):
        child.start()
        error = self.assertRaises(StartFailed, self.reactor.until, child.started)
        for text in texts:
            self.assertIn(text, str(error))
        self.assertIsNotNone(error.__cause__)
        self.assertNoResult(child.died)
        self.assertFalse(child.is_alive())
        self.assertEqual((child.pid, child.exitcode), (None, None))


class SpawnTests(ChildCase):
    def test_life(self):
        """A child tells what it is before, while and after its process lives."""
        child = self.makeChild()
        self.assertFalse(child.is_alive())
        child.start()
        self.assertNoResult(child.started)
        near = self.reactor.until(child.started)
        self.assertTrue(child.is_alive())
        os.kill(child.pid, 0)
        self.assertNoResult(child.died)
        near.close()
        self.assertEqual(self.reactor.until(child.died), 0)
        self.assertFalse(child.is_alive())
        self.assertEqual(child.exitcode, 0)
        self.assertRaises(ProcessLookupError, os.kill, child.pid, 0)

    def test_exitCodes(self):
        """Whatever code a process ends with is known, and so is a signal."""
        for f, given, code in (
            (deeds.exitWith, 3, 3),
            (deeds.killSelf, signal.SIGUSR1, -signal.SIGUSR1),
        ):
            line = self.line()
            line.begin(f, given).addErrback(lambda _: None)
            self.assertEqual(line.end(), code)
            self.assertEqual(line.child.exitcode, code)

    def test_terminate(self):
        """A busy process ends by SIGTERM, and is not killed later on."""
        line = self.line()
        line.begin(deeds.grind).addErrback(lambda _: None)
        line.child.terminate()
        self.assertEqual(line.end(), -signal.SIGTERM)
        later = [call.func for call in line.reactor.getDelayedCalls()]
        self.assertNotIn(line.child.kill, later)

    def test_killed(self):
        """One that does not follow SIGTERM is killed a while after the first."""
        line = self.line()
        line.call(deeds.ignoreTerminate)
        line.child.terminate()
        line.reactor.advance(KILL_AFTER / 2)
        line.child.terminate()
        self.assertEqual(line.call(int), (Status.RESULT, 0))
        (kill,) = line.reactor.getDelayedCalls()
        self.assertEqual(kill.getTime() - line.reactor.seconds(), KILL_AFTER / 2)
        line.reactor.advance(KILL_AFTER / 2)
        self.assertEqual(line.end(), -signal.SIGKILL)

    def test_endedAlready(self):
        """To end a process that has ended does nothing."""
        line = self.line()
        line.child.kill()
        self.assertEqual(line.end(), -signal.SIGKILL)
        line.child.terminate()
        line.child.kill()
        self.assertEqual(line.reactor.getDelayedCalls(), [])

    def test_killedBeforeStart(self):
        """A child that is to end before there is a process ends as soon as it is."""
        for end in (Child.kill, Child.terminate):
            child = self.makeChild()
            with children._starting:
                child.start()
                end(child)
            self.reactor.until(child.started).close()
            self.assertEqual(self.reactor.until(child.died), -signal.SIGKILL)
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cannotBeStarted(self):
        """A process that may not be started fails, with the reason."""
        current = multiprocessing.current_process()
        current.daemon = True
        self.addCleanup(setattr, current, "daemon", False)
        self.checkNotStarted(self.makeChild(), "AssertionError", "daemonic")

    def test_grandchild(self):
        """The end of a process is seen though a child of its own lives on."""
        line = self.line()
        grandchild = line.call(deeds.leaveChild)[1]
        self.addCleanup(os.kill, grandchild, signal.SIGKILL)
        line.child.kill()
        self.assertEqual(line.end(), -signal.SIGKILL)

    def test_interpreterExits(self):
        """What lives when the interpreter exits is killed and waited for, there."""
        line = self.line()
        children._killAll(os.getpid() + 1)
        self.assertEqual(line.call(int), (Status.RESULT, 0))
        children._killAll(os.getpid())
        self.assertRaises(ProcessLookupError, os.kill, line.child.pid or 0, 0)
        self.assertEqual(line.end(), -signal.SIGKILL)


class ForkServerTests(SpawnTests):
    method = "forkserver"


class ForkTests(SpawnTests):
    method = "fork"


class OddTests(ChildCase):
    def test_reapedByOthers(self):
        """If somebody else reaps a process, it has ended, nobody knows how."""
        for self.method in ("spawn", "fork"):
            line = self.line()
            pid = line.child.pid or 0
            with children._starting:
                line.child.kill()
                os.waitpid(pid, 0)
            self.assertIsNone(line.end())
            self.assertFalse(line.child.is_alive())

    def test_cannotBePickled(self):
        """A process that is told what cannot be pickled is not started."""
        for self.method in ("spawn", "forkserver"):
            child = self.makeChild(raw=deeds.Closed())
            self.checkNotStarted(child, "RuntimeError: not to be pickled")

    def test_noPipe(self):
        """A process is not started if there is no pipe for it."""

        class Context:
            def Pipe(self):
                raise OSError("Too many open files")

        context: Any = Context()
        child = Child(context, Settings(), self.reactor)
        self.checkNotStarted(child, "OSError: Too many open files")

    def test_noThread(self):
        """Nor is it if there is no thread to watch it."""

        def start(thread):
            raise RuntimeError("can't start new thread")

        child = self.makeChild()
        self.patch(threading.Thread, "start", start)
        self.checkNotStarted(child, "RuntimeError: can't start new thread")
        self.assertNotIn(child, children._living)
