"""
A call on its way, and the priority that it gets.
"""

import itertools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from asynqueue.about import aboutCall
from asynqueue.awaiting import DualDeferred
from asynqueue.checks import checkInteger
from asynqueue.messages import Status
from asynqueue.reactors import theReactor
from asynqueue.runner import CallTuple

__all__ = ["Task", "TaskFactory"]

FIRST, LAST = float("-inf"), float("inf")
"""
The priorities of calls made with I{doNext} and I{doLast}.
"""


class Task:
    """
    I am one call on its way: waiting, then in a worker's hands, then over.

    @ivar callTuple: The callable, its arguments, its keywords.
    @ivar priority: A number; lower goes first.
    @ivar niceness: What it was made of: an integer from -20, the most urgent, to 20.
    @ivar serial: Decides between equal priorities; lower goes first.
    @ivar series: What a worker has to be qualified for to run me.
    @ivar d: A L{DualDeferred} that fires with a tuple of a status and a result, once,
        or fails with C{CancelledError} if it is cancelled first.
    @ivar timeout: How long I may be in a worker's hands, in seconds; C{None}
        for as long as it takes.
    @ivar callbacks: What L{addCallback} has been called with: a sequence of tuples
        of a callable, its further arguments, its keywords.
    @ivar raw: Overrides the worker's I{raw} unless C{None}.
    @ivar retries: How often I may be tried again after a timeout.
    @ivar holder: Whoever has me and can let go of me, by its C{cancel(task)}:
        the queue, or a worker that is an
        L{ICanceller<asynqueue.interfaces.ICanceller>}. C{None} otherwise.
    @ivar reactor: What keeps my time: a reactor, the global one if C{None}.
    @ivar urgency: My niceness, or minus infinity if I was rushed, infinity if relaxed.
    @ivar tally: The L{Tally<asynqueue.tally.Tally>} where what becomes of me is
        counted, C{None} if it is not.
    @ivar handedAt: When the worker that has me was handed me, by C{time.perf_counter};
        0.0 if none was.
    """

    __slots__ = (
        "_timer",
        "callTuple",
        "callbacks",
        "d",
        "handedAt",
        "holder",
        "niceness",
        "priority",
        "raw",
        "reactor",
        "retries",
        "serial",
        "series",
        "tally",
        "timeout",
        "urgency",
    )

    def __init__(
        self,
        f: Callable[..., Any],
        args: Any,
        kw: dict[str, Any],
        priority: float,
        series: Hashable,
        timeout: float | None = None,
        serial: int = 0,
        reactor: Any = None,
    ) -> None:
        """
        @raise TypeError: if I{args} is no tuple or list, or I{kw} no dict.
        """
        if not isinstance(args, (tuple, list)):
            raise TypeError(f"args has to be a tuple or a list, not {args!r}")
        if not isinstance(kw, dict):
            raise TypeError(f"kw has to be a dict, not {kw!r}")
        self.callTuple: CallTuple = (f, args, kw)
        self.priority = priority
        self.niceness = 0
        self.urgency: float = 0
        self.tally: Any = None
        self.handedAt = 0.0
        self.series = series
        self.timeout = timeout
        self.serial = serial
        self.raw: bool | None = None
        self.retries = 0
        self.holder: Any = None
        self.reactor = reactor
        self.callbacks: Sequence[CallTuple] = ()
        self._timer: Any = None
        self.d: Deferred[tuple[Any, Any]] = DualDeferred(self._cancelled)

    @property
    def key(self) -> tuple[float, int]:
        """
        What I am put in order by.
        """
        return self.priority, self.serial

    def __lt__(self, other: object) -> bool:
        return not isinstance(other, Task) or self.key < other.key

    def __gt__(self, other: object) -> bool:
        return isinstance(other, Task) and self.key > other.key

    def __repr__(self) -> str:
        return f"<Task {aboutCall(self.callTuple)}>"

    def isOver(self) -> bool:
        """
        @return: C{True} if I have ended, however I did.
        """
        return bool(self.d.called)

    def addCallback(self, f: Callable[..., Any], /, *args: Any, **kw: Any) -> None:
        """
        Adds a callback to I{d}, and to that of each copy of me.
        """
        self.callbacks = [*self.callbacks, (f, args, kw)]
        self.d.addCallback(f, *args, **kw)

    def callback(self, statusResult: tuple[Any, Any]) -> None:
        """
        Ends me with a status and a result, unless I have ended already.
        """
        self._stopTimer()
        self.holder = None
        if not self.d.called:
            self.d.callback(statusResult)

    def fail(self, error: BaseException | Failure) -> None:
        """
        Ends me with an error, unless I have ended already.
        """
        self.callback((Status.ERROR, error))

    errback = fail
    """
    L{fail}, by the name that a Deferred has for it.
    """

    def startTimer(self) -> None:
        """
        Begins to count my timeout, if I have one and have not begun yet.
        """
        if self.timeout is not None and self._timer is None:
            self.reactor = theReactor(self.reactor)
            self._timer = self.reactor.callLater(self.timeout, self.timedout)

    def timedout(self) -> None:
        """
        Has my holder let go of me, and ends me with C{Status.TIMEOUT}.
        """
        self._letGo()
        self.callback((Status.TIMEOUT, f"It took longer than {self.timeout} seconds"))

    def measured(self, here: float, there: float) -> None:
        """
        Whoever has me tells how long my call took.

        @param here: How long in all, in seconds.
        @param there: For how long of that it ran, in seconds; 0.0 if nobody knows.
        """
        if self.tally is not None:
            self.tally.record(here, there)

    def release(self) -> None:
        """
        Nobody has me any more, and I may be handed over again.
        """
        self._stopTimer()
        self.holder = None
        if self.tally is not None:
            self.tally = self.tally.root

    def reset(self) -> "Deferred[tuple[Any, Any]]":
        """
        Has me begin anew, as if I had not ended.

        @return: My new I{d}. The callbacks of the old one are not added.
        """
        self.release()
        self.d = DualDeferred(self._cancelled)
        return self.d

    def rush(self) -> None:
        """
        Puts me before all tasks that were not rushed.
        """
        self.priority = self.urgency = FIRST

    def relax(self) -> None:
        """
        Puts me after all tasks that were not relaxed.
        """
        self.priority = self.urgency = LAST

    def copy(self) -> "Task":
        """
        @return: The same call as it was before anybody had it, with the same
            place in the queue.
        """
        task = type(self)(*self.callTuple, self.priority, self.series, self.timeout)
        for name in ("niceness", "raw", "reactor", "retries", "serial", "urgency"):
            setattr(task, name, getattr(self, name))
        if self.tally is not None:
            task.tally = self.tally.root
        for f, args, kw in self.callbacks:
            task.addCallback(f, *args, **kw)
        return task

    def _cancelled(self, _: "Deferred[tuple[Any, Any]]") -> None:
        self._stopTimer()
        self._letGo()

    def _letGo(self) -> None:
        holder, self.holder = self.holder, None
        if holder is not None:
            holder.cancel(self)

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


