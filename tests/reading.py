"""
How the code blocks of a text are run.
"""

import ast
import inspect
import io
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import types
from contextlib import contextmanager, redirect_stdout
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path

from twisted.internet.defer import Deferred

import asynqueue
from asynqueue.base import TaskQueue
from tests.documents import TOP, blocks

BOUND = 60
"""
How long a program or a command may take at most, in seconds.
"""

FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
INSTALLS = re.compile(r"python -m pip install [^&|;]* && ")


def definitions(found):
    """
    @return: The part of some blocks of Python that a worker process can import: what
        they import and define.
    """
    kept: list[ast.stmt] = []
    wanted = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef)
    for block in found:
        if block.kind == "python" and not block.isProgram and block.said is None:
            tree = compile(block.code, "", "exec", FLAGS | ast.PyCF_ONLY_AST)
            kept += [n for n in tree.body if isinstance(n, (*wanted, ast.ClassDef))]
    return ast.unparse(ast.Module(kept, []))


PORTS = ("8080", "8786")
"""
Ports that texts mention.
"""


class Server:
    """
    I am a command that goes on until it is told to end.
    """

    def __init__(self, command, environment, text):
        """
        Waits until it has printed a text.
        """
        self.said = ""
        self.process = subprocess.Popen(
            ["bash", "-c", f"exec env {command}"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in self.process.stdout or ():
            self.said += line
            if text in line:
                return
        self.end()
        raise ValueError(f"{command} has ended: {self.said}")

    def end(self):
        """
        Has it end, and waits for that.
        """
        self.process.terminate()
        try:
            rest, _ = self.process.communicate(timeout=BOUND)
        except subprocess.TimeoutExpired:
            self.process.kill()
            rest, _ = self.process.communicate()
        self.said += rest

    def check(self):
        """
        @raise ValueError: unless it has ended as it was told to.
        """
        status = self.process.returncode
        if status not in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
            raise ValueError(f"A server has ended with {status}: {self.said}")


class Reading:
    """
    I run one text, in a directory of its own.

    @ivar directory: That directory.
    """

    def __init__(self, name, directory, reactor, source=None):
        """
        @param name: The path of the text, from the top.
        @param source: The text itself, what is there unless given.
        @param directory: Where to work, a path that does not exist yet.
        @param reactor: What the text finds as C{reactor}.
        """
        self.name = name
        source = (TOP / name).read_text() if source is None else source
        for port in PORTS:
            if port in source:
                source = source.replace(port, str(_freePort()))
        self.blocks = blocks(source)
        self.directory = directory
        directory.mkdir(parents=True)
        for path in ("README.rst", "docs"):
            (directory / path).symlink_to(TOP / path)
        # Which may be an installed copy.
        (directory / "asynqueue").symlink_to(Path(asynqueue.__file__).parent)
        stem = re.sub(r"\W", "_", name.removesuffix(".rst"))
        self._module = types.ModuleType(f"text_{stem}")
        (directory / f"{self._module.__name__}.py").write_text(definitions(self.blocks))
        self._space = vars(self._module)
        self._space["reactor"] = reactor
        self._queues: dict[int, TaskQueue] = {}
        self._servers: list[Server] = []
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{TOP}",
        }
        self._printed = ""

    async def run(self):
        """
        Runs all blocks.
        """
        with self._inPlace():
            try:
                for block in self.blocks:
                    await self._try(block)
            finally:
                for queue in self._queues.values():
                    await queue.shutdown()
        for server in self._servers:
            server.check()

    @contextmanager
    def _inPlace(self):
        """
        Has all be in the directory meanwhile, and what a text has changed be as before.
        """
        where, path = os.getcwd(), list(sys.path)
        root, level = list(logging.root.handlers), logging.root.level
        logging.disable(logging.INFO)
        sys.path.insert(0, str(self.directory))
        sys.modules[self._module.__name__] = self._module
        os.chdir(self.directory)
        try:
            yield
        finally:
            # Those that were begun later may need the earlier ones.
            for server in reversed(self._servers):
                server.end()
            os.chdir(where)
            sys.path[:] = path
            del sys.modules[self._module.__name__]
            logging.root.handlers[:] = root
            logging.root.setLevel(level)
            logging.disable(logging.NOTSET)

    async def _try(self, block):
        try:
            await self._take(block)
        except (Exception, SystemExit) as e:
            where = f"{self.name}, line {block.line}"
            raise AssertionError(f"{where}: {type(e).__name__}: {e}") from e

    async def _take(self, block):
        if block.said == "not run":
            return
        if block.said == "file":
            path = Path(block.more)
            path.write_text(block.code)
        elif block.said == "output":
            self._check(block.code, self._printed)
        elif block.isProgram:
            path = Path(f"program_{block.line}.py")
            path.write_text(block.code)
            self._printed = self._do(f"python {path}")
        elif block.kind == "python":
            await self._execute(block)
        elif block.kind == "sh":
            self._printed = self._do(block.code)
        elif block.kind == "console":
            for command, shown in block.commands:
                self._session(command, shown, block)

    async def _execute(self, block):
        padded = "\n" * (block.line - 1) + block.code
        code = compile(padded, str(TOP / self.name), "exec", FLAGS)
        printed = io.StringIO()
        with redirect_stdout(printed):
            result = eval(code, self._space)
            if inspect.iscoroutine(result):
                await Deferred.fromCoroutine(result)
        self._printed = printed.getvalue()
        for value in self._space.values():
            if isinstance(value, TaskQueue):
                self._queues[id(value)] = value

    def _session(self, command, shown, block):
        if block.said == "background":
            self._servers.append(Server(command, self._environment, block.more))
        else:
            self._printed = self._do(command)
            if shown:
                self._check(shown, self._printed)

    def _do(self, command):
        """
        @return: What a command has printed, which must not fail.
        """
        command = INSTALLS.sub("", command)
        done = subprocess.run(
            ["bash", "-ec", command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BOUND,
        )
        if done.returncode:
            said = f"{command}\n{done.stdout}{done.stderr}"
            raise ValueError(f"Exit status {done.returncode}: {said}")
        return done.stdout

    def _check(self, wanted, printed):
        if not OutputChecker().check_output(wanted, printed, ELLIPSIS):
            raise ValueError(f"It prints\n{printed}and not\n{wanted}")


def _freePort():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
