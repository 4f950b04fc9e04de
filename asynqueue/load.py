"""
Telling others how many tasks wait.
"""

from enum import Enum
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from asynqueue.producers import checkConsumer

__all__ = ["Flow", "LoadInfoProducer", "Subscription"]


class Flow(Enum):
    """
    Whether a L{Subscription} writes. Moves: WRITING to PAUSED and back; either
    to STOPPED.
    """

    WRITING = "writes each change"
    PAUSED = "writes nothing for the time being"
    STOPPED = "writes nothing any more"


@implementer(IPushProducer)
class LoadInfoProducer:
    """
    I write the number of waiting tasks to consumers whenever it changes.

    What each consumer is registered with is a L{Subscription} of its own, so
    one that pauses does not silence the others. To pause me silences all.

    @ivar queued: That number.
    @ivar producing: C{True} unless I am paused or have been stopped.
    """

    def __init__(self) -> None:
        self.queued = 0
        self.producing = True
        self._subscriptions: list[Subscription] = []

    @property
    def consumers(self) -> list[Any]:
        """
        A list of the consumers that I write to.
        """
        return [subscription.consumer for subscription in self._subscriptions]

    def isHeard(self) -> bool:
        """
        @return: C{True} if I write to anybody.
        """
        return bool(self._subscriptions)

    def registerConsumer(self, consumer: Any) -> None:
        """
        Begins to write to a provider of C{IConsumer} too, at the next change.

        @raise ImplementationError: if it is no such provider.
        """
        checkConsumer(consumer)
        if not any(each is consumer for each in self.consumers):
            subscription = Subscription(consumer, self)
            consumer.registerProducer(subscription, True)
            self._subscriptions.append(subscription)

    def unregisterConsumer(self, consumer: Any) -> None:
        """
        Writes to a consumer no more, and unregisters from it. To do so again
        changes nothing.
        """
        for subscription in self._subscriptions:
            if subscription.consumer is consumer:
                self.forget(subscription)
                consumer.unregisterProducer()
                return

    def shutdown(self) -> None:
        """
        Stops, and unregisters from all consumers.
        """
        self.producing = False
        for consumer in self.consumers:
            self.unregisterConsumer(consumer)

    def oneLess(self) -> None:
        """
        One task waits no longer.
        """
        self.change(-1)

    def oneMore(self) -> None:
        """
        One more task waits.
        """
        self.change(1)

    def change(self, increment: int) -> None:
        """
        The number of waiting tasks has changed.
        """
        self.queued += increment
        self.tell()

    def tell(self) -> None:
        """
        Writes the number to those who do not know it.
        """
        for subscription in self._subscriptions:
            subscription.tell()

    def pauseProducing(self) -> None:
        """
        Writes nothing to anybody for the time being.
        """
        self.producing = False

    def resumeProducing(self) -> None:
        """
        Writes again, and at once to those who have missed a change.
        """
        self.producing = True
        self.tell()

    def stopProducing(self) -> None:
        """
        Stops for good.
        """
        self.shutdown()

    def forget(self, subscription: "Subscription") -> None:
        """
        Writes to one consumer no more.
        """
        subscription.flow = Flow.STOPPED
        self._subscriptions = [s for s in self._subscriptions if s is not subscription]


@implementer(IPushProducer)
class Subscription:
    """
    I write the number of waiting tasks to one consumer.

    @ivar consumer: The consumer.
    @ivar flow: A L{Flow}.
    """

    log = Logger()

    def __init__(self, consumer: Any, load: LoadInfoProducer) -> None:
        self.consumer = consumer
        self.flow = Flow.WRITING
        self._load = load
        self._told = load.queued

    def tell(self) -> None:
        """
        Writes the number, unless the consumer knows it or would rather not.
        """
        queued = self._load.queued
        mayWrite = self.flow is Flow.WRITING and self._load.producing
        if queued == self._told or not mayWrite:
            return
        self._told = queued
        try:
            self.consumer.write(queued)
        except Exception:
            # The tasks are not to suffer for it.
            self.log.failure("{consumer!r} is told no more", consumer=self.consumer)
            self._load.forget(self)

    def registerConsumer(self, consumer: Any) -> None:
        """
        Does nothing: I have mine. Some consumers call this of whatever producer
        registers with them.
        """

    def pauseProducing(self) -> None:
        """
        Writes nothing for the time being.
        """
        if self.flow is Flow.WRITING:
            self.flow = Flow.PAUSED

    def resumeProducing(self) -> None:
        """
        Writes again, and at once if I have missed a change.
        """
        if self.flow is Flow.PAUSED:
            self.flow = Flow.WRITING
            self.tell()

    def stopProducing(self) -> None:
        """
        Writes no more, and unregisters from the consumer.
        """
        self._load.unregisterConsumer(self.consumer)
