"""
Tests of L{asynqueue.logs}.
"""

import logging
import sys
import warnings
from io import StringIO
from types import SimpleNamespace
from typing import Any

from twisted.logger import (
    LogBeginner,
    Logger,
    LogLevel,
    LogPublisher,
    STDLibLogObserver,
)
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.logs import logger, makeLog


class Recorder(logging.Handler):
    """
    Keeps the records that it gets.
    """

    def __init__(self):
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record):
        self.records.append(record)

    def told(self):
        return [(record.levelname, record.getMessage()) for record in self.records]


class LogsCase(SynchronousTestCase):
    """
    A log of Twisted's that has not begun, whatever the one of this process has, and
    a logger C{asynqueue} as it is where nobody has configured anything.
    """

    def setUp(self):
        self.stderr = StringIO()
        self.patch(sys, "stderr", self.stderr)
        for each in (logging.root, logger):
            self.patch(each, "handlers", [])
            self.addCleanup(each.setLevel, each.level)
            self.addCleanup(setattr, each, "disabled", each.disabled)
        logging.root.setLevel(logging.WARNING)
        logger.setLevel(logging.NOTSET)
        self.publisher = LogPublisher()
        self.log = makeLog(self.publisher)
        self.beginner = LogBeginner(
            self.publisher,
            self.stderr,
            SimpleNamespace(stdout=None, stderr=None),
            SimpleNamespace(showwarning=warnings.showwarning),
        )

    def begin(self, *observers):
        """
        Twisted's log begins.
        """
        self.beginner.beginLoggingTo(observers, redirectStandardIO=False)

    def record(self, name="asynqueue"):
        """
        @return: A handler of a logger of the standard library.
        """
        recorder = Recorder()
        logging.getLogger(name).addHandler(recorder)
        self.addCleanup(logging.getLogger(name).removeHandler, recorder)
        return recorder

    def lines(self):
        """
        @return: What was written to stderr.
        """
        return self.stderr.getvalue().splitlines()


class BridgeTests(LogsCase):
    """
    Tests of what crosses to the standard library.
    """

    def test_both(self):
        """
        An event goes to Twisted's observers with its fields, and to the handlers of
        the standard library as a text.
        """
        events: list[Any] = []
        self.begin(events.append)
        recorder = self.record()
        self.log.error("{call} broke", call="f(1)")
        self.assertEqual([event["call"] for event in events], ["f(1)"])
        self.assertEqual(events[0]["log_namespace"], "asynqueue")
        self.assertEqual(recorder.told(), [("ERROR", "f(1) broke")])
        self.assertEqual(recorder.records[0].name, "asynqueue")

    def test_levels(self):
        """
        Each level of Twisted's has its like.
        """
        recorder = self.record()
        for level in LogLevel.iterconstants():
            self.log.emit(level, "x")
        names = [name for name, _ in recorder.told()]
        self.assertEqual(names, ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])

    def test_root(self):
        """
        The handlers of the root logger get it too, even if it is below the level
        of that: who wants only errors from everybody does not mean a queue that was
        asked to tell all.
        """
        recorder = self.record("")
        self.log.info("all")
        self.assertEqual(recorder.told(), [("INFO", "all")])

    def test_ownLevel(self):
        """
        But a level that was set on our logger holds, like that of a handler.
        """
        recorder = self.record()
        logger.setLevel(logging.ERROR)
        self.log.info("1")
        self.log.error("2")
        logger.setLevel(logging.INFO)
        self.log.info("3")
        recorder.setLevel(logging.ERROR)
        self.log.info("4")
        self.assertEqual([text for _, text in recorder.told()], ["2", "3"])

    def test_disabled(self):
        """
        So does all that disables logging.
        """
        recorder = self.record()
        self.addCleanup(logging.disable, logging.NOTSET)
        logging.disable(logging.INFO)
        self.log.info("1")
        self.log.error("2")
        logging.disable(logging.NOTSET)
        logger.disabled = True
        self.log.error("3")
        self.assertEqual([text for _, text in recorder.told()], ["2"])

    def test_filters(self):
        """
        And the filters that were put on our logger.
        """
        recorder = self.record()

        def only2(record):
            return record.getMessage() == "2"

        logger.addFilter(only2)
        self.addCleanup(logger.removeFilter, only2)
        self.log.error("1")
        self.log.error("2")
        self.assertEqual([text for _, text in recorder.told()], ["2"])

    def test_assertLogs(self):
        """
        What captures records in tests works: it replaces handlers and levels.
        """
        with self.assertLogs("asynqueue", "INFO") as captured:
            self.log.info("captured")
        self.assertEqual(captured.output, ["INFO:asynqueue:captured"])

    def test_untouched(self):
        """
        Neither level nor handlers of any logger are changed.
        """

        def look():
            return [
                (each.level, list(each.handlers), list(each.filters), each.propagate)
                for each in (logging.root, logger)
            ]

        before = look()
        for tell in (self.log.info, self.log.error):
            tell("x")
        self.assertEqual(look(), before)

    def test_brokenHandler(self):
        """
        A handler that raises is Twisted's to tell of, and keeps nobody from being
        told: neither its observers nor whoever logs.
        """
        events: list[Any] = []
        self.begin(events.append)

        class Broken(logging.Handler):
            def emit(self, record):
                raise ZeroDivisionError

        handler = Broken()
        logger.addHandler(handler)
        self.log.error("x")
        self.assertEqual(events[0]["log_format"], "x")
        self.assertIs(events[1]["log_failure"].type, ZeroDivisionError)

    def test_unformattable(self):
        """
        A field that cannot be shown leaves a record all the same.
        """

        class Shy:
            def __repr__(self):
                raise RuntimeError

        recorder = self.record()
        self.log.error("{shy!r}", shy=Shy())
        self.assertEqual(len(recorder.records), 1)


class LoopTests(LogsCase):
    """
    Tests of users who bridge the two themselves.
    """

    def setUp(self):
        super().setUp()
        self.events: list[Any] = []
        self.begin(self.events.append)

    def fromLogging(self):
        """
        Has the records of all loggers go to Twisted's log.
        """
        log = Logger("logging", observer=self.publisher)

        class ToTwisted(logging.Handler):
            def emit(self, record):
                log.error("{text}", text=record.getMessage())

        logging.root.addHandler(ToTwisted())

    def test_fromLogging(self):
        """
        If records go on to Twisted's log, they go no further.
        """
        self.fromLogging()
        self.log.error("x")
        self.assertEqual(
            [event["log_namespace"] for event in self.events], ["asynqueue", "logging"]
        )

    def test_toLogging(self):
        """
        If Twisted's events go on to a logger, to C{asynqueue} even, they go no
        further.
        """
        self.publisher.addObserver(STDLibLogObserver("asynqueue"))
        self.addCleanup(logger.__dict__.pop, "findCaller")
        recorder = self.record()
        self.log.error("x")
        self.assertEqual(recorder.told(), [("ERROR", "x")] * 2)
        self.assertEqual(len(self.events), 1)
