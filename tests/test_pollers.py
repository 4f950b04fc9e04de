"""
How the near end of a pipe learns of an answer.
"""

from multiprocessing import Pipe
from select import select
from typing import Any

from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from asynqueue.asking import PollerState
from asynqueue.errors import ThreadError
from asynqueue.interfaces import IPoller
from asynqueue.pace import LONGEST, checkPace
from asynqueue.packets import AT_ONCE
from asynqueue.pollers import POLLERS, ThreadPoller, makePoller
from asynqueue.reactorpoller import ReactorPoller
from asynqueue.streams import send
from asynqueue.vigil import ANSWER_SOON
from tests.fakes import StepPoller
from tests.listening import WatchingReactor
from tests.pipelining_contract import AnyOrderContract, PipeliningContract
from tests.pollers_contract import PollerContract
from tests.support import PollerCase, StepLooper, SteppedReactor, wrap

LONG = b"x" * AT_ONCE


class ThreadPollerContractTests(PollerContract, PipeliningContract, TestCase):
    def makePoller(self, **kw):
        return ThreadPoller(**kw)


class ReactorPollerContractTests(PollerContract, PipeliningContract, TestCase):
    def makePoller(self, **kw):
        return ReactorPoller(**kw)


class ThreadPollerAnyOrderTests(AnyOrderContract, SynchronousTestCase):
    def makePoller(self):
        self.reactor = SteppedReactor()
        looper: Any = StepLooper()
        self.looper = looper
        return ThreadPoller(0.001, 1.10, self.reactor, looper)

    def turnPoller(self):
        if self.reactor.getDelayedCalls():
            self.reactor.turn()
            self.reactor.rightNow += ANSWER_SOON / 3
        if self.looper.jobs and (self.isOver or self.answered > len(self.got)):
            # An answer comes: it would be waited for.
            attend = self.poller._end.attend
            self.poller._end.attend = lambda *args: (self.pump(), attend(*args))[1]
            self.looper.step()


class ReactorPollerAnyOrderTests(AnyOrderContract, SynchronousTestCase):
    def makePoller(self):
        self.reactor = WatchingReactor()
        return ReactorPoller(reactor=self.reactor)

    def turnPoller(self):
        read, write, _ = select(self.reactor.readers, self.reactor.writers, [], 0)
        for poller in write:
            poller.doWrite()
        for poller in read:
            poller.doRead()


class FakePollerTests(SynchronousTestCase):
    def test_interface(self):
        """The poller that other tests step provides the interface, too."""
        verifyObject(IPoller, StepPoller(0.001, 1.10, SteppedReactor()))


