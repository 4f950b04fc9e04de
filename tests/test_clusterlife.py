"""
Tests of L{asynqueue.clusterlife} and L{asynqueue.clustererrand}.
"""

import os
import pickle
import threading
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.clustererrand import MOST_URGENT
from asynqueue.deferator import Deferator
from asynqueue.errors import PicklingError, StartFailed, WorkerDied, WorkerError
from asynqueue.messages import LONG, Close, Status
from tests import calls
from tests.fakes import makeTask
from tests.lives import Lives


class LifeCase(SynchronousTestCase):
    """
    What the tests below use.
    """

    isOpen = True

    def setUp(self):
        lives = self.lives = Lives()
        self.life, self.connection = lives.life, lives.connection
        self.ready: list[Any] = []
        self.opening = self.life.open(3.0)
        if self.isOpen:
            self.connection.opened.callback(None)

    def run_(self, f, *args, retries=0, resource=None):
        """
        @return: A task that the life was given.
        """
        task = makeTask(f, *args)
        task.retries = retries
        self.give(task, resource)
        return task

    def give(self, task, resource=None):
        self.life.run(task, resource, lambda: self.ready.append(task))

    def update(self, f, *args, isLasting=True):
        task = makeTask(f, *args)
        self.life.update(task, isLasting)
        return task

    def made(self, task):
        """
        @return: The outcome of a task whose call a node makes.
        """
        self.connection.answer(self.errand(task))
        return self.successResultOf(task.d)

    def errand(self, task):
        """
        @return: The last errand of a task that was sent.
        """
        return [errand for errand in self.connection.sent if errand.task is task][-1]


