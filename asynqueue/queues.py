"""
Where what waits is kept in order.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred

from asynqueue.errors import QueueRunError
from asynqueue.load import LoadInfoProducer

T = TypeVar("T")


def _itself(item: Any) -> Any:
    return item


class Priority(Generic[T]):
    """
    I am a heap that can be waited at. The lowest item comes first; of equal
    ones, the one that was put first.

    @ivar pendingGetCalls: The Deferreds of those who wait for an item.
    """

    def __init__(self, key: Callable[[T], Any] = _itself) -> None:
        """
        @param key: Tells what an item is compared by, itself unless given.
        """
        self._key = key
        self._serials = itertools.count()
        self._heap: list[tuple[Any, int, T]] = []
        self._removed: set[int] = set()
        self._serialOf: dict[int, int] = {}
        self.pendingGetCalls: deque[Deferred[T]] = deque()

    def __len__(self) -> int:
        return len(self._heap) - len(self._removed)

    def put(self, item: T) -> None:
        """
        Adds an item, or hands it to whoever has waited longest.
        """
        if self.pendingGetCalls:
            self.pendingGetCalls.popleft().callback(item)
            return
        serial = next(self._serials)
        self._serialOf[id(item)] = serial
        heapq.heappush(self._heap, (self._key(item), serial, item))

    def get(self) -> "Deferred[T]":
        """
        @return: A Deferred that fires with the lowest item when there is one,
            or fails with L{QueueRunError} if I am shut down first.
        """
        d: Deferred[T] = Deferred(self.pendingGetCalls.remove)
        if self:
            d.callback(self.pop())
        else:
            self.pendingGetCalls.append(d)
        return d

    def first(self) -> T:
        """
        @return: The lowest item, which stays.
        @raise IndexError: if there is none.
        """
        self._skipRemoved()
        return self._heap[0][2]

    def pop(self) -> T:
        """
        @return: The lowest item, which is gone from me.
        @raise IndexError: if there is none.
        """
        self._skipRemoved()
        _, serial, item = heapq.heappop(self._heap)
        self._forget(item, serial)
        return item

    def remove(self, item: T) -> bool:
        """
        Takes one item out, wherever it stands.

        Its entry stays until it comes to the top, or until such entries make
        up half of the heap, so that taking out all of them costs no more than
        sorting them.

        @return: C{False} if it is not here.
        """
        serial = self._serialOf.pop(id(item), None)
        if serial is None:
            return False
        self._removed.add(serial)
        self._compact()
        return True

    def cancel(self, selector: Callable[[T], bool]) -> list[T]:
        """
        Takes out all items for which a callable is true.

        @return: A list of them, the lowest first.
        """
        selected = [
            (serial, item)
            for _, serial, item in sorted(self._heap, key=lambda entry: entry[:2])
            if serial not in self._removed and selector(item)
        ]
        for serial, item in selected:
            self._forget(item, serial)
            self._removed.add(serial)
        self._compact()
        return [item for _, item in selected]

    def shutdown(self) -> None:
        """
        Fails the Deferreds of all who wait for an item.
        """
        while self.pendingGetCalls:
            self.pendingGetCalls.popleft().errback(
                QueueRunError("The queue was shut down while it was waited at")
            )

    def _skipRemoved(self) -> None:
        while self._heap and self._heap[0][1] in self._removed:
            self._removed.remove(heapq.heappop(self._heap)[1])

    def _forget(self, item: T, serial: int) -> None:
        if self._serialOf.get(id(item)) == serial:
            del self._serialOf[id(item)]

    def _compact(self) -> None:
        if 2 * len(self._removed) > len(self._heap):
            self._heap = [e for e in self._heap if e[1] not in self._removed]
            self._removed.clear()
            heapq.heapify(self._heap)


class Handler(Protocol):
    """
    What I{Queue} needs of whoever takes its tasks.
    """

    def __call__(self, task: Any) -> Any: ...

    def isReadyFor(self, series: Hashable) -> bool: ...


class Queue:
    """
    I keep tasks until somebody is ready for them.

    Each series has a heap of its own, so a task that nobody is ready for never
    stands in another's way. Of all tasks that somebody is ready for, the one
    with the lowest I{key} goes first.

    @ivar handler: Whoever takes the tasks. It is called with one only while its
        C{isReadyFor(series)} is true for the task's series.
    @ivar heaps: The L{Priority} of each series in which tasks wait.
    @ivar refused: Why the tasks of some series are not kept, an exception for
        each such series.
    @ivar loadInfoProducer: A L{LoadInfoProducer}.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.heaps: dict[Hashable, Priority[Any]] = {}
        self.refused: dict[Hashable, BaseException] = {}
        self.loadInfoProducer = LoadInfoProducer()
        self._running = True
        self._dispatching = False

    def __len__(self) -> int:
        return self.loadInfoProducer.queued

    def isRunning(self) -> bool:
        """
        @return: C{True} until I am shut down.
        """
        return self._running

    def put(self, task: Any) -> None:
        """
        Keeps a task until somebody is ready for it, perhaps at once. It fails if
        nobody ever will be.

        @raise QueueRunError: if I was shut down.
        """
        if not self._running:
            raise QueueRunError("The queue was shut down and takes no more tasks")
        if task.series in self.refused:
            task.fail(self.refused[task.series])
            return
        heap = self.heaps.get(task.series)
        if heap is None:
            heap = self.heaps[task.series] = Priority(lambda task: task.key)
        heap.put(task)
        task.holder = self
        self.loadInfoProducer.oneMore()
        self.dispatch()

    def dispatch(self) -> None:
        """
        Hands over tasks as long as somebody is ready for one. To be called
        whenever somebody has become so.

        What a task's end brings about, perhaps before this returns, is put into
        the queue and handed over by the same loop, so calls do not nest however
        quickly they end.
        """
        if self._dispatching:
            return
        self._dispatching = True
        try:
            while (task := self._take()) is not None:
                self.handler(task)
        finally:
            self._dispatching = False

    def refuse(self, series: Hashable, why: BaseException) -> None:
        """
        Fails all tasks of a series, those that wait and those that come, until
        the series is taken out of I{refused}.
        """
        self.refused[series] = why
        for task in self.cancelSeries(series):
            task.fail(why)

    def cancel(self, task: Any) -> None:
        """
        Takes out a task, which has ended by other means.
        """
        heap = self.heaps.get(task.series)
        if heap is not None and heap.remove(task):
            self._dropIfEmpty(task.series)
            self.loadInfoProducer.oneLess()

    def cancelSeries(self, series: Hashable) -> list[Any]:
        """
        Takes out all waiting tasks of a series.

        @return: A list of them, the first in order first. The caller has to end
            them.
        """
        heap = self.heaps.pop(series, None)
        if heap is None:
            return []
        tasks = heap.cancel(lambda _: True)
        self.loadInfoProducer.change(-len(tasks))
        return tasks

    def cancelAll(self) -> list[Any]:
        """
        Takes out all waiting tasks.

        @return: A list of them. The caller has to end them.
        """
        return [
            task for series in list(self.heaps) for task in self.cancelSeries(series)
        ]

    def subscribe(self, consumer: Any) -> None:
        """
        Has the number of waiting tasks written to a provider of C{IConsumer}
        whenever it changes.

        @raise ImplementationError: if it is no such provider.
        """
        self.loadInfoProducer.registerConsumer(consumer)

    def shutdown(self) -> list[Any]:
        """
        Takes no more tasks.

        @return: A list of those that waited. The caller has to end them.
        """
        self._running = False
        tasks = self.cancelAll()
        self.loadInfoProducer.shutdown()
        return tasks

    def _take(self) -> Any:
        """
        @return: The task that goes next, which is gone from me, or C{None} if
            nobody is ready for any.
        """
        ready = [
            heap
            for series, heap in self.heaps.items()
            if self.handler.isReadyFor(series)
        ]
        if not ready:
            return None
        task = min(ready, key=lambda heap: heap.first().key).pop()
        self._dropIfEmpty(task.series)
        self.loadInfoProducer.oneLess()
        return task

    def _dropIfEmpty(self, series: Hashable) -> None:
        if not self.heaps[series]:
            del self.heaps[series]
