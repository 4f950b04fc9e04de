"""
What any poller has to do if it is asked before it has answered.
"""

import os
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import gatherResults, inlineCallbacks

from asynqueue.ends import SocketEnd
from asynqueue.packets import AT_ONCE, message
from tests.pollers_contract import LONG, PipeCase, turns
from tests.questions import Questions
from tests.support import unwrap, wrap

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase

    _Sync = SynchronousTestCase
else:
    _Sync = object

BYTES = b"x" * (AT_ONCE - 1)
"""
The contents of the longest packet that is a message.
"""

MANY = 200
"""
How many of them are more than a pipe holds.
"""


class PipeliningContract(PipeCase):
    """
    The tests of a poller that is asked more than one packet at a time.
    """

    def askAll(self, n):
        """
        Asks a number of times.

        @return: A list of the Deferreds.
        """
        return [self.ask(b"%d" % i) for i in range(n)]

    def answerAtOnce(self, *answers):
        """
        Answers several times by one system call.
        """
        os.write(self.far.fileno(), b"".join(message(wrap(a)) for a in answers))

    @inlineCallbacks
    def test_oneByOne(self):
        """Each answer is for the first that was asked of those not answered."""
        for n in (0, 10):
            ds = self.askAll(5)
            yield turns(n)
            self.assertEqual([self.read() for _ in ds], [b"%d" % i for i in range(5)])
            for i, d in enumerate(ds):
                self.send(b"%d!" % i)
                self.assertEqual((yield d), b"%d!" % i)
                for other in ds[i + 1 :]:
                    self.assertNoResult(other)

    @inlineCallbacks
    def test_burst(self):
        """Answers that come all at once fire their Deferreds in order."""
        for n in (0, 10):
            ds, got = self.askAll(50), []
            for d in ds:
                d.addCallback(got.append)
            yield turns(n)
            answers = [b"%d!" % i for i in range(50)]
            self.answerAtOnce(*answers)
            yield gatherResults(ds)
            self.assertEqual(got, answers)

    @inlineCallbacks
    def test_longAmongShort(self):
        """Long answers arrive in their places among short ones."""
        lengths = [1, len(LONG), 2, AT_ONCE, len(LONG), len(LONG), 3]
        self.serve(len(lengths), lambda packet: LONG[: lengths[int(packet)]])
        got = yield gatherResults(self.askAll(len(lengths)))
        self.assertEqual([len(answer) for answer in got], lengths)

    @inlineCallbacks
    def test_afterLong(self):
        """What is asked while a long packet is on its way follows it."""
        for n in (0, 10):
            ds = [self.ask(LONG)]
            yield turns(n)
            ds += self.askAll(3)
            self.serve(4, lambda packet: packet)
            self.assertEqual((yield gatherResults(ds)), [LONG, b"0", b"1", b"2"])

    @inlineCallbacks
    def test_full(self):
        """What a full pipe does not take is kept, in order, and blocks nothing."""
        for n in (0, 10):
            ds = self.askAll(1)
            yield turns(n)
            ds += [self.ask(b"%3d" % i + BYTES[3:]) for i in range(MANY)]
            yield turns(10)
            for d in ds:
                self.assertNoResult(d)
            self.serve(1 + MANY, lambda packet: packet[:3])
            got = yield gatherResults(ds)
            self.assertEqual(got, [b"0", *[b"%3d" % i for i in range(MANY)]])

    @inlineCallbacks
    def test_askWithinAnswers(self):
        """Whoever is answered may ask again while others wait for their answers."""
        got: list[int] = []
        ds: list[Any] = []

        def answered(answer):
            got.append(int(answer))
            if len(ds) < 60:
                ask()

        def ask():
            ds.append(self.ask(b"%d" % len(ds)).addCallback(answered))

        self.serve(60, lambda packet: packet)
        for _ in range(3):
            ask()
        while len(got) < 60:
            yield ds[len(got)]
        self.assertEqual(got, list(range(60)))

    @inlineCallbacks
    def test_together(self):
        """What is asked while answers are handed out is sent by one system call."""
        for n in (1, 10):
            ds = self.askAll(3)
            again: list[Any] = []
            for d in ds:
                d.addCallback(lambda _, a=again: a.append(self.ask(b"again")))
            yield turns(n)
            for _ in ds:
                self.read()
            self.answerAtOnce(b"0", b"1", b"2")
            with mock.patch.object(os, "writev", side_effect=os.writev) as writes:
                yield gatherResults(ds)
                yield turns(1)
                self.assertEqual(writes.call_count, 1)
            self.assertEqual(os.read(self.far.fileno(), 1000).count(b"again"), 3)
            self.answerAtOnce(b"0", b"1", b"2")
            self.assertEqual((yield gatherResults(again)), [b"0", b"1", b"2"])

    @inlineCallbacks
    def test_farEndGoes(self):
        """If the far end goes, what it has answered succeeds and the rest fails."""
        for n in (0, 10):
            for answers in (0, 2):
                ds = self.askAll(4)
                yield turns(n)
                self.answerAtOnce(*[b"answer"] * answers)
                self.far.close()
                for d in ds[:answers]:
                    self.assertEqual((yield d), b"answer")
                for d in ds[answers:]:
                    yield self.fails(d)
                yield self.poller.hangUp()
                self.connect()

    @inlineCallbacks
    def test_farEndGoesFull(self):
        """Of what the far end had no chance to read it is told."""
        first = self.ask(b"question")
        self.read()
        ds = [self.ask(BYTES) for _ in range(MANY)]
        last = ds.pop()
        yield turns(10)
        self.far.close()
        for d in [first, *ds]:
            yield self.fails(d)
        yield self.assertFailure(last, BrokenPipeError)

    @inlineCallbacks
    def test_hangUp(self):
        """To hang up delivers the answers that are there, and fails the rest."""
        for n in (0, 10):
            for answers in (0, 2):
                ds = self.askAll(4)
                yield turns(n)
                self.answerAtOnce(*[b"answer"] * answers)
                hungUp = self.poller.hangUp()
                got = []
                for d in ds[:answers]:
                    got.append((yield d))
                self.assertEqual(got, [b"answer"] * answers)
                for d in ds[answers:]:
                    yield self.assertFailure(d, EOFError)
                yield hungUp
                self.assertTrue(self.near.closed)
                self.connect()

    @inlineCallbacks
    def test_hangUpWithinAnswers(self):
        """To hang up in the midst of answers delivers those that are there, too."""
        for n in (0, 10):
            hungUp: list[Any] = []
            ds = self.askAll(4)
            ds[0].addCallback(lambda _, h=hungUp: h.append(self.poller.hangUp()))
            yield turns(n)
            self.answerAtOnce(b"0", b"1", b"2")
            yield ds[0]
            self.assertEqual([(yield ds[1]), (yield ds[2])], [b"1", b"2"])
            yield self.assertFailure(ds[3], EOFError)
            yield hungUp[0]
            self.assertTrue(self.near.closed)
            self.connect()

    @inlineCallbacks
    def test_askWithinFailures(self):
        """Whoever is failed may ask again, which fails as well."""
        ds, again = self.askAll(2), []
        for d in ds:
            d.addErrback(lambda _: again.append(self.fails(self.ask(b"again"))))
        yield turns(10)
        self.far.close()
        yield gatherResults(ds)
        yield gatherResults(again)
        self.assertEqual(len(again), 2)


