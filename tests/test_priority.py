"""
Tests of L{asynqueue.priority.Priority}.
"""

from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import QueueRunError
from asynqueue.priority import Priority


def drain(heap):
    """
    @return: A list of all items of a heap.
    """
    return [heap.pop() for _ in range(len(heap))]


class PriorityTests(SynchronousTestCase):
    """
    Tests of L{Priority}.
    """

    def setUp(self):
        self.heap: Priority[int] = Priority()

    def test_order(self):
        """
        The lowest item comes first, and to look at it leaves it there.
        """
        for item in (3, 1, 2):
            self.heap.put(item)
        self.assertEqual((len(self.heap), self.heap.first()), (3, 1))
        self.assertEqual((drain(self.heap), len(self.heap)), ([1, 2, 3], 0))

    def test_heap(self):
        """
        All items can be looked at, in order, without those that were taken out.
        """
        for item in (5, 3, 1, 4, 2):
            self.heap.put(item)
        self.heap.remove(3)
        self.assertEqual((self.heap.heap, len(self.heap)), ([1, 2, 4, 5], 4))

    def test_fifo(self):
        """
        Of equal items, the one that was put first comes first, and they are
        never compared with each other.
        """
        heap: Priority[Any] = Priority(key=lambda item: (item["key"],))
        items = [{"key": i % 3, "serial": i} for i in range(300)]
        for item in items:
            heap.put(item)
        expected = sorted(items, key=lambda item: (item["key"], item["serial"]))
        self.assertEqual(drain(heap), expected)

    def test_empty(self):
        """
        There is nothing to look at or take in an empty one, nor in one whose
        items have been taken out.
        """
        for _ in range(2):
            self.assertRaises(IndexError, self.heap.first)
            self.assertRaises(IndexError, self.heap.pop)
            self.heap.put(1)
            self.assertTrue(self.heap.remove(1))

    def test_get(self):
        """
        Those who wait get what is put, whatever it is, in the order in which
        they came; later ones get the lowest.
        """
        ds = [self.heap.get(), self.heap.get()]
        for item in (5, 1, 7, 6):
            self.heap.put(item)
        ds += [self.heap.get(), self.heap.get()]
        self.assertEqual([self.successResultOf(d) for d in ds], [5, 1, 6, 7])
        self.assertEqual((len(self.heap), len(self.heap.pendingGetCalls)), (0, 0))

    def test_getCancelled(self):
        """
        Who waits no longer takes nothing away.
        """
        d = self.heap.get()
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.heap.put(1)
        self.assertEqual(self.successResultOf(self.heap.get()), 1)

    def test_shutdown(self):
        """
        Those who wait when it is shut down are told so.
        """
        ds = [self.heap.get(), self.heap.get()]
        self.heap.shutdown()
        for d in ds:
            self.failureResultOf(d, QueueRunError)

    def test_cancel(self):
        """
        All items that are selected come out, none is skipped, and they come in
        order.
        """
        for item in (5, 2, 4, 4, 1, 3):
            self.heap.put(item)
        self.assertEqual(self.heap.cancel(lambda item: item > 2), [3, 4, 4, 5])
        self.assertEqual(drain(self.heap), [1, 2])

    def test_removeAndPutAgain(self):
        """
        An item that was taken out and put again is there once, at its new
        place among equals.
        """
        heap: Priority[list[str]] = Priority(key=lambda item: (len(item),))
        items = [["a"], ["b"], ["c"]]
        for item in items:
            heap.put(item)
        self.assertTrue(heap.remove(items[0]))
        self.assertFalse(heap.remove(items[0]))
        heap.put(items[0])
        self.assertEqual(drain(heap), [["b"], ["c"], ["a"]])

    def test_removedAreForgotten(self):
        """
        Items that are taken out do not pile up, even if none is ever popped.
        """
        self.heap.put(-1)
        for item in range(1000):
            self.heap.put(item)
            self.heap.remove(item)
        self.assertLess(len(self.heap._heap), 5)
        self.assertEqual((len(self.heap), len(self.heap._serialOf)), (1, 1))

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["put"] * 3 + ["pop", "get", "leave", "out", "cancel"]),
                st.integers(0, 20),
            ),
            max_size=60,
        )
    )
    def test_model(self, steps):
        """
        It behaves as a list that is sorted anew each time, whatever is put,
        popped, waited for, taken out and cancelled in between.
        """
        heap: Priority[Any] = Priority(key=lambda item: item[:1])
        model: list[Any] = []
        gone: list[Any] = []
        waiters: deque[Deferred[Any]] = deque()
        for serial, (what, n) in enumerate(steps):
            if what == "put":
                item = (n % 5, serial)
                heap.put(item)
                if waiters:
                    self.assertIs(self.successResultOf(waiters.popleft()), item)
                else:
                    model.append(item)
                    model.sort()
            elif what == "pop" and model:
                self.assertEqual(heap.first(), model[0])
                gone.append(heap.pop())
                self.assertIs(gone[-1], model.pop(0))
            elif what == "get":
                waiters.append(heap.get())
                if model:
                    gone.append(model.pop(0))
                    self.assertIs(self.successResultOf(waiters.pop()), gone[-1])
            elif what == "leave" and waiters:
                d = waiters[n % len(waiters)]
                waiters.remove(d)
                d.cancel()
                self.failureResultOf(d, CancelledError)
            elif what == "out" and model:
                gone.append(model.pop(n % len(model)))
                self.assertTrue(heap.remove(gone[-1]))
            elif what == "cancel":
                selected = [item for item in model if item[0] >= n]
                model = [item for item in model if item[0] < n]
                gone += selected

                def isSelected(item, lowest=n):
                    return item[0] >= lowest

                self.assertEqual(heap.cancel(isSelected), selected)
            self.assertEqual(len(heap), len(model))
            self.assertEqual(list(heap.pendingGetCalls), list(waiters))
        self.assertFalse(any(heap.remove(item) for item in gone))
        self.assertEqual(drain(heap), model)
