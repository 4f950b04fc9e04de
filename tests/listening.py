"""
What hears, in tests, what worker processes tell: a reactor that seems to watch
descriptors, and a handler of log records.
"""

import logging
from typing import Any

from twisted.internet.interfaces import IReactorFDSet
from zope.interface import implementer

from tests.support import SteppedReactor


@implementer(IReactorFDSet)
class WatchingReactor(SteppedReactor):
    """
    A stepped reactor that can be told to watch descriptors.

    @ivar readers: Those that it was told to.
    @ivar writers: Those that it was told to for writing.
    """

    def __init__(self):
        super().__init__()
        self.readers: list[Any] = []
        self.writers: list[Any] = []

    def addReader(self, reader):
        self.readers.append(reader)

    def removeReader(self, reader):
        if reader in self.readers:
            self.readers.remove(reader)

    def addWriter(self, writer):
        self.writers.append(writer)

    def removeWriter(self, writer):
        if writer in self.writers:
            self.writers.remove(writer)

    def removeAll(self):
        raise NotImplementedError

    def getReaders(self):
        return list(self.readers)

    def getWriters(self):
        return list(self.writers)


class Listener(logging.Handler):
    """
    I keep the records that reach a logger, which hands them on to none above it.
    """

    def __init__(self, test, name="told", level=logging.DEBUG):
        super().__init__()
        self.records: list[Any] = []
        logger = logging.getLogger(name)
        test.patch(logger, "propagate", False)
        test.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(level)
        logger.addHandler(self)
        test.addCleanup(logger.removeHandler, self)

    def emit(self, record):
        self.records.append(record)

    def messages(self):
        """
        @return: What the records say.
        """
        return [record.getMessage() for record in self.records]