sizes = st.sampled_from([0, 1, 1000, AT_ONCE - 5])
answers = st.sampled_from([0, 1, 1000, AT_ONCE, 1 << 16, 1 << 20])
deeds = st.lists(
    st.tuples(st.just("ask"), sizes, st.integers(1, 40))
    | st.tuples(st.just("answer"), answers, st.integers(1, 40))
    | st.tuples(st.just("turn"), st.just(0), st.integers(1, 3)),
    max_size=30,
)
"""
What is done, with how many bytes, and how often.
"""


class AnyOrderContract(_Sync):
    """
    The test of a poller by whatever may happen, in any order. Its reactor and its
    thread are the test's own.

    @ivar poller: The poller.
    @ivar far: The far end, which cannot be waited for either.
    @ivar got: The number that each answer bears, C{None} for a failure, in the order in
        which they came.
    @ivar asked: How often was asked.
    @ivar answered: How often was answered.
    """

    def makePoller(self):
        """
        Override me.

        @return: A new poller.
        """
        raise NotImplementedError

    def turnPoller(self):
        """
        Lets the poller do what it can do without waiting. Override me.
        """
        raise NotImplementedError

    @given(deeds, st.sampled_from(["answer all", "die", "hang up"]))
    # The same test of several pollers.
    @settings(
        deadline=None,
        max_examples=100,
        suppress_health_check=[HealthCheck.differing_executors],
    )
    def test_anyOrder(self, deeds, end):
        """Answers come in order, and what was answered when all ends arrives."""
        near, far = Pipe()
        self.far, self.poller = SocketEnd(far), self.makePoller()
        self.questions = Questions(self.poller)
        self.questions.connect(near)
        self.asked = self.answered = 0
        self.got: list[Any] = []
        self.isOver = False
        with far:
            for name, size, n in deeds:
                for _ in range(n):
                    getattr(self, name)(size)
            whole = self.finish(end)
        expected = [*range(whole), *[None] * (self.asked - whole)]
        self.assertEqual(self.got, expected)
        self.successResultOf(self.poller.stop())

    def ask(self, size):
        """
        Asks something that is so long.
        """
        d = self.questions.ask(wrap(b"%4d" % self.asked + bytes(size)))
        d.addCallbacks(lambda answer: int(unwrap(answer)[:4]), lambda _: None)
        d.addCallback(self.got.append)
        self.asked += 1

    def answer(self, size):
        """
        Has the far end answer, if it was asked.
        """
        while self.far.wait(0):
            self.far.read()
        if self.far.incoming.packets:
            asked = unwrap(self.far.incoming.packets.popleft())
            self.far.outgoing.add(wrap(asked[:4] + bytes(size)))
            self.answered += 1
        self.pump()

    def turn(self, _):
        """
        Lets both ends do what they can.
        """
        self.pump()
        self.turnPoller()

    def pump(self):
        """
        Lets the far end write what the pipe takes.
        """
        if self.far.outgoing.packets:
            self.far.write()

    def finish(self, end):
        """
        Brings all to an end.

        @return: How many answers were whole by then.
        """
        if end == "answer all":
            while len(self.got) < self.asked:
                self.answer(0)
                self.turn(0)
            return self.asked
        self.isOver = True
        whole = self.answered - len(self.far.outgoing.packets)
        self.far.outgoing.packets.clear()
        if end == "die":
            self.far.close()
        else:
            self.poller.hangUp()
        for _ in range(10_000):
            if len(self.got) == self.asked:
                break
            self.turnPoller()
        return whole
