"""
That much use of a queue leaves no more behind than a little use of it. What takes
longer, and memory, is for the soak program.
"""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue.process import ProcessQueue
from tests.injections import KINDS, Injections, choose
from tests.leftovers import (
    census,
    makeCalls,
    makeIterators,
    makeRespawns,
    more,
    numbers,
    settled,
)


class LeaksTests(TestCase):
    """
    Tests of what is left, in descriptors, threads, processes, delayed calls,
    readers, writers and triggers of the reactor.
    """

    def afterUse(self, use, n):
        """
        @return: A Deferred that fires when a queue has been used little and another
            much, with nothing left of the second.
        """
        return Deferred.fromCoroutine(self._afterUse(use, n))

    async def _afterUse(self, use, n):
        await self.useOne(use, 2)
        before = census()
        await self.useOne(use, n)
        self.assertEqual(more(before, await settled(before)), [])

    async def useOne(self, use, n):
        """
        Uses a queue of its own.
        """
        queue = ProcessQueue(2)
        try:
            await use(queue, n)
        finally:
            await queue.shutdown()

    def test_calls(self):
        """
        3,000 calls leave nothing.
        """
        return self.afterUse(makeCalls, 3000)

    def test_iterators(self):
        """
        300 iterators, every other one let go of midway, leave nothing, and nobody
        waits for those.
        """
        return self.afterUse(makeIterators, 300)

    def test_respawns(self):
        """
        30 processes that died one after the other leave nothing.
        """
        return self.afterUse(makeRespawns, 30)

    def test_queueRunning(self):
        """
        While the queue goes on, what its workers were leaves nothing either: there
        is what was there after the first calls.
        """
        return Deferred.fromCoroutine(self._queueRunning())

    async def _queueRunning(self):
        queue = ProcessQueue(1)
        self.addCleanup(queue.shutdown)
        await makeRespawns(queue, 1)
        await makeIterators(queue, 2)
        before = numbers(census())
        await makeRespawns(queue, 5)
        await makeIterators(queue, 20)
        await makeCalls(queue, 100)
        # What is different, but not more, are the names of the pipes.
        after = await settled(before, numbers)
        self.assertEqual(numbers(after), before)


class SoakTests(SynchronousTestCase):
    """
    Tests of what the soak program chooses.
    """

    def test_seed(self):
        """
        The same seed gives the same choices, in whatever order the steps come, and
        another seed others.
        """

        def chosen(seed, steps):
            found = {step: choose(seed, step) for step in steps}
            return {step: (kind, dice.random()) for step, (kind, dice) in found.items()}

        self.assertEqual(chosen(1, range(20)), chosen(1, reversed(range(20))))
        self.assertNotEqual(chosen(1, range(20)), chosen(2, range(20)))

    def test_kinds(self):
        """
        Each kind can be done, and all that can be done is some kind.
        """
        isKind = {name for name in vars(Injections) if not name.startswith("_")}
        self.assertEqual(set(KINDS), isKind)
