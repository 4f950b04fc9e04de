"""
A process that has imported what a cluster consists of, and forks a scheduler and nodes
as it is told to: each is there at once, and what has to be imported is so only once.
"""

import ctypes
import json
import os
import signal
import sys
from importlib import import_module

PR_SET_PDEATHSIG = 1
"""
The number of an option of Linux's C{prctl}.
"""

WHOLE = (
    "distributed.cli.dask_scheduler",
    "distributed.cli.dask_worker",
    "asynqueue.clusterclerk",
    "asynqueue.clusternode",
)
"""
What a cluster consists of.
"""


def endWith(parent):
    """
    Has Linux end this process with its parent; elsewhere it ends when it is told no
    more, or alone.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            # It has ended before it could be watched.
            os._exit(1)


def hatch(kind, args, log):
    """
    Forks C{dask scheduler} or C{dask worker}, in a session of its own.

    @param log: The path of a file for what it writes.
    @return: Its process ID.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        endWith(parent)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for fd, instead in enumerate((null, out, out)):
            os.dup2(instead, fd)
        if kind == "scheduler":
            from distributed.cli.dask_scheduler import main as run
        else:
            from distributed.cli.dask_worker import main as run
        run(args=args, prog_name=f"dask {kind}")
    finally:
        os._exit(1)


def main():
    """
    Reads lines of JSON, the arguments of L{hatch}, and writes a line with the process
    ID for each.
    """
    endWith(int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for name in WHOLE:
        import_module(name)
    for line in sys.stdin:
        print(hatch(*json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
