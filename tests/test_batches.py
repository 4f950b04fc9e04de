"""
Items that are taken and sent several at a time, on a clock that the test steps.
"""

import pickle

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.batches import SIZE, TIME, Batches
from asynqueue.contents import OUT_OF_BAND
from asynqueue.couriers import PATIENCE, Courier
from asynqueue.messages import Next, Status, unpack
from tests import deeds
from tests.support import crossed


class Slow:
    """
    An item that takes some seconds to be taken.
    """

    def __init__(self, item, seconds):
        self.item = item
        self.seconds = seconds


class StepCourier(Courier):
    """
    A courier that sends at once what is held when its time has come.

    @ivar sent: The packets that it has sent.
    @ivar refuses: C{True} to hold nothing.
    """

    def __init__(self):
        super().__init__()
        self.sent = []
        self.refuses = False

    def hold(self, packed, due):
        if not self.refuses:
            self._held, self._due = packed, due
        return not self.refuses

    def takeBack(self):
        held, self._held = self._held, None
        return held is not None

    def pass_(self, now):
        """It is that late."""
        if self._held is not None and now >= self._due:
            self.sent.append(crossed(self._held()))
            self._held = None


class Far:
    """
    Iterators, and the answers to requests for their items.

    @ivar now: The time, in seconds.
    @ivar closed: The IDs of the iterators that were closed for an item of theirs.
    @ivar iterators: The iterators, by ID.
    """

    def __init__(self):
        self.now = 0.0
        self.closed = []
        self.iterators = {}
        self.courier = StepCourier()
        self.batches = Batches(self.take, self.closed.append, clock=lambda: self.now)

    def take(self, ID):
        """
        Takes an item; one that is slow in its time, and one that is an exception is
        raised.
        """
        item = next(self.iterators[ID], StopIteration())
        if isinstance(item, Slow):
            self.now += item.seconds
            self.courier.pass_(self.now)
            item = item.item
        if isinstance(item, StopIteration):
            return Status.NONE, None
        if isinstance(item, Exception):
            return Status.ERROR, item
        return Status.RESULT, item


class BatchesCase(SynchronousTestCase):
    def setUp(self):
        self.far = Far()
        self.batches = self.far.batches
        self.courier = self.far.courier
        self.iterators = self.far.iterators

    def open(self, *items, ID=7):
        self.iterators[ID] = iter(items)

    def answer(self, most, ID=7):
        """
        @return: What a request is answered with: a list of items, the status at an
            end, or the text of an error; C{None} if the courier has.
        """
        packet = self.batches.answer(Next(3, ID, most), self.courier)
        return None if packet is None else self.opened(crossed(packet))

    def opened(self, packet):
        answer, load = unpack(packet)
        contents = load()
        self.assertEqual(answer.number, 3)
        if answer.status is Status.RESULT:
            *pickles, last = contents.pickles
            found = [pickle.loads(pickled) for pickled in pickles]
            return [*found, pickle.loads(last, buffers=contents.buffers)]
        return contents.text if answer.status is Status.ERROR else answer.status

    def sent(self):
        """
        @return: What the courier has sent.
        """
        return self.opened(self.courier.sent.pop())


