"""
Tests of L{asynqueue.clusterconnection}.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import TestCase

from asynqueue import clusterconnection
from asynqueue.clusterconnection import Connection
from asynqueue.errors import StartFailed


class StuckLink:
    """
    A link to a scheduler that hangs.
    """

    def __init__(self, *args):
        self.isClosed = False

    async def open(self):
        await asyncio.Event().wait()

    async def close(self):
        self.isClosed = True


class Place:
    """
    A place where there is a scheduler.
    """

    advice = ""

    def __init__(self):
        self.closed: list[Any] = []

    def __str__(self):
        return "the place"

    async def open(self, timeout):
        return SimpleNamespace()

    async def close(self, client):
        self.closed.append(client)


class ConnectionTests(TestCase):
    @inlineCallbacks
    def test_hangs(self):
        """A scheduler that hangs when it is to be prepared is given up."""
        self.patch(clusterconnection, "Link", StuckLink)
        self.patch(clusterconnection, "PREPARING", 0.001)
        place = Place()
        connection = Connection(place, False, "pickle", False, None)
        listener: Any = SimpleNamespace()
        opening = connection.open(listener, 5.0)
        error = yield self.assertFailure(opening, StartFailed)
        self.assertIn("the place", str(error))
        self.assertIn("has not prepared itself", str(error))
        yield connection.close()
        self.assertTrue(connection._link.isClosed)
        self.assertEqual(len(place.closed), 1)
