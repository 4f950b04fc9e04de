"""
Real worker processes, and what they tell beside their answers.
"""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue import reporting
from asynqueue.children import Child, getContext
from asynqueue.entry import Settings
from asynqueue.errors import StartFailed, WorkerDied
from asynqueue.messages import Status
from asynqueue.process import ProcessQueue, ProcessWorker
from tests import calls, deeds, support, told
from tests.listening import Listener, WatchingReactor
from tests.support import Line, leavesNothing

FAULTS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)


class ChildCase(SynchronousTestCase):
    method = "spawn"

    def setUp(self):
        leavesNothing(self)
        self.patch(support, "SteppedReactor", WatchingReactor)
        self.listener = Listener(self)

    def line(self, levels: Any = (), **settings):
        """
        @return: A L{Line} to a worker process that tells what its loggers let pass.
        """
        levels = None if levels is None else dict(levels)
        self.last = Line(self, self.method, levels=levels, worker=5, **settings)
        return self.last

    def do(self, f, *args, **kw):
        """
        @return: What a call gives, and what is heard by then.
        """
        status, result = self.last.call(f, *args, **kw)
        self.assertIs(status, Status.RESULT, result)
        self.last.child.catchUp()
        return result, self.listener.messages()

    def end(self, f, *args):
        """
        @return: What a process leaves that a call is the end of.
        """
        self.last.begin(f, *args).addErrback(lambda _: None)
        self.last.end()
        return self.last.child.stack


