"""
A scheduler or a node of a cluster, as a process that does not outlive the one that
started it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""
The number of an option of Linux's C{prctl}.
"""


def main():
    """
    Runs C{dask scheduler} or C{dask worker}, as the first argument tells, in a
    session of its own. Linux ends it with the process of the ID in the second one;
    elsewhere it ends of itself, when it has been idle or alone for long.
    """
    program, parent = sys.argv[1], int(sys.argv[2])
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            # It has ended before it could be watched.
            sys.exit(1)
    if program == "scheduler":
        from distributed.cli.dask_scheduler import main as run
    else:
        from distributed.cli.dask_worker import main as run
    run(args=sys.argv[3:], prog_name=f"dask {program}")


if __name__ == "__main__":
    main()
