"""
A link to a cluster keeps its promise, in whatever order things happen there.
"""

import asyncio
from types import SimpleNamespace
from typing import Any, NamedTuple

from distributed import KilledWorker
from distributed.client import FutureCancelledError
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import clusterlink
from asynqueue.clusterlink import LOST
from asynqueue.messages import Status
from tests.linked import StepErrand, StepWatch, answer, linked, settle

NODES = ("A", "B")
CALLS = 2


class Step(NamedTuple):
    """
    Something that happens.

    @ivar what: The name of a method of L{Model}.
    @ivar call: Which call it is about, counted from 0.
    @ivar node: Which node.
    @ivar isQuick: C{True} if the next follows before anybody has done anything.
    """

    what: str
    call: int
    node: str
    isQuick: bool


class Job:
    """
    I am what the cluster knows of a call.

    @ivar node: The node that has it, C{None} if none has.
    @ivar begun: C{True} if that makes it.
    @ivar given: C{True} if a node had it before.
    @ivar isDone: C{True} if its short answer is on its way.
    """

    def __init__(self, key, future, asks):
        self.number = key[-1]
        self.key = key
        self.future = future
        self.asks = asks
        self.node: str | None = None
        self.begun = False
        self.given = False
        self.hasAsked = False
        self.isDone = False


class Model:
    """
    I am a cluster: its scheduler, its nodes, and what these do with calls.

    @ivar begun: How often each call has begun, by number.
    """

    def __init__(self, link, errands):
        self.link = link
        self.client = link._client
        self.errands = errands
        self.jobs: dict[Any, Job] = {}
        self.abandoned: set[tuple[str, int]] = set()
        self.begun = dict.fromkeys((errand.number for errand in errands), 0)
        self.isLost = False
        # What is on its way to the client, in order.
        self.events: list[tuple[str, Any]] = []
        self.grantsSeen = 0
        link.nodes.isBegun = self.abandon

    def look(self):
        """
        Takes in what was sent, drops what was cancelled, and grants what was.
        """
        for key, (future, asks) in self.client.sent.items():
            if key not in self.jobs:
                self.jobs[key] = Job(key, future, asks)
        for what, *request in self.client.asked[self.grantsSeen :]:
            if what == "grant":
                self.granted(*request)
        self.grantsSeen = len(self.client.asked)
        self.client.holders = {
            job.number: job.node for job in self.open() if job.node is not None
        }

    def open(self):
        return [job for job in self.jobs.values() if not job.future.done()]

    def job(self, call):
        """
        @return: The job of a call that is not over, C{None} if there is none.
        """
        for job in self.open():
            if job.number == self.errands[call].number:
                return job
        return None

    def abandon(self, node, number):
        self.abandoned.add((node, number))
        for job in self.open():
            if job.number == number and job.node == node and job.begun:
                return True
        return False

    def granted(self, number, node, isGranted):
        for job in self.open():
            if (job.number, job.node, job.hasAsked) == (number, node, True):
                if isGranted:
                    self.begin(job)
                else:
                    job.future.set_result(answer(number, node, Status.DISCONNECTED))

    def begin(self, job):
        if (job.node, job.number) in self.abandoned:
            status = Status.DISCONNECTED
            job.future.set_result(answer(job.number, job.node, status))
        else:
            job.begun = True
            self.begun[job.number] += 1

    # --- What happens.

    def submit(self, step):
        errand = self.errands[step.call]
        if not errand.isSubmitted:
            errand.isSubmitted = True
            self.link.submit(errand)

    def place(self, step):
        """The scheduler gives a call to a node, which begins it or asks."""
        job = self.job(step.call)
        if job is None or job.node is not None:
            return
        job.node = step.node
        again, job.given = job.given, True
        if job.asks or again:
            job.hasAsked = True
            self.events.append(("asynqueue", ("claim", job.number, job.node)))
        else:
            self.begin(job)

    def steal(self, step):
        """A node that has not begun a call gives it to another."""
        job = self.job(step.call)
        if job is not None and job.node is not None and not (job.begun or job.hasAsked):
            job.node = None
            self.place(step)

    def giveUp(self, step):
        """The scheduler gives a call up that no node has any more."""
        job = self.job(step.call)
        if job is not None and job.node is None and job.given and not self.isLost:
            last = SimpleNamespace(address="A")
            job.future.set_exception(KilledWorker(job.key, last, 3))

    def cancelThere(self, step):
        """Somebody else cancels a call, which goes on if it has begun."""
        job = self.job(step.call)
        if job is not None:
            job.future.set_exception(FutureCancelledError("key", "somebody did"))

    def finish(self, step):
        job = self.job(step.call)
        if job is not None and job.begun:
            job.future.set_result(answer(job.number, job.node))

    def finishShortly(self, step):
        """The answer is sent on its way, and after it that the call is over."""
        job = self.job(step.call)
        if job is not None and job.begun and not job.isDone:
            job.isDone = True
            short = answer(job.number, job.node)
            self.events.append(("asynqueue", ("answer", job.number, short)))
            self.events.append(("over", job.future))

    def kill(self, step):
        """A node dies, and another takes its address, if it is asked soon."""
        gone = [job for job in self.open() if job.node == step.node]
        message = {
            "action": "remove-worker",
            "worker": step.node,
            "processing-tasks": {job.key: None for job in gone},
            "lost-computed-tasks": {},
        }
        self.events.append(("all", message))
        for job in gone:
            job.node, job.begun, job.hasAsked = None, False, False
        self.abandoned = {pair for pair in self.abandoned if pair[0] != step.node}

    def tell(self, step):
        """The next event reaches the client."""
        if self.events and not self.isLost:
            topic, event = self.events.pop(0)
            if topic == "over":
                if not event.done():
                    event.set_result(None)
            else:
                self.client.topics["all" if topic == "all" else "asynqueue-token"](
                    (0.0, event)
                )

    def cancel(self, step):
        errand = self.errands[step.call]
        if errand.isSubmitted:
            self.link.cancel(errand.number)

    def lose(self, step):
        if not self.isLost:
            self.isLost = True
            self.link._watch.lose("gone")
            for job in self.open():
                job.future.set_exception(FutureCancelledError("key", LOST))


