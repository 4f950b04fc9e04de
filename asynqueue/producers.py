"""
Between iterators and Twisted's consumers.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from asynqueue.about import aboutObject
from asynqueue.checks import checkCallable
from asynqueue.deferator import Deferator, Prefetcherator
from asynqueue.errors import ImplementationError, NotReadyError

__all__ = [
    "IterationProducer",
    "ListConsumer",
    "checkConsumer",
    "iteratorToProducer",
    "produceNothing",
]


def checkConsumer(
    consumer: object, exception: type[Exception] = ImplementationError
) -> None:
    """
    @param consumer: The object.
    @param exception: The class to raise.
    @raise Exception: the I{exception}, if an object does not provide
        C{IConsumer}.
    """
    if not IConsumer.providedBy(consumer):
        raise exception(
            f"A consumer has to provide IConsumer, which {aboutObject(consumer)} "
            "does not"
        )


@implementer(IPushProducer)
class IterationProducer:
    """
    I write the items of a L{Deferator} to a consumer, as they come and as it
    will have them.

    @ivar dr: The L{Deferator}.
    @ivar consumer: The consumer, C{None} until there is one.
    """

    def __init__(self, dr: Deferator[Any], consumer: Any = None) -> None:
        """
        @raise TypeError: if I{dr} is no L{Deferator}.
        @raise ImplementationError: if I{consumer} does not provide
            C{IConsumer}.
        """
        if not isinstance(dr, Deferator):
            raise TypeError(f"{dr!r} is not a Deferator")
        self.dr = dr
        self.consumer: Any = None
        self._resumed: Deferred[None] = succeed(None)
        self._running = False
        self._outcome: Any = None
        self._waiters: list[Deferred[Any]] = []
        if consumer is not None:
            self.registerConsumer(consumer)

    def registerConsumer(self, consumer: Any) -> None:
        """
        Sets the consumer and registers with it.

        @raise ImplementationError: if it does not provide C{IConsumer}.
        """
        checkConsumer(consumer)
        if consumer is not self.consumer:
            # Set first: it may call me back with itself.
            self.consumer = consumer
            consumer.registerProducer(self, True)

    def deferUntilDone(self) -> "Deferred[Any]":
        """
        @return: A Deferred that fires with the consumer when it has been
            written all that it will be; or fails with what the iterator or the
            consumer raised.
        """
        return self._wait(Deferred())

    def run(self) -> "Deferred[Any]":
        """
        Begins to write.

        @return: A Deferred like that of L{deferUntilDone}. To cancel it is to
            have me write no more.
        @raise NotReadyError: if there is no consumer.
        """
        if self.consumer is None:
            raise NotReadyError("No consumer was registered to run with")
        d = self._wait(Deferred(self._cancelled))
        if not self._running:
            self._running = True
            written = Deferred.fromCoroutine(self._write())
            written.addBoth(self._ended).addBoth(self._tell)
        return d

    def pauseProducing(self) -> None:
        """
        Writes nothing for the time being.
        """
        if self._resumed.called:
            self._resumed = Deferred()

    def resumeProducing(self) -> None:
        """
        Writes again.
        """
        if not self._resumed.called:
            self._resumed.callback(None)

    def stopProducing(self) -> None:
        """
        Writes no more, and closes the iterator.
        """
        try:
            self.dr.stop()
        finally:
            self.resumeProducing()

    async def _write(self) -> None:
        # Nothing is to be seen to at the end here: if all of this is abandoned,
        # the end is when it is collected.
        await self._resumed
        async for item in self.dr:
            await self._resumed
            if not self.dr.d.called:
                self.consumer.write(item)
                await self._resumed

    def _ended(self, result: Any) -> Any:
        try:
            self.dr.stop()
        finally:
            self.consumer.unregisterProducer()
        return result

    def _wait(self, d: "Deferred[Any]") -> "Deferred[Any]":
        self._waiters.append(d)
        if self._outcome is not None:
            self._tell(self._outcome)
        return d

    def _cancelled(self, d: "Deferred[Any]") -> None:
        self._waiters.remove(d)
        self.stopProducing()

    def _tell(self, result: Any) -> Any:
        """
        Hands the end on to all who wait for it. If it is a failure and nobody
        does, it stays where it will be reported.
        """
        self._outcome = result if isinstance(result, Failure) else self.consumer
        if not self._waiters:
            return result
        while self._waiters:
            d = self._waiters.pop(0)
            if isinstance(result, Failure):
                d.errback(result)
            else:
                d.callback(self.consumer)
        return None


@implementer(IConsumer)
class ListConsumer:
    """
    I collect what I am written in a list. Call me for a Deferred of it.

    @ivar producer: Who writes to me, C{None} before and after.
    """

    def __init__(self, **attributes: Any) -> None:
        """
        @param attributes: Attributes to set on me.
        """
        self.producer: Any = None
        self._items: dict[int, Any] = {}
        self._count = 0
        self._processing = 0
        self._failure: Failure | None = None
        self._ended = False
        self._waiters: list[Deferred[list[Any]]] = []
        for name, value in attributes.items():
            setattr(self, name, value)

    def __call__(self) -> "Deferred[list[Any]]":
        """
        @return: A Deferred that fires with the list of what L{processItem} made
            of the items, in the order in which they were written, once my
            producer has unregistered and all are processed; or fails with the
            first error that L{processItem} raised.
        """
        d: Deferred[list[Any]] = Deferred()
        self._waiters.append(d)
        self._tellIfDone()
        return d

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        @param producer: A push producer.
        @param streaming: C{True}, which says that it is one.
        @raise RuntimeError: if there is a producer already.
        @raise TypeError: if it is not a push producer.
        """
        if self.producer is not None:
            raise RuntimeError("There is a producer already")
        if not streaming:
            raise TypeError("Only a push producer can be registered here")
        self.producer = producer
        self._ended = False

    def unregisterProducer(self) -> None:
        """
        There will be no more items.
        """
        self.producer = None
        self._ended = True
        self._tellIfDone()

    def write(self, data: Any) -> None:
        """
        Takes an item, and lets the producer pause until it is processed.

        @param data: The item, any object.
        """
        index = self._count
        self._count += 1
        self._processing += 1
        if self.producer is not None:
            self.producer.pauseProducing()
        d = maybeDeferred(self.processItem, data)
        d.addCallback(lambda item: self._items.__setitem__(index, item))
        d.addErrback(self._failed).addCallback(self._processed)

    def processItem(self, item: Any) -> Any:
        """
        Override me to do something with each item.

        @return: What is to be in the list for it, or a Deferred of that.
        """
        return item

    def _failed(self, failure: Failure) -> None:
        self._failure = self._failure or failure
        if self.producer is not None:
            self.producer.stopProducing()

    def _processed(self, _: None) -> None:
        self._processing -= 1
        if self.producer is not None and not self._processing:
            self.producer.resumeProducing()
        self._tellIfDone()

    def _tellIfDone(self) -> None:
        if not self._ended or self._processing:
            return
        waiters, self._waiters = self._waiters, []
        for d in waiters:
            if self._failure is not None:
                d.errback(self._failure)
            else:
                d.callback([self._items[index] for index in sorted(self._items)])


