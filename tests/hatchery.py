"""
A process that has imported what a cluster consists of, and forks a scheduler and nodes
as it is told to: each is there at once, and what has to be imported is so only once.
L{tests.hatched} has it::

    the tests -> the hatchery -> a waiter -> a scheduler, or a node
                                 for each    in a session of its own

Each ends with the one before it. A waiter tells how its one has ended.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
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

SIZE = 65536
"""
How many bytes a request may have.
"""

NUMBER = struct.Struct("i")
"""
What is told of a process: first its ID, and when it has ended its status, as of
C{os.waitpid}.
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


def fork(f: Callable[..., None], *args):
    """
    Forks a process that calls a function and ends, at the latest with this one.

    @return: Its process ID.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code: object = 1
    try:
        endWith(parent)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        f(*args)
        code = 0
    except SystemExit as e:
        code = e.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else code is not None)


def serve(kind, args, directory, out, told):
    """
    Is C{dask scheduler} or C{dask worker}, in a session of its own.

    @param out: A descriptor for what it writes.
    @param told: A descriptor for its L{NUMBER}.
    """
    os.setsid()
    os.chdir(directory)
    for fd in (1, 2):
        os.dup2(out, fd)
    os.close(out)
    os.write(told, NUMBER.pack(os.getpid()))
    os.close(told)
    if kind == "scheduler":
        from distributed.cli.dask_scheduler import main as run
    else:
        from distributed.cli.dask_worker import main as run
    run(args=args, prog_name=f"dask {kind}")


def attend(kind, args, directory, out, told):
    """
    Forks what L{serve} is, waits for its end, and tells of it.
    """
    # The hatchery is told by it that the tests have ended.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    pid = fork(serve, kind, args, directory, out, told)
    os.close(out)
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):
        # Not everybody wants to know.
        os.write(told, NUMBER.pack(status))


def main():
    """
    Reads requests from a socket: the arguments of L{attend}, in JSON, and the two
    descriptors.
    """
    endWith(int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for name in WHOLE:
        import_module(name)
    with socket.socket(fileno=0) as requests:
        while True:
            request, fds, _, _ = socket.recv_fds(requests, SIZE, 2)
            if not request:
                break
            fork(attend, *json.loads(request), *fds)
            for fd in fds:
                os.close(fd)


if __name__ == "__main__":
    main()
