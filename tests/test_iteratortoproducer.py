"""
Tests of L{asynqueue.producers.iteratorToProducer}.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.producers import IterationProducer, iteratorToProducer
from tests import calls
from tests.test_prefetcherator import Source
from tests.test_producers import Consumer, whole


class IteratorToProducerTests(SynchronousTestCase):
    """
    Tests of L{iteratorToProducer}.
    """

    def setUp(self):
        self.consumer = Consumer()

    def test_consumer(self):
        """
        With a consumer it produces, and tells when that has all.
        """
        source = Source()
        d = iteratorToProducer(source, self.consumer)
        source.asked[0].callback(0)
        self.assertNoResult(d)
        source.asked[1].errback(StopIteration())
        self.assertIsInstance(self.successResultOf(d), IterationProducer)
        self.assertEqual(self.consumer.events, whole(0))

    def test_noConsumer(self):
        """
        Without one it waits for the first item, and for whoever will consume.
        """
        producer: Any = self.successResultOf(iteratorToProducer(calls.count(2)))
        producer.registerConsumer(self.consumer)
        self.assertEqual(self.consumer.items, [])
        self.successResultOf(producer.run())
        self.assertEqual(self.consumer.events, whole(0, 1))

    def test_nothing(self):
        """
        Of nothing, or of no iterator, it makes no producer; the consumer is
        told that there is nothing.
        """
        for source in (iter(()), [1], None, calls.echo):
            self.consumer = Consumer()
            self.assertIsNone(self.successResultOf(iteratorToProducer(source)))
            d = iteratorToProducer(source, self.consumer)
            self.assertIsNone(self.successResultOf(d))
            self.assertEqual(self.consumer.events, whole())

    def test_error(self):
        """
        What the iterator raises is what it fails with.
        """
        for n in (0, 2):
            self.consumer = Consumer()
            d = iteratorToProducer(calls.brittle(n), self.consumer)
            self.failureResultOf(d, ValueError)
            self.assertEqual(self.consumer.events, whole(*range(n)))

    def test_wrapper(self):
        """
        A wrapper comes between the producer and the items; it has to be
        callable.
        """

        def wrapper(getNext):
            return getNext().addCallback(lambda got: (got[0] * 10, *got[1:]))

        d = iteratorToProducer(calls.count(3), self.consumer, wrapper)
        self.successResultOf(d)
        self.assertEqual(self.consumer.events, whole(0, 10, 20))
        self.assertRaises(TypeError, iteratorToProducer, calls.count(1), None, 7)