class Errand(StepErrand):
    isSubmitted = False


OFTEN = ("submit", "place", "kill", "tell", "tell")
SELDOM = ("cancel", "steal", "giveUp", "cancelThere", "finish", "lose", "finishShortly")

steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(2 * OFTEN + SELDOM),
        st.integers(0, CALLS - 1),
        st.sampled_from(NODES),
        st.sampled_from((False, False, True)),
    ),
    min_size=20,
    max_size=60,
)
kinds = st.lists(
    st.tuples(st.integers(1, 3), st.booleans()), min_size=CALLS, max_size=CALLS
)


async def play(kinds, steps):
    """
    Has things happen, and then all come to its end.

    @return: The errands, and how often each has begun.
    """
    errands = [
        Errand(number, runs, asks or runs == 1)
        for number, (runs, asks) in enumerate(kinds, start=1)
    ]
    link = await linked()
    model = Model(link, errands)
    for step in steps:
        getattr(model, step.what)(step)
        if not step.isQuick:
            await settle()
        model.look()
    # Nothing goes wrong any more: all that is there is placed, asked and finished.
    for _ in range(20):
        for call in range(CALLS):
            step = Step("", call, "C", False)
            for happens in (model.submit, model.place, model.finish):
                happens(step)
        while model.events and not model.isLost:
            model.tell(step)
        await settle()
        model.look()
    await link.close()
    return errands, model.begun


class OrderTests(SynchronousTestCase):
    def setUp(self):
        self.patch(clusterlink, "Watch", StepWatch)
        self.patch(clusterlink, "TOGETHER", 0.0)

    @settings(max_examples=150, deadline=None)
    @given(kinds, steps)
    def test_promise(self, kinds, steps):
        """
        Whatever happens in whatever order, each call ends once, and has begun no more
        often than it may.
        """
        errands, begun = asyncio.run(play(kinds, steps))
        for errand in errands:
            self.assertEqual(len(errand.ends), 1, errand.told)
            ((end, *rest),) = errand.ends
            left = rest[0] if end == "returned" else 0
            self.assertLessEqual(begun[errand.number] + left, errand.runs, errand.told)
