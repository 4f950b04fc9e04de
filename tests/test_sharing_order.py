"""
What is shared, by both sides in any order.
"""

import mmap
import os
from collections import deque
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.slots import Part, Slots

from .support import descriptors
from .test_sharing import Ends, buffer

PAGE = mmap.PAGESIZE
SIDES = st.booleans()
SIZES = st.lists(st.integers(1, 4 * PAGE), min_size=1, max_size=3)
WHICH = st.integers(0, 9)
STEPS = st.lists(
    st.tuples(st.just("share"), SIDES, SIZES)
    | st.tuples(st.just("cross"), SIDES, SIZES)
    | st.tuples(
        st.sampled_from(
            ["send", "ahead", "receive", "drop", "drop", "forget", "write", "tell"]
        ),
        SIDES,
        WHICH,
    ),
    max_size=60,
)


class Model:
    """
    What each side has at hand, and should find there. Each list has one for each
    side.

    @ivar unsent: Packets that were not sent, or may be sent again, each with the
        contents of its buffers.
    @ivar pipe: Those on their way, likewise, and C{True} for those that were taken
        back, which nobody will look at.
    @ivar held: Buffers that have arrived, each with its contents.
    """

    def __init__(self, least):
        ends = self.ends = Ends(least)
        self.sides = ends.near, ends.far
        self.unsent: list[list[Any]] = [[], []]
        self.pipe: list[deque[Any]] = [deque(), deque()]
        self.held: list[list[Any]] = [[], []]

    def share(self, side, sizes):
        buffers = [buffer(size) for size in sizes]
        packet = [b"head", b"contents", *self.sides[side].share(buffers)]
        self.unsent[side].append((packet, [bytes(b) for b in buffers]))

    def cross(self, side, sizes):
        self.tell(not side)
        self.share(side, sizes)
        self.send(side, -1)
        for receiver in (side, not side):
            while self.pipe[not receiver]:
                self.receive(receiver)

    def tell(self, side, _=0):
        self.put(side, [b"head", b"contents"], [], False)

    def send(self, side, k):
        packet, contents = self.unsent[side].pop(k)
        self.put(side, packet, contents, False)

    def ahead(self, side, k):
        packet, contents = self.unsent[side][k]
        self.put(side, list(packet), contents, True)

    def put(self, side, packet, contents, isTakenBack):
        self.sides[side].send(packet)
        # Its buffers are not copied before the pipe has them.
        packet[2:] = [memoryview(bytearray(part)) for part in packet[2:]]
        self.pipe[side].append((packet, contents, isTakenBack))

    def receive(self, side, _=0):
        packet, contents, isTakenBack = self.pipe[not side].popleft()
        self.sides[side].receive(packet)
        arrived = list(zip(packet[2:], contents, strict=True))
        self.check(arrived)
        if not isTakenBack:
            self.held[side] += arrived

    def drop(self, side, k):
        del self.held[side][k]

    def forget(self, side, k):
        del self.unsent[side][k]

    def write(self, side, k):
        arrived, _ = self.held[side][k]
        arrived[:] = os.urandom(len(arrived))
        self.held[side][k] = arrived, bytes(arrived)

    def look(self):
        """
        Finds everything as it should be.
        """
        for side in (0, 1):
            self.check(self.held[side])
            for packet, contents in self.unsent[side]:
                for part, expected in zip(packet[2:], contents, strict=True):
                    if isinstance(part, Part):
                        part = part.slot.file.pages()[: part.size]
                    self.check([(part, expected)])

    def check(self, pairs):
        for arrived, contents in pairs:
            if bytes(arrived) != contents:
                raise AssertionError("Something shines through")

    def step(self, what, side, how):
        """
        Does a step, if there is anything to do it with.
        """
        things = {
            "send": self.unsent[side],
            "ahead": self.unsent[side],
            "forget": self.unsent[side],
            "receive": self.pipe[not side],
        }.get(what, self.held[side])
        if what in ("share", "cross", "tell"):
            getattr(self, what)(side, how)
        elif things:
            getattr(self, what)(side, how % len(things))
        self.look()


class AnyOrderTests(SynchronousTestCase):
    @settings(max_examples=100, deadline=None)
    @given(STEPS)
    def test_anyOrder(self, steps):
        """
        Whatever is shared, sent, taken back, received, written to and dropped in which
        order, each has what it should have, nothing is filled while somebody has it,
        and the descriptors are bounded.
        """
        most = 4
        with patch("asynqueue.slots.KEPT", 4 * PAGE):
            before = len(descriptors())
            model = Model(PAGE // 2)
            for end in model.sides:
                end._slots = Slots(most)
            for what, side, how in steps:
                model.step(what, side, how)
                # For each side a door, and for each file its own and two mappings.
                self.assertLessEqual(len(descriptors()) - before, 2 + 2 * 3 * most)
            for things in (model.unsent, model.pipe, model.held):
                for side in (0, 1):
                    while model.pipe[side]:
                        model.receive(not side)
                    things[side].clear()
            model.ends.tell()
            self.assertFalse(model.ends.near._slots.areUsed)
            self.assertFalse(model.ends.far._slots.areUsed)
            model.ends.close()
            del model, end, things
            self.assertEqual(len(descriptors()), before)
