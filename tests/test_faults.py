"""
A table of what can go wrong with a call, and where. Each row is tried with worker
processes of each start method, and with each poller. In each row

  1. the call fails once, in time, and says why,
  2. the call that another worker is busy with all the time is not touched,
  3. the next call works, in the same process if nothing killed that, else in a new one.

Nothing is left when the table is through. A Deferred that fired twice would raise, in
the reactor, which fails the test.

Two of the stages, to pickle the call and to load the result, are in this process, and
what ends a process would end the tests. So only exceptions are tried there.
"""

import os
import pickle
import signal
from typing import Any, NamedTuple

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase

from asynqueue.errors import (
    PicklingError,
    UnpicklingError,
    WorkerDied,
    WorkerError,
    aboutExit,
)
from asynqueue.messages import describe
from asynqueue.pollers import POLLERS
from asynqueue.process import ProcessQueue
from tests import calls, deeds, faults
from tests.test_process_queue import QueueTestCase

IN_TIME = 20.0
"""
How long each part of a row may take at most, in seconds.
"""


async def pickleCall(queue, *what):
    """The fault is in pickling an argument."""
    return await queue.call(calls.echo, faults.WhenPickled(*what))


async def loadCall(queue, *what):
    """The fault is in loading an argument."""
    return await queue.call(calls.echo, faults.WhenLoaded(*what))


async def run(queue, *what):
    """The fault is in the function that is called."""
    return await queue.call(faults.strike, *what)


async def pickleResult(queue, *what):
    """The fault is in pickling what was returned."""
    return await queue.call(faults.WhenPickled, *what)


async def loadResult(queue, *what):
    """The fault is in loading what was returned."""
    return await queue.call(faults.WhenLoaded, *what)


async def takeItem(queue, *what):
    """The fault is in the second item."""
    return [item async for item in await queue.call(faults.inSecondItem, *what)]


async def closeIterator(queue, fault, path):
    """
    The fault is in closing an iterator, of whose call the Deferred has fired. So the
    log tells of it, and what that says is raised.
    """
    pid = await queue.call(deeds.pid)
    deferator = await queue.call(faults.WhenClosed, fault, path)
    with capturedLogs() as events:
        deferator.stop()
        # This has to wait for it.
        await queue.call(calls.echo)
    # Those of another queue are not of interest. What a call is told by may leave out
    # all but the end of a path.
    died = [e for e in events if "death" in e and e["pid"] == pid]
    raised = [e for e in events if "error" in e and path[-12:] in e["call"]]
    (event,) = died + raised
    if died:
        raise WorkerDied(event["text"], event["pid"], event["exitCode"])
    raise event["error"]


# Where the fault is, the error that tells of an exception there, and its text. ITSELF
# is the exception, or, if it cannot be had here, a WorkerError with its name.
ITSELF: Any = None
HERE = [
    (pickleCall, PicklingError, "not made, because its argument 1,"),
    (loadResult, UnpicklingError, "The result came back but could not be loaded here"),
]
THERE = [
    (loadCall, pickle.UnpicklingError, "not be loaded in the worker process"),
    (run, ITSELF, ""),
    (pickleResult, pickle.PicklingError, "type WhenPickled, could not be pickled"),
    (takeItem, ITSELF, ""),
    (closeIterator, ITSELF, ""),
]

# Each fault that is an exception, what it is here, and how it is told.
UNTOLD = "<its text cannot be had: __str__ raised ValueError>"
EXCEPTIONS = [
    ("raise", ValueError, "ValueError: struck"),
    ("raise what cannot be pickled", WorkerError, "Guarded: struck"),
    ("raise what cannot be rebuilt", WorkerError, "Fussy: struck in here"),
    ("raise with a broken __str__", deeds.Broken, f"Broken: {UNTOLD}"),
    ("SystemExit", WorkerError, "SystemExit: struck"),
    ("KeyboardInterrupt", WorkerError, "KeyboardInterrupt: struck"),
]

# Each that ends the process, and the exit codes that it can have. One that cannot be
# reached any more is told to end, which it may do by itself before.
DEATHS = [
    ("os._exit(0)", [0]),
    ("os._exit(3)", [3]),
    ("SIGKILL", [-signal.SIGKILL]),
    ("SIGSEGV", [-signal.SIGSEGV]),
    ("close every descriptor", [1, -signal.SIGTERM]),
    ("a grandchild holds the pipe", [5]),
]

