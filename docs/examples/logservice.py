"""
A Twisted service that counts what is in the access logs of a web server.
"""

import json
from pathlib import Path
from typing import Any

from twisted.application.internet import TimerService
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.logger import Logger
from twisted.python.filepath import FilePath

from asynqueue import ProcessQueue, QueueRunError
from logparsing import Tally, parse


class LogService(MultiService):
    """
    I watch a directory for logs, have each read by a worker process, and keep a
    summary of all in a file.

    A log has to be complete when it appears, so move it there. It counts as a whole
    or not at all: with the summary goes a list of those that it is of.
    """

    log = Logger()

    def __init__(self, incoming: Path, summary: Path, interval: float = 0.5) -> None:
        """
        @param incoming: The directory. I make it if there is none.
        @param summary: The file to write, in JSON.
        @param interval: How often I look, in seconds.
        """
        MultiService.__init__(self)
        self.incoming = incoming
        self.summary = summary
        TimerService(interval, self._look).setServiceParent(self)

    def startService(self) -> None:
        self.incoming.mkdir(exist_ok=True)
        self._total = Tally()
        self._seen: set[Path] = set()
        self._counted: list[str] = []
        self._failed: list[str] = []
        # Not in __init__: between that and this, twistd may go into the background,
        # where it is another process.
        self._queue = ProcessQueue()
        # As many logs are read at once as there are workers.
        self._places = DeferredSemaphore(len(self._queue))
        MultiService.startService(self)

    def stopService(self) -> "Deferred[None]":
        """
        @return: A Deferred that fires when no worker process is left.
        """
        stopped: Deferred[Any] = MultiService.stopService(self)
        return stopped.addCallback(lambda _: self._queue.shutdown())

    def _look(self) -> None:
        for path in sorted(self.incoming.glob("*.log")):
            if path not in self._seen:
                self._seen.add(path)
                self._places.run(self._read, path)

    async def _read(self, path: Path) -> None:
        tally = Tally()
        try:
            async for part in await self._queue.call(parse, str(path)):
                if not self.running:
                    # It is read anew when I run again.
                    return
                tally.add(part)
        except QueueRunError:
            # The reactor stops, and the queue has heard of it before me.
            return
        except Exception:
            self.log.failure("Could not read {name}", name=path.name)
            self._failed.append(path.name)
        else:
            self.log.info("Read {name}", name=path.name)
            self._counted.append(path.name)
            self._total.add(tally)
        self._write()

    def _write(self) -> None:
        total = self._total
        summary = {
            "logs": sorted(self._counted),
            "failed": sorted(self._failed),
            "requests": total.requests,
            "unreadable": total.unreadable,
            "bytes": total.size,
            "statuses": dict(sorted(total.statuses.items())),
            "paths": dict(total.paths.most_common(10)),
        }
        # Whoever reads it never sees half of it.
        text = json.dumps(summary, indent=2) + "\n"
        FilePath(str(self.summary)).setContent(text.encode())
