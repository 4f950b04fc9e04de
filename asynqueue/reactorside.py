"""
The far side of a worker with I{useReactor}: the same loop, beside a reactor.

I am the one module that imports Twisted into a worker process, and only the
process of such a worker imports me.
"""

import inspect
import signal
import threading
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from twisted.internet import defer
from twisted.internet.threads import blockingCallFromThread

from asynqueue.runner import CallRunner
from asynqueue.universe import ProcessUniverse


class ReactorRunner(CallRunner):
    """
    I make calls in the reactor's thread and wait, in my own, for the Deferreds
    and coroutines that they return.
    """

    awaited = (defer.Deferred, CoroutineType)

    def __init__(self, reactor: Any, raw: bool = False):
        super().__init__(raw)
        self.reactor = reactor

    def invoke(self, f: Callable[..., Any], /, *args: Any, **kw: Any) -> Any:
        """
        Calls a callable in the reactor's thread.

        @return: What it returned, or what the Deferred or coroutine that it
            returned came to.
        """
        return blockingCallFromThread(self.reactor, self._begin, f, args, kw)

    def _begin(self, f: Callable[..., Any], args: Any, kw: dict[str, Any]) -> Any:
        value = f(*args, **kw)
        return defer.ensureDeferred(value) if inspect.iscoroutine(value) else value


def serve(
    connection: Any, raw: bool, makeUniverse: Callable[..., ProcessUniverse]
) -> None:
    """
    Runs the reactor, and a L{ProcessUniverse} in a thread beside it, until the
    universe's loop ends.
    """
    from twisted.internet import reactor

    r: Any = reactor
    renew(r)
    universe = makeUniverse(runner=ReactorRunner(reactor, raw))

    def loop() -> None:
        try:
            universe.loop(connection)
        finally:
            r.callFromThread(r.stop)

    def begin() -> None:
        # The reactor needs its handler of SIGCHLD. That of SIGTERM would have it
        # wait for whatever is being done.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        threading.Thread(target=loop, daemon=True).start()

    r.callWhenRunning(begin)
    r.run()


def renew(reactor: Any) -> None:
    """
    Makes a reactor anew, in place, because modules may have imported it.

    It may be a copy of the parent's, which runs; or have come into being in the
    fork server, whose children then share one waker and wake each other; or
    have been given things to do by the parent's main module, which are not to be
    done here.
    """
    vars(reactor).clear()
    type(reactor).__init__(reactor)
