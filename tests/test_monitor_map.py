"""
The command line's page to watch a job on, as its users have it.
"""

import json
import re
import socket
import subprocess
from urllib.request import urlopen

from tests.test_program import BOUND, ProgramTestCase


def events(stream):
    """
    @return: An iterator over the events of a stream, as pairs of a name and the data.
    """
    name = "message"
    for line in stream:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, value
            name = "message"


class MonitorTests(ProgramTestCase):
    def test_watched(self):
        """It says where the page is, shows the job there, and ends with it."""
        path = "tests.mapped:Nest.double"
        job = self.begin("--monitor", "0", "-n", "2", path, stdin=subprocess.PIPE)
        self.addCleanup(job.stdin.close)
        line = job.stderr.readline().decode()
        (address,) = re.findall(r"(http://127\.0\.0\.1:\d+/)\n", line)
        told = []
        with urlopen(f"{address}events", timeout=BOUND) as stream:
            for name, data in events(stream):
                told.append(json.loads(data) if name == "message" else data)
                if not job.stdin.closed:
                    job.stdin.write(b"1\n2\n3\n")
                    job.stdin.close()
        self.assertEqual(told[-1], "stopped")
        self.assertEqual(told[0]["title"], f"asynqueue map {path}")
        self.assertTrue(told[0]["isRunning"])
        self.assertEqual((told[-2]["done"], told[-2]["isRunning"]), (3, False))
        out, err = job.stdout.read(), job.stderr.read()
        self.assertEqual((out, err, job.wait(BOUND)), (b"11\n22\n33\n", b"", 0))

    def test_taken(self):
        """A port that somebody else has is told, and nothing is called."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = str(server.getsockname()[1])
            out, err, status = self.map("--monitor", port, "builtins:str", "x")
        self.assertEqual((out, status), (b"", 2))
        self.assertIn(f"--monitor {port} cannot be served".encode(), err)
        self.assertIn(b"or 0 for any that is free\n", err)
