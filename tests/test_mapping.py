"""
The job of C{asynqueue map}, step by step.
"""

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import mapping
from asynqueue.deferator import Deferator
from asynqueue.errors import RemoteTraceback, StartFailed
from asynqueue.lines import ERR, OUT, Output
from asynqueue.mapping import HELD, PER_WORKER, JobState, MapJob, Stopwatch
from asynqueue.messages import Status
from asynqueue.printing import JsonForm, PlainForm


class Queue:
    """
    A queue whose calls end when the test says so.

    @ivar calls: The Deferreds of those that have not, by item.
    """

    def __init__(self, workers=2):
        self.calls = {}
        self.made = []
        self.workersLeft = workers
        self.isDown = False

    def __len__(self):
        return self.workersLeft

    def call(self, f, item, **how):
        self.made.append((f, item, how))
        d = self.calls[item] = Deferred()
        return d

    def workers(self):
        return []

    def shutdown(self):
        self.isDown = True
        return succeed(None)

    def end(self, item, result=None):
        self.calls.pop(item).callback(result)

    def fail(self, item, error):
        self.calls.pop(item).errback(error)


class Report:
    def __init__(self, told):
        self.collected = 0
        self.told = told

    def collect(self):
        self.collected += 1

    def text(self):
        return f"report after {len(self.told)}\n"


class JobTestCase(SynchronousTestCase):
    def setUp(self):
        self.queue = Queue()
        self.told = []
        self.asked = 0

    def write(self, fd, data):
        self.told.append((fd, data.decode()))

    async def texts(self, *texts):
        for text in texts:
            self.asked += 1
            yield text

    def job(self, *texts, form=None, defer=maybeDeferred, **kw):
        output = Output(defer, self.write)
        job = MapJob(len, self.queue, form or PlainForm(), output, **kw)
        self.done = job.start(self.texts(*texts))
        return job

    def out(self, fd=OUT):
        return "".join(text for where, text in self.told if where == fd)


class ResultsTests(JobTestCase):
    def test_inOrder(self):
        """Results are printed as soon as those before them have been."""
        job = self.job("a", "b", "c", timeout=3)
        self.assertEqual(self.queue.made[0], (len, "a", {"timeout": 3}))
        self.queue.end("b", 2)
        self.assertEqual(self.out(), "")
        self.queue.end("a", 1)
        self.assertEqual(self.out(), "1\n2\n")
        self.assertNoResult(self.done)
        self.queue.end("c", 3)
        self.assertEqual(self.out(), "1\n2\n3\n")
        self.successResultOf(self.done)
        self.assertEqual((job.status, job.lastWords), (0, ""))
        self.assertTrue(self.queue.isDown)

    def test_unordered(self):
        """They are printed as they come, if that is wanted."""
        self.job("a", "b", unordered=True)
        self.queue.end("b", 2)
        self.queue.end("a", 1)
        self.assertEqual(self.out(), "2\n1\n")

    def test_nothing(self):
        """No items, no lines."""
        job = self.job()
        self.successResultOf(self.done)
        self.assertEqual((job.status, self.told), (0, []))
        self.assertTrue(self.queue.isDown)

    def test_iterator(self):
        """The items of an iterator come in a list, an error among them as such."""

        def broken():
            yield 1
            raise ValueError("midway")

        job = self.job("a", "b")
        self.queue.end("a", Deferator(iter([1, 2])))
        self.queue.end("b", Deferator(broken()))
        self.assertEqual(self.out(), "[1, 2]\n")
        self.assertEqual(self.out(ERR), "asynqueue: item 'b': ValueError: midway\n")
        self.assertEqual(job.status, 1)

    def test_report(self):
        """The report comes when all results have been printed."""
        report = Report(self.told)
        self.job("a", "b", report=report)
        self.queue.end("a", 1)
        self.queue.end("b", 2)
        self.assertEqual(self.out(ERR), "report after 2\n")
        self.assertEqual(report.collected, 1)
        self.successResultOf(self.done)


