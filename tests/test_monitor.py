"""
The page to watch a queue on, without a browser: what it answers, to whom, and what it
costs.
"""

import json
import re
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import inlineCallbacks
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from asynqueue import NullQueue, ThreadQueue, monitor
from asynqueue.monitorpage import PAGE
from asynqueue.monitorstream import MOST, PATIENCE, Reading, Watcher
from tests.watched import WatchedQueue, call, worker

LOCAL = IPv4Address("TCP", "127.0.0.1", 80)
PUBLIC = IPv4Address("TCP", "192.0.2.1", 80)


class StoppingReactor(MemoryReactorClock):
    """
    @ivar stops: What I call before I stop.
    """

    def __init__(self):
        super().__init__()
        self.stops: list[Any] = []

    def addSystemEventTrigger(self, *args: Any, **kw: Any) -> Any:
        self.stops.append(args[2])
        return args[2]

    def removeSystemEventTrigger(self, triggerID):
        self.stops.remove(triggerID)


class Connection(StringTransport):
    """
    What a browser has to a site.

    @ivar aborted: C{True} once it was cut off.
    """

    aborted = False

    def __init__(self, site, host=LOCAL):
        super().__init__(host)
        self.protocol = site.buildProtocol(None)
        self.protocol.makeConnection(self)

    def ask(self, path="/", method="GET", host="localhost:80", **headers):
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [] if host is None else [f"Host: {host}"]
        lines += [f"{n.replace('_', '-')}: {value}" for n, value in headers.items()]
        self.protocol.dataReceived("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return self

    def abortConnection(self):
        self.aborted = True
        self.leave()

    def leave(self):
        """
        The browser is gone.
        """
        self.protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def status(self):
        return int(self.value().split()[1])

    def header(self, name):
        head = self.value().partition(b"\r\n\r\n")[0].decode("latin-1")
        found = re.search(rf"(?im)^{name}: (.*?)\r?$", head)
        return None if found is None else found[1]

    @property
    def body(self):
        return self.value().partition(b"\r\n\r\n")[2].decode()

    def events(self):
        """
        @return: The events so far, as pairs of a name and the data.
        """
        text = re.sub(r"(?m)^[0-9a-f]+\r\n|\r\n", "", self.body)
        found = []
        for event in filter(None, text.split("\n\n")):
            fields = dict(line.split(": ", 1) for line in event.split("\n"))
            if "data" in fields:
                found.append((fields.get("event", "message"), fields["data"]))
        return found

    def figures(self):
        """
        @return: The figures that were sent.
        """
        return [json.loads(data) for name, data in self.events() if name == "message"]


class MonitorTestCase(SynchronousTestCase):
    def setUp(self):
        self.reactor = StoppingReactor()
        self.queue = WatchedQueue()
        self.mount()

    def mount(self, path=None, **how):
        """
        Serves the page, by itself or below a path.
        """
        root: Any = Resource()
        page = monitor.resource(self.queue, reactor=self.reactor, **how)
        if path is None:
            root = page
        else:
            root.putChild(path, page)
        self.site = Site(root, reactor=self.reactor, timeout=None)

    def connect(self, host=LOCAL):
        return Connection(self.site, host)

    def ask(self, *args, **kw):
        return self.connect().ask(*args, **kw)

    def watch(self):
        return self.ask("/events")

    def assertIdle(self):
        """
        Nothing of the page is in the reactor.
        """
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.stops, [])


