"""
The ping-pong over a bare pipe.
"""

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.children import getContext
from asynqueue.floor import bareProcess, napWhenTold, pingPong


class FloorTests(SynchronousTestCase):
    def test_times(self):
        """Each round trip has its time, however the process was started."""
        for method in (None, getContext().get_start_method()):
            times = pingPong(20, 10_000, method)
            self.assertEqual(len(times), 20)
            self.assertGreater(min(times), 0)

    def test_echo(self):
        """What is sent comes back as it was."""
        with bareProcess() as pipe:
            for message in (b"a", b"bc" * 100_000):
                pipe.send_bytes(message)
                self.assertEqual(pipe.recv_bytes(), message)

    def test_naps(self):
        """A process naps for as long as it is told, and tells how long that was."""
        with bareProcess(work=napWhenTold) as pipe:
            for nap in (0.02, 0.0):
                pipe.send_bytes(str(nap).encode())
                self.assertGreaterEqual(float(pipe.recv_bytes()), nap)
