"""
What worker processes tell, as it is heard here.
"""

import logging
import os
import pickle
from multiprocessing import Pipe

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IReadDescriptor
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from asynqueue import reporting, reports
from asynqueue.framing import header
from asynqueue.reporting import pieces, seal
from asynqueue.reports import Reports, Sifter, levelsHere
from tests.listening import Listener, WatchingReactor
from tests.support import leavesNothing
from tests.test_framing import cut, take


def makeRecord(text, *args, name="told", level=logging.WARNING, **extra):
    """
    @return: A log record.
    """
    record = logging.LogRecord(name, level, __file__, 7, text, args, None)
    vars(record).update(extra)
    return record


class SifterTests(SynchronousTestCase):
    texts = st.binary(max_size=50).map(lambda text: text.replace(b"\0", b"."))

    @given(st.data(), st.lists(texts | st.binary(max_size=300).map(bytearray)))
    @settings(deadline=None)
    def test_cutAnywhere(self, data, parts):
        """Messages and the text between them are told apart, wherever it is cut."""
        messages = [bytes(part) for part in parts if isinstance(part, bytearray)]
        text = b"".join(part for part in parts if isinstance(part, bytes))
        stream = b"".join(
            header(len(part)) + part if isinstance(part, bytearray) else part
            for part in parts
        )
        sifter, got = Sifter(), []
        for piece in cut(data, stream):
            sifter.feed(piece)
            got += take(sifter)
        self.assertEqual(got, messages)
        self.assertEqual(sifter.text, text)

    def test_bound(self):
        """Of a text without end, the beginning is kept."""
        sifter = Sifter()
        for i in range(100):
            sifter.feed(b"%02d" % i + b"x" * 9998)
            self.assertEqual(take(sifter), [])
        self.assertEqual(len(sifter.text), reports.LONGEST_TEXT)
        self.assertTrue(sifter.text.startswith(b"00x"))


class HeardTests(SynchronousTestCase):
    def test_levels(self):
        """The levels are the root's, and those of loggers with one of their own."""
        Listener(self, "told.levels", 17)
        logging.getLogger("told.levels.below").debug("is there now")
        levels = levelsHere()
        self.assertEqual(levels["told.levels"], 17)
        self.assertEqual(levels[""], logging.root.level)
        self.assertNotIn("told.levels.below", levels)


class PipeCase(SynchronousTestCase):
    """
    Reports whose pipe a test writes into.
    """

    def setUp(self):
        leavesNothing(self)
        self.reactor = WatchingReactor()
        near, self.far = Pipe(duplex=False)
        self.addCleanup(self.far.close)
        self.reports = Reports(near, 3, 4711, self.reactor)
        self.addCleanup(self.reports.finish)
        self.listener = Listener(self)

    def write(self, data):
        os.write(self.far.fileno(), data)

    def tell(self, record, number=1):
        self.write(b"".join(pieces(seal(record), number)))

    def messages(self):
        return self.listener.messages()


