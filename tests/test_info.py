"""
Tests of L{asynqueue.info}.
"""

import threading
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import RemoteTraceback
from asynqueue.info import Info, InfoHolder, aboutError
from tests import calls


class Shy:
    """
    Shows nothing of itself.
    """

    def __repr__(self):
        raise RuntimeError

    __str__ = __repr__

    def method(self, x):
        return x


def caught(f, *args):
    """
    @return: What a call raises, with its traceback.
    """
    try:
        f(*args)
    except BaseException as e:
        return e
    raise AssertionError("nothing was raised")


class AboutErrorTests(SynchronousTestCase):
    """
    Tests of L{aboutError}.
    """

    def test_whole(self):
        """
        The first line has the error and the call, the others the traceback.
        """
        text = aboutError(Failure(caught(calls.boom, "bang")), "f(1)")
        first, rest = text.split("\n", 1)
        self.assertEqual(first, "Exception 'bang' (ValueError) doing call 'f(1)'")
        self.assertIn("in boom", rest)

    def test_noCall(self):
        """
        If it is not known what the call was, nothing is said of it.
        """
        text = aboutError(Failure(ValueError("x")))
        self.assertEqual(text.split("\n")[0], "Exception 'x' (ValueError)")

    def test_causes(self):
        """
        All causes are told, the traceback from a worker process among them.
        """
        error, cause = ValueError("x"), KeyError("y")
        cause.__cause__ = RemoteTraceback("in far.py, line 7")
        error.__cause__ = cause
        text = aboutError(Failure(error))
        self.assertIn("KeyError: 'y'", text)
        self.assertIn("in far.py, line 7", text)

    def test_mute(self):
        """
        An exception whose text cannot be had leaves one all the same, be it the
        error or its cause.
        """
        error = ValueError("x")
        error.__cause__ = calls.Mute()
        self.assertIn("Mute", aboutError(Failure(error)))
        self.assertIn("(Mute)", aboutError(Failure(calls.Mute())))


class SetCallTests(SynchronousTestCase):
    """
    Tests of L{Info.setCall} and of IDs.
    """

    def test_forms(self):
        """
        A call may be set by its parts, with fewer than all of them, with a single
        argument as it is, or by keywords; a text stands for a callable.
        """
        for args, kw, text in (
            ((calls.add,), {}, "tests.calls.add()"),
            ((calls.add, 1), {}, "tests.calls.add(1)"),
            ((calls.add, "ab"), {}, "tests.calls.add('ab')"),
            ((calls.add, None), {}, "tests.calls.add(None)"),
            ((calls.add, [1], {"y": 2}), {}, "tests.calls.add(1, y=2)"),
            ((calls.add,), {"args": (1,), "kw": {"y": 2}}, "tests.calls.add(1, y=2)"),
            (("name", (1, 2)), {}, "name(1, 2)"),
            ((calls.add, 1), {"instance": 7}, "7.add(1)"),
            ((None,), {}, "None[not callable!]()"),
        ):
            info = Info()
            self.assertIs(info.setCall(*args, **kw), info)
            self.assertEqual(info.aboutCall(), text)

    def test_change(self):
        """
        By keywords alone, the call that was set last is changed. What it was
        before is still remembered so, under its own ID.
        """
        info = Info(remember=True)
        ID = info.setCall(calls.add, 1).ID
        info.setCall(args=(2,), kw={"y": 3})
        self.assertNotEqual(info.ID, ID)
        self.assertEqual(info.aboutCall(), "tests.calls.add(2, y=3)")
        self.assertEqual(info.aboutCall(ID), "tests.calls.add(1)")

    def test_refused(self):
        """
        What makes no call is refused.
        """
        info = Info()
        with self.assertRaises(ValueError) as raised:
            info.setCall(args=(1,))
        self.assertIn("takes a callable", str(raised.exception))
        self.assertRaises(ValueError, info.setCall)
        self.assertRaises(TypeError, info.setCall, calls.add, (), {}, 1)
        self.assertRaises(TypeError, info.setCall, calls.add, (), [1])
        wrong: dict[str, Any] = {"arg": 1}
        self.assertRaises(TypeError, info.setCall, calls.add, **wrong)
        self.assertIsNone(info.ID)

    def test_uniqueIDs(self):
        """
        Equal calls have IDs of their own, like those that differ in the order of
        their arguments alone: the ancestor's collided.
        """
        info = Info(remember=True)
        sets = [(calls.add, [1, 2]), (calls.add, [2, 1]), (calls.add, [0, 3])] * 2
        IDs = [info.setCall(*each).ID for each in sets]
        self.assertEqual(len(set(IDs)), 6)
        for ID, (_, args) in zip(IDs, sets, strict=True):
            self.assertEqual(info.getInfo(ID, "callDict")["args"], args)

    def test_callDict(self):
        """
        The parts of a call can be had again.
        """
        info = Info().setCall(calls.add, (1,), {"y": 2})
        self.assertEqual(
            info.getInfo(None, "callDict"),
            {
                "f": calls.add,
                "fs": "tests.calls.add",
                "args": (1,),
                "kw": {"y": 2},
                "instance": None,
            },
        )

    def test_thread(self):
        """
        The thread that a call was set in is told on demand.
        """
        info = Info(whichThread=True)
        thread = threading.Thread(target=info.setCall, args=("f", 1), name="other")
        thread.start()
        thread.join()
        self.assertEqual(info.aboutCall(), "f(1) <Thread: other>")
        self.assertEqual(info.getInfo(None, "callDict")["thread"], "other")


