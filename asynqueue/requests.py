"""
What is asked of a worker process, and the order in which it is.
"""

from collections import deque
from collections.abc import Iterator
from enum import Enum

from twisted.internet.defer import Deferred

from asynqueue.errors import WorkerDied
from asynqueue.packets import Packet
from asynqueue.replies import Reply


class Line(Enum):
    """
    Where a request waits. Those of the first go before all others; the other two
    take turns, so that a reader that never rests keeps no call waiting, nor calls a
    reader.
    """

    CLOSINGS = "iterators to be closed"
    ITEMS = "items to be taken"
    CALLS = "calls, and the end"


class Request:
    """
    I am a packet that is to be answered. Override me, unless nobody wants the
    answer.

    @cvar canBeTakenBack: C{True} if I may wait in the pipe and be taken back from
        there, by a ticket: if I am a call.
    @ivar number: The number that the answer has to bear.
    @ivar packet: The packet. It is used up when it is sent, unless that may have to
        be done again.
    @ivar line: The L{Line} where I wait.
    @ivar sentAt: When I was sent or, if later, when those before me in the pipe were
        answered, by C{time.perf_counter}; C{None} if I was not sent, was taken back,
        or the process ended before it had begun with me.
    """

    __slots__ = ("line", "number", "packet", "sentAt")

    canBeTakenBack = False

    def __init__(self, number: int, packet: Packet, line: Line = Line.CALLS) -> None:
        self.number = number
        self.packet = packet
        self.line = line
        self.sentAt: float | None = None

    def about(self) -> str | None:
        """
        @return: The call that I am for, as a text; C{None} if I am for none.
        """
        return None

    def answered(self, reply: Reply) -> None:
        """
        The process has answered.
        """

    def lost(self, died: WorkerDied) -> None:
        """
        The process has ended, and not answered.
        """


class Inquiry(Request):
    """
    I am a request whose answer somebody waits for.

    @ivar replied: A Deferred that fires with the L{Reply}, or fails with
        L{WorkerDied<asynqueue.errors.WorkerDied>} if the process ended first.
    @ivar call: What L{about} returns.
    """

    __slots__ = ("call", "replied")

    def __init__(
        self,
        number: int,
        packet: Packet,
        line: Line = Line.CALLS,
        call: str | None = None,
    ) -> None:
        super().__init__(number, packet, line)
        self.call = call
        self.replied: Deferred[Reply] = Deferred()

    def about(self) -> str | None:
        """
        @return: I{call}.
        """
        return self.call

    def answered(self, reply: Reply) -> None:
        """
        Fires I{replied}.
        """
        self.replied.callback(reply)

    def lost(self, died: WorkerDied) -> None:
        """
        Fails I{replied}.
        """
        self.replied.errback(died)


class TakenBack(Request):
    """
    I am what is left in the pipe of a request that was taken back. The process will
    say so.
    """

    __slots__ = ()

    def __init__(self, request: Request) -> None:
        super().__init__(request.number, [], request.line)
        self.sentAt = request.sentAt


class Lines:
    """
    I keep requests in order until they are sent.
    """

    def __init__(self) -> None:
        self._closings: deque[Request] = deque()
        self._items: deque[Request] = deque()
        self._calls: deque[Request] = deque()
        self._isCallsTurn = False

    def __iter__(self) -> Iterator[Request]:
        for line in Line:
            yield from self._line(line)

    def add(self, request: Request) -> None:
        """
        Puts a request at the end of its line.
        """
        self._line(request.line).append(request)

    def putBack(self, requests: list[Request]) -> None:
        """
        Puts requests that had been taken out, all of one line, at its beginning.
        """
        for request in reversed(requests):
            self._line(request.line).appendleft(request)

    def remove(self, request: Request) -> bool:
        """
        Takes a request out, wherever it stands.

        @return: C{False} if it is not here.
        """
        line = self._line(request.line)
        if request not in line:
            return False
        line.remove(request)
        return True

    def first(self) -> Request | None:
        """
        @return: The request whose turn it is, C{None} if there is none.
        """
        if self._closings:
            return self._closings[0]
        if self._calls and (self._isCallsTurn or not self._items):
            return self._calls[0]
        return self._items[0] if self._items else None

    def take(self, request: Request) -> None:
        """
        Takes out what L{first} has returned.
        """
        self._line(request.line).popleft()
        if request.line is not Line.CLOSINGS:
            self._isCallsTurn = request.line is Line.ITEMS

    def clear(self) -> list[Request]:
        """
        @return: All requests, which are gone from me.
        """
        requests = list(self)
        for line in Line:
            self._line(line).clear()
        return requests

    def _line(self, line: Line) -> "deque[Request]":
        if line is Line.CALLS:
            return self._calls
        return self._items if line is Line.ITEMS else self._closings
