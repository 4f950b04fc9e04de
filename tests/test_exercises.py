"""
What contenders are put through, with one that has no processes.
"""

from heapq import heapreplace

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import chores, exercises
from asynqueue.contender import Cannot
from asynqueue.exercises import BATCH, SOME, doublings, everybody, schedule, spread
from tests.contending import Calls, Makers


class ExerciseTestCase(SynchronousTestCase):
    """
    @ivar now: What time it is for the exercises: a second later each time that they
        look, unless a test says otherwise.
    """

    def setUp(self):
        self.now = 0.0
        self.patch(exercises, "perf_counter", self.look)

    def look(self):
        self.now += 1.0
        return self.now

    def begin(self, exercise, makers=None, **sizes):
        self.makers = makers or Makers()
        return Deferred.fromCoroutine(exercise(self.makers.setting, **sizes))

    def measure(self, exercise, makers=None, **sizes):
        return self.successResultOf(self.begin(exercise, makers, **sizes))

    @property
    def pool(self):
        (pool,) = self.makers.made
        return pool


class CrewTests(SynchronousTestCase):
    def test_everybody(self):
        """A crew is there when each worker has answered."""
        pool = Calls(3)
        pool.start()
        d = Deferred.fromCoroutine(everybody(pool))
        self.assertEqual(self.successResultOf(d), [0, 1, 2])

    def test_notEverybody(self):
        """If some never do, the contender cannot be measured."""
        pool = Calls(3, answering=2)
        pool.start()
        d = Deferred.fromCoroutine(everybody(pool, tries=5))
        error = self.failureResultOf(d, Cannot).value
        self.assertEqual(str(error), "only 2 of 3 workers take calls")
        self.assertEqual(len(pool.made), 5 * 2 * 3)


class TripsTests(ExerciseTestCase):
    def test_spread(self):
        """Of many times the median and the 99th percentile are told, in µs."""
        times = [n / 1000 for n in range(1000)]
        self.assertEqual(spread(times[::-1]), {"p50": 500_000.0, "p99": 990_000.0})

    def test_oneAtATime(self):
        """A call is made when the one before has ended, and takes its time."""
        d = self.begin(exercises.oneAtATime, Makers(holds=True), calls=10)
        while self.pool.waiting:
            self.assertEqual(len(self.pool.waiting), 1)
            self.pool.answer()
        self.assertEqual(self.successResultOf(d), {"p50": 1e6, "p99": 1e6})
        self.assertEqual(self.pool.count(chores.nothing), 10 + 1)

    def test_outstanding(self):
        """As many as there are to be are outstanding, from the first to the last."""
        d = self.begin(exercises.outstanding, Makers(holds=True), calls=20, at=4)
        for _ in range(16):
            self.assertEqual(len(self.pool.waiting), 4)
            self.pool.answer()
        for left in (4, 3, 2, 1):
            self.assertEqual(len(self.pool.waiting), left)
            self.pool.answer()
        self.assertEqual(self.successResultOf(d), {"rate": 20.0})

    def test_burst(self):
        """All calls are made before the first has ended."""
        d = self.begin(exercises.burst, Makers(holds=True), calls=30)
        self.assertEqual(len(self.pool.waiting), 30)
        while self.pool.waiting:
            self.assertNoResult(d)
            self.pool.answer()
        self.assertEqual(self.successResultOf(d), {"rate": 30.0})


