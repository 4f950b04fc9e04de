"""
A callable that goes to its worker together with what it needs of its caller's context.

Standard library only: the far side imports me.
"""

import sys
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager
from contextvars import Context, ContextVar, copy_context
from importlib import import_module
from types import CoroutineType
from typing import Any

from asynqueue.messages import describe

__all__ = ["Carried", "HookError", "Scope", "findVariable", "restore"]


class HookError(Exception):
    """
    The hook I{after} of a queue, or the context manager that it returned, raised in the
    worker. What it raised is my cause, or in the traceback that is.
    """


class Carried:
    """
    I stand for a callable, and am called like it. Each of my calls has a context of its
    own: a copy of that of the thread in which it is made, with what the hook I{after}
    makes of the carrier.

    A context manager that the hook returns is left when the call is over. The call of
    a generator is over when that has ended or was closed; of a coroutine, or of a
    Deferred that is waited for, when its result is there.

    @ivar f: The callable.
    @ivar after: The hook: it is called with the carrier, and returns C{None} or a
        context manager.
    @ivar carrier: What the hook I{before} has returned.
    """

    __slots__ = ("after", "carrier", "f")

    def __init__(
        self, f: Callable[..., Any], after: Callable[[Any], Any], carrier: Any
    ) -> None:
        self.f = f
        self.after = after
        self.carrier = carrier

    def __repr__(self) -> str:
        return repr(self.f)

    def __reduce__(self) -> tuple[Any, ...]:
        return Carried, (self.f, self.after, self.carrier)

    def __call__(self, /, *args: Any, **kw: Any) -> Any:
        return self.make(False, (), *args, **kw)

    def make(
        self, raw: bool, awaited: "tuple[type, ...]", /, *args: Any, **kw: Any
    ) -> Any:
        """
        Makes the call.

        @param raw: C{True} if an iterator is a value like any other.
        @param awaited: Types of results that are waited for, a coroutine's among them.
        @return: What it returns, where an iterator, or what is waited for, has become
            another that keeps to the context.
        @raise HookError: if the hook raised.
        """
        scope = Scope(self, raw, awaited)
        scope.enter()
        try:
            value = scope.run(self.f, *args, **kw)
            if isinstance(value, awaited):
                return scope.finished(value)
            return scope.settled(value)
        except BaseException as e:
            scope.leave(e)
            raise


class Scope:
    """
    I am the context that one call is made in, from its beginning to its end.

    @ivar context: A C{contextvars.Context}.
    @ivar awaited: As of L{Carried.make}.
    """

    def __init__(
        self, carried: Carried, raw: bool = False, awaited: "tuple[type, ...]" = ()
    ) -> None:
        self.context: Context = copy_context()
        self.awaited = awaited
        self._carried = carried
        self._raw = raw
        self._manager: AbstractContextManager[Any] | None = None

    def run(self, f: Callable[..., Any], /, *args: Any, **kw: Any) -> Any:
        """
        Calls a callable in my context.
        """
        return self.context.run(f, *args, **kw)

    def enter(self) -> None:
        """
        Has the hook prepare my context.

        @raise HookError: if it raises, or returns something else than it may.
        """
        try:
            self._manager = self.run(self._entered)
        except Exception as e:
            raise self._wrong(
                "The hook after", e, f"so {_name(self._carried.f)} was not called"
            ) from e

    def leave(self, error: BaseException | None) -> None:
        """
        Leaves the hook's context manager, unless there is none or that was done.

        @param error: How the call failed, C{None} if it did not. It fails all the same
            if the context manager returns C{True}.
        @raise HookError: if the context manager raises something else.
        """
        manager, self._manager = self._manager, None
        if manager is None:
            return
        traceback = None if error is None else error.__traceback__
        about = (None if error is None else type(error), error, traceback)
        try:
            self.run(type(manager).__exit__, manager, *about)
        except Exception as e:
            if e is not error:
                raise self._wrong(
                    "The context manager of the hook after",
                    e,
                    f"when {_name(self._carried.f)} was over",
                ) from e

    def settled(self, value: Any) -> Any:
        """
        Comes to the end with a value, but for that of an iterator.

        @return: The value, or an iterator of the same items.
        """
        if not self._raw and isinstance(value, Iterator):
            return Items(self, value)
        self.leave(None)
        return value

    async def finished(self, value: Any) -> Any:
        """
        Waits for what a call has returned.
        """
        try:
            if isinstance(value, CoroutineType):
                value = Within(self.context, value)
            return self.settled(await value)
        except BaseException as e:
            self.leave(e)
            raise

    def _entered(self) -> "AbstractContextManager[Any] | None":
        manager = self._carried.after(self._carried.carrier)
        if manager is None:
            return None
        if not isinstance(manager, AbstractContextManager):
            raise TypeError(
                f"it returned an object of type {type(manager).__qualname__}, which is "
                "neither None nor a context manager"
            )
        manager.__enter__()
        return manager

    def _wrong(self, what: str, e: Exception, then: str) -> HookError:
        return HookError(
            f"{what}, {_name(self._carried.after)}, raised "
            f"{type(e).__qualname__}: {describe(e)}; {then}"
        )


