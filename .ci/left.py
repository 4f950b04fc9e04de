"""
Exits with a list of the processes that have our virtual environment in theirs and
are neither me nor mine: what a run of the library or of its tests left behind.
They have five seconds to end first.
"""

import os
import sys
import time
from collections.abc import Iterator

import psutil


def left() -> Iterator[str]:
    """
    @return: An iterator over lines on the processes that are left.
    """
    me = psutil.Process()
    mine = {me.pid, *(parent.pid for parent in me.parents())}
    for process in psutil.process_iter():
        try:
            place = process.environ().get("VIRTUAL_ENV")
            line = f"{process.pid}: {' '.join(process.cmdline())}"
        except psutil.Error:
            continue
        if place == os.environ["VIRTUAL_ENV"] and process.pid not in mine:
            yield line


deadline = time.monotonic() + 5
while found := list(left()):
    if time.monotonic() > deadline:
        sys.exit("\n".join(["Left running:", *found]))
    time.sleep(0.2)
print("No process is left.")
