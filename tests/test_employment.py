"""
Tests of L{asynqueue.employment}: workers that come up, die, and begin anew.
"""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import WorkerDied, WorkerError
from asynqueue.restarts import MAX_DEATHS, PAUSE
from tests import calls
from tests.memory import MemoryWorker, PlainMemoryWorker, SteppedQueue


class EmploymentTestCase(SynchronousTestCase):
    """
    What the tests below use.
    """

    def make(self, *workers, **kw):
        self.queue = SteppedQueue(*workers, **kw)
        self.reactor = self.queue.reactor
        return self.queue

    def exhaust(self, worker):
        """
        Has a worker not come up as often as it is tried.
        """
        worker.comesUp = False
        worker.die()
        for n in range(MAX_DEATHS - 1):
            self.reactor.advance(PAUSE * 2 ** (n - 1) if n else 0)
            self.assertEqual(len(worker._starters), 1, n)
            worker.die()


class DeathTests(EmploymentTestCase):
    """
    Tests of what happens when a worker dies.
    """

    def test_restart(self):
        """
        Only the call that it had in hand fails; the worker begins anew, with
        its ID and its qualifications, and those that wait are run.
        """
        worker = MemoryWorker(["x"])
        self.make(worker)
        ds = [self.queue.call(calls.echo, i, series="x") for i in range(3)]
        worker.die()
        self.failureResultOf(ds[0], WorkerDied)
        for i in (1, 2):
            worker.finish()
            self.assertEqual(self.successResultOf(ds[i]), i)
        self.assertEqual((worker.starts, self.queue.workers(1)), (2, worker))

    def test_idle(self):
        """
        One that dies with nothing in hand costs no call.
        """
        worker = MemoryWorker(instant=True)
        self.make(worker)
        worker.die()
        self.assertEqual(self.successResultOf(self.queue.call(calls.echo, 1)), 1)

    def test_othersGoOn(self):
        """
        While it comes up again the others take the calls.
        """
        workers = [MemoryWorker(), MemoryWorker()]
        self.make(*workers)
        workers[0].comesUp = False
        workers[0].die()
        ds = [self.queue.call(calls.echo, i) for i in range(2)]
        for _ in ds:
            workers[1].finish()
        self.assertEqual([self.successResultOf(d) for d in ds], [0, 1])
        workers[0].comeUp()
        self.queue.call(calls.echo, "x")
        self.queue.call(calls.echo, "y")
        self.assertEqual(workers[0].begun, [("y",)])

    def test_givenBack(self):
        """
        A call that it had not begun goes to another, in its place before those
        that were made later; it is tried once, whatever its I{retries}.
        """
        workers = [MemoryWorker(), MemoryWorker()]
        self.make(*workers)
        updated = self.queue.update(calls.echo, "u")
        ds = [self.queue.call(calls.echo, i, retries=0) for i in range(4)]
        workers[1].comesUp = workers[0].comesUp = False
        workers[0].die()
        while workers[1].tasks:
            workers[1].finish()
        self.assertEqual([self.successResultOf(d) for d in ds], [0, 1, 2, 3])
        self.assertEqual(workers[1].begun, [("u",), (1,), (0,), (2,), (3,)])
        self.failureResultOf(updated, WorkerDied)

    def test_neverBegins(self):
        """
        A worker that again and again dies before it begins what it is given is
        given up; what it was given is run by others, or fails with the reason.
        """
        for others in (0, 1):
            worker = MemoryWorker()
            other = MemoryWorker(up=False, instant=True)
            self.make(worker, *[other] * others)
            d = self.queue.call(calls.echo, "x", retries=0)
            for n in range(MAX_DEATHS):
                self.assertNoResult(d)
                self.reactor.advance(PAUSE * 2 ** (n - 2) if n > 1 else 0)
                worker.die(read=False)
            self.assertEqual(self.queue.workers(), [other] * others)
            if others:
                other.comeUp()
                self.assertEqual(self.successResultOf(d), "x")
            else:
                error = self.failureResultOf(d, WorkerError).value
                self.assertIn(f"{MAX_DEATHS} times", str(error))

    def test_killers(self):
        """
        A worker is not given up for many calls in a row that kill it, even with
        nothing finished between them.
        """
        worker = MemoryWorker()
        self.make(worker)
        ds = [self.queue.call(calls.echo, i) for i in range(3 * MAX_DEATHS)]
        for d in ds[:-1]:
            worker.die()
            self.failureResultOf(d, WorkerDied)
        worker.finish()
        self.assertEqual(self.successResultOf(ds[-1]), 3 * MAX_DEATHS - 1)

    def test_notRestartable(self):
        """
        One that cannot begin anew is gone; what it had not begun is done by
        others.
        """
        worker, other = PlainMemoryWorker(), MemoryWorker(up=False)
        self.make(worker, other)
        updated = self.queue.update(calls.echo, "u")
        waiting = self.queue.call(calls.echo, 1)
        worker.die()
        self.assertEqual(self.queue.workers(), [other])
        other.instant = True
        other.comeUp()
        self.assertEqual(self.successResultOf(waiting), 1)
        self.failureResultOf(updated, WorkerDied)
        self.assertEqual(worker.starts, 1)

    def test_notRestartableAndLast(self):
        """
        If there are no others, that fails, and says why.
        """
        worker = PlainMemoryWorker()
        self.make(worker)
        self.queue.update(calls.echo, "u").addErrback(lambda _: None)
        ds = [self.queue.call(calls.echo, i) for i in range(2)]
        worker.die()
        for d in [*ds, self.queue.call(calls.echo)]:
            error = self.failureResultOf(d, WorkerError).value
            self.assertIn("resigned", str(error))


