"""
A bundle of calls while a thread of a node makes them.

A node imports me. No Twisted.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

LOOK = 0.005
"""
How often answers that are there are sent, in seconds: those of some milliseconds go
together, so that the calls that take their places can do so, too.
"""

STUCK = 0.1
"""
After how many seconds the calls of a bundle that have not begun are given back: ten
times what all were expected to take.
"""

Told = tuple[int, list[bytes] | None]
"""
The number of a call and its answer, C{None} if it has not begun here, and never will.
"""


class Turn:
    """
    I am a bundle of calls, which a thread takes from me one after the other. Meanwhile
    a loop in another thread sends their answers, and gives back those that have not
    begun if that takes too long.
    """

    def __init__(
        self,
        loop: Any,
        calls: Iterable[tuple[int, bytes]],
        tell: Callable[[list[Told]], Any],
    ) -> None:
        """
        @param loop: The loop, of tornado.
        @param calls: The calls, by their numbers.
        @param tell: Is called in the loop's thread with what is to be sent.
        """
        self._loop = loop
        self._tell = tell
        self._agenda = deque(calls)
        self._over: deque[Told] = deque()
        self._isOver = False

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """
        Iterate over the calls that are to be made: their numbers, and they.
        """
        if len(self._agenda) > 1:
            self._loop.add_callback(self._lookLater, 0.0)
        # It may have been taken away when the next is looked for.
        with suppress(IndexError):
            while True:
                yield self._agenda.popleft()

    def end(self) -> None:
        """
        Sends what is left to be sent, however the thread has come to its end.
        """
        self._isOver = True
        self._loop.add_callback(self._send)

    def answer(self, number: int, answer: list[bytes]) -> None:
        """
        A call is over.
        """
        self._over.append((number, answer))

    # --- In the loop's thread.

    def _lookLater(self, elapsed: float) -> None:
        self._loop.call_later(LOOK, self._look, elapsed + LOOK)

    def _look(self, elapsed: float) -> None:
        if self._isOver:
            return
        if elapsed < STUCK:
            self._lookLater(elapsed)
        else:
            with suppress(IndexError):
                while True:
                    number, _ = self._agenda.popleft()
                    self._over.append((number, None))
        self._send()

    def _send(self) -> None:
        told = []
        with suppress(IndexError):
            while True:
                told.append(self._over.popleft())
        if told:
            self._tell(told)