# What the text of a WorkerDied goes on with after it has told how.
MEANWHILE = {
    loadCall: " in the middle of the call tests.calls.echo(",
    run: " in the middle of the call tests.faults.strike(",
    pickleResult: " in the middle of the call tests.faults.WhenPickled(",
    takeItem: ", and with it the iterator of tests.faults.inSecondItem(",
    closeIterator: "",
}


class Row(NamedTuple):
    """
    I am a row of the table.

    @ivar stage: A function that makes a call with the fault in it.
    @ivar fault: Its name in L{faults.FAULTS}.
    @ivar error: The type that the error has.
    @ivar texts: What its text has in it.
    @ivar exitCodes: What the exit code of the process may be; empty if it lives on.
    """

    stage: Any
    fault: str
    error: Any
    texts: list[str]
    exitCodes: list[int]

    def __str__(self) -> str:
        return f"{self.stage.__name__} x {self.fault}"


ROWS = [
    Row(stage, fault, error or itself, [text, told], [])
    for stage, error, text in HERE + THERE
    for fault, itself, told in EXCEPTIONS
] + [
    Row(stage, fault, WorkerDied, [MEANWHILE[stage]], exitCodes)
    for stage, *_ in THERE
    for fault, exitCodes in DEATHS
]


class TableTests(TestCase):
    """
    The table itself.
    """

    def test_isWhole(self):
        """Each fault is in the table, with each stage that it can be tried in."""
        known = set(faults.FAULTS)
        self.assertEqual({row.fault for row in ROWS}, known)
        self.assertEqual(
            {str(row) for row in ROWS if row.stage is run},
            {f"run x {fault}" for fault in known},
        )
        self.assertEqual(len({str(row) for row in ROWS}), 7 * 6 + 5 * 6)


class FaultTests(QueueTestCase):
    """
    Each row, tried.
    """

    @inlineCallbacks
    def tryAll(self, context):
        """
        Tries all rows with each poller. The pollers go through them at the same time,
        because what takes the time is that processes start.

        @return: A Deferred that fails with the name of the first row that does.
        """
        columns = [self.tryColumn(context, poller) for poller in POLLERS]
        for isGood, result in (yield DeferredList(columns, consumeErrors=True)):
            if not isGood:
                result.raiseException()

    @inlineCallbacks
    def tryColumn(self, context, poller):
        """
        Tries all rows with two workers, one of which is held all the time.
        """
        queue = self.keep(ProcessQueue(2, context=context, poller=poller))
        (path,), (held,) = yield self.hold(queue, 1)
        try:
            for row in ROWS:
                yield Deferred.fromCoroutine(self.tryRow(queue, row))
                self.assertNoResult(held)
        except Exception as e:
            where = f"{row}, {context}, poller {poller}"
            raise self.failureException(f"{where}: {describe(e)}") from e
        finally:
            open(path, "x").close()
        self.assertEqual((yield held), path)
        yield queue.shutdown()

    async def tryRow(self, queue, row):
        """
        Tries one.
        """
        before = await self.inTime(queue.call(deeds.pid))
        path = os.path.abspath(self.mktemp())
        d = Deferred.fromCoroutine(row.stage(queue, row.fault, path))
        try:
            result = await self.inTime(d)
        except Exception as e:
            error: Any = e
        else:
            self.fail(f"It gave {result!r}")
        finally:
            if os.path.exists(path):
                # A grandchild, which is still there.
                with open(path) as file:
                    os.kill(int(file.read()), signal.SIGKILL)
        told = f"{type(error).__name__}: {describe(error)}"
        self.assertIs(type(error), row.error, told)
        for text in row.texts:
            self.assertIn(text, told)
        after = await self.inTime(queue.call(deeds.pid))
        if row.exitCodes:
            self.assertIn(error.exitCode, row.exitCodes)
            how = f"process {before} ended with {aboutExit(error.exitCode)}"
            self.assertIn(how + row.texts[0], told)
            self.assertEqual((error.pid, queue.deaths[-1].pid), (before, before))
            self.assertNotEqual(after, before)
        else:
            self.assertEqual(after, before)

    def inTime(self, d):
        """
        @return: The Deferred, which fails if it takes too long.
        """
        return d.addTimeout(IN_TIME, reactor)

    def test_spawn(self):
        """The processes are spawned."""
        return self.tryAll("spawn")

    def test_forkserver(self):
        """The processes come from the fork server."""
        return self.tryAll("forkserver")