class BudgetTests(BatchesCase):
    def test_most(self):
        """A batch has as many items as are asked for, and the iterator stops there."""
        self.open(*range(10))
        for most, items in ((1, [0]), (2, [1, 2]), (4, [3, 4, 5, 6])):
            self.assertEqual(self.answer(most), items)
        self.assertEqual(next(self.iterators[7]), 7)

    def test_time(self):
        """No item is taken when the iterator has run for some time."""
        self.open(*[Slow(i, 0.4 * TIME) for i in range(10)])
        self.assertEqual(self.answer(100), [0, 1, 2])
        self.assertEqual(self.answer(100), [3, 4, 5])
        self.assertEqual(self.answer(2), [6, 7])

    def test_slow(self):
        """
        Items that take long come one by one, at once, and none is taken that was not
        asked for.
        """
        self.open(*[Slow(i, 10 * TIME) for i in range(5)])
        for i in range(3):
            self.assertEqual(self.answer(1000), [i])
        self.assertEqual(self.courier.sent, [])
        self.assertEqual(next(self.iterators[7]).item, 3)

    def test_seconds(self):
        """An answer tells how long the iterator ran for it."""
        self.open(Slow(1, 0.25 * TIME), Slow(2, 0.25 * TIME), 3)
        packet = self.batches.answer(Next(3, 7, 2), self.courier)
        self.assertEqual(unpack(crossed(packet))[0].seconds, 0.5 * TIME)

    def test_size(self):
        """No item is taken when the pickles are large."""
        item = "x" * (SIZE // 4)
        self.open(*[item] * 9)
        self.assertEqual([len(self.answer(100)) for _ in range(3)], [4, 4, 1])

    def test_buffers(self):
        """
        One with large buffers, which are not copied, is sent before the next is
        taken, with those before it.
        """
        mutable, fixed = bytearray(OUT_OF_BAND), b"x" * OUT_OF_BAND
        large = [pickle.PickleBuffer(mutable), fixed]
        self.open(1, 2, large, 3, fixed, 4)
        packet = self.batches.answer(Next(3, 7, 100), self.courier)
        mutable[0] = 9
        one, two, found = self.opened(crossed(packet))
        self.assertEqual((one, two), (1, 2))
        self.assertTrue(found == [mutable, fixed])
        self.assertFalse(found[0].readonly)
        self.assertTrue(self.answer(100) == [3, fixed])
        self.assertEqual(self.answer(100), [4])

    def test_sameObject(self):
        """An object that the generator fills again and again comes as it was."""

        def rows():
            row = []
            for i in range(4):
                row.append(i)
                yield row

        self.iterators[7] = rows()
        self.assertEqual(self.answer(100), [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]])


class EndTests(BatchesCase):
    def test_end(self):
        """The end comes when it is asked for."""
        self.open(1, 2)
        self.assertEqual(self.answer(100), [1, 2])
        self.assertIs(self.answer(100), Status.NONE)

    def test_error(self):
        """So does an error, after the items before it."""
        self.open(1, 2, ValueError("enough"), 3)
        self.assertEqual(self.answer(100), [1, 2])
        self.assertEqual(self.answer(100), "enough")
        self.assertEqual(self.far.closed, [])

    def test_notPicklable(self):
        """
        An item that cannot be pickled is an error too, and closes its iterator. That
        a part of it had been pickled does not harm those before it.
        """
        self.open(1, ["x" * 100_000, deeds.Closed()], 3)
        self.assertEqual(self.answer(100), [1])
        self.assertIn("The item, of type list, could not", self.answer(100))
        self.assertEqual(self.far.closed, [7])

    def test_forgotten(self):
        """What was taken early is dropped when the iterator is closed."""
        self.open(1, ValueError("enough"), 2)
        self.answer(100)
        self.batches.forget(7)
        self.batches.forget(7)
        self.assertEqual(self.answer(1), [2])


class CourierTests(BatchesCase):
    """
    Items before a slow one.
    """

    def test_sent(self):
        """
        They are sent while it is taken. It is the answer to the next request, at once
        and by itself.
        """
        self.open(1, 2, Slow(3, 10.0), 4)
        self.assertIsNone(self.answer(100))
        self.assertEqual(self.sent(), [1, 2])
        self.assertEqual(self.answer(100), [3])
        self.assertEqual(next(self.iterators[7]), 4)

    def test_ends(self):
        """So are they before an end that takes long, or an error."""
        ends = [StopIteration(), ValueError("enough")]
        for end, told in zip(ends, (Status.NONE, "enough"), strict=True):
            self.open(1, Slow(end, 10.0))
            self.assertIsNone(self.answer(100))
            self.assertEqual(self.sent(), [1])
            self.assertEqual(self.answer(100), told)

    def test_held(self):
        """They are held for some time since the first of them was there."""
        self.open(1, Slow(2, 0.9 * TIME), Slow(3, PATIENCE), Slow(4, 0.0))
        self.assertIsNone(self.answer(100))
        self.assertEqual(self.sent(), [1, 2])
        self.open(1, Slow(2, 0.9 * TIME), Slow(3, 0.9 * PATIENCE - TIME), 4)
        self.batches.forget(7)
        self.assertEqual(self.answer(100), [1, 2, 3])

    def test_nobodyToSend(self):
        """If nobody would send them, each comes by itself."""
        self.courier.refuses = True
        self.open(1, 2)
        self.assertEqual([self.answer(100), self.answer(100)], [[1], [2]])

    def test_interleaved(self):
        """What was taken early of one iterator is not another's."""
        self.open(1, Slow(2, 10.0))
        self.open("a", "b", ID=8)
        self.assertIsNone(self.answer(100))
        self.assertEqual(self.answer(100, ID=8), ["a", "b"])
        self.assertEqual(self.answer(100), [2])