def produceNothing(consumer: Any) -> None:
    """
    Registers a producer with a consumer and unregisters it again, so that
    whoever waits for the consumer knows that nothing will come.
    """
    producer = IterationProducer(Deferator(iter(())), consumer)
    producer.consumer.unregisterProducer()


def iteratorToProducer(
    iterator: Any,
    consumer: Any = None,
    wrapper: Callable[..., Any] | None = None,
) -> "Deferred[IterationProducer | None]":
    """
    Makes a producer of an iterator.

    @param iterator: An iterator or a generator function. Its items may be
        Deferreds.
    @param consumer: Takes the items. Without one, whoever gets the producer
        registers one with it and calls its C{run}.
    @param wrapper: A callable to get the items by, called with
        L{Prefetcherator.getNext} and returning the like of what that does.
    @return: A Deferred that fires with the L{IterationProducer}: with a
        consumer, once that has all items; without, once the first item is
        there. It fires with C{None} if I{iterator} is none, or is empty.
    @raise TypeError: if I{wrapper} is not callable.
    """
    if wrapper is not None:
        checkCallable("wrapper", wrapper)
    return Deferred.fromCoroutine(_produce(iterator, consumer, wrapper))


async def _produce(
    iterator: Any, consumer: Any, wrapper: Callable[..., Any] | None
) -> IterationProducer | None:
    prefetcherator = Prefetcherator(repr(iterator))
    isIterator = Deferator.isIterator(iterator)
    if not isIterator or not await prefetcherator.setup(iterator):
        if consumer is not None:
            produceNothing(consumer)
        return None
    if wrapper is None:
        dr: Deferator[Any] = Deferator(prefetcherator)
    else:
        dr = Deferator(repr(iterator), wrapper, prefetcherator.getNext)
    producer = IterationProducer(dr, consumer)
    if consumer is not None:
        await producer.run()
    return producer
