"""
The far side of the pipe, without one.
"""

import pickle
import threading
import time

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.messages import Call, Close, Hello, Next, Status, Stop, pack, unpack
from asynqueue.runner import CallRunner
from asynqueue.universe import ProcessUniverse
from tests import calls, far


class Closable:
    """An iterator that tells when it is closed, or cannot be."""

    def __init__(self, fails=False):
        self.closed = False
        self.fails = fails

    def __iter__(self):
        return self

    def __next__(self):
        return "item"

    def close(self):
        if self.fails:
            raise ValueError("cannot be closed")
        self.closed = True


kept: list = []


def closable(fails=False):
    """Keeps what it returns where the test finds it."""
    kept.append(Closable(fails))
    return kept[-1]


def locks():
    """Items of which the second cannot be pickled."""
    yield 1
    yield threading.Lock()
    yield 3


def exits():
    """An iterator that would end the process."""
    yield 1
    raise SystemExit(4)


class FakePipe:
    """Packets to be read, and those that were sent; then the end."""

    def __init__(self, *packets, broken=False):
        self.packets = list(packets)
        self.sent = []
        self.broken = broken

    def recv_bytes(self):
        if not self.packets:
            raise EOFError
        return self.packets.pop(0)

    def send_bytes(self, packet):
        if self.broken:
            raise BrokenPipeError
        self.sent.append(packet)


class CallRunnerTests(SynchronousTestCase):
    def test_value(self):
        """A call comes to its value."""
        self.assertEqual(CallRunner()((calls.add, (1,), {"y": 2})), (Status.RESULT, 3))

    def test_raises(self):
        """Whatever a call raises is what it came to."""
        for f in (calls.boom, calls.bye, calls.interrupted, calls.mute):
            status, error = CallRunner()((f, (), {}))
            self.assertIs(status, Status.ERROR)
            self.assertIsInstance(error, BaseException)

    def test_iterators(self):
        """What is an iterator, and what only can be iterated over."""
        runner = CallRunner()
        for iterator in (iter([1]), map(abs, []), zip(), enumerate([]), calls.count(1)):
            status, value = runner((calls.echo, (iterator,), {}))
            self.assertEqual((status, value), (Status.ITERATION, iterator))
        for value in (range(3), [1], {1}, {1: 2}, "abc", b"abc", calls.count):
            status, same = runner((calls.echo, (value,), {}))
            self.assertEqual((status, same), (Status.RESULT, value))

    def test_raw(self):
        """raw makes an iterator a value, and the call's word counts for more."""
        call = (calls.count, (1,), {})
        self.assertIs(CallRunner(raw=True)(call)[0], Status.RESULT)
        self.assertIs(CallRunner()(call, True)[0], Status.RESULT)
        self.assertIs(CallRunner(raw=True)(call, False)[0], Status.ITERATION)

    def test_callTimes(self):
        """With callStats there is a time for each call."""
        runner = CallRunner(callStats=True)
        for f in (calls.echo, calls.boom):
            runner((f, (), {}))
        self.assertEqual(len(runner.callTimes), 2)


