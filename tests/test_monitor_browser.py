"""
The page to watch a queue on, in a real browser.
"""

import os
import shutil
import signal
import time
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.internet.tcp import Server
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

from asynqueue import ProcessQueue, monitor
from tests import calls
from tests.browsing import REQUIRED, Shared, openBrowser
from tests.watched import (
    NASTY,
    WatchedQueue,
    call,
    death,
    times,
    waiting,
    worker,
)

reactor: Any = installed

STATE = "document.getElementById('state').innerText.includes(arguments[0])"
DONE = "document.getElementById('done').innerText === arguments[0]"
SHOWS = "document.querySelector(arguments[0]).innerText.includes(arguments[1])"
RESTARTED = """((before) => {
    const pid = document.querySelector('#workers tbody td:nth-child(3)').innerText;
    return Number(pid) && pid !== before;
})(arguments[0])"""

CONTRASTS = """
const channels = (text) => text.match(/[\\d.]+/g).map(Number);
const over = (top, base) => {
    const alpha = top.length > 3 ? top[3] : 1;
    return base.map((value, i) => alpha * top[i] + (1 - alpha) * value);
};
const light = (rgb) => {
    const [r, g, b] = rgb.map((value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (node) => {
    if (node === null) return [255, 255, 255];
    return over(
        channels(getComputedStyle(node).backgroundColor), ground(node.parentElement));
};
const found = [];
for (const node of document.body.querySelectorAll("*")) {
    const own = Array.from(node.childNodes).some(
        (each) => each.nodeType === Node.TEXT_NODE && each.data.trim());
    if (!own || !node.getClientRects().length) continue;
    const style = getComputedStyle(node);
    const base = ground(node);
    const text = channels(node instanceof SVGElement ? style.fill : style.color);
    const [low, high] = [light(base), light(over(text, base))].sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    found.push([contrast, node.tagName, node.textContent.slice(0, 40)]);
}
return found.sort((a, b) => a[0] - b[0]);
"""
"""
The contrasts of all texts with what they stand on, by the formula of WCAG 2, the least
first.
"""


class BrowserTestCase(TestCase):
    """
    Has one browser for all tests, because it takes some seconds to start.
    """

    timeout = 60

    shared = Shared()

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.shared.users += 1

    def setUp(self):
        self.addCleanup(self.shared.giveBack)
        self.browser = self.shared.get()

    def blocking(self, f, *args):
        """
        @return: A Deferred of what something returns that blocks: meanwhile the
            reactor serves the page.
        """
        return deferToThread(f, *args)

    def until(self, condition, *args):
        return self.blocking(self.browser.until, condition, *args)

    def text(self, selector):
        return self.blocking(self.browser.text, selector)

    async def open(self, queue, width=1200, height=900, scheme="light", **how):
        """
        Opens the page of a queue, and waits until it is live.
        """
        self.serve(queue, 0, **how)
        self.addCleanup(self.leave)
        await self.blocking(self.browser.show, width, height, scheme)
        await self.blocking(self.browser.open, monitor.address(self.port))
        await self.until(STATE, "live")

    def serve(self, queue, number, **how):
        self.port = monitor.listen(queue, number, **{"interval": 0.1, **how})

    async def leave(self):
        """
        Has the browser be elsewhere, and takes the page away.
        """
        await self.blocking(self.browser.driver.get, "about:blank")
        await self.cut()

    async def cut(self):
        """
        Takes the page away, and all connections to it, those too that a browser
        keeps in case it has another request.
        """
        await self.port.stopListening()
        for reader in reactor.getReaders():
            if isinstance(reader, Server):
                reader.abortConnection()
        await deferLater(reactor, 0)

    async def assertSilent(self):
        """
        Nothing was said on the console: no error, and nothing that was refused.
        """
        self.assertEqual(await self.blocking(self.browser.said), [])


class LackingTests(SynchronousTestCase):
    """
    There is no browser.
    """

    def setUp(self):
        self.patch(shutil, "which", lambda name: None)
        self.patch(os, "environ", {})

    def test_leftOut(self):
        """The tests are left out, and say what they lack."""
        error = self.assertRaises(SkipTest, openBrowser)
        self.assertIn("no chromium, no chromedriver", str(error))

    def test_required(self):
        """Where it is required they fail."""
        os.environ[REQUIRED] = "required"
        error = self.assertRaises(RuntimeError, openBrowser)
        self.assertIn("apt-get install chromium", str(error))


class RealTests(BrowserTestCase):
    """
    Watches a queue of worker processes.
    """

    def setUp(self):
        super().setUp()
        self.queue = ProcessQueue(2)
        self.addCleanup(self.queue.shutdown)

    async def test_live(self):
        """It loads, and shows calls while they run and when they are done."""
        await self.open(self.queue, title="Jobs")
        self.assertEqual(await self.text("h1"), "Jobs")
        await gatherResults([self.queue.call(calls.echo, n) for n in range(5)])
        await self.until(DONE, "5")
        await gatherResults([self.queue.call(calls.echo, n) for n in range(1000)])
        await self.until(DONE, "1,005")
        long = self.queue.call(time.sleep, 30.125)
        await self.until(SHOWS, "#workers", "busy")
        self.assertIn("time.sleep", await self.text("#workers"))
        page = await self.text("body")
        self.assertNotIn("30.125", page)
        await self.until("document.querySelectorAll('#callHistogram rect').length > 3")
        for chart in ("rate", "depth", "time"):
            curves = f"document.querySelectorAll('#{chart}Chart .curve').length > 0"
            await self.until(curves)
        long.addErrback(lambda _: None).cancel()
        await self.queue.shutdown()
        await self.until(STATE, "the queue is shut down")
        await self.assertSilent()

    async def test_death(self):
        """A worker whose process is killed shows, and that it has another."""
        await self.open(self.queue, arguments=True)
        await self.queue.call(calls.echo)
        victim = self.queue.workers(1)
        pid = victim.pid
        await self.until(SHOWS, "#workers", str(pid))
        os.kill(pid, signal.SIGKILL)
        await self.until(SHOWS, "#workers tbody tr:first-child", "died, restart")
        await self.until(SHOWS, "#died", "SIGKILL")
        self.assertIn(str(pid), await self.text("#died"))
        await self.until(RESTARTED, str(pid))
        self.assertIn(str(victim.pid), await self.text("#workers"))
        self.assertEqual(await self.text("#deaths"), "1")
        await self.assertSilent()


