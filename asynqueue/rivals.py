"""
Other libraries that call functions in processes, each called back into the reactor.

They are imported when they are made, so nobody needs those that he does not measure.
"""

import pickle
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from asynqueue.contender import Cannot, Contender


class Futures(Contender):
    """
    I am a pool that returns futures, and calls back from a thread of its own.
    """

    def __init__(self, workers: int, method: str) -> None:
        super().__init__(workers, method)
        from twisted.internet import reactor

        self._reactor: Any = reactor
        self._pool: Any = None

    def submit(self, f: Callable[..., Any], *args: Any) -> Any:
        """
        @return: A future.
        """
        return self._pool.submit(f, *args)

    def call(self, f: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """
        Submits a call, and has its future call back into the reactor.
        """
        d: Deferred[Any] = Deferred()
        future = self.submit(f, *args)
        future.add_done_callback(lambda f: self._reactor.callFromThread(_settle, f, d))
        return d

    def stop(self) -> "Deferred[Any]":
        """
        Shuts the pool down.
        """
        return deferToThread(self._pool.shutdown)


def _settle(future: Any, d: "Deferred[Any]") -> None:
    error = future.exception()
    if error is None:
        d.callback(future.result())
    else:
        d.errback(error)


class Executor(Futures):
    """
    I am C{concurrent.futures.ProcessPoolExecutor}.
    """

    title = "ProcessPoolExecutor"

    def __init__(self, workers: int, method: str) -> None:
        super().__init__(workers, method)
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        self._make, self._context = ProcessPoolExecutor, get_context(method)

    def start(self) -> None:
        """
        Makes an executor.
        """
        self._pool = self._make(self.workers, self._context)


class Loky(Futures):
    """
    I am C{loky}, which starts processes in a way of its own.
    """

    title = distribution = "loky"

    def __init__(self, workers: int, method: str) -> None:
        super().__init__(workers, method)
        import loky

        self._make = loky.ProcessPoolExecutor

    def start(self) -> None:
        """
        Makes an executor.
        """
        self._pool = self._make(self.workers)


class Pebble(Futures):
    """
    I am C{pebble}.
    """

    title = distribution = "pebble"

    def __init__(self, workers: int, method: str) -> None:
        super().__init__(workers, method)
        from multiprocessing import get_context

        import pebble

        self._make, self._context = pebble.ProcessPool, get_context(method)

    def start(self) -> None:
        """
        Makes a pool.
        """
        self._pool = self._make(self.workers, context=self._context)

    def submit(self, f: Callable[..., Any], *args: Any) -> Any:
        """
        Schedules a call.
        """
        return self._pool.schedule(f, args=args)

    def stop(self) -> "Deferred[Any]":
        """
        Closes the pool and joins it.
        """
        self._pool.close()
        return deferToThread(self._pool.join)


class Pool(Futures):
    """
    I am C{multiprocessing.Pool}, whose callbacks do without futures.
    """

    title = "multiprocessing.Pool"

    def __init__(self, workers: int, method: str) -> None:
        super().__init__(workers, method)
        from multiprocessing import get_context

        self._context = get_context(method)

    def start(self) -> None:
        """
        Makes a pool.
        """
        self._pool = self._context.Pool(self.workers)

    def call(self, f: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """
        Applies asynchronously.
        """
        d: Deferred[Any] = Deferred()
        self._pool.apply_async(
            f,
            args,
            callback=lambda result: self._reactor.callFromThread(d.callback, result),
            error_callback=lambda error: self._reactor.callFromThread(d.errback, error),
        )
        return d

    def stop(self) -> "Deferred[Any]":
        """
        Closes the pool and joins it.
        """
        self._pool.close()
        return deferToThread(self._pool.join)


class Ampoule(Contender):
    """
    I am C{ampoule}, whose processes talk AMP.
    """

    title = distribution = "ampoule"

    def __init__(self, workers: int, method: str) -> None:
        super().__init__(workers, method)
        from ampoule.main import ProcessStarter
        from ampoule.pool import ProcessPool

        from asynqueue.ampoules import Call, Callee

        self._makePool, self._makeStarter = ProcessPool, ProcessStarter
        self._command, self._child = Call, Callee

    def start(self) -> None:
        """
        Makes a pool of a fixed size, whose processes are never replaced.
        """
        self._pool = self._makePool(
            self._child,
            min=self.workers,
            max=self.workers,
            recycleAfter=0,
            starter=self._makeStarter(packages=("twisted", "asynqueue")),
        )
        self._pool.start()

    def call(self, f: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """
        Sends a command.

        @raise Cannot: if the arguments are longer than AMP's messages.
        """
        call = pickle.dumps((f, args), pickle.HIGHEST_PROTOCOL)
        if len(call) > 0xFFFF:
            raise Cannot("takes no more than 64 KiB")
        d: Deferred[Any] = self._pool.doWork(self._command, call=call)
        return d.addCallback(lambda answer: pickle.loads(answer["result"]))

    def stop(self) -> "Deferred[Any]":
        """
        Stops the pool.
        """
        d: Deferred[Any] = self._pool.stop()
        return d
