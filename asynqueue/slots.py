"""
What one side shares: a bounded number of memory files, used again and again.

A file is in I{use} for each thing that still needs its contents as they are: the part
of a packet that stands for it, until that is dropped, whether it was sent or not; and,
for each time that it was sent, what the other side has made of it, until a I{note}
tells that this is gone. A file that is not in use is I{free} to be filled again.

Standard library only: the far side imports me, if arrays are shared.
"""

import threading
from collections import deque

from asynqueue.memoryfiles import MemoryFile

MOST = 16
"""
How many files one side has at most, so how many arrays of it can be in the other's
hands. Each takes a descriptor or two here, and one there.
"""

KEPT = 1 << 28
"""
How many bytes free files may have together, 256 MiB, not counting the one that was used
last.
"""


class Slot:
    """
    I am a memory file, and what is known of it.

    @ivar number: What the other side calls it by.
    @ivar sent: How many times it was sent. Whoever sends it counts that.
    @ivar ended: How many of its uses came to an end: those, and that of its part.
    @ivar isKnown: C{True} if the other side has it.
    @ivar isLost: C{True} if there may be copies of its mapping that nobody tells of, so
        that it cannot be filled again.
    """

    def __init__(self, number: int, file: MemoryFile) -> None:
        self.number = number
        self.file = file
        self.sent = 0
        self.ended = 0
        self.isKnown = False
        self.isLost = False


class Part:
    """
    I stand in a packet for a buffer that is in a memory file.

    @ivar size: How many bytes of it are the buffer.
    """

    def __init__(self, slot: Slot, size: int, ended: "deque[tuple[int, bool]]") -> None:
        """
        @param ended: As of L{Slots}. It is told when I am dropped.
        """
        self.slot = slot
        self.size = size
        self._ended = ended

    def __del__(self) -> None:
        self._ended.append((self.slot.number, False))


class Slots:
    """
    I have the files.

    Who asks me for one while I am at it gets none. I let nobody wait, because it may be
    a thread that must not; or the very thread that I am at it in, if it has to collect
    garbage meanwhile, and that asks me.

    @ivar ended: A C{deque} of those uses that came to their end and are still counted:
        for each, the number of the slot, and what it L{is<Slot.isLost>}. To be added to
        at any time, in any thread.
    """

    def __init__(self, most: int = MOST) -> None:
        """
        @param most: How many there may be.
        """
        self.ended: deque[tuple[int, bool]] = deque()
        self._lock = threading.Lock()
        self._numbers = list(range(most))
        self._used: dict[int, Slot] = {}
        # Those that were used last are last.
        self._free: list[Slot] = []

    @property
    def areUsed(self) -> bool:
        """
        C{True} if any is in use.
        """
        return bool(self._used)

    def take(self, size: int) -> Part | None:
        """
        Takes a file into use.

        @param size: How many bytes it is for.
        @return: The part that is to stand for it, C{None} if none can be had.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            self._settle()
            slot = self._find(size)
        except OSError:
            return None
        finally:
            self._lock.release()
        if slot is None:
            return None
        return Part(slot, size, self.ended)

    def settle(self) -> None:
        """
        Counts the uses anew.
        """
        if self._lock.acquire(blocking=False):
            try:
                self._settle()
            finally:
                self._lock.release()

    def _find(self, size: int) -> Slot | None:
        fitting = [slot for slot in self._free if slot.file.fits(size)]
        if fitting:
            slot = min(reversed(fitting), key=_capacity)
            self._free.remove(slot)
        else:
            if not self._numbers and self._free:
                self._giveUp(self._free[0])
            if not self._numbers:
                return None
            slot = Slot(self._numbers[-1], MemoryFile(size))
            self._numbers.pop()
        self._used[slot.number] = slot
        slot.sent = slot.ended = 0
        return slot

    def _settle(self) -> None:
        while self.ended:
            number, isLost = self.ended.popleft()
            slot = self._used[number]
            slot.ended += 1
            slot.isLost = slot.isLost or isLost
            if slot.ended > slot.sent:
                del self._used[number]
                if slot.isLost:
                    self._numbers.append(number)
                else:
                    self._free.append(slot)
        self._trim()

    def _trim(self) -> None:
        size = 0
        for slot in self._free[-2::-1]:
            size += slot.file.capacity
            if size > KEPT:
                self._giveUp(slot)

    def _giveUp(self, slot: Slot) -> None:
        slot.file.empty()
        self._free.remove(slot)
        self._numbers.append(slot.number)


def _capacity(slot: Slot) -> int:
    return slot.file.capacity
