"""
Tests of L{asynqueue.base}: calls that are cancelled, take too long, or are tried
again.
"""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import TimeoutError, WorkerDied
from asynqueue.messages import Status
from tests import calls
from tests.memory import MemoryWorker, SteppedQueue
from tests.test_load import Numbers


class CancelTestCase(SynchronousTestCase):
    """
    What the tests below use.
    """

    def setUp(self):
        self.worker = MemoryWorker()
        self.queue = SteppedQueue(self.worker)
        self.reactor = self.queue.reactor

    def tearDown(self):
        while self.worker.tasks:
            self.worker.finish()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(len(self.queue.q), 0)


class CancelTests(CancelTestCase):
    """
    Tests of cancelling the Deferred of a call.
    """

    def test_waiting(self):
        """
        A call that waits leaves the queue, and is never run.
        """
        numbers = Numbers()
        self.queue.q.subscribe(numbers)
        ds = [self.queue.call(calls.echo, i, series=i % 2 or None) for i in range(5)]
        self.queue.qualifyWorker(self.worker, 1)
        for i in (2, 3, 2):
            ds[i].cancel()
        self.assertEqual(len(self.queue.q), 2)
        for i in (2, 3):
            self.failureResultOf(ds[i], CancelledError)
        while self.worker.tasks:
            self.worker.finish()
        self.assertEqual(sorted(self.worker.begun), [(0,), (1,), (4,)])
        self.assertEqual((numbers.written[-1], self.worker.cancelled), (0, []))

    def test_running(self):
        """
        A call that runs is abandoned by its worker, and what that makes of it
        is of no account any more.
        """
        d, after = self.queue.call(calls.boom), self.queue.call(calls.echo, 1)
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.assertEqual(len(self.worker.cancelled), 1)
        self.assertNoResult(after)
        self.worker.die()
        self.worker.finish()
        self.assertEqual(self.successResultOf(after), 1)

    def test_over(self):
        """
        Cancelling a call that is over changes nothing.
        """
        d = self.queue.call(calls.echo, 1)
        self.worker.finish()
        d.cancel()
        self.assertEqual((self.successResultOf(d), self.worker.cancelled), (1, []))

    def test_secondTry(self):
        """
        A call in its second try is cancelled as any other, whether it waits or
        runs.
        """
        for running in (False, True):
            self.setUp()
            d = self.queue.call(calls.echo, "x", timeout=1)
            self.reactor.advance(1)
            self.assertEqual(len(self.queue.q), 1)
            if running:
                self.worker.die()
            d.cancel()
            self.failureResultOf(d, CancelledError)
            self.assertEqual(len(self.queue.q), 0)
            self.worker.die()
            self.assertEqual(len(self.worker.begun), 1 + running)
            self.assertEqual(len(self.worker.cancelled), 1 + running)
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_fromCallback(self):
        """
        A call may be cancelled in the callback of another.
        """
        ds = [self.queue.call(calls.echo, i) for i in range(4)]
        ds[0].addCallback(lambda _: ds[1].cancel())
        ds[3].addErrback(lambda _: ds[2].cancel())
        self.worker.finish()
        ds[3].cancel()
        for i in (1, 2):
            self.failureResultOf(ds[i], CancelledError)
        self.assertEqual(self.worker.begun, [(0,), (2,)])

    def test_update(self):
        """
        Whoever cancels the wait for an update ends only the wait: the workers
        do it, and those that are not up yet come up.
        """
        other = MemoryWorker(up=False)
        attached = self.queue.attachWorker(other)
        d = self.queue.update(calls.echo, "u")
        d.cancel()
        self.failureResultOf(d, CancelledError)
        other.comeUp()
        other.finish()
        self.assertEqual(self.successResultOf(attached), 2)
        self.worker.finish()
        self.assertEqual((self.worker.begun, other.begun), ([("u",)], [("u",)]))

    def test_cancelUpdateThatRuns(self):
        """
        The same if a worker that comes up is in the middle of it.
        """
        other = MemoryWorker(up=False)
        attached = self.queue.attachWorker(other)
        d = self.queue.update(calls.echo, "u")
        self.worker.finish()
        other.comeUp()
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.assertNoResult(attached)
        other.finish()
        self.assertEqual(self.successResultOf(attached), 2)


