"""
How the near end of a pipe learns of an answer.
"""

import os
import socket
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from asynqueue.interfaces import IPoller
from asynqueue.looper import ThreadLooper
from asynqueue.packets import (
    AT_ONCE,
    Packet,
    message,
    parts,
    receive,
    receiveParts,
    send,
)
from asynqueue.reactors import theReactor

LONGEST = 1.0
"""
The longest interval between two looks, in seconds. It delays no answer; it
bounds how long a thread can take to notice that it waits in vain where it
cannot be woken.
"""

PollerFactory = Callable[..., Any]


def intervals(interval: float, backoff: float) -> Iterator[float]:
    """
    How long to wait before each next look, in seconds: I{interval} first, and
    then I{backoff} times as long as before, up to L{LONGEST}.

    After I{n} looks C{interval * (backoff**n - 1) / (backoff - 1)} seconds have
    passed, so the next wait is C{interval + (backoff - 1) * passed} until then.
    """
    while True:
        yield interval
        interval = min(interval * backoff, LONGEST)


def checkPace(interval: float, backoff: float) -> None:
    """
    @raise ValueError: if no polling can go on at such a pace.
    """
    if not 0 < interval <= LONGEST:
        raise ValueError(
            f"interval is in seconds, above 0 and at most {LONGEST}, not {interval!r}"
        )
    if not 1.0 <= backoff <= 1.3:
        raise ValueError(f"backoff has to be from 1.0 to 1.3, not {backoff!r}")


class PollerState(Enum):
    """
    What a L{ThreadPoller} is doing. Moves: L{ThreadPoller.connect} from
    DISCONNECTED to IDLE; L{ThreadPoller.ask} from IDLE to LOOKING or WAITING;
    a second look in vain from LOOKING to WAITING; an answer, or the end of the
    pipe, from both to IDLE; L{ThreadPoller.hangUp} at last to DISCONNECTED.
    """

    DISCONNECTED = "has no pipe"
    IDLE = "has a pipe and nothing asked"
    LOOKING = "will look once more from the reactor"
    WAITING = "waits in the looper's thread"


