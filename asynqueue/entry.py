"""
Where a worker process begins.

I prepare the process, then hand over to its universe. Standard library only.
"""

import io
import multiprocessing.process
import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, NamedTuple

from asynqueue import reporting
from asynqueue.tickets import Gate
from asynqueue.universe import ProcessUniverse

if TYPE_CHECKING:
    from asynqueue.sharing import Sharing

NAME = "asynqueue worker"
"""
What the names of worker processes begin with.
"""


class Settings(NamedTuple):
    """
    What a worker process is told at its start.

    @ivar raw: C{True} if iterators are to be pickled as the values they are.
    @ivar useReactor: C{True} to run a Twisted reactor.
    @ivar forked: C{True} if the process is a copy of its parent and has the
        parent's descriptors.
    @ivar pickler: The name of what pickles the results.
    @ivar worker: The ID of its worker, C{None} if that has none.
    @ivar levels: The levels that loggers have in the parent, by name; C{None} if
        the parent is not to be told of log records.
    @ivar prefetch: How many further calls may wait in the pipe.
    @ivar shareAbove: From how many bytes on arrays cross in shared memory, C{None} if
        none does.
    """

    raw: bool = False
    useReactor: bool = False
    forked: bool = False
    pickler: str = "pickle"
    worker: int | None = None
    levels: reporting.Levels | None = None
    prefetch: int = 0
    shareAbove: int | None = None

    @property
    def name(self) -> str:
        """
        What the process is called.
        """
        return NAME if self.worker is None else f"{NAME} {self.worker}"

    def newSharing(self) -> "Sharing | None":
        """
        @return: What arrays are shared by, here or there; C{None} if none is to be.
        """
        if self.shareAbove is None:
            return None
        # Not for everybody: it imports ctypes.
        from asynqueue.sharing import Sharing

        return Sharing(self.shareAbove)


def main(
    connection: "Connection[bytes, bytes]",
    settings: Settings,
    reports: "Connection[bytes, bytes] | None" = None,
    tickets: "Connection[bytes, bytes] | None" = None,
    door: "Connection[bytes, bytes] | None" = None,
) -> None:
    """
    Runs a worker process from its beginning to its end.

    @param connection: The far end of its pipe.
    @param reports: The write end of its report pipe, C{None} if nobody would read
        what it tells.
    @param tickets: The read end of its ticket pipe, C{None} if no call waits in its
        pipe.
    @param door: The far end of its door, C{None} if it shares no arrays.
    """
    resetSignals()
    printLines()
    parent = multiprocessing.process.parent_process()
    sentinel = None if parent is None else parent.sentinel
    if settings.forked:
        pipes = (connection, reports, tickets, door)
        own = {pipe.fileno() for pipe in pipes if pipe is not None}
        letGoOfDescriptors({sentinel, *own})
    if reports is not None:
        reporting.begin(reports, settings.levels)
    if sentinel is not None:
        # The sentinel may be the pipe through which I was told what to run, and
        # on which the parent is still busy. Not any more once it has spoken.
        wait([connection, sentinel])
        dieWithParent(sentinel)
    sharing = settings.newSharing()
    if sharing is not None:
        sharing.open(door)
    makeUniverse = partial(
        ProcessUniverse,
        settings.raw,
        pickler=settings.pickler,
        gate=None if tickets is None else Gate(tickets),
        sharing=sharing,
    )
    if settings.useReactor:
        from asynqueue import reactorside

        reactorside.serve(connection, settings.raw, makeUniverse)
    else:
        makeUniverse().loop(connection)
    connection.close()


def resetSignals() -> None:
    """
    Gives up the handlers that the parent had, ignores SIGINT (the parent
    decides what Ctrl-C means) and lets SIGTERM end the process at once.
    """
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def printLines() -> None:
    """
    Has what is printed written line by line, also to a file or a pipe. So it is there
    before the call's answer, and none is lost if the process is killed later.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def letGoOfDescriptors(own: "set[int | None]") -> None:
    """
    Lets go of all that a forked process has open and does not need: the
    reactor's sockets and poll, the siblings' ends of their pipes.

    Each is replaced by the null device rather than closed. Its number stays
    taken, so that an inherited file object cannot write into whatever would
    have been opened under that number next.

    @param own: The descriptors to keep beside the standard three.
    """
    tracker = multiprocessing.resource_tracker._resource_tracker
    keep = own | {0, 1, 2, getattr(tracker, "_fd", None)}
    with open(os.devnull, "r+b", buffering=0) as nothing:
        for name in os.listdir("/proc/self/fd" if _onLinux else "/dev/fd"):
            fd = int(name)
            if fd in keep or fd == nothing.fileno():
                continue
            try:
                os.fstat(fd)
            except OSError:
                # The descriptor of the listing itself, closed by now.
                continue
            os.dup2(nothing.fileno(), fd, inheritable=False)


def dieWithParent(sentinel: int) -> None:
    """
    Ends this process when its parent is gone, whatever it is doing then.

    On Linux the kernel does it: the pipe is told to raise SIGKILL here when
    its other end closes. Unlike the parent-death signal of C{prctl}, this
    follows the parent itself and not the thread or the fork server that
    started the process; unlike a thread, it works in the middle of a call that
    never lets another thread run. Elsewhere a thread watches the pipe.

    @param sentinel: The descriptor of a pipe whose far end only the parent
        holds, and into which nothing is written any more.
    """
    if _onLinux:
        import fcntl

        fcntl.fcntl(sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(sentinel, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(sentinel, fcntl.F_GETFL)
        fcntl.fcntl(sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
        if wait([sentinel], 0):
            # Gone already, before the kernel was told.
            os._exit(1)
    else:
        threading.Thread(
            target=_watch, args=(sentinel,), name="asynqueue parent", daemon=True
        ).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


_onLinux = sys.platform.startswith("linux")
