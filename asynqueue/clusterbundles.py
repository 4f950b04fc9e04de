"""
Which calls on their way to a cluster go together, as one task of dask's.

A task costs dask some milliseconds of processor time, however short the call is. So
calls that are known to be shorter than that share one: a thread of a node makes them
one after the other.
"""

from asynqueue.clusterheld import Held, NodeInfo
from asynqueue.clusternode import SHORT

LENGTH = 0.01
"""
How long a bundle may be expected to take, in seconds: as long as dask's client waits
itself before it sends.
"""

LEAST = 0.0001
"""
What a call is expected to take at least, in seconds: a node has to unpickle it and to
pickle its answer.
"""

DEPTH = 2
"""
How many bundles there are for each thread at least, one that it makes and one that
waits. Calls go together only if there are more of them than that.
"""

WEIGHT = 1 / 8
"""
How much the last call counts in what is expected of the next.
"""

NAMES = 1000
"""
Of how many names it is known how long their calls take: those that came last.
"""


def expect(before: float | None, seconds: float) -> float:
    """
    @param before: How long a call was expected to take, C{None} if nothing was.
    @param seconds: How long it took.
    @return: How long the next is expected to take.
    """
    return seconds if before is None else before + WEIGHT * (seconds - before)


def together(expected: float) -> int:
    """
    @return: How many calls may go together that are expected to take so many seconds
        each. At least one does.
    """
    return max(1, int(LENGTH / max(expected, LEAST)))


class Bundler:
    """
    I know how long calls have taken, by their names, and bundle those that come.

    @ivar nodes: What is known of the cluster's nodes.
    """

    def __init__(self) -> None:
        self.nodes: list[NodeInfo] = []
        self._expected: dict[str, float] = {}

    def learn(self, name: str, seconds: float) -> None:
        """
        Is told how long a call has taken.

        @param name: That of its L{Errand<asynqueue.clusterheld.Errand>}.
        """
        self._expected[name] = expect(self._expected.pop(name, None), seconds)
        if len(self._expected) > NAMES:
            del self._expected[next(iter(self._expected))]

    def bundle(
        self, line: list[Held], outstanding: int
    ) -> dict[str | None, list[list[Held]]]:
        """
        Bundles calls, in the order of the first of each bundle. Those of one bundle
        have the same name and the same urgency. What is not known to be short goes
        alone, and so does what a node has to ask for before it begins.

        @param outstanding: How many calls are with the cluster, these included.
        @return: The bundles whose nodes have to offer a resource, by that.
        """
        bundles: dict[str | None, list[list[Held]]] = {}
        growing: dict[tuple[str | None, int, str], list[Held]] = {}
        threads: dict[str | None, int] = {}
        for held in line:
            errand = held.errand
            resource = errand.resource
            if resource not in threads:
                threads[resource] = self._threads(resource)
            most = min(outstanding // (DEPTH * threads[resource]), self._most(held))
            kind = resource, errand.urgency, errand.name
            bundle = growing.get(kind)
            if bundle is None or len(bundle) >= most:
                bundle = []
                bundles.setdefault(resource, []).append(bundle)
                if most > 1:
                    growing[kind] = bundle
            bundle.append(held)
        return bundles

    def _threads(self, resource: str | None) -> int:
        """
        @return: How many threads can make calls that need a resource, 1 at least.
        """
        some = [n.threads for n in self.nodes if resource in (None, *n.resources)]
        return max(sum(some), 1)

    def _most(self, held: Held) -> int:
        """
        @return: Of how many calls like this one a bundle may be.
        """
        errand = held.errand
        expected = self._expected.get(errand.name)
        if held.asks or expected is None:
            return 1
        return min(together(expected), SHORT // max(len(errand.call), 1))
