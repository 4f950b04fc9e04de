"""
One trial: one contender under one load, in this process, which is fresh.
"""

from functools import partial
from importlib import import_module
from typing import Any

from twisted.internet.defer import Deferred, FirstError
from twisted.python.failure import Failure

from asynqueue import chores
from asynqueue.contender import Cannot
from asynqueue.contenders import CONTENDERS
from asynqueue.exercises import Setting
from asynqueue.loads import theLoads

FLOOR = "pipe"
"""
The name of the bare pipe, which is measured beside the contenders.
"""


def trial(
    contender: str, load: str, workers: int, method: str, cores: int, quick: bool
) -> dict[str, Any]:
    """
    Measures, by running the reactor. What has been started goes on when I return.

    @param contender: A name of L{CONTENDERS}, or L{FLOOR}.
    @param load: The name of a load.
    @param workers: How many workers.
    @param method: The start method, for those that let us choose it.
    @param cores: As of L{theLoads<asynqueue.loads.theLoads>}.
    @param quick: C{True} to do less.
    @return: A dict with an item: I{measures}, I{cannot} with the reason why the
        contender does not take part, or I{failed} with what went wrong.
    """
    chosen = theLoads(cores)[load]
    sizes = chosen.howMuch(quick)
    if contender == FLOOR:
        if chosen.floor is None:
            return {"cannot": "does not call anything"}
        return {"measures": chosen.floor(method, **sizes)}

    async def exercise() -> dict[str, Any]:
        make = partial(_make, contender, method)
        setting = Setting(make, workers, import_module("twisted.internet.reactor"))
        return {"measures": await chosen.exercise(setting, **sizes)}

    return run(exercise)


def probe(contender: str, method: str) -> dict[str, Any]:
    """
    Has the contender make a call.

    @return: A dict with I{version} and I{reactor}, or I{failed} with the reason why
        it cannot be measured.
    """

    async def introduce() -> dict[str, Any]:
        pool = _make(contender, method, 1)
        pool.start()
        await pool.call(chores.nothing)
        reactor = import_module("twisted.internet.reactor")
        return {"version": pool.version(), "reactor": type(reactor).__name__}

    return run(introduce)


def _make(contender: str, method: str, workers: int) -> Any:
    return CONTENDERS[contender](workers, method)


def run(f: Any) -> dict[str, Any]:
    """
    Runs the reactor as long as a coroutine takes.

    @param f: The coroutine's function.
    @return: What it returns, or I{cannot} or I{failed} if it raises.
    """
    from twisted.internet import reactor as installed

    reactor: Any = installed
    found: list[dict[str, Any]] = []

    def begin() -> None:
        d = Deferred.fromCoroutine(f())
        d.addErrback(explain)
        d.addCallback(found.append)
        # Nothing is shut down, which might take for ever.
        d.addBoth(lambda _: reactor.crash())

    reactor.callWhenRunning(begin)
    reactor.run()
    return found[0]


def explain(failure: Failure) -> dict[str, Any]:
    """
    @return: What to tell of an exception.
    """
    error: Any = failure.value
    while isinstance(error, FirstError):
        error = error.subFailure.value
    if isinstance(error, Cannot):
        return {"cannot": str(error)}
    text = (str(error).strip().splitlines() or [""])[0]
    return {"failed": f"{type(error).__name__}: {text}".removesuffix(": ")}
