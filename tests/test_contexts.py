"""
Calls that bring along context: the hooks of a queue, whatever its workers.
"""

import contextvars
import gc
import os
import sys
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks, succeed
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.contexts import Hooks, carry
from asynqueue.errors import HookError, PicklingError, QueueFull, WorkerDied
from asynqueue.messages import Status
from asynqueue.null import NullQueue
from asynqueue.process import ProcessQueue
from asynqueue.producers import ListConsumer
from asynqueue.threads import ThreadQueue
from tests import calls, carrying
from tests.fakes import Bench
from tests.memory import MemoryWorker, SteppedQueue, makeTask
from tests.test_process_queue import QueueTestCase

HOOKS = Hooks(carrying.before, carrying.after)


def As(name, f, *args, **kw):
    """
    Does something as a user, in a context of its own.
    """

    def do():
        carrying.user.set(name)
        return f(*args, **kw)

    return contextvars.copy_context().run(do)


class ConstructionTests(SynchronousTestCase):
    """
    What hooks may be.
    """

    def test_pair(self):
        """None need be given; any pair of callables is one of hooks."""
        self.assertIsNone(SteppedQueue().hooks)
        for pair in (HOOKS, tuple(HOOKS), list(HOOKS)):
            self.assertEqual(SteppedQueue(hooks=pair).hooks, HOOKS)
        lax = (lambda: 1, partial(carrying.noting, "path"))
        self.assertEqual(SteppedQueue(hooks=lax).hooks, lax)

    def test_noPair(self):
        """Anything else is refused, and said to be."""
        for wrong in (3, "ab", (), (print,), (1, print), (print, None), HOOKS.before):
            with self.assertRaises(TypeError) as raised:
                SteppedQueue(hooks=wrong)
            self.assertRegex(str(raised.exception), "pair|The hook (before|after)")

    def test_notPicklable(self):
        """What no worker would find is refused with advice, whatever the workers."""
        for after in (lambda carrier: None, partial(carrying.noting, lambda: 1)):
            with self.assertRaises(PicklingError) as raised:
                ThreadQueue(hooks=(carrying.before, after))
            self.assertIn("The hook after, ", str(raised.exception))
            self.assertIn("at the top level of a module", str(raised.exception))


class CallTests(SynchronousTestCase):
    """
    Tests of calls of a queue with hooks, whose worker a test steps.
    """

    def setUp(self):
        self.worker = MemoryWorker()
        self.queue = SteppedQueue(self.worker, hooks=HOOKS)

    def test_whenCalled(self):
        """What counts is the context in which a call is made, not a later one."""
        ds = [As(name, self.queue.call, carrying.whoami) for name in "ab"]
        ds.append(self.queue.call(carrying.whoami))
        for d, wanted in zip(ds, ["a", "b", "nobody"], strict=True):
            As("somebody else", self.worker.finish)
            self.assertEqual(self.successResultOf(d), wanted)

    def test_callWhenReady(self):
        """So it is if the call waits for room, and one that is refused asks nobody."""
        asked = []
        hooks = (lambda: asked.append(1), carrying.after)
        queue = SteppedQueue(MemoryWorker(), maxWaiting=1, hooks=hooks)
        for _ in range(2):
            queue.callWhenReady(carrying.whoami)
        self.assertEqual(len(asked), 2)
        self.assertRaises(QueueFull, queue.call, carrying.whoami)
        self.assertEqual(len(asked), 2)

    def test_before(self):
        """What the first hook raises the call raises, at once, and tells of it."""
        error = PermissionError("who are you?")

        def before():
            raise error

        worker = MemoryWorker()
        queue = SteppedQueue(worker, hooks=(before, carrying.after))
        with self.assertRaises(PermissionError) as raised:
            queue.call(calls.add, 2, y=3)
        self.assertIs(raised.exception, error)
        if sys.version_info >= (3, 11):
            (note,) = error.__notes__
            self.assertIn("the hook before of the queue", note)
            self.assertIn("tests.calls.add(2, y=3) was not made", note)
        self.assertEqual(worker.begun, [])

    def test_about(self):
        """Errors, logs and reprs are about the function that was called."""
        d = self.queue.call(calls.hold, 1)
        self.assertEqual(repr(self.worker.inHand), "<Task tests.calls.hold(1)>")
        self.assertEqual(repr(self.worker.inHand.callTuple[0]), repr(calls.hold))
        self.worker.die()
        self.failureResultOf(d, WorkerDied)

    def test_again(self):
        """A call that is tried again, or given back, brings along the same."""
        d = As("ann", self.queue.call, carrying.whoami, timeout=1, retries=1)
        other = As("bob", self.queue.call, carrying.whoami)
        self.queue.reactor.advance(1)
        # What it was abandoned in the middle of is over.
        self.worker.finish()
        self.assertNoResult(d)
        self.worker.die(read=False)
        self.worker.finish()
        self.worker.finish()
        self.assertEqual(self.successResultOf(d), "ann")
        self.assertEqual(self.successResultOf(other), "bob")

    def test_update(self):
        """An update has no hooks: what it sets, it sets for the calls that follow."""
        d = As("ann", self.queue.update, carrying.whoami)
        self.worker.finish()
        self.assertEqual(self.successResultOf(d), ["nobody"])

    def test_map(self):
        """All calls of a map are made in the context of the map, however late."""
        self.worker.instant = True
        dr = As("ann", self.queue.map, carrying.become, range(9), limit=2)
        found = [self.successResultOf(d) for d in dr]
        self.assertEqual(found, ["ann"] * 9)

    def test_mapWithin(self):
        """One may end while another of the same map is being made."""
        results = []
        waiting: Deferred[Any] = Deferred()

        async def items():
            yield 1
            yield 2
            yield await waiting
            yield 4

        dr = As("ann", self.queue.map, carrying.become, items(), limit=5)

        async def read():
            async for result in dr:
                results.append(result)

        done = Deferred.fromCoroutine(read())
        self.worker.instant = True
        waiting.callback(3)
        while not done.called:
            self.worker.finish()
        self.assertEqual(results, ["ann"] * 4)


