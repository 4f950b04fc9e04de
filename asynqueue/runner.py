"""
One call, and what it came to.

Standard library only: the far side imports me.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from asynqueue.carried import Carried
from asynqueue.messages import Status

__all__ = ["CallRunner", "CallTuple"]

CallTuple = tuple[Callable[..., Any], "tuple[Any, ...] | list[Any]", dict[str, Any]]
"""
A call before it is made: the callable, its arguments, its keywords.
"""


class CallRunner:
    """
    I run calls, one at a time, and tell what became of each.

    @ivar raw: C{True} if an iterator counts as a value like any other.
    @ivar callStats: C{True} if I keep a list of how long the calls took.
    @ivar callTimes: That list, in seconds, in the order of the calls.
    @cvar awaited: Types of results that are waited for, by whoever has me.
    """

    awaited: "tuple[type, ...]" = ()

    def __init__(self, raw: bool = False, callStats: bool = False) -> None:
        self.raw = raw
        self.callStats = callStats
        self.callTimes: list[float] = []

    def __call__(
        self, callTuple: CallTuple, raw: "bool | None" = None
    ) -> tuple[Status, Any]:
        """
        Makes one call.

        @param callTuple: The callable, its arguments, its keywords.
        @param raw: Overrides my I{raw} unless C{None}.

        @return: C{(Status.RESULT, value)}, C{(Status.ITERATION, iterator)} or
            C{(Status.ERROR, exception)}. I never raise: not even
            C{SystemExit} or C{KeyboardInterrupt}.
        """
        raw = self.raw if raw is None else raw
        start = time.perf_counter()
        try:
            f, args, kw = callTuple
            if isinstance(f, Carried):
                f = partial(f.make, raw, self.awaited)
            value = self.invoke(f, *args, **kw)
            # Asks the value what it is, which some proxies answer by raising.
            iterates = not raw and isinstance(value, Iterator)
        except BaseException as e:
            return Status.ERROR, e
        finally:
            if self.callStats:
                self.callTimes.append(time.perf_counter() - start)
        return (Status.ITERATION if iterates else Status.RESULT), value

    def getNext(self, iterator: "Iterator[Any]") -> tuple[Status, Any]:
        """
        Takes one item.

        @return: C{(Status.RESULT, item)}, C{(Status.NONE, None)} at the end,
            or C{(Status.ERROR, exception)}.
        """
        try:
            return Status.RESULT, self.invoke(next, iterator)
        except StopIteration:
            return Status.NONE, None
        except BaseException as e:
            return Status.ERROR, e

    def invoke(self, f: Callable[..., Any], /, *args: Any, **kw: Any) -> Any:
        """
        Calls a callable right here. Override me to call it elsewhere.
        """
        return f(*args, **kw)
