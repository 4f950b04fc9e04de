"""
A heap that can be waited at.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred

from asynqueue.errors import QueueRunError

__all__ = ["Priority"]

T = TypeVar("T")


def _itself(item: Any) -> tuple[Any, ...]:
    return (item,)


class Priority(Generic[T]):
    """
    I am a heap that can be waited at. The lowest item comes first; of equal
    ones, the one that was put first.

    @ivar pendingGetCalls: The Deferreds of those who wait for an item.
    """

    def __init__(self, key: Callable[[T], tuple[Any, ...]] = _itself) -> None:
        """
        @param key: Tells what an item is compared by, a tuple: of itself unless given.
        """
        self._key = key
        self._serials = itertools.count()
        # What each is compared by, then its serial number and itself.
        self._heap: list[tuple[Any, ...]] = []
        self._removed: set[int] = set()
        self._serialOf: dict[int, int] = {}
        self.pendingGetCalls: deque[Deferred[T]] = deque()

    @property
    def heap(self) -> list[T]:
        """
        A list of my items, the lowest first.
        """
        return [item for _, item in self._inOrder()]

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
        heapq.heappush(self._heap, (*self._key(item), serial, item))

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
        first: T = self._heap[0][-1]
        return first

    def pop(self) -> T:
        """
        @return: The lowest item, which is gone from me.
        @raise IndexError: if there is none.
        """
        self._skipRemoved()
        entry = heapq.heappop(self._heap)
        item: T = entry[-1]
        self._forget(item, entry[-2])
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
        selected = [entry for entry in self._inOrder() if selector(entry[1])]
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

    def _inOrder(self) -> list[tuple[int, T]]:
        return [
            (serial, item)
            for *_, serial, item in sorted(self._heap, key=lambda entry: entry[:-1])
            if serial not in self._removed
        ]

    def _skipRemoved(self) -> None:
        while self._removed and self._heap[0][-2] in self._removed:
            self._removed.remove(heapq.heappop(self._heap)[-2])

    def _forget(self, item: T, serial: int) -> None:
        if self._serialOf.get(id(item)) == serial:
            del self._serialOf[id(item)]

    def _compact(self) -> None:
        if 2 * len(self._removed) > len(self._heap):
            self._heap = [e for e in self._heap if e[-2] not in self._removed]
            self._removed.clear()
            heapq.heapify(self._heap)
