"""
The far side of the pipe, stepped in this process.
"""

import gc
import os
import pickle
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.messages import (
    Answer,
    Call,
    Close,
    Hello,
    Iteration,
    Next,
    Status,
    Stop,
    pack,
    unpack,
)
from asynqueue.packets import AT_ONCE
from asynqueue.streams import Receiver
from asynqueue.universe import ProcessUniverse
from tests import deeds
from tests.support import Messages, crossed


def echo(x):
    """Returns it."""
    return x


class Script(Messages):
    """
    A pipe out of which packets come, and then its end.

    @ivar sent: The messages that were sent into it: so many can be.
    """

    def __init__(self, *packets, sends=1000):
        self.waiting = Messages(*packets).waiting
        self.sends = sends
        self.sent = Messages()

    def send_bytes(self, message):
        if len(self.sent.waiting) == self.sends:
            raise BrokenPipeError
        self.sent.send_bytes(message)


class UniverseCase(SynchronousTestCase):
    def setUp(self):
        self.universe = ProcessUniverse()

    def answer(self, packet):
        """
        @return: The answer to a packet, and a callable that loads its contents.
        """
        return unpack(crossed(self.universe.answer(crossed(packet))[1]))

    def ask(self, envelope, contents=None):
        """
        @return: The answer's status and its contents.
        """
        answer, load = self.answer(pack(envelope, contents))
        self.assertIs(type(answer), Answer)
        self.assertEqual(answer.number, envelope.number)
        return answer.status, load()

    def call(self, f, *args, raw=None):
        return self.ask(Call(5, raw), (f, args, {}))

    def iterate(self, f, *args):
        """
        @return: What a call returned as an iteration.
        """
        status, iteration = self.call(f, *args)
        self.assertIs(status, Status.ITERATION)
        self.assertIs(type(iteration), Iteration)
        return iteration

    def take(self, ID, most=1):
        """
        @return: A list of an iterator's next items.
        """
        status, items = self.ask(Next(6, ID, most))
        self.assertIs(status, Status.RESULT)
        return [pickle.loads(pickled) for pickled in items.pickles]


class CallTests(UniverseCase):
    def test_hello(self):
        """A greeting is answered."""
        self.assertEqual(self.ask(Hello(1)), (Status.NONE, None))

    def test_result(self):
        """A call is answered with its value."""
        self.assertEqual(self.call(divmod, 7, 2), (Status.RESULT, (3, 1)))

    def test_error(self):
        """A call that raises is answered with the exception."""
        status, raised = self.call(int, "x")
        self.assertIs(status, Status.ERROR)
        self.assertEqual(raised.name, "ValueError")

    def test_exit(self):
        """What would end a process does not end this one."""
        for f, args in ((sys.exit, (3,)), (signal.default_int_handler, (2, None))):
            status, raised = self.call(f, *args)
            self.assertIs(status, Status.ERROR)
            self.assertIn(raised.name, ("SystemExit", "KeyboardInterrupt"))
            self.assertIsNone(raised.pickled)

    def test_cannotBeLoaded(self):
        """A call that cannot be loaded is answered with why, and what to do."""
        status, raised = self.call(echo, deeds.Bomb())
        self.assertIs(status, Status.ERROR)
        self.assertIn("RuntimeError: not to be made again", raised.text)
        self.assertIn("__main__", raised.text)
        self.assertIsInstance(pickle.loads(raised.pickled), pickle.UnpicklingError)
        self.assertIn("in explode", raised.traceback)

    def test_cannotBeSentBack(self):
        """A result that cannot be pickled is answered with its type, and why."""
        status, raised = self.call(deeds.Closed)
        self.assertIs(status, Status.ERROR)
        self.assertIn("result, of type Closed", raised.text)
        self.assertIn("RuntimeError: not to be pickled", raised.text)

    def test_asynchronous(self):
        """A coroutine and its like come with what it takes to call such functions."""
        for function, advice in (
            (partial(deeds.slowly, 1), "useReactor=True"),
            (deeds.never, "useReactor=True"),
            (deeds.asyncItems, "ordinary generator"),
        ):
            status, raised = self.call(function)
            self.assertIs(status, Status.ERROR)
            self.assertIn(advice, raised.text)
        gc.collect()
        self.assertEqual(self.flushWarnings(), [])

    @settings(deadline=None, max_examples=50)
    @given(st.binary(max_size=100))
    def test_anyContents(self, contents):
        """Whatever follows an envelope is answered under its number."""
        answer, _ = self.answer([pack(Call(3, None))[0], contents])
        self.assertEqual(answer[:2], (3, Status.ERROR))


