"""
Tests of L{asynqueue.memory}: what a test of a user's code sees of workers in memory.
"""

import pickle

from twisted.internet.defer import CancelledError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from asynqueue import errors
from asynqueue.interfaces import ICanceller, IRestartable, IWorker
from asynqueue.memory import MemoryQueue, MemoryWorker
from asynqueue.messages import Status
from tests import calls


def keep(items):
    """Changes what it is given, and returns it."""
    items.append("more")
    return items


def view(n):
    """Returns what cannot be pickled."""
    return memoryview(bytes(n))


def views(n):
    """Gives an item that can be pickled, and one that cannot."""
    yield n
    yield memoryview(bytes(n))


class MemoryTestCase(SynchronousTestCase):
    """
    I have a queue in memory, which has nothing left when the test is over.
    """

    def make(self, *args, **kw):
        self.queue = MemoryQueue(*args, **kw)
        self.workers = self.queue.workers()
        self.worker = self.workers[0]
        self.addCleanup(self.assertShutDown)

    def assertShutDown(self):
        d = self.queue.shutdown()
        while any(worker.inHand for worker in self.workers):
            for worker in self.workers:
                if worker.inHand:
                    worker.finish()
        self.successResultOf(d)
        self.assertEqual(self.queue.reactor.getDelayedCalls(), [])


class StepTests(MemoryTestCase):
    """
    Tests of what the test says.
    """

    def test_interfaces(self):
        """A worker provides what it says."""
        for interface in (IWorker, IRestartable, ICanceller):
            verifyObject(interface, MemoryWorker())
        self.assertRaises(TypeError, MemoryWorker, "series")
        self.assertRaises(ValueError, MemoryWorker, pickler="jam")
        self.assertRaises(ValueError, MemoryQueue, 0)

    def test_inHand(self):
        """A call is in hand, while others wait, until it is finished."""
        self.make()
        first, second = (self.queue.call(calls.echo, i) for i in range(2))
        self.assertEqual(self.worker.inHand.callTuple[1], (0,))
        self.assertNoResult(first)
        self.worker.finish()
        self.assertEqual(self.successResultOf(first), 0)
        self.assertNoResult(second)
        self.assertEqual(self.worker.begun, [(0,), (1,)])
        self.worker.finish()
        self.assertEqual(self.successResultOf(second), 1)

    def test_given(self):
        """A call ends with the result or the error that the test gives."""
        self.make()
        ds = [self.queue.call(calls.boom) for _ in range(3)]
        self.worker.succeed("fine")
        self.worker.fail(LookupError("nowhere"))
        self.worker.finish(Status.ITERATION, iter("ab"))
        self.assertEqual(self.successResultOf(ds[0]), "fine")
        self.failureResultOf(ds[1], LookupError)
        self.assertEqual(self.successResultOf(next(self.successResultOf(ds[2]))), "a")

    def test_nothing(self):
        """Where there is no call to be ended, that is said."""
        self.make(up=False)
        error = self.assertRaises(RuntimeError, self.worker.finish)
        self.assertIn("is not up", str(error))
        self.worker.comeUp()
        error = self.assertRaises(RuntimeError, self.worker.succeed)
        self.assertIn("nothing to do", str(error))

    def test_comeUp(self):
        """A worker begins nothing before it is up."""
        self.make(up=False, instant=True)
        d = self.queue.call(calls.echo, 3)
        self.assertNoResult(d)
        self.worker.comeUp()
        self.assertEqual(self.successResultOf(d), 3)

    def test_workers(self):
        """As many calls as there are workers are in hand, by the series they take."""
        self.make(2, series=["x"])
        ds = [self.queue.call(calls.echo, i, series="x") for i in range(3)]
        ds.append(self.queue.call(calls.echo, 3, series="process"))
        self.assertEqual([len(worker.begun) for worker in self.workers], [1, 1])
        for _ in range(2):
            for worker in self.workers:
                worker.finish()
        self.assertEqual(sorted(map(self.successResultOf, ds)), [0, 1, 2, 3])

    def test_held(self):
        """At once means all calls but those that are held."""
        self.make(instant=True, held=[calls.add])
        held = self.queue.call(calls.add, 1, 2)
        self.assertNoResult(held)
        self.worker.finish()
        self.assertEqual(self.successResultOf(held), 3)
        self.assertEqual(self.successResultOf(self.queue.call(calls.echo, 1)), 1)

    def test_reactor(self):
        """Twisted's own reactor for tests will do."""
        clock = MemoryReactorClock()
        self.make(reactor=clock)
        d = self.queue.call(calls.echo, timeout=1, retries=0)
        clock.advance(1)
        self.failureResultOf(d, errors.TimeoutError)