class ReportsTests(PipeCase):
    def test_provides(self):
        """It is what a reactor can read from."""
        verifyObject(IReadDescriptor, self.reports)
        self.assertEqual(self.reactor.readers, [self.reports])
        self.assertEqual(self.reports.logPrefix(), "Reports")

    def test_record(self):
        """A record reaches the logger of its name, and tells who has made it."""
        self.tell(makeRecord("%d", 5, process=99, processName="P", given=[1]))
        self.reports.doRead()
        (record,) = self.listener.records
        self.assertEqual(record.getMessage(), "5")
        self.assertEqual((record.worker, record.pid), (3, 4711))
        self.assertEqual((record.process, record.processName), (99, "P"))
        self.assertEqual((record.name, record.lineno, record.given), ("told", 7, [1]))

    def test_levels(self):
        """What its logger does not let pass here and now goes no further."""
        logger = logging.getLogger("told")
        logger.setLevel(logging.ERROR)
        self.tell(makeRecord("no"))
        self.reports.doRead()
        logger.setLevel(logging.WARNING)
        self.tell(makeRecord("yes"))
        self.tell(makeRecord("no", level=logging.INFO))
        self.reports.doRead()
        self.assertEqual(self.messages(), ["yes"])

    def test_nothing(self):
        """To read where nothing is does nothing."""
        self.reports.doRead()
        self.reports.catchUp()
        self.assertEqual(self.reactor.readers, [self.reports])

    def test_long(self):
        """A record of many pieces comes once it is whole."""
        *most, last = pieces(seal(makeRecord("x" * 20000)), 1)
        self.write(b"".join(most))
        self.reports.catchUp()
        self.assertEqual(self.messages(), [])
        self.write(last)
        self.reports.catchUp()
        self.assertEqual(self.messages(), ["x" * 20000])

    def test_interleaved(self):
        """Pieces of several records may come in turns."""
        long = [list(pieces(seal(makeRecord(c * 20000)), ord(c))) for c in "abc"]
        for three in zip(*long, strict=True):
            self.write(b"".join(three))
            self.reports.catchUp()
        self.assertEqual(self.messages(), [c * 20000 for c in "abc"])

    def test_unfinished(self):
        """Records whose rest never comes are not kept for ever."""
        for number in range(100):
            first, *_ = pieces(seal(makeRecord("x" * 20000)), number)
            self.write(first)
            self.reports.catchUp()
        self.assertEqual(len(self.reports._unfinished), reports.MOST_UNFINISHED)
        self.tell(makeRecord("whole"))
        self.reports.catchUp()
        self.assertEqual(self.messages(), ["whole"])

    def test_aLittleAtATime(self):
        """One turn of the reactor reads a bounded amount, catching up reads all."""
        for i in range(100):
            self.tell(makeRecord("%d", i), i)
        self.reports.doRead()
        self.assertGreater(len(self.messages()), 0)
        self.assertLess(len(self.messages()), 100)
        self.reports.catchUp()
        self.assertEqual(self.messages(), [str(i) for i in range(100)])

    def test_brokenHandler(self):
        """What a user's logging raises is told, and costs no other record."""

        def emit(record):
            if record.getMessage() == "bad":
                raise LookupError("no such thing")
            self.listener.records.append(record)

        self.listener.emit = emit  # type: ignore[method-assign]
        for i, text in enumerate(("one", "bad", "two")):
            self.tell(makeRecord(text), i)
        self.reports.doRead()
        self.assertEqual(self.messages(), ["one", "two"])
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)
        self.assertEqual(self.reactor.readers, [self.reports])

    def test_nonsense(self):
        """What is no record is told of, and runs nobody's code."""
        for data, error in (
            (b"", Exception),
            (reporting.HEAD.pack(1, 1, True) + b"nonsense", Exception),
            (
                reporting.HEAD.pack(1, 2, True) + pickle.dumps({"name": os.getcwd}),
                pickle.UnpicklingError,
            ),
        ):
            self.write(header(len(data)) + data)
            self.reports.doRead()
            self.assertEqual(len(self.flushLoggedErrors(error)), 1)
        self.tell(makeRecord("good"))
        self.reports.doRead()
        self.assertEqual(self.messages(), ["good"])


class FinishTests(PipeCase):
    def test_text(self):
        """The text is what is left when the records are taken out of it."""
        self.tell(makeRecord("before"))
        self.write(b"Fatal error\n\n")
        self.tell(makeRecord("amid"), 2)
        self.write("  in caf\xe9\n".encode())
        self.assertEqual(self.reports.finish(), "Fatal error\n\n  in café")
        self.assertEqual(self.messages(), ["before", "amid"])
        self.assertEqual(self.reactor.readers, [])

    def test_noText(self):
        """There is none of a process that has left none."""
        self.tell(makeRecord("last"))
        self.assertIsNone(self.reports.finish())
        self.assertEqual(self.messages(), ["last"])

    def test_again(self):
        """To finish twice is to finish once."""
        self.write(b"text")
        self.assertEqual(self.reports.finish(), "text")
        self.assertEqual(self.reports.finish(), "text")
        self.reports.catchUp()
        self.assertEqual(self.reports.fileno(), -1)

    def test_end(self):
        """At the end of the pipe the reactor is not bothered with it any more."""
        self.write(b"text")
        self.far.close()
        self.reports.doRead()
        self.assertEqual(self.reactor.readers, [self.reports])
        self.reports.doRead()
        self.assertEqual(self.reactor.readers, [])
        self.assertEqual(self.reports.finish(), "text")

    def test_lost(self):
        """So it is if the reactor finds the end first, or stops."""
        self.tell(makeRecord("last"))
        self.reports.connectionLost(None)
        self.assertEqual(self.reactor.readers, [])
        self.assertEqual(self.messages(), ["last"])
        self.assertIsNone(self.reports.finish())

    def test_endless(self):
        """Somebody who writes without end is not read for ever."""
        sifter = self.reports._sifter
        feed, fed = sifter.feed, []

        def feedMore(piece):
            fed.append(piece)
            feed(piece)
            self.write(b"more")

        self.patch(sifter, "feed", feedMore)
        self.write(b"more")
        self.reports.finish()
        self.assertEqual(len(fed), reports.MOST_AT_ONCE)
