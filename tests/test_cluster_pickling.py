"""
What crosses to a real cluster and back, and what cannot.
"""

import os
import pickle
import sys
import threading
from importlib import import_module
from pathlib import Path

import numpy

from asynqueue.errors import PicklingError, UnpicklingError, WorkerError
from tests import calls, deeds, nodework
from tests.fleets import FleetCase, outcomes


class PicklingTests(FleetCase):
    async def test_byValue(self):
        """
        A lambda, a closure, and what __main__ or a test has defined can be called.
        """
        queue = await self.connect()
        three = 3

        def closure(x):
            return x * three

        program = sys.modules["__main__"].__dict__
        exec("def one(x): return other(x) * 2\ndef other(x): return x + 1", program)
        self.addCleanup(program.pop, "one")
        self.addCleanup(program.pop, "other")
        ds = [queue.call(f, 5) for f in (lambda x: x + 1, closure, program["one"])]
        self.assertEqual(await outcomes(ds), [6, 15, 12])

    async def test_argument(self):
        """
        What cannot be pickled is named, and no call is sent; others go on.
        """
        queue = await self.connect()
        lock = threading.Lock()
        for d, name in (
            (queue.call(calls.echo, lock), "its argument 1"),
            (queue.call(calls.add, 1, y=lock), "its keyword y"),
            (queue.call(deeds.Closed().__reduce__), "the object whose method it is"),
        ):
            error = await self.assertFailure(d, PicklingError)
            self.assertIn(name, str(error))
        self.assertEqual(await queue.call(calls.echo, 1), 1)

    async def test_result(self):
        """
        A result that cannot be pickled is told of as that; the call was made.
        """
        queue = await self.connect()
        error = await self.assertFailure(queue.call(threading.Lock), Exception)
        self.assertIn("result", str(error))
        self.assertIn("pickle", str(error))

    async def test_unloadable(self):
        """
        What cannot be loaded is told of, on the side where that is.
        """
        queue = await self.connect()
        error = await self.assertFailure(queue.call(deeds.Bomb), UnpicklingError)
        self.assertIn("could not be loaded here", str(error))
        error = await self.assertFailure(
            queue.call(calls.echo, deeds.Bomb()), Exception
        )
        self.assertIn("could not be loaded in the worker process", str(error))

    async def test_exceptions(self):
        """
        An exception comes as it is, with its traceback; one that cannot be pickled or
        loaded by its name and text.
        """
        queue = await self.connect()
        error = await self.assertFailure(queue.call(calls.boom), ValueError)
        self.assertIn("in boom", str(error.__cause__))
        for make in (deeds.Guarded, nodework.fussy):
            d = queue.call(nodework.throw, make)
            error = await self.assertFailure(d, WorkerError)
            self.assertIn(make().__class__.__name__, str(error))
        for f in (calls.bye, calls.interrupted):
            await self.assertFailure(queue.call(f), Exception)
        self.assertEqual(await queue.call(calls.echo, 1), 1)

    async def test_module(self):
        """
        A module that the nodes do not have is told of, with what to do.
        """
        queue = await self.connect()
        directory = self.path()
        os.mkdir(directory)
        Path(directory, "onlyhere.py").write_text("def f(): return 1")
        self.patch(sys, "path", [directory, *sys.path])
        self.addCleanup(sys.modules.pop, "onlyhere")
        error = await self.assertFailure(
            queue.call(import_module("onlyhere").f), pickle.UnpicklingError
        )
        self.assertIn("No module named 'onlyhere'", str(error))
        self.assertIn("must be importable there", str(error))

    async def test_large(self):
        """
        30 MB cross each way, and dask warns nobody of that: who has warnings raised
        gets the result, too.
        """
        queue = await self.connect()
        data = bytes(30 << 20)
        self.assertEqual(await queue.call(len, data), len(data))
        self.assertEqual(await queue.call(bytes, 30 << 20), data)
        self.assertEqual(self.flushWarnings(), [])
        grid = numpy.ones((2000, 2000))
        self.assertTrue((await queue.call(calls.echo, grid) == grid).all())
