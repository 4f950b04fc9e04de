"""
A link whose client, scheduler and nodes are a test's own.
"""

import asyncio
from typing import Any, NamedTuple

from distributed.client import FutureCancelledError
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import clusterlink, clustersubmit
from asynqueue.clusterclerk import WITHDRAWN
from asynqueue.clusterlink import Link
from asynqueue.clusternode import Settings
from asynqueue.messages import Answer, Status, pack
from asynqueue.readings import parts

SETTINGS = Settings("token", False, "pickle")


class StepThread:
    """
    An L{AsyncioThread<asynqueue.asyncthread.AsyncioThread>} that is the reactor's, too.
    """

    def tell(self, f, /, *args):
        f(*args)


class StepErrand:
    """
    An errand that writes down what it is told.

    @ivar told: That, as tuples of a name and what is told.
    """

    def __init__(self, number, runs=1, asks=None, resource=None):
        self.number = number
        self.name = "f"
        self.call = b"call"
        self.urgency = 0
        self.resource = resource
        self.runs = runs
        self.asks = runs == 1 if asks is None else asks
        self.told: list[tuple[Any, ...]] = []

    @property
    def ends(self):
        """
        What it is told that is an end of it.
        """
        return [told for told in self.told if told[0] != "begun"]

    def begun(self):
        self.told.append(("begun",))

    def answered(self, node, parts):
        self.told.append(("answered", node))

    def failed(self, error):
        self.told.append(("failed", error))

    def died(self, nodes, why):
        self.told.append(("died", *nodes))

    def returned(self, runs):
        self.told.append(("returned", runs))

    def released(self):
        self.told.append(("released",))


class StepListener:
    """
    Who is told of a cluster, and writes it down.
    """

    def __init__(self):
        self.told: list[tuple[Any, ...]] = []

    def nodesChanged(self, nodes):
        self.told.append(("nodes", nodes))

    def nodeGone(self, address):
        self.told.append(("gone", address))

    def lost(self, why):
        self.told.append(("lost", why))


class StepWatch:
    """
    A watch that sees what a test says.
    """

    def __init__(self, client, changed, lost):
        self.lose = lost

    def wake(self):
        pass

    async def look(self):
        pass

    async def follow(self):
        await asyncio.Event().wait()

    async def listen(self, name):
        await asyncio.Event().wait()


class StepNodes:
    """
    The nodes, which answer what a test says.

    @ivar isBegun: Tells of the number of a call whether a node makes it just now; or
        raises an exception.
    @ivar asked: What was asked of them.
    """

    def __init__(self):
        self.isBegun: Any = lambda node, number: False
        self.asked: list[tuple[Any, ...]] = []

    def forget(self, node):
        pass

    async def settle(self):
        pass

    async def ask(self, node, what, **request):
        self.asked.append((node, what, *request.values()))
        return self.isBegun(node, request["number"])


class StepFuture:
    """
    A future of dask's.
    """

    def __init__(self):
        self._future = asyncio.get_running_loop().create_future()
        self.done = self._future.done
        self.set_result = self._future.set_result
        self.set_exception = self._future.set_exception

    def __await__(self):
        return asyncio.shield(self._future).__await__()

    async def exception(self):
        try:
            await self
        except FutureCancelledError:
            return None
        except Exception as error:
            return error
        return None


class Sent(NamedTuple):
    """
    A bundle that was sent to be made.

    @ivar serial: Its serial number.
    @ivar numbers: Those of its calls.
    @ivar asks: C{True} if its node has to ask.
    @ivar future: What dask has given for it.
    """

    serial: int
    numbers: list[int]
    asks: bool
    future: StepFuture