class ErrorTests(SynchronousTestCase):
    """
    What goes wrong in the worker.
    """

    def call(self, after, f, *args, **kw):
        queue = NullQueue(hooks=(carrying.before, after))
        self.addCleanup(queue.shutdown)
        return As("ann", queue.call, f, *args, **kw)

    def test_after(self):
        """An error of the hook says that it is one, and the function is not called."""
        for after, why in (
            (carrying.refuse, "LookupError: nobody knows ann"),
            (carrying.odd, "of type int, which is neither None nor a context manager"),
        ):
            log = self.mktemp()
            failure = self.failureResultOf(self.call(after, calls.note, log, 1))
            failure.trap(HookError)
            text = str(failure.value)
            self.assertIn(f"tests.carrying.{after.__name__}, raised", text)
            self.assertIn(why, text)
            self.assertIn("so tests.calls.note was not called", text)
            self.assertFalse(os.path.exists(log))

    def test_end(self):
        """So does one of its context manager; an error of the function is its own."""
        error = self.failureResultOf(self.call(carrying.unruly, calls.echo)).value
        self.assertIsInstance(error, HookError)
        self.assertIn("context manager of the hook after", str(error))
        self.assertIn("when tests.calls.echo was over", str(error))
        for after in (carrying.unruly, carrying.lenient, carrying.notingTo("log")):
            d = self.call(after, carrying.fail)
            self.assertEqual(self.failureResultOf(d).value.args, ("the function",))

    def test_carrier(self):
        """A carrier that cannot be pickled is named in the error."""
        bench = Bench()
        bench.up()
        hooks = Hooks(lambda: lambda: 1, carrying.after)
        task = makeTask(calls.echo)
        task.callTuple = hooks.carried(task.callTuple)
        bench.worker.run(task)
        status, error = self.successResultOf(task.d)
        self.assertIs(status, Status.ERROR)
        self.assertIsInstance(error, PicklingError)
        self.assertIn("what the hook before of its queue has returned", str(error))
        self.assertIn("tests.calls.echo()", str(error))


class AsyncTests(SynchronousTestCase):
    """
    What is waited for in the reactor.
    """

    def setUp(self):
        self.log = self.mktemp()
        hooks = (carrying.before, carrying.notingTo(self.log))
        self.queue = NullQueue(hooks=hooks)
        self.addCleanup(self.queue.shutdown)
        self.gate: Deferred[Any] = Deferred()

    def noted(self):
        return Path(self.log).read_text().splitlines()

    async def ask(self):
        was = carrying.become("eve")
        return was, await self.gate, carrying.whoami()

    def test_coroutine(self):
        """A coroutine keeps to its context, and its call is over when it is."""
        d = As("ann", self.queue.call, self.ask)
        self.assertEqual(self.noted(), ["enter ann"])
        As("bob", self.gate.callback, 1)
        self.assertEqual(self.successResultOf(d), ("ann", 1, "eve"))
        self.assertEqual(self.noted(), ["enter ann", "leave"])

    def test_cancelled(self):
        """One that is cancelled is told so, and so is its context manager."""
        d = As("ann", self.queue.call, self.ask)
        d.addErrback(lambda failure: None).cancel()
        self.assertEqual(self.noted(), ["enter ann", "leave CancelledError"])

    def test_deferred(self):
        """The call is over when the Deferred that it returned fires."""
        d = self.queue.call(lambda: self.gate)
        self.assertEqual(self.noted(), ["enter nobody"])
        self.gate.errback(ValueError())
        self.failureResultOf(d, ValueError)
        self.assertEqual(self.noted(), ["enter nobody", "leave ValueError"])

    def test_coroutineOfIterator(self):
        """An iterator that was waited for, and items that are, keep to it too."""

        async def item():
            return carrying.become("eve"), await succeed(1)

        async def items():
            return (item() for _ in range(2))

        dr = self.successResultOf(As("ann", self.queue.call, items))
        found = [self.successResultOf(d) for d in dr]
        self.assertEqual(found, [("ann", 1), ("eve", 1)])
        self.assertEqual(self.noted(), ["enter ann", "leave"])

    def test_forgotten(self):
        """A generator that nobody has any more is closed, and its call over."""
        dr = self.successResultOf(As("ann", self.queue.call, carrying.names, 3))
        self.successResultOf(next(dr))
        del dr
        gc.collect()
        self.assertEqual(self.noted(), ["enter ann", "leave"])

    def test_raw(self):
        """A raw iterator is a value like any other, and the very same."""
        iterator = iter(())
        d = self.queue.call(lambda: iterator, raw=True)
        self.assertIs(self.successResultOf(d), iterator)
        self.assertEqual(self.noted(), ["enter nobody", "leave"])

    def test_apart(self):
        """Nothing comes along but what the hooks bring."""
        carrying.depth.set(7)
        self.addCleanup(carrying.depth.set, 0)
        d = self.queue.call(carrying.depth.get)
        self.assertEqual(self.successResultOf(d), 0)


