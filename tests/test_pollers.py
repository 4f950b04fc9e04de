"""
How the near end of a pipe learns of an answer.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from asynqueue.errors import ThreadError
from asynqueue.interfaces import IPoller
from asynqueue.packets import AT_ONCE
from asynqueue.pollers import (
    LONGEST,
    POLLERS,
    PollerState,
    ThreadPoller,
    checkPace,
    makePoller,
)
from tests.fakes import StepPoller
from tests.pollers_contract import PollerContract
from tests.support import PollerCase, SteppedReactor

LONG = b"x" * AT_ONCE


class ThreadPollerContractTests(PollerContract, TestCase):
    def makePoller(self, **kw):
        return ThreadPoller(**kw)


class FakePollerTests(SynchronousTestCase):
    def test_interface(self):
        """The poller that other tests step provides the interface, too."""
        verifyObject(IPoller, StepPoller(0.001, 1.10, SteppedReactor()))


class StepsTests(PollerCase):
    def test_states(self):
        """The state tells what the poller does, from look to look."""
        states = [self.poller.state]
        d = self.ask(b"question")
        states.append(self.poller.state)
        self.reactor.turn()
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
                PollerState.WAITING,
                PollerState.IDLE,
                PollerState.DISCONNECTED,
            ],
        )

    def test_firstLook(self):
        """An answer that is there right after sending needs no turn, no thread."""
        self.near.come(b"answer")
        self.assertEqual(self.successResultOf(self.ask(b"q")), b"answer")
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.near.looks, [(0, 0)])

    def test_secondLook(self):
        """One that is there in the reactor's next turn needs no thread."""
        d = self.ask(b"question")
        self.assertNoResult(d)
        self.near.come(b"answer")
        self.reactor.turn()
        self.assertEqual(self.successResultOf(d), b"answer")
        self.assertEqual(self.near.looks, [(0, 0), (0, 0)])
        self.assertFalse(self.looper.jobs)

    def test_noThirdLook(self):
        """After that the reactor looks no more."""
        self.askInThread()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(len(self.looper.jobs), 1)

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
        for turns in (0, 1, 2):
            self.connect(0.001, 1.10)
            if turns:
                d = self.ask(b"question")
            self.near.come(LONG)
            if turns == 0:
                d = self.ask(b"question")
            elif turns == 1:
                self.reactor.turn()
            else:
                self.near.come(b"no more")
                self.reactor.turn()
            self.assertNoResult(d)
            self.looper.step()
            self.assertEqual(self.successResultOf(d), LONG)

    def test_broken(self):
        """A pipe that breaks while it is read from fails what is asked."""
        for error in (EOFError(), ConnectionResetError()):
            self.near.come(error)
            self.failureResultOf(self.ask(b"question"), type(error))
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
        self.reactor.turn()
        self.failureResultOf(d, ThreadError)
        self.successResultOf(self.poller.hangUp())

    def test_cannotBeWoken(self):
        """A thread that cannot be woken hangs up at its next look."""
        d = self.askInThread()
        ended: list[Any] = []

        def third():
            if len(self.near.looks) == 5:
                self.poller.hangUp().addCallback(ended.append)

        self.near.onLook = third
        self.looper.step()
        self.failureResultOf(d, EOFError)
        self.assertEqual(ended, [None])
        self.assertEqual(len(self.near.looks), 5)
        self.assertTrue(self.near.closed)

    def test_nothingLeftOfSecondLook(self):
        """To hang up before the second look is to call that off."""
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
            poller = makePoller(name, 0.002, 1.2, SteppedReactor())
            self.assertEqual((poller.interval, poller.backoff), (0.002, 1.2))
        self.assertIsInstance(
            makePoller("thread", 0.001, 1.1, SteppedReactor()), ThreadPoller
        )

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
                (makePoller, {"poller": StepPoller, "reactor": SteppedReactor()}),
            ):
                pace = {"interval": interval, "backoff": backoff}
                error = self.assertRaises(ValueError, f, **pace, **others)
                self.assertIn(name, str(error))
        checkPace(LONGEST, 1.0)
        checkPace(0.001, 1.3)
