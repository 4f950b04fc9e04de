"""
Data that objects share within a process, and with no other.

Standard library only: what is derived from me is sent to worker processes.
"""

import os
import reprlib
from typing import Any

__all__ = ["ProcessBase"]

_data: dict[int, dict[str, Any]] = {}
"""
By process ID, since a forked process begins with a copy of its parent's. That is
left alone: what is in it belongs to the parent, and must not be cleaned up twice.
"""


class ProcessBase:
    """
    I am a base for objects that are passed to worker processes.

    Every call gets a copy of each object that is passed, so what one call sets as
    an attribute is not there for the next. What it puts into my I{data} is, in the
    same process, and can be read like attributes of all objects derived from me.
    """

    @property
    def pid(self) -> int:
        """
        The ID of the process that I am used in.
        """
        return os.getpid()

    @property
    def data(self) -> dict[str, Any]:
        """
        A dict that belongs to the process that I am used in. All objects there
        share it.
        """
        return _here()

    def __getattr__(self, name: str) -> Any:
        data = _here()
        try:
            return data[name]
        except KeyError:
            raise AttributeError(
                f"{type(self).__qualname__} has no attribute {name!r}, and it is not "
                f"in the data of process {os.getpid()}, which has "
                f"{reprlib.repr(list(data))}. Each process has data of its own: "
                "what all of them need is set by a queue's update()"
            ) from None


def _here() -> dict[str, Any]:
    # Of several threads that are the first, one makes it.
    return _data.setdefault(os.getpid(), {})
