"""
Starting, watching and ending the processes of workers.
"""

import atexit
import multiprocessing
import multiprocessing.connection
import multiprocessing.forkserver
import multiprocessing.util
import os
import threading
import time
from contextlib import suppress
from multiprocessing.context import BaseContext
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from asynqueue import entry
from asynqueue.deferreds import deferUntilEnded
from asynqueue.ends import widen
from asynqueue.errors import StartFailed
from asynqueue.reactors import canWatchPipes
from asynqueue.reports import Reports
from asynqueue.tickets import Tickets, makePipe

KILL_AFTER = 1.0
"""
How long a process has to follow a SIGTERM, in seconds, before it is killed. It
does so at once unless it was stopped or a call changed its handler.
"""

AT_EXIT = 5.0
"""
How long the interpreter's exit waits for what is known to end at once, seconds.
"""

_starting = threading.Lock()
_living: "set[Child]" = set()


def getContext(context: str | BaseContext | None = None) -> BaseContext:
    """
    @param context: A C{multiprocessing} context, the name of a start method, or
        C{None} for C{"forkserver"} where the platform has it and else
        C{"spawn"}.
    @raise ValueError: if the platform has no such start method.
    @raise TypeError: if it is none of these.
    """
    known = multiprocessing.get_all_start_methods()
    if context is None:
        context = "forkserver" if "forkserver" in known else "spawn"
    if isinstance(context, str):
        if context not in known:
            raise ValueError(
                f"No start method is called {context!r}. Here there are: "
                + ", ".join(known)
            )
        context = multiprocessing.get_context(context)
    if not isinstance(context, BaseContext):
        raise TypeError(
            "context has to be a multiprocessing context or the name of a start "
            f"method, not {context!r}"
        )
    if context.get_start_method() == "forkserver":
        _preload(context)
    return context


def _preload(context: BaseContext) -> None:
    """
    Has the fork server import the far side, beside what the application wants
    it to.
    """
    server = multiprocessing.forkserver._forkserver
    wanted = list(getattr(server, "_preload_modules", ["__main__"]))
    if entry.__name__ not in wanted:
        context.set_forkserver_preload([*wanted, entry.__name__])


