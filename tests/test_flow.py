"""
Tests of C{map}: a call for each of many items.
"""

import gc
import os
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue.deferator import Deferator
from asynqueue.errors import QueueRunError
from asynqueue.flow import Source
from asynqueue.process import ProcessQueue
from asynqueue.producers import IterationProducer, ListConsumer
from tests import calls, far
from tests.memory import MemoryWorker, SteppedQueue
from tests.test_base_floods import depth

N = 3000


class Items:
    """
    Numbers, and how far they have been read.

    @ivar read: How many have been.
    @ivar closed: How often their generator was closed, or came to its end.
    """

    def __init__(self, n, error=None):
        self.n = n
        self.error = error
        self.read = self.closed = 0
        self.due: Deferred[None] | None = None

    def __iter__(self):
        try:
            for i in range(self.n):
                self.read += 1
                yield i
            if self.error is not None:
                raise self.error
        finally:
            self.closed += 1

    async def slowly(self):
        """
        Gives each number when I{due} is fired.
        """
        try:
            for i in range(self.n):
                self.due = Deferred()
                await self.due
                self.read += 1
                yield i
        finally:
            self.closed += 1

    def come(self):
        assert self.due is not None
        self.due.callback(None)


class FlowTestCase(SynchronousTestCase):
    """
    A queue with two workers, whose calls end when the test says so.
    """

    def setUp(self):
        self.use(MemoryWorker(), MemoryWorker())

    def use(self, *workers, **kw):
        self.workers = list(workers)
        self.queue = SteppedQueue(*workers, **kw)
        self.got = []

    async def _collect(self, results):
        async for result in results:
            self.got.append(result)

    def collect(self, results):
        return Deferred.fromCoroutine(self._collect(results))

    def end(self, x, error=None):
        """
        Ends the call that was made with an item, and is running.
        """
        for worker in self.workers:
            if worker.inHand is not None and worker.inHand.callTuple[1] == (x,):
                return worker.fail(error) if error else worker.finish()
        raise AssertionError(f"The call with {x!r} does not run")

    def begun(self):
        return sorted(x for worker in self.workers for (x,) in worker.begun)