class StepClient:
    """
    A client of dask's whose scheduler is a test's own.

    @ivar id: What dask calls it.
    @ivar sent: What was sent, by the keys.
    @ivar asked: What the clerk was asked, as tuples.
    @ivar holders: For a bundle's serial number, the address of the node that has it.
    """

    id = "client"

    def __init__(self):
        self.sent: dict[Any, Sent] = {}
        self.resources: list[Any] = []
        self.asked: list[tuple[Any, ...]] = []
        self.holders: dict[int, str] = {}
        self.topics: dict[str, Any] = {}
        self.restarted: list[str] = []
        self.isClosed = False
        self.scheduler = self
        self._handle_report_task: Any = asyncio.Future()

    def __getattr__(self, name):
        _, what, _ = name.split("_")

        async def ask(**request):
            self.asked.append((what, *request.values()))
            return self.withdraw(request["key"]) if what == "withdraw" else None

        return ask

    def withdraw(self, key):
        """
        Does what the clerk does.
        """
        sent = self.sent[key]
        if not sent.future.done() and sent.serial not in self.holders:
            sent.future.set_exception(FutureCancelledError("key", WITHDRAWN))
        return self.holders.get(sent.serial)

    def subscribe_topic(self, name, handler):
        self.topics[name] = handler

    def unsubscribe_topic(self, name):
        del self.topics[name]

    async def register_plugin(self, plugin):
        pass

    async def restart_workers(self, nodes, raise_for_error):
        self.restarted += nodes

    async def close(self):
        self.isClosed = True

    def map(
        self,
        f,
        serials,
        numbers,
        calls,
        asks,
        names,
        key,
        priority,
        resources,
        pure,
    ):
        some = list(map(Sent, serials, numbers, asks, [StepFuture() for _ in key]))
        self.sent.update(zip(key, some, strict=True))
        self.resources.append(resources)
        return [sent.future for sent in some]

    async def cancel(self, futures):
        for future in futures:
            if not future.done():
                future.set_exception(FutureCancelledError("key", "test"))


def answer(number, node, status=Status.RESULT):
    """
    @return: What a node tells of a call.
    """
    return [node.encode(), *parts(pack(Answer(number, status, 0.0), 1))]


async def settle():
    """
    Lets the loop do what can be done.
    """
    for _ in range(12):
        await asyncio.sleep(0)


async def linked(restart=False):
    """
    @return: A L{Link} that is open.
    """
    client: Any = StepClient()
    listener: Any = StepListener()
    thread: Any = StepThread()
    link = Link(thread, client, SETTINGS, listener, restart)
    nodes: Any = StepNodes()
    link.nodes = nodes
    await link.open()
    return link


class LinkCase(SynchronousTestCase):
    """
    The tests of a link, each in a loop of its own.
    """

    def setUp(self):
        self.patch(clusterlink, "Watch", StepWatch)
        self.patch(clustersubmit, "TOGETHER", 0.0)
        self.link: Any = None

    def run_(self, f, restart=False):
        """
        Runs a coroutine function with a link that is open.
        """

        async def run():
            self.link = await linked(restart)
            self.client = self.link._client
            try:
                await f()
            finally:
                await self.link.close()

        asyncio.run(run())

    async def submit(self, *errands):
        """
        Has errands sent.

        @return: What dask was given for the last one: a future.
        """
        for errand in errands:
            self.link.submit(errand)
        await settle()
        return self.future(errands[-1])

    def sent(self, errand):
        """
        @return: The last bundle that an errand was sent in.
        """
        number = errand.number
        return [sent for sent in self.client.sent.values() if number in sent.numbers][
            -1
        ]

    def future(self, errand):
        """
        @return: The future of that.
        """
        return self.sent(errand).future

    def give(self, errand, node):
        """
        Has a node have the bundle of an errand.
        """
        self.client.holders[self.sent(errand).serial] = node

    async def tell(self, *event):
        """
        Has the clerk tell something.
        """
        self.client.topics["asynqueue-token"]((0.0, event))
        await settle()

    async def claim(self, errand, node):
        """
        Has a node ask what may begin of the bundle of an errand.

        @return: The numbers of what may.
        """
        serial = self.sent(errand).serial
        await self.tell("claim", serial, node)
        what, *about, granted = self.client.asked[-1]
        self.assertEqual((what, *about), ("grant", serial, node))
        return granted

    async def answer(self, errand, node, *status):
        """
        Has a node tell the answer of an errand, of the bundle that it was last in.
        """
        number = errand.number
        told = answer(number, node, *status)
        await self.tell("answers", self.sent(errand).serial, [(number, told)])

    async def fetch(self, errand, node, *status):
        """
        Has dask tell that the bundle of an errand is over, and has a long answer.
        """
        number = errand.number
        self.future(errand).set_result([(number, answer(number, node, *status))])
        await settle()

    async def die(self, node, *errands):
        """
        Has the scheduler tell that a node is gone, which had some errands.
        """
        bundles = [self.sent(errand) for errand in errands]
        keys = [key for key, sent in self.client.sent.items() if sent in bundles]
        message = {
            "action": "remove-worker",
            "worker": node,
            "processing-tasks": dict.fromkeys(keys),
            "lost-computed-tasks": {},
        }
        self.client.topics["all"]((0.0, message))
        await settle()

    async def cancel(self, errand):
        self.link.cancel(errand.number)
        await settle()
