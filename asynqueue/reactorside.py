"""
The far side of a worker with I{useReactor}: the same loop, beside a reactor.

I am the one module that imports Twisted into a worker process, and only the
process of such a worker imports me.
"""

import inspect
import threading
from typing import Any, Callable

from twisted.internet import defer
from twisted.internet.threads import blockingCallFromThread

from asynqueue.runner import CallRunner
from asynqueue.universe import Pipe, ProcessUniverse


class ReactorRunner(CallRunner):
    """
    I make calls in the reactor's thread and wait, in my own, for the Deferreds
    and coroutines that they return.
    """

    def __init__(self, reactor: Any, raw: bool = False, callStats: bool = False):
        super().__init__(raw, callStats)
        self.reactor = reactor

    def invoke(self, f: Callable[..., Any], *args: Any, **kw: Any) -> Any:
        """
        Calls a callable in the reactor's thread.

        @return: What it returned, or what the Deferred or coroutine that it
            returned came to.
        """
        return blockingCallFromThread(self.reactor, self._begin, f, args, kw)

    def _begin(self, f: Callable[..., Any], args: Any, kw: dict[str, Any]) -> Any:
        value = f(*args, **kw)
        return defer.ensureDeferred(value) if inspect.iscoroutine(value) else value


def serve(connection: Pipe, raw: bool, callStats: bool) -> None:
    """
    Runs the reactor, and a L{ProcessUniverse} in a thread beside it, until the
    universe's loop ends.
    """
    from twisted.internet import reactor

    r: Any = reactor
    universe = ProcessUniverse(runner=ReactorRunner(reactor, raw, callStats))

    def loop() -> None:
        try:
            universe.loop(connection)
        finally:
            r.callFromThread(r.stop)

    r.callWhenRunning(threading.Thread(target=loop, daemon=True).start)
    r.run(installSignalHandlers=False)
