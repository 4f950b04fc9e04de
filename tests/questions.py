"""
Deferreds of what a poller tells of.
"""

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure


class Questions:
    """
    I ask a poller, and wait for each answer apart.
    """

    def __init__(self, poller):
        self._poller = poller
        self._waiting: deque[Deferred[Any]] = deque()

    def connect(self, connection):
        """
        Has the poller begin to use a pipe.
        """
        self._poller.connect(connection, self._answered, self._lost)

    def ask(self, packet):
        """
        @return: A Deferred of the packet that answers one. It fails with what the
            poller says, or with C{BrokenPipeError} if the pipe has ended and that
            packet was not wholly sent.
        """
        d: Deferred[Any] = Deferred()
        self._waiting.append(d)
        try:
            self._poller.ask(packet)
        except (EOFError, ValueError):
            self._waiting.remove(d)
            return fail()
        return d

    def _answered(self, packets):
        for packet in packets:
            self._waiting.popleft().callback(packet)

    def _lost(self, failure, unsent):
        waiting = list(self._waiting)
        self._waiting.clear()
        sent = len(waiting) - unsent
        for d in waiting[:sent]:
            d.errback(failure)
        if failure.check(EOFError, OSError):
            failure = Failure(BrokenPipeError("Not wholly sent"))
        for d in waiting[sent:]:
            d.errback(failure)
