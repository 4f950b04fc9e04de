"""
How the near end of a pipe learns of an answer.
"""

import itertools
import multiprocessing
import threading
from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from asynqueue.interfaces import IPoller
from asynqueue.messages import AT_ONCE, Hello, announcement, pack
from asynqueue.pollers import (
    LONGEST,
    PollerState,
    ThreadPoller,
    intervals,
    makePoller,
)
from tests.fakes import StepPoller

SHORT = pack(Hello(1))
LONG = pack(Hello(1), b"x" * (AT_ONCE + 1))
ANNOUNCEMENT = announcement(LONG) or b""


class FakeConnection:
    """
    The near end of a pipe on a clock: it has an answer from a given time on.

    @ivar looks: When each look from the thread was over, in seconds.
    """

    def __init__(self, clock, answerAt=None):
        self.clock = clock
        self.answerAt = answerAt
        self.packets = deque([b"answer"])
        self.sent = []
        self.looks = []
        self.closed = False

    def fileno(self):
        raise OSError("No descriptor")

    def send_bytes(self, packet):
        self.sent.append(packet)

    def poll(self, timeout):
        due = self.answerAt is not None and (
            self.answerAt <= self.clock.seconds() + timeout
        )
        if timeout:
            self.clock.advance(
                min(timeout, self.answerAt - self.clock.seconds()) if due else timeout
            )
            self.looks.append(self.clock.seconds())
        return due

    def recv_bytes(self):
        if not self.packets:
            raise EOFError
        return self.packets.popleft()

    def close(self):
        self.closed = True


class StepLooper:
    """
    A looper whose thread runs when a test says so.
    """

    def __init__(self):
        self.jobs = []
        self.stopped = False

    def deferToThread(self, f, *args):
        d = Deferred()
        self.jobs.append((d, f, args))
        return d

    def step(self):
        d, f, args = self.jobs.pop(0)
        try:
            result = f(*args)
        except Exception:
            d.errback()
        else:
            d.callback(result)

    def stop(self):
        self.stopped = True
        return succeed(None)


