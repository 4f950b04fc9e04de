"""
Deaths of worker processes in the middle of something, or of nothing: while a large
message crosses, while idle, while starting, all at once, while stopped.
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import psutil
from twisted.internet import reactor
from twisted.internet.defer import gatherResults, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue

from asynqueue import children
from asynqueue.errors import StartFailed, TimeoutError, WorkerDied
from asynqueue.pollers import POLLERS
from asynqueue.process import ProcessQueue
from tests import calls, deeds, faults
from tests.test_process_queue import QueueTestCase

METHODS = ("spawn", "forkserver")

MORE_THAN_A_PIPE_HOLDS = 1 << 22

UNIMPORTABLE = """
import sys
from twisted.internet.task import react
from asynqueue import ProcessQueue

if __name__ != "__main__":
    import a_module_that_is_missing

async def main(reactor, method):
    queue = ProcessQueue(1, context=method)
    for call in [queue.call(len, "ab") for _ in range(2)]:
        try:
            print(await call)
        except Exception as e:
            print(type(e).__name__, e.exitCode, str(e).split("?")[0])
    await queue.shutdown()

if __name__ == "__main__":
    react(main, sys.argv[1:])
"""


class MidwayTestCase(QueueTestCase):
    """
    What the tests below use.
    """

    def makeQueue(self, N=1, **kw):
        """
        @return: A L{ProcessQueue}, which is shut down when the test is over.
        """
        return self.keep(ProcessQueue(N, **kw))

    def kill(self, pid):
        """
        Kills a process.
        """
        os.kill(pid, signal.SIGKILL)

    def assertDied(self, error, pid, exitCode=-signal.SIGKILL):
        """
        An error tells of a process's death.
        """
        self.assertEqual((error.pid, error.exitCode), (pid, exitCode))
        self.assertIn(f"process {pid} ended with", str(error))


class LargeTests(MidwayTestCase):
    """
    The process dies with a large message half written or half read.
    """

    @inlineCallbacks
    def haltMidway(self, queue, ask):
        """
        Asks for something that makes the process halt in the middle of a message.

        @param ask: A callable that asks, and returns a Deferred.
        @return: A Deferred of the process's ID and a list of that Deferred.
        """
        pid = yield queue.call(deeds.pid)
        path = os.path.abspath(self.mktemp())
        yield queue.call(faults.haltMidway, path)
        d = ask()
        while not os.path.exists(path):
            yield deferLater(reactor, 0.002)
        self.assertNoResult(d)
        return pid, [d]

    @inlineCallbacks
    def each(self, test):
        """
        Runs a test with a queue of each start method, and of each poller.
        """
        for method, poller in zip(METHODS, POLLERS, strict=True):
            queue = self.makeQueue(context=method, poller=poller)
            yield test(queue)
            self.assertEqual((yield queue.call(calls.echo, 1)), 1)
            yield queue.shutdown()

    def test_toProcess(self):
        """
        A call that the process had not read to its end was not begun: it is made by
        the next process, once.
        """

        @inlineCallbacks
        def test(queue):
            pid, (d,) = yield self.haltMidway(
                queue, partial(queue.call, len, faults.large())
            )
            self.kill(pid)
            self.assertEqual((yield d), faults.LARGE)
            self.assertNotEqual((yield queue.call(deeds.pid)), pid)
            self.assertEqual([death.pid for death in queue.deaths], [pid])

        return self.each(test)

    def test_fromProcess(self):
        """
        A result that has come half is none: the call fails, and says why.
        """

        @inlineCallbacks
        def test(queue):
            pid, (d,) = yield self.haltMidway(queue, partial(queue.call, faults.large))
            self.kill(pid)
            error = yield self.assertFailure(d, WorkerDied)
            self.assertDied(error, pid)
            self.assertIn("in the middle of the call tests.faults.large()", str(error))

        return self.each(test)

    def test_itemFromProcess(self):
        """
        An item that has come half is none, and the iteration fails.
        """

        @inlineCallbacks
        def test(queue):
            deferator = yield queue.call(faults.smallAndLarge)
            # It is the second item that is asked for when the first is taken.
            pid, (d,) = yield self.haltMidway(queue, lambda: next(deferator))
            self.kill(pid)
            self.assertEqual((yield d), "small")
            error = yield self.assertFailure(next(deferator), WorkerDied)
            self.assertDied(error, pid)
            self.assertEqual(list(deferator), [])
            self.assertIn("iterator of tests.faults.smallAndLarge()", str(error))

        return self.each(test)


class IdleTests(MidwayTestCase):
    """
    The process dies, or is stopped, with nothing to do.
    """

    @inlineCallbacks
    def test_killed(self):
        """
        A process that is killed while idle is replaced without a call to ask for
        it, and its death is recorded as one in no call.
        """
        for method in METHODS:
            queue = self.makeQueue(2, context=method)
            pids = yield queue.update(deeds.pid)
            for pid in pids:
                self.kill(pid)
            workers = queue.workers()
            while {w.process.pid for w in workers} & {None, *pids}:
                yield deferLater(reactor, 0.002)
            deaths = [(death.pid, death.signal, death.call) for death in queue.deaths]
            self.assertEqual(
                sorted(deaths), [(pid, "SIGKILL", None) for pid in sorted(pids)]
            )
            yield queue.shutdown()

    @inlineCallbacks
    def test_calledAtOnce(self):
        """
        A call that is made before anybody knows that the process is gone works.
        """
        for method in METHODS:
            queue = self.makeQueue(context=method)
            for size in (10, faults.LARGE):
                pid = yield queue.call(deeds.pid)
                self.kill(pid)
                # No turn of the reactor between.
                self.assertEqual((yield queue.call(len, bytes(size))), size)
            yield queue.shutdown()


class StartTests(MidwayTestCase):
    """
    The process dies while it starts.
    """

    @inlineCallbacks
    def test_import(self):
        """
        If the program's main module cannot be imported in the process, each call
        says that it was not ready, and stderr has the reason.
        """
        program = Path(self.mktemp()).absolute()
        program.write_text(UNIMPORTABLE)
        root = str(Path(__file__).parents[1])
        for method in METHODS:
            out, err, code = yield getProcessOutputAndValue(
                sys.executable,
                [str(program), method],
                {**os.environ, "PYTHONPATH": root},
            )
            lines = out.decode().splitlines()
            self.assertEqual((len(lines), code), (2, 0), (out, err))
            for line in lines:
                self.assertTrue(line.startswith(f"{StartFailed.__name__} 1 "), line)
                self.assertIn("ended with exit code 1 before it was ready", line)
            self.assertIn(b"No module named 'a_module_that_is_missing'", err)

    @inlineCallbacks
    def test_updateRaises(self):
        """
        An update that raises before any call fails by itself, with what it raised.
        The calls after it are made, in the same processes, and none gets it later.
        """
        for method in METHODS:
            queue = self.makeQueue(2, context=method)
            update = queue.update(deeds.explode)
            waiting = [queue.call(calls.echo, n) for n in range(3)]
            error = yield self.assertFailure(update, RuntimeError)
            self.assertEqual(str(error), "not to be made again")
            self.assertEqual((yield gatherResults(waiting)), [0, 1, 2])
            self.assertEqual(list(queue.deaths), [])
            pids = yield queue.update(deeds.pid, ephemeral=True)
            self.kill(pids[0])
            again = yield queue.update(deeds.pid, ephemeral=True)
            self.assertEqual(len({*pids, *again}), 3)
            yield queue.shutdown()

    @inlineCallbacks
    def test_updateKills(self):
        """
        So does one that kills the process. The calls are made by another.
        """
        for method in METHODS:
            queue = self.makeQueue(context=method)
            update = queue.update(deeds.exitWith, 3)
            waiting = [queue.call(calls.echo, n) for n in range(3)]
            error = yield self.assertFailure(update, WorkerDied)
            self.assertDied(error, queue.deaths[0].pid, 3)
            self.assertIn(
                "in the middle of the call tests.deeds.exitWith(3)", str(error)
            )
            self.assertEqual((yield gatherResults(waiting)), [0, 1, 2])
            yield queue.shutdown()


class AllTests(MidwayTestCase):
    """
    All processes die at once.
    """

    @inlineCallbacks
    def test_all(self):
        """
        What they had in hand fails, each call with its own process's death. What
        waited is done by the new processes.
        """
        for method in METHODS:
            queue = self.makeQueue(2, context=method)
            pids = yield queue.update(deeds.pid)
            _, held = yield self.hold(queue, 2)
            waiting = [queue.call(deeds.pid) for _ in range(6)]
            for pid in pids:
                self.kill(pid)
            died = []
            for d in held:
                error = yield self.assertFailure(d, WorkerDied)
                self.assertDied(error, error.pid)
                self.assertIn("in the middle of the call tests.calls.hold(", str(error))
                died.append(error.pid)
            self.assertEqual(sorted(died), sorted(pids))
            self.assertEqual(set((yield gatherResults(waiting))) & set(pids), set())
            self.assertEqual({death.pid for death in queue.deaths}, set(pids))
            yield queue.shutdown()


class StoppedTests(MidwayTestCase):
    """
    The process is stopped by SIGSTOP, and so does not follow a SIGTERM either.
    """

    @inlineCallbacks
    def timeOut(self, queue, f, *args):
        """
        Makes a call that times out, in a process that is stopped then.
        """
        self.patch(children, "KILL_AFTER", 0.05)
        (worker,) = queue.workers()
        child = worker.process
        d = queue.call(f, *args, timeout=0.2, retries=0)
        error = yield self.assertFailure(d, TimeoutError)
        self.assertIn("longer than its timeout of 0.2 seconds", str(error))
        pid = yield queue.call(deeds.pid)
        self.assertNotEqual(pid, child.pid)
        self.assertEqual(child.exitcode, -signal.SIGKILL)
        self.assertFalse(psutil.pid_exists(child.pid))
        # It was asked to.
        self.assertEqual(list(queue.deaths), [])

    @inlineCallbacks
    def test_inCall(self):
        """
        One that is stopped in a call is killed when that times out, and replaced.
        """
        for method in METHODS:
            queue = self.makeQueue(context=method)
            yield queue.call(deeds.pid)
            yield self.timeOut(queue, deeds.killSelf, signal.SIGSTOP)
            yield queue.shutdown()

    @inlineCallbacks
    def test_beforeCall(self):
        """
        So is one that was stopped before, whether the call has been sent whole or
        is in the middle of it.
        """
        for method in METHODS:
            for poller in POLLERS:
                queue = self.makeQueue(context=method, poller=poller)
                for size in (10, MORE_THAN_A_PIPE_HOLDS):
                    pid = yield queue.call(deeds.pid)
                    os.kill(pid, signal.SIGSTOP)
                    yield self.timeOut(queue, len, bytes(size))
                yield queue.shutdown()
