"""
Tests of L{asynqueue.queues.Queue} and what it tells of its load.
"""

from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from asynqueue.errors import ImplementationError, QueueRunError
from asynqueue.load import LoadInfoProducer
from asynqueue.queues import Queue
from asynqueue.task import Task
from tests import calls


@implementer(IConsumer)
class Numbers:
    """
    A consumer of the load info.
    """

    def __init__(self):
        self.written = []
        self.producer = None

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
        self.consumer = Numbers()

    def test_interface(self):
        """
        It is a push producer.
        """
        verifyObject(IPushProducer, self.producer)

    def test_writes(self):
        """
        Each consumer is registered with once, and written each change from then
        on, until it is unregistered.
        """
        other = Numbers()
        self.producer.oneMore()
        for consumer in (self.consumer, other, self.consumer):
            self.producer.registerConsumer(consumer)
        self.assertIs(self.consumer.producer, self.producer)
        self.assertIs(self.consumer.streaming, True)
        self.producer.oneMore()
        self.producer.oneLess()
        self.producer.change(-1)
        self.producer.shutdown()
        self.producer.oneMore()
        for consumer in (self.consumer, other):
            self.assertEqual((consumer.written, consumer.producer), ([2, 1, 0], None))

    def test_notAConsumer(self):
        """
        What is no consumer is refused.
        """
        self.assertRaises(ImplementationError, self.producer.registerConsumer, object())

    def test_pause(self):
        """
        A consumer may pause it, and stop it.
        """
        self.producer.registerConsumer(self.consumer)
        self.producer.pauseProducing()
        self.producer.oneMore()
        self.producer.resumeProducing()
        self.producer.oneMore()
        self.producer.stopProducing()
        self.assertEqual((self.consumer.written, self.producer.queued), ([2], 2))
        self.assertIsNone(self.consumer.producer)

    def test_brokenConsumer(self):
        """
        A consumer that raises is dropped with a line in the log, and nobody
        else suffers for it.
        """
        for consumer in (Broken(), self.consumer):
            self.producer.registerConsumer(consumer)
        self.producer.oneMore()
        self.producer.oneMore()
        self.assertEqual(self.consumer.written, [1, 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class Taker:
    """
    Takes tasks of the series that it is ready for.
    """

    def __init__(self, *ready):
        self.ready = set(ready)
        self.taken = []
        self.then = lambda task: None

    def isReadyFor(self, series):
        return series in self.ready

    def __call__(self, task):
        self.taken.append(task)
        self.then(task)


def task(priority, series=None, serial=0):
    return Task(calls.echo, (), {}, priority, series, serial=serial)


class QueueTests(SynchronousTestCase):
    """
    Tests of L{Queue}.
    """

    def setUp(self):
        self.taker = Taker()
        self.queue = Queue(self.taker)
        self.load = Numbers()
        self.queue.subscribe(self.load)

    def put(self, *tasks):
        for each in tasks:
            self.queue.put(each)
        return list(tasks)

    def open(self, *series):
        self.taker.ready.update(series)
        self.queue.dispatch()

    def test_order(self):
        """
        Of all tasks that somebody is ready for, of whatever series, the first
        by priority goes first, and by serial among equals.
        """
        tasks = self.put(
            task(2, "a", 4), task(1, "b", 9), task(1, "a", 7), task(0, "c"), task(3)
        )
        self.open("a", "b", None)
        self.assertEqual(self.taker.taken, [tasks[2], tasks[1], tasks[0], tasks[4]])
        self.assertEqual((len(self.queue), list(self.queue.heaps)), (1, ["c"]))

    def test_atOnce(self):
        """
        A task that somebody is ready for is handed over as it is put.
        """
        self.open(None)
        tasks = self.put(task(1), task(2))
        self.assertEqual(self.taker.taken, tasks)
        self.assertEqual(self.load.written, [1, 0, 1, 0])

    def test_waitsAlone(self):
        """
        A task of a series that nobody is ready for holds up no other.
        """
        waiting, passing = self.put(task(0, "nobody"), task(1, "somebody"))
        self.open("somebody")
        self.assertEqual(self.taker.taken, [passing])
        self.open("nobody")
        self.assertEqual(self.taker.taken, [passing, waiting])
        self.assertEqual(self.load.written[-1], 0)

    def test_notNested(self):
        """
        What is put while a task is handed over is handed over after it, not
        within.
        """
        depths = []

        def more(_):
            depths.append("in")
            if len(self.taker.taken) < 3000:
                self.queue.put(task(1))
            depths.append("out")

        self.taker.then = more
        self.open(None)
        self.put(task(1))
        self.assertEqual(depths, ["in", "out"] * 3000)

    def test_handlerRaises(self):
        """
        Whatever the handler does, the queue can go on.
        """

        def raises(_):
            raise ZeroDivisionError

        self.taker.then = raises
        self.open(None)
        self.assertRaises(ZeroDivisionError, self.queue.put, task(1))
        self.taker.then = lambda _: None
        self.put(task(2))
        self.assertEqual((len(self.taker.taken), len(self.queue)), (2, 0))

    def test_brokenSubscriber(self):
        """
        A subscriber that raises costs no task.
        """
        self.queue.subscribe(Broken())
        tasks = self.put(task(1), task(2))
        self.open(None)
        self.assertEqual(self.taker.taken, tasks)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_cancel(self):
        """
        A task that waits can be taken out, once; one that does not is left
        alone.
        """
        tasks = self.put(task(1), task(2), task(3, "x"))
        for each in (tasks[0], tasks[0], tasks[2], task(1), task(1, "y")):
            self.queue.cancel(each)
        self.assertEqual((len(self.queue), list(self.queue.heaps)), (1, [None]))
        self.open(None, "x")
        self.assertEqual(self.taker.taken, [tasks[1]])
        self.queue.cancel(tasks[1])
        self.assertEqual(self.load.written, [1, 2, 3, 2, 1, 0])

    def test_cancelSeries(self):
        """
        All waiting tasks of a series come out, in order, and are counted.
        """
        tasks = self.put(*[task(n, "x", n) for n in range(11)], task(1))
        self.assertEqual(self.queue.cancelSeries("x"), tasks[:11])
        self.assertEqual(self.queue.cancelSeries("x"), [])
        self.assertEqual((len(self.queue), self.load.written[-1]), (1, 1))
        self.assertEqual(self.queue.cancelAll(), tasks[11:])
        self.assertEqual((len(self.queue), self.load.written[-1]), (0, 0))

    def test_shutdown(self):
        """
        It gives back what waits, takes no more, and tells those who subscribed
        that it is over.
        """
        tasks = self.put(task(1), task(2, "x"))
        self.assertTrue(self.queue.isRunning())
        self.assertEqual(self.queue.shutdown(), tasks)
        self.assertFalse(self.queue.isRunning())
        self.assertRaises(QueueRunError, self.queue.put, task(1))
        self.assertEqual((self.load.written[-1], self.load.producer), (0, None))
        self.assertEqual(self.queue.shutdown(), [])
        self.open(None, "x")
        self.assertEqual(self.taker.taken, [])