class DeathTests(MemoryTestCase):
    """
    Tests of workers that die.
    """

    def test_die(self):
        """The call in hand fails, and the worker begins anew with those that wait."""
        self.make()
        ds = [self.queue.call(calls.echo, i) for i in range(2)]
        self.worker.die(exitCode=3)
        error = self.failureResultOf(ds[0], errors.WorkerDied).value
        self.assertIn("exit code 3 in the middle of the call", str(error))
        self.assertIn("echo(0)", str(error))
        self.assertEqual((error.pid, error.exitCode), (None, 3))
        (death,) = self.queue.deaths
        self.assertEqual((death.worker, death.exitCode), (self.worker.ID, 3))
        self.assertIn("echo(0)", death.call)
        self.worker.finish()
        self.assertEqual(self.successResultOf(ds[1]), 1)
        self.assertEqual(self.worker.starts, 2)

    def test_unread(self):
        """A call that it had not read is made by the next."""
        self.make()
        d = self.queue.call(calls.echo, 1)
        self.worker.die(read=False)
        self.assertNoResult(d)
        self.worker.finish()
        self.assertEqual(self.successResultOf(d), 1)
        self.assertEqual(self.worker.begun, [(1,)])

    def test_updates(self):
        """What is saved is run again, by one that has begun anew."""
        self.make(instant=True)
        self.queue.update(calls.echo, "update")
        self.worker.die()
        self.assertEqual(self.worker.begun, [("update",), ("update",)])

    def test_crashLoop(self):
        """One that dies again and again is given up."""
        self.make(maxDeaths=2)
        for _ in range(2):
            self.worker.die()
        self.failureResultOf(self.queue.call(calls.echo), errors.CrashLoop)

    def test_iterator(self):
        """An iterator dies with its worker, after the items that are here."""
        self.make(instant=True)
        dr = self.successResultOf(self.queue.call(calls.count, 3))
        self.assertEqual(self.successResultOf(next(dr)), 0)
        self.worker.die()
        self.assertEqual(self.successResultOf(next(dr)), 1)
        error = self.failureResultOf(next(dr), errors.WorkerDied).value
        self.assertIn("and with it the iterator of", str(error))

    def test_timeout(self):
        """What takes too long is given up, and the worker dies of it, unasked."""
        self.make()
        d = self.queue.call(calls.echo, 1, timeout=5, retries=1)
        for _ in range(2):
            self.queue.reactor.advance(4.9)
            self.assertNoResult(d)
            self.queue.reactor.advance(0.1)
        self.failureResultOf(d, errors.TimeoutError)
        self.assertEqual((self.worker.starts, self.worker.death), (3, None))
        self.assertEqual(list(self.queue.deaths), [])

    def test_cancel(self):
        """So it does of a call that is cancelled, when the reactor comes round."""
        self.make()
        first, second = (self.queue.call(calls.echo, i) for i in range(2))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.worker.starts, 1)
        self.queue.reactor.advance(0)
        self.assertEqual(self.worker.starts, 2)
        self.worker.finish()
        self.assertEqual(self.successResultOf(second), 1)

    def test_cancelledAndFinished(self):
        """If the test ends it first, it does not die of the next."""
        self.make()
        first, second = (self.queue.call(calls.echo, i) for i in range(2))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.worker.finish()
        self.queue.reactor.advance(0)
        self.assertEqual(self.worker.starts, 1)
        self.worker.finish()
        self.assertEqual(self.successResultOf(second), 1)


class CopyTests(MemoryTestCase):
    """
    Tests of what crosses the pipe that is none.
    """

    def test_copies(self):
        """A call has a copy, made when a worker gets it, and its result is another."""
        self.make()
        items = ["one"]
        d = self.queue.call(keep, items)
        items.append("late")
        self.worker.finish()
        self.assertEqual(self.successResultOf(d), ["one", "more"])
        self.assertEqual(items, ["one", "late"])

    def test_large(self):
        """What is large crosses as it does a pipe, in several parts."""
        self.make(instant=True)
        data = [bytes(1 << 17), bytearray(1 << 21), "end"]
        copy = self.successResultOf(self.queue.call(calls.echo, data))
        self.assertEqual(copy, data)
        self.assertIsNot(copy[1], data[1])

    def test_call(self):
        """What cannot be pickled is not made, with the error of a process worker."""
        self.make()
        d = self.queue.call(calls.echo, lambda: None)
        error = self.failureResultOf(d, errors.PicklingError).value
        self.assertIn("its argument 1", str(error))
        self.assertEqual(self.worker.begun, [])

    def test_result(self):
        """A result or an item that cannot be pickled fails as there."""
        self.make(instant=True)
        d = self.queue.call(view, 1)
        error = self.failureResultOf(d, pickle.PicklingError).value
        self.assertIn("The result, of type memoryview", str(error))
        dr = self.successResultOf(self.queue.call(views, 2))
        self.assertEqual(self.successResultOf(next(dr)), 2)
        error = self.failureResultOf(next(dr), pickle.PicklingError).value
        self.assertIn("The item, of type memoryview", str(error))

    def test_error(self):
        """What a call raises has its traceback; what would end more does not come."""
        self.make(instant=True)
        error = self.failureResultOf(self.queue.call(calls.boom), ValueError).value
        self.assertIn("in boom", str(error.__cause__))
        self.failureResultOf(self.queue.call(calls.bye), errors.WorkerError)

    def test_closed(self):
        """An iterator that raises when it is closed is told of in the log."""
        self.make(instant=True)
        path = self.mktemp() + "/nowhere"
        dr = self.successResultOf(self.queue.call(calls.tidy, path))
        with capturedLogs() as logged:
            dr.stop()
        (text,) = map(formatEvent, logged)
        self.assertIn("raised when it was closed", text)

    def test_direct(self):
        """Without a pickler everything is the very object."""
        self.make(instant=True, pickler=None)
        items: list[str] = []
        d = self.queue.call(lambda x: x, items)
        self.assertIs(self.successResultOf(d), items)
        self.failureResultOf(self.queue.call(calls.bye), errors.WorkerError)

    def test_cloudpickle(self):
        """With that pickler lambdas cross, as copies."""
        self.make(instant=True, pickler="cloudpickle")
        items: list[str] = []
        d = self.queue.call(lambda x: keep(items), None)
        self.assertEqual(self.successResultOf(d), ["more"])
        self.assertEqual(items, [])
