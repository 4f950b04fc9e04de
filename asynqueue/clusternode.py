"""
What a node of a cluster does for a client: it makes calls, keeps the iterators that
they return, and runs updates.

A node is a worker process of dask, which has some threads for calls. A L{NodePlugin}
makes a L{Node} there, and L{perform} is what dask runs in the threads.

A node imports me, the far side of a pipe, and dask. No Twisted.
"""

import asyncio
import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from distributed import Worker, WorkerPlugin, get_worker
from distributed.utils import sync

from asynqueue.clusterturn import Told, Turn
from asynqueue.clusterupdate import Update
from asynqueue.interrupts import Abandoned, Interrupts
from asynqueue.messages import Answer, Status, pack, raised
from asynqueue.readings import Readings, parts
from asynqueue.universe import ProcessUniverse

GIVEN = "asynqueue given"
"""
The annotation of a task of dask's that was given to another node before.
"""

ADVICE = (
    "Install your modules with each node, or start the nodes with the directory that "
    "they are in named by PYTHONPATH. With pickler='cloudpickle' functions of a "
    "script's __main__ are sent along, those of other modules are not"
)
"""
What to do if a node does not find what a call names.
"""


class Settings(NamedTuple):
    """
    What the nodes and the scheduler have to know of a client.

    @ivar token: What no other client has.
    @ivar raw: C{True} if an iterator is a value like any other.
    @ivar pickler: What pickles the results, by its name in
        L{PICKLERS<asynqueue.picklers.PICKLERS>}.
    """

    token: str
    raw: bool
    pickler: str

    @property
    def name(self) -> str:
        """
        What this client's plugins are called.
        """
        return f"asynqueue-{self.token}"

    def verb(self, what: str) -> str:
        """
        @return: What a request of this client is called.
        """
        return f"asynqueue_{what}_{self.token}"


ANSWER = "asynqueue_answer"
"""
What a node's message with an answer is called. It is the same for all clients, since
one may be gone when an answer comes.
"""

SHORT = 1 << 16
"""
Up to how many bytes an answer is sent, by way of the scheduler, with the word that the
call is over. One that is longer is fetched. Of calls that go together, none is longer
than its part of that.
"""


class Refused(Exception):
    """
    The client did not let a call begin.
    """


def perform(
    serial: int, numbers: list[int], calls: list[bytes], asks: bool, name: str
) -> list[tuple[int, list[bytes]]]:
    """
    Makes the calls of a bundle, one after the other, in a thread of dask's.

    @param serial: The bundle's number, which no other bundle of this client has.
    @param numbers: Those of the calls, which no other calls have.
    @param calls: Of each, the parts of a packet with a
        L{Call<asynqueue.messages.Call>}, pickled once more: nobody opens them on the
        way.
    @param asks: C{True} if the client has to be asked before they begin.
    @param name: What the client's plugins are called.
    @return: Of each call whose answer is too long to have been sent already, its number
        and a list of the address of the node, and after it the parts of the packet that
        answers the call.
    """
    worker = get_worker()
    node: Node | None = worker.extensions.get(name)
    if node is None:
        raise Refused(
            f"The node {worker.address} is not prepared for the client: that has left, "
            "or what it had to prepare has failed, as the node's log tells"
        )
    return node.perform(serial, numbers, calls, asks)


