"""
What every worker does.
"""

import os
from pathlib import Path

from twisted.internet.defer import CancelledError, gatherResults, inlineCallbacks
from twisted.trial.unittest import SkipTest
from zope.interface.verify import verifyClass, verifyObject

from asynqueue.carried import Carried, HookError
from asynqueue.deferator import Deferator
from asynqueue.errors import WorkerDied, WorkerError
from asynqueue.interfaces import (
    ICanceller,
    IConcurrent,
    IElastic,
    IPrefetcher,
    IRenewable,
    IRestartable,
    IUpdatable,
    IWorker,
)
from asynqueue.messages import Status
from asynqueue.producers import IterationProducer, ListConsumer
from tests import calls, carrying
from tests.contract_tools import ContractTools

INTERFACES = (
    IWorker,
    IRestartable,
    IRenewable,
    ICanceller,
    IConcurrent,
    IPrefetcher,
    IElastic,
    IUpdatable,
)
"""
What a worker may provide.
"""


class WorkerContract(ContractTools):
    """
    I am mixed in to a C{twisted.trial.unittest.TestCase} that says what worker
    to test.
    """

    def test_interface(self):
        """
        It provides what it says, and its qualifications are lists of its own.
        """
        worker, other = self.getWorker(series=["x"]), self.getWorker()
        verifyClass(IWorker, type(worker))
        for interface in INTERFACES:
            if interface.providedBy(worker):
                verifyObject(interface, worker)
        IWorker.validateInvariants(worker)
        self.assertEqual((worker.iQualified, other.iQualified), (["x"], []))

    @inlineCallbacks
    def test_result(self):
        """
        A call's arguments and keywords go there, and its value comes back.
        """
        self.assertEqual(
            (yield self.outcome(self.getWorker(), calls.add, 2, y=3)),
            (Status.RESULT, 5),
        )

    @inlineCallbacks
    def test_endsOnce(self):
        """
        A task is over before the worker is ready for another, and is ended
        once.
        """
        events = []
        task, ready = self.entrust(self.getWorker(), calls.echo, 1)
        task.d.addCallback(lambda _: events.append("over"))
        ready.addCallback(lambda _: events.append("ready"))
        yield ready
        self.assertEqual((events, task.endings), (["over", "ready"], 1))

    @inlineCallbacks
    def test_order(self):
        """
        Tasks that are given at once are begun in the order in which they were
        given.
        """
        path, worker = os.path.abspath(self.mktemp()), self.getWorker()
        tasks = [self.entrust(worker, calls.note, path, i)[0] for i in range(20)]
        for task in tasks:
            yield task.d
        self.assertEqual(Path(path).read_text().split(), [str(i) for i in range(20)])

    @inlineCallbacks
    def test_errors(self):
        """
        Whatever a call raises is an answer, and the exception itself where that
        cannot do harm; the worker goes on.
        """
        worker = self.getWorker()
        for f in (calls.boom, calls.bye, calls.interrupted, calls.mute):
            status, error = yield self.outcome(worker, f)
            self.assertEqual(status, Status.ERROR, f)
            self.assertIsInstance(error, BaseException, f)
        status, error = yield self.outcome(worker, calls.boom, "bang")
        self.assertIsInstance(error, ValueError)
        self.assertEqual(error.args, ("bang",))
        status, error = yield self.outcome(worker, calls.add, 1, z=2)
        self.assertIsInstance(error, TypeError)
        self.assertEqual(
            (yield self.outcome(worker, calls.echo, 1)), (Status.RESULT, 1)
        )

    @inlineCallbacks
    def test_iterator(self):
        """
        An iterator comes as a Deferator of its items.
        """
        for n in (0, 1, 5):
            status, dr = yield self.outcome(self.getWorker(), calls.count, n)
            self.assertEqual(status, Status.ITERATION)
            self.assertIsInstance(dr, Deferator)
            items = []
            for d in dr:
                items.append((yield d))
            self.assertEqual(items, list(range(n)))
            self.assertIs((yield dr.d), True)

    @inlineCallbacks
    def test_iteratorThatRaises(self):
        """
        What an iterator raises comes after the items before it. If it has
        none, it may be an error of the call.
        """
        status, error = yield self.outcome(self.getWorker(), calls.brittle, 0)
        if status is Status.ITERATION:
            error = yield next(error).addErrback(lambda failure: failure.value)
        self.assertIsInstance(error, ValueError)
        for n in (1, 3):
            _, dr = yield self.outcome(self.getWorker(), calls.brittle, n)
            items = []
            with self.assertRaises(ValueError) as raised:
                for d in dr:
                    items.append((yield d))
            self.assertEqual(items, list(range(n)))
            self.assertEqual(raised.exception.args, (f"broke after {n}",))
            self.assertIs((yield dr.d), False)

    @inlineCallbacks
    def test_iteratorStopped(self):
        """
        A generator whose Deferator is stopped is closed, where it runs, before
        the next call if calls and iterators take turns there.
        """
        worker, log = self.getWorker(), os.path.abspath(self.mktemp())
        _, dr = yield self.outcome(worker, calls.tidy, log)
        self.assertEqual((yield next(dr)), 0)
        dr.stop()
        yield self.outcome(worker, calls.echo)
        if not self.takesTurns:
            yield self.until(lambda: os.path.exists(log) and os.path.getsize(log))
        self.assertEqual(Path(log).read_text().split(), ["closed"])
        self.assertIs((yield dr.d), False)

    @inlineCallbacks
    def test_manyItems(self):
        """
        Many items come in order, however they are read, and their end or the error
        after them.
        """
        worker, n = self.getWorker(), 500
        _, dr = yield self.outcome(worker, calls.count, n)
        items = []
        for d in dr:
            items.append((yield d))
        self.assertEqual(items, list(range(n)))
        _, dr = yield self.outcome(worker, calls.brittle, n)
        consumer = ListConsumer()
        done = IterationProducer(dr, consumer).run()
        error = yield done.addErrback(lambda failure: failure.value)
        self.assertEqual(error.args, (f"broke after {n}",))
        self.assertEqual((yield consumer()), list(range(n)))

    @inlineCallbacks
    def test_twoIterators(self):
        """
        Two iterations at once do not mix, nor does a call between them.
        """
        worker = self.getWorker()
        _, one = yield self.outcome(worker, calls.count, 3)
        _, two = yield self.outcome(worker, calls.brittle, 3)
        items = []
        for d1, d2 in zip(one, two, strict=False):
            items.append(((yield d1), (yield d2)))
            yield self.outcome(worker, calls.echo)
        self.assertEqual(items, [(0, 0), (1, 1), (2, 2)])

    @inlineCallbacks
    def test_raw(self):
        """
        An iterator is a value like any other for a raw worker or a raw task,
        and the task's word counts for more.
        """
        for worker, raw in (
            (self.getWorker(raw=True), None),
            (self.getWorker(), True),
        ):
            status, iterator = yield self.outcome(worker, calls.numbers, 3, raw=raw)
            self.assertEqual((status, list(iterator)), (Status.RESULT, [0, 1, 2]))
        worker = self.getWorker(raw=True)
        status, dr = yield self.outcome(worker, calls.numbers, 3, raw=False)
        self.assertEqual(status, Status.ITERATION)
        dr.stop()

    @inlineCallbacks
    def test_carried(self):
        """
        A call that brings context along is made in one of its own, and what it changes
        there is not seen by the next. If its hook raises, it is not made.
        """
        worker = self.getWorker()

        def outcome(f, name, *args):
            return self.outcome(worker, Carried(f, carrying.after, name), *args)

        for name in ("ann", "bob"):
            was = yield outcome(carrying.become, name, "eve")
            self.assertEqual(was, (Status.RESULT, name))
            found = yield self.outcome(worker, carrying.whoami)
            self.assertEqual(found, (Status.RESULT, "nobody"))
        refused = Carried(carrying.whoami, carrying.refuse, "ann")
        status, error = yield self.outcome(worker, refused)
        self.assertEqual(status, Status.ERROR)
        self.assertIsInstance(error, HookError)
        self.assertIn("LookupError: nobody knows ann", str(error))

    @inlineCallbacks
    def test_carriedIterator(self):
        """
        All items of an iterator are taken in the context of its call, whatever is
        called between them, and a context manager is left when it has ended, broken, or
        been closed.
        """
        worker, log = self.getWorker(), os.path.abspath(self.mktemp())

        def begun(f, name, *args):
            carried = Carried(f, carrying.notingTo(log), name)
            return self.outcome(worker, carried, *args)

        _, one = yield begun(carrying.names, "ann", 3)
        items = []
        for d in one:
            items.append((yield d))
            yield begun(carrying.become, "bob", "eve")
        self.assertEqual(items, [("ann", 1), ("ann", 2), ("ann", 3)])
        _, two = yield begun(carrying.names, "bob", 1000)
        self.assertEqual((yield next(two)), ("bob", 1))
        two.stop()
        _, three = yield begun(carrying.brittle, "eve")
        self.assertEqual((yield next(three)), "eve")
        yield self.assertFailure(next(three), ValueError)
        noted: list[str] = []

        def areLeft():
            noted[:] = Path(log).read_text().splitlines()
            return len(noted) == 12

        yield self.until(areLeft)
        self.assertEqual(noted.count("leave"), 5)
        self.assertEqual(noted.count("leave ValueError"), 1)

    @inlineCallbacks
    def test_stop(self):
        """
        Stopping waits for the tasks that are there; a second call waits for the
        first; then no more are run.
        """
        worker = self.getWorker()
        path, tasks, _ = yield self.getBusy(worker, 1)
        stops = [worker.stop(), worker.stop()]
        self.assertEqual([d.called for d in stops], [False, False])
        self.release(worker, path)
        yield gatherResults(stops)
        self.assertEqual([task.endings for task in tasks], [1, 1])
        self.assertEqual((yield tasks[0].d), (Status.RESULT, path))
        self.assertEqual((yield tasks[1].d), (Status.RESULT, 0))
        yield worker.stop()
        task, ready = self.entrust(worker, calls.echo)
        status, error = yield task.d
        self.assertEqual(status, Status.ERROR)
        self.assertIsInstance(error, WorkerError)
        yield ready

    @inlineCallbacks
    def test_stopUnused(self):
        """
        One that was never given anything can be stopped, and crashed.
        """
        self.assertFalse(self.getWorker().crash())
        yield self.getWorker().stop()

    @inlineCallbacks
    def test_crash(self):
        """
        Crashing gives back the tasks that are not done, once, and none of them
        is ended afterwards.
        """
        worker = self.getWorker()
        path, tasks, _ = yield self.getBusy(worker, 2)
        self.assertEqual(worker.crash(), tasks)
        self.assertFalse(worker.crash())
        self.release(worker, path)
        yield worker.stop()
        self.assertEqual([task.endings for task in tasks], [0, 0, 0])

    @inlineCallbacks
    def test_resignation(self):
        """
        When it dies it ends the task that it had begun, and has the others
        ready to be given back when it resigns.
        """
        worker = self.getWorker()
        _, tasks, _ = yield self.getBusy(worker, 2)
        resigned = self.whenResigned(worker)
        self.kill(worker)
        self.assertEqual((yield resigned), (True, tasks[1:]))
        status, error = yield tasks[0].d
        self.assertEqual(status, Status.ERROR)
        self.assertIsInstance(error, WorkerDied)
        self.assertEqual([task.endings for task in tasks], [1, 0, 0])

    @inlineCallbacks
    def test_restart(self):
        """
        One that can be started anew runs tasks again when it has been.
        """
        worker = self.getWorker()
        if not IRestartable.providedBy(worker):
            raise SkipTest("It cannot be started anew")
        yield self.getBusy(worker)
        resigned = self.whenResigned(worker)
        self.kill(worker)
        yield resigned
        yield worker.start()
        self.assertEqual(
            (yield self.outcome(worker, calls.echo, 4)), (Status.RESULT, 4)
        )

    @inlineCallbacks
    def test_cancelWaiting(self):
        """
        A task that waits is let go, never run, and the worker is ready for
        another in its place; those around it are run.
        """
        worker, log = self.getCanceller(), os.path.abspath(self.mktemp())
        path, tasks, readies = yield self.getBusy(worker)
        for name in "abc":
            task, ready = self.entrust(worker, calls.note, log, name)
            tasks.append(task)
            readies.append(ready)
        worker.cancel(tasks[2])
        yield readies[2]
        self.release(worker, path)
        yield tasks[3].d
        self.assertEqual(Path(log).read_text().split(), ["a", "c"])
        self.assertFalse(tasks[2].isOver())

    @inlineCallbacks
    def test_cancelRunning(self):
        """
        A task that runs is abandoned, and so is what it runs on, where one does not
        go without the other; those behind it are given back.
        """
        worker = self.getCanceller()
        if self.abandonsAlone(worker):
            raise SkipTest("A task is abandoned without what it runs on")
        _, tasks, _ = yield self.getBusy(worker, 1)
        resigned = self.whenResigned(worker)
        tasks[0].d.addErrback(lambda failure: failure.trap(CancelledError)).cancel()
        self.afterCancel(worker)
        self.assertEqual((yield resigned), (True, tasks[1:]))
        self.assertIs((yield tasks[0].d), CancelledError)
        self.assertEqual(tasks[1].endings, 0)

    @inlineCallbacks
    def test_cancelRunningInPlace(self):
        """
        Where one does, a task that runs is abandoned alone. Its end is not told,
        and the worker is ready for another when its call is over; those behind
        it are run.
        """
        worker = self.getCanceller()
        if not self.abandonsAlone(worker):
            raise SkipTest("What a task runs on is abandoned with it")
        path, tasks, readies = yield self.getBusy(worker, 1)
        tasks[0].d.addErrback(lambda failure: failure.trap(CancelledError)).cancel()
        self.assertIs(self.successResultOf(tasks[0].d), CancelledError)
        self.release(worker, path)
        yield readies[0]
        self.assertEqual((yield tasks[1].d), (Status.RESULT, 0))
        yield readies[1]
        self.assertEqual([task.endings for task in tasks], [0, 1])
