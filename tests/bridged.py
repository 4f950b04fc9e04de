"""
What the tests of bridges between the reactor and threads stand on: a reactor with a
pool of threads, both stepped by the test, a thread that does as it is told, and a
look into a buffer.
"""

import threading
from collections import deque
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from asynqueue.bridges import Consumerator
from asynqueue.ordered import OrderedItemProducer
from asynqueue.threadpool import PoolUser, _pools
from tests.support import BOUND, SteppedReactor, leavesNothing


class PoolReactor(SteppedReactor):
    """
    A L{SteppedReactor} that can be stopped.

    @ivar triggers: What it is to call before it stops.
    """

    def __init__(self):
        super().__init__()
        self.triggers: list[Any] = []

    def addSystemEventTrigger(self, phase, event, f, *args, **kw):
        assert (phase, event) == ("before", "shutdown")
        trigger = (f, args, kw)
        self.triggers.append(trigger)
        return trigger

    def removeSystemEventTrigger(self, trigger):
        self.triggers.remove(trigger)

    def stopping(self):
        """
        Does what a reactor does before it stops.

        @return: A list of the Deferreds that it waits for.
        """
        triggers, self.triggers = self.triggers, []
        return [f(*args, **kw) for f, args, kw in triggers]

    def settle(self):
        """
        Runs what threads have called by now, and what is due.
        """
        self.callLater(0, lambda: None)
        while not self._fromThreads.empty() or any(
            call.getTime() <= self.seconds() for call in self.calls
        ):
            self.turn()

    def turn(self):
        # Those from threads first, so that settle() comes to an end.
        if self._fromThreads.empty():
            super().turn()
        else:
            f, args, kw = self._fromThreads.get()
            f(*args, **kw)


class Helper:
    """
    A thread that does one thing after the other for a test.
    """

    def __init__(self):
        self._jobs: SimpleQueue[Any] = SimpleQueue()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self):
        for future, f, args, kw in iter(self._jobs.get, None):
            try:
                future.set_result(f(*args, **kw))
            except BaseException as e:
                future.set_exception(e)
            del future, f, args, kw

    def begin(self, f, /, *args, **kw):
        """
        @return: A C{Future} of what a call comes to.
        """
        future: Future[Any] = Future()
        self._jobs.put((future, f, args, kw))
        return future

    def do(self, f, /, *args, **kw):
        """
        @return: What a call returns.
        @raise Exception: what it raises.
        """
        return self.begin(f, *args, **kw).result(BOUND)

    def end(self):
        self._jobs.put(None)
        self.thread.join(BOUND)
        assert not self.thread.is_alive(), "The thread hangs"


class _CountingDeque(deque[Any]):
    most = 0

    def append(self, item):
        super().append(item)
        self.most = max(self.most, len(self))


class _Waiting(threading.Condition):
    """
    Says when somebody waits for it.
    """

    def __init__(self, lock):
        super().__init__(lock)
        self.begun = threading.Event()

    def wait(self, timeout=None):
        self.begun.set()
        return super().wait(timeout)


class Spy:
    """
    I look into the buffer of a bridge that has not been used yet.
    """

    def __init__(self, bridge):
        self._buffer = buffer = bridge._buffer
        buffer._items = self._items = _CountingDeque()
        buffer._drained = self._drained = _Waiting(buffer._lock)
        buffer._filled = self._filled = _Waiting(buffer._lock)

    @property
    def most(self):
        """
        How many items it held at most.
        """
        return self._items.most

    def untilWriterWaits(self):
        """
        Returns when a thread waits for room.
        """
        self._until(self._drained)

    def untilReaderWaits(self):
        """
        Returns when a thread waits for an item.
        """
        self._until(self._filled)

    def _until(self, condition):
        assert condition.begun.wait(BOUND), "Nobody waits"
        # Not before it has let go of the lock.
        with self._buffer._lock:
            condition.begun.clear()


