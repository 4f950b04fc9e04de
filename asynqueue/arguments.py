"""
What can be written on the command line.
"""

import argparse
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from asynqueue import clustermap
from asynqueue.version import __version__

Commands = Mapping[str, Callable[[argparse.Namespace], int]]
"""
Functions that run the commands, by their names, and return the exit status.
"""


def integer(least: int, most: float = math.inf) -> Callable[[str], int]:
    """
    @return: What makes an integer, neither below nor above others, of an argument.
    """

    def parse(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"it has to be at least {least}")
        if value > most:
            raise argparse.ArgumentTypeError(f"it has to be at most {most}")
        return value

    # By this name an argument that is none is refused.
    parse.__name__ = "integer"
    return parse


def seconds(text: str) -> float:
    """
    @return: The seconds that an argument says, above 0.
    """
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("it has to be a number of seconds above 0")
    return value


class Version(argparse.Action):
    """
    I print the version and exit.
    """

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """
        Prints it.
        """
        print(f"asynqueue {__version__}")
        parser.exit()


def makeParser(commands: Commands) -> argparse.ArgumentParser:
    """
    @return: A parser of the command line. What it makes has an attribute I{run}:
        the function to call with it.
    """
    parser = argparse.ArgumentParser(
        prog="asynqueue", description="Calls functions in worker processes."
    )
    parser.add_argument(
        "--version", action=Version, nargs=0, help="print the version and exit"
    )
    add = parser.add_subparsers(
        required=True, dest="command", metavar="COMMAND"
    ).add_parser
    addMap(add).set_defaults(run=commands["map"])
    addBench(add).set_defaults(run=commands["bench"])
    addTune(add).set_defaults(run=commands["tune"])
    return parser


def addMap(add: Callable[..., Any]) -> Any:
    """
    Adds the command C{map}.

    @return: Its parser.
    """
    parser = add(
        "map",
        help="call a function for each item and print what it returns",
        description="Calls FUNCTION with each ITEM as its only argument, in worker "
        "processes, and prints one line for each result.",
        epilog="An item that fails is reported on standard error, with its "
        "traceback, and the others go on. Exit status: 0, 1 if an item failed, 2 "
        "if the command line is wrong, 130 after Ctrl-C.",
    )
    option = parser.add_argument
    option(
        "function",
        metavar="FUNCTION",
        help="package.module:name; the current directory is looked in first",
    )
    option(
        "items",
        metavar="ITEM",
        nargs="*",
        help="a text; if there is none, each line of standard input is an item "
        "(items that begin with - go after --)",
    )
    option(
        "-n",
        dest="workers",
        metavar="WORKERS",
        type=integer(1),
        help="how many worker processes (as many as there are CPU cores)",
    )
    option(
        "--timeout",
        metavar="S",
        type=seconds,
        help="abandon a call that takes longer, in seconds",
    )
    option(
        "--retries",
        metavar="K",
        type=integer(0),
        default=1,
        help="how often a call that was abandoned is tried again (%(default)s)",
    )
    option(
        "--unordered",
        action="store_true",
        help="print results as they come, not in the order of the items",
    )
    option(
        "--json",
        action="store_true",
        help="items are JSON values; print an object with item, result or error, "
        "and seconds for each",
    )
    option(
        "--stats",
        action="store_true",
        help="at the end, print the calls, median times and memory of each worker, "
        "or node, on standard error",
    )
    option(
        "--monitor",
        metavar="PORT",
        type=integer(0, 65535),
        help="show it live on a page at http://127.0.0.1:PORT/, as long as it runs; 0 "
        "takes a free port, and says which",
    )
    clustermap.addOptions(parser)
    return parser


def names(text: str) -> list[str]:
    """
    @return: The names in a list with commas.
    """
    return [name.strip() for name in text.split(",")]


def chartFile(text: str) -> str:
    """
    @return: The name of a file that a chart can be drawn into.
    """
    if not text.endswith((".svg", ".png")):
        raise argparse.ArgumentTypeError("its name has to end in .svg or .png")
    return text


