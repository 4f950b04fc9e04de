"""
How calls are handed to dask, in the thread of its client.
"""

import asyncio
import itertools
import operator
import threading
from collections.abc import Callable
from typing import Any

import dask
from distributed import Client, Future

from asynqueue.clusterbundles import Bundler
from asynqueue.clusterclerk import Key
from asynqueue.clusterheld import Bundle, Held
from asynqueue.clusternode import Settings, perform

LATER = 1e-9
"""
By how much a call is less urgent than the one before it, where an integer is the least
difference that their makers can want. Of equals, a node would make the latest first.
"""

TOGETHER = 0.005
"""
After how many seconds further calls are sent at the earliest: those that come meanwhile
go together, which spares the scheduler most of its work. dask's client itself sends
every 10 milliseconds.
"""

KEPT = 0.02
"""
For how long a result that is here is kept on its node, in seconds: to say that it is
not needed would hold up the calls that are made right after, and may go with them.
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
    I submit calls, many together. Those of some milliseconds wait in a line for that.

    @ivar line: The calls that wait.
    """

    def __init__(
        self,
        client: Client,
        settings: Settings,
        bundler: Bundler,
        outstanding: Callable[[], int],
        submitted: Callable[[Bundle], Any],
        failed: Callable[[Held, Exception], Any],
    ) -> None:
        """
        @param outstanding: Returns how many calls are on their way, those that wait
            included.
        @param submitted: Is told of each bundle that was submitted.
        @param failed: Is told of each call that could not be, and why.
        """
        self.line: list[Held] = []
        self._client = client
        self._settings = settings
        self._bundler = bundler
        self._outstanding = outstanding
        self._submitted = submitted
        self._failed = failed
        self._serials = itertools.count(1)
        self._places = itertools.count(1)
        self._lastFlush = 0.0
        self._kept: list[Future] = []

    def put(self, held: Held) -> None:
        """
        Has a call submitted soon. One that was before keeps its place among its equals.
        """
        if not held.place:
            held.place = next(self._places)
        if not self.line:
            loop = asyncio.get_running_loop()
            loop.call_at(max(loop.time(), self._lastFlush + TOGETHER), self._flush)
        self.line.append(held)

    def keep(self, future: Future) -> None:
        """
        Keeps a result for a moment.
        """
        if not self._kept:
            asyncio.get_running_loop().call_later(KEPT, self.letGo)
        self._kept.append(future)

    def letGo(self) -> None:
        """
        Lets go of the results that are kept.
        """
        self._kept.clear()

    def _flush(self) -> None:
        self._lastFlush = asyncio.get_running_loop().time()
        line, self.line = self.line, []
        bundled = self._bundler.bundle(line, self._outstanding())
        for resource, some in bundled.items():
            bundles = [self._newBundle(calls) for calls in some]
            try:
                futures = self._submit(resource, bundles)
            except Exception as e:
                # Else nobody would ever be told.
                for held in itertools.chain(*some):
                    self._failed(held, e)
                continue
            for bundle, future in zip(bundles, futures, strict=True):
                bundle.begin(future)
                self._submitted(bundle)
        # With the same message.
        self.letGo()

    def _newBundle(self, calls: list[Held]) -> Bundle:
        first, token = calls[0].errand, self._settings.token
        serial = next(self._serials)
        # By a name of its own for each: dask holds back those that share one.
        name = f"{first.name}-{serial}-{token}"
        urgency = first.urgency - calls[0].place * LATER
        return Bundle(serial, tuple(Key(name, urgency, token, serial)), calls)

    def _submit(self, resource: str | None, bundles: list[Bundle]) -> list[Future]:
        with _quiet, dask.config.set(SILENT):
            futures: list[Future] = self._client.map(
                perform,
                [bundle.serial for bundle in bundles],
                [list(bundle.waiting) for bundle in bundles],
                [bundle.calls() for bundle in bundles],
                [bundle.asks for bundle in bundles],
                [self._settings.name] * len(bundles),
                key=[bundle.key for bundle in bundles],
                priority=operator.itemgetter(1),
                resources=None if resource is None else {resource: 1},
                pure=False,
            )
        return futures
