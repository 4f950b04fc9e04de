"""
How what it costs to be watched is measured.
"""

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue import chores, monitor, watching
from asynqueue.contender import Cannot
from asynqueue.watching import AT, Reader, watched
from tests.contending import Calls, Makers
from tests.watched import WatchedQueue


class Page:
    """
    What a contender of a test has for a page, and who reads it.

    @ivar events: What happened, in order.
    """

    def __init__(self):
        self.events = []

    def watch(self):
        self.events.append("mounted")
        return "http://there/", self.stop

    def stop(self):
        self.events.append("taken away")
        return succeed(None)

    def makeReader(self, address):
        self.events.append(address)
        return Somebody(self.events)


class Somebody:
    """
    I am who reads it.
    """

    def __init__(self, events):
        self._events = events

    def begun(self):
        return succeed(None)

    def stop(self):
        self._events.append("gone")


class WatchedTests(SynchronousTestCase):
    def setUp(self):
        self.now = 0.0
        self.patch(watching, "perf_counter", self.look)
        self.page = Page()

    def look(self):
        # With a page everything takes twice as long.
        isMounted = self.page.events[-1:] not in ([], ["taken away"])
        self.now += 0.02 if isMounted else 0.01
        return self.now

    def measure(self, makers, **sizes):
        sizes = {"rounds": 3, "seconds": 10.0, **sizes}
        d = watched(makers.setting, makeReader=self.page.makeReader, **sizes)
        return Deferred.fromCoroutine(d)

    def test_turns(self):
        """In each round each way has its turn, and each begins one of them."""
        self.patch(Calls, "watch", lambda _: self.page.watch())
        found = self.successResultOf(self.measure(Makers()))
        without = ["mounted", "taken away"]
        by = ["mounted", "http://there/", "gone", "taken away"]
        self.assertEqual(
            self.page.events, [*without, *by, *without, *by, *by, *without]
        )
        self.assertEqual(set(found), {"mounted", "watched"})
        for share in found.values():
            self.assertTrue(40 < share < 60, found)

    def test_outstanding(self):
        """Meanwhile a number of calls are outstanding."""
        makers = Makers(holds=True)
        d = self.measure(makers)
        (pool,) = makers.made
        self.assertEqual(len(pool.waiting), AT)
        pool.answer()
        self.assertEqual(len(pool.waiting), AT)
        self.assertEqual(pool.count(chores.nothing), AT + 1)
        self.assertNoResult(d)

    def test_noPage(self):
        """Those who have no page take no part."""
        error = self.failureResultOf(self.measure(Makers()), Cannot).value
        self.assertEqual(str(error), "has no page to watch it on")


class ReaderTests(TestCase):
    async def test_reads(self):
        """What reads a page gets its events, and ends when it is told."""
        queue = WatchedQueue()
        port = monitor.listen(queue, reactor=installed)
        reader = Reader(monitor.address(port))
        try:
            self.assertEqual(await reader.begun(), b"\n")
        finally:
            reader.stop()
            await port.stopListening()
        self.assertEqual(queue.asked, 1)
