"""
Tests of L{asynqueue.names}, and of what L{Info} does with it.
"""

import pickle
import threading

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.info import Info
from asynqueue.names import Converter
from tests import calls


class Counter:
    """
    Can be pickled, and is empty and thus false to begin with.
    """

    def __init__(self):
        self.items: list[int] = []

    def __len__(self):
        return len(self.items)

    def add(self, x):
        self.items.append(x)

    @classmethod
    def made(cls):
        return cls()


class ConverterTests(SynchronousTestCase):
    """
    Tests of L{Converter}.
    """

    def setUp(self):
        self.cv = Converter()

    def test_strToFQN(self):
        """
        A name that leads to something is made a full one.
        """
        self.assertEqual(self.cv.strToFQN("tests.calls.add"), "tests.calls.add")
        name = "asynqueue.hashing.hashIt"
        self.assertEqual(self.cv.strToFQN("asynqueue.info.hashIt"), name)
        for name in ("", "nothing", "tests.calls.none", ".", "tests..calls"):
            self.assertIsNone(self.cv.strToFQN(name))

    def test_objToFQN(self):
        """
        An object has the name that leads back to it, and not one that leads to
        another.
        """

        def add():
            pass

        add.__qualname__, add.__module__ = "add", "tests.calls"
        self.assertEqual(self.cv.objToFQN(calls.add), "tests.calls.add")
        self.assertEqual(self.cv.objToFQN(Counter), "tests.test_names.Counter")
        for x in (add, lambda: 1, Counter().add, Counter(), 7):
            self.assertIsNone(self.cv.objToFQN(x))

    def test_processObject(self):
        """
        A pickle is preferred to a name; nothing comes of what has neither.
        """
        pickled = self.cv.processObject(calls.add)
        self.assertIsInstance(pickled, bytes)
        self.assertIsNone(self.cv.processObject(threading.Lock()))
        self.patch(self.cv, "objToPickle", lambda x: None)
        self.assertEqual(self.cv.processObject(calls.add), "tests.calls.add")


class NnTests(SynchronousTestCase):
    """
    Tests of L{Info.nn}.
    """

    def test_function(self):
        """
        A function has no namespace and comes as a pickle, or itself.
        """
        info = Info().setCall(calls.add)
        namespace, name = info.nn()
        self.assertIsNone(namespace)
        self.assertIs(pickle.loads(name), calls.add)
        self.assertEqual(info.nn(raw=True), (None, calls.add))

    def test_method(self):
        """
        A method comes as the pickle of its object and its name, even if the object
        is false.
        """
        counter = Counter()
        info = Info().setCall(counter.add)
        namespace, name = info.nn()
        self.assertIsInstance(pickle.loads(namespace), Counter)
        self.assertEqual(name, "add")
        self.assertIs(info.nn(raw=True)[0], counter)
        namespace, name = info.setCall(Counter.made).nn()
        self.assertIs(pickle.loads(namespace), Counter)
        self.assertEqual(name, "made")

    def test_text(self):
        """
        A text comes as the name that it is, if something can be imported by it.
        """
        info = Info().setCall("tests.calls.add")
        self.assertEqual(info.nn(), (None, "tests.calls.add"))
        self.assertEqual(info.setCall("tests.calls.none").nn(), (None, None))

    def test_neither(self):
        """
        What has neither a pickle nor a name comes as nothing, raw or not; so does a
        call that was not set.
        """
        self.assertEqual(Info().nn(), (None, None))
        counter = Counter()
        counter.lock = threading.Lock()  # type: ignore[attr-defined]
        for f in (lambda: 1, counter.add):
            for raw in (False, True):
                self.assertEqual(Info().setCall(f).nn(raw=raw), (None, None))
