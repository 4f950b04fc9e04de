"""
What is asked through a pipe and not answered yet, as all pollers have it.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from asynqueue.ends import nearEnd
from asynqueue.packets import Packet

_ENOUGH = 16
"""
How many reads, of L{SOME<asynqueue.streams.SOME>} bytes or more, are made for answers
that are there already when the pipe is done with: 1 MiB, more than any pipe holds. It
ends with a far end that never ends.
"""


class PollerState(Enum):
    """
    What a poller is doing. Moves: C{connect} from DISCONNECTED to IDLE; C{ask} from
    IDLE to LOOKING or WAITING, as the poller begins; a last look in vain from LOOKING
    to WAITING; answers, the end of the pipe, or C{hangUp} from any of these to
    ANSWERING, and from there, if more is asked, to LOOKING or WAITING, else to IDLE,
    or after C{hangUp} to DISCONNECTED.
    """

    DISCONNECTED = "has no pipe"
    IDLE = "has a pipe and nothing asked"
    LOOKING = "will look again from the reactor"
    WAITING = "waits to be told"
    ANSWERING = "hands out what has come"


class Asker:
    """
    I am what all pollers have in common: packets are sent in the order in which they
    are asked, and answers handed out in the order in which they come.

    What is asked while answers are handed out is sent after them, together.

    @ivar state: A L{PollerState}.
    """

    def __init__(self) -> None:
        self.state = PollerState.DISCONNECTED
        self._end: Any = None
        self._asked = 0
        self._hungUp = True
        self._hangers: list[Deferred[None]] = []
        self._answered: Callable[[list[Packet]], Any]
        self._lost: Callable[[Failure, int], Any]

    def connect(
        self,
        connection: Any,
        answered: Callable[[list[Packet]], Any],
        lost: Callable[[Failure, int], Any],
    ) -> None:
        """
        Begins to use a pipe.
        """
        self._end = nearEnd(connection)
        self._answered, self._lost = answered, lost
        self._hungUp = False
        self.state = PollerState.IDLE
        self._connected()

    def ask(self, packet: Packet) -> None:
        """
        Sends a packet that is to be answered.
        """
        if self._hungUp:
            raise EOFError("There is no pipe")
        self._end.outgoing.add(packet)
        self._asked += 1
        if self.state is not PollerState.ANSWERING:
            self._goOn()

    def hangUp(self) -> "Deferred[None]":
        """
        Ends the use of the pipe.
        """
        if self.state is PollerState.DISCONNECTED:
            return succeed(None)
        d: Deferred[None] = Deferred()
        self._hangers.append(d)
        self._hungUp = True
        if self.state is not PollerState.ANSWERING:
            self._leave()
        return d

    def _connected(self) -> None:
        """
        There is a pipe. Override me, if something is to be done then.
        """

    def _goOn(self) -> None:
        """
        Sends what is to be sent, and sees to it that I learn of answers. Override me.
        """
        raise NotImplementedError

    def _leave(self) -> None:
        """
        Does with what is asked what is to be done after C{hangUp}.
        """
        self._answer()

    def _answer(self, failure: Failure | None = None) -> None:
        """
        Hands out what has come.

        @param failure: Why there will be no more, C{None} if there may be.
        """
        self.state = PollerState.ANSWERING
        self._handOut()
        if self._hungUp and failure is None:
            failure = self._readRest()
            self._handOut()
        if failure is not None:
            self._tellLost(failure)
        if self._hungUp:
            self._tellLost(Failure(EOFError("Hung up")))
            self._disconnect()
            return
        self.state = PollerState.IDLE
        if self._asked:
            self._goOn()

    def _handOut(self) -> None:
        incoming = self._end.incoming.packets
        n = min(self._asked, len(incoming))
        if n:
            self._asked -= n
            self._answered([incoming.popleft() for _ in range(n)])

    def _readRest(self) -> Failure | None:
        """
        Reads what is there already.

        @return: What the pipe has ended by, if it has.
        """
        try:
            for _ in range(_ENOUGH):
                if not self._end.wait(0):
                    break
                self._end.read()
        except Exception:
            return Failure()
        return None

    def _tellLost(self, failure: Failure) -> None:
        """
        What is asked is answered no more.
        """
        unsent = self._end.outgoing.packets
        n, asked = len(unsent), self._asked
        unsent.clear()
        self._asked = 0
        if asked:
            self._lost(failure, n)

    def _disconnect(self) -> None:
        self._end.close()
        self._end = None
        self.state = PollerState.DISCONNECTED
        hangers, self._hangers = self._hangers, []
        for d in hangers:
            d.callback(None)
