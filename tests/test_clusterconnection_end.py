"""
Tests of L{asynqueue.clusterconnection}.
"""

from typing import Any

from twisted.trial.unittest import TestCase

from asynqueue.clusterconnection import Connection
from asynqueue.clusterlink import Link
from tests.linked import StepClient


class Place:
    """
    Where there is a cluster that nobody else ends.

    @ivar closed: The clients whose clusters were ended.
    """

    def __init__(self):
        self.closed: list[Any] = []

    async def open(self, timeout):
        return StepClient()

    async def close(self, client):
        self.closed.append(client)


class CloseTests(TestCase):
    async def test_badly(self):
        """A cluster is ended also when the client of it does not end well."""

        async def open(link):
            pass

        async def close(link):
            raise AssertionError("dask")

        self.patch(Link, "open", open)
        self.patch(Link, "close", close)
        place = Place()
        listener: Any = None
        connection = Connection(place, False, "pickle", False, None)
        await connection.open(listener, 5.0)
        await connection.close()
        self.assertEqual(len(place.closed), 1)
        (failure,) = self.flushLoggedErrors(AssertionError)
        self.assertEqual(failure.getErrorMessage(), "dask")
