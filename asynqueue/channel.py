"""
One life of a worker process, and what is asked of it meanwhile.
"""

import itertools
from collections import deque
from collections.abc import Callable
from enum import Enum
from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from asynqueue.children import Child
from asynqueue.deferreds import branch
from asynqueue.errors import StartFailed, WorkerDied, aboutExit
from asynqueue.messages import Hello, Stop, pack
from asynqueue.packets import Packet
from asynqueue.replies import Reply, openReply

PATIENCE = 5.0
"""
How long a process may take to end after it was asked to, in seconds. It does so
at once unless a call has left something there that does not end.
"""


UNREAD = (BrokenPipeError, ConnectionResetError)
"""
What a pipe's failure is if the process ended without having read the request.
Where the pipe is a local socket, Linux says C{ECONNRESET} when the far end was
closed with something still unread in it, and plain end-of-file otherwise.
"""


class ChannelState(Enum):
    """
    The stages of a L{Channel}. Moves: STARTING to IDLE when the process has
    said that it is up; IDLE to ASKING and back with each request; any to
    ENDING when the process is to end, or is found to; ENDING to ENDED when it
    has.
    """

    STARTING = "the process is being started"
    IDLE = "nothing is asked"
    ASKING = "a request is on its way or being answered"
    ENDING = "the process is ending"
    ENDED = "the process is gone"


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
    I am a packet that is to be answered.

    @ivar number: The number that the answer has to bear.
    @ivar packet: The packet, dropped when it is sent.
    @ivar replied: A Deferred that fires with a L{Reply}, or fails with
        L{WorkerDied<asynqueue.errors.WorkerDied>} if the process ended first.
    @ivar sentAt: When it was sent, by C{time.perf_counter}; C{None} if it has
        not been, or the process ended before it had read it.
    @ivar about: Gives the call that it is for, as a text; C{None} if it is for
        none.
    """

    __slots__ = ("about", "number", "packet", "replied", "sentAt")

    def __init__(self, number: int, packet: Packet) -> None:
        self.number = number
        self.packet = packet
        self.sentAt: float | None = None
        self.about: Callable[[], str] | None = None
        self.replied: Deferred[Reply] = Deferred()


class Channel:
    """
    I start a worker process, send requests to it one after another, and see it
    to its end.

    @ivar child: The L{Child}.
    @ivar state: A L{ChannelState}.
    @ivar up: A Deferred that fires with C{None} when the process is up, or with
        a L{WorkerDied<asynqueue.errors.WorkerDied>} if it ended before.
    @ivar ended: A Deferred that fires when the process is gone and its pipe
        closed, with a L{WorkerDied<asynqueue.errors.WorkerDied>} that tells
        how it ended.
    @ivar whenDied: Is called with the same before anybody else is told, when
        nobody made it end.
    @ivar endReason: Why it was made to end, C{None} if nobody made it.
    @ivar inHand: The request that the process has, or C{None}.
    @ivar lost: The call in whose middle the process ended, as a text, or C{None}.
    """

    def __init__(self, child: Child, poller: Any, reactor: Any) -> None:
        self.child = child
        self.state = ChannelState.STARTING
        self.up: Deferred[WorkerDied | None] = Deferred()
        self.ended: Deferred[WorkerDied] = Deferred()
        self.inHand: Request | None = None
        self._poller = poller
        self._reactor = reactor
        self._lines: dict[Line, deque[Request]] = {line: deque() for line in Line}
        self._last = Line.CALLS
        self._numbers = itertools.count(1)
        self._pumping = False
        self._patience: Any = None
        self._fault = ""
        self.endReason: str | None = None
        self.lost: str | None = None
        self.whenDied: Callable[[WorkerDied], Any] = lambda _: None

    def open(self) -> None:
        """
        Begins to start the process.
        """
        self.child.started.addCallbacks(self._started, self._notStarted)
        self.child.died.addCallback(self._died)
        self.child.start()

    def whenUp(self) -> "Deferred[None]":
        """
        @return: A Deferred that fires when the process is up, or fails with a
            L{WorkerDied<asynqueue.errors.WorkerDied>} if it ended before.
        """
        return branch(self.up).addCallback(_raiseIfDead)

    def number(self) -> int:
        """
        @return: A number for the next packet.
        """
        return next(self._numbers)

    def request(self, number: int, packet: Packet, line: Line = Line.CALLS) -> Request:
        """
        Sends a packet when its turn has come.

        @param number: The number in its envelope.
        @param line: Where it waits for its turn.
        @return: The L{Request}. It fails at once if the process is gone.
        """
        request = Request(number, packet)
        if self.state is ChannelState.ENDED:
            request.replied.errback(self.died())
        else:
            self._lines[line].append(request)
            self._pump()
        return request

    def stop(self) -> None:
        """
        Asks the process to end. To be called when nothing else is to be asked.
        """
        if self.state is ChannelState.STARTING:
            self.terminate("it was not needed any more")
        elif self.state in (ChannelState.IDLE, ChannelState.ASKING):
            number = self.number()
            request = self.request(number, pack(Stop(number)))
            request.replied.addCallbacks(self._willEnd, lambda _: None)

    def terminate(self, reason: str) -> None:
        """
        Ends the process, whatever it does.

        @param reason: Why, in words that follow "because".
        """
        if self.state is not ChannelState.ENDED:
            self.state = ChannelState.ENDING
            self.endReason = self.endReason or reason
            self.child.terminate()

    def died(self, more: str = "") -> WorkerDied:
        """
        @param more: What its text goes on with.
        @return: An exception that tells how the process ended.
        """
        child, kind, text = self.child, WorkerDied, self.aboutDeath() + more
        if not self.up.called:
            kind = StartFailed
            text += (
                " before it was ready for calls. If it has written something to "
                "standard error, that tells why. It imports the program's main "
                "module: can that be imported, and does it guard what it does with "
                "if __name__ == '__main__'?"
            )
        return kind(text, child.pid, child.exitcode, child.stack)

    def aboutDeath(self) -> str:
        """
        @return: How the process ended, in words.
        """
        text = f"The worker process {self.child.pid} ended"
        if self.endReason is None:
            text += f" with {aboutExit(self.child.exitcode)}{self._fault}"
        else:
            text += f" because {self.endReason}"
        return text

    def withdraw(self, request: Request) -> bool:
        """
        Drops a request that has not been sent.

        @return: C{False} if it has been.
        """
        for requests in self._lines.values():
            if request in requests:
                requests.remove(request)
                return True
        return False

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        while self.state is ChannelState.IDLE and any(self._lines.values()):
            self._last = self._next()
            self._ask(self._lines[self._last].popleft())
        self._pumping = False

    def _next(self) -> Line:
        """
        @return: The line whose turn it is.
        """
        if self._lines[Line.CLOSINGS]:
            return Line.CLOSINGS
        if not self._lines[Line.CALLS]:
            return Line.ITEMS
        isCallsTurn = self._last is Line.ITEMS or not self._lines[Line.ITEMS]
        return Line.CALLS if isCallsTurn else Line.ITEMS

    def _ask(self, request: Request) -> None:
        self.state = ChannelState.ASKING
        self.inHand = request
        packet, request.packet = request.packet, []
        request.sentAt = perf_counter()
        self._poller.ask(packet).addCallbacks(self._answered, self._lost)

    def _answered(self, packet: Packet) -> None:
        request, self.inHand = self.inHand, None
        if request is None or request.sentAt is None:
            return
        try:
            reply = openReply(packet, request.number, perf_counter() - request.sentAt)
        except Exception:
            self.inHand = request
            self._lost(Failure())
            return
        if self.state is ChannelState.ASKING:
            self.state = ChannelState.IDLE
        # What it has told meanwhile comes first: the log records of a call are
        # there when its Deferred fires.
        self.child.catchUp()
        request.replied.callback(reply)
        self._pump()

    def _lost(self, failure: Failure) -> None:
        """
        The pipe is of no use any more. Most likely the process has ended; if
        it has not, it has to.
        """
        if self.inHand is not None and failure.check(*UNREAD):
            self.inHand.sentAt = None
        if not failure.check(EOFError, OSError):
            error = f"{type(failure.value).__name__}: {failure.getErrorMessage()}"
            self._fault = f" after its answer could not be read ({error})"
        if self.state is ChannelState.ASKING:
            self.state = ChannelState.ENDING
            self.child.terminate()

    def _started(self, near: Any) -> None:
        self._poller.connect(near)
        if self.state is ChannelState.STARTING:
            number = self.number()
            hello = Request(number, pack(Hello(number)))
            hello.replied.addCallbacks(lambda _: self.up.callback(None), lambda _: None)
            self._ask(hello)

    def _notStarted(self, failure: Failure) -> None:
        died: Any = failure.value
        self._isOver(died)

    def _willEnd(self, _: Reply) -> None:
        self.endReason = self.endReason or "it was asked to"
        if self.state is ChannelState.ENDING:
            # It was quicker than its answer.
            return
        self.state = ChannelState.ENDING
        self._patience = self._reactor.callLater(PATIENCE, self.child.terminate)

    def _died(self, exitCode: int | None) -> None:
        self.state = ChannelState.ENDING
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        self._poller.hangUp().addCallback(lambda _: self._isOver(self.died()))

    def _isOver(self, died: WorkerDied) -> None:
        self.state = ChannelState.ENDED
        requests = [] if self.inHand is None else [self.inHand]
        for request in requests:
            if request.sentAt is not None and request.about is not None:
                self.lost = request.about()
        if self.endReason is None:
            self.whenDied(died)
        for line in self._lines.values():
            requests += line
            line.clear()
        for request in requests:
            request.replied.errback(died)
        if not self.up.called:
            self.up.callback(died)
        self.ended.callback(died)


def _raiseIfDead(died: WorkerDied | None) -> None:
    if died is not None:
        raise died
