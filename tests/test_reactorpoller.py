"""
How the near end of a pipe learns of an answer from the reactor itself.
"""

import os
import sys
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from twisted.internet.defer import gatherResults, inlineCallbacks
from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from asynqueue import reactors
from asynqueue.packets import STRETCH, announcement
from asynqueue.reactorpoller import ReactorPoller
from asynqueue.streams import SOME, Receiver, send
from asynqueue.vigil import ANSWER_SOON
from tests.listening import WatchingReactor
from tests.questions import Questions
from tests.support import SteppedReactor, leavesNothing, threads, unwrap, wrap

REACTORS = ("epoll", "poll", "select", "asyncio")

PROGRAM = """
import os, signal, sys
from twisted.application.reactors import installReactor
from twisted.internet.task import react
installReactor(sys.argv[1])
from asynqueue import ProcessQueue

async def main(reactor):
    queue = ProcessQueue(1, context="fork", poller="reactor")
    print(await queue.call(len, "abc"))
    print(len(await queue.call(bytes, 5_000_000)))
    print(await queue.call(len, bytes(5_000_000)))
    try:
        await queue.call(os.kill, await queue.call(os.getpid), signal.SIGKILL)
    except Exception as e:
        print(type(e).__name__)
    print([item async for item in await queue.call(iter, [1, 2])])
    idle = await queue.call(os.getpid)
    os.kill(idle, signal.SIGKILL)
    while not queue.deaths[-1].pid == idle:
        await queue.call(os.getpid)
    print(await queue.call(len, "abcd"))
    await queue.shutdown()
    print(type(reactor).__name__, len(reactor.getDelayedCalls()))

react(main)
"""

PRINTED = ["3", "5000000", "5000000", "WorkerDied", "[1, 2]", "4"]


class EachReactorTests(TestCase):
    @inlineCallbacks
    def test_program(self):
        """It works under each reactor, from the first call to the last."""
        path = Path(self.mktemp()).absolute()
        path.write_text(PROGRAM)
        root = str(Path(__file__).parents[1])
        runs = yield gatherResults(
            getProcessOutputAndValue(
                sys.executable,
                [str(path), reactor],
                {**os.environ, "PYTHONPATH": root},
            )
            for reactor in REACTORS
        )
        for reactor, (out, err, code) in zip(REACTORS, runs, strict=True):
            *printed, last = out.decode().splitlines() or [""]
            self.assertEqual((printed, code), (PRINTED, 0), err.decode())
            self.assertTrue(last.lower().startswith(reactor), last)
            self.assertTrue(last.endswith(" 0"), last)


