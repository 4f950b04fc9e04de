"""
Texts about calls.
"""

import reprlib
from typing import Any

from asynqueue.carried import Carried
from asynqueue.runner import CallTuple


class _Shortener(reprlib.Repr):
    def repr_bytes(self, x: bytes | bytearray, level: int) -> str:
        # Not of all of it, which may be millions.
        return self.repr_instance(x[: self.maxother], level)

    repr_bytearray = repr_bytes


_shortener = _Shortener()
_shortener.maxstring = _shortener.maxother = 60


def aboutObject(x: object) -> str:
    """
    @return: A short C{repr} of any object, even one whose C{__repr__} raises.
    """
    try:
        return _shortener.repr(x)
    except Exception as e:
        return f"<{type(x).__qualname__} whose repr raises {type(e).__name__}>"


def aboutCallable(f: Any) -> str:
    """
    @return: The dotted name of a callable, as far as it has one.
    """
    if isinstance(f, Carried):
        f = f.f
    name = getattr(f, "__qualname__", None)
    if not isinstance(name, str):
        return aboutObject(f)
    module = getattr(f, "__module__", None)
    return f"{module}.{name}" if isinstance(module, str) else name


def aboutCall(callTuple: CallTuple) -> str:
    """
    @return: A call as it would be written, shortened: C{"math.pow(2, 3)"}.
    """
    f, args, kw = callTuple
    words = [aboutObject(arg) for arg in args]
    words.extend(f"{name}={aboutObject(value)}" for name, value in kw.items())
    return f"{aboutCallable(f)}({', '.join(words)})"
