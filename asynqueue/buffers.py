"""
Items on their way to a thread that waits for them.
"""

import threading
from collections import deque
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred, succeed

from asynqueue.checks import checkInteger
from asynqueue.errors import NotReadyError

MAX_ITEMS = 16
"""
How many items wait for their reader at most, unless somebody says otherwise. A
choice: enough for reader and writer to seldom wait for each other, and not many
even if each is an image's row.
"""


class RunState(str, Enum):
    """
    The stages of an iteration, each followed by the next. They equal the
    ancestor's texts.
    """

    RUNNING = "running"
    """Items can be written and read."""
    STOPPING = "stopping"
    """No more are taken; those that are there can be read."""
    STOPPED = "stopped"
    """The reader has come to the end, or left."""


def _fire(waiters: "list[Deferred[None]]") -> None:
    for d in waiters:
        d.callback(None)


class Buffer:
    """
    I hold items between whoever writes them, in the reactor's thread or another,
    and a thread that reads them. Both sides are told when it is their turn:
    threads wait for it, the reactor has Deferreds.

    A writer in the reactor's thread can put as many items at a go as there was
    room for when it began. Then it waits for a later turn of the reactor, even
    if the reader keeps up with it: others have their turn too.

    @ivar maxItems: How many items I have room for.
    @ivar state: A L{RunState}.
    @ivar isUnwanted: C{True} if the reader left before the end, or I was cut.
    """

    def __init__(self, maxItems: int, reactor: Any) -> None:
        """
        @raise ValueError: if I{maxItems} is no integer above 0.
        """
        checkInteger("maxItems", maxItems, 1)
        self.maxItems = maxItems
        self._reactor = reactor
        # One that its owner can take again: a garbage collection in the midst of
        # this may close a reader's iterator, and that one leaves.
        self._lock = threading.RLock()
        self._filled = threading.Condition(self._lock)
        self._drained = threading.Condition(self._lock)
        self._over = threading.Condition(self._lock)
        self._items: deque[Any] = deque()
        self._error: BaseException = StopIteration()
        # How many more the reactor may put at this go.
        self._credit = maxItems
        self._isRoomWanted = False
        self._roomWaiters: list[Deferred[None]] = []
        self._overWaiters: list[Deferred[None]] = []
        self.state = RunState.RUNNING
        self.isUnwanted = False

    def reopen(self) -> None:
        """
        Takes items again, if the last iteration has ended.
        """
        with self._lock:
            if self.state is not RunState.RUNNING:
                self.state = RunState.RUNNING
                self.isUnwanted = False
                self._credit = self.maxItems - len(self._items)

    def snapshot(self) -> list[Any]:
        """
        @return: A list of the items that wait.
        """
        with self._lock:
            return list(self._items)

    # --- For whoever writes.

    def put(self, item: Any, wait: bool) -> bool:
        """
        Takes an item.

        @param wait: C{True} to block until there is room for it. Otherwise it
            is taken even if there is none.
        @return: C{False} if no more items are taken, and this one was dropped.
        """
        with self._lock:
            if wait:
                self._drained.wait_for(self._hasRoom)
            if self.state is not RunState.RUNNING:
                return False
            self._items.append(item)
            self._filled.notify()
            if not wait:
                room = self.maxItems - len(self._items)
                self._credit = min(self._credit - 1, room)
            return True

    def waitForRoom(self) -> None:
        """
        Blocks until there is room for an item, or no more are taken.
        """
        with self._lock:
            self._drained.wait_for(self._hasRoom)

    def deferUntilRoom(self) -> "Deferred[None]":
        """
        @return: A Deferred that fires when the reactor may put another item. If
            no more are taken it fires too, and it never does so at once then:
            whoever goes on all the same does it a turn at a time.
        """
        if self._credit > 0:
            return succeed(None)
        d: Deferred[None] = Deferred()
        self._roomWaiters.append(d)
        with self._lock:
            self._isRoomWanted = True
            self._tellRoom()
        return d

    def end(self, error: BaseException | None = None) -> None:
        """
        Takes no more items.

        @param error: What the reader gets after those that are there, if it is
            not just the end of an iteration.
        """
        with self._lock:
            if self.state is RunState.RUNNING:
                self.state = RunState.STOPPING
                if error is not None:
                    self._error = error
                self._wakeAll()

    def cut(self, error: BaseException) -> None:
        """
        Takes no more items, and has nobody in the reactor wait for the reader.
        """
        with self._lock:
            if self.state is not RunState.STOPPED:
                self.isUnwanted = True
                self._tellOver()
                self.end(error)

    def deferUntilOver(self) -> "Deferred[None]":
        """
        @return: A Deferred that fires when the reader comes to the end, or
            leaves, or I am cut.
        """
        d: Deferred[None] = Deferred()
        with self._lock:
            self._overWaiters.append(d)
        return d

    # --- For the thread that reads.

    def take(self, mayBlock: bool) -> Any:
        """
        @return: The next item.
        @raise StopIteration: if there are no more.
        @raise Exception: the error that is there in the place of the next.
        @raise NotReadyError: if it is not there yet and I may not block.
        """
        with self._lock:
            while not self._items and self.state is RunState.RUNNING:
                if not mayBlock:
                    raise NotReadyError(
                        "The next item is not there yet, and the reactor's thread "
                        "must not wait for it: iterate in another thread"
                    )
                self._filled.wait()
            if self._items:
                item = self._items.popleft()
                self._drained.notify_all()
                self._tellRoom()
                return item
            error, self._error = self._error, StopIteration()
            self.state = RunState.STOPPED
            self._tellOver()
        raise error

    def leave(self) -> None:
        """
        The reader wants no more. What is there, and what is still to come, is
        dropped, an error too.
        """
        with self._lock:
            if self.state is not RunState.STOPPED:
                self.isUnwanted = True
                self.state = RunState.STOPPED
                self._error = StopIteration()
                self._items.clear()
                # First, so that nobody goes on in order to stop.
                self._tellOver()
                self._wakeAll()

    def waitUntilOver(self) -> None:
        """
        Blocks until the reader has come to the end, or left, or I was cut.
        """
        with self._lock:
            self._over.wait_for(self._isOver)

    # --- What runs under the lock.

    def _isOver(self) -> bool:
        return self.state is RunState.STOPPED or self.isUnwanted

    def _hasRoom(self) -> bool:
        return self.state is not RunState.RUNNING or len(self._items) < self.maxItems

    def _wakeAll(self) -> None:
        self._credit = 0
        self._filled.notify_all()
        self._drained.notify_all()
        self._tellRoom()

    def _tellRoom(self) -> None:
        # Half of the room has to be free: so a fast writer does not stop and
        # go on again for each item.
        if self._isRoomWanted and (
            self.state is not RunState.RUNNING or len(self._items) <= self.maxItems // 2
        ):
            self._isRoomWanted = False
            self._reactor.callFromThread(self._roomAgain)

    def _tellOver(self) -> None:
        self._over.notify_all()
        waiters, self._overWaiters = self._overWaiters, []
        if waiters:
            self._reactor.callFromThread(_fire, waiters)

    # --- What runs in the reactor.

    def _roomAgain(self) -> None:
        with self._lock:
            if not self._hasRoom():
                # Other threads have filled me meanwhile.
                self._isRoomWanted = True
                return
            if self.state is RunState.RUNNING:
                self._credit = self.maxItems - len(self._items)
        waiters, self._roomWaiters = self._roomWaiters, []
        _fire(waiters)
