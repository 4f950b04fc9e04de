"""
Information about calls: what is called, and what went wrong in it.
"""

import functools
import inspect
import itertools
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.python.reflect import safe_repr

from asynqueue.about import aboutCall, aboutCallable, aboutObject
from asynqueue.checks import checkCallable
from asynqueue.hashing import hashIt
from asynqueue.messages import describe
from asynqueue.names import Converter

__all__ = [
    "Converter",
    "Info",
    "InfoHolder",
    "aboutError",
    "hashIt",
    "showResult",
    "whichThread",
]

_F = TypeVar("_F", bound=Callable[..., Any])


def aboutError(failure: Failure, call: str = "") -> str:
    """
    @param call: The text of the call that the failure is of; may be empty.
    @return: What went wrong, and in which call, in the first line; then the
        tracebacks as far as there are any, those of the causes too.
    """
    error: Any = failure.value
    doing = f" doing call '{call}'" if call else ""
    text = (
        f"Exception '{describe(error)}' ({type(error).__qualname__}){doing}\n"
        f"{failure.getTraceback()}"
    )
    if error.__cause__ is not None:
        # Of which a Failure says nothing, and which has the traceback from the
        # worker process.
        lines = traceback.format_exception(
            type(error.__cause__), error.__cause__, error.__cause__.__traceback__
        )
        text += f"\nCaused by {''.join(lines)}"
    return text


