"""
How calls are handed to dask, in the thread of its client.
"""

import itertools
import operator
import threading

import dask
from distributed import Client, Future

from asynqueue.clusterclerk import Key
from asynqueue.clusterheld import Held
from asynqueue.clusternode import Settings, perform

LATER = 1e-9
"""
By how much a call is less urgent than the one before it, where an integer is the least
difference that their makers can want. Of equals, a node would make the latest first.
"""

SILENT = {"distributed.admin.large-graph-warning-threshold": "1PB"}
"""
A setting of dask's, so that it warns nobody of what is large: there is no better way to
send it.
"""

# Whoever else sets it back must not set it back to this.
_quiet = threading.Lock()


class Submitter:
    """
    I submit calls, many together.
    """

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._serials = itertools.count(1)

    def submit(self, resource: str | None, some: list[Held]) -> list[Future]:
        """
        Submits calls.

        @param resource: What the node of each has to offer, C{None} for nothing.
        @return: A future for each.
        @raise Exception: whatever dask raises if that cannot be done.
        """
        for held in some:
            held.key = self._newKey(held)
        with _quiet, dask.config.set(SILENT):
            futures: list[Future] = self._client.map(
                perform,
                [held.errand.number for held in some],
                [held.errand.call for held in some],
                [held.asks for held in some],
                [self._settings.name] * len(some),
                key=[held.key for held in some],
                priority=operator.itemgetter(1),
                resources=None if resource is None else {resource: 1},
                pure=False,
            )
        return futures

    def _newKey(self, held: Held) -> tuple[object, ...]:
        errand, token = held.errand, self._settings.token
        serial = next(self._serials)
        # By a name of its own for each: dask holds back those that share one.
        name = f"{errand.name}-{serial}-{token}"
        urgency = errand.urgency - serial * LATER
        return tuple(Key(name, urgency, token, serial, errand.number))
