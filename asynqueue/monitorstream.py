"""
Server-sent events: what those who watch a queue are told, again and again.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from zope.interface import implementer

from asynqueue.stops import AtStop

MOST = 100
"""
How many may watch at a time.
"""

PATIENCE = 30.0
"""
How long somebody may read nothing of what was sent, in seconds.
"""

RETRY = b"retry: 2000\n\n"
"""
After how many milliseconds a browser is to try again when it has lost the connection.
"""

log = Logger()


class News(NamedTuple):
    """
    What there is to be told.

    @ivar data: A line of ASCII.
    @ivar isLast: C{True} if there will be nothing else.
    """

    data: bytes
    isLast: bool


class Reading(Enum):
    """
    Whether a L{Watcher} is written to. Moves: WRITING to PAUSED and back; either to
    GONE.
    """

    WRITING = "takes what there is"
    PAUSED = "has not read yet what it was sent"
    GONE = "is not there any more"


@implementer(IPushProducer)
class Watcher:
    """
    I am somebody who watches. I write to a request what its reader has room for, and
    leave out the rest: each event tells all, so none of them is missed.

    @ivar reading: A L{Reading}.
    """

    def __init__(self, request: Any, reactor: Any) -> None:
        self.reading = Reading.WRITING
        self._request = request
        self._reactor = reactor
        self._since = 0.0
        request.registerProducer(self, True)

    def pauseProducing(self) -> None:
        """
        Writes nothing for the time being.
        """
        if self.reading is Reading.WRITING:
            self.reading = Reading.PAUSED
            self._since = self._reactor.seconds()

    def resumeProducing(self) -> None:
        """
        Writes again.
        """
        if self.reading is Reading.PAUSED:
            self.reading = Reading.WRITING

    def stopProducing(self) -> None:
        """
        Writes nothing any more.
        """
        self.reading = Reading.GONE

    def write(self, event: bytes) -> None:
        """
        Writes an event, if there is room for it. One who has had none for
        L{PATIENCE} is cut off.
        """
        if self.reading is Reading.WRITING:
            self._request.write(event)
        elif self._isStuck():
            self._request.transport.abortConnection()

    def _isStuck(self) -> bool:
        waited = self._reactor.seconds() - self._since
        return self.reading is Reading.PAUSED and waited >= PATIENCE

    def end(self) -> None:
        """
        Ends the response.
        """
        if self.reading is not Reading.GONE:
            self.reading = Reading.GONE
            self._request.unregisterProducer()
            self._request.finish()


class Stream:
    """
    I tell all who watch the same, as long as anybody does: then, and only then, I have
    something in the reactor.

    @ivar watchers: The L{Watcher}s.
    """

    def __init__(self, take: Callable[[], News], interval: float, reactor: Any) -> None:
        """
        @param take: Says what is new.
        @param interval: After how many seconds it is asked again.
        """
        self.watchers: list[Watcher] = []
        self._take = take
        self._interval = interval
        self._reactor = reactor
        self._ticker = LoopingCall(self._tick)
        self._ticker.clock = reactor
        self._atStop: AtStop | None = None

    def isFull(self) -> bool:
        """
        @return: C{True} if nobody else may watch.
        """
        return len(self.watchers) >= MOST

    def add(self, request: Any) -> None:
        """
        Tells one more what there is, now and from now on, until it goes or there is
        nothing else to be told.

        @param request: Its request, whose headers are set.
        """
        watcher = Watcher(request, self._reactor)
        request.notifyFinish().addErrback(lambda _: self._gone(watcher))
        request.write(RETRY)
        news = self._news()
        watcher.write(_event(news))
        if news is not None and news.isLast:
            watcher.write(_end("shutdown"))
            watcher.end()
            return
        self.watchers.append(watcher)
        if not self._ticker.running:
            self._ticker.start(self._interval, now=False)
            self._atStop = AtStop(self._reactorStops, self._reactor)

    def _tick(self) -> None:
        news = self._news()
        self._tell(_event(news))
        if news is not None and news.isLast:
            self._end("shutdown")

    def _news(self) -> News | None:
        """
        @return: What is new, C{None} if that cannot be told.
        """
        try:
            return self._take()
        except Exception:
            # Who watches is to see the next one all the same.
            log.failure("The figures of a queue could not be taken")
            return None

    def _tell(self, event: bytes) -> None:
        for watcher in list(self.watchers):
            watcher.write(event)

    def _gone(self, watcher: Watcher) -> None:
        watcher.stopProducing()
        if watcher in self.watchers:
            self.watchers.remove(watcher)
            self._rest()

    def _rest(self) -> None:
        """
        Leaves nothing in the reactor if nobody watches.
        """
        if not self.watchers and self._ticker.running:
            self._ticker.stop()
            if self._atStop is not None:
                self._atStop.withdraw()

    def _end(self, why: str) -> None:
        self._tell(_end(why))
        watchers, self.watchers = self.watchers, []
        for watcher in watchers:
            watcher.end()
        self._rest()

    def _reactorStops(self) -> "Deferred[None]":
        self._tell(_event(self._news()))
        self._end("stopped")
        # One turn, for what was written to be sent.
        return deferLater(self._reactor, 0)


def _event(news: News | None) -> bytes:
    return b": nothing can be told just now\n\n" if news is None else _data(news.data)


def _data(data: bytes) -> bytes:
    return b"data: %b\n\n" % data


def _end(why: str) -> bytes:
    """
    @return: The last event. A browser that gets it does not try again.
    """
    return b"event: end\n" + _data(why.encode("ascii"))
