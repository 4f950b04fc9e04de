"""
What the tests of the lower modules stand on: a reactor, a thread and a pipe that a
test steps by hand, a line to a real worker process, and a look at what is left
when a test is over.
"""

import gc
import io
import os
import signal
import sys
import threading
from collections import deque
from multiprocessing import forkserver, resource_tracker
from queue import SimpleQueue
from typing import Any

import psutil
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.asking import PollerState
from asynqueue.children import Child, getContext
from asynqueue.entry import Settings
from asynqueue.errors import ThreadError
from asynqueue.messages import Call, Hello, pack, unpack
from asynqueue.pollers import ThreadPoller
from asynqueue.streams import Receiver, send
from asynqueue.vigil import ANSWER_SOON
from tests.questions import Questions

BOUND = 30.0
"""
How long anything may take at most, in seconds: far more than it does, so that what
is told is that it hangs, not that the machine is slow.
"""


def hearInterrupts():
    """
    Has a program that is started after this be interrupted by SIGINT, which is ignored
    by all that a script's shell runs in the background, as these tests may be.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class SteppedReactor(Clock):
    """
    A reactor that runs when, and in the thread in which, a test says so. Unlike a
    C{Clock}, it can be called from other threads.
    """

    def __init__(self):
        super().__init__()
        self._fromThreads: SimpleQueue[Any] = SimpleQueue()

    def callFromThread(self, f, *args, **kw):
        self._fromThreads.put((f, args, kw))

    def turn(self):
        """
        Runs what is due by now, or else waits until a thread calls.
        """
        due = [call for call in self.calls if call.getTime() <= self.seconds()]
        for call in due:
            # Not by advance(), which goes on with whatever these add.
            if call.active():
                self.calls.remove(call)
                call.called = True
                call.func(*call.args, **call.kw)
        if not due:
            f, args, kw = self._fromThreads.get(timeout=BOUND)
            f(*args, **kw)

    def until(self, d):
        """
        Turns until a Deferred has fired.

        @return: What it fired with.
        @raise Exception: What it failed with.
        """
        results: list[Any] = []
        d.addBoth(results.append)
        while not results:
            self.turn()
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]


class StepLooper:
    """
    A L{ThreadLooper<asynqueue.looper.ThreadLooper>} whose thread is the test's own.

    @ivar jobs: What is to be run, as callables without arguments.
    @ivar stopped: C{True} when it was stopped.
    """

    def __init__(self):
        self.jobs: deque[Any] = deque()
        self.stopped = False

    def deferToThread(self, f, /, *args, **kw):
        if self.stopped:
            return fail(ThreadError("The thread of this looper was stopped"))
        d: Deferred[Any] = Deferred()
        self.jobs.append(lambda: maybeDeferred(f, *args, **kw).chainDeferred(d))
        return d

    def step(self):
        """
        Runs the next job to its end.
        """
        self.jobs.popleft()()

    def stop(self):
        self.stopped = True
        return maybeDeferred(lambda: None)


def hideMain(case):
    """
    Has worker processes that a test starts not import the main module, which is one of
    trial's.
    """
    main = sys.modules["__main__"]
    case.patch(main, "__spec__", None)
    case.patch(main, "__file__", None)


class Messages:
    """
    A pipe of messages: what is sent into it can be received from it.

    @ivar waiting: What has not been received.
    """

    def __init__(self, *packets):
        self.waiting: deque[Any] = deque()
        for packet in packets:
            send(self, packet)

    def send_bytes(self, message):
        self.waiting.append(bytes(message))

    def recv_bytes(self):
        if not self.waiting:
            raise EOFError
        return self.waiting.popleft()


def crossed(packet):
    """
    @return: A packet as it is received when it has been sent.
    """
    return Receiver(Messages(packet)).receive()


def wrap(contents):
    """
    @return: A packet of some bytes, for those who do not look into it.
    """
    return [b"", contents]


def unwrap(packet):
    """
    @return: The bytes of such a packet, received.
    """
    return bytes(packet[1])


class StepConnection:
    """
    The near end of a pipe that has a time of its own, which goes on while it is
    waited for, and only then.

    @ivar now: The time, in seconds.
    @ivar looks: When it was polled, and for how long: a list of 2-tuples.
    @ivar sent: What was sent: a L{Messages}.
    @ivar closed: C{True} when it was closed.
    @ivar onLook: Is called, where set, each time it was polled in vain.
    """

    def __init__(self):
        self.now = 0.0
        self.looks: list[tuple[float, float]] = []
        self.sent = Messages()
        self.closed = False
        self.onLook: Any = None
        self._due: deque[tuple[float, Any]] = deque()

    def come(self, contents, when=0.0):
        """
        Has the far end send a packet of some bytes at a time, or break if it is an
        exception.
        """
        if isinstance(contents, BaseException):
            self._due.append((when, contents))
        else:
            self._due += [(when, m) for m in Messages(wrap(contents)).waiting]

    def poll(self, timeout=0.0):
        self.looks.append((self.now, timeout))
        if self._due and self._due[0][0] <= self.now + timeout:
            self.now = max(self.now, self._due[0][0])
            return True
        self.now += timeout
        if self.onLook is not None:
            self.onLook()
        return False

    def recv_bytes(self):
        message = self._due.popleft()[1]
        if isinstance(message, BaseException):
            raise message
        return message

    def send_bytes(self, message):
        if self.closed:
            raise OSError("handle is closed")
        self.sent.send_bytes(message)

    def close(self):
        self.closed = True

    def fileno(self):
        raise io.UnsupportedOperation("fileno")


class QuickCollecting:
    """
    What a test case inherits that often has garbage collected: what the tests before it
    have left is not looked through each time.
    """

    @classmethod
    def setUpClass(cls):
        gc.collect()
        gc.freeze()

    @classmethod
    def tearDownClass(cls):
        gc.unfreeze()


class PollerCase(SynchronousTestCase):
    """
    The tests of a L{ThreadPoller} whose reactor, thread and pipe are stepped.
    """

    def setUp(self):
        self.reactor = SteppedReactor()
        self.looper: Any = StepLooper()
        self.connect(0.001, 1.10)

    def connect(self, interval, backoff):
        self.poller = ThreadPoller(interval, backoff, self.reactor, self.looper)
        self.near = StepConnection()
        self.questions = Questions(self.poller)
        self.questions.connect(self.near)

    def ask(self, contents):
        """
        @return: A Deferred of the bytes that answer these.
        """
        return self.questions.ask(wrap(contents)).addCallback(unwrap)

    def sent(self):
        """
        @return: The bytes that were sent, one for each time that some were asked.
        """
        sent, receiver = [], Receiver(self.near.sent)
        while self.near.sent.waiting:
            sent.append(unwrap(receiver.receive()))
        return sent

    def askInThread(self):
        """
        Asks, and lets the time of the looks from the reactor pass with one.
        """
        d = self.ask(b"question")
        self.reactor.rightNow += ANSWER_SOON
        self.reactor.turn()
        self.assertIs(self.poller.state, PollerState.WAITING)
        return d


class Line:
    """
    A real worker process, and what talks to it. It is cut when the test is over.

    @ivar child: The L{Child}.
    @ivar reactor: The L{SteppedReactor} of all.
    """

    def __init__(self, test, method, **settings):
        self.reactor = SteppedReactor()
        self.poller = ThreadPoller(reactor=self.reactor)
        self.child = Child(
            getContext(method),
            Settings(forked=method == "fork", **settings),
            self.reactor,
        )
        self.child.start()
        test.addCleanup(self.cut)
        self.questions = Questions(self.poller)
        self.questions.connect(self.reactor.until(self.child.started))
        self.ask(Hello(0))

    def ask(self, envelope, contents=None):
        """
        @return: The L{Answer<asynqueue.messages.Answer>}, and its contents.
        """
        packet = pack(envelope, contents)
        answer, load = unpack(self.reactor.until(self.questions.ask(packet)))
        return answer, load()

    def call(self, f, /, *args, raw=None, **kw):
        """
        @return: The status and the contents that a call's answer has.
        """
        answer, contents = self.ask(Call(1, raw), (f, args, kw))
        return answer.status, contents

    def begin(self, f, /, *args):
        """
        Sends a call.

        @return: The Deferred of the packet that answers it.
        """
        return self.questions.ask(pack(Call(1, None), (f, args, {})))

    def end(self):
        """
        @return: The exit code, when the process has ended.
        """
        return self.reactor.until(self.child.died)

    def cut(self):
        """
        Ends the process, if it has not ended, and all that belongs to it.
        """
        if self.child.is_alive():
            self.child.kill()
        if not self.child.died.called:
            self.end()
        self.reactor.until(self.poller.stop())


def descriptors():
    """
    @return: What this process has open, by number.
    """
    found = {}
    for name in os.listdir("/dev/fd"):
        try:
            found[int(name)] = os.readlink(f"/dev/fd/{name}")
        except OSError:
            # That of the listing itself.
            continue
    return found


def processes():
    """
    @return: The names of all processes that stem from this one, by ID, but for the
        two that C{multiprocessing} keeps for itself.
    """
    own = {
        forkserver._forkserver._forkserver_pid,  # type: ignore[attr-defined]
        resource_tracker._resource_tracker._pid,  # type: ignore[attr-defined]
    }
    children = psutil.Process().children(recursive=True)
    return {child.pid: child.name() for child in children if child.pid not in own}


def threads():
    """
    @return: The names of this library's threads, by identity.
    """
    return {
        thread.ident: thread.name
        for thread in threading.enumerate()
        if thread.name.startswith("asynqueue")
    }


def leavesNothing(test):
    """
    Has a test fail if it leaves a process, a thread or a descriptor. To be called
    first in C{setUp}: what a test is to clean up itself has to be named later.
    """
    # They come with the first process and stay.
    forkserver.ensure_running()
    resource_tracker.ensure_running()
    looks = [processes, threads, descriptors]
    before = [look() for look in looks]

    def check():
        for look, known in zip(looks, before, strict=True):
            now = look()
            test.assertEqual({key: now[key] for key in now if key not in known}, {})

    test.addCleanup(check)
