"""
What a queue tells of itself, as the page reads it.
"""

import json
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.monitorfigures import (
    CALLS,
    DEATHS,
    NAME,
    SERIES,
    TEXT,
    WAITING,
    WORKERS,
    encode,
    figures,
)
from tests.watched import WatchedQueue, call, death, times, waiting, worker


def told(died=(), arguments=False, **how):
    """
    @param died: The deaths that it knows of.
    @return: What is told of a queue.
    """
    return figures(WatchedQueue(**how).now, died, arguments)


class FiguresTests(SynchronousTestCase):
    def test_numbers(self):
        """What the queue has counted is passed on, and all that waits is summed up."""
        found = told(
            time=5.0,
            isRunning=False,
            waiting=waiting(("a", -1.0, 3), (None, 0.0, 4)),
            inHand=1,
            done=2,
            failed=3,
            cancelled=4,
            deaths=5,
            restarts=6,
        )
        names = "time isRunning waiting inHand done failed cancelled deaths restarts"
        self.assertEqual(
            [found[name] for name in names.split()], [5.0, False, 7, 1, 2, 3, 4, 5, 6]
        )
        self.assertEqual(
            found["waitingRows"],
            [
                {"series": None, "urgency": 0.0, "calls": 4},
                {"series": "a", "urgency": -1.0, "calls": 3},
            ],
        )

    def test_order(self):
        """What waits has an order that does not change with how much it is."""
        rows = [("b", 5.0, 1), ("a", float("inf"), 2), ("b", -5.0, 3), (None, 0.0, 4)]
        orders = [
            [(row["series"], row["calls"]) for row in told(waiting=some)["waitingRows"]]
            for some in (waiting(*rows), waiting(*rows[::-1]))
        ]
        self.assertEqual(orders[0], [(None, 4), ("a", 2), ("b", 3), ("b", 1)])
        self.assertEqual(*orders)
        many = waiting(*((n, 0.0, n) for n in range(1, WAITING + 51)))
        found = told(waiting=many)["waitingRows"]
        self.assertEqual(min(row["calls"] for row in found), 51)

    def test_infinities(self):
        """JSON has no infinities: there are words for them."""
        rows = waiting((None, float("-inf"), 1), (None, float("inf"), 1))
        found = told(waiting=rows)
        self.assertEqual(
            [row["urgency"] for row in found["waitingRows"]], ["doNext", "doLast"]
        )
        json.loads(encode(found))
        self.assertRaises(ValueError, encode, {"time": float("nan")})

    def test_series(self):
        """A series that is no text is told as it would be written, however it fares."""

        class Broken:
            def __repr__(self):
                raise RuntimeError

        rows = waiting((7, 0.0, 1), (Broken(), 0.0, 1), (("user", 3), 0.0, 1))
        names = [row["series"] for row in told(waiting=rows)["waitingRows"]]
        self.assertEqual(names[:2], ["('user', 3)", "7"])
        self.assertIn("<Broken", names[2])

    def test_histogram(self):
        """Histograms are passed on, and the means of those of workers."""
        some = times(0, 2, 0, 0, 1, 0)
        found = told(callSeconds=some, workers=(worker(callSeconds=some),))
        self.assertEqual(
            found["callSeconds"],
            {
                "bounds": list(some.bounds),
                "counts": [0, 2, 0, 0, 1, 0],
                "total": some.total,
            },
        )
        (one,) = found["workers"]
        self.assertEqual(one["callMean"], some.total / 3)
        self.assertIsNone(one["overheadMean"])

    def test_arguments(self):
        """Arguments are told only on request."""
        how = {"workers": (worker(calls=(call("work.grind"),)),)}
        found = told([death()], **how)
        self.assertNotIn("secret", encode(found).decode())
        self.assertEqual(found["workers"][0]["calls"][0]["text"], "work.grind")
        found = told([death(), death(call=None)], arguments=True, **how)
        self.assertEqual(
            found["workers"][0]["calls"][0]["text"], "work.grind('secret')"
        )
        self.assertEqual(
            [each["call"] for each in found["lastDeaths"]],
            [None, "work.grind('secret')"],
        )

    def test_names(self):
        """What is called has no arguments by its name, whatever it is."""
        for function, name in [
            ("work.grind", "work.grind"),
            ("work.f.<locals>.<lambda>", "work.f.<locals>.<lambda>"),
            ("functools.partial(<function f at 0x1>, 'secret')", "functools.partial"),
            ("<work.Grinder object at 0x7f>", "work.Grinder"),
            ("Grinder(key='secret')", "Grinder"),
            ("'secret'", "?"),
        ]:
            found = told(workers=(worker(calls=(call(function),)),))
            self.assertEqual(found["workers"][0]["calls"][0]["text"], name)

    def test_latest(self):
        """Of deaths the last are told, the latest first."""
        deaths = [death(pid=number) for number in range(DEATHS + 5)]
        pids = [each["pid"] for each in told(deaths)["lastDeaths"]]
        self.assertEqual(pids, list(range(DEATHS + 4, 4, -1)))

    def test_bounded(self):
        """What is told stays small, whatever the queue is like."""
        long = "x" * 10**5
        busy = worker(
            kind=long,
            calls=tuple(replace(call(), text=long, function=long) for _ in range(1000)),
            series=tuple(f"{number}{long}" for number in range(1000)),
        )
        found = told(
            [death(text=long, call=long)] * 100,
            arguments=True,
            workers=(busy,) * 1000,
            waiting=waiting(*((f"{n}{long}", 0.0, 2) for n in range(1000))),
        )
        self.assertEqual(found["waiting"], 2000)
        self.assertEqual(len(found["waitingRows"]), WAITING)
        self.assertEqual(found["moreWaitingRows"], 1000 - WAITING)
        self.assertEqual(len(found["workers"]), WORKERS)
        self.assertEqual(found["moreWorkers"], 1000 - WORKERS)
        one = found["workers"][0]
        self.assertEqual((len(one["calls"]), one["moreCalls"]), (CALLS, 1000 - CALLS))
        self.assertEqual(
            (len(one["series"]), one["moreSeries"]), (SERIES, 1000 - SERIES)
        )
        self.assertEqual((len(one["kind"]), len(one["calls"][0]["text"])), (NAME, TEXT))
        self.assertLess(len(encode(found)), 2**20)

    def test_oneLine(self):
        """What is written is one line of ASCII, whatever the texts are."""
        line = encode(told(waiting=waiting(("a\nb\r\u2028\xe4\udc80", 0.0, 1))))
        self.assertEqual(len(line.splitlines()), 1)
        self.assertTrue(line.isascii())
        self.assertIn("a\nb\r", json.loads(line)["waitingRows"][0]["series"])
