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
        self.assertEqual([self.tickets.issue() for _ in range(3)], [0, 1, 2])
        self.assertTrue(self.gate.admit())
        self.assertEqual(self.tickets.takeBack(), bytes([1, 2]))
        self.assertEqual(self.tickets.takeBack(), b"")

    def test_takenBack(self):
        """A call that was taken back is not begun, whatever was sent after it."""
        self.tickets.issue()
        self.tickets.issue()
        self.tickets.takeBack()
        self.assertFalse(self.gate.admit())
        self.tickets.issue()
        # Finds the third's, and keeps it.
        self.assertFalse(self.gate.admit())
        self.assertEqual(self.tickets.takeBack(), b"")
        self.assertTrue(self.gate.admit())

    def test_most(self):
        """As many as may be out at a time are told apart, and taken back at once."""
        for _ in range(3):
            issued = [self.tickets.issue() for _ in range(MOST)]
            self.assertEqual(len(set(issued)), MOST)
            self.assertEqual(list(self.tickets.takeBack()), issued)
            for _ in issued:
                self.assertFalse(self.gate.admit())

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
        out: dict[int, int] = {}
        begun: list[int] = []
        takenBack: list[int] = []
        refused: list[int] = []
        sent = 0
        for step in [*steps, *["begin"] * MOST]:
            if step == "send" and len(pipe) < MOST:
                out[tickets.issue()] = sent
                pipe.append(sent)
                sent += 1
            elif step == "begin" and pipe:
                call = pipe.popleft()
                (begun if gate.admit() else refused).append(call)
                out = {ticket: other for ticket, other in out.items() if other != call}
            elif step == "takeBack":
                takenBack += [out.pop(ticket) for ticket in tickets.takeBack()]
        tickets.close()
        self.assertEqual(refused, takenBack)
        self.assertEqual(sorted(begun + takenBack), list(range(sent)))
        self.assertEqual(begun, sorted(begun))