class Node:
    """
    I do what one client wants of this node.
    """

    def __init__(self, worker: Worker, settings: Settings) -> None:
        """
        @param worker: The dask worker that this node is.
        """
        self._worker = worker
        self._settings = settings
        self._universe = ProcessUniverse(
            settings.raw, pickler=settings.pickler, advice=ADVICE
        )
        self._readings = Readings(self._universe, settings.pickler)
        self._interrupts = Interrupts()
        self._updates: dict[int, asyncio.Future[Update]] = {}
        self._failed: dict[int, Update] = {}
        self._updater = ThreadPoolExecutor(1, "asynqueue update")
        verb = settings.verb
        self._handlers = {
            verb("inquire"): self._readings.inquire,
            verb("abandon"): self._interrupts.abandon,
            verb("update"): self.update,
        }
        worker.handlers.update(self._handlers)

    def close(self) -> None:
        """
        Lets go of all that I have. Calls that run are interrupted, where they next run
        Python code.
        """
        for name in self._handlers:
            del self._worker.handlers[name]
        self._interrupts.close()
        self._readings.close()
        self._updater.shutdown(wait=False)

    def perform(
        self, serial: int, numbers: list[int], calls: list[bytes], asks: bool
    ) -> list[tuple[int, list[bytes]]]:
        """
        Does what the function L{perform} does.
        """
        granted = numbers
        if asks or self._wasGiven():
            granted = self._ask(serial)
        address = self._worker.address.encode()
        long = []
        turn = Turn(
            self._worker.loop,
            zip(numbers, calls, strict=True),
            partial(self._tell, serial),
        )
        try:
            for number, call in turn:
                answer = [address, *self._answer(number, call, number in granted)]
                if sum(map(len, answer)) > SHORT:
                    long.append((number, answer))
                else:
                    turn.answer(number, answer)
        finally:
            turn.end()
        return long

    async def update(self, number: int, call: bytes, isLasting: bool) -> list[bytes]:
        """
        Runs an update, unless that was done; after those that came before.

        @param call: As of L{perform}.
        @param isLasting: C{True} if no call may be made here unless it has succeeded.
            One that failed is tried again before the next call.
        @return: The parts of the packet that answers it.
        """
        done = self._updates.get(number)
        if done is None:
            loop = asyncio.get_running_loop()
            done = self._updates[number] = loop.run_in_executor(
                self._updater, self._run, number, call, isLasting
            )
        update = await done
        if not isLasting:
            del self._updates[number]
        return update.answer(number)

    def forget(self, number: int) -> None:
        """
        Does without an update.
        """
        self._updates.pop(number, None)
        self._failed.pop(number, None)

    def _run(self, number: int, call: bytes, isLasting: bool) -> Update:
        update = Update(call)
        update.run(self._universe)
        if isLasting and update.hasFailed:
            self._failed[number] = update
        return update

    def _notUpdated(self, number: int) -> list[bytes] | None:
        """
        Tries again those updates that have failed.

        @return: What is wrong, as the answer to a call; C{None} if nothing is.
        """
        for ID, update in sorted(self._failed.items()):
            update.run(self._universe)
            if update.hasFailed:
                return update.answer(number)
            self._failed.pop(ID, None)
        return None

    def _answer(self, number: int, call: bytes, mayBegin: bool) -> list[bytes]:
        """
        Makes a call.

        @return: The parts of the packet that answers it.
        """
        try:
            if not mayBegin:
                raise Refused("The client did not let it begin")
            with self._interrupts.during(number):
                return self._notUpdated(number) or self._made(call)
        except (Abandoned, Refused) as e:
            answer = Answer(number, Status.DISCONNECTED, 0.0)
            return parts(pack(answer, raised(e)))

    def _made(self, call: bytes) -> list[bytes]:
        _, answer = self._universe.answer(pickle.loads(call))
        return parts(answer or [])

    def _tell(self, serial: int, answers: list[Told]) -> None:
        """
        Tells what has become of some calls of a bundle.

        @param answers: Answers as in what the function L{perform} returns.
        """
        message = {"op": ANSWER, "name": self._settings.name, "serial": serial}
        self._worker.batched_send({**message, "answers": answers})

    def _wasGiven(self) -> bool:
        """
        @return: C{True} if the call that this thread is to make may have begun before,
            on another node.
        """
        key = self._worker.get_current_task()
        return GIVEN in (self._worker.state.tasks[key].annotations or {})

    def _ask(self, serial: int) -> list[int]:
        """
        @return: The numbers of those calls of a bundle that may begin.
        """
        try:
            granted: list[int] = sync(self._worker.loop, self._claim, serial)
        except Exception:
            # Whatever it is: it cannot be asked.
            return []
        return granted

    async def _claim(self, serial: int) -> Any:
        claim = getattr(self._worker.scheduler, self._settings.verb("claim"))
        return await claim(serial=serial, node=self._worker.address)


def nodeOn(worker: Worker, settings: Settings) -> Node:
    """
    @return: A client's L{Node} on a dask worker, which is made if there is none.
    """
    node: Node | None = worker.extensions.get(settings.name)
    if node is None:
        node = worker.extensions[settings.name] = Node(worker, settings)
    return node


class NodePlugin(WorkerPlugin):  # type: ignore[misc]
    """
    I make a L{Node} on each dask worker.
    """

    def __init__(self, settings: Settings) -> None:
        self.name = settings.name
        self._settings = settings

    def setup(self, worker: Worker) -> None:
        """
        Is called by dask when I come to a worker.
        """
        nodeOn(worker, self._settings)

    def teardown(self, worker: Worker) -> None:
        """
        Is called by dask when I am taken away.
        """
        node = worker.extensions.pop(self.name, None)
        if node is not None:
            node.close()


class UpdatePlugin(WorkerPlugin):  # type: ignore[misc]
    """
    I run an update on each dask worker, also on those that come later, before any call
    is made there.
    """

    def __init__(self, settings: Settings, number: int, call: bytes) -> None:
        self.name = f"{settings.name}-update-{number}"
        self._settings = settings
        self._number = number
        self._call = call

    async def setup(self, worker: Worker) -> None:
        """
        Is called by dask when I come to a worker.
        """
        node = nodeOn(worker, self._settings)
        await node.update(self._number, self._call, isLasting=True)

    def teardown(self, worker: Worker) -> None:
        """
        Is called by dask when I am taken away.
        """
        node = worker.extensions.get(self._settings.name)
        if node is not None:
            node.forget(self._number)
