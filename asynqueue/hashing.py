"""
A number for any objects.
"""

import pickle
from collections.abc import Hashable

__all__ = ["hashIt"]


def hashIt(*args: object) -> int:
    """
    @return: A hash of objects of any kind, for as long as this process lives.
        It depends on their order, on that of the items of lists and tuples, and
        on their types. An object that can neither be hashed nor pickled has one
        for itself.
    """
    return hash(tuple(map(_token, args)))


def _token(x: object) -> Hashable:
    if isinstance(x, (list, tuple)):
        return type(x), tuple(map(_token, x))
    if isinstance(x, (set, frozenset)):
        return type(x), frozenset(map(_token, x))
    if isinstance(x, dict):
        return dict, frozenset((_token(k), _token(v)) for k, v in x.items())
    if type(x) in (int, float):
        # Not by their own hash, which is the same for -1 and -2.
        return type(x), pickle.dumps(x)
    for digest in hash, pickle.dumps:
        try:
            return type(x), digest(x)
        except Exception:
            # Not by this way.
            continue
    return type(x), id(x)