@implementer(IPoller)
class ThreadPoller:
    """
    I look for an answer twice from the reactor, right after sending and in the
    reactor's next iteration, for calls that are over at once. After that the
    thread of my L{ThreadLooper} waits for it, and returns the moment that it
    comes: the interval, which grows with each look that finds nothing, only
    governs how often the thread wakes to see whether it still waits for
    anything.

    What may take long, sending or reading more than
    L{AT_ONCE<asynqueue.packets.AT_ONCE>} bytes, is the thread's as well.

    @ivar interval: How long the thread waits before its first look, seconds.
    @ivar backoff: What the interval is multiplied by after each.
    @ivar state: A L{PollerState}.
    """

    def __init__(
        self,
        interval: float = 0.001,
        backoff: float = 1.10,
        reactor: Any = None,
        looper: ThreadLooper | None = None,
    ) -> None:
        """
        @raise ValueError: if the interval or the backoff is out of range.
        """
        checkPace(interval, backoff)
        self.interval = interval
        self.backoff = backoff
        self.state = PollerState.DISCONNECTED
        self._reactor = theReactor(reactor)
        self._looper = looper or ThreadLooper(reactor=reactor)
        self._connection: Any = None
        self._asked: Deferred[Packet] | None = None
        self._nextLook: Any = None
        self._hungUp = True
        self._hangers: list[Deferred[None]] = []

    def connect(self, connection: Any) -> None:
        """
        Begins to use a pipe.
        """
        self._connection = connection
        self._hungUp = False
        self.state = PollerState.IDLE

    def ask(self, packet: Packet) -> "Deferred[Packet]":
        """
        Sends a packet and waits for the one that answers it.
        """
        if self._hungUp:
            return fail(EOFError("There is no pipe"))
        d = self._asked = Deferred()
        short = message(packet)
        if short is None:
            self._wait(self._talk, packet)
            return d
        try:
            self._connection.send_bytes(short)
        except OSError:
            self._finish(Failure())
            return d
        self.state = PollerState.LOOKING
        if not self._look():
            self._nextLook = self._reactor.callLater(0, self._lookAgain)
        return d

    def hangUp(self) -> "Deferred[None]":
        """
        Ends the use of the pipe.
        """
        if self.state is PollerState.DISCONNECTED:
            return succeed(None)
        d: Deferred[None] = Deferred()
        self._hangers.append(d)
        self._hungUp = True
        if self.state is PollerState.IDLE:
            self._disconnect()
        elif self.state is PollerState.WAITING:
            _wake(self._connection)
        else:
            self._nextLook.cancel()
            if not self._look():
                self._finish(Failure(EOFError("Hung up")))
        return d

    def stop(self) -> "Deferred[None]":
        """
        Hangs up, and ends the thread.
        """
        return self.hangUp().addCallback(lambda _: self._looper.stop())

    def _look(self) -> bool:
        """
        @return: C{True} if no further look from the reactor is needed.
        """
        try:
            if not self._connection.poll(0):
                return False
            received = self._connection.recv_bytes(AT_ONCE)
            short = parts(received)
        except Exception:
            # The far end is gone, or something else has written into the pipe.
            self._finish(Failure())
            return True
        if short is None:
            self._wait(receiveParts, received)
        else:
            self._finish(short)
        return True

    def _lookAgain(self) -> None:
        if not self._look():
            self._wait(self._listen)

    def _wait(self, f: Callable[..., Packet], *args: Any) -> None:
        """
        Leaves to the thread what has still to be done with the pipe.
        """
        self.state = PollerState.WAITING
        if self._hungUp:
            _wake(self._connection)
        d = self._looper.deferToThread(f, self._connection, *args)
        d.addBoth(self._finish)

    def _talk(self, connection: Any, packet: Packet) -> Packet:
        send(connection, packet)
        return self._listen(connection)

    def _listen(self, connection: Any) -> Packet:
        for interval in intervals(self.interval, self.backoff):
            if connection.poll(interval):
                return receive(connection)
            if self._hungUp:
                break
        raise EOFError("Hung up")

    def _finish(self, result: Packet | Failure) -> None:
        d, self._asked = self._asked, None
        self.state = PollerState.IDLE
        if d is not None:
            d.callback(result)
        if self._hungUp and self.state is PollerState.IDLE:
            self._disconnect()

    def _disconnect(self) -> None:
        self._connection.close()
        self._connection = None
        self.state = PollerState.DISCONNECTED
        hangers, self._hangers = self._hangers, []
        for d in hangers:
            d.callback(None)


def _wake(connection: Any) -> None:
    """
    Lets whoever waits for a connection, or is in the middle of reading from it
    or writing to it, find its end, after what it holds already.

    Where it is not a socket (a named pipe), he finds out at his next look.
    """
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


POLLERS: dict[str, PollerFactory] = {"thread": ThreadPoller}
"""
The strategies that can be chosen by name.
"""


def makePoller(
    poller: str | PollerFactory, interval: float, backoff: float, reactor: Any
) -> Any:
    """
    Makes a poller.

    @param poller: A name from L{POLLERS}, or a callable that takes the keywords
        I{interval}, I{backoff} and I{reactor} and returns an
        L{IPoller<asynqueue.interfaces.IPoller>} provider.
    @raise ValueError: if there is no poller of that name, or the pace is out of
        range.
    @raise TypeError: if what the callable returns is not a poller.
    """
    checkPace(interval, backoff)
    if isinstance(poller, str):
        if poller not in POLLERS:
            raise ValueError(
                f"No poller is called {poller!r}. There are: {', '.join(POLLERS)}"
            )
        poller = POLLERS[poller]
    made = poller(interval=interval, backoff=backoff, reactor=reactor)
    if not IPoller.providedBy(made):
        raise TypeError(f"{made!r} does not provide IPoller")
    return made
