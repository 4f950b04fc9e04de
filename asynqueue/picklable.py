"""
Why a call could not be pickled.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from asynqueue.about import aboutCall, aboutCallable, aboutObject
from asynqueue.carried import Carried
from asynqueue.errors import PicklingError
from asynqueue.messages import describe, dumps
from asynqueue.picklers import RULE, MakePickler, byName
from asynqueue.runner import CallTuple


def notPicklable(
    callTuple: CallTuple, error: BaseException, makePickler: MakePickler = byName
) -> PicklingError:
    """
    Finds out which part of a call cannot be pickled.

    @param error: What pickling the whole call raised.
    @param makePickler: What was to pickle it.
    @return: An exception that names the part and says what to do.
    """
    culprit = "it"
    for name, part in _parts(callTuple):
        try:
            dumps(part, makePickler)
        except BaseException as e:
            culprit, error = name, e
            break
    wrong = PicklingError(
        f"The call {aboutCall(callTuple)} was not made, because {culprit} cannot be "
        f"pickled: {type(error).__name__}: {describe(error)}. {RULE}"
    )
    wrong.__cause__ = error
    return wrong


def _parts(callTuple: CallTuple) -> Iterator[tuple[str, Any]]:
    f, args, kw = callTuple
    if isinstance(f, Carried):
        yield (
            "what the hook before of its queue has returned, "
            f"{aboutObject(f.carrier)},",
            f.carrier,
        )
        f = f.f
    owner = getattr(f, "__self__", None)
    # That of a builtin function is its module.
    if owner is not None and not isinstance(owner, ModuleType):
        yield f"the object whose method it is, {aboutObject(owner)},", owner
    yield f"its callable {aboutCallable(f)}", f
    for index, arg in enumerate(args, 1):
        yield f"its argument {index}, {aboutObject(arg)},", arg
    for name, value in kw.items():
        yield f"its keyword {name}, {aboutObject(value)},", value