class CarryTests(SynchronousTestCase):
    """
    Tests of L{carry}.
    """

    def test_values(self):
        """Variables are carried as they are, by name or themselves, if they are set."""
        for variables in (
            (carrying.user, carrying.depth),
            ("tests.carrying:user", carrying.depth),
        ):
            before, after = carry(*variables)
            carrier = contextvars.Context().run(As, "ann", before)
            self.assertEqual(carrier, {"tests.carrying:user": "ann"})
            context = contextvars.Context()
            context.run(after, carrier)
            self.assertEqual(list(context.items()), [(carrying.user, "ann")])

    def test_refused(self):
        """What could not be found in a worker is refused, and said to be."""
        local: ContextVar[int] = ContextVar("local")
        for error, text, variables in (
            (TypeError, "which context variables", ()),
            (TypeError, "not 3", (3,)),
            (LookupError, "top level of a module", (local,)),
            (LookupError, '"module:variable"', ("tests.carrying.user",)),
            (LookupError, "variable called 'after'", ("tests.carrying:after",)),
            (ImportError, "tests.nowhere", ("tests.nowhere:user",)),
        ):
            with self.assertRaises(error) as raised:
                carry(*variables)
            self.assertIn(text, str(raised.exception))


class ProcessTests(QueueTestCase):
    """
    With processes and threads.
    """

    @inlineCallbacks
    def test_process(self):
        """Calls and items see what was carried, or what updates set, and no more."""
        queue = self.keep(ProcessQueue(1, hooks=carry(carrying.user)))
        yield queue.update(carrying.become, "worker")
        found = yield gatherResults(
            [As(name, queue.call, carrying.become, "eve") for name in "abc"]
        )
        self.assertEqual(found, ["a", "b", "c"])
        # It has no value here, so the worker has its own.
        self.assertEqual((yield queue.call(carrying.whoami)), "worker")
        consumer = ListConsumer()
        yield As("ann", queue.call, carrying.names, 500, consumer=consumer)
        wanted = [("ann", i + 1) for i in range(500)]
        self.assertEqual((yield consumer()), wanted)
        d = As(lambda: 1, queue.call, calls.echo)
        error = yield self.assertFailure(d, PicklingError)
        self.assertIn("the hook before of its queue", str(error))

    @inlineCallbacks
    def test_afterDeath(self):
        """A process that replaces another has what its calls bring along."""
        queue = self.keep(ProcessQueue(1, hooks=HOOKS))
        pid, _ = yield As("ann", queue.call, carrying.where)
        d = As("ann", queue.call, os._exit, 1)
        after = As("bob", queue.call, carrying.where)
        yield self.assertFailure(d, WorkerDied)
        other, name = yield after
        self.assertNotEqual(pid, other)
        self.assertEqual(name, "bob")

    @inlineCallbacks
    def test_farError(self):
        """An error of the hook comes back as one, with what it was by."""
        queue = self.keep(ProcessQueue(1, hooks=(carrying.before, carrying.refuse)))
        error = yield self.assertFailure(queue.call(calls.echo), HookError)
        self.assertIn("LookupError: nobody knows nobody", str(error.__cause__))

    @inlineCallbacks
    def test_reactor(self):
        """Coroutines in a process with a reactor keep to their contexts."""
        log = os.path.abspath(self.mktemp())
        hooks = (carrying.before, carrying.notingTo(log))
        queue = self.keep(ProcessQueue(1, useReactor=True, hooks=hooks))
        found = yield gatherResults(
            [As(name, queue.call, carrying.slowly, "eve") for name in "ab"]
        )
        self.assertEqual(found, [("a", "eve"), ("b", "eve")])
        noted = Path(log).read_text().splitlines()
        self.assertEqual(noted, ["enter a", "leave", "enter b", "leave"])

    @inlineCallbacks
    def test_thread(self):
        """A thread's calls do not leak into one another either."""
        queue = self.keep(ThreadQueue(hooks=carry("tests.carrying:user")))
        found = yield gatherResults(
            [As(name, queue.call, carrying.become, "eve") for name in "abc"]
        )
        self.assertEqual(found, ["a", "b", "c"])
        self.assertEqual((yield queue.call(carrying.whoami)), "nobody")
