"""
What any poller has to do.
"""

import os
import threading
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.internet.task import deferLater
from zope.interface.verify import verifyObject

from asynqueue.interfaces import IPoller
from asynqueue.packets import AT_ONCE, MOST_PARTS, announcement
from asynqueue.streams import Receiver, send
from tests.questions import Questions
from tests.support import BOUND, leavesNothing, unwrap, wrap

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase

    _Base = TestCase
else:
    _Base = object

LONG = b"x" * (5 << 20) + b"y"
"""
What is more than any pipe holds: 5 MiB and a byte.
"""


@inlineCallbacks
def turns(n):
    """
    Lets the reactor turn.
    """
    for _ in range(n):
        yield deferLater(reactor, 0)


class PipeCase(_Base):
    """
    A poller on a real pipe, whose far end is read and written here.
    """

    def makePoller(self, **kw):
        """
        Override me.

        @param kw: I{interval}, I{backoff}, I{reactor}.
        @return: A new poller.
        """
        raise NotImplementedError

    @inlineCallbacks
    def setUp(self):  # type: ignore[override]
        # The reactor opens a pipe when it begins to run; so it has to run by now.
        yield turns(1)
        leavesNothing(self)
        self.poller = self.makePoller(interval=0.001, backoff=1.10, reactor=reactor)
        self.addCleanup(self.poller.stop)
        self.connect()

    def connect(self):
        self.near, self.far = Pipe()
        self.addCleanup(self.far.close)
        self.receiver = Receiver(self.far)
        self.questions = Questions(self.poller)
        self.questions.connect(self.near)

    def ask(self, contents):
        """
        @return: A Deferred of the bytes that answer these.
        """
        return self.questions.ask(wrap(contents)).addCallback(unwrap)

    def read(self):
        """
        Reads what was asked, as the far side does.
        """
        return unwrap(self.receiver.receive())

    def send(self, contents):
        """
        Answers, as the far side does.
        """
        send(self.far, wrap(contents))

    def sendHalf(self):
        """
        Answers by C{b"halffull"}, but for its second half.
        """
        os.write(self.far.fileno(), announcement(wrap(b"halffull")) + b"half")

    def serve(self, n, answer):
        """
        Has a thread answer a number of times by what a callable makes of each
        question.
        """

        def serve():
            for _ in range(n):
                self.send(answer(self.read()))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join, BOUND)

    def fails(self, d):
        """
        Asserts that a Deferred fails as one does whose pipe is broken.
        """
        return self.assertFailure(d, EOFError, OSError)

    def hasClosed(self):
        """
        Asserts that the pipe's near end is closed.
        """
        self.assertTrue(self.near.closed)
        self.assertRaises((EOFError, OSError), self.far.recv_bytes)