class PageTests(MonitorTestCase):
    def test_page(self):
        """The page and its files are there, of the right types."""
        answer = self.ask("/")
        self.assertEqual(
            (answer.status, answer.header("Content-Type")),
            (200, "text/html; charset=utf-8"),
        )
        for name, kind in re.findall(r'(?:src|href)="([^"]+\.(\w+))"', answer.body):
            found = self.ask(f"/{name}")
            self.assertEqual(found.status, 200, name)
            self.assertIn(
                {"js": "javascript"}.get(kind, kind), found.header("Content-Type")
            )

    def test_own(self):
        """Nothing on the page is from elsewhere, or written where a policy forbids."""
        for path in PAGE.iterdir():
            text = path.read_text()
            text = text.replace("http://www.w3.org/2000/svg", "")
            self.assertNotRegex(
                text, r"https?:|innerHTML|outerHTML|insertAdjacent|eval\("
            )
            if path.suffix == ".html":
                self.assertNotRegex(
                    text, r"<script(?! type=\"module\" src=)| style=| on\w+="
                )

    def test_headers(self):
        """Every answer says what a browser may do with it, and to look again."""
        for answer in (
            self.ask("/"),
            self.ask("/page.js"),
            self.ask("/nosuch"),
            self.watch(),
            self.ask("/", host="evil.example"),
        ):
            policy = answer.header("Content-Security-Policy")
            for part in (
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "connect-src 'self'",
                "frame-ancestors 'none'",
            ):
                self.assertIn(part, policy)
            self.assertEqual(answer.header("X-Content-Type-Options"), "nosniff")
            self.assertEqual(answer.header("Referrer-Policy"), "no-referrer")
            self.assertIn(answer.header("Cache-Control"), ("no-cache", "no-store"))
            self.assertIsNone(answer.header("Access-Control-Allow-Origin"))

    def test_unchanged(self):
        """A file that the browser has is not sent again."""
        tag = self.ask("/page.css").header("ETag")
        answer = self.ask("/page.css", If_None_Match=tag)
        self.assertEqual((answer.status, answer.body), (304, ""))

    def test_mounted(self):
        """Below another path it is found with a slash, and without."""
        self.mount(b"queue")
        answer = self.ask("/queue")
        self.assertEqual((answer.status, answer.header("Location")), (307, "./queue/"))
        self.assertIn("<title>", self.ask("/queue/").body)
        self.assertEqual(self.ask("/queue/page.js").status, 200)
        self.assertEqual(len(self.ask("/queue/events").figures()), 1)

    def test_nothingElse(self):
        """There is nothing else below it."""
        for path in (
            "/nosuch",
            "/page.js/x",
            "/../monitor.py",
            "/%2e%2e/monitor.py",
            "/events/x",
            "//",
            "/page/index.html",
        ):
            answer = self.ask(path)
            if path != "//":
                self.assertEqual(answer.status, 404, path)
                self.assertEqual(
                    answer.header("Content-Type"), "text/plain; charset=utf-8"
                )

    def test_readOnly(self):
        """It can be read, and nothing else can be done."""
        for path in ("/", "/page.js", "/events", "/nosuch"):
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                answer = self.ask(path, method, Content_Length="0")
                self.assertEqual(
                    (answer.status, answer.header("Allow")), (405, "GET, HEAD")
                )
        self.assertEqual(self.queue.asked, 0)

    def test_head(self):
        """HEAD is answered as GET is, without a body, and begins no stream."""
        events: list[Any] = []
        hear: Any = events.append
        globalLogPublisher.addObserver(hear)
        self.addCleanup(globalLogPublisher.removeObserver, hear)
        for path in ("/", "/page.js", "/events", "/nosuch"):
            answer = self.ask(path, "HEAD")
            self.assertEqual(
                (answer.status, answer.body), (404 if "no" in path else 200, "")
            )
        self.assertEqual((self.queue.asked, events), (0, []))
        self.assertIdle()


class HostTests(MonitorTestCase):
    """
    A page of somebody else cannot read this one by a name of its own for this machine.
    """

    def status(self, host, address=LOCAL):
        return self.connect(address).ask("/events", host=host).status

    def test_loopback(self):
        """Under the names of the loopback interface it is there."""
        for host in (
            "localhost",
            "localhost:8080",
            "LOCALHOST.",
            "127.0.0.1:1",
            "127.8.0.1",
            "[::1]:80",
            "[::ffff:127.0.0.1]",
            "a.localhost",
            None,
        ):
            if host is not None:
                self.assertEqual(self.status(host), 200, host)

    def test_others(self):
        """Under others it is refused, and told what to do."""
        for host in (
            "evil.example",
            "evil.example:80",
            "localhost.evil.example",
            "",
            "127.0.0.1.evil.example",
            "[::2]",
            "192.0.2.1",
            "notlocalhost",
        ):
            self.assertEqual(self.status(host), 403, host)
        answer = self.ask("/", host="Watch.example:80")
        self.assertIn("names=['watch.example']", answer.body)
        self.assertEqual(self.queue.asked, 0)

    def test_names(self):
        """Unless it was given such a name."""
        self.mount(names=["Watch.example."])
        self.assertEqual(self.status("watch.example:443"), 200)
        self.assertEqual(self.status("localhost"), 200)
        self.assertEqual(self.status("evil.example"), 403)

    def test_elsewhere(self):
        """On other interfaces names matter only if some were given."""
        self.assertEqual(self.status("any.example", PUBLIC), 200)
        self.assertEqual(self.status("any.example", UNIXAddress("/x")), 200)
        self.mount(names=["watch.example"])
        self.assertEqual(self.status("any.example", PUBLIC), 403)
        self.assertEqual(self.status("any.example", UNIXAddress("/x")), 403)
        self.assertEqual(self.status("watch.example", PUBLIC), 200)

    def test_wrong(self):
        """What makes no sense is refused at once."""
        self.assertRaises(TypeError, self.mount, names="watch.example")
        for interval in (0, -1, 16, float("nan"), float("inf")):
            error = self.assertRaises(ValueError, self.mount, interval=interval)
            self.assertIn(f"not {interval!r}", str(error))


