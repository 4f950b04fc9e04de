"""
Whether worker processes can import the main module of the program, and what it lacks
if they cannot.
"""

import multiprocessing
import os
import sys
from functools import cache
from types import ModuleType
from typing import Any

from twisted.logger import Logger

from asynqueue.entry import NAME

__all__ = ["UNGUARDED", "aboutGuard", "refuseInBootstrap", "refuseNoFile", "tellOnce"]

UNGUARDED = 78
"""
The exit code of a worker process that was about to run the program once more.
"""

log = Logger()


def refuseInBootstrap() -> None:
    """
    Ends this process, without a word, if it is a worker process that is still
    importing its parent's main module, and so the module lacks its guard. Its parent
    tells of it, once for all that end so.

    @raise RuntimeError: if it is another child that does so, which somebody else has
        started by C{multiprocessing}.
    """
    process = multiprocessing.current_process()
    if not getattr(process, "_inheriting", False):
        return
    if process.name.startswith(NAME):
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(UNGUARDED)
    raise RuntimeError(f"A process was about to start workers. {aboutGuard()}")


def refuseNoFile(startMethod: str, main: ModuleType | None = None) -> None:
    """
    @param startMethod: How processes are to be started.
    @param main: The main module, that of this process if C{None}.
    @raise RuntimeError: if they would look for a file of the main module, and it
        has none because it is read from standard input.
    """
    main = main or sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if startMethod != "fork" and main.__spec__ is None and path == "<stdin>":
        raise RuntimeError(
            "No worker process can be started, because it would import the main "
            "module of the program, which was read from standard input. Put the "
            "program into a file and run that, or give it to python -c"
        )


def aboutGuard(main: Any = None) -> str:
    """
    @param main: The main module, that of this process if C{None}.
    @return: What it lacks, and what to do: several lines.
    """
    main = main or sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    name = "" if path is None else f", {os.path.basename(path)},"
    return (
        f"Each worker process imports the main module of the program{name} and so runs "
        "all that it does beside defining functions and classes. Put that into a "
        "function, and call it under a guard:\n\n"
        "    if __name__ == '__main__':\n"
        "        main()\n\n"
        "where main() is what starts the program, or react(main)."
    )


@cache
def tellOnce() -> None:
    """
    Logs what the main module lacks, so that it is seen even if nobody waits for a
    call. Once is enough.
    """
    log.critical("No worker process came up. {why}", why=aboutGuard())
