"""
One life of a worker process, and what is asked of it meanwhile.
"""

import itertools
from collections import deque
from enum import Enum
from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from asynqueue.children import Child
from asynqueue.errors import StartFailed, WorkerDied, aboutExit
from asynqueue.messages import Hello, Stop, pack
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


class Request:
    """
    I am a packet that is to be answered.

    @ivar number: The number that the answer has to bear.
    @ivar packet: The packet's bytes, dropped when the answer is there.
    @ivar replied: A Deferred that fires with a L{Reply}, or fails with
        L{WorkerDied<asynqueue.errors.WorkerDied>} if the process ended first.
    @ivar sentAt: When it was sent, by C{time.perf_counter}; C{None} if it has
        not been, or the process ended before it had read it.
    """

    __slots__ = ("number", "packet", "replied", "sentAt")

    def __init__(self, number: int, packet: bytes) -> None:
        self.number = number
        self.packet = packet
        self.sentAt: float | None = None
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
    @ivar endReason: Why it was made to end, C{None} if nobody made it.
    @ivar inHand: The request that the process has, or C{None}.
    """

    def __init__(self, child: Child, poller: Any, reactor: Any) -> None:
        self.child = child
        self.state = ChannelState.STARTING
        self.up: Deferred[WorkerDied | None] = Deferred()
        self.ended: Deferred[WorkerDied] = Deferred()
        self.inHand: Request | None = None
        self._poller = poller
        self._reactor = reactor
        self._urgent: deque[Request] = deque()
        self._waiting: deque[Request] = deque()
        self._lastWasUrgent = False
        self._numbers = itertools.count(1)
        self._pumping = False
        self._patience: Any = None
        self.endReason: str | None = None

    def open(self) -> None:
        """
        Begins to start the process.
        """
        self.child.started.addCallbacks(self._started, self._notStarted)
        self.child.died.addCallback(self._died)
        self.child.start()

    def number(self) -> int:
        """
        @return: A number for the next packet.
        """
        return next(self._numbers)

    def request(self, number: int, packet: bytes, urgent: bool = False) -> Request:
        """
        Sends a packet when its turn has come.

        @param number: The number in its envelope.
        @param urgent: C{True} to send it before those that are not. Those wait
            for one that is urgent at most, so that they get their turn however
            many there are.
        @return: The L{Request}. It fails at once if the process is gone.
        """
        request = Request(number, packet)
        if self.state is ChannelState.ENDED:
            request.replied.errback(self.died())
        else:
            (self._urgent if urgent else self._waiting).append(request)
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

    def died(self) -> WorkerDied:
        """
        @return: An exception that tells how the process ended.
        """
        text, child = self.aboutDeath(), self.child
        if self.up.called:
            return WorkerDied(text, child.pid, child.exitcode)
        return StartFailed(
            f"{text} before it was ready for calls. If it has written something to "
            "standard error, that tells why. It imports the program's main module: "
            "can that be imported, and does it guard what it does with if __name__ "
            "== '__main__'?",
            child.pid,
            child.exitcode,
        )

    def aboutDeath(self) -> str:
        """
        @return: How the process ended, in words.
        """
        text = f"The worker process {self.child.pid} ended"
        if self.endReason is None:
            text += f" with {aboutExit(self.child.exitcode)}"
        else:
            text += f" because {self.endReason}"
        return text

    def withdraw(self, request: Request) -> bool:
        """
        Drops a request that has not been sent.

        @return: C{False} if it has been.
        """
        for line in (self._urgent, self._waiting):
            if request in line:
                line.remove(request)
                return True
        return False

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        while self.state is ChannelState.IDLE and (self._urgent or self._waiting):
            isUrgent = bool(self._urgent) and not (
                self._lastWasUrgent and self._waiting
            )
            self._lastWasUrgent = isUrgent
            self._ask((self._urgent if isUrgent else self._waiting).popleft())
        self._pumping = False

    def _ask(self, request: Request) -> None:
        self.state = ChannelState.ASKING
        self.inHand = request
        packet, request.packet = request.packet, b""
        request.sentAt = perf_counter()
        self._poller.ask(packet).addCallbacks(self._answered, self._lost)

    def _answered(self, packet: bytes) -> None:
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
        request.replied.callback(reply)
        self._pump()

    def _lost(self, failure: Failure) -> None:
        """
        The pipe is of no use any more. Most likely the process has ended; if
        it has not, it has to.
        """
        if self.inHand is not None and failure.check(*UNREAD):
            self.inHand.sentAt = None
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
        requests += [*self._urgent, *self._waiting]
        self._urgent.clear()
        self._waiting.clear()
        for request in requests:
            request.replied.errback(died)
        if not self.up.called:
            self.up.callback(died)
        self.ended.callback(died)
