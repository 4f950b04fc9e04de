"""
Makes the pictures of the page to watch a queue on, in light and in dark.

    python -m docs.pictures.monitor

I need what the tests of the page need: chromium, its driver, and selenium.
"""

import sys
from pathlib import Path
from random import Random

from twisted.internet.defer import gatherResults
from twisted.internet.task import LoopingCall, deferLater, react
from twisted.internet.threads import deferToThread

from asynqueue import ProcessQueue, monitor
from tests.browsing import openBrowser

HERE = Path(__file__).parent
SECONDS = 58
WIDTH, HEIGHT = 1240, 1010


class Shop:
    """
    I have a queue do what a shop does, more and less of it as time goes on.
    """

    def __init__(self, queue):
        self._queue = queue
        self._random = Random(7)
        self._order = 4000

    def call(self, f, *args, **how):
        self._queue.call(f, *args, **how).addErrback(lambda _: None)

    def step(self):
        import shop

        for _ in range(self._random.randint(5, 18)):
            self._order += 1
            self.call(shop.invoice, self._order, series="orders", niceness=-10)
        for _ in range(self._random.choice([0, 0, 1, 1, 4])):
            self.call(shop.thumbnail, f"{self._order}.png", 240, series="pictures")
        if self._random.random() < 0.12:
            self.call(shop.recommend, self._order)
        if self._random.random() < 0.03:
            for n in range(90):
                self.call(shop.newsletter, n, series="mail", niceness=15)

    def importAll(self):
        import shop

        self.call(shop.importCatalogue, "spring.xml", doNext=True, retries=0)


async def main(reactor):
    sys.path.insert(0, str(HERE))
    queue = ProcessQueue(4)
    for ID, series in [(1, "orders"), (2, "orders"), (2, "mail"), (3, "pictures")]:
        queue.qualifyWorker(queue.workers(ID), series)
    queue.qualifyWorker(queue.workers(4), "mail")
    port = monitor.listen(queue, interval=0.5, title="Shop, background jobs")
    shop = Shop(queue)
    browser = await deferToThread(openBrowser)
    try:
        await deferToThread(browser.show, WIDTH, HEIGHT, scale=1.5)
        await deferToThread(browser.open, monitor.address(port))
        steps = LoopingCall(shop.step)
        steps.start(0.2)
        await deferLater(reactor, SECONDS - 6)
        shop.importAll()
        await deferLater(reactor, 6)
        script = "return document.documentElement.scrollHeight"
        height = await deferToThread(browser.run, script)
        for scheme, name in [("light", "monitor.png"), ("dark", "monitor-dark.png")]:
            await deferToThread(browser.show, WIDTH, height, scheme, 1.5)
            await deferLater(reactor, 1.2)
            path = str(HERE / name)
            await deferToThread(browser.driver.save_screenshot, path)
        steps.stop()
    finally:
        await deferToThread(browser.close)
    queue.cancelAll()
    await gatherResults([port.stopListening(), queue.shutdown()])


if __name__ == "__main__":
    react(main)
