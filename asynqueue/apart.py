"""
Functions called in fresh processes, which have nothing left over from others, and end
when they are to, whatever happens in them.

Such a function takes and returns what JSON has a form for. What it starts belongs to
the call and ends with it: nothing has to be shut down.

I import the standard library only, and work in any interpreter that finds me.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from tempfile import TemporaryFile
from typing import IO, Any

ANSWER = "from asynqueue.apart import answer; answer()"
"""
What a fresh process runs. That is no file and no module, so no process that it
starts has a main module to import.
"""


class NoAnswer(Exception):
    """
    The process has not answered. My text says why.
    """


def command() -> list[str]:
    """
    @return: The command by which a fresh interpreter like this one runs L{answer}.
        It finds modules where this one does.
    """
    return [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {ANSWER}"]


def ask(
    function: str,
    arguments: dict[str, Any],
    limit: float,
    by: Sequence[str] | None = None,
) -> Any:
    """
    Calls a function in a process of its own, and waits for what it returns.

    When I return or raise, that process and those that it has started have been
    killed. If this process ends before, however it does, they end too.

    @param function: Where it is: C{"package.module:name"}.
    @param arguments: Its keyword arguments.
    @param limit: How long it may take, in seconds.
    @param by: The command that runs L{answer}, if not that of L{command}.
    @raise NoAnswer: if it takes longer, raises anything, or its process ends.
    """
    words = [*(by or command()), function, json.dumps(arguments)]
    # Files, not pipes: what outlives the process could keep a pipe open.
    with TemporaryFile() as out, TemporaryFile() as err:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            raise NoAnswer(f"no answer within {limit:g} seconds") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        if status:
            raise NoAnswer(_whyItEnded(status, _read(err)))
        return json.loads(_read(out))


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _whyItEnded(status: int, told: str) -> str:
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    lines = told.strip().splitlines() or ["nothing was said"]
    return f"{lines[-1]} (exit status {status})"


def answer() -> None:
    """
    Calls the function that the command line names and writes what it returns to
    standard output. What it prints itself goes to standard error. Then I end the
    process without further ado.
    """
    threading.Thread(target=_endWithAsker, daemon=True).start()
    out = os.dup(1)
    os.dup2(2, 1)
    function, arguments = sys.argv[1:]
    moduleName, _, name = function.partition(":")
    found = getattr(import_module(moduleName), name)(**json.loads(arguments))
    with open(out, "w") as stream:
        json.dump(found, stream)
    os._exit(0)


def _endWithAsker() -> None:
    """
    Nobody writes to my standard input. It ends when whoever asks has ended.
    """
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)
