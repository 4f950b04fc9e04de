"""
Staying awake for what comes soon.

To go to sleep and to be woken takes a few times as long as a short call, on either
side of a pipe: a core has to be woken, and whoever is woken finds the caches cold. So
whoever waits looks for a while instead, if what he waited for last came as soon; and
between two looks he lets others have his core.

Standard library only: the far side imports me.
"""

import os
from collections.abc import Callable
from typing import Any

ANSWER_SOON = 0.00025
"""
For how long who has asked stays awake, in seconds.
"""

QUESTION_SOON = 0.0006
"""
For how long who has answered stays awake, in seconds. If two workers have short calls
by turns, each gets its next one as soon. (C{docs/design.rst} has figures.)
"""


class Vigil:
    """
    I tell somebody who waits again and again how long to stay awake.
    """

    __slots__ = ("_clock", "_isKept", "_soon", "_until")

    def __init__(self, clock: Callable[[], float], soon: float) -> None:
        """
        @param clock: Returns the time in seconds, counted from anything.
        @param soon: For how long to stay awake, in seconds.
        """
        self._clock = clock
        self._soon = soon
        self._isKept = True
        self._until = 0.0

    def begin(self) -> None:
        """
        Somebody begins to wait.
        """
        self._until = self._clock() + self._soon

    def lasts(self) -> bool:
        """
        @return: C{True} if he is to stay awake.
        """
        return self._isKept and self._clock() < self._until

    def end(self, when: float | None = None) -> None:
        """
        What he waits for has come. If it did not come soon, he does not stay awake for
        the next.

        @param when: When it came, by the clock; now, unless given.
        """
        self._isKept = (self._clock() if when is None else when) < self._until


letOthersRun: "Callable[[], Any]" = getattr(os, "sched_yield", lambda: None)
"""
Lets whoever else is ready to run on this core do so, where the system can be told.
"""
