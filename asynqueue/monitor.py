"""
A page to watch a queue on.

It takes no part in the work: a queue is not asked for anything until somebody opens
the page, and nothing can be changed by it.
"""

import math
from collections.abc import Iterable
from typing import Any

from twisted.internet.address import IPv6Address
from twisted.web.server import Site

from asynqueue.monitorfigures import encode, figures
from asynqueue.monitorpage import Guard, Page
from asynqueue.monitorstream import News, Stream
from asynqueue.reactors import theReactor

__all__ = ["address", "listen", "resource"]

LOOPBACK = "127.0.0.1"
"""
The interface that nobody else but programs of this machine can reach.
"""

LONGEST = 15.0
"""
The longest interval, in seconds. Whoever stands between the page and me may take a
connection for dead that is silent for a minute.
"""


def resource(
    queue: Any,
    *,
    title: str = "asynqueue",
    interval: float = 1.0,
    arguments: bool = False,
    names: Iterable[str] = (),
    reactor: Any = None,
) -> Page:
    """
    Makes a page to be mounted in a site of C{twisted.web}, by C{putChild} or as all of
    it. It shows everything to whoever can reach it: who that may be is for you to say.

    @param queue: A L{TaskQueue<asynqueue.base.TaskQueue>}.
    @param title: What the page is called.
    @param interval: After how many seconds there are new figures, as long as anybody
        watches: above 0, and 15 at most.
    @param arguments: C{True} to show calls with their arguments, not only what is
        called.
    @param names: The names of the host that the page is reached by. On the loopback
        interface it is refused under any other but C{localhost}, and elsewhere too if
        there are any.
    @param reactor: The reactor to use, the global one if C{None}.
    @return: A C{twisted.web.resource.IResource}.
    @raise ValueError: if the interval is out of range.
    @raise TypeError: if I{names} is one text.
    """
    if not 0 < interval <= LONGEST or math.isnan(interval):
        raise ValueError(
            f"interval is a number of seconds above 0, {LONGEST:g} at most, "
            f"not {interval!r}"
        )
    if isinstance(names, str):
        raise TypeError(f"names are several: names=[{names!r}]")

    def take() -> News:
        statistics = queue.statistics()
        deaths = getattr(queue, "deaths", ())
        told = figures(statistics, deaths, arguments)
        told["title"], told["interval"] = title, interval
        isOver = not (statistics.isRunning or statistics.workers)
        return News(encode(told), isOver)

    return Page(Guard(names), Stream(take, interval, theReactor(reactor)))


def listen(
    queue: Any,
    port: int = 0,
    *,
    interface: str = LOOPBACK,
    reactor: Any = None,
    **how: Any,
) -> Any:
    """
    Serves the page of a queue by itself, until the reactor stops.

    @param port: The number of a TCP port, 0 for any that is free.
    @param interface: The address of the interface. Anything else than the default
        shows the page to everybody on the network.
    @param how: Keywords of L{resource}.
    @return: The listening port: a provider of C{IListeningPort}.
    @raise CannotListenError: if the port cannot be had.
    """
    reactor = theReactor(reactor)
    site = Site(resource(queue, reactor=reactor, **how), reactor=reactor)
    site.noisy = False
    return reactor.listenTCP(port, site, interface=interface)


def address(port: Any) -> str:
    """
    @param port: What L{listen} returned.
    @return: What is to be typed into a browser on this machine.
    """
    where = port.getHost()
    host = where.host
    if host in ("0.0.0.0", "::"):
        host = LOOPBACK
    elif isinstance(where, IPv6Address):
        host = f"[{host}]"
    return f"http://{host}:{where.port}/"