class RunTests(LifeCase):
    def test_result(self):
        """A call is sent, its answer ends the task, and then another may follow."""
        task = self.run_(calls.add, 1, 2)
        self.assertEqual(self.life.tasks, [task])
        self.assertEqual(self.made(task), (Status.RESULT, 3))
        self.assertEqual((self.life.tasks, self.ready), ([], [task]))

    def test_error(self):
        """What a call raises is its outcome."""
        status, error = self.made(self.run_(calls.boom, "bang"))
        self.assertEqual((status, error.args), (Status.ERROR, ("bang",)))

    def test_longCall(self):
        """A long call is pickled by the thread, and does not keep others waiting."""
        long = self.run_(calls.echo, bytes(2 * LONG))
        self.assertEqual(self.made(self.run_(calls.add, 1, 2)), (Status.RESULT, 3))
        self.assertEqual(self.life.tasks, [long])
        self.lives.looper.step()
        self.assertEqual(self.made(long), (Status.RESULT, bytes(2 * LONG)))

    def test_longCallCancelled(self):
        """One that is cancelled, or given back, while it is pickled is not sent."""
        one, other = [self.run_(calls.echo, bytes(2 * LONG)) for _ in range(2)]
        self.life.cancel(one)
        self.assertEqual(self.ready, [one])
        self.assertEqual(self.life.giveBack(), [other])
        for _ in range(2):
            self.lives.looper.step()
        self.assertEqual((self.connection.sent, self.life.tasks), ([], []))

    def test_longCallNotPickled(self):
        """One that turns out not to be picklable fails."""
        task = self.run_(calls.echo, ["x" * (2 * LONG), threading.Lock()])
        self.lives.looper.step()
        status, error = self.successResultOf(task.d)
        self.assertEqual(status, Status.ERROR)
        self.assertIsInstance(error, PicklingError)
        self.assertEqual(self.ready, [task])

    def test_long(self):
        """A long result is loaded by the thread."""
        task = self.run_(calls.echo, "x" * LONG)
        self.lives.looper.step()
        self.connection.answer(self.errand(task))
        self.assertNoResult(task.d)
        self.assertEqual(self.ready, [])
        self.lives.looper.step()
        self.assertEqual(self.successResultOf(task.d), (Status.RESULT, "x" * LONG))
        self.assertEqual(self.ready, [task])

    def test_longIsNotLoaded(self):
        """If that cannot be done it is an error."""
        task = self.run_(calls.echo, "x" * LONG)
        self.lives.looper.step()
        self.lives.looper.stop()
        self.connection.answer(self.errand(task))
        self.assertEqual(self.successResultOf(task.d)[0], Status.ERROR)
        self.assertEqual(self.ready, [task])

    def test_notPickled(self):
        """What cannot be pickled fails at once, and is not sent."""
        task = self.run_(calls.echo, threading.Lock())
        status, error = self.successResultOf(task.d)
        self.assertEqual(status, Status.ERROR)
        self.assertIsInstance(error, pickle.PicklingError)
        self.assertEqual((self.connection.sent, self.ready), ([], [task]))

    def test_failed(self):
        """What cannot be made fails."""
        task, error = self.run_(calls.echo), ValueError()
        self.errand(task).failed(error)
        self.assertEqual(self.successResultOf(task.d), (Status.ERROR, error))
        self.assertEqual(self.ready, [task])

    def test_died(self):
        """One that has begun as often as it may tells where."""
        task = self.run_(calls.echo, 1, retries=1)
        self.errand(task).died(["A", "B"], "cut off")
        status, error = self.successResultOf(task.d)
        self.assertEqual(status, Status.ERROR)
        self.assertIsInstance(error, WorkerDied)
        for text in ("echo", "2 times", "A, B", "cut off"):
            self.assertIn(text, str(error))
        self.assertEqual(self.ready, [task])

    def test_times(self):
        """How long calls took is told, also of those that came to nothing."""
        self.made(self.run_(calls.echo))
        self.errand(self.run_(calls.echo)).failed(ValueError())
        (here, there), (_, nothing) = self.lives.owner.times
        self.assertGreaterEqual(here, 0)
        self.assertGreater(there, 0)
        self.assertEqual(nothing, 0.0)

    def test_errand(self):
        """What the cluster knows of a call is of its task."""
        task = makeTask(calls.echo)
        task.niceness, task.retries = 5, 2
        self.give(task, "gpu")
        errand = self.errand(task)
        self.assertEqual((errand.name, errand.resource), ("echo", "gpu"))
        self.assertEqual((errand.urgency, errand.runs, errand.asks), (-5, 3, False))
        task = makeTask(lambda: None)
        task.timeout, task.retries = 9.0, 1
        task.rush()
        self.give(task)
        errand = self.errand(task)
        self.assertEqual((errand.name, errand.urgency), ("lambda", MOST_URGENT))
        self.assertTrue(errand.asks)
        task.relax()
        self.give(task)
        self.assertEqual(self.errand(task).urgency, -MOST_URGENT)

    def test_timer(self):
        """A task's time begins when its node begins, if it is wanted then."""
        task, other = makeTask(calls.echo), makeTask(calls.echo)
        for each in (task, other):
            each.timeout, each.reactor = 9.0, self.lives.reactor
            self.give(each)
        self.assertEqual(self.lives.reactor.getDelayedCalls(), [])
        self.life.cancel(other)
        self.errand(other).begun()
        self.assertEqual(self.lives.reactor.getDelayedCalls(), [])
        self.errand(task).begun()
        self.lives.reactor.advance(9)
        self.assertEqual(self.successResultOf(task.d)[0], Status.TIMEOUT)

    def test_returned(self):
        """One that is to be made elsewhere has the retries that are left."""
        task = self.run_(calls.echo, retries=3)
        self.errand(task).returned(2)
        self.assertEqual(task.retries, 1)
        self.assertEqual(self.life.giveBack(), [task])
        self.assertNoResult(task.d)


