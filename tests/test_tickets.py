"""
Calls that wait in the pipe, and are taken back.
"""

import multiprocessing
from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.tickets import MOST, Gate, Tickets, makePipe

STEPS = st.lists(
    st.sampled_from(["send", "send", "begin", "takeBack"]), min_size=30, max_size=400
)


class TicketTests(SynchronousTestCase):
    def setUp(self):
        reader, writer = makePipe(multiprocessing)
        self.tickets = Tickets(reader, writer)
        self.addCleanup(self.tickets.close)
        self.gate = Gate(reader)

    def test_admitted(self):
        """A call whose ticket is there is begun, and cannot be taken back."""
        for _ in range(3):
            self.tickets.issue()
        self.assertTrue(self.gate.admit())
        self.assertEqual([self.tickets.takeBack() for _ in range(2)], [2, 0])

    def test_takenBack(self):
        """A call that was taken back is not begun."""
        self.tickets.issue()
        self.tickets.takeBack()
        self.assertFalse(self.gate.admit())
        self.tickets.issue()
        self.assertTrue(self.gate.admit())

    def test_most(self):
        """As many as may be out at a time can be, and are taken back at once."""
        for _ in range(3):
            for _ in range(MOST):
                self.tickets.issue()
            self.assertEqual(self.tickets.takeBack(), MOST)

    def test_closed(self):
        """The pipe is let go of."""
        reader, writer = makePipe(multiprocessing)
        Tickets(reader, writer).close()
        self.assertTrue(reader.closed and writer.closed)

    @settings(max_examples=200, deadline=None)
    @given(STEPS)
    def test_exactlyOnce(self, steps):
        """
        Whatever happens in whichever order, each call is either begun, in order, or
        taken back, and both sides know which.
        """
        reader, writer = makePipe(multiprocessing)
        tickets, gate = Tickets(reader, writer), Gate(reader)
        pipe: deque[int] = deque()
        begun: list[int] = []
        takenBack: set[int] = set()
        refused: set[int] = set()
        sent = 0
        for step in [*steps, *["begin"] * MOST]:
            isClear = not takenBack & set(pipe)
            if step == "send" and len(pipe) < MOST and isClear:
                tickets.issue()
                pipe.append(sent)
                sent += 1
            elif step == "begin" and pipe:
                call = pipe.popleft()
                if gate.admit():
                    begun.append(call)
                else:
                    refused.add(call)
            elif step == "takeBack":
                takenBack |= set(range(sent - tickets.takeBack(), sent))
        tickets.close()
        self.assertEqual(refused, takenBack)
        self.assertEqual(begun, [n for n in range(sent) if n not in takenBack])
