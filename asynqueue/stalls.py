"""
How long the reactor stalls: the longest time that it does not come round.
"""

from time import perf_counter
from typing import Any

from twisted.internet.task import LoopingCall

TICK = 0.001
"""
How often the reactor is to come round, in seconds.
"""


class StallWatch:
    """
    I measure, within a C{with} statement, the longest time between two ticks of
    the reactor.

    @ivar longest: That time, in seconds.
    """

    def __init__(self, reactor: Any, seconds: Any = perf_counter) -> None:
        """
        @param seconds: What tells the time.
        """
        self.longest = 0.0
        self._seconds = seconds
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = reactor

    def __enter__(self) -> "StallWatch":
        self._last = self._seconds()
        self._ticks.start(TICK)
        return self

    def _tick(self) -> None:
        now = self._seconds()
        self.longest = max(self.longest, now - self._last)
        self._last = now

    def __exit__(self, *_: Any) -> None:
        self._tick()
        self._ticks.stop()
