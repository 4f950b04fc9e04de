"""
What a link to a cluster makes of what dask says of its calls, with a client that is
none.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

from distributed.comm import CommClosedError
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.clusterlink import UNKNOWN, Link
from asynqueue.clusternode import Settings
from asynqueue.messages import Answer, Status, pack
from asynqueue.readings import parts
from tests.linked import StepFuture


class FakeClient:
    """
    I am a client, as far as a link needs one.

    @ivar outcomes: What each of the next calls comes to: an exception that its future
        fails with, or what it fires with. If there is none, the client refuses it.
    @ivar priorities: That of each call so far.
    """

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.priorities: list[float] = []

    def map(self, f, numbers, *rest, key, priority, **kw):
        futures = []
        for one in key:
            self.priorities.append(priority(one))
            future = StepFuture()
            outcome = self.outcomes.pop(0)
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
            futures.append(future)
        return futures


class FakeErrand(SimpleNamespace):
    """
    I am a call that notes what it is told.
    """

    def __init__(self, number, runs):
        super().__init__(number=number, runs=runs, call=b"", name="call", urgency=0)
        self.asks = False
        self.resource = None
        self.told: list[Any] = []

    def answered(self, node, packet):
        self.told.append(node)

    def died(self, nodes, why):
        self.told.append((*nodes, why))

    def failed(self, error):
        self.told.append(error)


def answer(number):
    """
    @return: What a future fires with when a call has been made.
    """
    packet = parts(pack(Answer(number, Status.RESULT, 0.0), 1))
    return [(number, [b"tcp://node", *packet])]


class LinkTests(SynchronousTestCase):
    def made(self, client, *errands):
        """
        @return: What each of some calls is told, when they have been submitted to a
            client together.
        """

        async def run():
            thread: Any = SimpleNamespace(tell=lambda f, *args: f(*args))
            settings = Settings("token", False, "pickle")
            link = Link(thread, client, settings, SimpleNamespace(), False)
            link._isOpen = True
            for errand in errands:
                link.submit(errand)
            while link._held:
                await asyncio.sleep(0)
            return [errand.told for errand in errands]

        return asyncio.run(asyncio.wait_for(run(), 5))

    def test_lostResult(self):
        """
        A call whose result is lost on its way is made again if it may be, and else
        fails as one whose node has died.
        """
        client = FakeClient(CommClosedError("closed"), answer(1))
        self.assertEqual(self.made(client, FakeErrand(1, 2)), [["tcp://node"]])
        client = FakeClient(CommClosedError("closed"))
        died = (UNKNOWN, "Its result was lost: closed")
        self.assertEqual(self.made(client, FakeErrand(1, 1)), [[died]])

    def test_refused(self):
        """
        Calls that the client does not take fail, rather than never to end.
        """
        ((error,), (same,)) = self.made(FakeClient(), *[FakeErrand(k, 1) for k in "ab"])
        self.assertIsInstance(error, IndexError)
        self.assertIs(error, same)

    def test_order(self):
        """
        Of those that are equally urgent, each is more so than the next, however many
        there are.
        """
        client = FakeClient(*map(answer, range(20)))
        self.made(client, *[FakeErrand(k, 1) for k in range(20)])
        self.assertEqual(client.priorities, sorted(client.priorities, reverse=True))
        self.assertEqual(len(set(client.priorities)), 20)
