"""
Between Twisted's producers and threads that iterate.
"""

from collections.abc import Iterable
from types import TracebackType
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from asynqueue.buffers import MAX_ITEMS, RunState
from asynqueue.checks import checkCallable
from asynqueue.getter import IterationGetter
from asynqueue.producers import IterationProducer
from asynqueue.threadpool import inReactorThread

__all__ = ["Consumerator", "Filerator"]


class _Bridge(IterationGetter):
    """
    I am an L{IterationGetter} to which others write, so that I need no thread of
    the pool.
    """

    def __init__(
        self,
        maxThreads: int | None = None,
        maxItems: int = MAX_ITEMS,
        reactor: Any = None,
    ) -> None:
        super().__init__(maxThreads, maxItems, reactor)
        self._begin()

    def loop(self) -> None:
        """
        Blocks until whoever iterates comes to the end or leaves. AsynQueue ran
        this in a thread of its pool for each of its instances; I do not.
        """
        self._buffer.waitUntilOver()

    def _begin(self) -> None:
        self._open()
        self.dList = [self._buffer.deferUntilOver().addCallback(self._over)]

    def _over(self, _: None) -> None:
        """
        Whoever iterates has come to the end or left.
        """


@implementer(IConsumer)
class Consumerator(_Bridge):
    """
    I am a consumer for a producer in the reactor, and an iterator for a thread::

        consumerator = Consumerator()
        image = deferToThread(writeImage, consumerator)
        d = queue.call(renderRows, consumer=consumerator)
        d.addErrback(consumerator.fail)     # should it fail before its first row

    A push producer is paused when I hold as many items as I may and resumed when
    there is room, a pull producer is only asked when there is. When it
    unregisters, the iteration ends. If the producer raises when I ask it for more
    the error is raised where the thread iterates, after the items that are there;
    and so is an error of the iterator behind an L{IterationProducer}, as in this
    example. Any other producer can say what went wrong by L{Consumerator.fail}.
    When the thread leaves before the end, the producer is stopped.

    @ivar producer: Who writes to me, C{None} if nobody does.
    """

    log = Logger()

    def __init__(
        self,
        producer: Any = None,
        maxThreads: int | None = None,
        maxItems: int = MAX_ITEMS,
        reactor: Any = None,
    ) -> None:
        """
        @param producer: A push producer to register.
        @param maxThreads: As in L{IterationGetter.setup}.
        @param maxItems: How many items I hold at most, not counting those that a
            producer writes though it was paused.
        @param reactor: The reactor to use, the global one if C{None}.
        """
        super().__init__(maxThreads, maxItems, reactor)
        self.producer: Any = None
        self._isStreaming = True
        self._isStopped = False
        self._isHeld = False
        self._isAsked = False
        self._isAsking = False
        if producer is not None:
            self.registerProducer(producer, True)

    def stop(self) -> "Deferred[None]":
        """
        Stops the producer, and any that is registered later. Called in the
        reactor's thread it ends the iteration after the items that are there;
        called by the thread that iterates, it says that this wants no more.

        @return: A Deferred that has fired.
        """
        if inReactorThread():
            self._buffer.end()
            self._stopProducer()
        else:
            self.leave()
        return succeed(None)

    def fail(self, error: Any) -> None:
        """
        Does what L{IterationGetter.fail} does, and stops the producer. To be
        called in the reactor's thread.

        @param error: The exception, or the Failure of one, that the reader
            gets.
        """
        super().fail(error)
        self._stopProducer()

    def write(self, data: Any) -> Any:
        """
        Takes an item, or drops it if nobody wants it.

        @param data: The item, any object.
        @return: A Deferred like that of L{IterationGetter.deferUntilRoom}, of use
            to whoever writes without being registered.
        """
        self.put(data)
        self._isAsked = False
        self._regulate()
        return self.deferUntilRoom()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Takes items from a producer. If they are not wanted any more, because the
        thread that was to iterate has left, or I was stopped, so is the producer
        at once.

        @param streaming: C{True} for a push producer, C{False} for a pull
            producer.
        @raise RuntimeError: if there is a producer, or whoever iterates has not
            come to the end of what the last one wrote.
        @raise TypeError: if it is no such producer.
        """
        for name in ("resumeProducing", "stopProducing", "pauseProducing"):
            if streaming or name != "pauseProducing":
                checkCallable(f"A producer's {name}", getattr(producer, name, None))
        if self._isStopped or self._buffer.isUnwanted:
            producer.stopProducing()
            return
        if self.producer is not None:
            raise RuntimeError("There is a producer already")
        if self.runState is RunState.STOPPED:
            self._begin()
        elif self.runState is RunState.STOPPING:
            raise RuntimeError(
                "Whoever iterates has not come to the end of what the last producer "
                "wrote: wait for deferUntilDone() before you register another"
            )
        self.producer = producer
        self._isStreaming = bool(streaming)
        self._isHeld = self._isAsked = False
        self._regulate()

    def unregisterProducer(self) -> Any:
        """
        Ends the iteration after the items that are there.

        @return: A Deferred that has fired.
        """
        producer, self.producer = self.producer, None
        if isinstance(producer, IterationProducer):
            # It unregisters at an error, too, and then tells of it.
            done = producer.deferUntilDone()
            done.addCallbacks(lambda _: self._buffer.end(), self.fail)
        elif producer is not None:
            self._buffer.end()
        return succeed(None)

    def _regulate(self) -> None:
        """
        Sees to it that the producer goes on if there is room, and waits if not.
        """
        if self.producer is None or self._isHeld:
            return
        d = self._buffer.deferUntilRoom()
        if not d.called:
            self._isHeld = True
            if self._isStreaming:
                self._tell(self.producer.pauseProducing)
            d.addCallback(self._goOn)
        elif not self._isStreaming:
            self._ask()

    def _goOn(self, _: None) -> None:
        self._isHeld = False
        if self.producer is not None:
            if self._isStreaming:
                self._tell(self.producer.resumeProducing)
            else:
                self._ask()

    def _ask(self) -> None:
        """
        Asks a pull producer for an item, and for another if it wrote at once. One
        that takes its time is asked again when it has written.
        """
        if self._isAsking:
            return
        self._isAsking = True
        while self.producer is not None and not (self._isAsked or self._isHeld):
            self._isAsked = True
            self._tell(self.producer.resumeProducing)
        self._isAsking = False

    def _tell(self, method: Any) -> None:
        try:
            method()
        except Exception:
            self.fail(Failure())

    def _stopProducer(self) -> None:
        self._isStopped = True
        producer, self.producer = self.producer, None
        if producer is not None:
            try:
                producer.stopProducing()
            except Exception:
                self.log.failure("A producer could not be stopped: {p!r}", p=producer)

    def _over(self, _: None) -> None:
        if self._buffer.isUnwanted:
            self._stopProducer()


class Filerator(_Bridge):
    """
    I am like a file to write to for one side, and an iterator over what is
    written for the other, a thread. The writer may be in the reactor's thread or
    another.

    To write blocks while I hold as many items as I may, until there is room. In
    the reactor's thread it does not: there I take all, and give a Deferred that
    fires when there is room again::

        for line in lines:
            await filerator.write(line)
        filerator.close()

    Whoever writes has to close me, or call L{IterationGetter.fail}. In a C{with}
    statement I see to that: an error there is raised where the thread iterates too.

    When the thread leaves before the end, I am closed.
    """

    def __enter__(self) -> "Filerator":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.fail(error)

    @property
    def closed(self) -> bool:
        """
        C{True} if I take no more: I was closed, or whoever iterates has left.
        """
        return self.runState is not RunState.RUNNING

    @property
    def itemBuffer(self) -> list[Any]:
        """
        A list of what was written and is not read yet.
        """
        return self._buffer.snapshot()

    def write(self, data: Any) -> "Deferred[None]":
        """
        Takes a chunk of data, which will be one item.

        @return: A Deferred like that of L{IterationGetter.deferUntilRoom}.
        @raise ValueError: if I am closed.
        """
        if not self.put(data):
            raise ValueError(
                "A Filerator that is closed was written to. "
                + (
                    "Its reader has left, or its pool was shut down"
                    if self._buffer.isUnwanted
                    else "Its writer has closed it"
                )
            )
        return self.deferUntilRoom()

    def writelines(self, lines: Iterable[Any]) -> "Deferred[None]":
        """
        Writes each of several chunks.

        @param lines: The chunks, as of L{write}.
        @return: A Deferred like that of L{IterationGetter.deferUntilRoom}.
        @raise ValueError: if I am closed.
        """
        for line in lines:
            self.write(line)
        return self.deferUntilRoom()

    def flush(self) -> None:
        """
        Does nothing: what is written can be read at once.
        """

    def close(self) -> None:
        """
        Ends the iteration after what was written. Does nothing if I am closed.
        """
        self._buffer.end()
