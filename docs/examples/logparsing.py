"""
What the log service does in its worker processes: access logs are read and counted.

A process has to import what it is called for. So this is a module of its own, that
needs nothing but the standard library.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

LINE = re.compile(
    r"(?P<host>\S+) \S+ \S+ \[[^\]]+\] "
    r'"(?P<method>[A-Z]+) (?P<path>\S+)[^"]*" (?P<status>\d{3}) (?P<size>\d+|-)'
)
"""
A line of the Common Log Format, or of the Combined one, which only adds to it.
"""


@dataclass
class Tally:
    """
    I am what was counted in some lines of some logs.

    @ivar requests: How many lines there were that could be read.
    @ivar unreadable: How many other lines there were.
    @ivar size: How many bytes were sent.
    @ivar statuses: How many requests had each HTTP status.
    @ivar paths: How many requests there were for each path.
    """

    requests: int = 0
    unreadable: int = 0
    size: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    paths: Counter[str] = field(default_factory=Counter)

    def count(self, line: str) -> None:
        """
        Counts a line.
        """
        found = LINE.match(line)
        if found is None:
            self.unreadable += 1
            return
        self.requests += 1
        self.size += 0 if found["size"] == "-" else int(found["size"])
        self.statuses[found["status"]] += 1
        self.paths[found["path"]] += 1

    def add(self, other: "Tally") -> None:
        """
        Adds what was counted elsewhere.
        """
        self.requests += other.requests
        self.unreadable += other.unreadable
        self.size += other.size
        self.statuses += other.statuses
        self.paths += other.paths


def parse(path: str, chunk: int = 5000) -> Iterator[Tally]:
    """
    Reads a log.

    @param chunk: How many lines to read for each tally. Some thousand make the way
        through the pipe cheap, and the service still hears of one every few ms.
    @return: An iterator of tallies, which together count all lines.
    @raise OSError: if it cannot be read.
    """
    tally = Tally()
    with open(path, encoding="utf-8", errors="replace") as log:
        for number, line in enumerate(log, 1):
            tally.count(line)
            if number % chunk == 0:
                yield tally
                tally = Tally()
    yield tally