class TaskFactory:
    """
    I make tasks and give each its priority.

    A task's priority is its serial number in its series, times
    C{1 + ((niceness + 20) / 10)**2}: 1 at a niceness of -20, 2 at -10, 5 at 0,
    10 at 10 and 17 at 20. (The formula is the ancestor's.) So of two equal
    streams of calls, one of a niceness 10 higher than the other is served about
    half as often. A series begins with the highest serial number of all, so a
    new one does not push in before those who wait already.
    """

    def __init__(
        self, klass: Callable[..., Any] | None = None, reactor: Any = None
    ) -> None:
        """
        @param klass: What to make, L{Task} if C{None}. It is called with the
            first six arguments that L{Task} takes.
        """
        self._klass = klass or Task
        self._reactor = reactor
        self._latest: dict[Hashable, float] = {}
        self._highest = 0.0
        self._made = itertools.count()

    def new(
        self,
        func: Callable[..., Any],
        args: Any,
        kw: dict[str, Any],
        niceness: int,
        series: Hashable = None,
        timeout: float | None = None,
    ) -> Any:
        """
        Makes a task.

        @param niceness: An integer from -20 (the most urgent) to 20.
        @param timeout: In seconds, or C{None}.
        @raise ValueError: if the niceness or the timeout is out of range.
        @raise TypeError: if I{args}, I{kw} or I{series} is of the wrong type.
        """
        checkInteger("niceness", niceness, -20, 20)
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout is in seconds and above 0, not {timeout!r}")
        priority = self._serial(series) * (1 + ((niceness + 20) / 10) ** 2)
        task = self._klass(func, args, kw, priority, series, timeout)
        task.niceness = task.urgency = niceness
        task.serial = next(self._made)
        task.reactor = self._reactor
        return task

    def _serial(self, series: Hashable) -> float:
        serial = self._latest.get(series, self._highest) + 1.0
        self._latest[series] = serial
        self._highest = max(self._highest, serial)
        return serial