class Child:
    """
    I am one worker process, seen from its parent.

    A thread of mine starts it, because starting blocks, and then waits for its
    end. The process is not a daemonic one, so its calls may start processes;
    that it never outlives the parent nor keeps it from exiting is seen to here
    and in L{asynqueue.entry}.

    @ivar started: A Deferred that fires with the near end of its pipe, or fails
        with a L{WorkerDied<asynqueue.errors.WorkerDied>} if it cannot be
        started.
    @ivar died: A Deferred that fires with its exit code when it has ended:
        negative for a signal, C{None} if nobody knows. It does not fire if the
        process could not be started.
    @ivar pid: Its ID, C{None} before it is started.
    @ivar exitcode: Its exit code, C{None} before it has ended.
    @ivar tickets: The L{Tickets} of the calls that wait in its pipe, C{None} if none
        is to wait there. Whoever has got the near end of the pipe closes them.
    @ivar sharing: What arrays are shared with it by, a
        L{Sharing<asynqueue.sharing.Sharing>}, C{None} if none is. To be closed
        likewise.
    @ivar stack: What C{faulthandler} has written about the fault that it ended
        by, C{None} if there was none.
    """

    def __init__(
        self, context: BaseContext, settings: entry.Settings, reactor: Any
    ) -> None:
        self.started: Deferred[Any] = Deferred()
        self.died: Deferred[int | None] = Deferred()
        self.pid: int | None = None
        self.exitcode: int | None = None
        self.stack: str | None = None
        self._context = context
        self._settings = settings
        self._reactor = reactor
        self._lock = threading.Lock()
        self._process: Any = None
        self.tickets: Tickets | None = None
        self.sharing = settings.newSharing()
        self._reports: Reports | None = None
        self._mustEnd = False
        self._killCall: Any = None
        self._thread = threading.Thread(
            target=self._live, name="asynqueue worker's watch", daemon=True
        )

    def start(self) -> None:
        """
        Begins to start the process.
        """
        try:
            self._thread.start()
        except RuntimeError:
            # There can be no more threads.
            self._failed(Failure())
        else:
            _living.add(self)

    def is_alive(self) -> bool:
        """
        @return: C{True} from when the process is started until it has ended.
        """
        return self._process is not None

    def catchUp(self) -> None:
        """
        Hears what the process has told by now.
        """
        if self._reports is not None:
            self._reports.catchUp()

    def terminate(self) -> None:
        """
        Ends the process by SIGTERM, and by SIGKILL if it does not follow.
        """
        with self._lock:
            self._mustEnd = True
            if self._process is not None and self._killCall is None:
                self._killCall = self._reactor.callLater(KILL_AFTER, self.kill)
                self._process.terminate()

    def kill(self) -> None:
        """
        Ends the process by SIGKILL. Can be called from any thread.
        """
        with self._lock:
            self._mustEnd = True
            if self._process is not None:
                self._process.kill()

    def join(self) -> None:
        """
        Blocks until I am done with a process that was killed.
        """
        self._thread.join(AT_EXIT)

    def _live(self) -> None:
        """
        What the thread does, from before the process's beginning to after its
        end.
        """
        tell = self._reactor.callFromThread
        try:
            process, *nears = self._launch()
        except BaseException:
            tell(self._ended, self._failed, Failure())
            return
        tell(self._isUp, *nears)
        # Told, and so not held here for as long as the process lives.
        del nears
        exitCode = _awaitEnd(process)
        with self._lock:
            self._process = None
            _close(process)
        tell(self._ended, self._isDead, exitCode)

    def _launch(self) -> list[Any]:
        """
        @return: The process, the near end of its pipe, and the read end of its
            report pipe if it has one.
        """
        nears, fars = [], []
        try:
            near, connection = self._context.Pipe()
            nears.append(near)
            fars.append(connection)
            for end in (near, connection):
                widen(end)
            reports = tickets = door = None
            if canWatchPipes(self._reactor):
                near, reports = self._context.Pipe(duplex=False)
                nears.append(near)
                fars.append(reports)
            if self._settings.prefetch:
                tickets, writer = makePipe(self._context)
                self.tickets = Tickets(tickets, writer)
            if self.sharing is not None:
                near, door = self._context.Pipe()
                fars.append(door)
                self.sharing.open(near)
            process = self._context.Process(  # type: ignore[attr-defined]
                target=entry.main,
                args=(connection, self._settings, reports, tickets, door),
                name=self._settings.name,
            )
            with _starting:
                process.start()
        except BaseException:
            for near in nears:
                near.close()
            for other in (self.tickets, self.sharing):
                if other is not None:
                    other.close()
            raise
        finally:
            for far in fars:
                far.close()
        with self._lock:
            self.pid = process.pid
            self._process = process
            if self._mustEnd:
                process.kill()
        return [process, *nears]

    def _isUp(self, near: Any, reports: Any = None) -> None:
        if reports is not None:
            self._reports = Reports(
                reports, self._settings.worker, self.pid, self._reactor
            )
        self.started.callback(near)

    def _ended(self, f: Any, result: Any) -> None:
        """
        Runs when the thread has said that it ends.
        """
        _living.discard(self)
        if self._killCall is not None and self._killCall.active():
            self._killCall.cancel()
        deferUntilEnded(self._thread, self._reactor).addCallback(lambda _: f(result))

    def _failed(self, failure: Failure) -> None:
        error = StartFailed(
            f"A worker process could not be started: {type(failure.value).__name__}: "
            f"{failure.getErrorMessage()}"
        )
        error.__cause__ = failure.value
        self.started.errback(error)

    def _isDead(self, exitCode: int | None) -> None:
        self.exitcode = exitCode
        if self._reports is not None:
            self.stack = self._reports.finish()
        self.died.callback(exitCode)


def _awaitEnd(process: Any) -> int | None:
    """
    Blocks until a process has ended.

    It asks the kernel about the process itself where that can be, not about
    its sentinel, which the process's own children may hold open. It leaves
    the reaping to C{exitcode}, under the lock under which processes are
    started, because starting one reaps others.
    """
    if isinstance(process, multiprocessing.process.BaseProcess) and (
        getattr(process, "_start_method", None) == "forkserver"
    ):
        multiprocessing.connection.wait([process.sentinel])
    elif getattr(os, "waitid", None) is not None:
        # If somebody else has reaped it, perhaps he knows more.
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    else:
        process.join()
    for pause in (0, 0.001, 0.01, 0.1):
        time.sleep(pause)
        with _starting:
            exitCode: int | None = process.exitcode
        if exitCode is not None:
            return exitCode
    return None


def _close(process: Any) -> None:
    """
    Lets go of a process that has ended.
    """
    try:
        process.close()
    except ValueError:
        # It takes the process to be running, because somebody else has reaped
        # it. Its descriptors go with the object.
        multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]


def _killAll(owner: int) -> None:
    if os.getpid() == owner:
        children = list(_living)
        for child in children:
            child.kill()
        for child in children:
            child.join()


# Runs before the function by which multiprocessing waits for all children,
# because that was registered when multiprocessing.util was imported. That
# function must not meet a process that is being closed.
atexit.register(_killAll, os.getpid())