class StepsTests(PollerCase):
    def turns(self, n):
        """
        Lets the reactor turn, in no time.
        """
        for _ in range(n):
            self.reactor.turn()

    def answered(self, d, afterTurns=1):
        """
        The answer is there after some turns of the reactor, and is seen in the next.
        """
        self.turns(afterTurns - 1)
        self.near.come(b"answer")
        self.assertNoResult(d)
        self.turns(1)
        self.assertEqual(self.successResultOf(d), b"answer")

    def answeredByThread(self, d, seconds):
        """
        The answer comes after a time, while the thread waits.
        """
        self.reactor.rightNow += seconds
        self.near.come(b"answer")
        self.looper.step()
        self.assertEqual(self.successResultOf(d), b"answer")

    def test_states(self):
        """The state tells what the poller does, from look to look."""
        states = [self.poller.state]
        d = self.ask(b"question")
        d.addCallback(lambda _: states.append(self.poller.state))
        states.append(self.poller.state)
        self.turns(1)
        states.append(self.poller.state)
        self.reactor.rightNow += ANSWER_SOON
        self.turns(1)
        states.append(self.poller.state)
        self.near.come(b"answer")
        self.looper.step()
        states.append(self.poller.state)
        self.successResultOf(d)
        self.successResultOf(self.poller.hangUp())
        states.append(self.poller.state)
        self.assertEqual(
            states,
            [
                PollerState.IDLE,
                PollerState.LOOKING,
                PollerState.LOOKING,
                PollerState.WAITING,
                PollerState.ANSWERING,
                PollerState.IDLE,
                PollerState.DISCONNECTED,
            ],
        )

    def test_looks(self):
        """An answer that comes soon is seen by a look, one in each turn."""
        for n in (1, 2, 10):
            self.near.looks.clear()
            self.answered(self.ask(b"question"), n)
            self.assertEqual(self.near.looks, [(0, 0)] * n)
            self.assertEqual(self.reactor.getDelayedCalls(), [])
            self.assertFalse(self.looper.jobs)

    def test_noMoreLooks(self):
        """After a time the reactor looks no more, and the thread waits."""
        self.ask(b"question")
        self.turns(10)
        self.assertFalse(self.looper.jobs)
        self.reactor.rightNow += ANSWER_SOON
        self.turns(1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(len(self.looper.jobs), 1)

    def test_oneLook(self):
        """If the last answer took longer, the reactor looks once for the next."""
        self.answeredByThread(self.askInThread(), ANSWER_SOON)
        d = self.ask(b"question")
        self.turns(1)
        self.assertEqual(len(self.looper.jobs), 1)
        self.answeredByThread(d, ANSWER_SOON)
        self.answered(self.ask(b"question"))
        # Soon again.
        self.answered(self.ask(b"question"), 10)

    def test_soonByThread(self):
        """An answer that came soon though the thread got it counts as soon."""
        self.answeredByThread(self.askInThread(), ANSWER_SOON)
        d = self.ask(b"question")
        self.turns(1)
        self.answeredByThread(d, ANSWER_SOON / 2)
        self.answered(self.ask(b"question"), 10)

    def test_eachAnew(self):
        """The time of the looks begins with each answer, if more are asked."""
        near, far = Pipe()
        self.addCleanup(far.close)
        self.successResultOf(self.poller.hangUp())
        self.questions.connect(near)
        ds = [self.ask(b"question") for _ in range(3)]
        for d in ds:
            self.reactor.rightNow += ANSWER_SOON * 0.9
            self.turns(1)
            send(far, wrap(b"answer"))
            self.turns(1)
            self.assertEqual(self.successResultOf(d), b"answer")
        self.assertFalse(self.looper.jobs)
        self.successResultOf(self.poller.hangUp())

    def test_oneAtATime(self):
        """
        A pipe that may block has one packet in it at a time; what was asked meanwhile
        follows.
        """
        ds = [self.ask(b"%d" % n) for n in range(3)]
        for n, d in enumerate(ds):
            self.assertEqual(self.sent(), [b"%d" % n])
            self.near.come(b"answer %d" % n)
            if self.looper.jobs:
                self.looper.step()
            else:
                self.turns(1)
            self.assertEqual(self.successResultOf(d), b"answer %d" % n)
        self.assertEqual(self.sent(), [])

    def test_longPacket(self):
        """What may take long to send is sent by the thread, not the reactor."""
        d = self.ask(LONG)
        self.assertEqual(self.sent(), [])
        self.near.come(b"answer")
        self.looper.step()
        self.assertEqual(self.sent(), [LONG])
        self.assertEqual(self.successResultOf(d), b"answer")

    def test_shortPacket(self):
        """The longest packet that is sent at once is."""
        self.ask(LONG[1:])
        self.assertEqual(self.sent(), [LONG[1:]])

    def test_longAnswer(self):
        """What may take long to read is read by the thread, not the reactor."""
        for n in (0, 1):
            d = self.ask(b"question")
            self.turns(n)
            self.near.come(LONG)
            self.turns(1)
            self.assertNoResult(d)
            self.looper.step()
            self.assertEqual(self.successResultOf(d), LONG)

    def test_broken(self):
        """A pipe that breaks while it is read from fails what is asked."""
        for error in (EOFError(), ConnectionResetError()):
            self.connect(0.001, 1.10)
            d = self.ask(b"question")
            self.near.come(error)
            self.turns(1)
            self.failureResultOf(d, type(error))
            self.connect(0.001, 1.10)
            d = self.askInThread()
            self.near.come(error)
            self.looper.step()
            self.failureResultOf(d, type(error))

    def test_threadFails(self):
        """Whatever goes wrong in the thread fails what is asked."""
        d = self.askInThread()
        self.near.come(MemoryError())
        self.looper.step()
        self.failureResultOf(d, MemoryError)
        self.assertIs(self.poller.state, PollerState.IDLE)

    def test_noThread(self):
        """If there is no thread any more, what is asked fails."""
        self.looper.stop()
        self.failureResultOf(self.ask(LONG), ThreadError)
        d = self.ask(b"question")
        self.reactor.rightNow += ANSWER_SOON
        self.turns(1)
        self.failureResultOf(d, ThreadError)
        self.successResultOf(self.poller.hangUp())

    def test_cannotBeWoken(self):
        """A thread that cannot be woken hangs up at its next look."""
        d = self.askInThread()
        ended: list[Any] = []

        def third():
            if len(self.near.looks) == 4:
                self.poller.hangUp().addCallback(ended.append)

        self.near.onLook = third
        self.looper.step()
        self.failureResultOf(d, EOFError)
        self.assertEqual(ended, [None])
        self.assertEqual(len(self.near.looks), 4)
        self.assertTrue(self.near.closed)

    def test_nothingLeftOfLook(self):
        """To hang up before a look is to call that off."""
        d = self.ask(b"question")
        self.successResultOf(self.poller.hangUp())
        self.failureResultOf(d, EOFError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stop(self):
        """To stop is to hang up, and to stop the thread."""
        self.successResultOf(self.poller.stop())
        self.assertTrue(self.near.closed)
        self.assertTrue(self.looper.stopped)


class MakePollerTests(SynchronousTestCase):
    def test_byName(self):
        """A poller can be had by name, at the pace that is given."""
        for name in POLLERS:
            poller = makePoller(name, 0.002, 1.2, WatchingReactor())
            self.assertEqual((poller.interval, poller.backoff), (0.002, 1.2))
            self.assertIs(type(poller), POLLERS[name])
        self.assertEqual(POLLERS, {"thread": ThreadPoller, "reactor": ReactorPoller})

    def test_unknownName(self):
        """An unknown name is refused, with those that are known."""
        error = self.assertRaises(ValueError, makePoller, "thraed", 0.001, 1.1, None)
        self.assertIn("'thraed'", str(error))
        self.assertIn("thread", str(error))

    def test_callable(self):
        """A callable makes the poller from the same keywords."""
        poller = makePoller(StepPoller, 0.002, 1.2, SteppedReactor())
        self.assertIsInstance(poller, StepPoller)
        self.assertEqual((poller.interval, poller.backoff), (0.002, 1.2))

    def test_notAPoller(self):
        """What is made has to be a poller."""
        error = self.assertRaises(TypeError, makePoller, dict, 0.001, 1.1, None)
        self.assertIn("IPoller", str(error))

    def test_pace(self):
        """A pace out of range is refused, whoever is given it."""
        for interval, backoff, name in (
            (0, 1.1, "interval"),
            (-1, 1.1, "interval"),
            (LONGEST + 0.1, 1.1, "interval"),
            (float("nan"), 1.1, "interval"),
            (0.001, 0.99, "backoff"),
            (0.001, 1.31, "backoff"),
            (0.001, float("nan"), "backoff"),
        ):
            for f, others in (
                (checkPace, {}),
                (ThreadPoller, {"reactor": SteppedReactor()}),
                (ReactorPoller, {"reactor": WatchingReactor()}),
                (makePoller, {"poller": StepPoller, "reactor": SteppedReactor()}),
            ):
                pace = {"interval": interval, "backoff": backoff}
                error = self.assertRaises(ValueError, f, **pace, **others)
                self.assertIn(name, str(error))
        checkPace(LONGEST, 1.0)
        checkPace(0.001, 1.3)