class PollerContract(PipeCase):
    """
    What any poller does with one packet after another.
    """

    def test_interface(self):
        """It is an L{IPoller}, at the pace that it was given."""
        verifyObject(IPoller, self.poller)
        self.assertEqual((self.poller.interval, self.poller.backoff), (0.001, 1.10))

    @inlineCallbacks
    def test_ask(self):
        """A packet that was asked arrives, and the one that answers it too."""
        d = self.ask(b"question")
        self.assertEqual(self.read(), b"question")
        self.assertNoResult(d)
        self.send(b"answer")
        self.assertEqual((yield d), b"answer")

    @inlineCallbacks
    def test_late(self):
        """An answer may come any time later."""
        d = self.ask(b"question")
        yield turns(10)
        self.assertNoResult(d)
        self.send(b"answer")
        self.assertEqual((yield d), b"answer")

    @inlineCallbacks
    def test_many(self):
        """One after another is answered, each by its own answer."""
        self.serve(200, lambda packet: packet + b"!")
        for n in range(200):
            self.assertEqual((yield self.ask(b"%d" % n)), b"%d!" % n)

    @inlineCallbacks
    def test_lengths(self):
        """Packets of any length cross, each way, those at the border too."""
        lengths = [0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 1 << 16, len(LONG) - 9]
        self.serve(2 * len(lengths), lambda packet: LONG[: int(packet)])
        for length in lengths:
            padded = b"%d" % length + b" " * length
            for packet in (b"%d" % length, padded):
                self.assertEqual(len((yield self.ask(packet))), length)

    @inlineCallbacks
    def test_parts(self):
        """A packet of any number of parts arrives, those without bytes too."""
        for n in (1, 3, MOST_PARTS):
            d = self.questions.ask([b"%d" % i * (i % 2) for i in range(n)])
            yield turns(2)
            packet = self.receiver.receive()
            self.assertEqual(packet, [b"%d" % i * (i % 2) for i in range(n)])
            send(self.far, packet)
            answer = yield d
            self.assertEqual(answer, [b"%d" % i * (i % 2) for i in range(n)])

    @inlineCallbacks
    def test_notPackets(self):
        """What is no packet fails what is asked, sooner or later."""
        for n in (0, 1, 10):
            for message in (b"", b"x" * (AT_ONCE + 1)):
                d = self.ask(b"question")
                yield turns(n)
                self.far.send_bytes(message)
                yield self.assertFailure(d, Exception)
                yield self.poller.hangUp()
                self.connect()

    @inlineCallbacks
    def test_longPacketDoesNotBlock(self):
        """A packet longer than the pipe leaves the reactor free until it is read."""
        d = self.ask(LONG)
        yield turns(10)
        self.assertNoResult(d)
        self.serve(1, lambda packet: packet[::-1])
        self.assertEqual((yield d), LONG[::-1])

    @inlineCallbacks
    def test_longAnswerDoesNotBlock(self):
        """An answer that comes in pieces leaves the reactor free meanwhile."""
        d = self.ask(b"question")
        self.sendHalf()
        yield turns(10)
        self.assertNoResult(d)
        os.write(self.far.fileno(), b"full")
        self.assertEqual((yield d), b"halffull")

    @inlineCallbacks
    def test_askAgainAtOnce(self):
        """Whoever is answered may ask again in the same moment."""
        self.serve(50, lambda packet: packet)
        done: Deferred[Any] = Deferred()

        def answered(packet):
            n = int(packet)
            if n == 50:
                done.callback(n)
            else:
                ask(n + 1)

        def ask(n):
            self.ask(b"%d" % n).addCallback(answered).addErrback(done.errback)

        ask(1)
        self.assertEqual((yield done), 50)

    @inlineCallbacks
    def test_farEndGone(self):
        """To ask when the far end is gone fails, however long the packet is."""
        self.far.close()
        yield self.fails(self.ask(b"question"))
        yield self.fails(self.ask(LONG))

    @inlineCallbacks
    def test_farEndGoes(self):
        """A question fails when the far end goes, at once or later."""
        d = self.ask(b"question")
        self.far.close()
        yield self.fails(d)
        yield self.poller.hangUp()
        self.connect()
        d = self.ask(b"question")
        yield turns(10)
        self.far.close()
        yield self.fails(d)

    @inlineCallbacks
    def test_farEndGoesInTheMiddle(self):
        """A question fails when the far end goes in the middle of the answer."""
        d = self.ask(b"question")
        self.sendHalf()
        yield turns(10)
        self.far.close()
        yield self.fails(d)

    @inlineCallbacks
    def test_answersAndGoes(self):
        """An answer that is in the pipe arrives though the far end is gone."""
        d = self.ask(b"question")
        self.send(b"answer")
        self.far.close()
        self.assertEqual((yield d), b"answer")

    @inlineCallbacks
    def test_hangUpIdle(self):
        """To hang up closes the pipe; then there is nothing to ask through."""
        yield self.poller.hangUp()
        self.hasClosed()
        yield self.assertFailure(self.ask(b"question"), EOFError)
        yield self.poller.hangUp()

    @inlineCallbacks
    def test_hangUpWaiting(self):
        """To hang up fails what is asked, soon after or long after it was."""
        for n in (0, 10):
            d = self.ask(b"question")
            self.assertEqual(self.read(), b"question")
            yield turns(n)
            self.assertNoResult(d)
            both = [self.poller.hangUp(), self.poller.hangUp()]
            yield self.assertFailure(d, EOFError)
            yield gatherResults(both)
            self.hasClosed()
            self.connect()

    @inlineCallbacks
    def test_hangUpAnswered(self):
        """An answer that is there already is delivered before."""
        for n, answer in ((0, b"answer"), (10, b"answer"), (0, LONG[:50_000])):
            d = self.ask(b"question")
            yield turns(n)
            self.send(answer)
            hungUp = self.poller.hangUp()
            self.assertEqual((yield d), answer)
            yield hungUp
            self.assertTrue(self.near.closed)
            self.connect()

    @inlineCallbacks
    def test_hangUpSending(self):
        """To hang up in the middle of a long packet ends that."""
        d = self.ask(LONG)
        yield turns(10)
        hungUp = self.poller.hangUp()
        yield self.fails(d)
        yield hungUp
        self.assertTrue(self.near.closed)

    @inlineCallbacks
    def test_hangUpOnAnotherHolder(self):
        """To hang up works while some other process holds the far end open."""
        other = os.dup(self.far.fileno())
        self.addCleanup(os.close, other)
        d = self.ask(b"question")
        self.far.close()
        yield turns(10)
        self.assertNoResult(d)
        hungUp = self.poller.hangUp()
        yield self.assertFailure(d, EOFError)
        yield hungUp

    @inlineCallbacks
    def test_hangUpWhenAnswered(self):
        """Whoever is answered may hang up, or stop, in the same moment."""
        for end in (self.poller.hangUp, self.poller.stop):
            for n in (0, 10):
                ended: list[Deferred[None]] = []
                d = self.ask(b"question")
                d.addCallback(lambda _, end=end, ended=ended: ended.append(end()))
                yield turns(n)
                self.send(b"answer")
                yield d
                yield ended[0]
                self.assertTrue(self.near.closed)
                if end == self.poller.stop:
                    return
                self.connect()

    @inlineCallbacks
    def test_askAgainWhenHungUp(self):
        """Whoever is answered after it was hung up cannot ask again."""
        for n in (0, 10):
            d = self.ask(b"question")
            d.addCallback(lambda _: self.ask(b"another"))
            yield turns(n)
            self.send(b"answer")
            hungUp = self.poller.hangUp()
            yield self.assertFailure(d, EOFError)
            yield hungUp
            self.connect()

    @inlineCallbacks
    def test_stop(self):
        """To stop leaves nothing, and can be repeated."""
        self.serve(1, lambda packet: packet)
        yield self.ask(LONG)
        yield turns(1)
        d = self.ask(b"question")
        stopped = [self.poller.stop(), self.poller.stop()]
        yield self.assertFailure(d, EOFError)
        yield gatherResults(stopped)
        yield self.poller.stop()
        self.assertTrue(self.near.closed)

    @inlineCallbacks
    def test_neverConnected(self):
        """Without a pipe nothing can be asked, and there is nothing to stop."""
        poller = self.makePoller(interval=0.001, backoff=1.10, reactor=reactor)
        yield self.assertFailure(Questions(poller).ask(wrap(b"question")), EOFError)
        yield poller.hangUp()
        yield poller.stop()
