"""
Iterators that live on a node of a cluster, and how their items are asked for there.

Standard library only, but for the far side of a pipe: a node imports me.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from asynqueue.batches import Batches
from asynqueue.couriers import Courier
from asynqueue.messages import Answer, Close, Next, Status, pack, raised, unpack
from asynqueue.packets import Packet
from asynqueue.picklers import findPickler
from asynqueue.universe import ProcessUniverse

BUDGET = 0.02
"""
How long an iterator may have run for an answer when another item is taken, in seconds:
a few times what it takes to ask over a network, so most of the time it runs.
"""

AT_A_TIME = 32
"""
How many iterators of one client may run at a time. There are as many threads as have
been needed: one that waits for something keeps no other waiting.
"""


def parts(packet: Packet) -> list[bytes]:
    """
    @return: The parts of a packet, each as C{bytes}, which anybody can send.
    """
    return [
        b"".join(part) if isinstance(part, list) else bytes(part) for part in packet
    ]


class Reading:
    """
    I am an iterator that is read from elsewhere, one request after the other.

    @ivar turn: Who holds it, takes items.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.turn = asyncio.Lock()
        self.courier = Courier(self._send)
        self._loop = loop
        self._answered: asyncio.Future[list[bytes]] = loop.create_future()

    def take(self, request: Next, batches: Batches) -> None:
        """
        Takes items, in a thread, and tells of them: when there are as many as are sent
        together, or when the next one is slow.
        """
        answer = batches.answer(request, self.courier)
        if answer is not None:
            self._send(answer)

    def next(self) -> "asyncio.Future[list[bytes]]":
        """
        @return: A future of the next answer.
        """
        self._answered = self._loop.create_future()
        return self._answered

    def _send(self, answer: Packet) -> None:
        self._loop.call_soon_threadsafe(self._answered.set_result, parts(answer))


class Readings:
    """
    I know the iterators that are open on one node for one client.

    Their items are taken in threads of my own, so that they do not wait for calls, nor
    calls for them.
    """

    def __init__(self, universe: ProcessUniverse, pickler: str) -> None:
        """
        @param universe: What keeps the iterators.
        @param pickler: What pickles the items, by its name.
        """
        self._universe = universe
        self._batches = Batches(
            universe.do_next,
            lambda ID: universe.do(Close(0, ID)),
            findPickler(pickler),
            budget=BUDGET,
        )
        self._executor = ThreadPoolExecutor(AT_A_TIME, "asynqueue items")
        self._isClosed = False
        self._readings: dict[int, Reading] = {}

    async def inquire(self, packet: list[bytes]) -> list[bytes]:
        """
        Answers a request for items, or to close an iterator.

        @param packet: The parts of a packet with a L{Next} or L{Close}.
        @return: The parts of the packet that answers it.
        """
        request, _ = unpack([*packet])
        if self._isClosed:
            # Whoever asks is leaving.
            return parts(pack(Answer(request.number, Status.NONE, 0.0)))
        loop = asyncio.get_running_loop()
        reading = self._readings.get(request.ID)
        if reading is None:
            reading = self._readings[request.ID] = Reading(loop)
        await reading.turn.acquire()
        if isinstance(request, Close):
            answered = loop.run_in_executor(self._executor, self._closed, request)
            answered.add_done_callback(lambda _: reading.turn.release())
        else:
            answered = reading.next()
            taken = loop.run_in_executor(
                self._executor, reading.take, request, self._batches
            )
            taken.add_done_callback(lambda _: self._taken(request.ID, reading))
        return await answered

    def close(self) -> None:
        """
        Closes all iterators.
        """
        self._isClosed = True
        for ID in list(self._universe.iterators):
            self._executor.submit(self._universe.do, Close(0, ID))
        for ID in list(self._readings):
            self._forget(ID)
        self._executor.shutdown(wait=False)

    def _taken(self, ID: int, reading: Reading) -> None:
        reading.turn.release()
        if ID not in self._universe.iterators:
            self._forget(ID)

    def _closed(self, request: Close) -> list[bytes]:
        self._batches.forget(request.ID)
        self._forget(request.ID)
        status, error = self._universe.do(request)
        answer = Answer(request.number, status, 0.0)
        return parts(pack(answer, raised(error) if status is Status.ERROR else None))

    def _forget(self, ID: int) -> None:
        reading = self._readings.pop(ID, None)
        if reading is not None:
            reading.courier.end()
