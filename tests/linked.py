"""
A link whose client, scheduler and nodes are a test's own.
"""

import asyncio
from typing import Any

from distributed.client import FutureCancelledError

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


class StepClient:
    """
    A client of dask's whose scheduler is a test's own.

    @ivar id: What dask calls it.
    @ivar sent: What was sent to be made: for each key, a tuple of the L{StepFuture}
        and of whether its node has to ask.
    @ivar asked: What the clerk was asked, as tuples.
    @ivar holders: For the number of a call, the address of the node that has it.
    """

    id = "client"

    def __init__(self):
        self.sent: dict[Any, tuple[StepFuture, bool]] = {}
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
            if what == "withdraw":
                return self.holders.get(request["key"][-1])
            return None

        return ask

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

    def map(self, f, numbers, calls, asks, names, key, priority, resources, pure):
        futures = [StepFuture() for _ in key]
        self.sent.update(zip(key, zip(futures, asks, strict=True), strict=True))
        self.resources.append(resources)
        return futures

    async def cancel(self, futures):
        for future in futures:
            if not future.done():
                future.set_exception(FutureCancelledError("key", "test"))


def answer(number, node, status=Status.RESULT):
    """
    @return: What a node returns for a call.
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
