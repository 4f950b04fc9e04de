"""
Tests of L{asynqueue.metrics}.
"""

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openMetrics,
)
from prometheus_client.parser import text_string_to_metric_families as plain
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.test.requesthelper import DummyRequest

from asynqueue import metrics
from asynqueue.messages import Status
from tests import calls
from tests.memory import MemoryWorker, SteppedQueue
from tests.test_statistics import MeasuredWorker


class MetricsTests(SynchronousTestCase):
    """
    Tests of what is collected, parsed back from what is served.
    """

    def setUp(self):
        self.worker = MeasuredWorker(["x"])
        self.queue = SteppedQueue(self.worker)
        self.registry = CollectorRegistry()

    def serve(self, resource, accept=None):
        """
        @return: The headers and the body of what is served.
        """
        request = DummyRequest([b"metrics"])
        if accept is not None:
            request.requestHeaders.setRawHeaders("Accept", [accept])
        body = resource.render(request).decode()
        types = request.responseHeaders.getRawHeaders("Content-Type") or []
        return types[0], body

    def samples(self, resource=None, accept=None, parse=plain):
        """
        @return: The value of each sample, by its name and its labels' values.
        """
        resource = resource or metrics.resource(self.registry)
        _, body = self.serve(resource, accept)
        return {
            (s.name, *s.labels.values()): s.value
            for family in parse(body)
            for s in family.samples
        }

    def work(self):
        """
        Has a call done, one failed, one in hand, and some waiting.
        """
        self.queue.call(calls.echo, series="x")
        self.queue.call(calls.echo)
        self.queue.call(calls.echo)
        for kw in ({"series": "x"}, {"niceness": -3}, {"doNext": True}):
            # The last one is the next.
            self.queue.call(calls.echo, **kw).addErrback(lambda _: None)
        self.queue.call(calls.echo, series=("a", 1), doLast=True)
        self.worker.finish()
        self.worker.finish(Status.ERROR, ValueError("no"))

    def check(self, samples):
        self.assertEqual(samples["asynqueue_calls_done_total", "q"], 1)
        self.assertEqual(samples["asynqueue_calls_failed_total", "q"], 1)
        self.assertEqual(samples["asynqueue_calls_in_hand", "q"], 1)
        self.assertEqual(samples["asynqueue_worker_deaths_total", "q"], 0)
        self.assertEqual(samples["asynqueue_worker_restarts_total", "q"], 0)
        self.assertEqual(samples["asynqueue_workers", "q", "working"], 1)
        self.assertEqual(samples["asynqueue_workers", "q", "leaving"], 0)
        self.assertEqual(samples["asynqueue_worker_memory_bytes", "q", "1"], 4096)
        self.assertEqual(samples["asynqueue_call_seconds_sum", "q"], 4)
        self.assertEqual(samples["asynqueue_call_overhead_seconds_sum", "q"], 2)
        for le, n in (("1.0", 0), ("2.5", 2), ("+Inf", 2)):
            self.assertEqual(samples["asynqueue_call_seconds_bucket", "q", le], n)

    def waiting(self, samples):
        return {k[2:]: v for k, v in samples.items() if k[0].endswith("_waiting")}

    def test_text(self):
        """All of it is in the text."""
        metrics.collector(self.queue, "q", self.registry)
        self.work()
        samples = {
            (key[0], *sorted(key[1:], key=lambda v: v != "q")): value
            for key, value in self.samples().items()
        }
        self.check(samples)

    def test_openMetrics(self):
        """It is OpenMetrics for those who take that, and its parser, which is strict,
        finds no fault."""
        metrics.collector(self.queue, "q", self.registry)
        self.work()
        accept = "application/openmetrics-text; version=1.0.0"
        contentType, body = self.serve(metrics.resource(self.registry), accept)
        self.assertIn("application/openmetrics-text; version=1.0.0", contentType)
        families = {family.name: family for family in openMetrics(body)}
        self.assertEqual(families["asynqueue_call_seconds"].unit, "seconds")
        self.assertEqual(families["asynqueue_worker_memory_bytes"].unit, "bytes")
        self.assertTrue(all(family.documentation for family in families.values()))

    def test_plain(self):
        """It is text for all others."""
        for accept in (None, "text/html", "*/*"):
            contentType, _ = self.serve(metrics.resource(q=self.queue), accept)
            self.assertIn("text/plain", contentType)

    def test_waiting(self):
        """Calls wait by series and niceness; where none does, that is told too."""
        resource = metrics.resource(q=self.queue)
        self.assertEqual(list(self.waiting(self.samples(resource)).values()), [0])
        self.work()
        _, body = self.serve(resource)
        for labels, n in (
            ('niceness="0",queue="q",series="x"', 1),
            ('niceness="-3",queue="q",series=""', 1),
            ('niceness="last",queue="q",series="(\'a\', 1)"', 1),
        ):
            self.assertIn(f"asynqueue_calls_waiting{{{labels}}} {n}.0\n", body)

    def test_labelOf(self):
        """Who has many series can have few labels."""
        registry = self.registry
        metrics.collector(self.queue, "q", registry, labelOf=lambda series: "all")
        self.queue.call(calls.echo)
        for i in range(30):
            self.queue.call(calls.echo, series=i)
        _, body = self.serve(metrics.resource(registry))
        self.assertIn('{niceness="0",queue="q",series="all"} 30.0\n', body)

    def test_two(self):
        """Two queues in one registry share the metrics, each with its label."""
        other = SteppedQueue(MemoryWorker())
        resource = metrics.resource(self.registry, a=self.queue, b=other)
        _, body = self.serve(resource)
        self.assertEqual(body.count("# TYPE asynqueue_calls_in_hand gauge"), 1)
        samples = self.samples(resource)
        for name in "ab":
            self.assertEqual(samples["asynqueue_calls_in_hand", name], 0)

    def test_duplicates(self):
        """No name is given twice, no queue told of twice, and no other's name taken."""
        found = metrics.collector(self.queue, "a", self.registry)
        error = self.assertRaises(
            ValueError, metrics.collector, SteppedQueue(), "a", self.registry
        )
        self.assertIn("a queue 'a' already", str(error))
        error = self.assertRaises(
            ValueError, metrics.collector, self.queue, "b", self.registry
        )
        self.assertIn("this queue already, as 'a'", str(error))
        found.remove("a")
        self.assertIs(metrics.collector(self.queue, "b", self.registry), found)
        registry = CollectorRegistry()
        Counter("asynqueue_calls_done", "Another's.", registry=registry)
        self.assertRaises(ValueError, metrics.collector, self.queue, "a", registry)

    def test_refused(self):
        """What is no queue, or has no name, is refused."""
        self.assertRaises(TypeError, metrics.collector, object(), "a", self.registry)
        self.assertRaises(TypeError, metrics.collector, self.queue, "", self.registry)
        self.assertRaises(TypeError, metrics.resource, self.queue)


class ThreadTests(TestCase):
    """
    Tests of threads.
    """

    async def test_refused(self):
        """In another thread nothing is collected."""
        registry = CollectorRegistry()
        metrics.collector(SteppedQueue(), "q", registry)
        d = deferToThread(lambda: list(registry.collect()))
        error = await self.assertFailure(d, RuntimeError)
        self.assertIn("asynqueue.metrics.resource()", str(error))