class PoolCase(SynchronousTestCase):
    """
    The tests of what uses the pool of a reactor that is stepped.
    """

    def setUp(self):
        leavesNothing(self)
        self.reactor = PoolReactor()
        self.addCleanup(self.endPool)

    def endPool(self):
        """
        Shuts the pool down, after which nothing must be left of it.
        """
        self.reactor.until(PoolUser.shutdown(self.reactor))
        self.reactor.settle()
        self.assertNotIn(self.reactor, _pools)
        self.assertEqual(self.reactor.triggers, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def helper(self):
        """
        @return: A L{Helper} that ends with the test.
        """
        helper = Helper()
        self.addCleanup(helper.end)
        return helper


@implementer(IPushProducer)
class Push:
    """
    I write numbers, as many as I am told to, but none while I am paused.

    @ivar told: What my consumer told me: "pause", "resume", "stop".
    """

    def __init__(self, consumer):
        self.consumer = consumer
        self.told: list[str] = []
        self.isPaused = False
        self.next = 0

    def write(self, n=1):
        """
        Writes the next numbers, fewer than I{n} if I am paused.
        """
        for _ in range(n):
            if not self.isPaused and "stop" not in self.told:
                self.consumer.write(self.next)
                self.next += 1

    def pauseProducing(self):
        self.told.append("pause")
        self.isPaused = True

    def resumeProducing(self):
        self.told.append("resume")
        self.isPaused = False

    def stopProducing(self):
        self.told.append("stop")


@implementer(IPullProducer)
class Pull:
    """
    I write a number each time that I am asked, at once or when I am told to; then
    I unregister, or fail if I am given an error.

    @ivar asked: How often I was asked.
    @ivar atOnce: C{True} to write at once.
    @ivar stopped: How often I was stopped.
    """

    def __init__(self, consumer, n, atOnce=True, error=None):
        self.consumer = consumer
        self.n = n
        self.atOnce = atOnce
        self.error = error
        self.asked = self.written = self.stopped = 0

    def resumeProducing(self):
        self.asked += 1
        if self.atOnce:
            self.write()

    def write(self):
        if self.written < self.n:
            self.written += 1
            self.consumer.write(self.written - 1)
        elif self.error is not None:
            raise self.error
        else:
            self.consumer.unregisterProducer()

    def stopProducing(self):
        self.stopped += 1


class ConsumeratorCase(PoolCase):
    def setUp(self):
        super().setUp()
        self.helper_ = self.helper()

    def make(self, **kw):
        consumerator = Consumerator(reactor=self.reactor, **kw)
        self.addCleanup(consumerator.leave)
        return consumerator

    def read(self, items, n=1):
        """
        Has a thread read some items, and the reactor hear of it.

        @return: A list of them.
        """
        found = []
        for _ in range(n):
            found.append(self.helper_.do(next, items))
            self.reactor.settle()
        return found

    def readAll(self, items):
        """
        Has a thread read to the end while the reactor turns.
        """
        found = self.helper_.begin(list, items)
        done = items.deferUntilDone()
        self.reactor.until(done)
        return found.result(BOUND)


class OrderedCase(PoolCase):
    def setUp(self):
        super().setUp()
        self.p = OrderedItemProducer(maxItems=3, reactor=self.reactor)
        self.spy = Spy(self.p.i)
        self.calls: list[Any] = []

    def start(self, fb=list, /, *args, **kw):
        self.reactor.until(self.p.start(fb, *args, **kw))

    def produce(self, item):
        """
        Has an item produced at once.
        """
        return self.p.produceItem(self.produced, item)

    def produced(self, item):
        self.calls.append(item)
        if isinstance(item, Exception):
            raise item
        return item

    def ask(self, n):
        """
        Asks for items that are to be produced later.

        @return: The Deferreds of what is produced, and those of C{produceItem}.
        """
        productions: list[Any] = [Deferred() for _ in range(n)]
        asked = [self.p.produceItem(lambda d=d: d) for d in productions]
        return productions, asked

    def finish(self):
        """
        Turns until the reader is done.
        """
        while not self.p.dFinished.called:
            self.reactor.turn()

    def stop(self, *args):
        return self.reactor.until(self.p.stop(*args))

    def gate(self):
        """
        @return: A function that waits before it reads, and what to call to let it.
        """
        gate = threading.Event()
        self.addCleanup(gate.set)

        def read(items):
            gate.wait(BOUND)
            return list(items)

        return read, gate.set
