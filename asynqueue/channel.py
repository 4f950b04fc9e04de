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
from twisted.logger import Logger
from twisted.python.failure import Failure

from asynqueue.children import Child
from asynqueue.deferreds import branch
from asynqueue.errors import StartFailed, WorkerDied, aboutExit
from asynqueue.guard import UNGUARDED, aboutGuard, tellOnce
from asynqueue.messages import Hello, Stop, pack
from asynqueue.packets import Packet, isShort
from asynqueue.replies import Reply, openReply
from asynqueue.requests import Inquiry, Line, Lines, Request, TakenBack
from asynqueue.tickets import Tickets

PATIENCE = 5.0
"""
How long a process may take to end after it was asked to, in seconds. It does so
at once unless a call has left something there that does not end.
"""


class ChannelState(Enum):
    """
    The stages of a L{Channel}. Moves: STARTING to OPEN when the process is there;
    both to ENDING when it is to end, or is found to; ENDING to ENDED when it has.
    """

    STARTING = "the process is being started"
    OPEN = "the process answers requests, or soon will"
    ENDING = "the process is ending"
    ENDED = "the process is gone"


class Channel:
    """
    I start a worker process, send requests to it, and see it to its end.

    The process does one after another, and is sent the next when it has answered
    the last. If I{ahead} is above 0, it is sent short ones before: calls then wait
    in the pipe, and can be taken back from there until the process begins with
    them, see L{asynqueue.tickets}.

    @ivar ahead: How many requests may be in the pipe beside the one that the process
        has in hand.
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
    @ivar sent: The requests that were sent and not answered: the one that the
        process has in hand, and those in the pipe.
    @ivar lost: The call in whose middle the process ended, as a text, or C{None}.
    """

    log = Logger()

    def __init__(self, child: Child, poller: Any, reactor: Any, ahead: int = 0) -> None:
        self.child = child
        self.ahead = ahead
        self.state = ChannelState.STARTING
        self.up: Deferred[WorkerDied | None] = Deferred()
        self.ended: Deferred[WorkerDied] = Deferred()
        self.sent: deque[Request] = deque()
        self._poller = poller
        self._reactor = reactor
        self._lines = Lines()
        self._tickets: Tickets | None = None
        self._sharing = child.sharing
        self._stale = 0
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

    def ask(self, request: Request) -> None:
        """
        Sends a request when its turn has come. It is lost at once if the process is
        gone.
        """
        if self.state is ChannelState.ENDED:
            request.lost(self.died())
        else:
            self._lines.add(request)
            self._pump()

    def inquire(
        self,
        number: int,
        packet: Packet,
        line: Line = Line.CALLS,
        call: str | None = None,
    ) -> "Deferred[Reply]":
        """
        Asks an L{Inquiry}.

        @return: Its I{replied}.
        """
        inquiry = Inquiry(number, packet, line, call)
        self.ask(inquiry)
        return inquiry.replied

    def stop(self) -> None:
        """
        Asks the process to end. To be called when nothing else is to be asked.
        """
        if self.state is ChannelState.STARTING:
            self.terminate("it was not needed any more")
        elif self.state is ChannelState.OPEN:
            number = self.number()
            replied = self.inquire(number, pack(Stop(number)))
            replied.addCallbacks(self._willEnd, lambda _: None)

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
            if child.exitcode == UNGUARDED and self.endReason is None:
                tellOnce()
                text += f" before it was ready for calls. {aboutGuard()}"
                return kind(text, child.pid, child.exitcode)
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
        Drops a request that the process has not begun with.

        @return: C{False} if it has.
        """
        if self._lines.remove(request):
            return True
        taken = self._takeBack()
        self._lines.putBack([other for other in taken if other is not request])
        return request in taken

    def _takeBack(self) -> list[Request]:
        """
        Takes back what is in the pipe and can be.

        @return: A list of these requests, in order. What the process finds in their
            places, it answers by saying that it was taken back.
        """
        if self._tickets is None:
            return []
        n = self._tickets.takeBack()
        places = [i for i, request in enumerate(self.sent) if request.canBeTakenBack]
        taken = []
        for place in places[len(places) - n :]:
            request = self.sent[place]
            taken.append(request)
            self.sent[place] = TakenBack(request)
            request.sentAt = None
        self._stale += n
        return taken

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        while (request := self._next()) is not None:
            self._lines.take(request)
            self._send(request)
        self._pumping = False

    def _next(self) -> Request | None:
        """
        @return: The request to be sent now, C{None} if none can be.
        """
        if self.state is not ChannelState.OPEN or len(self.sent) > self.ahead:
            return None
        request = self._lines.first()
        if request is None or not self.sent:
            return request
        if self._stale and request.canBeTakenBack:
            return None
        # A long one may find no room in the pipe beside what is there.
        return request if isShort(request.packet) else None

    def _send(self, request: Request) -> None:
        packet = request.packet
        if self._tickets is not None and request.canBeTakenBack:
            # It may have to be sent again.
            packet = list(packet)
            self._tickets.issue()
        else:
            request.packet = []
        request.sentAt = perf_counter()
        self.sent.append(request)
        try:
            if self._sharing is not None:
                self._sharing.send(packet)
            self._poller.ask(packet)
        except (EOFError, OSError):
            self._lost(Failure())

    def _answered(self, packets: list[Packet]) -> None:
        # What the process has told meanwhile comes first: the log records of a call
        # are there when its Deferred fires.
        self.child.catchUp()
        for packet in packets:
            try:
                self._open(packet)
            except Exception:
                # The next ones are not to be lost as well.
                self.log.failure("What an answer came to went wrong")
        self._pump()

    def _open(self, packet: Packet) -> None:
        sentAt = self.sent[0].sentAt if self.sent else None
        if sentAt is None:
            return
        request, now = self.sent[0], perf_counter()
        try:
            if self._sharing is not None:
                self._sharing.receive(packet)
            reply = openReply(packet, request.number, now - sentAt)
        except Exception:
            self._lost(Failure())
            return
        self.sent.popleft()
        if isinstance(request, TakenBack):
            self._stale -= 1
        if self.sent:
            self.sent[0].sentAt = now
        request.answered(reply)

    def _lost(self, failure: Failure, unsent: int = 0) -> None:
        """
        The pipe is of no use any more. Most likely the process has ended; if
        it has not, it has to.

        @param unsent: How many requests, the last ones, were not wholly sent.
        """
        n = len(self.sent)
        if n == 1 and failure.check(ConnectionResetError):
            # Where the pipe is a local socket, Linux says so when the far end was
            # closed with something still unread in it.
            unsent = 1
        for place in range(n - unsent, n):
            self.sent[place].sentAt = None
        if not failure.check(EOFError, OSError):
            error = f"{type(failure.value).__name__}: {failure.getErrorMessage()}"
            self._fault = f" after its answer could not be read ({error})"
        if self.state is ChannelState.OPEN:
            self.state = ChannelState.ENDING
            self.child.terminate()

    def _started(self, near: Any) -> None:
        self._poller.connect(near, self._answered, self._lost)
        self._tickets = self.child.tickets
        if self.state is ChannelState.STARTING:
            self.state = ChannelState.OPEN
            number = self.number()
            hello = Inquiry(number, pack(Hello(number)))
            hello.replied.addCallbacks(lambda _: self.up.callback(None), lambda _: None)
            self._send(hello)

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
        taken = self._takeBack()
        for other in (self._tickets, self._sharing):
            if other is not None:
                other.close()
        sent = list(self.sent)
        # Whoever still knows me is not to keep their packets, nor their tasks.
        self.sent.clear()
        begun = [request for request in sent if request.sentAt is not None]
        self.lost = next((r.about() for r in begun if r.about()), None)
        if self.endReason is None:
            self.whenDied(died)
        for request in [*sent, *taken, *self._lines.clear()]:
            request.lost(died)
        if not self.up.called:
            self.up.callback(died)
        self.ended.callback(died)


def _raiseIfDead(died: WorkerDied | None) -> None:
    if died is not None:
        raise died
