"""
Iteration from the iterator to its reader, whatever items come and however they are
read: both sides, with a pipe and a time that the test steps.
"""

import pickle
from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.batches import SIZE, TIME
from asynqueue.contents import OUT_OF_BAND
from asynqueue.errors import UnpicklingError, WorkerDied
from asynqueue.messages import LONG, Iteration, Next, Status, unpack
from asynqueue.openings import SLICE
from asynqueue.remotes import RemoteIterators
from asynqueue.replies import openReply
from tests import deeds
from tests.fakes import Reactor
from tests.support import StepLooper, crossed
from tests.test_batches import Far, Slow

AGES = 10.0
KINDS = {
    "quick": lambda i: i,
    "not so quick": lambda i: Slow(i, 0.4 * TIME),
    "slow": lambda i: Slow(i, AGES),
    "long": lambda i: str(i % 10) * (SIZE // 3),
    "very long": lambda i: str(i % 10) * (LONG + 1),
    "large": lambda i: bytes((i % 256,)) * OUT_OF_BAND,
}
ENDS = {
    "end": (StopIteration(), None),
    "slow end": (Slow(StopIteration(), AGES), None),
    "error": (ValueError("enough"), ValueError),
    "slow error": (Slow(ValueError("enough"), AGES), ValueError),
    "not to be pickled": (deeds.Closed(), pickle.PicklingError),
    "not to be loaded": (deeds.Bomb(), UnpicklingError),
    "not to be loaded and long": (["x" * LONG, deeds.Bomb()], UnpicklingError),
}
ACTIONS = ["read", "read much", "answer", "turn", "time", "load"]


class Pipe:
    """
    What the near side has for a channel.

    @ivar asked: The requests for items that are not answered, each with the Deferred
        of its reply.
    @ivar closed: The IDs of the iterators that are to be closed.
    """

    def __init__(self):
        self.asked = deque()
        self.closed = []
        self.numbers = iter(range(1, 10**9))

    def number(self):
        return next(self.numbers)

    def inquire(self, number, packet, line, call=None):
        envelope, _ = unpack(crossed(packet))
        d: Deferred[object] = Deferred()
        if isinstance(envelope, Next):
            self.asked.append((envelope, d))
        else:
            self.closed.append(envelope.ID)
        return d

    def died(self, more=""):
        return WorkerDied(more, 1, -9)


class Example(Far):
    """
    An iterator, of which the first item is here already, and its reader.

    @ivar produced: How many further items have been taken, or are being taken.
    @ivar here: How many of them are here.
    @ivar isTooFarAhead: C{True} if they were more than I{WholeTests} says.
    @ivar found: The items that the reader has.
    @ivar error: What the reader's loop ended with, C{None} for its end.
    @ivar ended: C{True} when it has ended.
    @ivar allowed: How many items the reader may read before he pauses.
    """

    def __init__(self, kinds, end, isAsync):
        super().__init__()
        items = [KINDS[kind](i) for i, kind in enumerate(kinds)]
        self.expected = ["first", *[getattr(each, "item", each) for each in items]]
        end, self.kind = ENDS[end]
        self.iterators[7] = iter([*items, end])
        self.pipe = Pipe()
        self.reactor = Reactor()
        self.looper = StepLooper()
        places: Any = (self.pipe, self.reactor, self.looper)
        self.near = RemoteIterators(*places)
        self.dr = self.near.deferator(Iteration(7, ["first"]), "call")
        self.produced = self.here = self.allowed = 0
        self.isTooFarAhead = False
        self.found = []
        self.error: Exception | None = None
        self.ended = False
        self.paused: Deferred[None] = Deferred()
        self.reading = Deferred.fromCoroutine(self.read(isAsync))

    # --- What the process does.

    def take(self, ID):
        before, start = self.produced, self.now
        self.produced += 1
        # Two may be on their way from here to the reader's loop.
        come = len(self.found) + 2
        self.isTooFarAhead |= self.produced > come + 1.5 * come
        outcome = super().take(ID)
        if self.now - start >= AGES:
            sent = sum(map(self.count, self.courier.sent))
            same(self.here + sent, before, "that nothing waits for a slow item")
        return outcome

    def count(self, packet):
        answer, load = unpack(list(packet))
        return len(load().pickles) if answer.status is Status.RESULT else 0

    def answer(self):
        request, d = self.pipe.asked.popleft()
        packet = self.batches.answer(request, self.courier)
        packet = self.courier.sent.pop() if packet is None else crossed(packet)
        self.here += self.count(packet)
        d.callback(openReply(packet, request.number, 0.0))

    def die(self):
        for _, d in self.pipe.asked:
            d.errback(self.pipe.died())
        self.pipe.asked.clear()
        self.near.abandon()

    # --- What the reader does.

    async def read(self, isAsync):
        try:
            await self.paused
            if isAsync:
                async for item in self.dr:
                    await self.take_(item)
            else:
                for d in self.dr:
                    await self.take_(await d)
        except Exception as e:
            self.error = e
        self.ended = True

    async def take_(self, item):
        self.found.append(item)
        self.allowed -= 1
        if self.allowed < 1:
            self.paused = Deferred()
            await self.paused

    def allow(self, n):
        self.allowed = n
        if not self.paused.called:
            self.paused.callback(None)

    def do(self, action):
        if action.startswith("read"):
            self.allow(20 if action == "read much" else 1)
        elif action == "answer" and self.pipe.asked:
            self.answer()
        elif action == "load" and self.looper.jobs:
            self.looper.step()
        elif action == "turn":
            self.reactor.advance(0)
        elif action == "time":
            self.reactor.rightNow += SLICE

    def finish(self):
        """Everybody goes on until the reader has come to an end."""
        for _ in range(1000):
            if self.ended:
                break
            self.allow(10**9)
            self.do("answer")
            self.do("load")
            self.do("turn")
        same(self.ended, True, "that the reader comes to an end")


def same(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: {found!r:.200} is not {expected!r:.200}")


class WholeTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(st.sampled_from([*["quick"] * 20, *KINDS]), max_size=60),
        st.sampled_from([*ENDS]),
        st.booleans(),
        st.lists(st.sampled_from(ACTIONS), max_size=30),
        st.sampled_from(["goes on", "stop", "death"]),
    )
    def test_anything(self, kinds, end, isAsync, actions, then):
        """
        Exactly the items before the end come, in order, and then the end or its error;
        or, if the process dies, those that are here and then what died; or, if the
        reader stops, no more. No item waits for a slow one, and the iterator is never
        further ahead than the reader has come, and half as far again.
        """
        example = Example(kinds, end, isAsync)
        for action in actions:
            example.do(action)
        before = len(example.found)
        if then == "stop":
            wasOver = example.ended
            example.dr.stop()
            example.finish()
            # That of a Deferred that had waited for whether another follows.
            more = len(example.found) - before
            same(more in ([0] if isAsync else [0, 1]), True, "nothing after stop()")
            same(len(example.pipe.closed) < 2, True, "that it is closed once")
            same(example.error is None or wasOver, True, "no error after stop()")
        elif then == "death":
            # One of them may not be loaded.
            wasHere = min(1 + example.here, len(example.expected))
            example.die()
            example.finish()
            same(len(example.found), wasHere, "the number of those that were here")
            kinds = (WorkerDied, example.kind or type(None))
            same(isinstance(example.error, kinds), True, "the error")
        else:
            example.finish()
            same(len(example.found), len(example.expected), "the number of items")
            same(isinstance(example.error, example.kind or type(None)), True, "error")
        same(example.found, example.expected[: len(example.found)], "the items")
        same(example.isTooFarAhead, False, "how far ahead it was")