class FailuresTests(JobTestCase):
    def test_othersGoOn(self):
        """An item that fails is told at once, and the others go on."""
        job = self.job("a", "b", "c")
        error = ValueError("bad")
        error.__cause__ = RemoteTraceback("Traceback, afar")
        self.queue.fail("b", error)
        self.assertEqual(
            self.out(ERR),
            "asynqueue: item 'b': ValueError: bad\n    Traceback, afar\n",
        )
        self.queue.end("c", 3)
        self.queue.end("a", 1)
        self.assertEqual(self.out(), "1\n3\n")
        self.successResultOf(self.done)
        self.assertEqual(job.status, 1)

    def test_json(self):
        """As JSON each item has its line, one that could not be read too."""
        self.job("1", "x", "2", form=JsonForm())
        self.assertEqual(list(self.queue.calls), [1, 2])
        self.queue.fail(2, ValueError("bad"))
        self.queue.end(1, 1.0)
        one, x, two = self.out().splitlines()
        self.assertEqual(one, '{"item": 1, "result": 1.0, "seconds": 0.0}')
        self.assertIn('{"item": "x", "error": "JSONDecodeError: ', x)
        self.assertEqual(two, '{"item": 2, "error": "ValueError: bad", "seconds": 0.0}')
        self.assertEqual(len(self.out(ERR).splitlines()), 2)

    def test_resultWithoutText(self):
        """A result that cannot be printed is its item's failure."""

        class Mute:
            def __str__(self):
                raise ValueError("mute")

        self.job("a")
        self.queue.end("a", Mute())
        self.assertEqual(self.out(ERR), "asynqueue: item 'a': ValueError: mute\n")
        self.successResultOf(self.done)

    def test_unreadable(self):
        """If the input cannot be read on, what has been read is still done."""

        async def texts():
            yield "a"
            raise OSError("broken")

        job = MapJob(len, self.queue, PlainForm(), Output(maybeDeferred, self.write))
        done = job.start(texts())
        self.assertIn("standard input cannot be read: OSError: broken", self.out(ERR))
        self.assertNoResult(done)
        self.queue.end("a", 1)
        self.successResultOf(done)
        self.assertEqual((self.out(), job.status), ("1\n", 1))

    def test_noWorkerLeft(self):
        """If there are no workers any more, that is said once, and all ends."""
        job = self.job(*map(str, range(100)))
        begun = len(self.queue.calls)
        self.queue.end("1", "one")
        self.queue.workersLeft = 0
        for item in list(self.queue.calls):
            self.queue.fail(item, StartFailed("cannot start"))
        self.successResultOf(self.done)
        self.assertEqual(self.out(), "one\n")
        self.assertEqual(
            self.out(ERR), "asynqueue: no worker is left: StartFailed: cannot start\n"
        )
        self.assertEqual(len(self.queue.made), begun + 1)
        self.assertEqual(job.status, 1)

    def test_noWorkerForTheNext(self):
        """So it is if that shows when a call is made."""

        def call(f, item, **how):
            self.queue.workersLeft = 0
            raise StartFailed("cannot start")

        self.patch(self.queue, "call", call)
        job = self.job("a", "b", "c")
        self.successResultOf(self.done)
        self.assertEqual(self.out(ERR).count("no worker is left"), 1)
        self.assertEqual((self.asked, job.status), (2, 1))

    def test_outputClosed(self):
        """When nobody reads the output, everything ends, and nothing is said."""

        def write(fd, data):
            raise BrokenPipeError

        self.patch(self, "write", write)
        job = self.job("a", "b")
        self.queue.end("a")
        self.successResultOf(self.done)
        self.assertEqual((job.status, job.lastWords), (141, ""))
        self.queue.fail("b", ValueError())

    def test_outputFull(self):
        """When the output can take no more, everything ends, and that is said."""

        def write(fd, data):
            raise OSError("full")

        self.patch(self, "write", write)
        job = self.job("a", "b")
        self.queue.end("a")
        self.successResultOf(self.done)
        self.assertEqual(job.status, 1)
        self.assertIn("standard output cannot be written to", job.lastWords)

    def test_abort(self):
        """An aborted job is over at once, once, and takes no notice any more."""
        job = self.job(*map(str, range(100)))
        job.abort(130)
        self.successResultOf(self.done)
        job.abort(143)
        self.assertEqual((job.status, job.state), (130, JobState.OVER))
        begun = len(self.queue.made)
        self.queue.end("0", 1)
        self.queue.fail("1", ValueError())
        self.assertEqual((self.told, len(self.queue.made)), ([], begun))
        self.assertFalse(self.queue.isDown)