class CancelTests(LifeCase):
    def test_sent(self):
        """A call that was sent is cancelled there, and released by that."""
        task = self.run_(calls.echo)
        self.life.cancel(task)
        self.life.cancel(task)
        self.assertEqual(self.connection.cancelled, [self.errand(task).number])
        self.assertEqual((self.life.tasks, self.ready), ([], []))
        self.errand(task).released()
        self.assertEqual(self.ready, [task])
        self.assertNoResult(task.d)

    def test_answered(self):
        """Its answer, if one comes, is dropped."""
        task = self.run_(calls.echo)
        self.life.cancel(task)
        self.connection.answer(self.errand(task))
        self.assertNoResult(task.d)
        self.assertEqual(self.ready, [task])

    def test_iteration(self):
        """An iterator that nobody waits for is closed."""
        task = self.run_(calls.count, 3)
        self.life.cancel(task)
        self.connection.answer(self.errand(task))
        self.lives.reactor.advance(0)
        ((node, request),) = self.connection.inquiries
        self.assertEqual(node, "A")
        self.assertIsInstance(request, Close)

    def test_unknown(self):
        """Nothing is done for a task that it does not have."""
        self.life.cancel(makeTask(calls.echo))
        self.assertEqual(self.connection.cancelled, [])

    def test_refuse(self):
        """Tasks of a resource that nobody offers fail, and no others."""
        task = self.run_(calls.echo, resource="gpu")
        other = self.run_(calls.echo)
        self.assertEqual(self.life.resources(), {"gpu", None})
        error = WorkerError("none")
        self.life.refuse("gpu", error)
        self.assertEqual(self.successResultOf(task.d), (Status.ERROR, error))
        self.assertEqual(self.life.tasks, [other])
        self.assertEqual(self.life.resources(), {None})

    def test_giveBack(self):
        """All that is not over is given back, once, and is not ended any more."""
        tasks = [self.run_(calls.echo, n) for n in range(3)]
        update = self.update(calls.echo)
        self.made(tasks[0])
        self.assertEqual(self.life.giveBack(), [update, *tasks[1:]])
        self.assertEqual(self.life.giveBack(), [])
        self.connection.answer(self.errand(tasks[1]))
        self.errand(tasks[2]).died(["A"], "late")
        self.connection.updates[0][3].callback({})
        for task in (update, *tasks[1:]):
            self.assertNoResult(task.d)

    def test_comesAgain(self):
        """A task that comes again is not taken for what it was before."""
        task = self.run_(calls.echo, 1)
        self.life.giveBack()
        before = self.errand(task)
        self.give(task)
        before.released()
        self.assertEqual((self.life.tasks, self.ready), ([task], []))
        self.assertEqual(self.made(task), (Status.RESULT, 1))


class OpeningTests(LifeCase):
    isOpen = False

    def test_waits(self):
        """What comes before the connection is there is sent when it is, in order."""
        tasks = [self.run_(calls.echo, n) for n in range(3)]
        self.life.cancel(tasks[1])
        self.assertEqual(self.ready, [tasks[1]])
        self.assertEqual(self.connection.sent, [])
        self.connection.opened.callback(None)
        self.successResultOf(self.opening)
        self.assertEqual([e.task for e in self.connection.sent], [tasks[0], tasks[2]])

    def test_update(self):
        """Updates, too, and before any call."""
        update, task = self.update(calls.echo, 1), self.run_(calls.echo)
        self.assertEqual(self.connection.updates, [])
        self.connection.opened.callback(None)
        ((_, call, isLasting, d),) = self.connection.updates
        self.assertEqual((isLasting, self.connection.sent), (True, []))
        d.callback({"A": self.connection.made(call)})
        self.assertEqual(self.successResultOf(update.d), (Status.RESULT, {"A": 1}))
        self.assertEqual(self.made(task), (Status.RESULT, None))

    def test_fails(self):
        """If there is none, all can be had back."""
        task, update = self.run_(calls.echo), self.update(calls.echo)
        self.connection.opened.errback(StartFailed("no"))
        self.failureResultOf(self.opening, StartFailed)
        self.assertEqual(self.life.giveBack(), [update, task])
        self.assertEqual(self.connection.sent, [])