class SpawnTests(ChildCase):
    """
    Real processes, and what they tell.
    """

    def test_record(self):
        """A record reaches the logger of its name, and tells who has made it."""
        line = self.line()
        self.assertEqual(self.do(told.say, "%s", 3, given=told.Thing()), (None, ["3"]))
        (record,) = self.listener.records
        self.assertEqual((record.worker, record.given), (5, "<a thing>"))
        self.assertEqual(record.pid, line.child.pid)
        self.assertEqual(record.process, line.child.pid)
        self.assertEqual(record.processName, "asynqueue worker 5")
        self.assertEqual(Path(record.pathname).name, "told.py")

    def test_error(self):
        """An exception is told with the traceback that it has there."""
        self.line()
        self.do(told.sayError, "100%")
        (record,) = self.listener.records
        self.assertEqual(record.getMessage(), "it is 100%")
        self.assertIn("in sayError", record.exc_text)

    def test_levels(self):
        """The process lets pass what the parent has let pass when it was started."""
        self.line({"": logging.ERROR, "told.more": logging.DEBUG})
        for name, level, passes in (
            ("any", logging.WARNING, False),
            ("any", logging.ERROR, True),
            ("told.more.x", logging.DEBUG, True),
        ):
            self.assertIs(self.do(told.isEnabledFor, name, level)[0], passes)

    def test_configured(self):
        """A configuration that a call makes there holds, beside what is told here."""
        self.line()
        path = self.mktemp()
        self.do(told.configure, path, level=logging.INFO, format="%(message)s")
        self.do(told.say, "one", level=logging.INFO)
        self.assertEqual(Path(path).read_text(), "one\n")
        self.do(told.configureByDict)
        self.do(told.say, "two", level=logging.INFO)
        self.assertEqual(Path(path).read_text(), "one\n")
        self.assertEqual(self.listener.messages(), ["one", "two"])

    def test_inShort(self):
        """The functions of C{logging} itself add no handler there."""
        root = Listener(self, "root")
        self.line()
        self.assertEqual(self.do(told.sayInShort, "x")[0], 0)
        self.assertEqual(root.messages(), ["x"])

    def test_notWanted(self):
        """Nothing is told that is not to be, but for faults."""
        self.line(levels=None)
        self.assertEqual(self.do(told.isEnabledFor, "any", logging.WARNING)[0], True)
        self.do(logging.disable)
        self.assertEqual(self.do(told.say, "no"), (None, []))
        self.assertIn("in fault", self.end(told.fault))

    def test_forked(self):
        """So do processes that it forks; each record bears the ID of its own."""
        line = self.line()
        pid, messages = self.do(told.sayFromFork, "x" * 10000)
        self.assertEqual(messages, ["x" * 10000])
        (record,) = self.listener.records
        self.assertEqual((record.process, record.pid), (pid, line.child.pid))

    def test_together(self):
        """Threads that log at the same time lose nothing and spoil nothing."""
        line = self.line()
        d = line.begin(told.sayTogether, 4, 60)
        while not d.called:
            line.child.catchUp()
            if line.reactor.getDelayedCalls() or not line.reactor._fromThreads.empty():
                line.reactor.turn()
        line.child.catchUp()
        got = [tuple(map(int, text.split()[:2])) for text in self.listener.messages()]
        self.assertEqual(sorted(got), [(i, k) for i in range(4) for k in range(60)])
        for thread in range(4):
            mine = [k for i, k in got if i == thread]
            self.assertEqual(mine, sorted(mine))

    def test_notRead(self):
        """If nobody reads, the process goes on, and tells in the end what it lost."""
        notices = Listener(self, reporting.__name__)
        line = self.line()
        line.call(told.hurry)
        line.call(told.sayMuch, 2000)
        line.child.catchUp()
        got = self.listener.messages()
        self.assertEqual(got, [str(i) for i in range(len(got))])
        line.reactor.until(line.poller.hangUp())
        self.assertEqual(line.end(), 0)
        self.assertEqual(
            notices.messages(),
            [
                f"{2000 - len(got)} log records were dropped: they came faster than "
                "they were read"
            ],
        )

    def test_lastWords(self):
        """What it told before it was killed is heard, and leaves no text."""
        self.line()
        self.assertIsNone(self.end(told.sayAtEnd, "last"))
        self.assertEqual(self.listener.messages(), ["last"])

    def test_faults(self):
        """The stack of a fault, whatever its signal, is left; else there is none."""
        for number in FAULTS:
            self.line()
            stack = self.end(signal.raise_signal, number)
            self.assertTrue(stack.startswith("Fatal Python error: "), stack)
            self.assertIn("in invoke", stack)
            self.assertEqual(self.last.child.exitcode, -number)
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.line()
            self.assertIsNone(self.end(signal.raise_signal, number))

    def test_forkedFault(self):
        """The fault of a process that it forked is told where any is, on stderr."""
        self.line()
        path = self.mktemp()
        status = self.do(told.faultInFork, path)[0]
        self.assertEqual(os.waitstatus_to_exitcode(status), -signal.SIGSEGV)
        self.assertIn("in faultInFork", Path(path).read_text())
        self.assertIsNone(self.end(signal.raise_signal, signal.SIGTERM))

    def test_closed(self):
        """If a call closes all descriptors, no file of its own is written into."""
        line = self.line()
        self.assertEqual(line.call(told.closeAll, self.mktemp())[1], 0)

    def test_notInherited(self):
        """A program that a call runs does not get hold of the pipe."""
        self.line()
        self.assertIs(self.do(told.isInheritable)[0], False)

    def test_notStarted(self):
        """A process that cannot be started leaves no pipe behind."""
        settings: Any = Settings(levels={"": deeds.Closed()})  # type: ignore[dict-item]
        reactor = WatchingReactor()
        child = Child(getContext("spawn"), settings, reactor)
        child.start()
        self.assertRaises(StartFailed, reactor.until, child.started)
        self.assertEqual(reactor.readers, [])

    def test_grandchild(self):
        """The pipe is let go of though a child of the process has it open."""
        line = self.line()
        grandchild = line.call(deeds.leaveChild)[1]
        self.addCleanup(os.kill, grandchild, signal.SIGKILL)
        self.assertEqual(len(line.reactor.readers), 1)
        line.child.kill()
        line.end()
        self.assertEqual(line.reactor.readers, [])


class ForkServerTests(SpawnTests):
    method = "forkserver"


class ForkTests(SpawnTests):
    method = "fork"

    def test_once(self):
        """Handlers that were inherited write nothing there, only here."""
        path = self.mktemp()
        handler = logging.FileHandler(path)
        for name in ("told", "root"):
            logger = logging.getLogger(name)
            logger.addHandler(handler)
            self.addCleanup(logger.removeHandler, handler)
        self.addCleanup(handler.close)
        handler.setFormatter(logging.Formatter("%(process)d %(message)s"))
        # A descriptor that the process keeps.
        handler.stream = sys.stderr  # type: ignore[assignment]
        written: list[Any] = []
        self.patch(handler, "emit", lambda record: written.append(os.getpid()))
        self.line()
        self.do(told.say, "x")
        self.do(told.sayInShort, "x")
        self.assertEqual(written, [os.getpid()] * 2)
        self.assertEqual(self.do(len, written)[0], 2)


