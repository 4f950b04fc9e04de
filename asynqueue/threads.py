"""
A queue whose calls are made in a thread, and what else runs calls in threads.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, succeed

from asynqueue.base import TaskQueue
from asynqueue.bridges import Consumerator, Filerator
from asynqueue.checks import checkCallable
from asynqueue.getter import IterationGetter
from asynqueue.lifetime import Lifetime, Stage
from asynqueue.local import LocalWorker
from asynqueue.looper import ThreadLooper
from asynqueue.messages import Status
from asynqueue.ordered import OrderedItemProducer
from asynqueue.reactors import theReactor
from asynqueue.task import Task
from asynqueue.threadpool import GRACE, PoolUser

__all__ = [
    "Consumerator",
    "Filerator",
    "IterationGetter",
    "OrderedItemProducer",
    "PoolUser",
    "TaskQueue",
    "ThreadLooper",
    "ThreadQueue",
    "ThreadWorker",
    "deferToThread",
]


class ThreadWorker(LocalWorker):
    """
    I run tasks in a thread of my own, so their calls may block. The thread
    begins with my first task and never keeps the interpreter from exiting.

    The items of an iterator are taken in my thread, and calls may run between
    them.

    A thread cannot be killed. The call of a task that is cancelled or has timed
    out runs to its end, for which I wait, and then its result is dropped. One
    that has timed out is not tried again, whatever its I{retries}, because its
    first try is still being made.

    @cvar cQualified: The series that all of my class are qualified for,
        C{'thread'} and C{'local'}.
    @ivar iQualified: A list of further series that I am qualified for.
    @ivar t: My L{ThreadLooper}.
    """

    cQualified: ClassVar[list[Hashable]] = ["thread", "local"]

    def __init__(
        self,
        series: "Iterable[Hashable]" = (),
        raw: bool = False,
        reactor: Any = None,
    ) -> None:
        """
        @param series: A list of the task series that this particular instance
            of me is qualified for. (It is copied.)
        @param raw: C{True} to have iterators come back as the values that they
            are, instead of as L{Deferator<asynqueue.deferator.Deferator>}s. The
            same keyword in a call overrides it.
        @param reactor: The reactor to use, the global one if C{None}.
        @raise TypeError: if I{series} is a string.
        """
        super().__init__(series, raw, reactor)
        self.t = ThreadLooper(raw, reactor)

    def begin(self, task: Task) -> "Deferred[tuple[Status, Any]]":
        """
        Makes a task's call.

        @return: A Deferred that fires with the status and the result.
        """
        d = self.t.runCall(task.callTuple, task.raw)
        return d.addErrback(lambda failure: (Status.ERROR, failure.value))

    def abandon(self, task: Task) -> None:
        """
        Sees to it that a task is not tried again while its call still runs.

        @param task: The task.
        """
        task.retries = 0

    def finish(self, isCrashing: bool) -> "Deferred[None]":
        """
        Ends my thread. If I crash, it is left to itself.

        @param isCrashing: C{True} if I am not to wait for my call.
        @return: A Deferred that fires when it is gone, or left.
        """
        if isCrashing:
            self.t.abandon()
        return self.t.stop()


class ThreadQueue(TaskQueue):
    """
    I am a L{TaskQueue<asynqueue.base.TaskQueue>} with one L{ThreadWorker}: my
    calls may block, and run one at a time.

    @ivar worker: The L{ThreadWorker}.
    @ivar d: A Deferred that has fired with its ID when it takes tasks.
    """

    def __init__(
        self,
        *,
        series: "Iterable[Hashable]" = (),
        raw: bool = False,
        reactor: Any = None,
        **kw: Any,
    ) -> None:
        """
        @param series: As of L{ThreadWorker}.
        @param raw: As of L{ThreadWorker}.
        @param reactor: The reactor to use, the global one if C{None}.
        @param kw: Other keywords of L{TaskQueue<asynqueue.base.TaskQueue>}.
        """
        super().__init__(reactor=reactor, **kw)
        self.worker = ThreadWorker(series, raw, reactor)
        self.d = self.attachWorker(self.worker)

    def deferToThread(
        self, f: Callable[..., Any], /, *args: Any, **kw: Any
    ) -> "Deferred[Any]":
        """
        Runs a call in my worker's thread, past the queue: it waits for no call
        but the one that runs.

        @param kw: The call's keywords, and those of
            L{ThreadLooper.deferToThread}: I{doNext}, I{raw} and I{consumer}.
        @return: A Deferred like that of L{ThreadLooper.deferToThread}.
        @raise TypeError: if I{f} is not callable, or the consumer is none.
        """
        return self.worker.t.deferToThread(f, *args, **kw)


class SharedThread:
    """
    I am a thread for whoever has something to run in one. It begins with the
    first call, and anew with the first after it was stopped.

    It is stopped before the reactor stops, at the latest. Calls that run then get
    L{GRACE<asynqueue.threadpool.GRACE>} seconds to end.
    """

    def __init__(self, reactor: Any = None) -> None:
        """
        @param reactor: The reactor to use, the global one if C{None}.
        """
        self._reactor = reactor
        self._looper: ThreadLooper | None = None
        self._lifetime: Lifetime | None = None

    def deferToThread(
        self, f: Callable[..., Any], /, *args: Any, **kw: Any
    ) -> "Deferred[Any]":
        """
        Runs a call in the thread, or in the next one if that is being stopped.

        @return: A Deferred like that of L{ThreadLooper.deferToThread}.
        @raise TypeError: if I{f} is not callable, or the consumer is none.
        """
        if self._lifetime is not None and self._lifetime.stage is Stage.STOPPING:
            checkCallable("The first argument", f)
            return self.stop().addCallback(lambda _: self.deferToThread(f, *args, **kw))
        if self._looper is None or not self._looper.threadRunning:
            reactor = theReactor(self._reactor)
            looper = self._looper = ThreadLooper(reactor=reactor)
            self._lifetime = Lifetime(looper.stop, looper.abandon, GRACE, reactor)
        return self._looper.deferToThread(f, *args, **kw)

    def stop(self) -> "Deferred[None]":
        """
        Ends the thread, if there is one, when it has run what was asked for.

        @return: A Deferred that fires when it is gone.
        """
        return succeed(None) if self._lifetime is None else self._lifetime.shutdown()


_shared = SharedThread()


def deferToThread(*args: Any, **kw: Any) -> "Deferred[Any]":
    """
    Runs a call in a thread that is kept for this function alone. Calls run one
    at a time, in order.

    The thread is a daemon, and is stopped with the reactor.

    @param args: The callable and its arguments. Without any argument at all,
        the thread is stopped when it has run what was asked for. The next call
        begins another.
    @param kw: The call's keywords, and those of
        L{ThreadLooper.deferToThread}: I{doNext}, I{raw} and I{consumer}.
    @return: A Deferred like that of L{ThreadLooper.deferToThread}; or one that
        fires when the thread is gone.
    @raise TypeError: if the first argument is not callable, or the consumer is
        none.
    """
    return _shared.deferToThread(*args, **kw) if args or kw else _shared.stop()
