"""
How the near end of a pipe learns of an answer.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from asynqueue.asking import Asker, PollerState
from asynqueue.interfaces import IPoller
from asynqueue.looper import ThreadLooper
from asynqueue.pace import checkPace, intervals
from asynqueue.reactorpoller import ReactorPoller
from asynqueue.reactors import theReactor
from asynqueue.vigil import ANSWER_SOON, Vigil, letOthersRun

PollerFactory = Callable[..., Any]


@implementer(IPoller)
class ThreadPoller(Asker):
    """
    I look for an answer from the reactor, once in each of its next iterations, as long
    as L{ANSWER_SOON<asynqueue.vigil.ANSWER_SOON>} after it was asked for, or after the
    answer before; but only in one iteration if the last answer took longer than that.
    After that the thread of my L{ThreadLooper} waits for it, and returns the moment
    that it comes: the interval, which grows with each look that finds nothing, only
    governs how often the thread wakes to see whether it still waits for anything.

    What takes more than one read or write is the thread's as well.

    @ivar interval: How long the thread waits before its first look, seconds.
    @ivar backoff: What the interval is multiplied by after each.
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
        super().__init__()
        self.interval = interval
        self.backoff = backoff
        self._reactor = theReactor(reactor)
        self._looper = looper or ThreadLooper(reactor=reactor)
        self._nextLook: Any = None
        self._vigil = Vigil(self._reactor.seconds, ANSWER_SOON)
        self._threadWrites = False

    def stop(self) -> "Deferred[None]":
        """
        Hangs up, and ends the thread.
        """
        return self.hangUp().addCallback(lambda _: self._looper.stop())

    def _goOn(self) -> None:
        isWaiting = self.state is PollerState.WAITING
        if self._end.outgoing.packets and not (isWaiting and self._threadWrites):
            self._end.write()
        if self.state is PollerState.IDLE:
            self._vigil.begin()
            if self._end.outgoing.packets:
                self._wait()
            else:
                self._lookLater()

    def _lookLater(self) -> None:
        self.state = PollerState.LOOKING
        # Where cores are few, whoever is to answer may wait for this one.
        letOthersRun()
        self._nextLook = self._reactor.callLater(0, self._look)

    def _look(self) -> None:
        self._nextLook = None
        end = self._end
        try:
            if end.wait(0):
                end.read()
        except Exception:
            # The far end is gone, or something else has written into the pipe.
            self._answer(Failure())
            return
        if end.incoming.packets:
            self._vigil.end()
            self._answer()
        elif end.incoming.isInPart or end.outgoing.packets:
            self._wait()
        elif self._vigil.lasts():
            self._lookLater()
        else:
            self._wait()

    def _wait(self) -> None:
        """
        Leaves to the thread what has still to be done with the pipe.
        """
        self.state = PollerState.WAITING
        self._threadWrites = bool(self._end.outgoing.packets)
        d = self._looper.deferToThread(self._attend)
        d.addCallbacks(self._attended, self._answer)

    def _attend(self) -> float:
        """
        What the thread does.

        @return: When there was an answer.
        """
        for interval in intervals(self.interval, self.backoff):
            if not self._end.attend(interval, self._threadWrites) and self._hungUp:
                break
            if self._end.incoming.packets:
                return float(self._reactor.seconds())
        raise EOFError("Hung up")

    def _attended(self, when: float) -> None:
        self._vigil.end(when)
        self._answer()

    def _leave(self) -> None:
        if self.state is PollerState.WAITING:
            self._end.wake()
        else:
            super()._leave()

    def _answer(self, failure: Failure | None = None) -> None:
        if self._nextLook is not None:
            self._nextLook.cancel()
            self._nextLook = None
        super()._answer(failure)


POLLERS: dict[str, PollerFactory] = {
    "thread": ThreadPoller,
    "reactor": ReactorPoller,
}
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