class SecondsTests(UniverseCase):
    def setUp(self):
        super().setUp()
        self.now = 0.0
        self.patch(time, "perf_counter", lambda: self.now)

    def passing(self, seconds):
        """Takes so long, by the test's clock."""
        self.now += seconds

    def seconds(self, envelope, load, contents=None):
        """
        @return: The seconds that are answered, where loading took one.
        """
        from asynqueue import universe

        def slow(packet):
            return envelope, lambda: (self.passing(1), load())[1]

        self.patch(universe, "unpack", slow)
        return unpack(self.universe.answer([])[1] or [])[0].seconds

    def test_call(self):
        """What is told is how long the call ran, not how long it was loaded."""
        contents = (self.passing, (3,), {})
        self.assertEqual(self.seconds(Call(1, None), lambda: contents), 3)

    def test_firstItem(self):
        """Taking an iterator's first item counts."""

        def start():
            self.passing(3)

            def iterate():
                self.passing(5)
                yield 1

            return iterate()

        self.assertEqual(self.seconds(Call(1, None), lambda: (start, (), {})), 8)

    def test_error(self):
        """A call that raises ran until it did."""

        def fault():
            self.passing(3)
            raise ValueError

        self.assertEqual(self.seconds(Call(1, None), lambda: (fault, (), {})), 3)

    def test_notLoaded(self):
        """A call that could not be loaded did not run."""
        self.assertEqual(self.seconds(Call(1, None), deeds.explode), 0)


class IterationTests(UniverseCase):
    def test_items(self):
        """The first item comes with the iteration, the others when asked for."""
        ID, first = self.iterate(deeds.items, 1, 2)
        self.assertEqual(first, [1])
        self.assertEqual(self.take(ID), [2])
        self.assertEqual(self.ask(Next(3, ID)), (Status.NONE, None))
        self.assertEqual(self.universe.iterators, {})

    def test_several(self):
        """As many as are asked for come at a time, the end when it is asked for."""
        ID, _ = self.iterate(deeds.items, *range(6))
        self.assertEqual(self.take(ID, 3), [1, 2, 3])
        self.assertEqual(self.take(ID, 3), [4, 5])
        self.assertEqual(self.universe.iterators, {})
        self.assertEqual(self.ask(Next(3, ID)), (Status.NONE, None))
        self.assertEqual(self.ask(Next(4, ID))[1].name, "LookupError")

    def test_empty(self):
        """An iterator without items is not kept."""
        self.assertEqual(self.iterate(deeds.items), (None, []))
        self.assertEqual(self.universe.iterators, {})

    def test_raw(self):
        """Where it is wanted raw, an iterator is pickled or refused as a value."""
        status, iterator = self.call(iter, [1, 2], raw=True)
        self.assertEqual((status, list(iterator)), (Status.RESULT, [1, 2]))
        status, raised = self.call(deeds.items, raw=True)
        self.assertIs(status, Status.ERROR)
        self.assertIn("generator", raised.text)

    def test_interleaved(self):
        """Equal iterators are kept apart, and no ID comes again."""
        one, other = (self.iterate(deeds.items, 1, x) for x in ("a", "b"))
        self.assertEqual(self.take(other.ID), ["b"])
        self.assertEqual(self.take(one.ID), ["a"])
        self.ask(Next(3, other.ID))
        third = self.iterate(deeds.items, 1)
        self.assertEqual(len({one.ID, other.ID, third.ID}), 3)

    def test_error(self):
        """An iterator that raises is answered with that, and forgotten."""
        ID, _ = self.iterate(deeds.items, 1, ValueError("enough"))
        status, raised = self.ask(Next(2, ID))
        self.assertEqual((status, raised.text), (Status.ERROR, "enough"))
        status, raised = self.ask(Next(3, ID))
        self.assertEqual((status, raised.name), (Status.ERROR, "LookupError"))

    def test_errorAtFirst(self):
        """An iterator that raises at once makes the call fail."""
        status, raised = self.call(deeds.items, ValueError("already"))
        self.assertEqual((status, raised.text), (Status.ERROR, "already"))
        self.assertEqual(self.universe.iterators, {})

    def test_itemCannotBeSent(self):
        """An item that cannot be pickled ends its iterator, which is closed."""
        closed = []

        def iterate():
            try:
                yield deeds.Closed()
            finally:
                closed.append(1)

        self.universe.iterators[9] = iterate()
        status, raised = self.ask(Next(2, 9))
        self.assertIs(status, Status.ERROR)
        self.assertIn("The item, of type Closed", raised.text)
        self.assertEqual((closed, self.universe.iterators), ([1], {}))

    def test_firstItemCannotBeSent(self):
        """A first item that cannot be pickled makes the call fail."""
        status, raised = self.call(iter, deeds.Closed, None)
        self.assertIs(status, Status.ERROR)
        self.assertIn("first item, of type Closed", raised.text)
        self.assertEqual(self.universe.iterators, {})

    def test_close(self):
        """An iterator that is closed is told so, and forgotten."""
        closed = []

        def iterate():
            try:
                yield 1
            finally:
                closed.append(1)

        iterator = self.universe.iterators[9] = iterate()
        next(iterator)
        self.assertEqual(self.ask(Close(1, 9)), (Status.NONE, None))
        self.assertEqual((closed, self.universe.iterators), ([1], {}))

    def test_closeAfterTheEnd(self):
        """What has ended and was not told of its end is forgotten when closed."""
        ID, _ = self.iterate(deeds.items, 0, 1)
        self.assertEqual(self.take(ID, 3), [1])
        self.assertEqual(self.ask(Close(1, ID)), (Status.NONE, None))
        self.assertEqual(self.ask(Next(2, ID))[1].name, "LookupError")

    def test_closeWhatIsNotThere(self):
        """To close what has ended, or cannot be closed, is no fault."""
        self.assertEqual(self.ask(Close(1, 9)), (Status.NONE, None))
        self.universe.iterators[9] = iter([1])
        self.assertEqual(self.ask(Close(1, 9)), (Status.NONE, None))

    def test_closeRaises(self):
        """What closing raises, even asking how to close, is answered."""
        for iterator in (deeds.Sticky(), deeds.Veiled()):
            self.universe.iterators[9] = iterator
            status, raised = self.ask(Close(1, 9))
            self.assertIs(status, Status.ERROR)
            self.assertIn("not to be", raised.text)
            self.assertEqual(self.universe.iterators, {})


