"""
How the near end of a pipe learns of an answer from the reactor itself.
"""

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from asynqueue.asking import Asker, PollerState
from asynqueue.interfaces import IPoller
from asynqueue.pace import checkPace
from asynqueue.reactors import canWatchPipes, theReactor
from asynqueue.vigil import ANSWER_SOON, Vigil, letOthersRun


@implementer(IPoller, IReadWriteDescriptor)
class ReactorPoller(Asker):
    """
    The reactor watches the pipe for me, as it watches any connection, and tells me when
    there is something to be read, or room for what is to be written. I have no thread.

    So that it need not be woken for answers that come soon, I keep the reactor turning
    for L{ANSWER_SOON<asynqueue.vigil.ANSWER_SOON>} after something was asked, if the
    last answer came as soon.

    However long an answer is, no more of it is read in one turn of the reactor than
    L{STRETCH<asynqueue.packets.STRETCH>}; and likewise for what is written.

    @ivar interval: Makes no difference: I do not look, I am told.
    @ivar backoff: The same.
    """

    def __init__(
        self, interval: float = 0.001, backoff: float = 1.10, reactor: Any = None
    ) -> None:
        """
        @raise ValueError: if the interval or the backoff is out of range, or the
            reactor cannot watch pipes.
        """
        checkPace(interval, backoff)
        super().__init__()
        self.interval = interval
        self.backoff = backoff
        self._reactor = theReactor(reactor)
        if not canWatchPipes(self._reactor):
            raise ValueError(
                f"This reactor, {self._reactor!r} on {os.name!r}, cannot watch pipes. "
                "Take the poller 'thread'"
            )
        self._isWatched = False
        self._isFull = False
        self._vigil = Vigil(self._reactor.seconds, ANSWER_SOON)
        self._nextTurn: Any = None

    def stop(self) -> "Deferred[None]":
        """
        Hangs up. There is no more to end.
        """
        return self.hangUp()

    def fileno(self) -> int:
        """
        @return: The descriptor that is watched, -1 if there is none.
        """
        return -1 if self._end is None else int(self._end.fileno())

    def logPrefix(self) -> str:
        """
        @return: What Twisted names me by.
        """
        return type(self).__name__

    def doRead(self) -> None:
        """
        Reads some of what has come.
        """
        if not self._isWatched:
            # Something else in the same turn of the reactor has ended that.
            return
        try:
            self._end.read()
        except Exception:
            # The far end is gone, or something else has written into the pipe.
            self._answer(Failure())
        else:
            if self._end.incoming.packets:
                self._answer()

    def doWrite(self) -> None:
        """
        Writes some of what is to be written.
        """
        if self._isFull:
            self._goOn()

    def connectionLost(self, reason: Any) -> None:
        """
        The pipe is watched no more, most likely because the far end is gone, which not
        all reactors tell by having me read.
        """
        if self._isWatched:
            self._answer(self._readRest() or Failure(EOFError("The pipe was lost")))

    def _connected(self) -> None:
        # Also while nothing is asked: an end is an event then, too.
        self._watch()

    def _watch(self) -> None:
        self._reactor.addReader(self)
        self._isWatched = True

    def _goOn(self) -> None:
        if self._end.outgoing.packets:
            self._end.write()
        self.state = PollerState.WAITING
        self._vigil.begin()
        if self._nextTurn is None:
            self._nextTurn = self._reactor.callLater(0, self._stayAwake)
        if not self._isWatched:
            self._watch()
        isFull = bool(self._end.outgoing.packets)
        if isFull and not self._isFull:
            self._reactor.addWriter(self)
        elif self._isFull and not isFull:
            self._reactor.removeWriter(self)
        self._isFull = isFull

    def _stayAwake(self) -> None:
        self._nextTurn = None
        if self.state is PollerState.WAITING and self._vigil.lasts():
            # Where cores are few, whoever is to answer may wait for this one.
            letOthersRun()
            self._nextTurn = self._reactor.callLater(0, self._stayAwake)

    def _answer(self, failure: Failure | None = None) -> None:
        self._vigil.end()
        if failure is not None:
            # A pipe that has ended would be told of for ever.
            self._unwatch()
        super()._answer(failure)

    def _disconnect(self) -> None:
        self._unwatch()
        if self._nextTurn is not None:
            self._nextTurn.cancel()
            self._nextTurn = None
        super()._disconnect()

    def _unwatch(self) -> None:
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        self._isWatched = self._isFull = False
