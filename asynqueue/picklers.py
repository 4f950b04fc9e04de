"""
What pickles the calls and their results: C{pickle}, or something that can do more.

Either hands over what C{multiprocessing} can: sockets, connections. What is pickled
is loaded by C{pickle}, whoever pickled it.

Standard library only, unless something else is asked for: the far side imports me.
"""

import copyreg
import pickle
from collections import ChainMap
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any, ClassVar

BufferCallback = Callable[[pickle.PickleBuffer], Any]
MakePickler = Callable[[Any, "BufferCallback | None"], Any]
"""
Makes a C{Pickler} of a file and a I{buffer_callback}.
"""

RULE = (
    "Processes send each other copies: functions and classes have to be found by "
    "name in a module (no lambda, no function within a function) unless "
    "pickler='cloudpickle' is asked for, and values have to be picklable"
)
"""
What can be sent, in words.
"""


# Its own table, to which modules add what they can hand over, not a copy.
_handedOver = ForkingPickler._extra_reducers  # type: ignore[attr-defined]


def byName(file: Any, callback: BufferCallback | None) -> Any:
    """
    Makes a pickler to which functions and classes are names.
    """
    pickler = pickle.Pickler(file, pickle.HIGHEST_PROTOCOL, buffer_callback=callback)
    # What a ForkingPickler has; but in a plain dict things are found more quickly.
    pickler.dispatch_table = copyreg.dispatch_table | _handedOver
    return pickler


def _cloudpickle() -> MakePickler:
    """
    @return: What makes a pickler to which functions and classes that cannot be found
        by name, or are of C{__main__}, are values.
    """
    import cloudpickle

    class ByValue(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table: ClassVar[Any] = ChainMap(
            cloudpickle.Pickler.dispatch_table, _handedOver
        )

    def byValue(file: Any, callback: BufferCallback | None) -> Any:
        return ByValue(file, pickle.HIGHEST_PROTOCOL, buffer_callback=callback)

    return byValue


PICKLERS: dict[str, Callable[[], MakePickler]] = {
    "pickle": lambda: byName,
    "cloudpickle": _cloudpickle,
}
"""
Those that can be chosen by name.
"""


def findPickler(name: str) -> MakePickler:
    """
    Finds a pickler by its name.

    @raise ValueError: if none has this name.
    @raise ImportError: if it is not installed.
    """
    if name not in PICKLERS:
        raise ValueError(
            f"No pickler is called {name!r}. There are: {', '.join(PICKLERS)}"
        )
    try:
        return PICKLERS[name]()
    except ImportError as e:
        raise ImportError(
            f"The pickler {name!r} is not installed here ({e}). This installs it: "
            f"pip install 'asynqueue[{name}]'"
        ) from e
