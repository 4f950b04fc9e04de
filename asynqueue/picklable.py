"""
Why a call could not be pickled.
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from multiprocessing.reduction import ForkingPickler
from types import FunctionType, ModuleType
from typing import Any, NoReturn

from twisted.internet.defer import Deferred

from asynqueue.about import aboutCall, aboutCallable, aboutObject
from asynqueue.carried import Carried
from asynqueue.errors import PicklingError
from asynqueue.messages import describe, dumps
from asynqueue.picklers import RULE, MakePickler, byName
from asynqueue.runner import CallTuple

DEPTH = 8
"""
How deep within a part of a call is looked for what cannot be pickled.
"""

WIDTH = 1000
"""
How many things at each depth.
"""

METHOD = (
    "Instead of a method, call a function of a module with what it needs of the "
    "object; or have each process make the object, by update()"
)
"""
What to do if it is the object whose method is called, in words.
"""


def notPicklable(
    callTuple: CallTuple, error: BaseException, makePickler: MakePickler = byName
) -> PicklingError:
    """
    Finds out which part of a call cannot be pickled.

    @param error: What pickling the whole call raised.
    @param makePickler: What was to pickle it.
    @return: An exception that names the part and says what to do.
    """
    culprit, place, advice = "it", "", RULE
    for name, part in _parts(callTuple):
        why = _whyNot(part, makePickler)
        if why is not None:
            place, error = _innermost(part, why, makePickler)
            culprit = name
            if part is getattr(callTuple[0], "__self__", None):
                advice = f"{RULE}. {METHOD}"
            break
    because = f", because of its {place}" if place else ""
    wrong = PicklingError(
        f"The call {aboutCall(callTuple)} was not made, because {culprit} cannot be "
        f"pickled{because}: {type(error).__name__}: {describe(error)}. {advice}"
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


def _whyNot(part: Any, makePickler: MakePickler) -> BaseException | None:
    try:
        dumps(part, makePickler)
    except BaseException as e:
        return e
    return None


def _innermost(
    part: Any, why: BaseException, makePickler: MakePickler
) -> tuple[str, BaseException]:
    """
    @return: Where in an object is what cannot be pickled, as it would be written after
        the object, empty if it is the object itself; and why it cannot.
    """
    place, within = "", [part]
    for _ in range(DEPTH):
        for name, inner in islice(_contents(part), WIDTH):
            if any(inner is outer for outer in within):
                continue
            innerWhy = _whyNot(inner, makePickler)
            if innerWhy is not None:
                place, part, why = place + name, inner, innerWhy
                within.append(part)
                break
        else:
            break
    return place, why


def _contents(part: Any) -> Iterator[tuple[str, Any]]:
    """
    @return: What an object has in it, as far as it is pickled as most are.
    """
    if type(part) is dict:
        yield from ((f"[{aboutObject(key)}]", value) for key, value in part.items())
    elif type(part) in (list, tuple):
        yield from ((f"[{index}]", value) for index, value in enumerate(part))
    elif type(part) is partial:
        yield from ((f".{name}", getattr(part, name)) for name in ("func", "args"))
        yield ".keywords", part.keywords
    elif _isPlain(type(part)) and not isinstance(part, type | FunctionType):
        yield from ((f".{name}", value) for name, value in vars(part).items())


def _isPlain(kind: type) -> bool:
    # Before Python 3.11 no class has the last unless it is its own.
    names = ("__reduce_ex__", "__reduce__", "__getstate__")
    own = [n for n in names if getattr(kind, n, None) is not getattr(object, n, None)]
    return bool(kind.__dictoffset__) and not own


def _refuse(d: "Deferred[Any]") -> NoReturn:
    raise TypeError(
        "cannot pickle a Deferred, which is of use only here: await it, and pass on "
        "what it fires with"
    )


# Else it would be pickled if nobody waits for it yet, and never fire there.
ForkingPickler.register(Deferred, _refuse)