class WorkTests(ExerciseTestCase):
    def test_schedule(self):
        """Naps are spread evenly, and let workers end together, however many."""
        for workers in (1, 2, 3, 7):
            naps = schedule(workers, 10, 0.0, 0.2)
            self.assertAlmostEqual(max(naps) - min(naps), 0.2)
            ends = [0.0] * workers
            for nap in naps:
                heapreplace(ends, ends[0] + nap)
            self.assertAlmostEqual(max(ends), min(ends))
            self.assertEqual(naps, schedule(workers, 10, 0.0, 0.2))
            self.assertNotEqual(naps, sorted(naps))

    def test_sameNaps(self):
        """Equal ones need nothing to make up for."""
        self.assertEqual(schedule(2, 3, 1.0, 1.0), [1.0] * 6)

    def test_efficiency(self):
        """It is what the workers have worked of what they could, and the rest lost."""
        # Two workers have a second between two looks at the clock.
        found = self.measure(exercises.working, each=3, shortest=0.3, longest=0.3)
        self.assertAlmostEqual(found["efficiency"], 90.0)
        self.assertAlmostEqual(found["overhead"], 200 / 6)

    def test_doublings(self):
        """Numbers of workers double, up to the most."""
        self.assertEqual(doublings(1), [1])
        self.assertEqual(doublings(2), [1, 2])
        self.assertEqual(doublings(6), [1, 2, 4, 6])
        self.assertEqual(doublings(8), [1, 2, 4, 8])

    def test_speedUp(self):
        """More workers are compared with one, and each crew makes room for the next."""
        found = self.measure(exercises.speedUp, most=4, each=3, seconds=1e-9)
        # With n workers there are n times as many calls, in the same second.
        self.assertEqual(found, {"2": 2.0, "4": 4.0})
        self.assertEqual([pool.workers for pool in self.makers.made], [1, 2, 4])
        self.assertTrue(all(pool.isStopped for pool in self.makers.made))


class OtherTests(ExerciseTestCase):
    def test_volume(self):
        """Both ways count, and the reactor is watched meanwhile."""
        found = self.measure(exercises.volume, calls=3, size=10**6)
        self.assertEqual(found["rate"], 6.0)
        self.assertEqual(self.pool.count(chores.echo), 4)
        self.assertGreaterEqual(found["stall"], 0.0)
        self.assertEqual(self.makers.clock.getDelayedCalls(), [])

    def test_items(self):
        """All items are read in the time that it takes."""
        self.assertEqual(self.measure(exercises.items, count=40), {"rate": 40.0})

    def test_itemsLost(self):
        """A contender that loses some is not measured."""
        self.patch(chores, "count", lambda count: range(count - 1))
        d = self.begin(exercises.items, count=40)
        error = self.failureResultOf(d, Cannot).value
        self.assertEqual(str(error), "gives 39 items instead of 40")

    def test_startUp(self):
        """The time counts from nothing to the first answer."""
        self.assertEqual(self.measure(exercises.startUp), {"first": 1000.0})
        self.assertEqual(self.pool.made, [(chores.nothing,)])

    def test_waiting(self):
        """The first and last calls are compared, while what is before them naps."""
        calls = 3 * SOME * BATCH

        def look():
            # Calls take longer when many wait.
            self.now += 3.0 if len(self.pool.waiting) > calls // 2 else 1.0
            return self.now

        self.patch(exercises, "perf_counter", look)
        d = self.begin(exercises.waiting, Makers(holds=True), calls=calls, ahead=3)
        self.assertEqual(self.pool.waiting, [])
        self.makers.clock.advance(0.5)
        found = self.successResultOf(d)
        self.assertEqual(self.pool.count(chores.nap), 2 * 3)
        self.assertAlmostEqual(found["first"], 1e6 / BATCH)
        self.assertAlmostEqual(found["last"], 3e6 / BATCH)
        self.assertAlmostEqual(found["growth"], 3.0)
        self.assertLess(abs(found["size"]), 5000)


class FloorTests(SynchronousTestCase):
    def test_sameMeasures(self):
        """The bare pipe is measured as the contenders are."""
        self.assertEqual(set(exercises.floorTrips("spawn", 10)), {"p50", "p99"})
        (rate,) = exercises.floorVolume("spawn", 2, 10_000).values()
        (first,) = exercises.floorStart("spawn").values()
        self.assertGreater(min(rate, first), 0)
