"""
How items are read, and how results, errors and call times are printed.
"""

import json
from array import array
from collections.abc import Iterable, Sequence
from statistics import median
from textwrap import indent
from typing import Any, Protocol

from asynqueue.about import aboutObject
from asynqueue.errors import RemoteTraceback
from asynqueue.messages import describe
from asynqueue.tables import align


def aboutError(error: BaseException) -> str:
    """
    @return: An exception's type and text in a line, if the text has but one.
    """
    return f"{type(error).__qualname__}: {describe(error)}".removesuffix(": ")


def complaint(about: str, error: BaseException) -> str:
    """
    @return: What to say of an error, with its traceback in the worker process
        if there is one.
    """
    text = f"asynqueue: {about}: {aboutError(error)}\n"
    if isinstance(error.__cause__, RemoteTraceback):
        text += indent(error.__cause__.text.rstrip(), "    ") + "\n"
    return text


def quote(text: str) -> str:
    """
    @return: A text in quotes, with escape sequences for what would harm a
        terminal, and shortened if it is very long.
    """
    quoted = repr(text)
    return quoted if len(quoted) <= 1000 else f"{quoted[:500]}...{quoted[-500:]}"


class PlainForm:
    """
    An item is the text that it is, and of a result its text is printed.
    """

    def parse(self, text: str) -> Any:
        """
        @return: The text.
        """
        return text

    def result(self, item: Any, result: Any, seconds: float) -> str:
        """
        @return: What C{print} would print.
        """
        return f"{result!s}\n"

    def error(self, item: Any, error: str, seconds: float) -> str:
        """
        @return: Nothing: the message on standard error does.
        """
        return ""


class JsonForm(PlainForm):
    """
    An item is a JSON value, and an object is printed for each.
    """

    def parse(self, text: str) -> Any:
        """
        @raise ValueError: if the text is no JSON.
        """
        return json.loads(text, parse_constant=_refuse)

    def result(self, item: Any, result: Any, seconds: float) -> str:
        """
        @return: An object with the item, the result and the seconds.
        """
        return _object(item=item, result=result, seconds=round(seconds, 6))

    def error(self, item: Any, error: str, seconds: float) -> str:
        """
        @return: An object with the item, the error and the seconds.
        """
        return _object(item=item, error=error, seconds=round(seconds, 6))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _object(**members: Any) -> str:
    pairs = (f'"{name}": {toJson(value)}' for name, value in members.items())
    return f"{{{', '.join(pairs)}}}\n"


def toJson(value: Any) -> str:
    """
    @return: A value as JSON; what JSON has no form for, in it or itself, as a
        string with its C{repr}.
    """
    try:
        text = json.dumps(value, default=repr, allow_nan=False, ensure_ascii=False)
    except Exception:
        text = json.dumps(_repr(value), ensure_ascii=False)
    # A lone surrogate, from a byte that is not UTF-8, is only valid if escaped.
    return text if _isValid(text) else json.dumps(json.loads(text))


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return aboutObject(value)


def _isValid(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Report(Protocol):
    """
    What is printed at the end.
    """

    def collect(self) -> None:
        """
        Is called now and then, lest what is to be told becomes too much.
        """

    def text(self) -> str:
        """
        @return: Some lines.
        """


class CallTimes:
    """
    I keep the call times of workers, in sixteen bytes for each call, and make a
    table of them.
    """

    def __init__(self, workers: Iterable[Any]) -> None:
        """
        @param workers: L{ProcessWorker<asynqueue.processworker.ProcessWorker>}s
            that keep I{callStats}.
        """
        self._kept = [(worker, array("d"), array("d")) for worker in workers]

    def collect(self) -> None:
        """
        Takes from the workers what they have kept since the last time.
        """
        for worker, here, there in self._kept:
            pairs, worker.callTimes = worker.callTimes, []
            here.extend(pair[0] for pair in pairs)
            there.extend(pair[1] for pair in pairs)

    def text(self) -> str:
        """
        @return: The lines of the table: one for each worker, one for all.
        """
        self.collect()
        rows = [
            (str(number), here, there, worker.memUsage() or 0)
            for number, (worker, here, there) in enumerate(self._kept, 1)
        ]
        return _table("worker", rows)


class NodeTimes:
    """
    I do the same for the nodes of a cluster.
    """

    def __init__(self, worker: Any) -> None:
        """
        @param worker: A L{ClusterWorker<asynqueue.clusterworker.ClusterWorker>} that
            keeps I{callStats}.
        """
        self._worker = worker
        self._kept: dict[str, tuple[array[float], array[float]]] = {}

    def collect(self) -> None:
        """
        Takes from the worker what it has kept since the last time.
        """
        pairs, nodes = self._worker.callTimes, self._worker.callNodes
        self._worker.callTimes, self._worker.callNodes = [], []
        for (near, far), node in zip(pairs, nodes, strict=True):
            here, there = self._times(node)
            here.append(near)
            there.append(far)

    def text(self) -> str:
        """
        @return: The lines of the table: one for each node, also for those that are
            gone; one for calls that came to nothing, if there are any; one for all.
        """
        self.collect()
        memory = {node.address: node.memory for node in self._worker.nodes}
        for address in memory:
            self._times(address)
        rows = [
            (address or "none", *times, memory.get(address, 0))
            for address, times in sorted(self._kept.items())
        ]
        return _table("node", rows)

    def _times(self, node: str) -> "tuple[array[float], array[float]]":
        return self._kept.setdefault(node, (array("d"), array("d")))


def _table(
    what: str, found: "Iterable[tuple[str, array[float], array[float], int]]"
) -> str:
    """
    @param found: The name, the times and the kilobytes of each.
    @return: The lines of a table, the last one for all.
    """
    rows: list[tuple[str, ...]] = [
        (what, "calls", "ms here", "ms there", "ms overhead", "MB")
    ]
    allHere, allThere, allMemory = array("d"), array("d"), 0
    for name, here, there, memory in found:
        rows.append(_row(name, here, there, memory))
        allHere.extend(here)
        allThere.extend(there)
        allMemory += memory
    rows.append(_row("all", allHere, allThere, allMemory))
    return align(rows)


def _row(
    name: str, here: Sequence[float], there: Sequence[float], kilobytes: int
) -> tuple[str, ...]:
    pairs = zip(here, there, strict=True)
    overhead = array("d", (near - far for near, far in pairs))
    medians = [
        f"{median(times) * 1000:.3f}" if times else "-"
        for times in (here, there, overhead)
    ]
    memory = f"{kilobytes / 1024:.1f}" if kilobytes else "-"
    return (name, str(len(here)), *medians, memory)
