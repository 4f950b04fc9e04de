"""
What a worker tells of its processes: the pace of looking for answers, the calls'
times, the memory, and whether a process has done enough.
"""

from typing import Any

from twisted.internet.defer import Deferred, succeed

from asynqueue.checks import checkInteger
from asynqueue.deaths import MemoryWatch
from asynqueue.machine import cores
from asynqueue.pace import checkPace


class Figures:
    """
    I know the figures of a worker that has one process after another, and a
    poller.

    @ivar callStats: C{True} to keep call times.
    @ivar callTimes: A list of what L{stats} gives.
    @ivar process: The L{Child<asynqueue.children.Child>} that the worker has or
        last had, C{None} before the first.
    """

    def __init__(
        self,
        poller: Any,
        callStats: bool,
        maxCalls: int | None,
        maxMemory: int | None,
        reactor: Any,
    ) -> None:
        """
        @raise ValueError: if I{maxCalls} or I{maxMemory} is below 1.
        """
        if maxCalls is not None:
            checkInteger("maxCalls", maxCalls, 1)
        if maxMemory is not None:
            checkInteger("maxMemory", maxMemory, 1)
        self._poller = poller
        self.callStats = callStats
        self.callTimes: list[tuple[float, float]] = []
        self.process: Any = None
        self._maxCalls = maxCalls
        self._maxMemory = maxMemory
        self._memory = MemoryWatch(reactor)

    @property
    def pid(self) -> int | None:
        """
        The ID of my process, C{None} if I have none just now.
        """
        isThere = self.process is not None and self.process.is_alive()
        return self.process.pid if isThere else None

    @property
    def memory(self) -> int | None:
        """
        The resident set of my process at the last look, in bytes; C{None} if I have no
        process just now. If there was none yet, it is looked at.
        """
        if self.pid is None:
            return None
        size = self._memory.last or self._memory.look()
        return None if size is None else size * 1024

    @property
    def interval(self) -> float:
        """
        The initial event-checking interval, in seconds (a C{float}, above 0).
        """
        return float(self._poller.interval)

    @interval.setter
    def interval(self, interval: float) -> None:
        checkPace(interval, self.backoff)
        self._poller.interval = interval

    @property
    def backoff(self) -> float:
        """
        The backoff exponent: what the interval is multiplied by after each
        check (a C{float}, from 1.0 to 1.3).
        """
        return float(self._poller.backoff)

    @backoff.setter
    def backoff(self, backoff: float) -> None:
        checkPace(self.interval, backoff)
        self._poller.backoff = backoff

    @staticmethod
    def cores() -> int:
        """
        @return: The number of CPU cores available to this process.
        """
        return cores()

    def stats(self) -> "Deferred[list[tuple[float, float]]]":
        """
        Assembles and returns a (deferred) list of call times.

        @return: A Deferred that fires with a list of 2-tuples, one for each
            call that has been sent and is over, in that order. The first
            element is the time from sending the call to getting its result, in
            seconds; the second is how long it ran in the process, in seconds
            (0.0 if the process did not live to tell). Empty without
            I{callStats}.
        """
        return succeed(list(self.callTimes))

    def memUsage(self) -> int | None:
        """
        @return: The resident set of my process, in kilobytes (1024 bytes) as an
            C{int}, or C{None} if the process is not running. (AsynQueue 0.9.9
            gave the size of its virtual memory.)
        """
        return self._memory.look()

    def isWorn(self, calls: int) -> bool:
        """
        @param calls: How many calls my process has done.
        @return: C{True} if those are I{maxCalls} or more, or its resident set
            was above I{maxMemory} at the last look. There is one when a call ends,
            but not more often than every L{PAUSE<asynqueue.deaths.PAUSE>} seconds.
        """
        if self._maxCalls is not None and calls >= self._maxCalls:
            return True
        size = self._memory.last
        return self._maxMemory is not None and (size or 0) > self._maxMemory

    def _record(self, task: Any, here: float, there: float) -> None:
        """
        A task's call is over.

        @param here: The seconds from sending it to getting its result.
        @param there: The seconds that it ran in the process.
        """
        self._memory.glance()
        task.measured(here, there)
        if self.callStats:
            self.callTimes.append((here, there))

    def _isNew(self, process: Any) -> None:
        """
        The worker has a new process.
        """
        self.process = process
        self._memory.follow(process)