class StepTests(SynchronousTestCase):
    def makePoller(self, answerAt=None, **kw):
        self.clock = Clock()
        looper: Any = StepLooper()
        self.looper = looper
        self.connection = FakeConnection(self.clock, answerAt)
        poller = ThreadPoller(reactor=self.clock, looper=looper, **kw)
        poller.connect(self.connection)
        return poller

    def test_firstLook(self):
        """An answer that is there right after sending is taken at once."""
        d = self.makePoller(answerAt=0).ask(SHORT)
        self.assertEqual(self.successResultOf(d), b"answer")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_secondLook(self):
        """One that is there in the next iteration needs no thread."""
        poller = self.makePoller()
        d = poller.ask(SHORT)
        self.assertIs(poller.state, PollerState.LOOKING)
        self.connection.answerAt = 0
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(d), b"answer")
        self.assertEqual(self.looper.jobs, [])

    def test_threadWaits(self):
        """After two looks in vain the thread waits, and is there on time."""
        poller = self.makePoller(answerAt=0.5)
        d = poller.ask(SHORT)
        self.clock.advance(0)
        self.assertIs(poller.state, PollerState.WAITING)
        self.looper.step()
        self.assertEqual(self.successResultOf(d), b"answer")
        self.assertEqual(self.clock.seconds(), 0.5)

    def test_longRequest(self):
        """What may take long to send is sent by the thread."""
        poller = self.makePoller(answerAt=0)
        d = poller.ask(LONG)
        self.assertEqual(self.connection.sent, [])
        self.looper.step()
        self.assertEqual(self.connection.sent, [LONG])
        self.assertEqual(self.successResultOf(d), b"answer")

    def test_longAnswer(self):
        """What may take long to read is announced, and read by the thread."""
        poller = self.makePoller(answerAt=0)
        self.connection.packets = deque([ANNOUNCEMENT, LONG])
        d = poller.ask(SHORT)
        self.assertNoResult(d)
        self.assertEqual(len(self.connection.packets), 1)
        self.looper.step()
        self.assertEqual(self.successResultOf(d), LONG)

    def test_hangUpWhileLooking(self):
        """Hanging up between the looks ends the wait, and closes the pipe."""
        poller = self.makePoller()
        d = poller.ask(SHORT)
        hungUp = poller.hangUp()
        self.failureResultOf(d, EOFError)
        self.successResultOf(hungUp)
        self.assertTrue(self.connection.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_hangUpWhileWaiting(self):
        """A thread that cannot be woken finds out at its next look."""
        poller = self.makePoller()
        d = poller.ask(SHORT)
        self.clock.advance(0)
        hungUp = poller.hangUp()
        self.assertNoResult(hungUp)
        self.looper.step()
        self.failureResultOf(d, EOFError)
        self.successResultOf(hungUp)

    def test_answerBeforeHangUp(self):
        """An answer that is there already when I hang up is delivered."""
        poller = self.makePoller()
        d = poller.ask(SHORT)
        self.connection.answerAt = 0
        poller.hangUp()
        self.assertEqual(self.successResultOf(d), b"answer")

    def test_stop(self):
        """Stopping hangs up, then ends the thread; asking fails after that."""
        poller = self.makePoller()
        self.successResultOf(poller.stop())
        self.assertTrue(self.connection.closed)
        self.assertTrue(self.looper.stopped)
        self.failureResultOf(poller.ask(SHORT), EOFError)

    def test_askedAgainFromTheAnswer(self):
        """A request may follow from within the callback of the one before."""
        poller = self.makePoller(answerAt=0)
        self.connection.packets = deque([b"one", b"two"])
        d = poller.ask(SHORT).addCallback(lambda _: poller.ask(SHORT))
        self.assertEqual(self.successResultOf(d), b"two")


class BackoffTests(SynchronousTestCase):
    """
    What the reference page says of the backoff, on a clock that the thread's
    waits advance.
    """

    def looks(self, seconds, interval=0.001, backoff=1.10):
        """
        @return: When each look in vain was over that a call of a duration was
            given, in seconds.
        """
        test = StepTests()
        poller = test.makePoller(answerAt=seconds, interval=interval, backoff=backoff)
        d = poller.ask(SHORT)
        test.clock.advance(0)
        test.looper.step()
        self.assertEqual(self.successResultOf(d), b"answer")
        self.assertAlmostEqual(test.clock.seconds(), seconds)
        return test.connection.looks[:-1]

    def lastInterval(self, looks):
        return looks[-1] - looks[-2]

    def test_milliseconds(self):
        """
        At 1 ms and 1.10 there are 7 looks after 10 ms and another 4 after 20;
        the interval is then 2 and 3 ms.
        """
        self.assertEqual(len(self.looks(0.010)), 7)
        self.assertAlmostEqual(0.001 * 1.1**8, 0.0021, 4)
        self.assertEqual(len(self.looks(0.020)), 7 + 4)
        self.assertAlmostEqual(0.001 * 1.1**12, 0.0031, 4)

    def test_page(self):
        """
        The page's 7 looks after 100 ms, and another 4 after 200, are those of an
        interval of 10 ms; with 1 ms there are 25 and 31.
        """
        self.assertEqual(len(self.looks(0.1, interval=0.01)), 7)
        self.assertEqual(len(self.looks(0.2, interval=0.01)), 7 + 4)
        self.assertEqual(len(self.looks(0.1)), 25)
        self.assertEqual(len(self.looks(0.2)), 31)

    def test_second(self):
        """After a second there are 48 looks, and the interval is 0.1 second."""
        looks = self.looks(1.0)
        self.assertEqual(len(looks), 48)
        self.assertApproximates(0.001 * 1.1**48, 0.1, 0.005)
        self.assertApproximates(self.lastInterval(looks), 0.09, 0.005)

    def test_smallerBackoff(self):
        """At 1.05 the 81st look is the first that a second has passed by."""
        self.assertEqual(len(self.looks(1.0, backoff=1.05)) + 1, 81)

    def test_proportion(self):
        """
        The interval is a tenth of the time waited at 1.10, half of that at 1.05
        (and a little more: by the interval that it began with).
        """
        for backoff, share in ((1.10, 0.1), (1.05, 0.05)):
            looks = self.looks(5.0, backoff=backoff)
            for before, after in itertools.pairwise(looks):
                self.assertAlmostEqual(after - before, share * before + 0.001)

    def test_delaysNothing(self):
        """However long it has taken, the answer is there when it comes."""
        for seconds in (0.0123, 0.4567, 3.21):
            self.looks(seconds)

    @given(st.floats(1e-4, LONGEST), st.floats(1.0, 1.3))
    @settings(deadline=None, max_examples=50)
    def test_bounded(self, interval, backoff):
        """No interval is shorter than the one before, or above the longest."""
        steps = intervals(interval, backoff)
        taken = [next(steps) for _ in range(300)]
        self.assertEqual(taken[0], interval)
        self.assertEqual(taken, sorted(taken))
        self.assertLessEqual(taken[-1], LONGEST)


class PollerContract(TestCase):
    """
    What every poller does, at a real pipe whose far end is a thread.
    """

    def makePoller(self):
        return ThreadPoller()

    def setUp(self):
        self.poller = self.makePoller()
        self.addCleanup(self.poller.stop)
        self.near, self.far = multiprocessing.Pipe()
        self.addCleanup(self.far.close)
        self.poller.connect(self.near)

    def answer(self, answer, gate=None):
        """Has the far end answer one packet, once a gate is open."""

        def run():
            packet = self.far.recv_bytes()
            if gate is not None:
                gate.wait(10)
            reply = answer(packet)
            if announcement(reply):
                self.far.send_bytes(ANNOUNCEMENT)
            self.far.send_bytes(reply)

        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)

    def test_interface(self):
        """It provides IPoller."""
        verifyObject(IPoller, self.poller)

    @inlineCallbacks
    def test_answers(self):
        """Requests are answered, short or long, one after another."""
        for size in (1, AT_ONCE, 3 << 20, 7):
            self.answer(lambda packet: packet[::-1])
            answer = yield self.poller.ask(b"ab" * size)
            self.assertEqual(answer, b"ba" * size)

    @inlineCallbacks
    def test_late(self):
        """An answer that comes late is there all the same."""
        gate = threading.Event()
        self.answer(lambda packet: b"late", gate)
        d = self.poller.ask(b"x")
        for _ in range(3):
            yield deferLater(reactor, 0)
        self.assertNoResult(d)
        gate.set()
        self.assertEqual((yield d), b"late")

    @inlineCallbacks
    def test_farEndGone(self):
        """A request fails when the far end goes, before it or after."""
        d = self.poller.ask(b"x")
        self.far.close()
        yield self.assertFailure(d, EOFError, OSError)
        yield self.assertFailure(self.poller.ask(b"x"), EOFError, OSError)

    @inlineCallbacks
    def test_unread(self):
        """A request that the far end never read fails otherwise than one it did."""
        d = self.poller.ask(b"x")
        self.far.close()
        yield self.assertFailure(d, BrokenPipeError, ConnectionResetError)
        yield self.poller.hangUp()
        near, far = multiprocessing.Pipe()
        self.poller.connect(near)
        d = self.poller.ask(b"x")
        far.recv_bytes()
        far.close()
        yield self.assertFailure(d, EOFError)

    @inlineCallbacks
    def test_hangUpInTheMiddle(self):
        """Hanging up ends a request that nobody answers, and a half-sent one."""
        for size in (1, 50 << 20):
            d = self.poller.ask(b"x" * size)
            failed = self.assertFailure(d, EOFError, OSError)
            yield deferLater(reactor, 0)
            yield self.poller.hangUp()
            yield failed
            near, far = multiprocessing.Pipe()
            self.addCleanup(far.close)
            self.poller.connect(near)

    @inlineCallbacks
    def test_hangUpTwice(self):
        """Hanging up without a pipe is over at once."""
        yield self.poller.hangUp()
        yield self.poller.hangUp()
        self.assertTrue(self.near.closed)


class ChoiceTests(SynchronousTestCase):
    def test_byName(self):
        """The default strategy has a name, and takes the pace."""
        poller = makePoller("thread", 0.01, 1.05, Clock())
        self.assertIsInstance(poller, ThreadPoller)
        self.assertEqual((poller.interval, poller.backoff), (0.01, 1.05))

    def test_own(self):
        """A poller of one's own can be handed in."""
        poller = makePoller(StepPoller, 0.01, 1.05, Clock())
        verifyObject(IPoller, poller)

    def test_bad(self):
        """What is no poller, or no pace, is refused."""
        self.assertRaises(TypeError, makePoller, lambda **kw: 7, 0.01, 1.05, Clock())
        for interval, backoff in ((0, 1.1), (2, 1.1), (0.1, 0.9), (0.1, 1.4)):
            self.assertRaises(
                ValueError, makePoller, "thread", interval, backoff, Clock()
            )
        error = self.assertRaises(ValueError, makePoller, "x", 0.01, 1.1, Clock())
        self.assertIn("thread", str(error))
