"""
Between Twisted's pull producers, or iterators, and threads that iterate.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from asynqueue.bridges import Consumerator
from asynqueue.deferator import Deferator
from asynqueue.producers import IterationProducer
from asynqueue.threadpool import PoolUser
from tests.bridged import (
    ConsumeratorCase,
    Helper,
    PoolCase,
    PoolReactor,
    Pull,
    Push,
    Spy,
)


class PullTests(ConsumeratorCase):
    def make_(self, n, maxItems=4, **kw):
        c = self.make(maxItems=maxItems)
        self.spy = Spy(c)
        return c, Pull(c, n, **kw)

    def test_backpressure(self):
        """It is asked only when there is room."""
        c, producer = self.make_(100)
        c.registerProducer(producer, False)
        self.assertEqual(producer.asked, 4)
        self.assertEqual(self.read(c), [0])
        self.assertEqual(producer.asked, 4)
        self.assertEqual(self.read(c), [1])
        self.assertEqual(producer.asked, 6)
        self.assertEqual(self.readAll(c), list(range(2, 100)))
        self.assertEqual(self.spy.most, 4)

    def test_slow(self):
        """One that takes its time is asked again when it has written."""
        c, producer = self.make_(3, atOnce=False)
        c.registerProducer(producer, False)
        for k in range(1, 4):
            self.assertEqual(producer.asked, k)
            producer.write()
        producer.write()
        self.assertEqual(self.readAll(c), [0, 1, 2])

    def test_deep(self):
        """As many as there is room for at once take no more stack than one."""
        c, producer = self.make_(5000, maxItems=10000)
        c.registerProducer(producer, False)
        self.assertEqual(self.readAll(c), list(range(5000)))

    def test_error(self):
        """What it raises in the middle comes after the items before it."""
        c, producer = self.make_(3, error=ZeroDivisionError("enough"))
        c.registerProducer(producer, False)
        self.assertEqual(self.read(c, 3), [0, 1, 2])
        self.assertRaises(ZeroDivisionError, self.read, c)
        self.assertEqual(producer.stopped, 1)

    def test_after(self):
        """The next producer is asked, though the last one never answered."""
        c, first = self.make_(1, atOnce=False)
        c.registerProducer(first, False)
        c.unregisterProducer()
        self.assertEqual(self.readAll(c), [])
        second = Pull(c, 2)
        c.registerProducer(second, False)
        self.assertEqual(self.readAll(c), [0, 1])

    def test_turns(self):
        """A reader that keeps up with it does not keep others from their turn."""
        c, producer = self.make_(10**9, maxItems=4)
        # Takes each item as soon as it is written.
        put = c.put

        def putAndTake(item):
            put(item)
            self.helper_.do(next, c)

        self.patch(c, "put", putAndTake)
        c.registerProducer(producer, False)
        self.assertEqual(producer.asked, 4)
        self.reactor.turn()
        self.assertEqual(producer.asked, 8)

    def test_stopped(self):
        """It is not asked when the reader has left."""
        c, producer = self.make_(10**9)
        c.registerProducer(producer, False)
        self.helper_.do(c.leave)
        self.reactor.settle()
        self.assertEqual(producer.asked, 4)
        self.assertEqual(producer.stopped, 1)


class IterationProducerTests(ConsumeratorCase):
    """
    The producer that stands behind a call with a consumer.
    """

    def produce(self, iterator):
        c = self.make(maxItems=2)
        self.spy = Spy(c)
        producer = IterationProducer(Deferator(iterator), c)
        self.assertIs(c.producer, producer)
        return c, producer.run()

    def test_all(self):
        """All items come, in order, a few at a time."""
        c, d = self.produce(iter(range(20)))
        self.assertEqual(self.readAll(c), list(range(20)))
        self.assertIs(self.successResultOf(d), c)
        self.assertEqual(self.spy.most, 2)

    def test_error(self):
        """
        What the iterator raises comes after the items before it, instead of an end
        like any other.
        """

        def brittle():
            yield from range(3)
            raise ZeroDivisionError("enough")

        c, d = self.produce(brittle())
        self.assertEqual(self.read(c, 3), [0, 1, 2])
        self.assertRaises(ZeroDivisionError, self.read, c)
        self.failureResultOf(d, ZeroDivisionError)

    def test_left(self):
        """When the reader leaves, the iterator is closed."""
        closed = []

        def endless():
            try:
                while True:
                    yield 1
            finally:
                closed.append(True)

        c, d = self.produce(endless())
        self.read(c)
        self.helper_.do(c.leave)
        self.reactor.settle()
        self.assertEqual(closed, [True])
        self.assertIs(self.successResultOf(d), c)


class OrderTests(PoolCase):
    """
    Whatever the order in which writer, reader and reactor have their turns.
    """

    @settings(max_examples=60, deadline=None)
    @given(
        st.integers(1, 5),
        st.sampled_from(["push", "pull", "slow"]),
        st.lists(st.sampled_from(["write", "read", "turn"]), max_size=60),
    )
    def test_order(self, maxItems, kind, steps):
        """Items come in order, none is lost, and no more are there than may be."""
        reactor, helper = PoolReactor(), Helper()
        c = Consumerator(reactor=reactor, maxItems=maxItems)
        spy = Spy(c)
        producer: Any = Push(c) if kind == "push" else Pull(c, 10**9, kind == "pull")
        c.registerProducer(producer, kind == "push")
        answered, found = 0, []
        for step in steps:
            if step == "turn":
                reactor.settle()
            elif step == "read" and c._buffer.snapshot():
                found.append(helper.do(next, c))
            elif step == "write" and kind == "push":
                producer.write()
            elif step == "write" and kind == "slow" and answered < producer.asked:
                answered += 1
                producer.write()
        c.unregisterProducer()
        found.extend(helper.do(list, c))
        written = producer.next if kind == "push" else producer.written
        self.assertEqual(found, list(range(written)))
        self.assertLessEqual(spy.most, maxItems)
        reactor.until(PoolUser.shutdown(reactor))
        helper.end()
