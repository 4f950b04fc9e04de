"""
Where a queue tells of its calls: to Twisted's log, and to the standard library's
logger C{asynqueue} beside it.
"""

import logging
from typing import Any

from twisted.logger import (
    ILogObserver,
    LimitedHistoryLogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogPublisher,
    formatEvent,
    globalLogPublisher,
)
from zope.interface import implementer

logger = logging.getLogger("asynqueue")
"""
The standard library's logger. It is never changed from here: neither its level nor
its handlers.
"""

_LEVELS = {
    LogLevel.debug: logging.DEBUG,
    LogLevel.info: logging.INFO,
    LogLevel.warn: logging.WARNING,
    LogLevel.error: logging.ERROR,
    LogLevel.critical: logging.CRITICAL,
}


def makeLog(publisher: LogPublisher = globalLogPublisher) -> Logger:
    """
    @param publisher: Where Twisted's observers of the log are.
    @return: What logs to it and to L{logger}. I put nothing into either of the
        two, so that there is nothing to take away again, and what one of them
        hands on to the other cannot come around.
    """

    @implementer(ILogObserver)
    def follow(event: LogEvent) -> None:
        event["log_trace"] = _Trace()

    @implementer(ILogObserver)
    def cross(event: LogEvent) -> None:
        level = _LEVELS[event["log_level"]]
        # Who asked for it to be logged did so at the queue. Only a level that was
        # set on this very logger says otherwise, not the WARNING of the root.
        if logging.root.manager.disable >= level or level < logger.level:
            return
        text = formatEvent(event)
        record = logger.makeRecord(logger.name, level, __file__, 0, text, (), None)
        if logger.hasHandlers():
            logger.handle(record)
        elif logging.lastResort and not event["log_trace"].isObserved(publisher):
            # By nobody, but those who configured nothing read stderr.
            logging.lastResort.handle(record)

    # It goes on with the next one where one raises.
    return Logger(logger.name, observer=LogPublisher(follow, publisher, cross))


class _Trace(list[Any]):
    """
    I am told by each publisher and filter where an event goes. To others I am an
    empty list, such as to observers that write all that there is in an event.
    """

    def __init__(self) -> None:
        super().__init__()
        self._hops: list[tuple[Any, Any]] = []

    def append(self, hop: tuple[Any, Any]) -> None:
        self._hops.append(hop)

    def isObserved(self, publisher: LogPublisher) -> bool:
        """
        @return: C{True} if the publisher has an observer beside the one that
            keeps events until it is known where they are to be logged.
        """
        keepers = {
            id(source)
            for source, observer in self._hops
            if isinstance(observer, LimitedHistoryLogObserver)
        }
        return any(
            source is publisher and id(observer) not in keepers
            for source, observer in self._hops
        )


log = makeLog()
