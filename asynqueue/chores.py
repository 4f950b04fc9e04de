"""
What workers are called for when they are measured.

Every contender's processes import me, so I import the standard library only.
"""

import os
import time
from collections.abc import Iterator
from typing import Any


def nothing() -> None:
    """
    Does nothing.
    """


def echo(x: Any) -> Any:
    """
    @return: The argument.
    """
    return x


def nap(seconds: float) -> float:
    """
    Keeps the process busy without needing a core.

    @return: How long it has really taken, in seconds.
    """
    begun = time.perf_counter()
    time.sleep(seconds)
    return time.perf_counter() - begun


def spin(turns: int) -> int:
    """
    Keeps a core busy.

    @return: A sum that takes so many additions.
    """
    total = 0
    for turn in range(turns):
        total += turn
    return total


def count(items: int) -> Iterator[int]:
    """
    @return: An iterator over the integers from 0 on.
    """
    yield from range(items)


def identify(seconds: float) -> int:
    """
    Takes some time, so that another worker takes the next call.

    @return: The ID of the process.
    """
    time.sleep(seconds)
    return os.getpid()