class TimeoutTests(CancelTestCase):
    """
    Tests of the I{timeout} of a call.
    """

    def run_(self, d, seconds, tries):
        """
        Lets a call run out of its time again and again.
        """
        for n in range(1, tries + 1):
            self.assertNoResult(d)
            self.assertEqual(len(self.worker.begun), n)
            self.reactor.advance(seconds - 0.1)
            self.assertNoResult(d)
            self.reactor.advance(0.1)
            self.assertEqual(len(self.worker.cancelled), n)
            self.worker.die()
        self.assertEqual(len(self.worker.begun), tries)

    def test_onceMore(self):
        """
        A call that takes too long is tried once more, and then fails with an
        error that names it.
        """
        d = self.queue.using(timeout=3).call(calls.add, 1, y=2)
        self.run_(d, 3, 2)
        error = self.failureResultOf(d, TimeoutError).value
        self.assertIn("tests.calls.add(1, y=2)", str(error))
        self.assertIn("3 seconds", str(error))

    def test_retries(self):
        """
        I{retries} sets how often it is tried again.
        """
        for retries in (0, 1, 3):
            self.setUp()
            d = self.queue.call(calls.echo, timeout=3, retries=retries)
            self.run_(d, 3, retries + 1)
            self.failureResultOf(d, TimeoutError)

    def test_secondTry(self):
        """
        A second try that is quicker is as good as a first, and its time counts
        anew.
        """
        d = self.queue.call(calls.echo, 1, timeout=3)
        self.reactor.advance(3)
        self.worker.die()
        self.reactor.advance(2.9)
        self.worker.finish()
        self.assertEqual(self.successResultOf(d), 1)

    def test_keepsItsPlace(self):
        """
        The second try goes before calls that were made later.
        """
        self.queue.call(calls.echo, 1, timeout=3)
        self.queue.call(calls.echo, 2)
        self.reactor.advance(3)
        self.worker.die()
        self.worker.finish()
        self.worker.finish()
        self.assertEqual(self.worker.begun, [(1,), (1,), (2,)])

    def test_countsFromTheWorker(self):
        """
        The time of a call does not count while it waits.
        """
        self.queue.call(calls.echo, 1)
        d = self.queue.call(calls.echo, 2, timeout=3)
        self.reactor.advance(100)
        self.worker.finish()
        self.reactor.advance(2.9)
        self.worker.finish()
        self.assertEqual(self.successResultOf(d), 2)

    def test_lateResult(self):
        """
        The result of a call whose time was up comes too late.
        """
        d = self.queue.call(calls.echo, 1, timeout=3, retries=0)
        self.reactor.advance(3)
        self.worker.finish(Status.RESULT, "late")
        self.failureResultOf(d, TimeoutError)

    def test_givenBack(self):
        """
        A call that is given back without having begun has all of its time
        again, and is no second try.
        """
        updated = self.queue.update(calls.echo, "u")
        d = self.queue.call(calls.echo, 1, timeout=3, retries=0)
        self.reactor.advance(2)
        self.worker.die()
        self.failureResultOf(updated, WorkerDied)
        self.reactor.advance(2)
        self.worker.finish()
        self.assertEqual(self.successResultOf(d), 1)

    def test_death(self):
        """
        A call whose worker died of it is not tried again: it may have been the
        cause.
        """
        d = self.queue.call(calls.echo, timeout=3, retries=5)
        self.worker.die()
        self.failureResultOf(d, WorkerDied)
        self.assertEqual(len(self.worker.begun), 1)

    def test_plainCodes(self):
        """
        A worker may tell of a timeout, a disconnection and anything else by the
        plain codes that workers have always used.
        """
        d = self.queue.call(calls.echo, 1)
        for code in (b"d", b"d", b"d", b"t"):
            self.worker.finish(code, "told by the worker")
        self.worker.finish(b"r", 7)
        self.assertEqual(self.successResultOf(d), 7)
        self.assertEqual(self.worker.begun, [(1,)] * 5)
        d = self.queue.call(calls.echo)
        self.worker.finish(b"e", "a text")
        self.assertIn("a text", str(self.failureResultOf(d).value))
        d = self.queue.call(calls.echo)
        self.worker.finish(b"?", None)
        self.assertIn("b'?'", str(self.failureResultOf(d, ValueError).value))

    def test_update(self):
        """
        An update that takes too long, or is lost, is not tried again, least of
        all as a call on another worker.
        """
        for end in (
            lambda: self.reactor.advance(3),
            lambda: self.worker.finish(b"t", ""),
            lambda: self.worker.finish(b"d", None),
        ):
            self.setUp()
            d = self.queue.update(calls.echo, timeout=3)
            end()
            self.failureResultOf(d)
            while self.worker.tasks:
                self.worker.finish()
            self.assertEqual((len(self.worker.begun), len(self.queue.q)), (1, 0))
