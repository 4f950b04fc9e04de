"""
The ping-pong over a bare pipe.
"""

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.children import getContext
from asynqueue.floor import bareProcess, pingPong


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