class OrderTests(FlowTestCase):
    """
    Which results come when, and how far the items are read.
    """

    def test_ordered(self):
        """Results come in the order of the items."""
        d = self.collect(self.queue.map(calls.echo, [1, 2, 3]))
        self.end(2)
        self.assertEqual(self.got, [])
        self.end(1)
        self.assertEqual(self.got, [1, 2])
        self.end(3)
        self.assertEqual(self.got, [1, 2, 3])
        self.successResultOf(d)

    def test_unordered(self):
        """Or as they come."""
        d = self.collect(self.queue.map(calls.echo, [1, 2, 3], ordered=False))
        for x in (2, 3, 1):
            self.end(x)
        self.assertEqual(self.got, [2, 3, 1])
        self.successResultOf(d)

    def test_limit(self):
        """No more are read than may be outstanding, with those not taken."""
        items = Items(10)
        results = self.queue.map(calls.echo, items, limit=3)
        self.assertEqual(items.read, 3)
        self.end(1)
        self.end(2)
        self.end(0)
        self.assertEqual(items.read, 3)
        self.assertEqual(self.successResultOf(next(results)), 0)
        self.assertEqual(items.read, 4)
        self.assertEqual(self.successResultOf(next(results)), 1)
        self.assertEqual(items.read, 5)
        results.stop()

    def test_defaultLimit(self):
        """Unless given, the limit is twice the number of workers."""
        items = Items(10)
        self.queue.map(calls.echo, items).stop()
        self.assertEqual(items.read, 4)

    def test_moreWorkers(self):
        """It grows with them."""
        self.use()
        items = Items(10)
        results = self.queue.map(calls.echo, items)
        self.assertEqual(items.read, 2)
        self.workers = [MemoryWorker(instant=True) for _ in range(3)]
        for worker in self.workers:
            self.queue.attachWorker(worker)
        self.assertEqual(self.successResultOf(next(results)), 0)
        self.assertEqual(items.read, 7)
        results.stop()

    def test_loop(self):
        """A loop over Deferreds gets the same, and ends where it should."""

        @inlineCallbacks
        def consume():
            for d in self.queue.map(calls.echo, range(5), limit=2):
                self.got.append((yield d))

        self.use(MemoryWorker(instant=True))
        self.successResultOf(consume())
        self.assertEqual(self.got, list(range(5)))

    def test_nothing(self):
        """Without items there is nothing, in either kind of loop."""
        self.assertEqual(list(self.queue.map(calls.echo, [])), [])
        self.successResultOf(self.collect(self.queue.map(calls.echo, [])))
        d = self.collect(self.queue.map(calls.echo, Items(0).slowly()))
        self.successResultOf(d)
        self.assertEqual(self.got, [])

    def test_consumer(self):
        """The results can be written to a consumer."""
        self.use(MemoryWorker(instant=True))
        consumer = ListConsumer()
        IterationProducer(self.queue.map(calls.echo, range(9)), consumer).run()
        self.assertEqual(self.successResultOf(consumer()), list(range(9)))

    def test_keywords(self):
        """All other keywords are those of the calls."""
        queue: Any = self.queue
        results = queue.map(calls.add, [1], series="memory", y=2, doNext=True)
        task = self.workers[0].inHand
        self.assertEqual(task.callTuple, (calls.add, (1,), {"y": 2}))
        self.assertEqual(task.series, "memory")
        self.assertEqual(task.priority, float("-inf"))
        results.stop()

    def test_maxWaiting(self):
        """Calls wait for room in the queue, and are not refused."""
        self.use(MemoryWorker(), maxWaiting=1)
        d = self.collect(self.queue.map(calls.echo, range(9), limit=5))
        self.assertEqual((len(self.queue.q), len(self.queue.q.line)), (1, 3))
        for x in range(9):
            self.end(x)
        self.successResultOf(d)
        self.assertEqual(self.got, list(range(9)))


class SourceTests(FlowTestCase):
    """
    What the items may come from.
    """

    def test_async(self):
        """An asynchronous generator is read one by one, and holds up nothing."""
        items = Items(3)
        d = self.collect(self.queue.map(calls.echo, items.slowly()))
        items.come()
        self.end(0)
        self.assertEqual(self.got, [0])
        items.come()
        items.come()
        self.end(2)
        self.end(1)
        self.assertEqual(self.got, [0, 1, 2])
        self.successResultOf(d)

    def test_deferator(self):
        """The results of one map may be the items of another."""
        self.use(MemoryWorker(instant=True))
        add = partial(calls.add, y=1)
        first = self.queue.map(add, range(5))
        second = self.queue.map(add, first)
        self.successResultOf(self.collect(second))
        self.assertEqual(self.got, [2, 3, 4, 5, 6])
        self.assertTrue(self.successResultOf(first.d))

    def test_slowDeferator(self):
        """They may take their time."""
        first = self.queue.map(calls.echo, range(2), limit=1)
        d = self.collect(self.queue.map(calls.echo, first, doNext=True))
        for x in (0, 0, 1, 1):
            self.end(x)
        self.successResultOf(d)
        self.assertEqual(self.got, [0, 1])

    def test_deferatorStopped(self):
        """To stop the second is to stop the first."""
        first = self.queue.map(calls.echo, items := Items(5))
        self.queue.map(calls.echo, first).stop()
        self.assertFalse(self.successResultOf(first.d))
        self.assertEqual(items.closed, 1)

    def test_file(self):
        """What is no generator is left open when it is left early."""
        path = self.mktemp()
        with open(path, "w") as f:
            f.write("a\nb\n")
        with open(path) as f:
            self.queue.map(calls.echo, f, limit=1).stop()
            self.assertEqual(next(f), "b\n")

    def test_closeFails(self):
        """A generator that raises when it is closed is told of in the log."""

        def items():
            try:
                yield 1
                yield 2
            finally:
                raise ValueError("closing")

        self.queue.map(calls.echo, items(), limit=1).stop()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_badInput(self):
        """What cannot be mapped is refused at the call."""
        cases: list[tuple[type[Exception], Any, Any]] = [
            (TypeError, ("f", []), {}),
            (TypeError, (calls.echo, 3), {}),
            (ValueError, (calls.echo, []), {"limit": 0}),
            (ValueError, (calls.echo, []), {"consumer": ListConsumer()}),
            (ValueError, (calls.echo, []), {"niceness": 30}),
            (TypeError, (calls.echo, []), {"series": []}),
        ]
        for error, args, kw in cases:
            self.assertRaises(error, self.queue.map, *args, **kw)
        self.assertIn("which 3 is", str(self.assertRaises(TypeError, Source, 3)))
        self.queue.shutdown()
        self.assertRaises(QueueRunError, self.queue.map, calls.echo, [])


