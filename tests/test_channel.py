"""
One life of a worker process, on fakes.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.channel import PATIENCE, Channel, ChannelState
from asynqueue.errors import StartFailed, WorkerDied
from asynqueue.messages import Call, Close, Hello, Next, Stop, pack
from asynqueue.requests import Inquiry, Line

from .fakes import FakeChild, Reactor, StepPoller, double


class ChannelTests(SynchronousTestCase):
    def setUp(self):
        self.reactor = Reactor()
        child: Any = FakeChild(None, None, self.reactor)
        self.child = child
        self.poller = StepPoller(0.001, 1.1, self.reactor)
        self.channel = Channel(self.child, self.poller, self.reactor)
        self.channel.open()

    def up(self):
        self.child.come()
        self.poller.answer()

    def call(self, x, line=Line.CALLS):
        number = self.channel.number()
        packet = pack(Call(number, None), (double, (x,), {}))
        inquiry = Inquiry(number, packet, line)
        self.channel.ask(inquiry)
        return inquiry

    def failureOf(self, request):
        return self.failureResultOf(request.replied, WorkerDied).value

    def test_comesUp(self):
        """It is up when the process has answered a Hello, not before."""
        self.assertTrue(self.child.begun)
        self.child.come()
        self.assertNoResult(self.channel.up)
        self.assertIsInstance(self.poller.sent[0], Hello)
        self.poller.answer()
        self.assertIsNone(self.successResultOf(self.channel.up))
        self.assertIs(self.channel.state, ChannelState.OPEN)

    def test_oneAtATime(self):
        """A request is sent when the one before is answered, in order."""
        requests = [self.call(x) for x in range(3)]
        self.up()
        self.assertEqual(len(self.poller.sent), 2)
        self.poller.answerAll()
        results = [self.successResultOf(r.replied).result()[1] for r in requests]
        self.assertEqual(results, [0, 2, 4])
        self.assertEqual([e.number for e in self.poller.sent[1:]], [1, 2, 3])

    def test_turns(self):
        """Items and calls take turns; closings pass both."""
        lines = [Line.CALLS, Line.ITEMS, Line.CALLS, Line.ITEMS, Line.CLOSINGS]
        for x, line in enumerate(lines):
            self.call(x, line)
        self.up()
        self.poller.answerAll()
        self.assertEqual([e.number for e in self.poller.sent[1:]], [5, 2, 1, 4, 3])

    def test_instantAnswersDoNotNest(self):
        """Any number of answers that are there at once need no deep stack."""
        requests = [self.call(x) for x in range(5000)]
        self.poller.instant = True
        self.child.come()
        for request in requests:
            self.successResultOf(request.replied)

    def test_withdraw(self):
        """A request that was not sent is never sent; one that was stays."""
        first, second = self.call(1), self.call(2)
        self.assertTrue(self.channel.withdraw(second))
        self.up()
        self.assertFalse(self.channel.withdraw(first))
        self.poller.answerAll()
        self.assertNoResult(second.replied)
        self.assertEqual(self.poller.sent[-1].number, first.number)

    def test_deathInTheMiddle(self):
        """A death fails the request in hand and those that wait, once."""
        self.up()
        first, second = self.call(1), self.call(2)
        self.child.die(-11)
        died = self.failureOf(first)
        self.assertIn("signal 11 (SIGSEGV)", str(died))
        self.assertEqual((died.pid, died.exitCode), (self.child.pid, -11))
        self.failureOf(second)
        self.assertIsNotNone(first.sentAt)
        self.assertIsNone(second.sentAt)
        self.assertIs(self.successResultOf(self.channel.ended), died)
        self.assertIs(self.channel.state, ChannelState.ENDED)

    def test_keepsNothing(self):
        """After the end no request is held, nor what was to be sent for it."""
        self.up()
        for request in (self.call(1), self.call(2)):
            request.replied.addErrback(lambda _: None)
        self.assertEqual(len(self.channel.sent), 1)
        self.child.die(-9)
        self.assertFalse(self.channel.sent)

    def test_endOfPipeIsNotYetDeath(self):
        """When the pipe ends first, the exit code is waited for, and seen to."""
        self.up()
        request = self.call(1)
        self.poller.lose(EOFError())
        self.assertNoResult(request.replied)
        self.assertEqual(self.child.asked, ["terminate"])
        self.child.die(3)
        self.assertIn("exit code 3", str(self.failureOf(request)))

    def test_unread(self):
        """A request that the process had not read counts as not sent."""
        for error, unsent in ((EOFError(), 1), (ConnectionResetError(), 0)):
            self.setUp()
            self.up()
            request = self.call(1)
            self.poller.lose(error, unsent)
            self.child.die(-9)
            self.failureOf(request)
            self.assertIsNone(request.sentAt)

    def test_nonsense(self):
        """A process that answers nonsense, or another request, is ended."""
        for packet, wrong in (
            ([b"nonsense", b""], "ValueError"),
            ([], "ValueError"),
            (pack(Hello(99)), "Hello(number=99) does not answer"),
        ):
            self.setUp()
            self.up()
            request = self.call(1)
            self.poller.answer(packet)
            self.assertNoResult(request.replied)
            self.assertEqual(self.child.asked, ["terminate"])
            self.child.die(-15)
            self.assertIn(wrong, str(self.failureOf(request)))

    def test_diesBeforeItIsUp(self):
        """A process that ends before it is up says so, and what to look at."""
        request = self.call(1)
        self.child.come()
        self.child.die(1)
        died = self.successResultOf(self.channel.up)
        self.assertIsInstance(died, StartFailed)
        self.assertIn("exit code 1 before it was ready", str(died))
        self.assertIn("__main__", str(died))
        self.failureOf(request)

    def test_cannotBeStarted(self):
        """A process that cannot be started is an end like another."""
        request = self.call(1)
        self.child.started.errback(StartFailed("No memory"))
        self.assertEqual(str(self.successResultOf(self.channel.up)), "No memory")
        self.assertEqual(str(self.successResultOf(self.channel.ended)), "No memory")
        self.failureOf(request)

    def test_requestAfterTheEnd(self):
        """A request to a process that is gone fails at once."""
        self.up()
        self.child.die(0)
        self.failureOf(self.call(1))

    def test_stop(self):
        """A process is asked to end, and given time for it."""
        self.up()
        self.channel.stop()
        self.assertIsInstance(self.poller.sent[-1], Stop)
        self.poller.answer()
        self.reactor.advance(PATIENCE - 0.01)
        self.assertEqual(self.child.asked, [])
        self.child.die(0)
        self.assertIn("asked to", str(self.successResultOf(self.channel.ended)))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopIsNotFollowed(self):
        """A process that does not end when asked to is ended."""
        self.up()
        self.channel.stop()
        self.poller.answer()
        self.reactor.advance(PATIENCE)
        self.assertEqual(self.child.asked, ["terminate"])

    def test_stopIsFollowedAtOnce(self):
        """A process may be seen to end before its last answer is."""
        self.up()
        self.channel.stop()
        self.poller.answerAtHangUp = True
        self.child.die(0)
        self.assertIn("asked to", str(self.successResultOf(self.channel.ended)))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopWhileStarting(self):
        """A process that is not up yet is ended without being asked."""
        self.channel.stop()
        self.assertEqual(self.child.asked, ["terminate"])
        self.child.come()
        self.assertIsNone(self.poller.asked)
        self.child.die(-15)
        self.successResultOf(self.channel.ended)

    def test_terminateSaysWhy(self):
        """Whoever ends a process on purpose is named in the error."""
        self.up()
        request = self.call(1)
        self.channel.terminate("it was in the way")
        self.child.die(-15)
        self.assertIn("because it was in the way", str(self.failureOf(request)))

    def test_answerBeforeDeath(self):
        """An answer that comes while the process is being ended still counts."""
        self.up()
        request = self.call(4)
        self.channel.terminate("it was in the way")
        self.poller.answer()
        self.assertEqual(self.successResultOf(request.replied).result()[1], 8)
        self.child.die(-15)

    def test_everyPacketIsAnswered(self):
        """Asking for and closing an iterator that is not there is answered."""
        self.up()
        for envelope in (Next(self.channel.number(), 7), Close(2, 7)):
            request = Inquiry(envelope.number, pack(envelope))
            self.channel.ask(request)
            self.poller.answer()
            self.successResultOf(request.replied)