class Info:
    """
    I give texts about a call, which is set by L{setCall}, and what else is
    saved about it. Each time that one is set, it gets an ID of its own.

    @ivar ID: The integer ID of the call that I am about, C{None} if there is
        none.
    @ivar remember: C{True} if I remember the calls that I was about, until each
        is forgotten by its ID.
    @ivar whichThread: C{True} to tell the thread that each call was set in.
    @ivar pastInfo: What I remember: a dict for each ID. The values of those have
        the names that L{getInfo} and L{saveInfo} take.
    @ivar cv: My L{Converter}.
    """

    def __init__(self, remember: bool = False, whichThread: bool = False) -> None:
        self.remember = remember
        self.whichThread = whichThread
        self.cv = Converter()
        self.ID: int | None = None
        self.pastInfo: dict[int, dict[str, Any]] = {}
        self._current: dict[str, Any] = {}
        self._IDs = itertools.count(1)

    def setCall(
        self,
        *fArgsKw: Any,
        args: Any = None,
        kw: dict[str, Any] | None = None,
        instance: object = None,
    ) -> "Info":
        """
        Sets the call that I am about, or, by keywords alone, what is to be
        different from the one that was set last.

        @param fArgsKw: The callable, or a text that stands for it; the list or
            tuple of its arguments, or a single one that is neither; the dict of
            its keywords. Those at the end may be left out.
        @param args: The arguments.
        @param kw: The dict of the keywords.
        @param instance: The object that the callable is a method of, if it does
            not know.
        @return: Myself.
        @raise TypeError: if there are more than three of I{fArgsKw}, or the
            keywords are no dict.
        @raise ValueError: if there is no callable and none was set before.
        """
        if len(fArgsKw) > 3:
            raise TypeError(
                "setCall takes a callable, its arguments and its keywords, not "
                f"{len(fArgsKw)} things"
            )
        if fArgsKw:
            f = fArgsKw[0]
            callDict = {"f": f, "fs": _name(f), "args": (), "kw": {}, "instance": None}
            callDict.update(zip(("args", "kw"), fArgsKw[1:], strict=False))
        elif self.ID is None:
            raise ValueError("setCall takes a callable, since none was set before")
        else:
            callDict = dict(self._current["callDict"])
        changes = {"args": args, "kw": kw, "instance": instance}
        callDict.update((k, v) for k, v in changes.items() if v is not None)
        if not isinstance(callDict["args"], (list, tuple)):
            callDict["args"] = (callDict["args"],)
        if not isinstance(callDict["kw"], dict):
            raise TypeError(
                f"The keywords have to be a dict, not {aboutObject(callDict['kw'])}"
            )
        if self.whichThread:
            callDict["thread"] = threading.current_thread().name
        self.ID = next(self._IDs)
        self._current = {"callDict": callDict}
        if self.remember:
            self.pastInfo[self.ID] = self._current
        return self

    def forgetID(self, ID: int | None) -> None:
        """
        Forgets a call, if I know it.

        @param ID: As in L{getInfo}.
        """
        if ID is None or ID == self.ID:
            ID, self.ID, self._current = self.ID, None, {}
        self.pastInfo.pop(ID, None)  # type: ignore[arg-type]

    @contextmanager
    def context(self, *fArgsKw: Any, **kw: Any) -> "Iterator[InfoHolder]":
        """
        A context with information about one call, which is remembered until the
        end of it, whatever calls I am about meanwhile.

        @param fArgsKw: As in L{setCall}, like the keywords.
        @return: A context manager that gives an L{InfoHolder}.
        """
        ID: Any = self.setCall(*fArgsKw, **kw).ID
        self.pastInfo[ID] = self._current
        try:
            yield InfoHolder(self, ID)
        finally:
            self.forgetID(ID)

    def getInfo(self, ID: int | None, name: str, nowForget: bool = False) -> Any:
        """
        @param ID: Of a call that I remember, C{None} for the one that I am about.
        @param name: What to tell of it: C{"callDict"} for a dict with the keys
            I{f}, I{fs} (its name), I{args}, I{kw}, I{instance} and, with
            I{whichThread}, I{thread}; or a name that L{saveInfo} was given.
        @param nowForget: C{True} to forget the call after that.
        @return: What is saved under that name, or C{None}.
        """
        x = self._known(ID).get(name)
        if nowForget:
            self.forgetID(ID)
        return x

    def saveInfo(self, name: str, x: Any, ID: int | None = None) -> Any:
        """
        Saves anything, I{x}, under a I{name}, as long as I know the call.

        @param ID: As in L{getInfo}.
        @return: I{x}.
        """
        self._known(ID)[name] = x
        return x

    def nn(self, ID: int | None = None, raw: bool = False) -> tuple[Any, Any]:
        """
        Takes a callable apart into a namespace and a name, so that another
        interpreter can put it together again.

        @param ID: As in L{getInfo}.
        @param raw: C{True} to get the objects themselves, if they could be converted.
        @return: For a method, the object that it is a method of, as its pickle
            or fully qualified name, and the name of the method. For any other
            callable, C{None}, and its pickle or fully qualified name. For one
            that cannot be converted, C{(None, None)}.
        """
        callDict = self.getInfo(ID, "callDict")
        if callDict is None:
            return None, None
        f = callDict["f"]
        if isinstance(f, str):
            return None, self.cv.strToFQN(f)
        if inspect.ismethod(f):
            parent = self.cv.processObject(f.__self__)
            if parent is not None:
                return (f.__self__ if raw else parent), f.__name__
        converted = self.cv.processObject(f)
        return None, (f if raw and converted is not None else converted)

    def aboutCall(self, ID: int | None = None, nowForget: bool = False) -> str:
        """
        @param ID: As in L{getInfo}, like I{nowForget}.
        @return: The call as it would be written; an empty text if there is none.
        """
        text = self.getInfo(ID, "aboutCall")
        if text is None:
            callDict = self.getInfo(ID, "callDict")
            text = "" if callDict is None else _call(callDict)
        return self._told("aboutCall", text, ID, nowForget)

    def aboutException(
        self,
        ID: int | None = None,
        exception: BaseException | None = None,
        nowForget: bool = False,
    ) -> str:
        """
        @param ID: As in L{getInfo}, like I{nowForget}.
        @param exception: What was raised; if C{None}, what is being handled.
        @return: What went wrong in the call, and the traceback. If nothing has,
            what I said about it last, or an empty text.
        """
        if exception is None:
            exception = sys.exc_info()[1]
        if exception is None:
            text = self.getInfo(ID, "aboutException") or ""
        else:
            # Spelled out, since a Failure of a KeyboardInterrupt alone has no type.
            failure = Failure(exception, type(exception), exception.__traceback__)
            text = aboutError(failure, self.aboutCall(ID))
        return self._told("aboutException", text, ID, nowForget)

    def aboutFailure(
        self, failure: Failure, ID: int | None = None, nowForget: bool = False
    ) -> str:
        """
        Does for an errback: it makes the text of a I{failure} the result.

        @param ID: As in L{getInfo}, like I{nowForget}.
        @return: What went wrong in the call, and the traceback.
        """
        text = aboutError(failure, self.aboutCall(ID))
        return self._told("aboutFailure", text, ID, nowForget)

    def _known(self, ID: int | None) -> dict[str, Any]:
        if ID is None or ID == self.ID:
            return self._current
        return self.pastInfo.get(ID, {})

    def _told(self, name: str, text: str, ID: int | None, nowForget: bool) -> str:
        self.saveInfo(name, text, ID)
        if nowForget:
            self.forgetID(ID)
        return text


