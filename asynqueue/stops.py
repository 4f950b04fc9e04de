"""
What is to be done when the reactor is about to stop.
"""

from collections.abc import Callable
from typing import Any


class AtStop:
    """
    I am a call that the reactor makes before it stops, unless I am withdrawn.
    Whoever made me withdraws me as soon as I am not needed any more, so that none
    of us is left behind in the reactor.

    @ivar triggerID: The reactor's identifier of its trigger, C{None} when there
        is none any more.
    """

    def __init__(self, f: Callable[[], Any], reactor: Any) -> None:
        """
        @param f: The callable. If it returns a Deferred, the reactor goes on
            until that fires.
        """
        self._f = f
        self._reactor = reactor
        self.triggerID: Any = reactor.addSystemEventTrigger(
            "before", "shutdown", self._due
        )

    def withdraw(self) -> None:
        """
        Has the call not be made, unless it was.
        """
        if self.triggerID is not None:
            self._reactor.removeSystemEventTrigger(self.triggerID)
            self.triggerID = None

    def _due(self) -> Any:
        # The reactor has let go of it by now, and objects to being asked to.
        self.triggerID = None
        return self._f()