class UniverseTests(SynchronousTestCase):
    def setUp(self):
        self.universe = ProcessUniverse()

    def ask(self, envelope, contents=None):
        """What the universe answers: the envelope and the contents."""
        _, packet = self.universe.answer(pack(envelope, contents))
        answer, load = unpack(packet)
        self.assertEqual(answer.number, envelope.number)
        return answer.status, load()

    def call(self, f, *args, raw=None):
        return self.ask(Call(1, raw), (f, args, {}))

    def test_call(self):
        """A call is answered with its value."""
        self.assertEqual(self.call(calls.add, 2), (Status.RESULT, 2))

    def test_seconds(self):
        """The answer tells how long the call took, its first item included."""
        _, packet = self.universe.answer(pack(Call(1, None), (far.nap, (0.01,), {})))
        self.assertGreaterEqual(unpack(packet)[0].seconds, 0.01)
        _, packet = self.universe.answer(pack(Call(1, None), (slowly, (), {})))
        self.assertGreaterEqual(unpack(packet)[0].seconds, 0.01)

    def test_raises(self):
        """Whatever a call raises is answered with its name and traceback."""
        for f, name in (
            (calls.boom, "ValueError"),
            (calls.bye, "SystemExit"),
            (calls.mute, "Mute"),
        ):
            status, error = self.call(f)
            self.assertIs(status, Status.ERROR)
            self.assertEqual(error.name, name)
            self.assertIn(f"in {f.__name__}", error.traceback)

    def test_notLoaded(self):
        """A call that cannot be loaded is answered, with the reason."""
        status, error = self.call(calls.echo, far.Poison(0))
        self.assertIs(status, Status.ERROR)
        self.assertIn("LookupError: not at home", error.text)
        self.assertIn("importable", error.text)

    def test_notPickled(self):
        """A result that cannot be pickled is answered, with its type."""
        status, error = self.call(threading.Lock)
        self.assertIs(status, Status.ERROR)
        self.assertIn("result, of type lock", error.text)
        self.assertIsInstance(pickle.loads(error.pickled), pickle.PicklingError)

    def test_iteration(self):
        """The first item comes with the answer, and the end is told as none."""
        status, iteration = self.call(calls.count, 2)
        self.assertEqual((status, iteration.first), (Status.ITERATION, [0]))
        ask = Next(2, iteration.ID)
        self.assertEqual(self.ask(ask), (Status.RESULT, 1))
        self.assertEqual(self.ask(ask), (Status.NONE, None))
        self.assertEqual(self.universe.iterators, {})
        self.assertIs(self.ask(ask)[0], Status.ERROR)

    def test_emptyIteration(self):
        """An iterator without items is told so at once, and not kept."""
        status, iteration = self.call(calls.count, 0)
        self.assertEqual((status, tuple(iteration)), (Status.ITERATION, (None, [])))
        self.assertEqual(self.universe.iterators, {})

    def test_uniqueIDs(self):
        """No two iterators have the same ID, not even one after the other."""
        IDs = [self.call(calls.count, 1)[1].ID for _ in range(3)]
        for ID in IDs:
            self.ask(Close(1, ID))
        IDs += [self.call(calls.count, 1)[1].ID for _ in range(3)]
        self.assertEqual(len(set(IDs)), 6)

    def test_iteratorRaises(self):
        """An iterator that raises is forgotten, whatever it raises."""
        for f, args, name in (
            (calls.brittle, (1,), "ValueError"),
            (exits, (), "SystemExit"),
        ):
            _, iteration = self.call(f, *args)
            status, error = self.ask(Next(2, iteration.ID))
            self.assertEqual((status, error.name), (Status.ERROR, name))
            self.assertEqual(self.universe.iterators, {})

    def test_itemNotPickled(self):
        """An item that cannot be pickled is an error, and the iterator is closed."""
        _, iteration = self.call(locks)
        status, error = self.ask(Next(2, iteration.ID))
        self.assertIs(status, Status.ERROR)
        self.assertIn("item, of type lock", error.text)
        self.assertEqual(self.universe.iterators, {})

    def test_firstItemNotPickled(self):
        """So is a first item."""
        status, error = self.call(lockFirst)
        self.assertIn("first item, of type lock", error.text)
        self.assertEqual(self.universe.iterators, {})

    def test_close(self):
        """Closing an iterator closes it, and once more does nothing."""
        _, iteration = self.call(closable)
        for _ in range(2):
            self.assertEqual(self.ask(Close(2, iteration.ID)), (Status.NONE, None))
        self.assertTrue(kept.pop().closed)
        self.assertEqual(self.universe.iterators, {})

    def test_closeRaises(self):
        """What closing raises is answered."""
        _, iteration = self.call(closable, True)
        status, error = self.ask(Close(2, iteration.ID))
        self.assertEqual((status, error.text), (Status.ERROR, "cannot be closed"))
        kept.clear()


def slowly():
    time.sleep(0.01)
    yield 1


def lockFirst():
    yield threading.Lock()


class LoopTests(SynchronousTestCase):
    def test_untilStopped(self):
        """The loop answers all packets, and ends after Stop."""
        pipe = FakePipe(pack(Hello(1)), pack(Stop(2)), pack(Hello(3)))
        ProcessUniverse().loop(pipe)
        self.assertEqual([unpack(packet)[0].number for packet in pipe.sent], [1, 2])

    def test_untilLeft(self):
        """It ends when the near side is gone, before or in the middle of an answer."""
        ProcessUniverse().loop(FakePipe())
        pipe = FakePipe(pack(Hello(1)), broken=True)
        ProcessUniverse().loop(pipe)
        self.assertEqual(pipe.sent, [])

    def test_announcesWhatIsLarge(self):
        """A large answer is announced by a packet of its own."""
        pipe = FakePipe(pack(Call(1, None), (bytes, (10**5,), {})))
        ProcessUniverse().loop(pipe)
        self.assertEqual(len(pipe.sent), 2)
        self.assertEqual(unpack(pipe.sent[1])[1](), bytes(10**5))