class InfoHolder:
    """
    I give information about one call, by its I{ID}, that an L{Info}, I{info},
    remembers, by the methods that it has.
    """

    def __init__(self, info: Info, ID: int) -> None:
        self.info = info
        self.ID = ID

    def getInfo(self, name: str) -> Any:
        """
        @return: What L{Info.getInfo} has for a I{name}.
        """
        return self.info.getInfo(self.ID, name)

    def nn(self, raw: bool = False) -> tuple[Any, Any]:
        """
        @return: What L{Info.nn} makes of the callable, I{raw} or not.
        """
        return self.info.nn(self.ID, raw)

    def aboutCall(self) -> str:
        """
        @return: The text of the call, as of L{Info.aboutCall}.
        """
        return self.info.aboutCall(self.ID)

    def aboutException(self, exception: BaseException | None = None) -> str:
        """
        @return: That of an I{exception}, as of L{Info.aboutException}.
        """
        return self.info.aboutException(self.ID, exception)

    def aboutFailure(self, failure: Failure) -> str:
        """
        @return: That of a I{failure}, as of L{Info.aboutFailure}.
        """
        return self.info.aboutFailure(failure, self.ID)


def showResult(f: _F) -> _F:
    """
    Decorates a function or method so that each call is printed together with
    what it comes to: the result, also that of a Deferred when it fires, or the
    error.

    @raise TypeError: if I{f} is not callable.
    """
    checkCallable("What showResult decorates", f)
    numbers = itertools.count(1)

    @functools.wraps(f)
    def shown(*args: Any, **kw: Any) -> Any:
        info = Info(whichThread=getattr(shown, _MARK, False)).setCall(f, args, kw)
        call = f"{next(numbers):03d}: {info.aboutCall()}"

        def show(result: Any) -> Any:
            if isinstance(result, Failure):
                error: Any = result.value
                print(f"{call} raised {type(error).__qualname__}: {describe(error)}")
            else:
                print(f"{call} -> {safe_repr(result)}")
            return result

        try:
            result = f(*args, **kw)
        except BaseException:
            show(Failure())
            raise
        if isinstance(result, Deferred):
            return result.addBoth(show)
        return show(result)

    return shown  # type: ignore[return-value]


def whichThread(f: _F) -> _F:
    """
    Marks I{f}, a function, so that L{showResult}, which may be above me or below
    me, tells the thread that each call was made in.
    """
    setattr(f, _MARK, True)
    return f


_MARK = "_asynqueueShowsThread"


def _name(f: Any) -> str:
    if isinstance(f, str):
        return f
    return aboutCallable(f) if callable(f) else f"{aboutObject(f)}[not callable!]"


def _call(callDict: dict[str, Any]) -> str:
    f, args, kw, instance = (callDict[key] for key in ("f", "args", "kw", "instance"))
    name = callDict["fs"]
    if instance is not None:
        name = f"{aboutObject(instance)}.{name.rpartition('.')[2]}"
    text = name + aboutCall((f, args, kw)).removeprefix(aboutCallable(f))
    return f"{text} <Thread: {callDict['thread']}>" if "thread" in callDict else text
