"""
The command line: C{python -m asynqueue}, or C{asynqueue}.

I import the standard library only until there is something to do: a worker process
imports the main module of its parent, and if that is the console script, me.
"""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from importlib import import_module
from typing import Any

from asynqueue import arguments

USAGE = 2
"""
The exit status when something is wrong with the command line.
"""


class NotFound(Exception):
    """
    There is no such function, or none that workers can call.
    """


def findFunction(path: str) -> Any:
    """
    Finds what C{"package.module:name"} stands for. The name may have dots too:
    C{"builtins:str.upper"}.

    @raise NotFound: if it stands for nothing, or for nothing that worker
        processes can call. Its text says what was looked for.
    """
    moduleName, _, name = path.partition(":")
    if not all([*moduleName.split("."), *name.split(".")]) or ":" in name:
        raise NotFound(f"a function is written as package.module:name, not {path!r}")
    found = findModule(moduleName)
    where = f"the module {moduleName!r}"
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise NotFound(f"{where} has no attribute {part!r}") from error
        where = f"{part!r} in {where}"
    if not callable(found):
        raise NotFound(f"{where} cannot be called: it is {found!r:.100}")
    from multiprocessing.reduction import ForkingPickler

    try:
        ForkingPickler.dumps(found)
    except Exception as error:
        raise NotFound(
            f"{where} cannot be sent to a worker process, which has to find it by "
            f"its own name in a module: {type(error).__name__}: {error}"
        ) from error
    return found


def findModule(name: str) -> Any:
    """
    Imports a module.

    @raise NotFound: if there is none, or it raises anything.
    """
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise NotFound(
                f"{error}: neither in the current directory nor elsewhere on "
                "Python's path (sys.path)"
            ) from error
        trace = error.__traceback__
        while trace is not None and _isImporting(trace.tb_frame.f_code.co_filename):
            trace = trace.tb_next
        lines = traceback.format_exception(type(error), error, trace)
        text = "".join(lines).rstrip()
        raise NotFound(f"the module {name!r} cannot be imported:\n{text}") from error


def _isImporting(fileName: str) -> bool:
    return fileName == __file__ or "importlib" in fileName


def runMap(args: argparse.Namespace) -> int:
    """
    Runs the command C{map}.

    @return: The exit status.
    """
    try:
        function = findFunction(args.function)
    except NotFound as error:
        return complain(USAGE, str(error))
    if sys.stdout is None:
        return complain(1, "standard output is closed")
    # What the module has printed comes before the results.
    sys.stdout.flush()

    from asynqueue import clustermap

    try:
        queue, how = clustermap.prepare(args) if args.cluster else prepare(args)
        if args.monitor is not None:
            watch(queue, args)
    except clustermap.Unusable as error:
        return complain(USAGE, str(error))

    from asynqueue.lines import Output, fromList, makeBar, readLines
    from asynqueue.looper import ThreadLooper
    from asynqueue.mapping import MapJob
    from asynqueue.printing import JsonForm, PlainForm

    bar = None
    if args.items or sys.stdin is None:
        texts = fromList(args.items)
        bar = makeBar(len(args.items))
    else:
        texts = readLines(ThreadLooper().deferToThread)
        if not sys.stdin.isatty():
            bar = makeBar()
    job = MapJob(
        function,
        queue,
        JsonForm() if args.json else PlainForm(),
        Output(ThreadLooper().deferToThread, bar=bar),
        unordered=args.unordered,
        timeout=args.timeout,
        retries=args.retries,
        **how,
    )
    return runJob(job, texts)


def prepare(args: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """
    @return: A queue of worker processes, and keywords for a
        L{MapJob<asynqueue.mapping.MapJob>}.
    """
    from asynqueue.printing import CallTimes
    from asynqueue.process import ProcessQueue

    workers = args.workers or ProcessQueue.cores()
    if args.items or sys.stdin is None:
        workers = max(1, min(workers, len(args.items)))
    # When the reactor stops before the job is over, there is nothing to wait for.
    queue = ProcessQueue(workers, callStats=args.stats, grace=0.0)
    return queue, {"report": CallTimes(queue.workers()) if args.stats else None}


def watch(queue: Any, args: argparse.Namespace) -> None:
    """
    Serves a page to watch a queue on, and says where.

    @raise Unusable: if the port cannot be had.
    """
    from twisted.internet.error import CannotListenError

    from asynqueue import clustermap, monitor

    try:
        title = f"asynqueue map {args.function}"
        port = monitor.listen(queue, args.monitor, title=title)
    except CannotListenError as error:
        raise clustermap.Unusable(
            f"the page of --monitor {args.monitor} cannot be served: "
            f"{error.socketError}. Take another port, or 0 for any that is free"
        ) from error
    if sys.stderr is not None:
        print(f"asynqueue: watch it at {monitor.address(port)}", file=sys.stderr)


def runJob(job: Any, texts: AsyncIterator[str]) -> int:
    """
    Runs the reactor until a L{MapJob<asynqueue.mapping.MapJob>} is over.

    @return: The exit status.
    """
    from twisted.internet import reactor as installed

    reactor: Any = installed

    onSignals(lambda status: reactor.callFromThread(job.abort, status))
    job.done.addBoth(lambda _: reactor.stop())
    reactor.callWhenRunning(job.start, texts)
    reactor.run(installSignalHandlers=False)
    if job.lastWords:
        print(job.lastWords, end="", file=sys.stderr)
    status: int = job.status
    return status


def runBench(args: argparse.Namespace) -> int:
    """
    Runs the command C{bench}.

    @return: The exit status.
    """
    from asynqueue import benchmark

    try:
        return benchmark.run(args, onSignals)
    except benchmark.Refused as error:
        return complain(USAGE, str(error))


def runTune(args: argparse.Namespace) -> int:
    """
    Runs the command C{tune}.

    @return: The exit status.
    """
    from asynqueue import benchmark, tuning

    try:
        return tuning.run(args, onSignals)
    except benchmark.Refused as error:
        return complain(USAGE, str(error))


def onSignals(f: Callable[[int], Any]) -> None:
    """
    Has Ctrl-C and SIGTERM, unless they are ignored, call a callable with the exit
    status that a shell gives a program that they have ended.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: f(128 + number))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """
    Parses the arguments, as L{arguments.parse} does.
    """
    return arguments.parse(argv, {"map": runMap, "bench": runBench, "tune": runTune})


def complain(status: int, text: str) -> int:
    """
    Says what is wrong.

    @return: The status.
    """
    print(f"asynqueue: {text}", file=sys.stderr)
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """
    Runs the command line.

    @param argv: The arguments, those of the process if C{None}.
    @return: The exit status.
    @raise SystemExit: if something is wrong with the arguments, or they ask
        for help.
    """
    # A KeyboardInterrupt would show a traceback, or be lost, wherever it comes.
    onSignals(os._exit)
    if __name__ != "__main__" and not getattr(sys.flags, "safe_path", False):
        # The console script. For python -m, Python itself does it.
        sys.path.insert(0, "")
    args = parse(sys.argv[1:] if argv is None else argv)
    status: int = args.run(args)
    return status


if __name__ == "__main__":
    sys.exit(main())
