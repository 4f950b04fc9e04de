"""
Tests of L{asynqueue.load}.
"""

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from asynqueue.errors import ImplementationError
from asynqueue.load import LoadInfoProducer


@implementer(IConsumer)
class Numbers:
    """
    A consumer of the load info.
    """

    def __init__(self):
        self.written = []
        self.producer: Any = None

    def registerProducer(self, producer, streaming):
        self.producer = producer
        self.streaming = streaming

    def unregisterProducer(self):
        self.producer = None

    def write(self, data):
        self.written.append(data)


class Broken(Numbers):
    """
    A consumer that cannot take what it is written.
    """

    def write(self, data):
        raise ZeroDivisionError


class LoadInfoProducerTests(SynchronousTestCase):
    """
    Tests of L{LoadInfoProducer}.
    """

    def setUp(self):
        self.producer = LoadInfoProducer()
        self.consumer, self.other = Numbers(), Numbers()

    def register(self, *consumers):
        for consumer in consumers:
            self.producer.registerConsumer(consumer)

    def test_interface(self):
        """
        It is a push producer, and so is what a consumer is registered with.
        """
        self.register(self.consumer)
        for producer in (self.producer, self.consumer.producer):
            verifyObject(IPushProducer, producer)
        self.assertIs(self.consumer.streaming, True)

    def test_writes(self):
        """
        Each consumer is registered with once, and written each change from then
        on, until it is unregistered.
        """
        self.producer.oneMore()
        self.register(self.consumer, self.other, self.consumer)
        self.assertEqual(self.producer.consumers, [self.consumer, self.other])
        self.producer.oneMore()
        self.producer.oneLess()
        self.producer.change(-1)
        self.producer.shutdown()
        self.producer.oneMore()
        for consumer in (self.consumer, self.other):
            self.assertEqual((consumer.written, consumer.producer), ([2, 1, 0], None))
        self.assertEqual(self.producer.consumers, [])

    def test_notAConsumer(self):
        """
        What is no consumer is refused, and one that refuses is not kept.
        """
        self.assertRaises(ImplementationError, self.register, object())

        class Registered(Numbers):
            def registerProducer(self, producer, streaming):
                raise RuntimeError("I have one")

        self.assertRaises(RuntimeError, self.register, Registered())
        self.assertEqual(self.producer.consumers, [])

    def test_registersInTurn(self):
        """
        A consumer may register with whatever producer registers with it.
        """

        class Mutual(Numbers):
            def registerProducer(self, producer, streaming):
                super().registerProducer(producer, streaming)
                producer.registerConsumer(self)

        consumer = Mutual()
        self.register(consumer)
        self.producer.oneMore()
        self.assertEqual(consumer.written, [1])

    def test_pause(self):
        """
        A consumer that pauses misses what comes meanwhile, but is told how it
        stands when it resumes, and silences nobody else.
        """
        self.register(self.consumer, self.other)
        self.consumer.producer.pauseProducing()
        for _ in range(3):
            self.producer.oneMore()
        self.producer.oneLess()
        self.assertEqual(self.consumer.written, [])
        for _ in range(2):
            self.consumer.producer.resumeProducing()
        self.producer.oneLess()
        self.assertEqual(self.consumer.written, [2, 1])
        self.assertEqual(self.other.written, [1, 2, 3, 2, 1])

    def test_nothingMissed(self):
        """
        A consumer that has missed nothing is told nothing when it resumes.
        """
        self.producer.oneMore()
        self.register(self.consumer)
        self.consumer.producer.pauseProducing()
        self.producer.oneMore()
        self.producer.oneLess()
        self.consumer.producer.resumeProducing()
        self.assertEqual(self.consumer.written, [])

    def test_stop(self):
        """
        A consumer that stops is unregistered, alone and for good, whatever it
        asks for later.
        """
        self.register(self.consumer, self.other)
        producer = self.consumer.producer
        producer.stopProducing()
        for ask in ("stopProducing", "pauseProducing", "resumeProducing"):
            getattr(producer, ask)()
            self.producer.oneMore()
        self.assertEqual((self.consumer.written, self.consumer.producer), ([], None))
        self.assertEqual(self.other.written, [1, 2, 3])
        self.assertEqual(self.producer.consumers, [self.other])

    def test_unregister(self):
        """
        A consumer can be unregistered, as often as one likes, and registered
        anew.
        """
        self.register(self.consumer)
        for _ in range(2):
            self.producer.unregisterConsumer(self.consumer)
        self.producer.oneMore()
        self.assertEqual((self.consumer.written, self.consumer.producer), ([], None))
        self.register(self.consumer)
        self.producer.oneMore()
        self.assertEqual(self.consumer.written, [2])

    def test_pauseAll(self):
        """
        All consumers are paused with the producer itself, and stopped with it.
        """
        self.register(self.consumer, self.other)
        self.producer.pauseProducing()
        self.assertFalse(self.producer.producing)
        self.producer.oneMore()
        self.other.producer.pauseProducing()
        self.producer.resumeProducing()
        self.producer.stopProducing()
        self.producer.oneMore()
        self.assertEqual((self.consumer.written, self.other.written), ([1], []))
        self.assertEqual(self.producer.queued, 2)

    def test_brokenConsumer(self):
        """
        A consumer that raises is dropped with a line in the log, and nobody
        else suffers for it.
        """
        self.register(Broken(), self.consumer)
        self.producer.oneMore()
        self.producer.oneMore()
        self.assertEqual(self.consumer.written, [1, 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_unregistersOthers(self):
        """
        A consumer that is unregistered while the others are told is told
        nothing.
        """

        class Jealous(Numbers):
            def write(consumer, data):
                self.producer.unregisterConsumer(self.other)

        self.register(Jealous(), self.other)
        self.producer.oneMore()
        self.assertEqual(self.other.written, [])

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 2),
                st.sampled_from(
                    [
                        "oneMore",
                        "oneLess",
                        "pauseProducing",
                        "resumeProducing",
                        "pauseAll",
                        "resumeAll",
                        "nested",
                    ]
                ),
            )
        )
    )
    def test_endsRight(self, steps):
        """
        Whatever is paused and resumed, and whatever a consumer does when it is
        told, each is told nothing twice, and last of all how it stands.
        """
        load = LoadInfoProducer()
        consumers = [Numbers() for _ in range(3)]

        def nested(n):
            def write(data):
                del consumers[n].write
                consumers[n].write(data)
                load.oneMore()

            consumers[n].write = write

        for consumer in consumers:
            load.registerConsumer(consumer)
        for n, what in steps:
            if what == "nested":
                nested(n)
            elif what.startswith("one"):
                getattr(load, what)()
            elif what.endswith("All"):
                getattr(load, what[:-3] + "Producing")()
            else:
                getattr(consumers[n].producer, what)()
        load.resumeProducing()
        for consumer in consumers:
            consumer.producer.resumeProducing()
        for consumer in consumers:
            told = [0, *consumer.written]
            self.assertEqual(told[-1], load.queued)
            self.assertTrue(all(a != b for a, b in pairwise(told)))
