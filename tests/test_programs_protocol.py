"""
What processes print, and how they are ended that the reactor has started.
"""

import signal
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IProcessProtocol
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from asynqueue.errors import ProcessError
from asynqueue.programs import ProcessProtocol, killProcess
from asynqueue.reactors import theReactor
from tests.support import BOUND
from tests.test_programs import SLEEP, command


class ProtocolTests(SynchronousTestCase):
    def setUp(self):
        self.stopped: list[Any] = []
        self.protocol = self.make(self.stopped.append)

    def make(self, stopper=None):
        made = ProcessProtocol(stopper)
        made.makeConnection(self)
        return made

    pid = 4711

    def end(self, made):
        reason = Failure(ProcessDone(0))
        for fd in range(3):
            made.childConnectionLost(fd)
        made.processExited(reason)
        made.processEnded(reason)

    def test_interface(self):
        """It is a protocol for a process."""
        self.assertTrue(verifyObject(IProcessProtocol, self.protocol))
        self.assertIsNone(ProcessProtocol().pid)
        self.assertEqual(self.protocol.pid, 4711)

    def test_first(self):
        """Its Deferred fires with what is printed first, not with what follows."""
        self.protocol.childDataReceived(1, b"\n ")
        self.assertNoResult(self.protocol.d)
        self.protocol.childDataReceived(1, b" it is up\n")
        self.protocol.childDataReceived(1, b"and on")
        self.assertEqual(self.successResultOf(self.protocol.d), b"it is up")
        self.end(self.protocol)

    def test_nothing(self):
        """It fails if the process ends without a word."""
        self.end(self.protocol)
        failure = self.failureResultOf(self.protocol.d, ProcessError)
        self.assertIn("Process 4711", failure.getErrorMessage())

    def test_lastWords(self):
        """What a process wrote is waited for when it has ended."""
        self.protocol.processExited(Failure(ProcessDone(0)))
        self.protocol.childDataReceived(1, b"last")
        self.assertEqual(self.successResultOf(self.protocol.d), b"last")

    def test_cancel(self):
        """Who does not wait for it any more is not told of it."""
        self.protocol.d.cancel()
        self.failureResultOf(self.protocol.d, CancelledError)
        self.protocol.childDataReceived(1, b"up")
        self.end(self.protocol)

    def test_stopper(self):
        """The stopper is called with the ID, once. (The ancestor's never was.)"""
        self.protocol.childDataReceived(1, b"up")
        self.protocol.childConnectionLost(0)
        self.assertEqual(self.stopped, [])
        self.end(self.protocol)
        self.assertEqual(self.stopped, [4711])

    def test_stopperFails(self):
        """What a stopper raises is logged, and stops nothing else."""

        def stopper(pid):
            raise ZeroDivisionError(pid)

        made = self.make(stopper)
        self.end(made)
        (failure,) = self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(failure.value.args, (4711,))
        self.failureResultOf(made.d, ProcessError)

    def test_slowStopper(self):
        """What a stopper's Deferred fails with is logged too."""
        slow: Deferred[None] = Deferred()
        made = self.make(lambda pid: slow)
        self.end(made)
        slow.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.failureResultOf(made.d, ProcessError)

    def test_notCallable(self):
        """A stopper that cannot be called is refused."""
        wrong: Any = 7
        self.assertRaises(TypeError, ProcessProtocol, wrong)

    def test_standardError(self):
        """What is written to the standard error is logged, whatever it is."""
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.protocol.childDataReceived(2, b"oh \xff no\n")
        (event,) = events
        self.assertEqual((event["pid"], event["text"]), (4711, "oh \\xff no"))
        self.assertNoResult(self.protocol.d)
        self.protocol.d.addErrback(lambda _: None)


class SpawnTests(TestCase):
    timeout = BOUND

    @inlineCallbacks
    def test_spawned(self):
        """
        A process from reactor.spawnProcess can be ended, and its protocol is told
        so: nobody reaps it before the reactor does.
        """
        over: Any = [Deferred(), Deferred()]
        made = ProcessProtocol(over[0].callback)
        self.patch(made, "processEnded", over[1].callback)
        arguments = command(SLEEP)
        theReactor().spawnProcess(made, arguments[0], arguments)
        self.assertEqual((yield made.d), b"up")
        pid = made.pid
        assert pid is not None
        self.assertIs((yield killProcess(pid)), True)
        self.assertEqual((yield over[0]), pid)
        reason = yield self.assertFailure(over[1], ProcessTerminated)
        self.assertEqual(reason.signal, signal.SIGTERM)
        self.assertIs((yield killProcess(pid)), False)
