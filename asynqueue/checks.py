"""
Whether what a call was given is what it takes.
"""

import math
from threading import current_thread, get_ident

from twisted.python import threadable

from asynqueue.about import aboutCallable, aboutObject
from asynqueue.errors import ImplementationError
from asynqueue.interfaces import IWorker


def checkCallable(name: str, value: object) -> None:
    """
    @raise TypeError: if a value, called by a name, is not callable.
    """
    if not callable(value):
        raise TypeError(
            f"{name} has to be callable, which {aboutObject(value)} is not. Give "
            "what is to be called, and its arguments: call(f, x), not call(f(x))"
        )


def checkThread(f: object) -> None:
    """
    @param f: What is to be called by a worker.
    @raise RuntimeError: if the reactor has been run, and this is not its thread.
    """
    if threadable.ioThread not in (None, get_ident()):
        raise RuntimeError(
            f"The call of {aboutCallable(f)} was made in the thread "
            f"{current_thread().name!r}, but queues are for the reactor's thread only. "
            "Use twisted.internet.threads.blockingCallFromThread(reactor, queue.call, "
            "f, x), which waits for the result, or reactor.callFromThread"
        )


def checkInteger(
    name: str, value: object, lowest: float, highest: float = math.inf
) -> None:
    """
    @raise ValueError: if a value, called by a name, is not an integer in a
        range. (C{True} and C{False} are none.)
    """
    if type(value) is not int or not lowest <= value <= highest:
        limit = f" to {highest}" if highest < math.inf else ""
        raise ValueError(
            f"{name} has to be an integer from {lowest}{limit}, not {value!r}"
        )


def checkWorker(worker: object) -> None:
    """
    @raise ImplementationError: if an object does not provide C{IWorker}.
    @raise InvariantError: if its qualifications are not lists.
    """
    if not IWorker.providedBy(worker):
        raise ImplementationError(f"{worker!r} does not provide IWorker")
    IWorker.validateInvariants(worker)