class LoopTests(SynchronousTestCase):
    def run_(self, script):
        """
        @return: The envelopes of all that the loop has sent.
        """
        ProcessUniverse().loop(script)
        answers, receiver = [], Receiver(script.sent)
        while script.sent.waiting:
            answers.append(unpack(receiver.receive())[0])
        return answers

    def test_endOfPipe(self):
        """The loop answers all packets, then ends with the pipe."""
        answers = self.run_(Script(pack(Hello(1)), pack(Hello(2))))
        self.assertEqual([answer.number for answer in answers], [1, 2])

    def test_stop(self):
        """It ends when it is told to, once it has answered that."""
        script = Script(pack(Stop(1)), pack(Hello(2)))
        self.assertEqual([answer.number for answer in self.run_(script)], [1])
        self.assertEqual(len(script.waiting), 1)

    def test_nobodyListens(self):
        """It ends when an answer, or a part of it, cannot be sent."""
        for sends in range(3):
            long = pack(Call(1, None), (bytes, (AT_ONCE,), {}))
            script = Script(long, pack(Hello(2)), sends=sends)
            ProcessUniverse().loop(script)
            self.assertEqual(len(script.sent.waiting), sends)
            self.assertEqual(len(script.waiting), 1)

    def test_longAnswer(self):
        """A long answer is announced, a short one is not."""
        for length, pieces in ((1, 1), (AT_ONCE, 3)):
            script = Script(pack(Call(1, None), (bytes, (length,), {})))
            ProcessUniverse().loop(script)
            self.assertEqual(len(script.sent.waiting), pieces)
            answer, _ = unpack(Receiver(script.sent).receive())
            self.assertIs(answer.status, Status.RESULT)


class LightTests(SynchronousTestCase):
    def test_imports(self):
        """What a worker process imports is the standard library and itself."""
        program = (
            "import sys; before = set(sys.modules); import asynqueue.entry\n"
            "print(*{m.split('.')[0] for m in set(sys.modules) - before}\n"
            # The second is one that multiprocessing gives to __main__.
            "      - sys.stdlib_module_names - {'__mp_main__'})"
        )
        told = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        self.assertEqual(told.stdout.split(), ["asynqueue"])