class ErrorTests(FlowTestCase):
    """
    Calls and items that fail.
    """

    def test_inItsPlace(self):
        """An error comes after the results before it, and ends it all."""
        items = Items(9)
        d = self.collect(self.queue.map(calls.echo, items))
        self.end(1, ValueError("no"))
        self.assertNoResult(d)
        self.end(0)
        self.failureResultOf(d, ValueError)
        self.assertEqual(self.got, [0])
        self.assertEqual((items.read, items.closed), (4, 1))
        self.assertEqual(len(self.queue.q), 0)

    def test_noMoreRead(self):
        """No more items are read when an error is there that will end it."""
        items = Items(9)
        results = self.queue.map(calls.echo, items, limit=2)
        self.end(1, ValueError("no"))
        self.end(0)
        d = self.collect(results)
        self.failureResultOf(d, ValueError)
        self.assertEqual(items.read, 2)

    def test_loop(self):
        """The same holds in a loop over Deferreds."""
        results = self.queue.map(calls.echo, range(3))
        d = next(results)
        self.end(0, ValueError("no"))
        self.failureResultOf(d, ValueError)
        self.assertEqual(list(results), [])

    def test_returnExceptions(self):
        """If that is wanted, exceptions are results like others."""
        d = self.collect(self.queue.map(calls.echo, range(3), returnExceptions=True))
        error = ValueError("no")
        self.end(0)
        self.end(1, error)
        self.end(2)
        self.successResultOf(d)
        self.assertEqual(self.got, [0, error, 2])

    def test_items(self):
        """An error of the items comes after the results before it."""
        for ordered in (True, False):
            self.setUp()
            items = Items(2, KeyError("items"))
            d = self.collect(self.queue.map(calls.echo, items, ordered=ordered))
            self.assertNoResult(d)
            self.end(1)
            self.end(0)
            self.failureResultOf(d, KeyError)
            self.assertEqual(sorted(self.got), [0, 1])

    def test_itemsAtOnce(self):
        """So does one that comes in place of the first item."""
        results = self.queue.map(calls.echo, Items(0, KeyError("items")))
        self.failureResultOf(next(results), KeyError)
        self.assertEqual(list(results), [])

    def test_stopIteration(self):
        """An error that is also the sign of an end is told, and is none."""
        for error in (StopIteration(), StopAsyncIteration()):
            self.setUp()
            d = self.collect(self.queue.map(calls.echo, range(3)))
            self.end(0, error)
            failure = self.failureResultOf(d, RuntimeError)
            self.assertIs(failure.value.__cause__, error)

    def test_shutdown(self):
        """When the queue is shut down, what waits fails, and that is the end."""
        for returnExceptions in (True, False):
            self.setUp()
            items = Items(9)
            d = self.collect(
                self.queue.map(calls.echo, items, returnExceptions=returnExceptions)
            )
            self.queue.shutdown()
            self.end(0)
            self.end(1)
            self.failureResultOf(d, QueueRunError)
            self.assertEqual(items.closed, 1)
            self.assertEqual(self.got[:2], [0, 1])