class WatchedTests(BrowserTestCase):
    """
    Watches what is told of queues that are in every state at once.
    """

    def setUp(self):
        super().setUp()
        counts = (5, 300, 40, 2, 0, 1)
        self.queue = WatchedQueue(
            waiting=waiting(("import", -5.0, 30), (NASTY, float("inf"), 3)),
            inHand=2,
            done=1234,
            failed=3,
            deaths=2,
            restarts=2,
            callSeconds=times(*counts),
            overheadSeconds=times(*counts),
            workers=(
                worker(1, calls=(call(NASTY),), memory=2**26, kind=NASTY),
                worker(2, calls=(call(series=NASTY), call()), series=("import", NASTY)),
                worker(3, state="preparing", pid=None, deaths=2, restarts=2),
                worker(4, state="leaving"),
            ),
        )
        self.queue.deaths = [death(), death(exitCode=3, signal=None, text=NASTY)]

    async def test_texts(self):
        """Whatever texts there are, they are shown as they are."""
        await self.open(self.queue, title=NASTY, arguments=True)
        for selector in ("h1", "#queued", "#died", "#workers"):
            self.assertIn(NASTY, await self.text(selector))
        title, scripts = await self.blocking(
            self.browser.run,
            "return [document.title, document.querySelectorAll('script').length]",
        )
        self.assertEqual((title, scripts), (NASTY, 1))
        self.assertIn("('secret')", await self.text("#workers"))
        self.assertIn("In hand: work.grind('secret')", await self.text("#died"))
        for state in ("busy", "restarting", "leaving", "64 MiB", "[<script>"):
            self.assertIn(state, await self.text("#workers"))
        for told in ("import", "\u22125", "after all (doLast)"):
            self.assertIn(told, await self.text("#queued"))
        await self.assertSilent()

    async def test_schemes(self):
        """In light and in dark all texts can be read."""
        colours = set()
        await self.open(self.queue)
        for scheme in ("light", "dark"):
            await self.blocking(self.browser.show, 1200, 900, scheme)
            await self.until("document.querySelectorAll('svg text').length > 20")
            contrasts = await self.blocking(self.browser.run, CONTRASTS)
            self.assertGreater(len(contrasts), 60)
            self.assertGreaterEqual(contrasts[0][0], 4.5, contrasts[:5])
            script = "return getComputedStyle(document.body).backgroundColor"
            colours.add(await self.blocking(self.browser.run, script))
        self.assertEqual(len(colours), 2)
        await self.assertSilent()

    async def test_phone(self):
        """On narrow screens nothing has to be scrolled sideways."""
        await self.open(self.queue)
        for width in (320, 360, 768, 1024):
            await self.blocking(self.browser.show, width, 740)
            script = "return document.documentElement.scrollWidth"
            self.assertLessEqual(await self.blocking(self.browser.run, script), width)
        await self.assertSilent()

    async def test_access(self):
        """Who cannot see it is told what charts show, and what the cells are."""
        await self.open(self.queue)
        await self.until("document.querySelectorAll('svg[role=img]').length === 5")
        labels = await self.blocking(
            self.browser.run,
            "return Array.from(document.querySelectorAll('svg'), "
            "(svg) => svg.getAttribute('aria-label'))",
        )
        self.assertIn("Depth in the last five minutes: waiting now 33", labels[1])
        self.assertIn("348 calls", labels[3])
        lacking = await self.blocking(
            self.browser.run,
            "return Array.from(document.querySelectorAll('th:not([scope])')).length",
        )
        self.assertEqual(lacking, 0)

    async def test_pointed(self):
        """What is pointed at in a curve is read beside it, and when that was."""
        await self.open(self.queue)
        self.queue.change(inHand=9)
        await self.until(SHOWS, "#depthChart .reading", "in hand 9")
        await self.blocking(
            self.browser.run,
            "const plot = document.querySelector('#depthChart .plot');"
            "const {left, top} = plot.getBoundingClientRect();"
            "plot.dispatchEvent(new PointerEvent("
            "    'pointermove', {clientX: left + 60, clientY: top + 60}));",
        )
        await self.until(SHOWS, "#depthChart .reading", "in hand 2")
        await self.until("document.querySelector('#depthChart .cursor') !== null")
        await self.assertSilent()

    async def test_lately(self):
        """On request only the calls of the last minute count."""
        await self.open(self.queue)
        self.queue.change(callSeconds=times(5, 300, 40, 2, 10, 1))
        await self.until(SHOWS, "#callHistogram .reading", "358 calls")
        await self.blocking(
            self.browser.run, "document.querySelector('input[value=minute]').click()"
        )
        await self.until(SHOWS, "#callHistogram .reading", "10 calls")
        await self.assertSilent()

    async def test_lost(self):
        """When the connection is lost that is told, and it comes back by itself."""
        await self.open(self.queue)
        number = self.port.getHost().port
        await self.cut()
        await self.until(STATE, "connection lost, trying again")
        self.queue.change(done=1235)
        self.serve(self.queue, number)
        await self.until(STATE, "live")
        await self.until(DONE, "1,235")