def addBench(add: Callable[..., Any]) -> Any:
    """
    Adds the command C{bench}.

    @return: Its parser.
    """
    parser = add(
        "bench",
        help="measure how fast calls are, here and in other libraries",
        description="Runs the same loads on asynqueue and on each other library that "
        "is installed, by turns and in processes of their own, and prints the medians "
        "and how they compare.",
        epilog="All of it takes about half an hour on two cores, and memory for a "
        "million calls, 2 GB; --quick takes a few minutes, but its figures mean "
        "little. pip install 'asynqueue[bench]' installs the other libraries and what "
        "draws charts. Exit status: 0, whatever was measured, 2 if the command line "
        "is wrong, 130 after Ctrl-C.",
    )
    option = parser.add_argument
    option(
        "--list",
        action="store_true",
        help="print the names of the loads and of the contenders, and do nothing else",
    )
    option(
        "--loads",
        metavar="A,B,...",
        type=names,
        help="only these loads, by their names",
    )
    option(
        "--contenders",
        metavar="A,B,...",
        type=names,
        help="only these contenders, by their names",
    )
    option(
        "--ancestor",
        metavar="PATH",
        help="a virtual environment, or the Python in it, that AsynQueue is "
        "installed in, to measure that too",
    )
    option(
        "--workers",
        metavar="N",
        type=integer(1),
        default=2,
        help="how many worker processes (%(default)s)",
    )
    option(
        "--rounds",
        metavar="N",
        type=integer(1),
        default=3,
        help="how often each contender has its turn under each load (%(default)s)",
    )
    option(
        "--start-method",
        metavar="METHOD",
        help="how processes are started where the library lets us choose it: "
        "forkserver, spawn or fork (what asynqueue takes)",
    )
    option("--quick", action="store_true", help="do less, only to see that all works")
    addOutputs(option)
    return parser


def numbers(text: str) -> list[float]:
    """
    @return: The numbers in a list with commas.
    """
    return [float(number) for number in text.split(",")]


def addTune(add: Callable[..., Any]) -> Any:
    """
    Adds the command C{tune}.

    @return: Its parser.
    """
    parser = add(
        "tune",
        help="find out what to set here for interval, backoff and poller",
        description="Has calls of 0 to 200 ms, of 100 ms and of 1 s run with each "
        "interval and backoff and each poller, and over bare pipes, by turns and in "
        "processes of their own; prints how much of their time the workers work, how "
        "much is lost with a call and what it costs here, and says what to set.",
        epilog="All of it takes about four minutes; --quick takes some seconds, but "
        "its figures mean little. The defaults of the library are always measured. "
        "pip install 'asynqueue[bench]' installs what draws charts. Exit status: 0, "
        "whatever was measured, 2 if the command line is wrong, 130 after Ctrl-C.",
    )
    option = parser.add_argument
    option(
        "--intervals",
        metavar="S,S,...",
        type=numbers,
        help="the intervals to try, in seconds (0.001,0.01,0.1)",
    )
    option(
        "--backoffs",
        metavar="X,X,...",
        type=numbers,
        help="the backoffs to try with each of them (1.05,1.1,1.2)",
    )
    option(
        "--pollers",
        metavar="A,B,...",
        type=names,
        help="only these pollers, by their names",
    )
    option(
        "--loads",
        metavar="A,B,...",
        type=names,
        help="only these of the loads mixed, nap100 and nap1000",
    )
    option(
        "--workers",
        metavar="N",
        type=integer(1),
        help="how many worker processes (as many as there are CPU cores)",
    )
    option(
        "--seconds",
        metavar="S",
        type=seconds,
        help="about how long each trial keeps the workers busy (1.5)",
    )
    option(
        "--rounds",
        metavar="N",
        type=integer(1),
        help="how often all have their turn; from three on, noise can be told (3)",
    )
    option("--quick", action="store_true", help="do less, only to see that all works")
    addOutputs(option)
    return parser


def addOutputs(option: Callable[..., Any]) -> None:
    """
    Adds what commands that measure have in common.
    """
    option(
        "--json",
        metavar="FILE",
        nargs="?",
        const="-",
        help="write everything, with all samples, as JSON: to a file, or without "
        "FILE in place of the table",
    )
    option(
        "--chart",
        metavar="FILE",
        type=chartFile,
        help="draw a chart into FILE.svg or FILE.png",
    )


def parse(argv: Sequence[str], commands: Commands) -> argparse.Namespace:
    """
    Parses the arguments.

    @param commands: The functions that run the commands, by their names.
    @return: What the parser of L{makeParser} makes of them. Options may stand
        between the ITEMs too.
    @raise SystemExit: if there is something wrong with them.
    """
    before, after = list(argv), []
    if "--" in before:
        dashes = before.index("--")
        before, after = before[:dashes], before[dashes + 1 :]
    parser = makeParser(commands)
    args, more = parser.parse_known_args(before)
    strange = [*more, *after]
    if args.command == "map":
        # argparse takes ITEMs for unknown if an option stands between FUNCTION or
        # other ITEMs and them.
        strange = [word for word in more if re.match(r"-[^\d.]", word)]
        args.items += [*more, *after]
    if strange:
        parser.error(f"unrecognized arguments: {' '.join(strange)}")
    if args.command == "map":
        wrong = clustermap.contradiction(args)
        if wrong is not None:
            parser.error(wrong)
    return args