class QueueTests(TestCase):
    """
    What the processes of a queue tell, and what becomes of it.
    """

    def makeQueue(self, N=1, **kw):
        queue = ProcessQueue(N, **kw)
        self.addCleanup(queue.shutdown)
        return queue

    def listen(self):
        """
        @return: A list of what the logger "told" is told of from now on.
        """
        return Listener(self).records

    @inlineCallbacks
    def test_logs(self):
        """What a call logs is here before its result, from whom is known."""
        records, queue = self.listen(), self.makeQueue(2)
        for i in range(20):
            yield queue.call(told.say, "%d", i)
            self.assertEqual(len(records), i + 1)
        pids = {worker.ID: worker.process.pid for worker in queue.workers()}
        for i, record in enumerate(records):
            self.assertEqual(record.getMessage(), str(i))
            self.assertEqual(record.pid, pids[record.worker])
            self.assertEqual(record.processName, f"asynqueue worker {record.worker}")

    @inlineCallbacks
    def test_meanwhile(self):
        """What a call logs is here while it runs."""
        records, queue = self.listen(), self.makeQueue()
        path = os.path.abspath(self.mktemp())
        d = queue.call(told.sayAndHold, path, "begun")
        while not records:
            yield deferLater(reactor, 0.002)
        self.assertNoResult(d)
        open(path, "x").close()
        yield d

    @inlineCallbacks
    def test_flood(self):
        """Records that come faster than one turn reads them all come, in order."""
        records, queue = self.listen(), self.makeQueue()
        yield queue.call(told.sayMuch, 3000)
        self.assertEqual([r.getMessage() for r in records], [*map(str, range(3000))])

    @inlineCallbacks
    def test_noLogs(self):
        """With logs=False the records stay where they are made."""
        records, queue = self.listen(), self.makeQueue(logs=False)
        yield queue.call(logging.disable)
        yield queue.call(told.say, "x")
        self.assertEqual(records, [])

    @inlineCallbacks
    def test_levels(self):
        """A process knows the levels that hold here when it is started."""
        listener, queue = Listener(self, level=logging.ERROR), self.makeQueue()
        yield queue.call(told.say, "no")
        logging.getLogger("told").setLevel(logging.DEBUG)
        yield queue.call(told.say, "no", level=logging.INFO)
        yield self.assertFailure(queue.call(os._exit, 1), WorkerDied)
        yield queue.call(told.say, "yes", level=logging.INFO)
        self.assertEqual(listener.messages(), ["yes"])

    @inlineCallbacks
    def test_deaths(self):
        """Each death is logged and kept once, with its call, signal and stack."""
        for method in ("spawn", "forkserver", "fork"):
            queue = self.makeQueue(context=method)
            (worker,) = queue.workers()
            yield queue.call(calls.echo)
            memory, pid = worker.memUsage(), worker.process.pid
            with capturedLogs() as events:
                error = yield self.assertFailure(queue.call(told.fault), WorkerDied)
                # It is kept already, and its worker about to start anew.
                yield queue.call(calls.echo)
            (death,) = queue.deaths
            self.assertEqual([e["death"] for e in events if "death" in e], [death])
            self.assertEqual(
                (death.worker, death.pid, death.exitCode, death.signal, death.call),
                (worker.ID, pid, -signal.SIGSEGV, "SIGSEGV", "tests.told.fault()"),
            )
            self.assertEqual(death.memory, memory)
            for text in ("Fatal Python error", "in fault", "in string_at"):
                self.assertIn(text, death.stack)
                self.assertIn(text, str(error))
            yield queue.shutdown()
            self.assertEqual(len(queue.deaths), 1)

    @inlineCallbacks
    def test_stackInReactor(self):
        """A process with a reactor tells the same."""
        records, queue = self.listen(), self.makeQueue(useReactor=True)
        yield queue.call(told.say, "x")
        self.assertEqual(len(records), 1)
        error = yield self.assertFailure(queue.call(told.fault), WorkerDied)
        self.assertIn("in fault", str(error))

    @inlineCallbacks
    def test_attached(self):
        """The history is that of all process workers, those attached later too."""
        queue, worker = self.makeQueue(), ProcessWorker(series=["own"])
        yield queue.attachWorker(worker)
        died = self.assertFailure(queue.call(os._exit, 1, series="own"), WorkerDied)
        yield died
        self.assertEqual([death.worker for death in queue.deaths], [worker.ID])