class EndTests(FlowTestCase):
    """
    Maps that are left before their end.
    """

    def assertLeft(self, items):
        """Two calls run, and are abandoned; the others have never begun."""
        cancelled = [t for worker in self.workers for t in worker.cancelled]
        self.assertEqual(len(cancelled), 2)
        for worker in self.workers:
            worker.finish()
        self.assertEqual(self.begun(), [0, 1])
        self.assertEqual((items.read, items.closed), (4, 1))

    def test_stop(self):
        """To stop one is to cancel its calls and to close its generator."""
        items = Items(9)
        results = self.queue.map(calls.echo, items)
        results.stop()
        results.stop()
        self.assertLeft(items)
        self.assertFalse(self.successResultOf(results.d))

    def test_collected(self):
        """To let go of one is the same."""
        items = Items(9)
        results = self.queue.map(calls.echo, items)
        del results
        gc.collect()
        self.queue.reactor.advance(0)
        self.assertLeft(items)

    def test_brokenOff(self):
        """To leave a loop is to let go."""

        async def consume():
            async for _ in self.queue.map(calls.echo, items):
                break

        items = Items(9)
        d = Deferred.fromCoroutine(consume())
        self.end(0)
        self.successResultOf(d)
        gc.collect()
        self.queue.reactor.advance(0)
        self.assertEqual(items.closed, 1)
        self.assertEqual(len(self.queue.q), 0)

    def test_whileWaitedFor(self):
        """Who waits for a result then has come to the end."""
        results = self.queue.map(calls.echo, items := Items(9))
        d = self.collect(results)
        results.stop()
        self.successResultOf(d)
        self.assertLeft(items)

    def test_cancelled(self):
        """To cancel the waiting for a result is to stop."""
        results = self.queue.map(calls.echo, items := Items(9))
        d = next(results)
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.assertLeft(items)

    def test_whileReading(self):
        """A generator that takes its time is closed when it can be."""
        items = Items(9)
        results = self.queue.map(calls.echo, items.slowly())
        items.come()
        results.stop()
        self.assertEqual((items.read, items.closed), (1, 1))

    def test_stubborn(self):
        """One that does not let itself be interrupted is closed after its item."""
        closed = []
        due: Deferred[None] = Deferred()

        async def stubborn():
            try:
                try:
                    await Deferred()
                except CancelledError:
                    await due
                yield 0
            finally:
                closed.append(True)

        results = self.queue.map(calls.echo, stubborn())
        results.stop()
        self.assertEqual(closed, [])
        due.callback(None)
        self.assertEqual(closed, [True])
        self.assertEqual(self.begun(), [])

    def test_byItself(self):
        """It may be stopped by its own generator."""

        def items():
            yield 0
            yield 1
            results.stop()
            yield 2

        self.use(MemoryWorker())
        results = self.queue.map(calls.echo, items(), limit=2)
        d = self.collect(results)
        self.workers[0].finish()
        self.successResultOf(d)
        self.assertEqual(self.got, [0])

    def test_finished(self):
        """After the end there is nothing to stop."""
        self.use(MemoryWorker(instant=True))
        results = self.queue.map(calls.echo, range(3))
        self.successResultOf(self.collect(results))
        results.stop()
        self.assertTrue(self.successResultOf(results.d))


class FloodTests(FlowTestCase):
    """
    Items by the thousand whose calls end at once, at one depth of the stack.
    """

    async def note(self, results):
        async for result in results:
            self.got.append(result)
            self.depths.add(depth())

    def test_flood(self):
        """However the items come, and the results."""

        async def slowly():
            for i in range(N):
                yield i

        for items in (lambda: range(N), slowly):
            for up in (True, False):
                self.use(MemoryWorker(instant=True, up=up))
                self.depths = set()
                results = self.queue.map(calls.echo, items(), ordered=up)
                d = Deferred.fromCoroutine(self.note(results))
                if not up:
                    self.workers[0].comeUp()
                self.successResultOf(d)
                self.assertEqual(self.got, list(range(N)))
                self.assertLess(max(self.depths) - min(self.depths), 40)


