"""
Telling others how many tasks wait.
"""

from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from asynqueue.producers import checkConsumer


@implementer(IPushProducer)
class LoadInfoProducer:
    """
    I write the number of waiting tasks to consumers whenever it changes.

    @ivar queued: That number.
    @ivar producing: C{True} unless I am paused or have been stopped.
    @ivar consumers: A list of the consumers that I write to.
    """

    log = Logger()

    def __init__(self) -> None:
        self.queued = 0
        self.producing = True
        self.consumers: list[Any] = []

    def registerConsumer(self, consumer: Any) -> None:
        """
        Begins to write to a provider of C{IConsumer} too.

        @raise ImplementationError: if it is no such provider.
        """
        checkConsumer(consumer)
        if consumer not in self.consumers:
            consumer.registerProducer(self, True)
            self.consumers.append(consumer)

    def shutdown(self) -> None:
        """
        Stops, and unregisters from all consumers.
        """
        self.producing = False
        consumers, self.consumers = self.consumers, []
        for consumer in consumers:
            consumer.unregisterProducer()

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
        if self.producing:
            for consumer in list(self.consumers):
                try:
                    consumer.write(self.queued)
                except Exception:
                    # The tasks are not to suffer for it.
                    self.log.failure("{consumer!r} is told no more", consumer=consumer)
                    self.consumers = [c for c in self.consumers if c is not consumer]

    def pauseProducing(self) -> None:
        """
        Writes nothing for the time being.
        """
        self.producing = False

    def resumeProducing(self) -> None:
        """
        Writes again.
        """
        self.producing = True

    def stopProducing(self) -> None:
        """
        Stops for good.
        """
        self.shutdown()
