"""
Tests of L{asynqueue.producers.ListConsumer}.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from asynqueue.deferator import Deferator
from asynqueue.producers import IterationProducer, ListConsumer
from tests import calls


class Producer:
    """
    A push producer that tells what it was asked for.
    """

    def __init__(self):
        self.asked: list[str] = []

    def pauseProducing(self):
        self.asked.append("pause")

    def resumeProducing(self):
        self.asked.append("resume")

    def stopProducing(self):
        self.asked.append("stop")


class Slow(ListConsumer):
    """
    A consumer whose items are processed when the test says so.
    """

    def __init__(self):
        super().__init__()
        self.processing: list[Deferred[Any]] = []

    def processItem(self, item):
        self.processing.append(Deferred())
        return self.processing[-1]


class ListConsumerTests(SynchronousTestCase):
    """
    Tests of L{ListConsumer}.
    """

    def feed(self, consumer, *items):
        self.producer = Producer()
        consumer.registerProducer(self.producer, True)
        for item in items:
            consumer.write(item)
        return consumer

    def test_interface(self):
        """
        It is a consumer, with the attributes that it is given.
        """
        consumer = ListConsumer(x=1)
        verifyObject(IConsumer, consumer)
        self.assertEqual((vars(consumer)["x"], consumer.producer), (1, None))

    def test_collects(self):
        """
        Its list is ready when there will be no more, for whoever asks, whenever
        they do, and each has one of their own.
        """
        consumer = self.feed(ListConsumer(), "a", "b")
        early = consumer()
        self.assertNoResult(early)
        consumer.unregisterProducer()
        lists = [self.successResultOf(d) for d in (early, consumer())]
        self.assertEqual(lists, [["a", "b"]] * 2)
        self.assertIsNot(lists[0], lists[1])

    def test_nothing(self):
        """
        If it is registered with and unregistered, its list is empty.
        """
        consumer = ListConsumer()
        d = consumer()
        self.assertNoResult(d)
        self.feed(consumer).unregisterProducer()
        self.assertEqual(self.successResultOf(d), [])

    def test_oneProducer(self):
        """
        It has one producer at a time, and only one that pushes.
        """
        consumer = self.feed(ListConsumer())
        self.assertRaises(RuntimeError, consumer.registerProducer, Producer(), True)
        consumer.unregisterProducer()
        self.assertRaises(TypeError, consumer.registerProducer, Producer(), False)
        self.assertIsNone(consumer.producer)
        self.feed(consumer, "a")

    def test_processItem(self):
        """
        What becomes of an item is what is in the list.
        """

        class Doubler(ListConsumer):
            def processItem(self, item):
                return item * 2

        class AsyncDoubler(ListConsumer):
            async def processItem(self, item):
                return item * 2

        for klass in (Doubler, AsyncDoubler):
            consumer = self.feed(klass(), 1, 2)
            consumer.unregisterProducer()
            self.assertEqual(self.successResultOf(consumer()), [2, 4])

    def test_slow(self):
        """
        The producer pauses until all that it wrote is processed, and the list
        is in the order in which it was written.
        """
        consumer = self.feed(Slow(), "a", "b", "c")
        self.assertEqual(self.producer.asked, ["pause"] * 3)
        consumer.unregisterProducer()
        d = consumer()
        for i in (2, 0, 1):
            self.assertNoResult(d)
            consumer.processing[i].callback(i)
        self.assertEqual(self.successResultOf(d), [0, 1, 2])
        self.assertEqual(self.producer.asked, ["pause"] * 3)

    def test_resumes(self):
        """
        The producer resumes when nothing is being processed any more.
        """
        consumer = self.feed(Slow(), "a", "b")
        consumer.processing[0].callback(0)
        self.assertNotIn("resume", self.producer.asked)
        consumer.processing[1].callback(0)
        self.assertEqual(self.producer.asked[-1], "resume")

    def test_fails(self):
        """
        An item that cannot be processed stops the producer, and the first such
        error is what comes in place of the list.
        """

        class Picky(ListConsumer):
            def processItem(self, item):
                raise item

        consumer = self.feed(Picky(), KeyError("first"), ValueError("second"))
        early = consumer()
        self.assertIn("stop", self.producer.asked)
        consumer.unregisterProducer()
        for d in (early, consumer()):
            self.assertEqual(self.failureResultOf(d, KeyError).value.args, ("first",))

    def test_failsLate(self):
        """
        So does one that fails when the producer has gone.
        """
        consumer = self.feed(Slow(), "a", "b")
        consumer.unregisterProducer()
        consumer.processing[0].errback(KeyError())
        d = consumer()
        self.assertNoResult(d)
        consumer.processing[1].callback(1)
        self.failureResultOf(d, KeyError)

    def test_together(self):
        """
        From an iteration it gets one item at a time, at its own pace, and its
        list is ready when the producer is done.
        """
        consumer = Slow()
        done = IterationProducer(Deferator(calls.count(3)), consumer).run()
        for i in range(3):
            self.assertEqual(len(consumer.processing), i + 1)
            self.assertNoResult(done)
            consumer.processing[i].callback(i * 2)
        self.successResultOf(done)
        self.assertEqual(self.successResultOf(consumer()), [0, 2, 4])
