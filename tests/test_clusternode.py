"""
Tests of L{asynqueue.clusternode}: what a node does, on a dask worker that is none.
"""

import asyncio
import os
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from asynqueue import clusternode
from asynqueue.clusternode import (
    ANSWER,
    GIVEN,
    SHORT,
    NodePlugin,
    Refused,
    Settings,
    UpdatePlugin,
    nodeOn,
    perform,
)
from asynqueue.messages import Call, Status, pack, unpack
from asynqueue.readings import parts
from tests import calls
from tests.flags import flagged

SETTINGS = Settings("token", False, "pickle")
SERIAL = 3


def packed(f, *args):
    """
    @return: A call as it is sent.
    """
    return pickle.dumps(parts(pack(Call(1, None), (f, args, {}))))


def opened(answer):
    """
    @return: The status and the contents of what a node tells of a call.
    """
    node, *packet = answer
    envelope, load = unpack(packet)
    if node != b"tcp://A":
        raise AssertionError(node)
    return envelope.status, load()


class NodeTests(SynchronousTestCase):
    def setUp(self):
        self.sent: list[dict[str, Any]] = []
        loop = SimpleNamespace(
            add_callback=lambda f, *args: f(*args), call_later=lambda *args: None
        )
        self.dask: Any = SimpleNamespace(
            address="tcp://A",
            handlers={},
            stream_handlers={},
            extensions={},
            loop=loop,
            batched_send=self.sent.append,
            get_current_task=lambda: "key",
            state=SimpleNamespace(
                nthreads=1, tasks={"key": SimpleNamespace(annotations=None)}
            ),
        )
        self.plugin = NodePlugin(SETTINGS)
        self.plugin.setup(self.dask)
        self.node = nodeOn(self.dask, SETTINGS)
        self.addCleanup(self.plugin.teardown, self.dask)

    def perform(self, f, *args, number=1, asks=False):
        """
        @return: The status and the contents of a call's answer.
        """
        self.node.perform(SERIAL, [number], [packed(f, *args)], asks)
        (told,) = self.told()
        self.assertEqual(told[0], number)
        return told[1:]

    def told(self):
        """
        @return: The number, the status and the contents of each answer that was sent.
        """
        told = []
        for message in self.sent:
            answers = message.pop("answers")
            expected = {"op": ANSWER, "name": SETTINGS.name, "serial": SERIAL}
            self.assertEqual(message, expected)
            told += [(number, *opened(answer)) for number, answer in answers]
        self.sent.clear()
        return told

    def update(self, number, f, *args, isLasting=True):
        """
        @return: The status and the contents of an update's answer.
        """
        coroutine = self.node.update(number, packed(f, *args), isLasting)
        envelope, load = unpack([*asyncio.run(coroutine)])
        self.assertEqual(envelope.number, number)
        return envelope.status, load()

    def notes(self):
        """
        @return: A path, and a callable that returns what calls have noted there.
        """
        path = os.path.abspath(self.mktemp())
        Path(path).touch()
        return path, lambda: Path(path).read_text().split()

    def test_call(self):
        """A call is made, and its answer bears its number."""
        self.assertEqual(self.perform(calls.add, 1, 2), (Status.RESULT, 3))
        status, error = self.perform(calls.boom, "bang")
        self.assertEqual((status, error.text), (Status.ERROR, "bang"))

    def test_asks(self):
        """One for which the client has to be asked is made if that lets it begin."""
        path, notes = self.notes()
        for granted in ([], [1]):
            self.patch(clusternode, "sync", lambda *args, g=granted: g)
            status, _ = self.perform(calls.note, path, "x", asks=True)
            expected = Status.RESULT if granted else Status.DISCONNECTED
            self.assertEqual(status, expected)
        self.assertEqual(notes(), ["x"])

    def test_again(self):
        """The client is asked, too, for what another node was given before."""
        self.patch(clusternode, "sync", lambda *args: [])
        self.dask.state.tasks["key"].annotations = {GIVEN: True}
        self.assertEqual(self.perform(calls.echo)[0], Status.DISCONNECTED)

    def test_cannotAsk(self):
        """It is not made if the client cannot be asked."""
        path, notes = self.notes()

        def gone(*args):
            raise OSError

        self.patch(clusternode, "sync", gone)
        status, _ = self.perform(calls.note, path, "x", asks=True)
        self.assertEqual((status, notes()), (Status.DISCONNECTED, []))

    def test_abandoned(self):
        """It is not made if it was abandoned before."""
        path, notes = self.notes()
        abandon = self.dask.handlers[SETTINGS.verb("abandon")]
        self.assertIs(abandon(1), False)
        status, _ = self.perform(calls.note, path, "x")
        self.assertEqual((status, notes()), (Status.DISCONNECTED, []))

    def test_short(self):
        """A short answer is sent, and one that is longer left to be fetched."""
        self.patch(clusternode, "get_worker", lambda: self.dask)
        packets = [packed(calls.echo, bytes(size)) for size in (SHORT // 2, SHORT)]
        ((number, answer),) = perform(SERIAL, [1, 2], packets, False, SETTINGS.name)
        self.assertEqual((number, opened(answer)), (2, (Status.RESULT, bytes(SHORT))))
        self.assertEqual(self.told(), [(1, Status.RESULT, bytes(SHORT // 2))])

    def test_bundle(self):
        """The calls of a bundle are made in turn, and none harms those after it."""
        path, notes = self.notes()
        self.patch(clusternode, "sync", lambda *args: [1, 2, 4])
        self.dask.handlers[SETTINGS.verb("abandon")](4)
        one, three = (packed(calls.note, path, x) for x in "ac")
        boom = packed(calls.boom, "bang")
        self.node.perform(SERIAL, [1, 2, 3, 4], [one, boom, three, one], True)
        statuses = [(number, status) for number, status, _ in self.told()]
        refused = Status.DISCONNECTED
        expected = [(1, Status.RESULT), (2, Status.ERROR), (3, refused), (4, refused)]
        self.assertEqual(statuses, expected)
        self.assertEqual(notes(), ["a"])

    def test_broken(self):
        """If a node itself fails, the answers of what was made before are sent."""
        packets = [packed(calls.echo, "a"), b"no call", packed(calls.echo, "c")]
        self.assertRaises(
            pickle.UnpicklingError, self.node.perform, SERIAL, [1, 2, 3], packets, False
        )
        self.assertEqual(self.told(), [(1, Status.RESULT, "a")])

    def test_notPrepared(self):
        """A node that is not prepared for the client says so."""
        self.patch(clusternode, "get_worker", lambda: self.dask)
        error = self.assertRaises(
            Refused, perform, 1, [1], [packed(calls.echo)], False, "another"
        )
        self.assertIn("tcp://A", str(error))

    def test_teardown(self):
        """Nothing of it is left on the node when it is taken away."""
        self.plugin.teardown(self.dask)
        left = (self.dask.handlers, self.dask.stream_handlers, self.dask.extensions)
        self.assertEqual(left, ({}, {}, {}))
        status, _ = self.perform(calls.echo)
        self.assertEqual(status, Status.DISCONNECTED)

    def test_updateOnce(self):
        """An update that comes by two ways is made once, and answered to both."""
        path, notes = self.notes()
        for _ in range(2):
            self.assertEqual(self.update(1, calls.note, path, "x")[1], "x")
        self.assertEqual(notes(), ["x"])

    def test_updateAgain(self):
        """One that need not last may be made again."""
        path, notes = self.notes()
        for number in (1, 2):
            self.update(number, calls.note, path, "x", isLasting=False)
        self.assertEqual(notes(), ["x", "x"])

    def test_failed(self):
        """One that failed is tried again before the next call, which fails with it."""
        path, _ = self.notes()
        self.assertEqual(self.update(1, flagged, path, "raise")[0], Status.ERROR)
        status, error = self.perform(calls.echo, number=5)
        self.assertEqual((status, error.text), (Status.ERROR, "flagged"))
        os.remove(path)
        self.assertEqual(self.perform(calls.echo, 7), (Status.RESULT, 7))
        Path(path).touch()
        self.assertEqual(self.perform(calls.echo, 7), (Status.RESULT, 7))

    def test_failedOnce(self):
        """One that need not last is not tried again."""
        path, _ = self.notes()
        self.update(1, flagged, path, "raise", isLasting=False)
        self.assertEqual(self.perform(calls.echo, 7), (Status.RESULT, 7))

    def test_failedInOrder(self):
        """Several are tried in their order, up to the first that fails again."""
        one, two = self.notes()[0], self.notes()[0]
        log, notes = self.notes()
        self.update(2, flagged, two, "raise")
        self.update(1, flagged, one, "raise")
        os.remove(two)
        self.perform(calls.note, log, "not yet")
        os.remove(one)
        self.perform(calls.note, log, "now")
        self.assertEqual(notes(), ["now"])

    def test_forgotten(self):
        """One that is taken away is not tried again."""
        path, _ = self.notes()
        plugin = UpdatePlugin(SETTINGS, 1, packed(flagged, path, "raise"))
        asyncio.run(plugin.setup(self.dask))
        self.assertEqual(self.perform(calls.echo)[0], Status.ERROR)
        plugin.teardown(self.dask)
        self.assertEqual(self.perform(calls.echo, 7), (Status.RESULT, 7))
