"""
How calls are pickled for a cluster.
"""

import math
import pickle
from collections.abc import Callable
from typing import Any

from asynqueue.contents import TooLong
from asynqueue.looper import ThreadLooper
from asynqueue.messages import LONG, Call, pack
from asynqueue.packets import Packet
from asynqueue.picklable import notPicklable
from asynqueue.picklers import MakePickler
from asynqueue.readings import parts
from asynqueue.task import Task


class Packer:
    """
    I pickle calls, those that are long by a thread.
    """

    def __init__(self, makePickler: MakePickler, looper: ThreadLooper) -> None:
        """
        @param looper: Has the thread.
        """
        self._makePickler = makePickler
        self._looper = looper

    def pack(
        self,
        number: int,
        task: Task,
        packed: Callable[[bytes], Any],
        failed: Callable[[Exception], Any],
    ) -> None:
        """
        Pickles a task's call.

        @param number: The call's number.
        @param packed: Is called with it as of
            L{perform<asynqueue.clusternode.perform>}, at once if it is short.
        @param failed: Is called with why it could not be pickled instead.
        """

        def notPacked(error: BaseException) -> None:
            failed(notPicklable(task.callTuple, error, self._makePickler))

        try:
            packet = self._packet(number, task, LONG)
        except TooLong:
            d = self._looper.deferToThread(self._pickled, number, task)
        except BaseException as e:
            notPacked(e)
            return
        else:
            if sum(map(len, packet[2:])) <= LONG:
                packed(_joined(packet))
                return
            # To copy what is large takes long, too.
            d = self._looper.deferToThread(_joined, packet)
        d.addCallbacks(packed, lambda failure: notPacked(failure.value))

    def _packet(self, number: int, task: Task, most: float = math.inf) -> Packet:
        call = Call(number, task.raw)
        return pack(call, task.callTuple, self._makePickler, most)

    def _pickled(self, number: int, task: Task) -> bytes:
        return _joined(self._packet(number, task))


def _joined(packet: Packet) -> bytes:
    return pickle.dumps(parts(packet))
