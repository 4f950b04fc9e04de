"""
Tests of L{asynqueue.producers.IterationProducer}.
"""

import gc
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from asynqueue.deferator import Deferator
from asynqueue.errors import ImplementationError, NotReadyError
from asynqueue.producers import IterationProducer, produceNothing
from tests import calls
from tests.test_prefetcherator import Source


@implementer(IConsumer)
class Consumer:
    """
    A consumer that keeps what it is written.

    @ivar then: Is called after each item that is written.
    @ivar events: What befell me, in order.
    """

    def __init__(self):
        self.events: list[Any] = []
        self.producer: Any = None
        self.then: Callable[[Any], Any] = lambda item: None

    def registerProducer(self, producer, streaming):
        if self.producer is not None:
            raise RuntimeError("registered twice")
        self.producer = producer
        self.events.append(("registered", streaming))

    def unregisterProducer(self):
        self.producer = None
        self.events.append("unregistered")

    def write(self, data):
        self.events.append(data)
        self.then(data)

    @property
    def items(self):
        return [event for event in self.events if isinstance(event, int)]


def whole(*items):
    """
    @return: What befalls a consumer that is written some items and no more.
    """
    return [("registered", True), *items, "unregistered"]


class IterationProducerTests(SynchronousTestCase):
    """
    Tests of L{IterationProducer}.
    """

    def setUp(self):
        self.consumer = Consumer()
        self.source = Source()

    def make(self, source):
        self.dr = Deferator(source)
        self.producer = IterationProducer(self.dr, self.consumer)
        return self.producer

    def test_interface(self):
        """
        It is a push producer.
        """
        verifyObject(IPushProducer, self.make(calls.count(1)))

    def test_refusals(self):
        """
        It takes a Deferator and a provider of IConsumer, and does not run
        without one.
        """
        self.assertRaises(TypeError, IterationProducer, calls.count(1))
        dr = Deferator(calls.count(1))
        self.assertRaises(ImplementationError, IterationProducer, dr, object())
        producer = IterationProducer(dr)
        self.assertRaises(ImplementationError, producer.registerConsumer, object())
        self.assertRaises(NotReadyError, producer.run)

    def test_order(self):
        """
        The items are written in order, and whoever waits gets the consumer,
        however late.
        """
        producer = self.make(calls.count(4))
        ds = [producer.deferUntilDone(), producer.run(), producer.run()]
        ds += [producer.deferUntilDone(), producer.run()]
        for d in ds:
            self.assertIs(self.successResultOf(d), self.consumer)
        self.assertEqual(self.consumer.events, whole(0, 1, 2, 3))
        self.assertIs(self.successResultOf(self.dr.d), True)

    def test_lateConsumer(self):
        """
        A consumer may be registered later, and once is enough.
        """
        producer = IterationProducer(Deferator(calls.count(1)))
        for _ in range(2):
            producer.registerConsumer(self.consumer)
        self.successResultOf(producer.run())
        self.assertEqual(self.consumer.events, whole(0))

    def test_slow(self):
        """
        Items that take their time are written as each is there.
        """
        done = self.make(self.source).run()
        for i in range(3):
            self.source.asked[i].callback(i)
            self.assertEqual(self.consumer.items, list(range(i + 1)))
            self.assertNoResult(done)
        self.source.asked[3].errback(StopIteration())
        self.assertIs(self.successResultOf(done), self.consumer)

    def test_pause(self):
        """
        While paused it neither writes nor asks for more; then it goes on where
        it was.
        """
        producer = self.make(self.source)
        producer.pauseProducing()
        done = producer.run()
        self.source.asked[0].callback(0)
        self.assertEqual(self.consumer.items, [])
        producer.resumeProducing()
        self.assertEqual(self.consumer.items, [0])
        for _ in range(2):
            producer.pauseProducing()
        self.source.asked[1].callback(1)
        self.assertEqual((self.consumer.items, len(self.source.asked)), ([0], 2))
        for _ in range(2):
            producer.resumeProducing()
        self.assertEqual((self.consumer.items, len(self.source.asked)), ([0, 1], 3))
        self.assertNoResult(done)

    def test_pauseWithinWrite(self):
        """
        A consumer that pauses at each item gets the next when it resumes.
        """
        producer = self.make(calls.count(3))
        self.consumer.then = lambda item: producer.pauseProducing()
        done = producer.run()
        for i in range(3):
            self.assertEqual(self.consumer.items, list(range(i + 1)))
            self.assertNoResult(done)
            producer.resumeProducing()
        self.successResultOf(done)

    def test_manyItems(self):
        """
        20,000 items that are there already are no recursion, even if the
        consumer pauses and resumes at each.
        """
        producer = self.make(iter(range(20_000)))

        def then(_):
            producer.pauseProducing()
            producer.resumeProducing()

        self.consumer.then = then
        self.successResultOf(producer.run())
        self.assertEqual(self.consumer.items, list(range(20_000)))

    def test_stop(self):
        """
        A consumer that wants no more gets no more, and the iterator is closed
        at once, though an item is awaited.
        """
        done = self.make(self.source).run()
        self.source.asked[0].callback(0)
        self.producer.stopProducing()
        self.assertIs(self.successResultOf(done), self.consumer)
        self.assertEqual(self.source.closed, 1)
        self.source.asked[1].callback(1)
        self.assertEqual(self.consumer.events, whole(0))
        self.assertIs(self.successResultOf(self.dr.d), False)

    def test_stopWhilePaused(self):
        """
        Nor does it get what was there but held back.
        """
        producer = self.make(calls.count(9))
        self.consumer.then = lambda item: producer.pauseProducing()
        done = producer.run()
        producer.stopProducing()
        self.successResultOf(done)
        self.assertEqual(self.consumer.events, whole(0))

    def test_stopWithinWrite(self):
        """
        A consumer may stop it at an item.
        """
        producer = self.make(calls.count(9))
        self.consumer.then = lambda item: item == 2 and producer.stopProducing()
        self.successResultOf(producer.run())
        self.assertEqual(self.consumer.events, whole(0, 1, 2))

    def test_cancel(self):
        """
        Who cancels the run ends it, as the Deferred tells; who cancels another
        wait only ends that.
        """
        done, other = self.make(self.source).run(), self.producer.deferUntilDone()
        another = self.producer.deferUntilDone()
        another.cancel()
        self.failureResultOf(another, CancelledError)
        self.source.asked[0].callback(0)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.successResultOf(other)
        self.assertEqual((self.consumer.events, self.source.closed), (whole(0), 1))

    def test_error(self):
        """
        An error comes after the items before it, the consumer is unregistered,
        and whoever asks is told, however late.
        """
        for n in (0, 2):
            self.consumer = Consumer()
            producer = self.make(calls.brittle(n))
            self.failureResultOf(producer.run(), ValueError)
            self.failureResultOf(producer.deferUntilDone(), ValueError)
            self.failureResultOf(producer.run(), ValueError)
            self.assertEqual(self.consumer.events, whole(*range(n)))

    def test_writeRaises(self):
        """
        What the consumer raises is told too, and the iterator is closed.
        """
        self.consumer.then = lambda item: 1 // (1 - item)
        done = self.make(self.source).run()
        for i in range(2):
            self.source.asked[i].callback(i)
        self.failureResultOf(done, ZeroDivisionError)
        self.assertEqual((self.consumer.events, self.source.closed), (whole(0, 1), 1))

    def test_closeRaises(self):
        """
        If the iterator cannot even be closed, the consumer is unregistered all
        the same.
        """

        def generate():
            try:
                yield from range(9)
            finally:
                raise KeyError

        self.consumer.then = lambda item: 1 // 0
        self.failureResultOf(self.make(generate()).run(), KeyError)
        self.assertEqual(self.consumer.events, whole(0))

    def test_abandoned(self):
        """
        One that waits and that nobody knows any more goes quietly.
        """
        self.make(self.source).run()
        self.source.asked[0].callback(0)
        del self.dr, self.producer, self.source
        self.consumer.producer = None
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_empty(self):
        """
        A consumer of nothing is registered with and unregistered.
        """
        self.successResultOf(self.make(iter(())).run())
        self.assertEqual(self.consumer.events, whole())

    def test_produceNothing(self):
        """
        So is one for which there is no iterator at all.
        """
        produceNothing(self.consumer)
        self.assertEqual(self.consumer.events, whole())
