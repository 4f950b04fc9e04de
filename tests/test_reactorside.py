"""
A worker process's loop, beside a reactor.
"""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.pollreactor import PollReactor
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.messages import Close, Next, Status, Stop
from asynqueue.reactors import theReactor
from asynqueue.reactorside import renew
from tests import deeds
from tests.support import BOUND, Line, leavesNothing

PROGRAM = """
import os
from contextlib import ExitStack
from twisted.internet import reactor
from tests import deeds
from tests.support import Line

reactor.callWhenRunning(os._exit, 9)

if __name__ == "__main__":
    for method in ("spawn", "forkserver"):
        with ExitStack() as stack:
            stack.addCleanup = stack.callback
            lines = [Line(stack, method, useReactor=True) for _ in range(2)]
            for _ in range(20):
                answers = [line.begin(deeds.later, 1) for line in lines]
                for line, answer in zip(lines, answers):
                    line.reactor.until(answer)
        print(method)
"""
"""
A program that gives its reactor something to do when it is imported.
"""


def dally():
    """Leaves the reactor with something to do for long."""
    deferLater(theReactor(), 3600)


class SpawnTests(SynchronousTestCase):
    method = "spawn"

    def setUp(self):
        leavesNothing(self)
        self.line = Line(self, self.method, useReactor=True)

    def begin(self, f, *args):
        """
        Sends a call that no answer comes of.
        """
        self.line.begin(f, *args).addErrback(lambda _: None)

    def checkItems(self, ID, *items):
        """
        Checks what an iterator of the process goes on with, and that it ends.
        """
        self.assertEqual([self.take(ID) for _ in items], [*items])
        self.assertIs(self.line.ask(Next(3, ID))[0].status, Status.NONE)

    def take(self, ID):
        """
        @return: The next item of an iterator of the process.
        """
        (pickled,) = self.line.ask(Next(2, ID))[1].pickles
        return pickle.loads(pickled)

    def test_results(self):
        """A call's result is what its Deferred or coroutine comes to, if any."""
        for f in (deeds.later, deeds.slowly, int):
            self.assertEqual(self.line.call(f, 7), (Status.RESULT, 7))

    def test_failures(self):
        """So is its error, and the process goes on whatever that is."""
        for error in (ValueError("no"), SystemExit(3), KeyboardInterrupt()):
            for f in (deeds.later, deeds.slowly):
                status, raised = self.line.call(f, error)
                self.assertIs(status, Status.ERROR)
                self.assertEqual(raised.name, type(error).__name__)
                self.assertEqual(raised.text, str(error))
        self.assertEqual(self.line.call(sys.exit)[1].name, "SystemExit")
        self.assertEqual(self.line.call(int), (Status.RESULT, 0))

    def test_iterators(self):
        """The items of an iterator are what its Deferreds come to, in order."""
        status, iteration = self.line.call(deeds.laters, 1, None, 3)
        self.assertEqual((status, iteration.first), (Status.ITERATION, [1]))
        self.checkItems(iteration.ID, None, 3)
        # It may itself take its time.
        status, iteration = self.line.call(deeds.later, iter([1, 2]))
        self.assertEqual((status, iteration.first), (Status.ITERATION, [1]))
        self.checkItems(iteration.ID, 2)
        # Raw it crosses as it is, its Deferreds not begun.
        status, iterator = self.line.call(deeds.laters, 1, 2, raw=True)
        self.assertIs(status, Status.RESULT)
        self.assertIsInstance(iterator, map)

    def test_brokenOff(self):
        """An item that fails ends its iterator, and one can be closed."""
        ID = self.line.call(deeds.laters, 1, ValueError("no"), 3)[1].ID
        answer, raised = self.line.ask(Next(2, ID))
        self.assertEqual((answer.status, raised.text), (Status.ERROR, "no"))
        self.assertIs(self.line.ask(Next(3, ID))[0].status, Status.ERROR)
        ID = self.line.call(deeds.items, 1, 2)[1].ID
        self.assertIs(self.line.ask(Close(4, ID))[0].status, Status.NONE)
        self.assertIs(self.line.ask(Next(5, ID))[0].status, Status.ERROR)

    def test_reactor(self):
        """Calls are made and items taken by the reactor, and SIGCHLD is heard."""
        call = self.line.call(deeds.inReactorThread)
        self.assertEqual(call, (Status.RESULT, True))
        iteration = self.line.call(iter, deeds.inReactorThread, None)[1]
        self.assertEqual(iteration.first, [True])
        self.assertEqual(self.take(iteration.ID), True)
        self.assertEqual(self.line.call(deeds.dribble), (Status.RESULT, 3))

    def test_reactorStopped(self):
        """A call that stops the reactor ends the process."""
        self.begin(deeds.stopReactor)
        self.assertEqual(self.line.end(), 0)

    def test_stop(self):
        """The process ends when it is asked to, though the reactor has things to do."""
        self.line.call(dally)
        self.assertIs(self.line.ask(Stop(2))[0].status, Status.NONE)
        self.assertEqual(self.line.end(), 0)

    def test_nobodyThere(self):
        """The process ends when the near end is closed."""
        self.line.reactor.until(self.line.poller.hangUp())
        self.assertEqual(self.line.end(), 0)

    def test_terminate(self):
        """SIGTERM ends it, also while its reactor never gets its turn."""
        self.begin(deeds.grind)
        os.kill(self.line.child.pid or 0, signal.SIGTERM)
        self.assertEqual(self.line.end(), -signal.SIGTERM)

    def test_terminateWaiting(self):
        """So it does while the reactor waits for a Deferred."""
        self.begin(deeds.never)
        os.kill(self.line.child.pid or 0, signal.SIGTERM)
        self.assertEqual(self.line.end(), -signal.SIGTERM)


class ForkServerTests(SpawnTests):
    method = "forkserver"


class RenewTests(SynchronousTestCase):
    def make(self, kind):
        """
        @return: A reactor that has run, and has been given more to do since.
        """
        reactor: Any = kind()
        self.addCleanup(reactor.waker.connectionLost, None)
        reactor.callLater(0, reactor.stop)
        reactor.run(installSignalHandlers=False)
        for give in (reactor.callWhenRunning, reactor.callFromThread):
            give(self.fail, "was not to be done")
        reactor.callLater(0, self.fail, "was not to be done")
        # Its threads would not be there in a copy.
        self.assertIsNotNone(reactor.getThreadPool())
        return reactor

    def test_anew(self):
        """A reactor that was used is as new: it runs, and does what it is given now."""
        for kind in (SelectReactor, PollReactor, EPollReactor):
            reactor = self.make(kind)
            waker = reactor.waker
            renew(reactor)
            self.addCleanup(reactor.waker.connectionLost, None)
            self.assertIsInstance(reactor, kind)
            self.assertEqual(reactor.getDelayedCalls(), [])
            self.assertIsNone(reactor.threadpool)
            self.assertNotIn(waker, reactor.getReaders())
            self.assertNotIn(waker.i, (reactor.waker.i, reactor.waker.o))
            done: list[int] = []
            reactor.callFromThread(done.append, 1)
            reactor.callLater(0, reactor.stop)
            reactor.run(installSignalHandlers=False)
            self.assertEqual(done, [1])

    def test_importedBefore(self):
        """The main module, and so the fork server, may import and use the reactor."""
        path = Path(self.mktemp())
        path.write_text(PROGRAM)
        done = subprocess.run(
            [sys.executable, str(path)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BOUND,
        )
        self.assertEqual((done.stdout, done.stderr), ("spawn\nforkserver\n", ""))
