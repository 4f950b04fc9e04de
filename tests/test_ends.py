"""
The near end of a pipe.
"""

import errno
import os
from multiprocessing import Pipe
from types import SimpleNamespace
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from asynqueue import streams
from asynqueue.ends import MessageEnd, SocketEnd, nearEnd, widen
from asynqueue.packets import AT_ONCE
from tests.support import StepConnection, leavesNothing, unwrap, wrap

LONG = b"x" * (2 << 20)
"""
More than a pipe holds.
"""


class NearEndTests(SynchronousTestCase):
    def test_which(self):
        """A socket is used as one where there are such, and nothing else."""
        near, far = Pipe()
        with near, far:
            self.assertIs(type(nearEnd(near)), SocketEnd)
            self.assertIs(type(nearEnd(StepConnection())), MessageEnd)
            self.patch(streams, "os", SimpleNamespace(name="nt"))
            self.assertIs(type(nearEnd(near)), MessageEnd)


class WidenTests(SynchronousTestCase):
    def test_holdsMore(self):
        """A pipe that was widened holds more of what is written at that end."""
        held = []
        for isWide in (False, True):
            near, far = Pipe()
            with near, far:
                if isWide:
                    widen(near)
                os.set_blocking(near.fileno(), False)
                held.append(os.write(near.fileno(), LONG))
        self.assertGreater(held[1], held[0])

    def test_notASocket(self):
        """What is none is left as it is."""
        widen(StepConnection())


class SocketEndTests(SynchronousTestCase):
    """
    The two ends of one pipe.
    """

    def setUp(self):
        leavesNothing(self)
        self.near, self.far = map(SocketEnd, Pipe())
        self.addCleanup(self.near.close)
        self.addCleanup(self.far.close)

    def got(self, end):
        """
        @return: What has been read, and is read no more.
        """
        got = [unwrap(packet) for packet in end.incoming.packets]
        end.incoming.packets.clear()
        return got

    def test_empty(self):
        """To read from an empty pipe is to read nothing."""
        self.near.read()
        self.assertFalse(self.near.wait(0))
        self.assertFalse(self.near.attend(0, True))
        self.assertEqual(self.got(self.near), [])

    def test_full(self):
        """To write into a full pipe is to write no more, until there is room."""
        self.near.outgoing.add(wrap(LONG))
        for _ in range(10):
            self.near.write()
        self.assertTrue(self.near.outgoing.packets)
        self.assertFalse(self.near.wait(0))
        self.assertFalse(self.near.attend(0, True))
        while not self.far.incoming.packets:
            self.assertTrue(self.far.attend(0, False))
            self.near.attend(0, True)
        self.assertEqual(self.got(self.far), [LONG])
        self.assertFalse(self.near.outgoing.packets)

    def test_attend(self):
        """To attend is to read what there is, and to write if one is to."""
        for isWriter in (True, False):
            self.near.outgoing.add(wrap(b"to far"))
            self.far.outgoing.add(wrap(b"to near"))
            self.far.write()
            self.assertTrue(self.near.attend(0, isWriter))
            self.assertEqual(self.got(self.near), [b"to near"])
            self.far.read()
            self.assertEqual(self.got(self.far), [b"to far"] * isWriter)

    def test_farEndGone(self):
        """After the far end is gone, what it has left is read, and then the end."""
        self.far.outgoing.add(wrap(b"left"))
        self.far.write()
        self.far.close()
        self.near.outgoing.add(wrap(b"question"))
        self.near.write()
        self.near.read()
        self.assertEqual(self.got(self.near), [b"left"])
        self.assertRaises(EOFError, self.near.read)
        self.assertTrue(self.near.outgoing.packets)

    def test_cannotWrite(self):
        """Any other reason why it cannot be written to is the end, too."""
        self.near.outgoing.add(wrap(b"question"))
        error = OSError(errno.ENOBUFS, "no room in the system")
        with mock.patch.object(os, "writev", side_effect=error):
            self.near.write()
        self.assertTrue(self.near.wait(0))
        self.assertRaises(EOFError, self.near.read)

    def test_wake(self):
        """Whoever waits is woken, after what is there; to wake nobody is no error."""
        self.far.outgoing.add(wrap(b"left"))
        self.far.write()
        self.near.wake()
        self.assertTrue(self.near.attend(10, False))
        self.assertEqual(self.got(self.near), [b"left"])
        self.assertRaises(EOFError, self.near.attend, 10, False)
        self.near.close()
        self.near.wake()

    def test_fileno(self):
        """The descriptor is told, until it is closed."""
        fd = self.near.fileno()
        self.assertFalse(os.get_blocking(fd))
        self.near.close()
        self.assertEqual(self.near.fileno(), -1)


class MessageEndTests(SynchronousTestCase):
    def setUp(self):
        self.connection = StepConnection()
        self.end = MessageEnd(self.connection)

    def add(self, *contents):
        """
        Has some packets to be written.
        """
        for some in contents:
            self.end.outgoing.add(wrap(some))

    def sent(self):
        """
        @return: How many messages have been sent.
        """
        return len(self.connection.sent.waiting)

    def test_one(self):
        """A packet is written when the last one was answered, not before."""
        self.add(b"one", b"two")
        self.end.write()
        self.end.write()
        self.assertFalse(self.end.attend(0, True))
        self.assertEqual(self.sent(), 1)
        self.connection.come(b"answer")
        self.assertTrue(self.end.attend(0, True))
        self.end.write()
        self.assertEqual(self.sent(), 2)

    def test_long(self):
        """What is more than a message is written by who can wait."""
        self.add(bytes(AT_ONCE))
        self.end.write()
        self.assertEqual(self.sent(), 0)
        self.end.attend(0, False)
        self.assertEqual(self.sent(), 0)
        self.end.attend(0, True)
        self.assertEqual(self.sent(), 2)
        self.assertFalse(self.end.outgoing.packets)

    def test_longAnswer(self):
        """An answer is there when all of its messages are."""
        self.add(b"one", b"two")
        self.end.write()
        self.connection.come(bytes(AT_ONCE))
        self.end.read()
        self.end.write()
        self.assertEqual((self.sent(), len(self.end.incoming.packets)), (1, 0))
        self.end.read()
        self.end.write()
        self.assertEqual((self.sent(), len(self.end.incoming.packets)), (2, 1))

    def test_farEndGone(self):
        """That the far end is gone is found by reading."""
        self.connection.close()
        self.add(b"one")
        self.end.write()
        self.connection.come(EOFError())
        self.assertTrue(self.end.wait(0))
        self.assertRaises(EOFError, self.end.read)
        self.assertEqual(len(self.end.outgoing.packets), 1)

    def test_end(self):
        """It cannot be woken, which is no error, and is closed."""
        self.end.wake()
        self.end.close()
        self.assertTrue(self.connection.closed)
