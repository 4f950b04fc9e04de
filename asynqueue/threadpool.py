"""
A pool of threads that all share who need one.
"""

import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.python import threadable
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from asynqueue.buffers import Buffer
from asynqueue.checks import checkCallable, checkInteger
from asynqueue.errors import harmless
from asynqueue.lifetime import Lifetime
from asynqueue.looper import ThreadLooper
from asynqueue.reactors import theReactor
from asynqueue.trackers import DeferredTracker

__all__ = [
    "GRACE",
    "DaemonPool",
    "PoolUser",
    "SharedPool",
    "inReactorThread",
    "thePool",
]

GRACE = 5.0
"""
How long what runs in the pool may go on when the reactor stops, in seconds, before
it is left to itself. The same choice as for a queue.
"""


def inReactorThread() -> bool:
    """
    @return: C{True} in the thread that the reactor runs in; before it runs, in
        the main thread.
    """
    ioThread: Any = threadable.ioThread
    if ioThread is None:
        return threading.current_thread() is threading.main_thread()
    return bool(threadable.isInIOThread())


def _daemon(*, name: str, **kw: Any) -> threading.Thread:
    return threading.Thread(name=f"asynqueue {name}", daemon=True, **kw)


def _harmlessly(failure: Failure) -> Failure:
    value: Any = failure.value
    error = harmless(value)
    return failure if error is value else Failure(error)


class DaemonPool(ThreadPool):
    """
    I am a pool whose threads never keep the interpreter from exiting.
    """

    threadFactory: Any = staticmethod(_daemon)


class SharedPool:
    """
    I am the pool of a reactor, from when somebody first needs it until it is
    shut down.

    @ivar pool: The C{ThreadPool}.
    @ivar tracker: A L{DeferredTracker} of what runs in it.
    @ivar lifetime: The L{Lifetime} of it.
    """

    def __init__(self, minThreads: int, maxThreads: int, reactor: Any) -> None:
        self.pool = DaemonPool(min(minThreads, maxThreads), maxThreads)
        self.tracker = DeferredTracker(reactor=reactor)
        self.lifetime = Lifetime(self._end, self._abandon, GRACE, reactor)
        self._reactor = reactor
        self._buffers: WeakSet[Buffer] = WeakSet()
        self._ended: Deferred[None] = Deferred()

    def getPool(self) -> ThreadPool:
        """
        @return: The C{ThreadPool}, which has its threads by now.
        """
        if not self.pool.started:
            self.pool.start()
        return self.pool

    def call(self, f: Callable[..., Any], /, *args: Any, **kw: Any) -> "Deferred[Any]":
        """
        Makes a call in one of the threads.

        @return: A Deferred that fires with what it returns, or fails with what
            it raises (if that is not meant to end the thread or the program).
        """
        try:
            d = deferToThreadPool(self._reactor, self.getPool(), f, *args, **kw)
        except RuntimeError:
            # There can be no more threads.
            return fail(Failure())
        d.addErrback(_harmlessly)
        return self.tracker.put(d)

    def guard(self, buffer: Buffer) -> None:
        """
        Cuts a buffer when I am shut down, lest its reader wait for ever.
        """
        self._buffers.add(buffer)

    def _end(self) -> "Deferred[None]":
        for buffer in list(self._buffers):
            buffer.cut(
                CancelledError(
                    "The items were cut off before their end, because the pool of "
                    "threads was shut down: by PoolUser.shutdown(), or because the "
                    "reactor stops"
                )
            )
        self.tracker.deferToAll().addCallback(self._join)
        return self._ended

    def _join(self, _: Any) -> None:
        if not self.pool.started:
            self._abandon()
            return
        # Elsewhere, because the reactor must not wait for the threads' ends.
        looper = ThreadLooper(reactor=self._reactor)
        d = looper.deferToThread(self.pool.stop)
        d.addBoth(lambda _: looper.stop())
        d.addBoth(self._abandon)

    def _abandon(self, _: Any = None) -> None:
        if not self._ended.called:
            if _pools.get(self._reactor) is self:
                del _pools[self._reactor]
            self._ended.callback(None)


_pools: dict[Any, SharedPool] = {}
"""
The pool that each reactor has.
"""


class _Tracker:
    """
    I am the attribute C{dtp} of a L{PoolUser}, class or instance.
    """

    def __get__(self, user: "PoolUser | None", kind: type) -> DeferredTracker:
        return thePool(None if user is None else user._reactor).tracker


class PoolUser:
    """
    I am the base of those who make calls in a pool of threads that they share,
    one pool for each reactor. Its threads are daemons: they never keep the
    interpreter from exiting.

    The pool is there from when it is first needed until it is shut down, which
    happens at the latest when the reactor stops. Then whatever reads from one of
    my instances gets the items that are there and then a C{CancelledError}. After
    that, whoever needs a pool gets a new one.

    @cvar minThreads: How many threads a pool has at least when it has any.
    @cvar maxThreads: How many it has at most, unless L{setup} says otherwise.
    @cvar dtp: A L{DeferredTracker} of the calls that are made in the pool. The
        pool is not shut down before they are done.
    """

    minThreads = 2
    maxThreads = 10
    dtp = _Tracker()

    _reactor: Any = None

    @classmethod
    def setup(cls, maxThreads: int | None = None, reactor: Any = None) -> None:
        """
        Sets how many threads the pool has at most, for all who share it and
        until it is shut down.

        @param maxThreads: The number, C{None} to leave it as it is.
        @param reactor: Whose pool, the global one's if C{None}.
        @raise ValueError: if I{maxThreads} is no integer above 0.
        """
        if maxThreads is not None:
            checkInteger("maxThreads", maxThreads, 1)
            pool = thePool(reactor).pool
            pool.adjustPoolsize(min(cls.minThreads, maxThreads), maxThreads)

    @classmethod
    def shutdown(cls, reactor: Any = None) -> "Deferred[None]":
        """
        Shuts the pool down, for all who share it.

        @param reactor: As in L{setup}.
        @return: A Deferred that fires when the calls that were made in it are
            done and its threads are gone.
        """
        pool = _pools.get(theReactor(reactor))
        return succeed(None) if pool is None else pool.lifetime.shutdown()

    @classmethod
    def deferToThreadInPool(
        cls, f: Callable[..., Any], /, *args: Any, **kw: Any
    ) -> "Deferred[Any]":
        """
        Makes a call in a thread of the global reactor's pool.

        @return: A Deferred that fires with what it returns, or fails with what
            it raises.
        @raise TypeError: if I{f} is not callable.
        """
        checkCallable("f", f)
        return thePool().call(f, *args, **kw)

    @property
    def pool(self) -> ThreadPool:
        """
        The C{ThreadPool} that I share, with its threads running.
        """
        return thePool(self._reactor).getPool()


def thePool(reactor: Any = None) -> SharedPool:
    """
    @return: The pool of a reactor, the global one's if C{None}; a new one if it
        has none that is not shut down.
    """
    reactor = theReactor(reactor)
    pool = _pools.get(reactor)
    if pool is None or not pool.lifetime.isRunning():
        pool = SharedPool(PoolUser.minThreads, PoolUser.maxThreads, reactor)
        _pools[reactor] = pool
    return pool