class StreamTests(MonitorTestCase):
    def test_unmounted(self):
        """Nobody asks the queue for anything until somebody watches."""
        self.ask("/")
        self.ask("/page.js")
        self.assertEqual(self.queue.asked, 0)
        self.assertIdle()

    def test_events(self):
        """Who watches is told at once, and from then on at each interval."""
        self.mount(interval=2.0, title="Jobs")
        watcher = self.watch()
        self.assertEqual(watcher.header("Content-Type"), "text/event-stream")
        self.assertIn("retry: ", watcher.body)
        self.assertEqual([each["done"] for each in watcher.figures()], [0])
        self.queue.change(done=1)
        self.reactor.advance(1.9)
        self.assertEqual(self.queue.asked, 1)
        self.reactor.advance(0.1)
        self.queue.change(done=2)
        self.reactor.advance(2)
        self.assertEqual([each["done"] for each in watcher.figures()], [0, 1, 2])
        last = watcher.figures()[-1]
        self.assertEqual((last["title"], last["interval"]), ("Jobs", 2.0))

    def test_shared(self):
        """The queue is asked once for all who watch."""
        watchers = [self.watch() for _ in range(5)]
        before = self.queue.asked
        self.reactor.advance(1)
        self.assertEqual(self.queue.asked, before + 1)
        self.assertEqual([len(each.figures()) for each in watchers], [2] * 5)

    def test_gone(self):
        """When the last has gone there is nothing left in the reactor."""
        first, second = self.watch(), self.watch()
        first.leave()
        self.reactor.advance(1)
        self.assertEqual(len(second.figures()), 2)
        second.leave()
        self.assertIdle()
        asked = self.queue.asked
        self.reactor.advance(10)
        self.assertEqual(self.queue.asked, asked)
        third = self.watch()
        self.reactor.advance(1)
        self.assertEqual(len(third.figures()), 2)

    def test_slow(self):
        """One who does not read is sent nothing more until he does; others are."""
        slow, quick = self.watch(), self.watch()
        slow.producer.pauseProducing()
        self.reactor.pump([1] * 5)
        self.assertEqual((len(slow.figures()), len(quick.figures())), (1, 6))
        slow.producer.resumeProducing()
        self.queue.change(done=9)
        self.reactor.advance(1)
        self.assertEqual([each["done"] for each in slow.figures()], [0, 9])

    def test_stuck(self):
        """One who never reads again is cut off."""
        watcher = self.watch()
        watcher.producer.pauseProducing()
        self.reactor.pump([1] * int(PATIENCE - 1))
        self.assertFalse(watcher.aborted)
        self.reactor.advance(1)
        self.assertTrue(watcher.aborted)
        self.assertIdle()

    def test_most(self):
        """Only so many may watch at a time."""
        watchers = [self.watch() for _ in range(MOST)]
        refused = self.watch()
        self.assertEqual((refused.status, refused.header("Retry-After")), (503, "10"))
        watchers[0].leave()
        self.assertEqual(self.watch().status, 200)

    def test_shutdown(self):
        """The stream ends when the queue is shut down and its workers are gone."""
        watcher = self.watch()
        self.queue.change(isRunning=False)
        self.reactor.advance(1)
        self.assertEqual(watcher.events()[-1][0], "message")
        self.queue.change(workers=())
        self.reactor.advance(1)
        self.assertEqual(watcher.figures()[-1]["workers"], [])
        self.assertEqual(watcher.events()[-1], ("end", "shutdown"))
        self.assertTrue(watcher.body.endswith("0\r\n\r\n"))
        self.assertIdle()

    def test_late(self):
        """Who comes later is told the last of it, and that it is over."""
        self.queue.change(isRunning=False, workers=(), done=7)
        watcher = self.watch()
        self.assertEqual(watcher.figures()[0]["done"], 7)
        self.assertEqual(watcher.events()[-1], ("end", "shutdown"))
        self.assertIdle()

    def test_reactorStops(self):
        """So is who watches when the program ends, before it does."""
        watcher, slow = self.watch(), self.watch()
        slow.producer.pauseProducing()
        self.queue.change(done=8)
        (stop,) = self.reactor.stops
        d = stop()
        self.assertEqual(watcher.figures()[-1]["done"], 8)
        self.assertEqual(watcher.events()[-1], ("end", "stopped"))
        self.assertEqual(len(slow.events()), 1)
        self.assertNoResult(d)
        self.reactor.advance(0)
        self.successResultOf(d)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_trouble(self):
        """Figures that cannot be taken are logged, and tried again the next time."""
        watcher = self.watch()

        def fail():
            raise ValueError("no figures")

        self.patch(self.queue, "statistics", fail)
        self.reactor.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(watcher.figures()), 1)
        del self.queue.statistics
        self.reactor.advance(1)
        self.assertEqual(len(watcher.figures()), 2)

    def test_arguments(self):
        """Arguments are told only on request."""
        self.queue.change(workers=(worker(calls=(call(),)),))
        self.assertNotIn("secret", self.watch().body)
        self.mount(arguments=True)
        self.assertIn("secret", self.watch().body)

    def test_interface(self):
        """A watcher is a producer, which takes all that a transport may do to it."""

        class Request:
            written: list[bytes]

            def registerProducer(self, producer, streaming):
                self.written = []

            def write(self, data):
                self.written.append(data)

        request = Request()
        watcher = Watcher(request, self.reactor)
        verifyObject(IPushProducer, watcher)
        watcher.resumeProducing()
        watcher.write(b"1")
        watcher.pauseProducing()
        watcher.write(b"2")
        watcher.stopProducing()
        for each in (watcher.resumeProducing, watcher.pauseProducing, watcher.end):
            each()
        watcher.write(b"3")
        self.assertEqual((request.written, watcher.reading), ([b"1"], Reading.GONE))


