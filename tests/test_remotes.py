"""
Iterators in a worker process, on fakes.
"""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import WorkerDied, WorkerError
from asynqueue.messages import Status
from asynqueue.openings import LINGER
from tests.test_iteration import asyncLoop

from .fakes import Bench, brittle, count, double, makeTask


class IteratorsTests(SynchronousTestCase):
    def setUp(self, **kw):
        self.bench = Bench(**kw).up()
        self.poller = self.bench.poller

    def iterate(self, f, *args):
        task = makeTask(f, *args)
        self.bench.worker.run(task)
        self.poller.answerAll()
        status, result = self.successResultOf(task.d)
        self.assertIs(status, Status.ITERATION)
        return result

    def next(self, dr):
        d = next(dr)
        self.poller.answerAll()
        # If it was long ago that an item came, the reactor has a turn first.
        self.bench.reactor.advance(0)
        return d

    def kept(self):
        return len(self.poller.universe.iterators)

    def test_items(self):
        """Each item comes in its Deferred, and nothing is kept at the end."""
        dr = self.iterate(count, 3)
        items = []
        for d in dr:
            self.poller.answerAll()
            items.append(self.successResultOf(d))
        self.assertEqual(items, [0, 1, 2])
        self.assertTrue(self.successResultOf(dr.d))
        self.assertEqual(self.kept(), 0)

    def test_interleaved(self):
        """Two iterations do not mix."""
        one, two = self.iterate(count, 3), self.iterate(iter, "xyz")
        items = [self.successResultOf(self.next(dr)) for dr in (one, two, two, one)]
        self.assertEqual(items, [0, "x", "y", 1])

    def test_itemsPassCalls(self):
        """An item is fetched before any call that waits."""
        dr = self.iterate(count, 3)
        tasks = [makeTask(double, x) for x in range(2)]
        for task in tasks:
            self.bench.worker.run(task)
        d = next(dr)
        self.poller.answer()
        self.poller.answer()
        self.assertEqual(self.successResultOf(d), 0)
        self.assertNoResult(tasks[1].d)

    def test_errorMidway(self):
        """An error comes after the items before it."""
        dr = self.iterate(brittle, 2)
        items = [self.successResultOf(self.next(dr)) for _ in range(2)]
        self.assertEqual(items, [0, 1])
        error = self.failureResultOf(self.next(dr), ZeroDivisionError)
        self.assertIn("brittle", str(error.value.__cause__))
        self.assertRaises(StopIteration, next, dr)
        self.assertFalse(self.successResultOf(dr.d))

    def test_errorAtFirst(self):
        """A generator that raises at once is a call that raises."""
        task = makeTask(brittle, 0)
        self.bench.worker.run(task)
        self.poller.answerAll()
        self.assertIsInstance(self.successResultOf(task.d)[1], ZeroDivisionError)

    def test_stop(self):
        """stop() closes the generator over there."""
        dr = self.iterate(count, 3)
        dr.stop()
        self.poller.answerAll()
        self.assertEqual(self.kept(), 0)
        self.assertFalse(self.successResultOf(dr.d))

    def test_collected(self):
        """A Deferator that nobody has any more closes the generator too."""
        dr = self.iterate(count, 3)
        d = self.next(dr)
        self.assertEqual(self.kept(), 1)
        del dr, d
        self.bench.reactor.advance(0)
        self.poller.answerAll()
        self.assertEqual(self.kept(), 0)

    def test_deathMidway(self):
        """An iteration whose process dies fails, and says what died."""
        dr = self.iterate(count, 3)
        d = next(dr)
        self.bench.child.die(-9)
        self.successResultOf(d)
        error = self.failureResultOf(next(dr), WorkerError).value
        self.assertIn("SIGKILL", str(error))
        self.assertIn("count(3)", str(error))

    def test_deathWithItemsHere(self):
        """Those that are here come first, and then what died."""
        for instant in (False, True):
            self.setUp()
            dr = self.iterate(count, 100)
            items = [self.successResultOf(self.next(dr)) for _ in range(10)]
            if instant:
                # The next are asked for.
                items += [self.successResultOf(next(dr)) for _ in range(3)]
            self.bench.child.die(-9)
            rest: list[int] = []
            done = Deferred.fromCoroutine(asyncLoop(dr, rest))
            error = self.failureResultOf(done, WorkerDied).value
            self.assertIn("and with it the iterator of tests.fakes.count(", str(error))
            self.assertEqual([*items, *rest], list(range(16)))

    def test_readAhead(self):
        """An iterator runs ahead no further than its reader has come, or not at all."""
        for readAhead, ahead in ((True, 4), (False, 1)):
            self.setUp(readAhead=readAhead)
            dr = self.iterate(count, 100)
            for _ in range(4):
                self.successResultOf(self.next(dr))
            (iterator,) = self.poller.universe.iterators.values()
            self.assertEqual(next(iterator), 4 + ahead)
            dr.stop()

    def test_doNext(self):
        """do_next gives items by ID, StopIteration at the end, errors after."""
        self.iterate(count, 2)
        worker = self.bench.worker
        results = []
        dr = self.iterate(iter, "ab")
        (ID,) = [i for i in self.poller.universe.iterators if i > 1]
        for _ in range(3):
            d = worker.do_next(ID)
            self.poller.answerAll()
            results.append(d)
        self.assertEqual(self.successResultOf(results[0]), "b")
        self.failureResultOf(results[1], StopIteration)
        self.failureResultOf(results[2], WorkerError)
        dr.stop()

    def test_stopLetsReadersFinish(self):
        """Stopping waits for an iteration that goes on being read."""
        dr = self.iterate(count, 4)
        stopped = self.bench.worker.stop()
        for _ in range(4):
            self.successResultOf(self.next(dr))
            self.bench.reactor.advance(LINGER * 0.9)
        self.poller.answerAll()
        self.bench.child.die(0)
        self.successResultOf(stopped)

    def test_stopClosesWhatNobodyReads(self):
        """Stopping does not depend on whoever broke off a loop."""
        dr = self.iterate(count, 4)
        stopped = self.bench.worker.stop()
        self.bench.reactor.advance(LINGER)
        self.poller.answerAll()
        self.bench.child.die(0)
        self.successResultOf(stopped)
        d = next(dr)
        self.successResultOf(d)
        self.failureResultOf(next(dr), WorkerError)

    def test_stopClosesFirst(self):
        """What nobody reads is closed before the process is asked to stop."""
        dr = self.iterate(count, 4)
        self.bench.worker.stop()
        self.bench.reactor.advance(LINGER)
        self.poller.answerAll()
        names = [type(envelope).__name__ for envelope in self.poller.sent]
        self.assertEqual(names[-2:], ["Close", "Stop"])
        dr.stop()

    def test_stopLetsSlowReadersFinish(self):
        """An item that is waited for is worth waiting for, however long it takes."""
        dr = self.iterate(count, 4)
        stopped = self.bench.worker.stop()
        d = next(dr)
        for _ in range(3):
            self.bench.reactor.advance(LINGER)
        self.poller.answerAll()
        items = [self.successResultOf(d)]
        items += [self.successResultOf(self.next(dr)) for _ in range(3)]
        self.assertEqual(items, [0, 1, 2, 3])
        self.bench.child.die(0)
        self.successResultOf(stopped)
