"""
One trace across the pipe, by OpenTelemetry.

The main program begins a span and makes calls within it. The spans of those are in
other processes, but in the same trace, and each knows its parent. Here all processes
add their spans to one file, and the program shows the tree. A service would send them
to a collector, by another exporter.
"""

import json
import multiprocessing.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opentelemetry import context, propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from twisted.internet.task import react

from asynqueue import ProcessQueue
from asynqueue.contexts import Hooks

tracer = trace.get_tracer("tracing")


def begin(path: str) -> None:
    """
    Has this process add its spans to a file, a JSON object a line.
    """
    resource = Resource.create({"process.pid": os.getpid()})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    file = Path(path).open("a")  # noqa: SIM115
    exporter = ConsoleSpanExporter(out=file, formatter=lambda s: s.to_json(None) + "\n")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    # What waits to be exported is, when a worker process ends.
    multiprocessing.util.Finalize(None, provider.shutdown, exitpriority=0)


def before() -> dict[str, str]:
    """
    Is called here with each call, and brings along the span that it is made in: as
    C{traceparent}, in the way of the W3C's Trace Context.
    """
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


@contextmanager
def after(carrier: dict[str, str]) -> Iterator[None]:
    """
    Is called over there, and has the call run in a span whose parent is that one.
    """
    token = context.attach(propagate.extract(carrier))
    try:
        with tracer.start_as_current_span("call"):
            yield
    finally:
        context.detach(token)


def isPrime(n: int) -> bool:
    return n > 1 and all(n % k for k in range(2, int(n**0.5) + 1))


def count(n: int) -> int:
    """
    @return: How many primes are below a number.
    """
    with tracer.start_as_current_span("count"):
        return sum(map(isPrime, range(n)))


def primes(n: int) -> Iterator[int]:
    with tracer.start_as_current_span("primes"):
        yield from filter(isPrime, range(n))


def show(path: str) -> None:
    """
    Prints the tree that the spans in a file make.
    """
    spans = [json.loads(line) for line in Path(path).read_text().splitlines()]
    traces = {span["context"]["trace_id"] for span in spans}
    pids = {span["resource"]["attributes"]["process.pid"] for span in spans}
    print(f"{len(traces)} trace, {len(spans)} spans, {len(pids)} processes:")

    def branch(parent: str | None, indent: str) -> None:
        children = [span for span in spans if span["parent_id"] == parent]
        for span in sorted(children, key=lambda span: span["start_time"]):
            pid = span["resource"]["attributes"]["process.pid"]
            print(f"{indent}{span['name']}", *["(here)"] * (pid == os.getpid()))
            branch(span["context"]["span_id"], indent + "  ")

    branch(None, "  ")


async def main(reactor: Any) -> None:
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        begin(file.name)
        queue = ProcessQueue(2, hooks=Hooks(before, after))
        await queue.update(begin, file.name)
        with tracer.start_as_current_span("report"):
            counts = [number async for number in queue.map(count, [10, 1000])]
            found = [prime async for prime in await queue.call(primes, 20)]
        print(counts, found)
        await queue.shutdown()
        trace.get_tracer_provider().force_flush()
        show(file.name)


if __name__ == "__main__":
    react(main)
