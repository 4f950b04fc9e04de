"""
Between Twisted's push producers and threads that iterate.
"""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface.verify import verifyObject

from asynqueue.getter import IterationGetter
from asynqueue.threadpool import PoolUser
from tests.bridged import ConsumeratorCase, Pull, Push, Spy
from tests.support import BOUND


class PushCase(ConsumeratorCase):
    def setUp(self):
        super().setUp()
        self.c = self.make(maxItems=4)
        self.spy = Spy(self.c)
        self.producer = Push(self.c)

    def register(self):
        self.c.registerProducer(self.producer, True)


class PushTests(PushCase):
    def test_interface(self):
        """It is a consumer, as far as interfaces tell, and an IterationGetter."""
        verifyObject(IConsumer, self.c)
        self.assertIsInstance(self.c, IterationGetter)

    def test_backpressure(self):
        """
        A producer is paused when there is no more room, and resumed when half of
        it is free again.
        """
        self.register()
        self.producer.write(100)
        self.assertEqual(self.producer.told, ["pause"])
        self.assertEqual(self.read(self.c), [0])
        self.assertEqual(self.producer.told, ["pause"])
        self.assertEqual(self.read(self.c), [1])
        self.assertEqual(self.producer.told, ["pause", "resume"])
        self.producer.write(100)
        self.assertEqual(self.read(self.c, 4), [2, 3, 4, 5])
        self.assertEqual(self.spy.most, 4)

    def test_overshoot(self):
        """What is written in spite of the pause is not lost."""
        self.register()
        for k in range(10):
            self.c.write(k)
        self.assertEqual(self.producer.told, ["pause"])
        self.c.unregisterProducer()
        self.assertEqual(self.readAll(self.c), list(range(10)))

    def test_end(self):
        """When the producer unregisters, the reader gets the rest and the end."""
        self.register()
        self.producer.write(3)
        self.successResultOf(self.c.unregisterProducer())
        self.assertIsNone(self.c.producer)
        self.assertEqual(self.readAll(self.c), [0, 1, 2])
        self.assertEqual(self.producer.told, [])

    def test_endTwice(self):
        """To unregister when nobody is registered does nothing."""
        self.successResultOf(self.c.unregisterProducer())
        self.register()
        self.assertEqual(self.c.runState, "running")

    def test_constructor(self):
        """A push producer can be given at once."""
        c = self.make(producer=self.producer, maxItems=1)
        self.assertIs(c.producer, self.producer)
        c.write(0)
        self.assertEqual(self.producer.told, ["pause"])

    def test_fullAtFirst(self):
        """A producer that registers when there is no room is paused at once."""
        for k in range(4):
            self.c.write(k)
        self.register()
        self.assertEqual(self.producer.told, ["pause"])

    def test_fail(self):
        """What went wrong, by a producer's word, comes after the items."""
        self.register()
        self.producer.write(2)
        self.c.fail(ZeroDivisionError("enough"))
        self.assertEqual(self.producer.told, ["stop"])
        self.c.write("late")
        self.assertEqual(self.read(self.c, 2), [0, 1])
        self.assertRaises(ZeroDivisionError, self.read, self.c)

    def test_raises(self):
        """A producer that raises when it is told to go on has failed."""
        self.register()
        self.producer.write(4)
        self.patch(self.producer, "resumeProducing", lambda: 1 // 0)
        self.assertEqual(self.read(self.c, 4), [0, 1, 2, 3])
        self.assertRaises(ZeroDivisionError, self.read, self.c)
        self.assertEqual(self.producer.told, ["pause", "stop"])

    def test_unstoppable(self):
        """That a producer raises when it is stopped is logged, and that is all."""
        self.register()
        self.patch(self.producer, "stopProducing", lambda: 1 // 0)
        self.successResultOf(self.c.stop())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.readAll(self.c), [])


class LeavingTests(PushCase):
    """
    The reader leaves before the end.
    """

    def leave(self, n=1):
        def read():
            for _, item in zip(range(n), self.c, strict=False):
                self.got = item

        self.helper_.do(read)

    def test_stopped(self):
        """The producer is stopped, once, and late items are dropped."""
        self.register()
        self.producer.write(4)
        done = self.c.deferUntilDone()
        waiting = self.c.deferUntilRoom()
        self.leave()
        self.reactor.settle()
        self.assertEqual(self.producer.told, ["pause", "stop"])
        self.successResultOf(done)
        self.successResultOf(waiting)
        for k in range(100):
            self.c.write(k)
        self.assertEqual(self.c._buffer.snapshot(), [])
        self.assertEqual(self.spy.most, 4)
        self.c.unregisterProducer()
        self.reactor.settle()
        self.assertEqual(self.producer.told, ["pause", "stop"])

    def test_raises(self):
        """An exception in the reader's thread stops the producer, too."""
        self.register()
        self.producer.write(4)

        def read():
            for item in self.c:
                raise ValueError(item)

        self.assertRaises(ValueError, self.helper_.do, read)
        self.reactor.settle()
        self.assertEqual(self.producer.told, ["pause", "stop"])

    def test_before(self):
        """A producer that registers after the reader has left is stopped at once."""
        self.c.write(0)
        self.leave()
        self.register()
        self.assertEqual(self.producer.told, ["stop"])
        self.assertIsNone(self.c.producer)

    def test_stopInThread(self):
        """To stop it in the reader's thread is to leave."""
        self.register()
        self.producer.write(3)
        self.assertEqual(self.read(self.c), [0])
        self.successResultOf(self.helper_.do(self.c.stop))
        self.reactor.settle()
        self.assertEqual(self.producer.told, ["stop"])
        self.assertEqual(self.helper_.do(list, self.c), [])

    def test_stop(self):
        """
        To stop it in the reactor ends the iteration after what is there, and stops
        whatever producer registers later.
        """
        self.register()
        self.producer.write(2)
        self.successResultOf(self.c.stop())
        self.assertEqual(self.producer.told, ["stop"])
        late = Push(self.c)
        self.c.registerProducer(late, True)
        self.assertEqual(late.told, ["stop"])
        self.assertEqual(self.readAll(self.c), [0, 1])

    def test_reactorStops(self):
        """When the reactor stops, so does the producer; the reader gets an error."""
        self.register()
        self.producer.write(2)
        done = self.c.deferUntilDone()
        self.reactor.until(self.reactor.stopping()[0])
        self.reactor.until(done)
        self.assertEqual(self.producer.told, ["stop"])
        self.assertEqual(self.read(self.c, 2), [0, 1])
        self.assertRaises(CancelledError, self.read, self.c)

    def test_unread(self):
        """A shutdown does not wait for a reader that never came."""
        self.register()
        self.producer.write(2)
        self.c.unregisterProducer()
        done = self.c.deferUntilDone()
        self.reactor.until(PoolUser.shutdown(self.reactor))
        self.reactor.until(done)


class RegistrationTests(ConsumeratorCase):
    def test_two(self):
        """There is one producer at a time."""
        c = self.make()
        c.registerProducer(Push(c), True)
        self.assertRaises(RuntimeError, c.registerProducer, Push(c), True)

    def test_after(self):
        """Another can follow when the reader has come to the end of the first."""
        c = self.make()
        for k in range(3):
            producer = Push(c)
            c.registerProducer(producer, True)
            producer.write(k)
            c.unregisterProducer()
            if k:
                e = self.assertRaises(RuntimeError, c.registerProducer, producer, True)
                self.assertIn("deferUntilDone", str(e))
            self.assertEqual(self.readAll(c), list(range(k)))

    def test_notOne(self):
        """What is no producer is refused at once."""
        c = self.make()
        bad: Any
        for bad, streaming in ((5, True), (None, False), (Pull(c, 1), True)):
            self.assertRaises(TypeError, c.registerProducer, bad, streaming)
        self.assertIsNone(c.producer)

    def test_deferUntilDone(self):
        """
        It fires when the reader has asked for more than there is, not when it has
        the last item, and not before there is a producer.
        """
        c = self.make()
        done = c.deferUntilDone()
        c.deferUntilDone().addErrback(lambda _: None).cancel()
        self.assertNoResult(done)
        producer = Push(c)
        c.registerProducer(producer, True)
        producer.write()
        c.unregisterProducer()
        self.assertEqual(self.read(c), [0])
        self.assertNoResult(done)
        self.assertEqual(self.helper_.do(list, c), [])
        self.reactor.until(done)

    def test_loop(self):
        """What the ancestor ran in a thread lasts as long as the iteration."""
        c = self.make()
        looper = self.helper()
        loop = looper.begin(c.loop)
        c.write(0)
        self.assertEqual(self.read(c), [0])
        self.assertFalse(loop.done())
        self.helper_.do(c.leave)
        loop.result(BOUND)
        looper.do(c.loop)

    def test_many(self):
        """As many as one likes can be read at a time: they take no pool's threads."""
        PoolUser.setup(1, self.reactor)
        bridges = [self.make() for _ in range(5)]
        for k, c in enumerate(bridges):
            c.write(k)
            self.assertEqual(self.read(c), [k])

    def test_writeAlone(self):
        """Who writes without being registered can wait for room as he writes."""
        c = self.make(maxItems=2)
        self.successResultOf(c.write(0))
        d: Deferred[None] = c.write(1)
        self.assertNoResult(d)
        self.read(c)
        self.successResultOf(d)