class ComingUpTests(EmploymentTestCase):
    """
    Tests of workers that do not come up.
    """

    def test_newcomer(self):
        """
        One that does not come up the first time is given up at once: calls that
        wait, and those made later, fail with the reason.
        """
        worker = MemoryWorker(["x"], up=False)
        self.make(worker)
        ds = [self.queue.call(calls.echo, i, series=s) for i, s in enumerate("xy")]
        ds.append(self.queue.call(calls.echo))
        worker.die()
        self.assertNoResult(ds.pop(1))
        for d in [*ds, self.queue.call(calls.echo, series="x")]:
            error = self.failureResultOf(d, WorkerDied).value
            self.assertIn("SIGKILL", str(error))
        self.assertEqual((worker.starts, len(self.queue.q)), (1, 1))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_again(self):
        """
        One that was up before is tried several times, with growing pauses, and
        then given up.
        """
        worker = MemoryWorker(instant=True)
        self.make(worker)
        self.successResultOf(self.queue.call(calls.echo))
        worker.comesUp = False
        worker.die()
        waiting = self.queue.call(calls.echo)
        for n in range(1, MAX_DEATHS - 1):
            worker.die()
            self.assertEqual(worker.starts, n + 1)
            self.reactor.advance(PAUSE * 2 ** (n - 1) - 0.01)
            self.assertEqual(worker.starts, n + 1)
            self.reactor.advance(0.01)
            self.assertEqual(worker.starts, n + 2)
        self.assertNoResult(waiting)
        worker.die()
        self.failureResultOf(waiting, WorkerDied)
        self.assertEqual(self.queue.workers(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertTrue(worker.isStopping)

    def test_countsAnew(self):
        """
        Once it has done something, it is tried as often again.
        """
        worker = MemoryWorker()
        self.make(worker)
        for _ in range(3):
            worker.comesUp = False
            worker.die()
            for n in range(MAX_DEATHS - 2):
                worker.die()
                self.reactor.advance(PAUSE * 2**n)
            worker.comeUp()
            d = self.queue.call(calls.echo, 1)
            worker.finish()
            self.assertEqual(self.successResultOf(d), 1)

    def test_othersLeft(self):
        """
        Only calls of series that nobody is left for fail.
        """
        worker, other = MemoryWorker(["x", "y"]), MemoryWorker(["y"], up=False)
        self.make(worker, other)
        worker.comesUp = False
        worker.die()
        ds = {s: self.queue.call(calls.echo, s, series=s) for s in ("x", "y", None)}
        for n in range(MAX_DEATHS - 1):
            worker.die()
            self.reactor.advance(PAUSE * 2**n)
        self.failureResultOf(ds.pop("x"), WorkerDied)
        other.instant = True
        other.comeUp()
        for series, d in ds.items():
            self.assertEqual(self.successResultOf(d), series)

    def test_helpComes(self):
        """
        They fail until a worker that is qualified for the series is there.
        """
        for how in ("attach", "qualify"):
            worker, other = MemoryWorker(["x"]), MemoryWorker(instant=True)
            self.make(worker, other)
            self.exhaust(worker)
            self.failureResultOf(self.queue.call(calls.echo, series="x"), WorkerDied)
            if how == "attach":
                self.queue.attachWorker(MemoryWorker(["x"], instant=True))
            else:
                self.queue.qualifyWorker(other, "x")
            d = self.queue.call(calls.echo, 1, series="x")
            self.assertEqual(self.successResultOf(d), 1)

    def test_helpComingUp(self):
        """
        Calls wait for one that is on its way.
        """
        worker = MemoryWorker()
        self.make(worker)
        self.exhaust(worker)
        self.failureResultOf(self.queue.call(calls.echo), WorkerDied)
        other = MemoryWorker(up=False, instant=True)
        self.queue.attachWorker(other)
        d = self.queue.call(calls.echo, 1)
        self.assertNoResult(d)
        other.comeUp()
        self.assertEqual(self.successResultOf(d), 1)

    def test_retryWithNobodyLeft(self):
        """
        A call that would be tried again when nobody is left fails instead.
        """
        worker = PlainMemoryWorker()
        self.make(worker)
        d = self.queue.call(calls.echo, timeout=1)
        worker.comesUp = False
        self.reactor.advance(1)
        self.assertNoResult(d)
        worker.die()
        self.failureResultOf(d, WorkerError)

    def test_resignsBeforeItIsUp(self):
        """
        One that resigns before its start has failed is told of as such.
        """

        class Hasty(MemoryWorker):
            def crash(self):
                return []

            def die(self, read=True, exitCode=-9):
                for resign in self._resignators:
                    resign()

        worker = Hasty(up=False)
        self.make()
        d = self.queue.attachWorker(worker)
        worker.die()
        error = self.failureResultOf(d, WorkerError).value
        self.assertNotIsInstance(error, CancelledError)
        self.assertIn("resigned", str(error))

    def test_startRaises(self):
        """
        One that cannot even try is told of too.
        """

        class Broken(MemoryWorker):
            def start(self):
                raise OSError("no more processes")

        self.make()
        d = self.queue.attachWorker(Broken())
        self.failureResultOf(d, OSError)
        self.failureResultOf(self.queue.call(calls.echo), OSError)
        self.assertEqual(self.queue.workers(), [])

    def test_shutdownAfterGivingUp(self):
        """
        A worker that was given up is waited for at shutdown, until nothing of
        it is left.
        """
        worker = MemoryWorker(lingers=True)
        self.make(worker)
        self.exhaust(worker)
        d = self.queue.shutdown()
        self.assertNoResult(d)
        worker.vanish()
        self.successResultOf(d)


class NeverAgainTests(EmploymentTestCase):
    """
    Tests of workers that say that they will not begin anew.
    """

    def assertGivenUp(self, worker, d, starts):
        """
        The worker has been given up with what it died of, and is not tried again.
        """
        self.assertIs(self.failureResultOf(d, WorkerDied).value, worker.death)
        later = self.queue.call(calls.echo)
        self.assertIs(self.failureResultOf(later, WorkerDied).value, worker.death)
        self.assertEqual(self.queue.workers(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertTrue(worker.isStopping)
        self.assertEqual(worker.starts, starts)

    def test_resigns(self):
        """
        One that resigns is given up at once.
        """
        worker = MemoryWorker()
        self.make(worker)
        ds = [self.queue.call(calls.echo, i) for i in range(2)]
        worker.mayBeginAnew = False
        worker.die()
        self.failureResultOf(ds[0], WorkerDied)
        self.assertGivenUp(worker, ds[1], 1)

    def test_othersLeft(self):
        """
        What it had not begun is done by others.
        """
        worker, other = MemoryWorker(), MemoryWorker(up=False, instant=True)
        self.make(worker, other)
        d = self.queue.call(calls.echo, 1)
        worker.mayBeginAnew = False
        worker.die(read=False)
        self.assertEqual(self.queue.workers(), [other])
        other.comeUp()
        self.assertEqual(self.successResultOf(d), 1)

    def test_onPurpose(self):
        """
        If somebody had it end what it ran on, there is no death to tell of.
        """
        worker = MemoryWorker()
        self.make(worker)
        running, waiting = (self.queue.call(calls.echo, i) for i in range(2))
        running.cancel()
        self.failureResultOf(running, CancelledError)
        worker.mayBeginAnew = False
        worker.die()
        error = self.failureResultOf(waiting, WorkerError).value
        self.assertIn("resigned", str(error))
        self.assertEqual((self.queue.workers(), worker.starts), ([], 1))

    def test_beginningAnew(self):
        """
        One that cannot begin anew, and then says that it never will, is tried no
        more.
        """
        worker = MemoryWorker()
        self.make(worker)
        worker.comesUp = False
        worker.die()
        waiting = self.queue.call(calls.echo)
        worker.mayBeginAnew = False
        worker.die()
        self.assertGivenUp(worker, waiting, 2)

    def test_startFails(self):
        """
        If it resigns no more, but its start fails, that is the reason.
        """
        worker = MemoryWorker()
        self.make(worker)
        worker.comesUp = False
        worker.die()
        waiting = self.queue.call(calls.echo)
        worker.mayBeginAnew = False
        worker._down("it is gone for good")
        error = self.failureResultOf(waiting, WorkerDied).value
        self.assertIn("gone for good", str(error))
        self.assertEqual((self.queue.workers(), worker.starts), ([], 2))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_inPause(self):
        """
        Nor is it tried again if it says so before the next attempt.
        """
        worker = MemoryWorker()
        self.make(worker)
        worker.comesUp = False
        for _ in range(2):
            worker.die()
        waiting = self.queue.call(calls.echo)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        worker.mayBeginAnew = False
        worker.die()
        self.assertGivenUp(worker, waiting, 2)

    def test_updateFails(self):
        """
        One that begins anew but fails to run an update is given up with that.
        """
        worker = MemoryWorker(instant=True, held=[calls.hold])
        self.make(worker)
        self.queue.update(calls.hold, "never")
        worker.finish(b"r", None)
        worker.die()
        waiting = self.queue.call(calls.echo)
        worker.mayBeginAnew = False
        worker.fail(OSError("no such host"))
        self.failureResultOf(waiting, OSError)
        self.assertEqual((self.queue.workers(), worker.starts), ([], 2))