class ReadingAheadTests(JobTestCase):
    most = 2 * PER_WORKER

    def test_callsOnTheirWay(self):
        """No more items are read than calls may be on their way, and one."""
        self.job(*map(str, range(100)))
        self.assertEqual(len(self.queue.calls), self.most)
        self.assertEqual(self.asked, self.most + 1)
        self.queue.end("0")
        self.assertEqual(len(self.queue.calls), self.most)
        self.assertEqual(self.asked, self.most + 2)

    def test_slowFirst(self):
        """A first item that takes long does not have all others read and held."""
        items = [str(n) for n in range(3 * HELD)]
        self.job(*items)
        while len(self.queue.calls) > 1:
            self.queue.end(item := list(self.queue.calls)[1], item)
        self.assertEqual(self.out(), "")
        self.assertGreater(self.asked, HELD)
        self.assertLess(self.asked, HELD + 2 * self.most)
        while self.queue.calls:
            self.queue.end(item := next(iter(self.queue.calls)), item)
        self.assertEqual(self.out().split(), items)
        self.successResultOf(self.done)

    def test_longResults(self):
        """Nor, if results are long, as many as may be held of short ones."""
        self.patch(mapping, "HELD_SIZE", 1000)
        self.job(*map(str, range(HELD)))
        while len(self.queue.calls) > 1:
            self.queue.end(list(self.queue.calls)[1], "x" * 100)
        self.assertLess(self.asked, 10 + 2 * self.most)

    def test_slowReader(self):
        """A reader of the output that takes long does not have all items read."""
        self.job(*map(str, range(3 * HELD)), defer=lambda *_: Deferred())
        while self.queue.calls:
            self.queue.end(next(iter(self.queue.calls)), "x")
        self.assertGreater(self.asked, HELD)
        self.assertLess(self.asked, HELD + 2 * self.most)


class TimesTests(SynchronousTestCase):
    def setUp(self):
        self.now = 0.0
        self.patch(mapping, "perf_counter", lambda: self.now)
        self.watch = Stopwatch()
        self.task = self.watch(len, ("x",), {}, 0, None)

    def test_begun(self):
        """A call's time counts from when a worker has it, not from its making."""
        self.now = 5.0
        self.task.startTimer()
        self.now = 7.0
        told = []
        self.task.d.addCallback(lambda _: told.append(self.watch.begun))
        self.task.callback((Status.RESULT, 1))
        self.assertEqual(told, [5.0])

    def test_never(self):
        """A call that no worker has had has no time."""
        self.watch.begun = 3.0
        self.task.callback((Status.ERROR, "never"))
        self.assertIsNone(self.watch.begun)

    def test_again(self):
        """Of a call that is tried again the last try counts."""
        self.task.startTimer()
        again = self.task.copy()
        self.task.callback((Status.TIMEOUT, "late"))
        self.now = 9.0
        again.startTimer()
        again.callback((Status.RESULT, 1))
        self.task.callback((Status.RESULT, "too late"))
        self.assertEqual(self.watch.begun, 9.0)