class Items(Iterator[Any]):
    """
    I take the items of an iterator in the context of the call that returned it.
    """

    def __init__(self, scope: Scope, iterator: "Iterator[Any]") -> None:
        self._scope = scope
        self._iterator = iterator

    def __repr__(self) -> str:
        return repr(self._iterator)

    def __next__(self) -> Any:
        scope = self._scope
        try:
            item = scope.run(next, self._iterator)
        except StopIteration:
            scope.leave(None)
            raise
        except BaseException as e:
            scope.leave(e)
            raise
        if isinstance(item, scope.awaited) and isinstance(item, CoroutineType):
            return _within(scope.context, item)
        return item

    def close(self) -> None:
        """
        Closes the iterator, if that can be, and ends the call.
        """
        close = getattr(self._iterator, "close", None)
        try:
            if close is not None:
                self._scope.run(close)
        except BaseException as e:
            self._scope.leave(e)
            raise
        self._scope.leave(None)

    def __del__(self) -> None:
        # As of a generator, which is closed when nobody has it any more.
        if isinstance(self._iterator, Generator):
            self.close()
        else:
            self._scope.leave(None)


class Within:
    """
    I wait for a coroutine, each step of which is taken in a context.
    """

    def __init__(self, context: Context, coroutine: "Coroutine[Any, Any, Any]") -> None:
        self._run = context.run
        self._coroutine = coroutine

    def __await__(self) -> "Within":
        return self

    def __iter__(self) -> "Within":
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """
        As of any generator.
        """
        return self._run(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """
        As of any generator.
        """
        return self._run(self._coroutine.throw, *error)

    def close(self) -> None:
        """
        As of any generator.
        """
        self._run(self._coroutine.close)


async def _within(context: Context, coroutine: "Coroutine[Any, Any, Any]") -> Any:
    return await Within(context, coroutine)


def findVariable(name: str) -> "ContextVar[Any]":
    """
    @param name: The names of a module and of a variable in it: C{"web.app:user"}.
    @raise LookupError: if there is none.
    @raise ImportError: if the module cannot be imported.
    """
    module, _, attribute = name.partition(":")
    variable = getattr(
        sys.modules.get(module) or import_module(module), attribute, None
    )
    if not isinstance(variable, ContextVar):
        raise LookupError(f"{module} has no context variable called {attribute!r}")
    return variable


def restore(values: dict[str, Any]) -> None:
    """
    Sets context variables: the hook I{after} of L{carry<asynqueue.contexts.carry>}.

    @param values: What to set them to, by their names as of L{findVariable}.
    """
    for name, value in values.items():
        findVariable(name).set(value)


def _name(f: Any) -> str:
    name = getattr(f, "__qualname__", type(f).__qualname__)
    return f"{getattr(f, '__module__', None)}.{name}"
