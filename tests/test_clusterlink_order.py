"""
A link to a cluster keeps its promise, in whatever order things happen there.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

from distributed import KilledWorker
from distributed.client import FutureCancelledError
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import clusterbundles, clusterlink, clustersubmit
from asynqueue.clusterclerk import WITHDRAWN
from asynqueue.clusterlink import LOST
from asynqueue.messages import Status
from tests.linked import StepErrand, StepWatch, answer, linked, settle

CALLS = 3


class Job:
    """
    I am what the cluster knows of a bundle.

    @ivar node: The node that has it, C{None} if none has.
    @ivar given: C{True} if one had it before.
    @ivar hasAsked: C{True} if that has asked what may begin.
    @ivar granted: The numbers of what may, C{None} while that is not known.
    @ivar agenda: The numbers of the calls that have not begun there.
    @ivar running: That of the one that has, C{None} if none has.
    @ivar long: The long answers, which are to be fetched.
    @ivar isOver: C{True} if word of its end is on its way.
    """

    def __init__(self, key, sent):
        self.key = key
        self.sent = sent
        self.node: str | None = None
        self.given = False
        self.isOver = False
        self.leave()

    def leave(self):
        """
        No node has it any more.
        """
        self.node = self.running = None
        self.hasAsked = False
        self.granted: list[int] | None = None
        self.agenda = list(self.sent.numbers)
        self.long: list[Any] = []

    @property
    def isOpen(self):
        return not (self.isOver or self.sent.future.done())


class Model:
    """
    I am a cluster: its scheduler, its nodes, and what these do with calls.

    @ivar begun: How often each call has begun, by number.
    @ivar late: The numbers of those that have begun after their ends were told.
    """

    def __init__(self, link, errands):
        self.link = link
        self.client = link._client
        self.client.withdraw = self.withdraw
        self.errands = errands
        self.jobs: dict[Any, Job] = {}
        self.abandoned: set[tuple[str, int]] = set()
        self.begun = dict.fromkeys((errand.number for errand in errands), 0)
        self.late: list[int] = []
        self.nodes = ["A", "B"]
        self.deaths = 0
        self.isLost = False
        # What is on its way to the client, in order.
        self.events: list[tuple[str, Any]] = []
        self.grantsSeen = 0
        link.nodes.isBegun = self.abandon

    def look(self):
        """
        Takes in what was sent, and grants what was granted.
        """
        for key, sent in self.client.sent.items():
            if key not in self.jobs:
                self.jobs[key] = Job(key, sent)
        for what, *request in self.client.asked[self.grantsSeen :]:
            if what == "grant":
                self.granted(*request)
        self.grantsSeen = len(self.client.asked)

    def open(self):
        return [job for job in self.jobs.values() if job.isOpen]

    def withdraw(self, key):
        self.look()
        job = self.jobs[key]
        if job.isOpen and job.node is None:
            job.isOver = True
            error = FutureCancelledError("key", WITHDRAWN)
            self.events.append(("over", (job, error)))
        return None if job.isOver else job.node

    def abandon(self, node, number):
        self.abandoned.add((node, number))
        return any((job.node, job.running) == (node, number) for job in self.open())

    def granted(self, serial, node, granted):
        for job in self.open():
            if (job.sent.serial, job.node, job.hasAsked) == (serial, node, True):
                job.granted = granted
                self.goOn(job)

    def goOn(self, job):
        """
        A node begins the next call of a bundle, or is done with it.
        """
        while job.agenda:
            number = job.agenda.pop(0)
            if number in job.granted and (job.node, number) not in self.abandoned:
                job.running = number
                self.begun[number] += 1
                if self.errands[number - 1].ends:
                    self.late.append(number)
                return
            refused = answer(number, job.node, Status.DISCONNECTED)
            self.tellOf(job, number, refused)
        job.running = None
        job.isOver = True
        self.events.append(("over", (job, None)))

    def tellOf(self, job, number, told):
        event = ("answers", job.sent.serial, [(number, told)])
        self.events.append(("asynqueue", event))

    # --- What happens.

    def possible(self):
        """
        @return: What can happen now, as tuples of a method of mine and its arguments;
            several times what happens often.
        """
        often: list[Any] = []
        seldom: list[Any] = []
        for job in self.open():
            if job.node is None:
                often += [(self.place, job, node) for node in self.nodes]
                if job.given:
                    seldom.append((self.giveUp, job))
            elif job.running is not None:
                often += [(self.finish, job), (self.finishLong, job)]
                if job.agenda:
                    often.append((self.giveBack, job))
            elif not job.hasAsked:
                often += [(self.start, job)] * 3
                others = [node for node in self.nodes if node != job.node]
                often += [(self.steal, job, node) for node in others]
            seldom.append((self.cancelThere, job))
        some = {job.node for job in self.open()} - {None}
        often += [(self.kill, node) for node in sorted(some)]
        for errand in self.errands:
            if not errand.isSubmitted:
                often.append((self.submit, errand))
            elif not errand.ends:
                seldom.append((self.cancel, errand))
        if self.events:
            often += [(self.tell,)] * len(often)
        return 3 * often + seldom

    def submit(self, errand):
        """A call is submitted, and all those after it."""
        for each in self.errands[self.errands.index(errand) :]:
            if not each.isSubmitted:
                each.isSubmitted = True
                self.link.submit(each)

    def place(self, job, node):
        """The scheduler gives a bundle to a node, where it waits for a thread."""
        job.node = node

    def start(self, job):
        """A thread of a node takes a bundle."""
        if job.sent.asks or job.given:
            job.hasAsked = True
            claim = ("claim", job.sent.serial, job.node)
            self.events.append(("asynqueue", claim))
        else:
            job.granted = job.sent.numbers
            self.goOn(job)

    def steal(self, job, node):
        """A bundle that waits at a node goes to another."""
        job.node, job.given = node, True

    def giveUp(self, job):
        """The scheduler gives a bundle up that no node has any more."""
        last = SimpleNamespace(address="A")
        job.sent.future.set_exception(KilledWorker(job.key, last, 3))

    def cancelThere(self, job):
        """Somebody else cancels a bundle, which goes on if it has begun."""
        error = FutureCancelledError("key", "somebody did")
        job.sent.future.set_exception(error)

    def finish(self, job):
        """A call is over, and its answer is short: it is sent on its way."""
        self.tellOf(job, job.running, answer(job.running, job.node))
        self.goOn(job)

    def finishLong(self, job):
        """A call is over, and its answer is long: it is to be fetched."""
        job.long.append((job.running, answer(job.running, job.node)))
        self.goOn(job)

    def giveBack(self, job):
        """A node gives back what has not begun of a bundle."""
        for number in job.agenda:
            self.tellOf(job, number, None)
        job.agenda.clear()

    def kill(self, node):
        """A node dies, and another begins."""
        gone = [job for job in self.open() if job.node == node]
        message = {
            "action": "remove-worker",
            "worker": node,
            "processing-tasks": {job.key: None for job in gone},
            "lost-computed-tasks": {},
        }
        self.events.append(("all", message))
        for job in gone:
            job.leave()
            job.given = True
        self.deaths += 1
        self.nodes[self.nodes.index(node)] = f"{node[0]}{self.deaths}"

    def tell(self):
        """The next event reaches the client."""
        topic, event = self.events.pop(0)
        if topic == "over":
            job, error = event
            future = job.sent.future
            if error is not None and not future.done():
                future.set_exception(error)
            elif not future.done():
                future.set_result(job.long)
        else:
            topic = "all" if topic == "all" else "asynqueue-token"
            self.client.topics[topic]((0.0, event))

    def cancel(self, errand):
        self.link.cancel(errand.number)

    def lose(self):
        self.isLost = True
        self.link._watch.lose("gone")
        for job in self.jobs.values():
            if not job.sent.future.done():
                job.sent.future.set_exception(FutureCancelledError("key", LOST))

    def end(self):
        """
        Nothing goes wrong any more: all that is there is placed, asked and finished.
        """
        self.submit(self.errands[0])
        if self.isLost:
            return
        while self.events:
            self.tell()
        for job in self.open():
            if job.node is None:
                self.place(job, "C")
            if job.running is not None:
                self.finish(job)
            elif not job.hasAsked:
                self.start(job)


class Errand(StepErrand):
    isSubmitted = False


steps = st.lists(
    st.tuples(st.integers(0, 1000), st.sampled_from((False, False, True))),
    min_size=10,
    max_size=50,
)
kinds = st.lists(
    st.tuples(st.sampled_from((1, 2, 2, 3, 3)), st.sampled_from((False, False, True))),
    min_size=CALLS,
    max_size=CALLS,
)


async def play(kinds, steps, loses):
    """
    Has things happen, and then all come to its end.

    @param steps: Pairs of a number, by which one is chosen of what can happen, and of
        C{True} if the next follows before anybody has done anything.
    @param loses: After how many of them the scheduler is gone.
    @return: The errands, and the model.
    """
    errands = [
        Errand(number, runs, asks or runs == 1)
        for number, (runs, asks) in enumerate(kinds, start=1)
    ]
    link = await linked()
    # So they go together.
    link._bundler.learn("f", 0.0)
    model = Model(link, errands)
    for n, (choice, isQuick) in enumerate(steps):
        possible = model.possible()
        if n == loses:
            model.lose()
        elif possible and not model.isLost:
            happens, *about = possible[choice % len(possible)]
            happens(*about)
        if not isQuick:
            await settle()
        model.look()
    for _ in range(30):
        await settle()
        model.look()
        model.end()
    await link.close()
    return errands, model


class OrderTests(SynchronousTestCase):
    def setUp(self):
        self.patch(clusterlink, "Watch", StepWatch)
        self.patch(clustersubmit, "TOGETHER", 0.0)
        self.patch(clusterbundles, "DEPTH", 1)

    @settings(max_examples=300, deadline=None)
    @given(kinds, steps, st.none() | st.integers(0, 50))
    def test_promise(self, kinds, steps, loses):
        """
        Whatever happens in whatever order, each call ends once, and has begun no more
        often than it may, and never after that.
        """
        errands, model = asyncio.run(play(kinds, steps, loses))
        for errand in errands:
            self.assertEqual(len(errand.ends), 1, errand.told)
            ((end, *rest),) = errand.ends
            left = rest[0] if end == "returned" else 0
            begun = model.begun[errand.number]
            self.assertLessEqual(begun + left, errand.runs, errand.told)
        self.assertEqual(model.late, [])
