"""
What a link to a cluster does with calls that are short, and go together.
"""

from asynqueue import clusterbundles
from asynqueue.messages import Status
from tests.linked import LinkCase, StepErrand, answer, settle


class BundleTests(LinkCase):
    def setUp(self):
        super().setUp()
        self.patch(clusterbundles, "DEPTH", 1)

    async def bundle(self, *errands):
        """
        Has errands sent in one bundle.

        @return: What it was sent as.
        """
        self.link._bundler.learn("f", 0.0)
        await self.submit(*errands)
        sent = self.sent(errands[0])
        self.assertEqual(sent.numbers, [errand.number for errand in errands])
        return sent

    def three(self):
        return [StepErrand(number, runs=2) for number in (1, 2, 3)]

    def test_answers(self):
        """Each has its own answer, a short one as it comes, a long one at the end."""

        async def test():
            one, two, three = self.three()
            sent = await self.bundle(one, two, three)
            await self.answer(two, "A")
            self.assertEqual(two.told, [("answered", "A")])
            await self.answer(one, "A", Status.ERROR)
            self.assertEqual((one.told, three.told), ([("answered", "A")], []))
            sent.future.set_result([(3, answer(3, "A"))])
            await settle()
            self.assertEqual(three.told, [("answered", "A")])

        self.run_(test)

    def test_alone(self):
        """What has to be asked for goes alone, and what is not known to be short."""

        async def test():
            self.link._bundler.learn("f", 1.0)
            await self.submit(*self.three())
            self.link._bundler.learn("g", 0.0)
            asking = [StepErrand(number) for number in (4, 5, 6)]
            for errand in asking:
                errand.name = "g"
            await self.submit(*asking)
            numbers = [sent.numbers for sent in self.client.sent.values()]
            self.assertEqual(numbers, [[1], [2], [3], [4], [5], [6]])

        self.run_(test)

    def test_givenBack(self):
        """What its node gives back has not begun: it goes alone, with all its runs."""

        async def test():
            errands = self.three()
            sent = await self.bundle(*errands)
            one, two, three = errands
            await self.tell("answers", sent.serial, [(2, None), (3, None)])
            self.assertEqual(self.sent(one), sent)
            for errand in (two, three):
                again = self.sent(errand)
                self.assertEqual(again.numbers, [errand.number])
                self.assertFalse(again.asks)
            sent.future.set_result([(1, answer(1, "A"))])
            await settle()
            self.assertEqual(one.told, [("answered", "A")])
            for errand in (two, three):
                await self.die("A", errand)
                self.assertEqual(errand.ends, [])

        self.run_(test)

    def test_place(self):
        """What is sent anew is as urgent as before, ahead of those that came later."""

        async def test():
            errands = self.three()
            sent = await self.bundle(*errands)
            later = StepErrand(4, runs=2)
            await self.submit(later)
            await self.tell("answers", sent.serial, [(3, None), (2, None)])
            urgency = {
                tuple(each.numbers): key[1] for key, each in self.client.sent.items()
            }
            line = sorted(urgency, key=urgency.__getitem__, reverse=True)
            self.assertEqual(line, [(1, 2, 3), (2,), (3,), (4,)])

        self.run_(test)

    def test_nodeGone(self):
        """When its node is gone, each that is not over goes on by itself, and asks."""

        async def test():
            errands = self.three()
            one, two, three = errands
            sent = await self.bundle(*errands)
            await self.answer(one, "A")
            await self.die("A", one)
            self.assertTrue(sent.future.done())
            for errand in (two, three):
                again = self.sent(errand)
                self.assertEqual((again.numbers, again.asks), ([errand.number], True))
                self.assertEqual(await self.claim(errand, "B"), [errand.number])
            await self.die("B", two)
            self.assertEqual(two.ends, [("died", "A", "B")])
            await self.answer(three, "B")
            self.assertEqual(three.ends, [("answered", "B")])

        self.run_(test)

    def test_stale(self):
        """What a bundle that was taken apart still tells is not listened to."""

        async def test():
            errands = self.three()
            sent = await self.bundle(*errands)
            await self.die("A", errands[0])
            for told in (None, answer(1, "A", Status.DISCONNECTED), answer(1, "A")):
                await self.tell("answers", sent.serial, [(1, told)])
            self.assertEqual(len(self.client.sent), 4)
            self.assertEqual(errands[0].told, [])

        self.run_(test)

    def test_stolen(self):
        """Another node that is to make it is granted what is wanted and not over."""

        async def test():
            errands = self.three()
            sent = await self.bundle(*errands)
            self.give(errands[0], "A")
            await self.answer(errands[0], "A")
            await self.cancel(errands[1])
            await self.tell("claim", sent.serial, "B")
            self.assertEqual(self.client.asked[-1], ("grant", sent.serial, "B", [3]))

        self.run_(test)

    def test_cancelled(self):
        """One that is cancelled leaves the others to be made, until none is left."""

        async def test():
            errands = self.three()
            sent = await self.bundle(*errands)
            self.give(errands[0], "A")
            for errand in errands:
                self.assertFalse(sent.future.done())
                await self.cancel(errand)
                self.assertEqual(errand.told, [("released",)])
            self.assertTrue(sent.future.done())
            asked = [("A", "abandon", number) for number in (1, 2, 3)]
            self.assertEqual(self.link.nodes.asked, asked)

        self.run_(test)

    def test_withdrawn(self):
        """If no node has had it, the others go on in another, with all their runs."""

        async def test():
            errands = self.three()
            one, two, three = errands
            await self.bundle(*errands)
            await self.cancel(two)
            self.assertEqual(two.told, [("released",)])
            again = self.sent(one)
            self.assertEqual((again.numbers, again.asks), ([1, 3], False))
            await self.die("A", one)
            self.assertEqual((one.told, three.told), ([], []))

        self.run_(test)

    def test_overAtOnce(self):
        """One that is cancelled when all are over leaves the others their answers."""

        async def test():
            errands = self.three()
            sent = await self.bundle(*errands)
            self.client.withdraw = lambda key: None
            await self.cancel(errands[1])
            self.assertFalse(sent.future.done())
            sent.future.set_result([(n, answer(n, "A")) for n in (1, 2, 3)])
            await settle()
            told = [errand.told for errand in errands]
            answered = [("answered", "A")]
            self.assertEqual(told, [answered, [("released",)], answered])

        self.run_(test)

    def test_schedulerGone(self):
        """When the scheduler is gone, each may have begun that had no need to ask."""

        async def test():
            errands = self.three()
            await self.bundle(*errands)
            await self.answer(errands[0], "A")
            self.link._watch.lose("gone")
            for errand in errands[1:]:
                self.assertEqual(errand.told, [("returned", 1)])

        self.run_(test)