class UpdateTests(LifeCase):
    def answer(self, *nodes, n=-1):
        """
        Has nodes run an update.
        """
        _, call, _, d = self.connection.updates[n]
        d.callback({node: self.connection.made(call) for node in nodes})

    def test_holdsBack(self):
        """Calls that come meanwhile wait for it, those before do not."""
        before, update = self.run_(calls.echo), self.update(calls.echo, 7)
        after = self.run_(calls.echo)
        self.assertEqual([e.task for e in self.connection.sent], [before])
        self.made(before)
        self.answer("A", "B")
        self.assertEqual(
            self.successResultOf(update.d), (Status.RESULT, {"A": 7, "B": 7})
        )
        self.assertEqual(self.made(after), (Status.RESULT, None))

    def test_several(self):
        """They wait for all."""
        self.update(calls.echo)
        self.update(calls.echo, isLasting=False)
        self.run_(calls.echo)
        self.answer("A", n=1)
        self.assertEqual(self.connection.sent, [])
        self.answer("A", n=0)
        self.assertEqual(len(self.connection.sent), 1)

    def test_error(self):
        """It fails with what it raised on one, and then calls are made."""
        update, task = self.update(calls.boom, "bang"), self.run_(calls.echo)
        self.answer("A")
        status, error = self.successResultOf(update.d)
        self.assertEqual((status, error.args), (Status.ERROR, ("bang",)))
        self.made(task)

    def test_iterator(self):
        """An iterator that it returns can be read."""
        update = self.update(calls.count, 1)
        self.answer("A")
        dr = self.successResultOf(update.d)[1]["A"]
        self.assertIsInstance(dr, Deferator)
        self.assertEqual(self.successResultOf(next(dr)), 0)

    def test_fails(self):
        """It fails with what is wrong with it, and then calls are made."""
        update, task = self.update(calls.echo), self.run_(calls.echo)
        self.connection.updates[0][3].errback(ZeroDivisionError())
        status, failure = self.successResultOf(update.d)
        self.assertEqual(status, Status.ERROR)
        failure.trap(ZeroDivisionError)
        self.made(task)

    def test_lost(self):
        """If the scheduler is gone it is given back."""
        update = self.update(calls.echo)
        self.connection.updates[0][3].errback(ConnectionResetError())
        self.assertNoResult(update.d)
        self.life.lost("gone")
        self.assertEqual(self.life.giveBack(), [update])

    def test_notPickled(self):
        """One that cannot be pickled fails, and holds nothing back."""
        update = self.update(calls.echo, threading.Lock())
        self.assertEqual(self.successResultOf(update.d)[0], Status.ERROR)
        self.made(self.run_(calls.echo))


class IteratorTests(LifeCase):
    def test_items(self):
        """Items are asked for at the node that has the iterator."""
        _, dr = self.made(self.run_(calls.count, 3))
        items = []
        for d in dr:
            self.lives.reactor.advance(0)
            items.append(self.successResultOf(d))
        self.assertEqual(items, [0, 1, 2])
        self.assertEqual({node for node, _ in self.connection.inquiries}, {"A"})

    def test_nodeGone(self):
        """It is lost with its node, and those of others are not."""
        drs = []
        for node in "AB":
            task = self.run_(calls.count, 5)
            self.connection.answer(self.errand(task), node)
            drs.append(self.successResultOf(task.d)[1])
        self.life.nodeGone("A")
        self.life.nodeGone("C")
        self.assertEqual(self.successResultOf(next(drs[0])), 0)
        error = self.failureResultOf(next(drs[0]), WorkerDied).value
        self.assertIn("The node A is gone", str(error))
        self.assertEqual(self.successResultOf(next(drs[1])), 0)
        self.lives.reactor.advance(0)
        self.assertEqual(self.successResultOf(next(drs[1])), 1)

    def test_lost(self):
        """It is lost with the scheduler."""
        _, dr = self.made(self.run_(calls.count, 5))
        self.life.lost("gone")
        self.assertEqual(self.lives.owner.told, [("lost", "gone")])
        self.successResultOf(next(dr))
        self.failureResultOf(next(dr), WorkerDied)


class EndTests(LifeCase):
    def finish(self):
        return Deferred.fromCoroutine(self.life.finish())

    def test_idle(self):
        """It ends at once if it has nothing."""
        self.successResultOf(self.finish())
        self.assertTrue(self.connection.isClosed)

    def test_waits(self):
        """It waits for calls, updates and what was cancelled and still runs."""
        task, cancelled = self.run_(calls.echo), self.run_(calls.echo)
        self.life.cancel(cancelled)
        update = self.update(calls.echo)
        d = self.finish()
        self.made(task)
        self.errand(cancelled).released()
        self.assertNoResult(d)
        self.connection.updates[0][3].callback({})
        self.successResultOf(update.d)
        self.successResultOf(d)
        self.assertTrue(self.connection.isClosed)

    def test_iterators(self):
        """It waits for iterators that are read."""
        log = os.path.abspath(self.mktemp())
        _, dr = self.made(self.run_(calls.tidy, log))
        d = self.finish()
        self.assertNoResult(d)
        dr.stop()
        self.lives.reactor.advance(0)
        self.successResultOf(d)

    def test_givenBack(self):
        """It waits no longer for what is given back."""
        self.run_(calls.echo)
        d = self.finish()
        self.life.giveBack()
        self.successResultOf(d)

    def test_nodes(self):
        """How the cluster grows is told to its owner."""
        self.life.nodesChanged([])
        self.assertEqual(self.lives.owner.told, [("nodes", [])])
