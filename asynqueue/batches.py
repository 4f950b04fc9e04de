"""
Items on their way from an iterator to its reader, as many at a time as come quickly.

To ask for each item by itself costs a trip to the process and back for each. So the
reader's side asks for as many as the reader has taken so far, up to L{MOST}, which
doubles from one on if he takes them all; and the answer has as many as come before the
iterator has run for L{TIME} or their pickles have L{SIZE}. An iterator that is slower
than that is asked for one item at a time, and never runs ahead.

Nobody can know beforehand how long the next item takes, so the items before it are
given to a L{Courier<asynqueue.couriers.Courier>} meanwhile.

Each item is pickled before the next is taken, since many generators fill the same
object again and again. Of large buffers no copy is made, so the item that has them is
the last of its batch, and sent before the next is taken.

Standard library only: the far side imports me.
"""

import time
from collections.abc import Callable
from functools import partial
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any, NamedTuple

from asynqueue.contents import Contents
from asynqueue.couriers import PATIENCE, Courier
from asynqueue.messages import (
    Answer,
    Items,
    Next,
    Raised,
    Status,
    notPickled,
    pack,
    raised,
)
from asynqueue.packets import Packet
from asynqueue.picklers import MakePickler, byName

if TYPE_CHECKING:
    from asynqueue.sharing import Sharing

MOST = 1000
"""
How many items are asked for at most.
"""

TIME = 0.001
"""
How long an iterator may have run for a batch when another item is taken, in seconds. A
call that is made meanwhile waits for no more than this and one item. It is about what
it costs to ask on a slow machine, and twenty times that on a fast one.
"""

SIZE = 1 << 18
"""
How large the pickles of a batch may be together when another item is taken, in bytes.
"""


class Taken(NamedTuple):
    """
    What came of taking an item, or some.

    @ivar status: C{Status.RESULT}, C{Status.NONE} at the end, or C{Status.ERROR}.
    @ivar result: The L{Items}, or C{None}, or what was raised.
    @ivar seconds: How long it took, in seconds.
    """

    status: Status
    result: Items | Raised | None
    seconds: float


class Batch:
    """
    I am what was taken of an iterator and has not been sent.

    @ivar items: The items.
    @ivar end: What came after them in the place of an item, C{None} if nothing did.
    @ivar seconds: How long the iterator ran for me, in seconds.
    """

    def __init__(self, time: float = TIME) -> None:
        """
        @param time: How long it may when another item is taken, in seconds.
        """
        self.items = Items([], [])
        self.end: Taken | None = None
        self.seconds = 0.0
        self._time = time
        self._size = 0

    def add(self, taken: Taken) -> None:
        """
        Takes in what comes next.
        """
        self.seconds += taken.seconds
        if isinstance(taken.result, Items):
            (pickled,), buffers = taken.result
            self.items.pickles.append(pickled)
            self.items.buffers.extend(buffers)
            self._size += len(pickled)
        else:
            self.end = taken

    @property
    def isEmpty(self) -> bool:
        """
        C{True} if nothing was taken.
        """
        return not self.items.pickles and self.end is None

    def result(self) -> Taken:
        """
        @return: What a request is answered with: the items, or, if there are none,
            what came in the place of one.
        """
        if self.end is not None and not self.items.pickles:
            return self.end
        return Taken(Status.RESULT, self.items, self.seconds)

    def isFull(self, most: int) -> bool:
        """
        @param most: How many items were asked for.
        @return: C{True} if I have to be sent before another item is taken.
        """
        pickles, buffers = self.items
        return (
            self.end is not None
            or len(pickles) >= most
            or self.seconds >= self._time
            or self._size >= SIZE
            or bool(buffers)
        )


class Batches:
    """
    I answer requests for the items of the iterators in a worker process.
    """

    def __init__(
        self,
        take: Callable[[int], tuple[Status, Any]],
        close: Callable[[int], Any],
        makePickler: MakePickler = byName,
        clock: Callable[[], float] = time.perf_counter,
        sharing: "Sharing | None" = None,
        budget: float = TIME,
    ) -> None:
        """
        @param take: Is called with the ID of an iterator. It takes an item, and
            returns a status and what belongs to it, as of
            L{ProcessUniverse.do_next<asynqueue.universe.ProcessUniverse.do_next>}.
        @param close: Is called with the ID of an iterator when an item of it
            cannot be pickled.
        @param clock: Returns the time in seconds.
        @param sharing: Shares large buffers, C{None} if none is to be shared.
        @param budget: How long an iterator may have run for a batch when another item
            is taken, in seconds.
        """
        self._takeItem = take
        self._close = close
        self._makePickler = makePickler
        self._clock = clock
        self._sharing = sharing
        self._budget = budget
        self._begun: dict[int, Batch] = {}

    def answer(self, request: Next, courier: Courier) -> Packet | None:
        """
        Takes items.

        @return: The answer, C{None} if the courier has sent it.
        """
        batch = self._begun.pop(request.ID, None) or Batch(self._budget)
        if batch.isEmpty:
            batch.add(self._take(request.ID))
        packed = partial(self._packed, request, batch)
        due = self._clock() + PATIENCE
        while not batch.isFull(request.most) and courier.hold(packed, due):
            taken = self._take(request.ID)
            if not courier.takeBack():
                self._begin(request.ID, taken)
                return None
            batch.add(taken)
        if batch.end is not None and batch.items.pickles:
            self._begin(request.ID, batch.end)
        return packed()

    def forget(self, ID: int) -> None:
        """
        Drops what was taken of an iterator and has not been asked for.
        """
        self._begun.pop(ID, None)

    def _begin(self, ID: int, taken: Taken) -> None:
        """
        Begins the next batch.
        """
        batch = self._begun[ID] = Batch(self._budget)
        batch.add(taken)

    def _take(self, ID: int) -> Taken:
        start = self._clock()
        status, result = self._takeItem(ID)
        if status is Status.RESULT:
            try:
                result = self._pickled(result)
            except BaseException as e:
                # Nobody can ask for the items after the one that is lost.
                self._close(ID)
                status, result = Status.ERROR, notPickled("item", result, e)
        if status is Status.ERROR:
            result = raised(result, self._makePickler)
        return Taken(status, result, self._clock() - start)

    def _pickled(self, item: Any) -> Items:
        contents = Contents()
        self._makePickler(contents, contents.staysInBand).dump(item)
        # To be left out of the pickle of the items, too.
        buffers = [
            buffer if isinstance(buffer, bytes) else PickleBuffer(buffer)
            for buffer in contents.buffers
        ]
        return Items([b"".join(contents)], buffers)

    def _packed(self, request: Next, batch: Batch) -> Packet:
        status, contents, seconds = batch.result()
        answer = Answer(request.number, status, seconds)
        return pack(answer, contents, sharing=self._sharing)
