"""
How often a poller looks for an answer, and how late that makes it: not at all.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from asynqueue.pace import LONGEST
from tests.support import PollerCase

FOREVER = 100_000.0


class BackoffTests(PollerCase):
    """
    What the documentation of the ancestor's C{ProcessWorker} says about backoff,
    looked up in the poller itself, the checks of whose thread are counted.

    It is told there, for a backoff of 1.10 and an interval of 1 ms:

      - "After 100 ms, there will have been 7 checks, with the check interval
        finally doubling to 2.1 ms", and "reaching 200 ms takes just another 4
        checks, and the interval is then 3.1 ms". That is true of 10 ms and of
        20 ms: a decimal point has slipped. By 10 ms there have been 7 checks, and
        the interval after the next is 2.14 ms; by 20 ms there have been 11, and
        the interval after the next is 3.14 ms. By 100 ms there have in fact been
        25, and the interval is 10.8 ms; by 200 ms 31, and 19.2 ms.
      - "By the time the second is up, there will have been 48 checks and the check
        interval will be 0.1 second": 48, and 97 ms.
      - "the current check interval is always about one tenth the amount of time
        that has passed since the first check": it is one tenth of that, and 1 ms.
      - "For a backoff of 1.05, the interval is half that. (It takes 81 checks to
        reach 1 second instead of 48.)": one twentieth, and 1 ms. The 81st check is
        the first after 1 second, as is the 49th for 1.10; before it there have
        been 80 and 48.
    """

    def checks(self, backoff, interval=0.001, until=FOREVER, atMost=100):
        """
        Has an answer come at a time.

        @return: The checks of the thread, a list of 2-tuples: when it began to wait
            for that check, and for how long it meant to. And the time when the
            answer was there.
        """
        self.connect(interval, backoff)
        d = self.askInThread()
        self.near.come(b"answer", until)

        def enough():
            if len(self.near.looks) > atMost + 1:
                self.near.come(EOFError())
                self.near._due.rotate(1)

        self.near.onLook = enough
        self.looper.step()
        if self.near.now == until:
            self.assertEqual(self.successResultOf(d), b"answer")
        else:
            self.failureResultOf(d, EOFError)
        # The first is the reactor's.
        return self.near.looks[1:], self.near.now

    def by(self, seconds, backoff):
        """
        @return: How many checks have found nothing by a time, and the interval at
            that time, in milliseconds.
        """
        looks, _ = self.checks(backoff, until=seconds)
        return len(looks) - 1, looks[-1][1] * 1000

    def intervalAfter(self, n, backoff):
        """
        @return: The interval after a number of checks, in milliseconds.
        """
        return self.checks(backoff)[0][n][1] * 1000

    def test_pace(self):
        """The first interval is as set, each next one is longer by the backoff."""
        looks, _ = self.checks(1.10)
        self.assertEqual(looks[0], (0.0, 0.001))
        self.assertAlmostEqual(looks[1][1], 0.0011)
        self.assertAlmostEqual(looks[2][0], 0.0021)
        self.assertAlmostEqual(looks[2][1], 0.00121)

    def test_tenMilliseconds(self):
        """By 10 ms there are 7 checks, and the next doubles the interval."""
        self.assertEqual(self.by(0.010, 1.10)[0], 7)
        self.assertAlmostEqual(self.intervalAfter(7, 1.10), 1.95, 2)
        self.assertAlmostEqual(self.intervalAfter(8, 1.10), 2.14, 2)

    def test_twentyMilliseconds(self):
        """By 20 ms there are another 4, and the next makes the interval 3.1 ms."""
        self.assertEqual(self.by(0.020, 1.10)[0], 7 + 4)
        self.assertAlmostEqual(self.intervalAfter(11, 1.10), 2.85, 2)
        self.assertAlmostEqual(self.intervalAfter(12, 1.10), 3.14, 2)

    def test_hundredMilliseconds(self):
        """By 100 ms there are 25 checks and by 200 ms 31; not 7 and 11."""
        checks, interval = self.by(0.100, 1.10)
        self.assertEqual(checks, 25)
        self.assertAlmostEqual(interval, 10.83, 2)
        checks, interval = self.by(0.200, 1.10)
        self.assertEqual(checks, 31)
        self.assertAlmostEqual(interval, 19.19, 2)

    def test_second(self):
        """By 1 s there are 48 checks, and the interval is 0.1 s."""
        checks, interval = self.by(1.0, 1.10)
        self.assertEqual(checks, 48)
        self.assertAlmostEqual(interval, 97.02, 2)

    def test_smallerBackoff(self):
        """At 1.05 it takes 81 checks to reach 1 s, and the interval is half."""
        looks, _ = self.checks(1.05)
        self.assertLess(looks[80][0], 1.0)
        self.assertGreater(looks[81][0], 1.0)
        checks, interval = self.by(1.0, 1.05)
        self.assertEqual(checks, 80)
        self.assertAlmostEqual(interval, 49.56, 2)

    def test_fractionOfTimePassed(self):
        """The interval is a tenth of the time passed, at 1.05 a twentieth; and 1 ms."""
        for backoff, fraction in ((1.10, 1 / 10), (1.05, 1 / 20)):
            for passed, interval in self.checks(backoff, atMost=60)[0]:
                self.assertAlmostEqual(interval, passed * fraction + 0.001)

    def test_longest(self):
        """The interval stops growing at L{LONGEST}: after 73 checks, and 10 s."""
        looks, _ = self.checks(1.10, atMost=80)
        self.assertEqual(next(n for n, look in enumerate(looks) if look[1] == 1.0), 73)
        self.assertAlmostEqual(looks[73][0], 10.5, 1)
        self.assertEqual({interval for _, interval in looks[73:]}, {LONGEST})

    @settings(deadline=None, max_examples=50)
    @given(st.floats(0.0001, 0.1), st.floats(1.0, 1.3), st.floats(0.001, 5.0))
    def test_anyPace(self, interval, backoff, until):
        """At any pace an answer is there the moment that it comes."""
        looks, now = self.checks(backoff, interval, until, atMost=10**6)
        self.assertEqual(now, until)
        for passed, wait in looks:
            expected = min(interval + (backoff - 1) * passed, LONGEST)
            self.assertAlmostEqual(wait, expected)

    def test_newPace(self):
        """A pace that is set later holds from the next question on."""
        self.poller.interval, self.poller.backoff = 0.5, 1.0
        self.askInThread()
        self.near.come(b"answer", 1.75)
        self.looper.step()
        self.assertEqual(self.near.looks[1:], [(t, 0.5) for t in (0, 0.5, 1.0, 1.5)])

    def test_eachQuestionAnew(self):
        """Each question begins with the shortest interval again."""
        for _ in range(2):
            self.near.looks.clear()
            d = self.askInThread()
            self.near.come(b"answer", self.near.now + 1)
            self.looper.step()
            self.successResultOf(d)
            self.assertEqual(self.near.looks[1][1], 0.001)
