"""
What a queue tells of itself, for Prometheus.

C{docs/metrics.rst} has a table of the metrics, and tells how to have them scraped.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from twisted.python import threadable
from twisted.web.resource import Resource

from asynqueue.about import aboutObject
from asynqueue.base import TaskQueue
from asynqueue.statistics import Histogram, Statistics
from asynqueue.task import FIRST, LAST

try:
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.exposition import choose_encoder
except ImportError as e:
    raise ImportError(
        "Metrics take prometheus_client, which cannot be imported here: "
        f"{e}. pip install 'asynqueue[metrics]' installs it",
        name=e.name,
    ) from e

__all__ = ["MetricsResource", "QueueCollector", "collector", "resource", "seriesLabel"]

LabelOf = Callable[[Hashable], str]
"""
What makes the label of a series.
"""


class Source(NamedTuple):
    """
    A queue that is told of.

    @ivar queue: The queue.
    @ivar labelOf: What makes the labels of its series.
    """

    queue: TaskQueue
    labelOf: LabelOf


def seriesLabel(series: Hashable) -> str:
    """
    @return: A series as a label: as it is if it is a string, without any characters
        for calls made without one, else as a short text.
    """
    if series is None:
        return ""
    return series if isinstance(series, str) else aboutObject(series)


class QueueCollector:
    """
    I collect what some queues tell of themselves, as metrics of
    C{prometheus_client}. L{collector} makes one for each registry.

    I am to collect in the reactor's thread, as queues may be read nowhere else.
    """

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}

    def add(self, queue: Any, name: Any, labelOf: LabelOf = seriesLabel) -> None:
        """
        Tells of one more queue.

        @param name: The label by which it is known.
        @param labelOf: Makes the labels of its series.
        @raise TypeError: if it is no queue, or the name no string.
        @raise ValueError: if I tell of a queue of that name, or of that queue, already.
        """
        if not isinstance(queue, TaskQueue):
            raise TypeError(f"Metrics are of a TaskQueue, not of {aboutObject(queue)}")
        if not isinstance(name, str) or not name:
            raise TypeError(f"The name of a queue is a string, not {aboutObject(name)}")
        if name in self._sources:
            raise ValueError(
                f"This registry has the metrics of a queue {name!r} already. Give each "
                "queue a name of its own, or remove() the one that is gone"
            )
        for other, source in self._sources.items():
            if source.queue is queue:
                raise ValueError(
                    f"This registry has the metrics of this queue already, as {other!r}"
                )
        self._sources[name] = Source(queue, labelOf)

    def remove(self, name: str) -> None:
        """
        Tells no more of a queue.

        @raise KeyError: if there is none of that name.
        """
        del self._sources[name]

    def describe(self) -> "Iterator[Metric]":
        """
        Gives the metrics without any figures, for the registry to see that nobody else
        has their names.
        """
        return _metrics({}, {})

    def collect(self) -> "Iterator[Metric]":
        """
        Gives the metrics.

        @raise RuntimeError: if this is not the reactor's thread.
        """
        reactorThread: Any = threadable.ioThread
        if reactorThread is not None and not threadable.isInIOThread():
            raise RuntimeError(
                "The metrics of a queue were asked for in a thread, but it can be read "
                "in the reactor's only. Serve them by asynqueue.metrics.resource(), "
                "instead of start_http_server() or prometheus_client.twisted"
            )
        all_ = {name: each.queue.statistics() for name, each in self._sources.items()}
        labels = {name: each.labelOf for name, each in self._sources.items()}
        return _metrics(all_, labels)


_collectors: "WeakKeyDictionary[CollectorRegistry, QueueCollector]" = (
    WeakKeyDictionary()
)


def collector(
    queue: TaskQueue,
    name: str = "main",
    registry: CollectorRegistry | None = None,
    labelOf: LabelOf = seriesLabel,
) -> QueueCollector:
    """
    Has a registry tell of a queue, until L{QueueCollector.remove}.

    @param name: The label by which the queue is known there.
    @param registry: The registry, C{prometheus_client}'s own if C{None}.
    @param labelOf: Makes the label of a series. Give one that tells few of them apart
        if there are many: each is a time series of its own to Prometheus.
    @return: What collects the metrics of all queues of this registry.
    @raise TypeError: as of L{QueueCollector.add}.
    @raise ValueError: as of L{QueueCollector.add}; or if something else in the registry
        has one of the metrics' names.
    """
    registry = REGISTRY if registry is None else registry
    found = _collectors.get(registry)
    if found is None:
        found = QueueCollector()
        registry.register(found)
        _collectors[registry] = found
    found.add(queue, name, labelOf)
    return found


class MetricsResource(Resource):
    """
    I am a registry's metrics, to be put at C{/metrics}: as OpenMetrics if the request
    accepts that, else as text.

    I collect them in the reactor's thread.
    """

    isLeaf = True

    def __init__(self, registry: CollectorRegistry) -> None:
        Resource.__init__(self)
        self._registry = registry

    def render_GET(self, request: Any) -> bytes:
        """
        @return: The metrics.
        """
        accepted = request.requestHeaders.getRawHeaders("Accept", [])
        encoder, contentType = choose_encoder(",".join(accepted))
        request.setHeader("Content-Type", contentType)
        return encoder(self._registry)


def resource(registry: Any = None, **queues: TaskQueue) -> MetricsResource:
    """
    Makes what a C{twisted.web} site serves at C{/metrics}.

    @param registry: What is told of. If C{None}, a registry of the I{queues} alone, or
        if there are none, C{prometheus_client}'s own.
    @param queues: Queues that L{collector} is called for, by name.
    @raise TypeError: if the registry is none.
    @raise ValueError: as of L{collector}.
    """
    if registry is None:
        registry = CollectorRegistry() if queues else REGISTRY
    elif isinstance(registry, TaskQueue):
        raise TypeError("A queue needs a name here: resource(main=queue)")
    for name, queue in queues.items():
        collector(queue, name, registry)
    return MetricsResource(registry)


_NICENESSES = {FIRST: "next", LAST: "last"}

# The kind, name, field of the statistics and help of each metric that is one number.
_NUMBERS = (
    (
        GaugeMetricFamily,
        "asynqueue_calls_in_hand",
        "inHand",
        "Calls that workers have.",
    ),
    (
        CounterMetricFamily,
        "asynqueue_calls_done",
        "done",
        "Calls that ended with a result.",
    ),
    (
        CounterMetricFamily,
        "asynqueue_calls_failed",
        "failed",
        "Calls that ended with an error, timeouts and deaths included.",
    ),
    (
        CounterMetricFamily,
        "asynqueue_calls_cancelled",
        "cancelled",
        "Calls that were cancelled.",
    ),
    (
        CounterMetricFamily,
        "asynqueue_worker_deaths",
        "deaths",
        "Deaths of what workers run on that nobody had asked for.",
    ),
    (
        CounterMetricFamily,
        "asynqueue_worker_restarts",
        "restarts",
        "How often workers began anew or were replaced.",
    ),
)

# The name, field and help of each that is a histogram.
_TIMES = (
    (
        "asynqueue_call_seconds",
        "callSeconds",
        "How long calls ran where they ran.",
    ),
    (
        "asynqueue_call_overhead_seconds",
        "overheadSeconds",
        "How much longer calls took, from being sent to having their results.",
    ),
)


def _metrics(
    statistics: dict[str, Statistics], labels: dict[str, LabelOf]
) -> "Iterator[Metric]":
    """
    @param statistics: What queues tell of themselves, by name.
    @param labels: What makes the labels of their series.
    @return: What there is to be known of them.
    """
    waiting = GaugeMetricFamily(
        "asynqueue_calls_waiting",
        "Calls that wait, for a worker or for room.",
        labels=["queue", "series", "niceness"],
    )
    workers = GaugeMetricFamily(
        "asynqueue_workers",
        "Workers, by what they do: preparing, working or leaving.",
        labels=["queue", "state"],
    )
    memory = GaugeMetricFamily(
        "asynqueue_worker_memory_bytes",
        "Resident set of what a worker runs on, at the last look.",
        labels=["queue", "worker"],
        unit="bytes",
    )
    for name, each in statistics.items():
        counts = Counter({("", "0"): 0})
        for series, urgency, calls in each.waiting:
            niceness = _NICENESSES.get(urgency) or f"{urgency:g}"
            counts[labels[name](series), niceness] += calls
        for key, n in counts.items():
            waiting.add_metric([name, *key], n)
        states = Counter({"preparing": 0, "working": 0, "leaving": 0})
        sizes: Counter[str] = Counter()
        for worker in each.workers:
            states[worker.state] += 1
            if worker.memory is not None:
                # One that is leaving may have a successor with its ID.
                sizes[f"{worker.ID}"] += worker.memory
        for state, n in states.items():
            workers.add_metric([name, state], n)
        for ID, size in sizes.items():
            memory.add_metric([name, ID], size)
    yield waiting
    for kind, name, field, text in _NUMBERS:
        family = kind(name, text, labels=["queue"])
        for queue, each in statistics.items():
            family.add_metric([queue], getattr(each, field))
        yield family
    for name, field, text in _TIMES:
        times = {queue: getattr(each, field) for queue, each in statistics.items()}
        yield _histogram(name, text, times)
    yield workers
    yield memory


def _histogram(name: str, text: str, values: dict[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=["queue"], unit="seconds")
    for queue, times in values.items():
        bounds: Sequence[str] = [*map(repr, times.bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(times.counts), strict=True))
        family.add_metric([queue], buckets, times.total)
    return family
