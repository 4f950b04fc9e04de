"""
Items for a thread that iterates, in the order in which they were asked for.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from asynqueue.bridges import Consumerator
from asynqueue.buffers import MAX_ITEMS
from asynqueue.checks import checkCallable
from asynqueue.errors import asFailure
from asynqueue.reactors import theReactor
from asynqueue.threadpool import PoolUser, thePool

__all__ = ["OrderedItemProducer", "Stage"]

_NOTHING: Any = object()


class Stage(Enum):
    """
    The stages of producing items, each followed by the next.
    """

    PRODUCING = "takes requests for items"
    STOPPING = "waits for the items that were requested"
    STOPPED = "no items are wanted any more"


class _Request:
    """
    I am an item that was asked for.

    @ivar d: A Deferred for who asked. To cancel it is to cancel the production.
    @ivar item: The item, or the C{Failure} to produce it.
    """

    def __init__(self) -> None:
        self.d: Deferred[Any] = Deferred(lambda _: self.production.cancel())
        self.production: Deferred[Any] = Deferred()
        self.item = _NOTHING

    def isReady(self) -> bool:
        return self.item is not _NOTHING

    def answer(self, isWanted: bool) -> None:
        """
        Tells who asked what came of it, if he still wants to know.
        """
        if not self.d.called:
            tell = isWanted or isinstance(self.item, Failure)
            self.d.callback(self.item if tell else None)


@implementer(IPushProducer)
class OrderedItemProducer(PoolUser):
    """
    I have a thread iterate over items that are produced in the reactor, several
    at a time perhaps, and hand them over in the order in which they were asked
    for, whichever is there first::

        producer = OrderedItemProducer()
        await producer.start(writeImage)        # calls writeImage(iterator)
        for y in range(height):
            tracker.put(producer.produceItem(queue.call, renderRow, y))
            await tracker.deferUntilFewer(8)
        image = await producer.stop()

    Whoever waits for some of the Deferreds of L{produceItem} before he asks for
    more never has more items on their way than that, and I{maxItems} that wait
    for the thread.

    If an item cannot be produced, the error takes its place: it is raised where
    the thread iterates, after the items before it, and ends the iteration. If the
    thread is done or fails before it has all items, no more are wanted.

    @ivar i: The L{Consumerator} that the thread iterates over.
    @ivar dFinished: A Deferred that fires with what the thread's call returns, or
        fails with what it raises. What it fails with is passed on by the first
        L{stop}.
    @ivar stage: A L{Stage}.
    """

    def __init__(
        self,
        maxThreads: int | None = None,
        maxItems: int = MAX_ITEMS,
        reactor: Any = None,
    ) -> None:
        """
        @param maxThreads: As in C{PoolUser.setup}.
        @param maxItems: How many items wait for the thread at most.
        @param reactor: The reactor to use, the global one if C{None}.
        @raise ValueError: if one of the numbers is no integer above 0.
        """
        self._reactor = theReactor(reactor)
        self.stage = Stage.PRODUCING
        self.dFinished: Deferred[Any] = Deferred()
        self.dFinished.addBoth(self._remember)
        self._isStarted = False
        self._isPaused = False
        self._isFlushing = False
        self._requests: deque[_Request] = deque()
        # What ended the iteration, and what came of the thread's call.
        self._error: Failure | None = None
        self._outcome: Any = None
        self.i = Consumerator(self, maxThreads, maxItems, self._reactor)

    @property
    def itemBuffer(self) -> dict[int, Any]:
        """
        The items that are there and have to wait, each by how many requests are
        before it.
        """
        return {k: r.item for k, r in enumerate(self._requests) if r.isReady()}

    def start(
        self, fb: Callable[..., Any], /, *args: Any, **kw: Any
    ) -> "Deferred[None]":
        """
        Calls a function in a thread of the pool: C{fb(i, *args, **kw)}, where
        I{i} is what it can iterate over, blocking.

        @return: A Deferred that fires when it begins, or fails if it cannot.
        @raise TypeError: if I{fb} is not callable.
        @raise RuntimeError: if I was started or stopped before.
        """
        checkCallable("fb", fb)
        if self._isStarted or self.dFinished.called:
            raise RuntimeError(
                "An OrderedItemProducer is started once, and not after it was "
                "stopped: make another"
            )
        self._isStarted = True
        begun: Deferred[None] = Deferred()

        def run() -> Any:
            self._reactor.callFromThread(begun.callback, None)
            return fb(self.i, *args, **kw)

        def finished(result: Any) -> None:
            if isinstance(result, Failure):
                self._error = self._error or result
                if not begun.called:
                    begun.errback(result)
            self.i.leave()
            self.stopProducing()
            self.dFinished.callback(result)

        thePool(self._reactor).call(run).addBoth(finished)
        return begun

    def produceItem(
        self, fp: Callable[..., Any], /, *args: Any, **kw: Any
    ) -> "Deferred[Any]":
        """
        Calls a function in the reactor's thread, which returns an item or a
        Deferred of one. I need not have been started yet.

        @return: A Deferred that fires with the item when it has had its turn and
            there was room for it. It fires with C{None} if no more items are
            wanted, and fails with what I{fp} raised, whether or not they are. If
            an error has ended the iteration before, I{fp} is not called, and the
            Deferred fails with that error; if I was stopped, C{fp} is not called,
            and it fires with C{None}.
        @raise TypeError: if I{fp} is not callable.
        """
        checkCallable("fp", fp)
        if self._error is not None:
            return fail(self._error)
        if self.stage is not Stage.PRODUCING:
            return succeed(None)
        request = _Request()
        # Before the call, which may ask for another.
        self._requests.append(request)
        request.production = maybeDeferred(fp, *args, **kw)
        request.production.addBoth(self._produced, request)
        return request.d

    def stop(self, failureObj: Any = None) -> "Deferred[Any]":
        """
        Ends the iteration after the items that were asked for.

        @param failureObj: A C{Failure} or an exception to end it with, which is
            raised where the thread iterates.
        @return: A Deferred that fires with what the thread's call returns, or
            fails with what it raises, or else with I{failureObj}. It fires with
            C{None} if I was never started.
        """
        failure = None if failureObj is None else asFailure(failureObj)
        if self.stage is Stage.PRODUCING:
            self.stage = Stage.STOPPING
            self._error = self._error or failure
        if not self._isStarted and not self.dFinished.called:
            self.stopProducing()
            self.dFinished.callback(None)
        self._flush()
        d: Deferred[Any] = Deferred()
        self.dFinished.addBoth(self._tell, d, failure)
        return d

    def pauseProducing(self) -> None:
        """
        Hands no items over for the time being.
        """
        self._isPaused = True

    def resumeProducing(self) -> None:
        """
        Hands items over again.
        """
        self._isPaused = False
        self._flush()

    def stopProducing(self) -> None:
        """
        Produces no more items: they are not wanted.
        """
        if self.stage is not Stage.STOPPED:
            self._end(None)

    def _produced(self, item: Any, request: _Request) -> Any:
        request.item = item
        if self.stage is Stage.STOPPED:
            request.answer(False)
        else:
            self._flush()
        # The Deferred may be one that others have, too.
        return None if isinstance(item, Failure) else item

    def _flush(self) -> None:
        """
        Hands over the items whose turn it is.
        """
        if self._isFlushing:
            # What it calls has come back here. It goes on by itself.
            return
        self._isFlushing = True
        while not self._isPaused and self._requests and self._requests[0].isReady():
            request = self._requests.popleft()
            if isinstance(request.item, Failure):
                self._end(request.item)
            else:
                self.i.write(request.item)
            request.answer(True)
        self._isFlushing = False
        if self.stage is Stage.STOPPING and not self._requests:
            self._end(self._error)

    def _end(self, error: Failure | None) -> None:
        """
        Ends the iteration, and lets go of all requests.
        """
        self.stage = Stage.STOPPED
        if error is None:
            self.i.unregisterProducer()
        else:
            self._error = error
            self.i.fail(error)
        requests, self._requests = self._requests, deque()
        for request in requests:
            if request.isReady():
                request.answer(False)

    def _remember(self, outcome: Any) -> Any:
        self._outcome = outcome
        return outcome

    def _tell(self, _: Any, d: "Deferred[Any]", failure: Failure | None) -> None:
        outcome = self._outcome
        d.callback(failure if failure and not isinstance(outcome, Failure) else outcome)
