"""
Tests of L{asynqueue.readings}: iterators that are read in an asyncio loop.
"""

import asyncio
import os
import pickle
import threading
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.messages import Call, Close, Next, Status, pack, unpack
from asynqueue.readings import Readings, parts
from asynqueue.universe import ProcessUniverse
from tests import calls
from tests.support import BOUND


class ReadingsTests(SynchronousTestCase):
    def setUp(self):
        self.universe = ProcessUniverse()
        self.readings = Readings(self.universe, "pickle")
        self.addCleanup(self.readings.close)
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)

    def open(self, f, *args):
        """
        @return: The ID of the iterator that a call returns, whose first item is taken.
        """
        _, iteration = self.universe.do(Call(0, None), (f, args, {}))
        return iteration.ID

    def run_(self, coroutine):
        async def bounded():
            return await asyncio.wait_for(coroutine, BOUND)

        return asyncio.run(bounded())

    async def ask(self, request):
        """
        @return: The status of an answer, and its contents.
        """
        answer = await self.readings.inquire(parts(pack(request)))
        envelope, load = unpack([*answer])
        self.assertEqual(envelope.number, request.number)
        return envelope.status, load()

    async def forgotten(self):
        """
        Waits until no iterator is known any more: a moment after that was answered.
        """
        while self.readings._readings:
            await asyncio.sleep(0)

    async def items(self, ID, most=100, number=1):
        """
        @return: The items of an answer, or its status if it has none.
        """
        status, contents = await self.ask(Next(number, ID, most))
        if status is not Status.RESULT:
            return status
        return [pickle.loads(pickled) for pickled in contents.pickles]

    async def read(self, ID, n, most=100):
        """
        Asks until so many items have come, however many come at a time.
        """
        items: list[Any] = []
        while len(items) < n:
            some = await self.items(ID, most)
            self.assertLessEqual(len(some), most)
            items += some
        return items

    def slow(self, n):
        """
        A generator of so many items, then of one that takes until the gate is open.
        """
        yield from range(n)
        self.gate.wait(BOUND)
        yield n

    def test_chunks(self):
        """No more items come at a time than were asked for, and then the end."""
        ID = self.open(calls.count, 6)

        async def read():
            read = await self.read(ID, 5, most=3), await self.items(ID)
            await self.forgotten()
            return read

        self.assertEqual(self.run_(read()), ([1, 2, 3, 4, 5], Status.NONE))

    def test_slow(self):
        """Items that are there come while the next one is slow, and that after."""
        ID = self.open(self.slow, 3)

        async def read():
            first = await self.read(ID, 2)
            self.gate.set()
            return first, await self.items(ID), await self.items(ID)

        self.assertEqual(self.run_(read()), ([1, 2], [3], Status.NONE))

    def test_error(self):
        """An error comes after the items before it."""
        ID = self.open(calls.brittle, 3)

        async def read():
            read = await self.read(ID, 2), await self.ask(Next(2, ID, 9))
            await self.forgotten()
            return read

        items, (status, error) = self.run_(read())
        self.assertEqual((items, status), ([1, 2], Status.ERROR))
        self.assertEqual(error.text, "broke after 3")

    def test_together(self):
        """Iterators are read at the same time, and one after the other each."""
        slow, quick = self.open(self.slow, 1), self.open(calls.count, 4)

        async def read():
            waiting = asyncio.ensure_future(self.items(slow))
            after = asyncio.ensure_future(self.items(slow))
            items = await self.read(quick, 3)
            self.assertFalse(waiting.done())
            self.gate.set()
            return items, await waiting, await after

        self.assertEqual(self.run_(read()), ([1, 2, 3], [1], Status.NONE))

    def test_close(self):
        """A generator is closed where it runs, and is unknown then."""
        log = os.path.abspath(self.mktemp())
        ID = self.open(calls.tidy, log)

        async def read():
            await self.items(ID, most=1)
            closed = await self.ask(Close(3, ID))
            text, after = Path(log).read_text(), await self.items(ID)
            await self.forgotten()
            return closed, text, after

        (status, contents), text, after = self.run_(read())
        self.assertEqual((status, contents), (Status.NONE, None))
        self.assertEqual((text, after), ("closed\n", Status.ERROR))

    def test_closeFails(self):
        """What closing it raises is told."""

        def stubborn():
            try:
                yield 0
            finally:
                raise ValueError("no")

        ID = self.open(stubborn)
        status, error = self.run_(self.ask(Close(3, ID)))
        self.assertEqual((status, error.text), (Status.ERROR, "no"))

    def test_closeWhileTaken(self):
        """To be closed it waits until its next item is there."""
        ID = self.open(self.slow, 1)

        async def read():
            taken = asyncio.ensure_future(self.items(ID))
            await asyncio.sleep(0)
            closed = asyncio.ensure_future(self.ask(Close(3, ID)))
            await asyncio.sleep(0)
            self.gate.set()
            return await taken, (await closed)[0]

        self.assertEqual(self.run_(read()), ([1], Status.NONE))
        self.assertEqual(self.universe.iterators, {})

    def test_all(self):
        """All are closed at the end."""
        logs = [os.path.abspath(self.mktemp()) for _ in range(3)]
        for log in logs:
            self.open(calls.tidy, log)
        self.readings.close()
        executor: Any = self.readings._executor
        executor.shutdown(wait=True)
        self.assertEqual([Path(log).read_text() for log in logs], 3 * ["closed\n"])

    def test_leaving(self):
        """A request that comes when all is closed already is answered, in silence."""
        ID = self.open(calls.count, 3)
        self.readings.close()
        for request in (Next(1, ID, 1), Close(2, ID)):
            self.assertEqual(self.run_(self.ask(request)), (Status.NONE, None))
