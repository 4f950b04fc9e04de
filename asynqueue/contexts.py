"""
What a call brings along of the context in which it is made: the pair of hooks that a
queue is given, and one that is ready to use.

C{before()} is called where a call is made, at once. What it returns, the I{carrier},
goes with the call. C{after(carrier)} is called in the worker before the function is, in
a context that is the call's own. What it returns, if not C{None}, is a context manager
that is entered then, and left when the call is over.
"""

import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

from asynqueue.about import aboutCall, aboutCallable, aboutObject
from asynqueue.carried import Carried, findVariable, restore
from asynqueue.checks import checkCallable
from asynqueue.errors import PicklingError
from asynqueue.messages import describe, dumps
from asynqueue.runner import CallTuple

__all__ = ["Hooks", "carry"]


class Hooks(NamedTuple):
    """
    What carries context to the worker.

    @ivar before: Is called without arguments in the context in which a call is made,
        before C{call} returns. It returns anything that can be pickled. What it raises,
        C{call} raises.
    @ivar after: Is called with that in the worker: a function of a module, or something
        else that can be pickled. It returns C{None} or a context manager.
    """

    before: Callable[[], Any]
    after: Callable[[Any], Any]

    def carried(self, callTuple: CallTuple) -> CallTuple:
        """
        @return: A call that is being made, with what it needs of the context.
        @raise Exception: whatever I{before} raises, with a note that says so.
        """
        f, args, kw = callTuple
        try:
            carrier = self.before()
        except Exception as e:
            if sys.version_info >= (3, 11):
                e.add_note(
                    f"Raised by {aboutCallable(self.before)}, the hook before of the "
                    f"queue, so the call {aboutCall(callTuple)} was not made"
                )
            raise
        return Carried(f, self.after, carrier), args, kw


def checkHooks(hooks: Any) -> Hooks | None:
    """
    @param hooks: A pair of hooks, or C{None}.
    @raise TypeError: if it is neither.
    @raise PicklingError: if the second of them cannot be pickled.
    """
    if hooks is None:
        return None
    if not isinstance(hooks, Sequence) or isinstance(hooks, str) or len(hooks) != 2:
        raise TypeError(
            f"hooks has to be a pair, Hooks(before, after), not {aboutObject(hooks)}"
        )
    pair = Hooks(*hooks)
    checkCallable("The hook before", pair.before)
    checkCallable("The hook after", pair.after)
    try:
        dumps(pair.after)
    except BaseException as e:
        raise PicklingError(
            f"The hook after, {aboutCallable(pair.after)}, cannot be pickled: "
            f"{type(e).__name__}: {describe(e)}. It is called in the worker, wherever "
            "that is: give a function at the top level of a module, or a "
            "functools.partial of one"
        ) from e
    return pair


def carry(*variables: "ContextVar[Any] | str") -> Hooks:
    """
    Makes hooks that have context variables as they were where the call was made. One
    that has no value there is left as it is in the worker.

    @param variables: Those that are carried: C{ContextVar}s of modules, or their names,
        as C{"web.app:user"}. The worker finds them by name too.
    @raise TypeError: if one is neither, or there is none.
    @raise LookupError: if no module that has been imported has the variable, or the
        module has none of this name.
    @raise ImportError: if the module cannot be imported.
    """
    if not variables:
        raise TypeError("carry() has to be told which context variables to carry")
    return Hooks(partial(_values, dict(map(_named, variables))), restore)


def _values(variables: "dict[str, ContextVar[Any]]") -> dict[str, Any]:
    missing = object()
    found = {name: variable.get(missing) for name, variable in variables.items()}
    return {name: value for name, value in found.items() if value is not missing}


def _named(variable: "ContextVar[Any] | str") -> "tuple[str, ContextVar[Any]]":
    if isinstance(variable, str):
        if not all(variable.partition(":")):
            raise LookupError(
                f'A context variable is named as "module:variable", not {variable!r}'
            )
        return variable, findVariable(variable)
    if not isinstance(variable, ContextVar):
        raise TypeError(
            "What is carried has to be a ContextVar, or the name of one as "
            f'"module:variable", not {aboutObject(variable)}'
        )
    return _nameOf(variable), variable


def _nameOf(variable: "ContextVar[Any]") -> str:
    names = [
        f"{module}:{name}"
        for module, found in list(sys.modules.items())
        for name, value in list(getattr(found, "__dict__", {}).items())
        if value is variable
    ]
    if not names:
        raise LookupError(
            f"No module has {aboutObject(variable)}, so no worker would find it. A "
            "context variable that is carried has to be at the top level of a module"
        )
    # The main module may have another name in the worker, or be another there.
    return min(names, key=lambda name: name.startswith("__main__:"))