class StepsTests(SynchronousTestCase):
    """
    A poller whose reactor is stepped.
    """

    def setUp(self):
        leavesNothing(self)
        self.reactor = WatchingReactor()
        self.poller = ReactorPoller(reactor=self.reactor)
        self.near, self.far = Pipe()
        self.addCleanup(self.poller.stop)
        self.addCleanup(self.far.close)
        self.questions = Questions(self.poller)
        self.questions.connect(self.near)

    def ask(self, contents):
        """
        @return: A Deferred of the bytes that answer these.
        """
        return self.questions.ask(wrap(contents)).addCallback(unwrap)

    def watched(self):
        """
        @return: How often the reactor is to tell of what can be read, and of room.
        """
        return len(self.reactor.readers), len(self.reactor.writers)

    def test_interface(self):
        """It is what a reactor can watch, for as long as it has a pipe."""
        verifyObject(IReadWriteDescriptor, self.poller)
        self.assertEqual(self.poller.fileno(), self.near.fileno())
        self.assertEqual(self.poller.logPrefix(), "ReactorPoller")
        self.assertEqual(self.watched(), (1, 0))
        self.successResultOf(self.poller.hangUp())
        self.assertEqual(self.watched(), (0, 0))
        self.assertEqual(self.poller.fileno(), -1)

    def test_cannotWatch(self):
        """A reactor that cannot watch pipes is refused, and what to do is told."""
        error = self.assertRaises(ValueError, ReactorPoller, reactor=SteppedReactor())
        self.assertIn("cannot watch pipes", str(error))
        self.assertIn("'thread'", str(error))
        self.patch(reactors, "os", SimpleNamespace(name="nt"))
        self.assertRaises(ValueError, ReactorPoller, reactor=WatchingReactor())

    def turnsFor(self, seconds):
        """
        @return: How many times the reactor is made to turn, in steps of a fifth of the
            time in which an answer is soon.
        """
        turns = 0
        end = self.reactor.rightNow + seconds
        while self.reactor.getDelayedCalls():
            self.reactor.turn()
            turns += 1
            self.reactor.rightNow = min(self.reactor.rightNow + ANSWER_SOON / 5, end)
        return turns

    def test_staysAwake(self):
        """It keeps the reactor turning for an answer, if the last one came soon."""
        for soon, turns in ((False, 6), (False, 1), (True, 1), (False, 6), (False, 1)):
            d = self.ask(b"question")
            began = self.reactor.rightNow
            self.assertEqual(self.turnsFor(ANSWER_SOON), turns)
            send(self.far, wrap(b"answer"))
            self.reactor.rightNow = began + ANSWER_SOON * (0.9 if soon else 1.1)
            self.poller.doRead()
            self.assertEqual(self.successResultOf(d), b"answer")
            # Nothing to be awake for.
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_told(self):
        """An answer is read when the reactor tells of it, without any call to come."""
        d = self.ask(b"question")
        self.assertEqual(unwrap(Receiver(self.far).receive()), b"question")
        send(self.far, wrap(b"answer"))
        self.assertNoResult(d)
        self.poller.doRead()
        self.assertEqual(self.successResultOf(d), b"answer")
        self.assertEqual(self.watched(), (1, 0))

    def test_room(self):
        """The reactor tells of room while something waits for it; no thread does."""
        before = threads()
        d = self.ask(bytes(2 * STRETCH))
        self.assertEqual(self.watched(), (1, 1))
        self.assertEqual(threads(), before)
        receiver = Receiver(self.far)
        os.set_blocking(self.far.fileno(), False)
        while self.reactor.writers:
            self.poller.doWrite()
            with self.assertRaises(BlockingIOError):
                self.assertEqual(len(unwrap(receiver.receive())), 2 * STRETCH)
                receiver.receive()
        self.assertEqual(self.watched(), (1, 0))
        send(self.far, wrap(b"answer"))
        self.poller.doRead()
        self.assertEqual(self.successResultOf(d), b"answer")

    def test_bounded(self):
        """No more is read than so much in one turn of the reactor."""
        d = self.ask(b"question")
        fill = mock.Mock(side_effect=lambda _, views: len(views[0]))
        with mock.patch.object(os, "readv", fill):
            os.write(self.far.fileno(), announcement([b"", bytes(3 * STRETCH)]))
            self.poller.doRead()
            for n in range(1, 4):
                self.assertNoResult(d)
                self.poller.doRead()
                self.assertEqual(fill.call_count, n)
        self.assertEqual(len(self.successResultOf(d)), 3 * STRETCH)
        with mock.patch.object(os, "read", return_value=b"") as read:
            self.poller.doRead()
            read.assert_called_once_with(self.near.fileno(), SOME)

    def test_endWhileIdle(self):
        """
        An end that nobody waits for is seen, and not told of for ever; what is asked
        then fails.
        """
        self.far.close()
        self.poller.doRead()
        self.assertEqual(self.watched(), (0, 0))
        d = self.ask(b"question")
        self.assertEqual(self.watched(), (1, 1))
        self.poller.doRead()
        self.failureResultOf(d, BrokenPipeError)
        self.assertEqual(self.watched(), (0, 0))

    def test_lost(self):
        """An end that is told as such comes after the answers that are there."""
        ds = [self.ask(b"question") for _ in range(2)]
        send(self.far, wrap(b"answer"))
        self.far.close()
        # As a reactor does it.
        self.reactor.removeReader(self.poller)
        self.poller.connectionLost(None)
        self.assertEqual(self.successResultOf(ds[0]), b"answer")
        self.failureResultOf(ds[1], ConnectionResetError)
        self.assertEqual(self.watched(), (0, 0))

    def test_lostByReactor(self):
        """If the reactor lets go of the pipe, what is asked fails."""
        d = self.ask(b"question")
        self.poller.connectionLost(None)
        self.failureResultOf(d, EOFError)

    def test_late(self):
        """
        What the reactor had still to tell when all was over is of no interest: it may
        tell of more than one thing in a turn.
        """
        self.ask(bytes(2 * STRETCH)).addErrback(lambda _: None)
        self.assertEqual(self.watched(), (1, 1))
        self.successResultOf(self.poller.hangUp())
        self.poller.doRead()
        self.poller.doWrite()
        self.poller.connectionLost(None)
        self.assertEqual(self.watched(), (0, 0))