class MemoryTests(SynchronousTestCase):
    """
    Tests of what is remembered, and of what is forgotten.
    """

    def test_noMemory(self):
        """
        Without I{remember} only the last call is known, whose ID may be used.
        """
        info = Info()
        first = info.setCall("f").ID
        second = info.setCall("g").ID
        self.assertEqual(info.pastInfo, {})
        self.assertEqual(info.aboutCall(first), "")
        self.assertIsNone(info.getInfo(first, "callDict"))
        self.assertEqual(info.aboutCall(second), "g()")

    def test_forgetID(self):
        """
        What is forgotten is gone, and nothing else; forgetting what is not known
        does nothing.
        """
        info = Info(remember=True)
        IDs = [info.setCall("f", n).ID for n in range(3)]
        for ID in (IDs[0], IDs[2], 100):
            info.forgetID(ID)
        self.assertEqual([info.aboutCall(ID) for ID in IDs], ["", "f(1)", ""])
        self.assertEqual(list(info.pastInfo), [IDs[1]])
        self.assertIsNone(info.ID)
        self.assertEqual(info.aboutCall(), "")

    def test_nowForget(self):
        """
        A call can be forgotten with its text being told, also when that is told
        for the first time.
        """
        info = Info(remember=True)
        failure = Failure(ValueError("bang"))
        for tell, text in (
            (lambda ID: info.aboutCall(ID, nowForget=True), "f(1)"),
            (lambda ID: info.aboutFailure(failure, ID, nowForget=True), "bang"),
            (lambda ID: info.aboutException(ID, failure.value, True), "bang"),
            (lambda ID: str(info.getInfo(ID, "callDict", nowForget=True)), "fs"),
        ):
            for byID in (True, False):
                ID = info.setCall("f", 1).ID
                self.assertIn(text, tell(ID if byID else None))
                self.assertEqual(info.pastInfo, {})
                self.assertEqual(info.aboutCall(ID), "")

    def test_saveInfo(self):
        """
        Anything can be saved with a call, and is gone with it.
        """
        info = Info(remember=True)
        ID = info.setCall("f").ID
        self.assertEqual(info.saveInfo("mine", 7), 7)
        info.setCall("g")
        self.assertEqual(info.saveInfo("more", 8, ID), 8)
        self.assertEqual(info.getInfo(ID, "mine"), 7)
        self.assertEqual(info.getInfo(ID, "more"), 8)
        self.assertIsNone(info.getInfo(None, "mine"))
        self.assertEqual(info.saveInfo("mine", 9, 100), 9)
        info.forgetID(ID)
        self.assertIsNone(info.getInfo(ID, "mine"))
        self.assertEqual(len(info.pastInfo), 1)

    def test_context(self):
        """
        A context has its call at hand, whatever is set meanwhile, and forgets it at
        its end, an error's too. It needs no I{remember}.
        """
        for remember in (False, True):
            info = Info(remember)
            with info.context("f", 1) as outer:
                self.assertIsInstance(outer, InfoHolder)
                with info.context("g", args=(2,)) as inner:
                    self.assertEqual(outer.aboutCall(), "f(1)")
                    self.assertEqual(inner.aboutCall(), "g(2)")
                    self.assertEqual(inner.nn(), (None, None))
                    self.assertEqual(outer.getInfo("callDict")["args"], (1,))
                with self.assertRaises(ValueError), info.context("h"):
                    calls.boom()
            self.assertEqual(info.pastInfo, {})
            self.assertEqual(outer.aboutCall(), "")

    def test_holder(self):
        """
        What a context gives tells of exceptions and failures, of its own call.
        """
        info = Info()
        with info.context("f", 1) as holder:
            info.setCall("g")
            for text in (
                holder.aboutException(ValueError("bang")),
                holder.aboutFailure(Failure(ValueError("bang"))),
            ):
                self.assertIn("Exception 'bang' (ValueError) doing call 'f(1)'", text)


class TextTests(SynchronousTestCase):
    """
    Tests of the texts.
    """

    def test_exception(self):
        """
        An exception is told with its call and traceback: one that is given, or the
        one that is being handled.
        """
        info = Info(remember=True)
        ID = info.setCall(calls.boom, "bang").ID
        info.setCall("g")
        for error in (calls.boom, calls.bye, calls.interrupted, calls.mute):
            given = info.aboutException(ID, caught(error))
            try:
                error()
            except BaseException:
                handled = info.aboutException(ID)
            for text in (given, handled):
                self.assertIn("doing call 'tests.calls.boom('bang')'", text)
                self.assertIn(f"in {error.__name__}", text)
        self.assertEqual(info.aboutException(ID), handled)
        self.assertEqual(info.aboutException(), "")
        self.assertEqual(info.getInfo(ID, "aboutException"), handled)

    def test_errback(self):
        """
        L{Info.aboutFailure} does for an errback; each failure is told anew.
        """
        info = Info().setCall("f")
        for text in ("bang", "boom"):
            d: Deferred[Any] = Deferred()
            d.addErrback(info.aboutFailure)
            d.errback(ValueError(text))
            self.assertIn(f"'{text}'", self.successResultOf(d))

    def test_unshowable(self):
        """
        What raises when it is to be shown keeps nobody from being told of the call.
        """
        shy = Shy()
        for info in (
            Info().setCall(calls.add, (shy,), {"y": shy}),
            Info().setCall(shy.method, shy),
            Info().setCall(Shy.method, 1, instance=shy),
            Info().setCall(shy),
        ):
            self.assertIn("Shy", info.aboutCall())
            self.assertIn("bang", info.aboutException(None, ValueError("bang")))
