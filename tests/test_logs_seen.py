"""
Tests of where what queues tell is seen, by those who configured nothing or little.
"""

import logging
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    jsonFileLogObserver,
    textFileLogObserver,
)
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.base import TaskQueue
from asynqueue.task import Task
from tests import calls
from tests.fakes import Reactor
from tests.test_logs import LogsCase


class StderrTests(LogsCase):
    """
    Tests of programs that have configured nothing, or only one of the two.
    """

    def test_nothing(self):
        """
        An error is seen on stderr, once; so is what else a queue was asked to tell,
        which the ancestor's logger, having no handler, was silent about.
        """
        self.log.error("an error")
        self.log.info("a result")
        self.assertEqual(self.lines(), ["an error", "a result"])

    def test_twistedWrites(self):
        """
        Nor is it seen twice if a log of Twisted's is written there, however it was
        begun.
        """
        observer = textFileLogObserver(self.stderr)
        self.begin(observer)
        self.log.error("an error")
        self.publisher.removeObserver(observer)
        self.setUp()
        self.publisher.addObserver(textFileLogObserver(self.stderr))
        self.log.error("an error")
        (line,) = self.lines()
        self.assertTrue(line.endswith("[asynqueue#error] an error"))

    def test_twistedWritesElsewhere(self):
        """
        It is not seen at all if that is written to a file.
        """
        file = StringIO()
        self.begin(textFileLogObserver(file))
        self.log.error("an error")
        self.assertIn("an error", file.getvalue())
        self.assertEqual(self.lines(), [])

    def test_twistedFilters(self):
        """
        Or is filtered out.
        """
        observer = textFileLogObserver(self.stderr)
        predicate = LogLevelFilterPredicate(LogLevel.error)
        self.begin(FilteringLogObserver(observer, [predicate]))
        self.log.info("a result")
        self.assertEqual(self.lines(), [])

    def test_handler(self):
        """
        If there is a handler, what is written is up to that.
        """
        logging.root.addHandler(logging.StreamHandler(self.stderr))
        self.log.error("1")
        logging.root.handlers[:] = [logging.NullHandler()]
        self.log.error("2")
        self.assertEqual(self.lines(), ["1"])

    def test_begunLater(self):
        """
        When Twisted's log begins, it gets what was told before, and nothing more is
        written beside it.
        """
        recorder = self.record()
        self.log.error("1")
        file = StringIO()
        self.begin(textFileLogObserver(file))
        self.log.error("2")
        self.assertEqual(file.getvalue().count("[asynqueue#error]"), 2)
        self.assertEqual([text for _, text in recorder.told()], ["1", "2"])

    def test_noLastResort(self):
        """
        Who has taken the standard library's last resort away is obeyed.
        """
        self.patch(logging, "lastResort", None)
        self.log.error("an error")
        self.assertEqual(self.lines(), [])

    def test_json(self):
        """
        What finds out about the observers is empty to those that write all that an
        event has.
        """
        file = StringIO()
        self.begin(jsonFileLogObserver(file))
        self.log.error("an error")
        self.assertIn('"log_trace": []', file.getvalue())


class QueueTests(LogsCase):
    """
    Tests of what a queue has to do with it.
    """

    def setUp(self):
        super().setUp()
        # Nobody reads what Twisted's log gets meanwhile, but trial does watch it.
        self.queue = TaskQueue(reactor=Reactor())
        self.addCleanup(self.queue.shutdown)

    def test_attributes(self):
        """
        It has the attributes that the ancestor's had, those that it had only at
        times among them.
        """
        self.assertEqual(
            (self.queue.warn, self.queue.verbose, self.queue.spew), (False,) * 3
        )
        self.assertIs(self.queue.logger, logging.getLogger("asynqueue"))
        self.assertEqual(self.queue.info.setCall("f", 1).aboutCall(), "f(1)")

    def test_warn(self):
        """
        They may be changed.
        """
        recorder = self.record()
        task = Task(calls.add, (1,), {}, 1, None)
        for warn in (True, False):
            self.queue.warn = warn
            self.queue.outcomes.settle((b"e", "broken"), task)
        ((level, text),) = recorder.told()
        self.assertEqual(level, "ERROR")
        self.assertIn("'broken' (WorkerError) doing call 'tests.calls.add(1)'", text)


PROGRAM = """
import sys
from twisted.internet.task import react
from tests import calls
from asynqueue.process import ProcessQueue

async def main(reactor):
    queue = ProcessQueue(1, warn=True, spew="spew" in sys.argv)
    await queue.call(calls.echo, 7)
    try:
        await queue.call(calls.boom, "bang")
    except ValueError:
        pass
    await queue.shutdown()

if __name__ == "__main__":
    react(main)
"""


class ProgramTests(SynchronousTestCase):
    """
    Tests of whole programs.
    """

    def run_(self, *args):
        root = str(Path(__file__).parents[1])
        path = self.mktemp()
        Path(path).write_text(PROGRAM)
        done = subprocess.run(
            [sys.executable, path, *args],
            capture_output=True,
            env={**os.environ, "PYTHONPATH": root},
            timeout=30,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stderr

    def test_warn(self):
        """
        A program that configured nothing and asks for I{warn} has its error on
        stderr, in one line.
        """
        (line,) = self.run_().splitlines()
        self.assertIn("Exception 'bang' (ValueError)", line)
        self.assertIn("tests.calls.boom('bang')", line)

    def test_spew(self):
        """
        With I{spew} it has its results there too, and the error's traceback from
        the worker process.
        """
        text = self.run_("spew")
        self.assertIn("tests.calls.echo(7) -> 7\n", text)
        self.assertEqual(text.count("Exception 'bang'"), 1)
        self.assertIn("raise ValueError(text)", text)