class QueueTests(TestCase):
    """
    Real queues can be watched, of whatever kind.
    """

    async def check(self, queue):
        page = monitor.resource(queue, reactor=installed)
        site = Site(page, timeout=None)
        await queue.call(abs, -1)
        watcher = Connection(site).ask("/events")
        (told,) = watcher.figures()
        self.assertEqual((told["done"], told["failed"], told["inHand"]), (1, 0, 0))
        self.assertEqual(len(told["workers"]), 1)
        self.assertEqual(told["workers"][0]["done"], 1)
        watcher.leave()
        await queue.shutdown()
        late = Connection(site).ask("/events")
        self.assertEqual(late.events()[-1], ("end", "shutdown"))

    async def test_null(self):
        """One in the reactor's own thread."""
        await self.check(NullQueue())

    async def test_thread(self):
        """One in another."""
        await self.check(ThreadQueue())


class ListenTests(TestCase):
    @inlineCallbacks
    def test_loopback(self):
        """It is served on the loopback interface, unless something else is said."""
        port = monitor.listen(WatchedQueue())
        self.addCleanup(port.stopListening)
        self.assertEqual(port.getHost().host, "127.0.0.1")
        self.assertEqual(
            monitor.address(port), f"http://127.0.0.1:{port.getHost().port}/"
        )
        other = monitor.listen(WatchedQueue(), interface="0.0.0.0", title="x")
        yield other.stopListening()
        self.assertEqual(other.interface, "0.0.0.0")

    def test_address(self):
        """The address is one that a browser on this machine can open."""
        reactor = MemoryReactorClock()
        for interface, address in [
            ("0.0.0.0", "http://127.0.0.1:81/"),
            ("::1", "http://[::1]:81/"),
            ("::", "http://127.0.0.1:81/"),
        ]:
            port = monitor.listen(
                WatchedQueue(), 81, interface=interface, reactor=reactor
            )
            self.assertEqual(monitor.address(port), address)
