"""
Tests of a queue that takes only so many waiting calls: C{maxWaiting}.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import QueueFull, QueueRunError, TimeoutError, WorkerDied
from asynqueue.null import NullQueue
from asynqueue.producers import ListConsumer
from tests import calls
from tests.memory import MemoryWorker, Results, SteppedQueue
from tests.test_base_floods import depth


class RoomTestCase(SynchronousTestCase):
    """
    A queue with one worker, and room for two calls that wait.
    """

    def setUp(self):
        self.worker = MemoryWorker()
        self.queue = SteppedQueue(self.worker, maxWaiting=2)
        self.results = Results()

    def call(self, x, **kw):
        return self.results.watch(x, self.queue.call(calls.echo, x, **kw))

    def callWhenReady(self, x, **kw):
        return self.results.watch(x, self.queue.callWhenReady(calls.echo, x, **kw))

    def fill(self):
        """
        Has one call run, and two wait.
        """
        for x in "abc":
            self.call(x)

    def begun(self):
        return "".join(x for (x,) in self.worker.begun)

    def finishAll(self):
        while self.worker.tasks:
            self.worker.finish()


class RefusalTests(RoomTestCase):
    """
    What is refused, and how.
    """

    def test_text(self):
        """The error tells which call, how many wait, the bound, and what to do."""
        self.fill()
        error = self.assertRaises(QueueFull, self.queue.call, calls.echo, "d")
        text = str(error)
        for part in (
            "tests.calls.echo('d')",
            "2 calls wait",
            "maxWaiting is 2",
            "whenReady()",
            "callWhenReady()",
        ):
            self.assertIn(part, text)

    def test_running(self):
        """A call that runs takes no room, and gives it back when it begins to."""
        self.fill()
        self.worker.finish()
        self.call("d")
        self.assertRaises(QueueFull, self.queue.call, calls.echo, "e")
        self.finishAll()
        self.assertEqual(self.begun(), "abcd")

    def test_urgent(self):
        """Urgent and unhurried calls count, and are refused, like any."""
        self.call("a")
        self.call("b", doNext=True)
        self.call("c", doLast=True)
        for how in ({"doNext": True}, {"doLast": True}, {"niceness": -20}):
            self.assertRaises(QueueFull, self.queue.call, calls.echo, **how)

    def test_series(self):
        """So do those that no worker is qualified for."""
        self.call("a", series="nobody's")
        self.call("b", series="nobody's")
        self.assertRaises(QueueFull, self.queue.call, calls.echo)
        self.queue.cancelSeries("nobody's")
        self.call("c")
        self.assertEqual(self.begun(), "c")

    def test_cancelled(self):
        """A call that is cancelled while it waits makes room."""
        self.fill()
        self.call("d", whenFull="wait")
        self.assertRaises(QueueFull, self.queue.call, calls.echo)
        d = self.queue.q.heaps[None].first().d
        d.cancel()
        self.assertEqual(len(self.queue.q), 2)
        self.finishAll()
        self.assertEqual(self.begun(), "acd")

    def test_retry(self):
        """A call that is to be tried again is never refused."""
        self.call("a", timeout=5, retries=1)
        self.call("b")
        self.call("c")
        self.queue.reactor.advance(5)
        self.assertEqual(len(self.queue.q), 3)
        self.assertRaises(QueueFull, self.queue.call, calls.echo)
        self.worker.finish()
        self.finishAll()
        self.assertEqual([self.results[x] for x in "abc"], [["a"], ["b"], ["c"]])

    def test_tooLate(self):
        """Nor is one that waits with no more tries: its timeout is its error."""
        self.call("a", timeout=5, retries=0)
        self.call("b")
        self.call("c")
        self.queue.reactor.advance(5)
        self.assertTrue(self.results["a"][0].check(TimeoutError))

    def test_givenBack(self):
        """Nor one that a dead worker gives back."""
        self.fill()
        self.worker.die(read=False)
        self.assertEqual(self.results["a"], [])
        self.finishAll()
        self.assertEqual(self.begun(), "abc")
        self.assertEqual(self.results["a"], ["a"])

    def test_update(self):
        """An update is no call that waits."""
        self.fill()
        d = self.queue.update(calls.echo, "u")
        self.finishAll()
        self.assertEqual(self.successResultOf(d), ["u"])

    def test_badInput(self):
        """What cannot be a bound, or what happens at it, is refused."""
        for n in (0, -1, 1.5, "2", True):
            self.assertRaises(ValueError, SteppedQueue, maxWaiting=n)
        self.assertRaises(ValueError, SteppedQueue, whenFull="drop")
        self.assertRaises(ValueError, self.queue.call, calls.echo, whenFull=True)

    def test_unbounded(self):
        """Without a bound there is always room."""
        queue = NullQueue(reactor=self.queue.reactor)
        self.assertFalse(queue.q.isFull())
        self.successResultOf(queue.whenReady())
        self.assertEqual(self.successResultOf(queue.callWhenReady(calls.echo, 1)), 1)


class WaitingTests(RoomTestCase):
    """
    Calls that wait for room.
    """

    def setUp(self):
        super().setUp()
        self.fill()

    def test_order(self):
        """They are made in the order in which they came, none refused."""
        for x in "def":
            self.callWhenReady(x)
        self.assertEqual((len(self.queue.q), len(self.queue.q.line)), (2, 3))
        self.worker.finish()
        self.assertEqual((len(self.queue.q), len(self.queue.q.line)), (2, 2))
        self.finishAll()
        self.assertEqual(self.begun(), "abcdef")
        self.assertEqual([self.results[x] for x in "def"], [["d"], ["e"], ["f"]])

    def test_urgentFirst(self):
        """The more urgent of them come first."""
        self.callWhenReady("d", doLast=True)
        self.callWhenReady("e")
        self.callWhenReady("f", doNext=True)
        self.worker.finish()
        self.finishAll()
        self.assertEqual(self.begun(), "abfced")

    def test_keyword(self):
        """A queue, or a call, may say whether calls wait; the call has the last
        word."""
        queue = SteppedQueue(MemoryWorker(up=False), maxWaiting=1, whenFull="wait")
        queue.call(calls.echo)
        queue.call(calls.echo)
        self.assertEqual((len(queue.q), len(queue.q.line)), (1, 1))
        self.assertRaises(QueueFull, queue.call, calls.echo, whenFull="refuse")
        self.assertNoResult(self.queue.call(calls.echo, whenFull="wait"))

    def test_notOvertaken(self):
        """A call that would be refused does not get the room of one that waits."""
        self.callWhenReady("d")
        refused = []

        def rush(_):
            if not self.queue.q.line:
                return
            try:
                self.queue.call(calls.echo, "x")
            except QueueFull:
                refused.append(1)

        self.queue.subscribe(ListConsumer(write=rush))
        self.worker.finish()
        self.finishAll()
        self.assertEqual(self.begun()[:4], "abcd")
        self.assertTrue(refused)

    def test_cancelBefore(self):
        """One that is cancelled before there is room is never made."""
        self.callWhenReady("d").cancel()
        self.callWhenReady("e")
        self.finishAll()
        self.assertTrue(self.results["d"][0].check(CancelledError))
        self.assertEqual(self.begun(), "abce")

    def test_cancelAfter(self):
        """One that is cancelled later is taken out, or abandoned, as any call."""
        d = self.callWhenReady("d")
        e = self.callWhenReady("e")
        self.worker.finish()
        d.cancel()
        self.worker.finish()
        self.worker.finish()
        self.assertEqual(self.begun(), "abce")
        e.cancel()
        self.assertEqual([t.callTuple[1] for t in self.worker.cancelled], [("e",)])

    def test_cancelSeveral(self):
        """Cancelling all, or a series, means those that wait for room too."""
        self.callWhenReady("d", series="memory")
        self.callWhenReady("e")
        self.assertEqual(self.queue.cancelSeries("memory"), 1)
        self.assertTrue(self.results["d"][0].check(CancelledError))
        self.assertEqual(self.queue.cancelAll(), 3)
        self.assertTrue(self.results["e"][0].check(CancelledError))
        self.assertEqual((len(self.queue.q), len(self.queue.q.line)), (0, 0))

    def test_shutdown(self):
        """They fail when the queue is shut down, and later ones are refused."""
        self.callWhenReady("d")
        ready = self.queue.whenReady()
        self.queue.shutdown()
        failure = self.results["d"][0]
        self.assertTrue(failure.check(QueueRunError))
        self.assertIn("tests.calls.echo('d')", str(failure.value))
        self.failureResultOf(ready, QueueRunError)
        self.assertRaises(QueueRunError, self.queue.callWhenReady, calls.echo)
        self.assertRaises(QueueRunError, self.queue.whenReady)

    def test_nobodyLeft(self):
        """They fail when nobody is left who could run them, like those that wait."""
        queue = SteppedQueue(worker := MemoryWorker(up=False), maxWaiting=1)
        for x in "abc":
            self.results.watch(x, queue.callWhenReady(calls.echo, x))
        worker.die()
        for x in "abc":
            self.assertTrue(self.results[x][0].check(WorkerDied))
        self.results.watch("d", queue.callWhenReady(calls.echo))
        self.assertTrue(self.results["d"][0].check(WorkerDied))

    def test_badInput(self):
        """What is wrong with a call is told at once, not when there is room."""
        self.assertRaises(TypeError, self.queue.callWhenReady, "no callable")
        self.assertRaises(ValueError, self.queue.callWhenReady, calls.echo, niceness=99)


class ReadyTests(RoomTestCase):
    """
    Waiting for room without a call.
    """

    def test_now(self):
        """It is over at once if there is room, however often one asks."""
        for _ in range(3):
            self.successResultOf(self.queue.whenReady())

    def test_inTurn(self):
        """Whoever waited longest is told first, and has the room."""
        self.fill()
        told = []

        def use(_, x):
            told.append(x)
            self.call(x)

        for x in "xyz":
            self.queue.whenReady().addCallback(use, x)
        self.assertEqual(told, [])
        self.worker.finish()
        self.assertEqual(told, ["x"])
        self.worker.finish()
        self.assertEqual(told, ["x", "y"])
        self.finishAll()
        self.assertEqual(self.begun(), "abcxyz")

    def test_notUsed(self):
        """Room that one does not use is told to the next."""
        self.fill()
        ds = [self.queue.whenReady() for _ in range(3)]
        self.worker.finish()
        for d in ds:
            self.successResultOf(d)

    def test_afterCalls(self):
        """Calls that wait for room have it first."""
        self.fill()
        d = self.queue.whenReady()
        self.callWhenReady("d")
        self.worker.finish()
        self.assertNoResult(d)
        self.worker.finish()
        self.successResultOf(d)

    def test_cancel(self):
        """One who waits no longer is not told."""
        self.fill()
        d = self.queue.whenReady()
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.finishAll()

    def test_madeByCancelling(self):
        """Room that comes by cancelling calls is told."""
        self.fill()
        ds = [self.queue.whenReady() for _ in range(2)]
        self.queue.cancelAll()
        for d in ds:
            self.successResultOf(d)


class FloodTests(SynchronousTestCase):
    """
    Calls by the thousand through a small room, at one depth of the stack.
    """

    N = 5000

    def flood(self, begin):
        worker = MemoryWorker(instant=True, up=False)
        queue = SteppedQueue(worker, maxWaiting=3)
        done = []
        depths = set()

        def note(x):
            done.append(x)
            depths.add(depth())

        d = begin(queue, note)
        worker.comeUp()
        if d is not None:
            self.successResultOf(d)
        self.assertEqual(done, list(range(self.N)))
        self.assertLess(max(depths) - min(depths), 10)
        self.assertEqual(len(queue.q), 0)

    def test_line(self):
        """All of them waiting for room at once."""

        def begin(queue, note):
            for i in range(self.N):
                queue.callWhenReady(calls.echo, i).addCallback(note)

        self.flood(begin)

    def test_loop(self):
        """Made in a loop that is held up."""

        async def loop(queue, note):
            for i in range(self.N):
                await queue.whenReady()
                queue.call(calls.echo, i).addCallback(note)

        self.flood(lambda *args: Deferred.fromCoroutine(loop(*args)))

    def test_ready(self):
        """As many who wait for room, each of whom makes a call."""

        def begin(queue, note):
            for i in range(self.N):
                d = queue.whenReady()
                d.addCallback(
                    lambda _, i=i: queue.call(calls.echo, i).addCallback(note) and None
                )

        self.flood(begin)


STEPS = ("call", "callWhenReady", "whenReady", "finish", "cancel", "cancelAll", "die")


class BoundTests(SynchronousTestCase):
    """
    Everything at once.
    """

    @settings(max_examples=200, deadline=None)
    @given(
        st.integers(1, 4),
        st.integers(1, 3),
        st.lists(
            st.tuples(st.sampled_from(STEPS), st.integers(0, 30)),
            max_size=60,
        ),
    )
    def test_bound(self, bound, n, steps):
        """
        No more calls wait than may; nobody waits for room while there is some;
        every call is refused or ends once; what ends well has begun once, and in
        the order in which it was made.
        """
        workers = [MemoryWorker() for _ in range(n)]
        queue = SteppedQueue(*workers, maxWaiting=bound)
        results = Results()
        ds: list[Any] = []
        ready: list[Any] = []
        refused = 0
        for step, a in steps:
            worker = workers[a % n]
            if step in ("call", "callWhenReady"):
                isFull = queue.q.isFull()
                try:
                    d = getattr(queue, step)(calls.echo, len(ds))
                except QueueFull:
                    assert isFull and step == "call"
                    refused += 1
                else:
                    assert step == "callWhenReady" or not isFull
                    ds.append(results.watch(len(ds), d))
            elif step == "whenReady":
                ready.append(results.watch(f"ready {len(ready)}", queue.whenReady()))
            elif step == "finish" and worker.inHand is not None:
                worker.finish()
            elif step == "die":
                worker.die()
            elif step == "cancel" and ds:
                ds[a % len(ds)].cancel()
            elif step == "cancelAll" and a < 5:
                queue.cancelAll()
            assert len(queue.q) <= bound
            if len(queue.q) < bound:
                assert not queue.q.line and all(d.called for d in ready)
        queue.shutdown()
        for worker in workers:
            while worker.inHand is not None:
                worker.finish()
        assert all(len(each) == 1 for each in results.all.values())
        for worker in workers:
            assert worker.begun == sorted(worker.begun)
        begun = [x for worker in workers for (x,) in worker.begun]
        assert len(begun) == len(set(begun))
        assert {i for i in range(len(ds)) if results[i] == [i]} <= set(begun)

    def tearDown(self):
        self.assertEqual(self.flushLoggedErrors(), [])