class RandomTests(SynchronousTestCase):
    """
    Everything at once.
    """

    @settings(max_examples=200, deadline=None)
    @given(
        n=st.integers(0, 15),
        workers=st.integers(1, 3),
        limit=st.one_of(st.none(), st.integers(1, 6)),
        ordered=st.booleans(),
        isAsync=st.booleans(),
        fails=st.sets(st.integers(0, 14)),
        maxWaiting=st.one_of(st.none(), st.integers(1, 3)),
        steps=st.lists(st.integers(0, 5), max_size=60),
    )
    def test_once(self, n, workers, limit, ordered, isAsync, fails, maxWaiting, steps):
        """
        Each item has one result, in order if so wanted; no more calls are
        outstanding, and no item is read further ahead, than the limit has it.
        """
        pool = [MemoryWorker() for _ in range(workers)]
        queue = SteppedQueue(*pool, maxWaiting=maxWaiting)
        items = Items(n)
        results: Any = queue.map(
            calls.echo,
            items.slowly() if isAsync else items,
            limit=limit,
            ordered=ordered,
            returnExceptions=True,
        )
        got: list[Any] = []
        most = limit or 2 * workers
        waits = over = False

        async def take():
            nonlocal waits, over
            waits = True
            async for item in results:
                got.append(item.args[0] if isinstance(item, ValueError) else item)
                break
            else:
                over = True
            waits = False

        def act(step):
            if step == 0 and isAsync and items.due and not items.due.called:
                items.come()
            elif step in (1, 2) and not over and not waits:
                Deferred.fromCoroutine(take())
            elif (worker := pool[step % workers]).inHand is not None:
                (x,) = worker.inHand.callTuple[1]
                worker.finish() if x not in fails else worker.fail(ValueError(x))
            assert items.read <= min(n, len(got) + most)
            assert isAsync or over or items.read == min(n, len(got) + most)

        for step in [*steps, *list(range(6)) * 20 * (n + 1)]:
            act(step)
        assert over
        assert sorted(got) == list(range(n))
        assert not ordered or got == sorted(got)
        begun = [x for worker in pool for (x,) in worker.begun]
        assert sorted(begun) == list(range(n))
        assert items.closed == 1

    def tearDown(self):
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])


class ProcessTests(TestCase):
    """
    Real worker processes.
    """

    @inlineCallbacks
    def test_map(self):
        """Results come in order from several processes, and none is left."""
        queue = ProcessQueue(2, maxWaiting=3)
        self.addCleanup(queue.shutdown)
        items = Items(40)
        ahead = []

        async def consume():
            got = []
            async for result in queue.map(abs, (-i for i in items), limit=6):
                got.append(result)
                ahead.append(items.read - len(got))
            return got

        got = yield Deferred.fromCoroutine(consume())
        self.assertEqual(got, list(range(40)))
        self.assertLessEqual(max(ahead), 6)

    @inlineCallbacks
    def test_leave(self):
        """Calls that run when a loop is left are ended with their processes."""
        queue = ProcessQueue(2)
        self.addCleanup(queue.shutdown)
        pids = yield queue.update(os.getpid, ephemeral=True)
        results = queue.map(far.nap, [0, 600])
        yield next(results)
        results.stop()
        later = yield queue.update(os.getpid, ephemeral=True)
        self.assertEqual(len({*pids, *later}), 3)

    def test_isDeferator(self):
        """What one gets is a Deferator."""
        queue = SteppedQueue()
        self.assertIsInstance(queue.map(abs, []), Deferator)
