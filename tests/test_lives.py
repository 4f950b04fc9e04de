"""
A queue whose worker's processes come and go, on fakes.
"""

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.base import TaskQueue
from asynqueue.errors import StartFailed, WorkerDied, WorkerError

from .fakes import Bench, double


class LivesTests(SynchronousTestCase):
    def setUp(self):
        self.bench = Bench()
        self.reactor = self.bench.reactor
        self.queue = TaskQueue(reactor=self.reactor)
        self.hired = self.queue.attachWorker(self.bench.worker)

    def come(self):
        self.bench.child.come()
        self.bench.poller.answerAll()

    def test_replaced(self):
        """A process that dies is replaced, and updates are run on the new one."""
        self.come()
        update = self.queue.update(double, 1)
        self.bench.poller.answerAll()
        self.assertEqual(self.successResultOf(update), [2])
        first, second = self.queue.call(double, 2), self.queue.call(double, 3)
        self.bench.child.die(-9)
        self.failureResultOf(first, WorkerDied)
        self.come()
        self.assertEqual(self.successResultOf(second), 6)
        self.assertEqual(len(self.bench.children), 2)
        self.assertEqual(len(self.bench.poller.sent), 6)

    def test_unreadIsRunAgain(self):
        """A call that a dying process had not read runs in the next one."""
        self.come()
        d = self.queue.call(double, 2)
        self.bench.poller.lose(EOFError(), unsent=1)
        self.bench.child.die(-9)
        self.assertNoResult(d)
        self.come()
        self.assertEqual(self.successResultOf(d), 4)

    def test_unreadAgainAndAgain(self):
        """A worker whose processes never read anything is given up."""
        self.come()
        d = self.queue.call(double, 2)
        for _ in range(10):
            self.reactor.advance(1)
            if d.called:
                break
            if self.bench.child.pid is None:
                self.bench.child.come()
                self.bench.poller.answer()
            self.bench.poller.lose(EOFError(), unsent=1)
            self.bench.child.die(1)
        self.failureResultOf(d, WorkerError)
        self.failureResultOf(self.queue.call(double, 1), WorkerError)

    def test_neverUp(self):
        """If no process comes up, calls that wait and later ones are told."""
        d = self.queue.call(double, 1)
        self.bench.child.come()
        self.bench.child.die(1)
        self.failureResultOf(d, StartFailed)
        self.failureResultOf(self.hired, StartFailed)
        self.failureResultOf(self.queue.call(double, 1), StartFailed)

    def test_timeout(self):
        """A call that overruns is tried once more in a new process."""
        self.come()
        d = self.queue.call(double, 1, timeout=2)
        self.reactor.advance(2)
        self.assertEqual(self.bench.child.asked, ["terminate"])
        self.bench.child.die(-15)
        self.come()
        self.assertEqual(self.successResultOf(d), 2)

    def test_shutdown(self):
        """Shutting down waits for the process, and leaves nothing behind."""
        self.come()
        done = self.queue.shutdown()
        self.bench.poller.answerAll()
        self.bench.child.die(0)
        self.successResultOf(done)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.triggers["before"]["shutdown"], [])
