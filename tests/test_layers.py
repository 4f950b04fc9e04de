"""
Tests of the order of the modules, and of habits that all of them keep.
"""

import ast
import re
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import asynqueue

STDLIB = frozenset(sys.stdlib_module_names)
PACKAGE = Path(asynqueue.__file__).parent
LISTED = re.findall(r"^  - C\{(\w+)\}: ", asynqueue.__doc__ or "", re.MULTILINE)
FAR = (
    "entry",
    "processbase",
    "reporting",
    "universe",
    "runner",
    "carried",
    "batches",
    "couriers",
    "tickets",
    "messages",
    "picklers",
    "sharing",
    "arrivals",
    "slots",
    "memoryfiles",
    "contents",
    "streams",
    "vigil",
    "packets",
    "rooms",
    "framing",
)
"""
What a worker process imports. Only the standard library, or each other; where it is
asked for, what runs a reactor there, or what pickles more.
"""
ASKED = ("asynqueue.reactorside", "cloudpickle")
LONGEST = 370
"""
How many lines a module has at most.
"""


def parse(name):
    """
    @return: The source of a module, and what it parses to.
    """
    source = (PACKAGE / f"{name}.py").read_text()
    return source, ast.parse(source)


def imported(tree, package="asynqueue"):
    """
    @return: For each import anywhere in a module of a package, the line that it
        is in, and the full name of what is imported; whether that is a module or
        something in one is not known.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = package if node.level else node.module
            if node.level and node.module:
                module = f"{package}.{node.module}"
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def atTopLevel(tree):
    """
    @return: The statements of a module that run when it is imported, for all
        that can be told: those of C{if}, C{try}, C{with} and classes too.
    """
    waiting = [tree]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node
                waiting.append(node)


def ours(name):
    """
    @return: The module of this package that a full name is of, or is in; an
        empty name if it is of the package itself, C{None} if it is not ours.
    """
    package, _, rest = name.partition(".")
    if package != "asynqueue":
        return None
    module = rest.partition(".")[0]
    return module if (PACKAGE / f"{module}.py").exists() else ""


def defaults(tree):
    """
    @return: The defaults of all arguments in a module.
    """
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from node.args.defaults
            yield from filter(None, node.args.kw_defaults)


def isMutable(default):
    """
    @return: C{True} for a display, a comprehension, or a call of what makes
        something mutable.
    """
    makers = ("list", "dict", "set", "bytearray", "deque", "defaultdict")
    if isinstance(default, ast.Call):
        return isinstance(default.func, ast.Name) and default.func.id in makers
    kinds = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    return isinstance(default, kinds)


class OrderTests(SynchronousTestCase):
    """
    The list in the package's docstring is the order of its modules.
    """

    def test_complete(self):
        """
        Each module is listed, once, and each that is listed is there.
        """
        found = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
        self.assertEqual(sorted(LISTED), sorted(found))

    def test_down(self):
        """
        A module imports only from those listed below it, wherever in it the
        import stands.
        """
        for place, name in enumerate(LISTED):
            for line, what in imported(parse(name)[1]):
                module = ours(what)
                if module is None:
                    continue
                where = f"asynqueue/{name}.py:{line} imports {what}"
                self.assertNotEqual(module, "", f"{where}, of the package itself")
                self.assertIn(module, LISTED[place + 1 :], f"{where}, which is above")

    def test_package(self):
        """
        The package itself imports nothing but what it takes to hand out names
        later.
        """
        _, tree = parse("__init__")
        names = [name for _, name in imported(tree) if ours(name) is None]
        self.assertLessEqual({name.partition(".")[0] for name in names}, STDLIB)
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for _, name in imported(ast.Module([node], [])):
                    self.assertIsNone(ours(name), name)

    def test_farSide(self):
        """
        What a worker process imports is of the standard library, but for what
        it imports only when it is asked for.
        """
        for name in FAR:
            _, tree = parse(name)
            for line, what in imported(tree):
                where = f"asynqueue/{name}.py:{line} imports {what}"
                if what in ASKED:
                    continue
                if ours(what) is None:
                    self.assertIn(what.partition(".")[0], STDLIB, where)
                else:
                    self.assertIn(ours(what), FAR, where)
            for node in atTopLevel(tree):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    for _, what in imported(ast.Module([node], [])):
                        self.assertNotIn(what, ASKED)

    def test_theseTests(self):
        """
        Imports are found wherever they stand, and however they are written.
        """
        tree = ast.parse(
            "import a.b as c\n"
            "if TYPE_CHECKING:\n"
            "    from asynqueue.x import y\n"
            "def f():\n"
            "    from . import tasks\n"
            "    from .base import TaskQueue\n"
            "    from asynqueue import queues\n"
        )
        names = [name for _, name in imported(tree)]
        self.assertEqual(
            sorted(names),
            [
                "a.b",
                "asynqueue.base.TaskQueue",
                "asynqueue.queues",
                "asynqueue.tasks",
                "asynqueue.x.y",
            ],
        )
        self.assertEqual(
            [ours(name) for name in sorted(names)],
            [None, "base", "queues", "tasks", ""],
        )


class HabitTests(SynchronousTestCase):
    """
    What no module does.
    """

    def check(self, findFaults):
        """
        @param findFaults: Is called with the source of a module and what it
            parses to, and gives the lines that have a fault.
        """
        for path in sorted(PACKAGE.glob("*.py")):
            lines = list(findFaults(*parse(path.stem)))
            self.assertEqual(lines, [], f"in the lines of asynqueue/{path.name}")

    def test_length(self):
        """
        None is too long to be read in one go.
        """

        def tooLong(source, tree):
            n = source.count("\n")
            return [n] if n > LONGEST else []

        self.check(tooLong)

    def test_hasattr(self):
        """
        None asks whether an object has an attribute, to tell its state or what
        it is.
        """

        def asks(source, tree):
            for node in ast.walk(tree):
                if isinstance(node, ast.Name) and node.id == "hasattr":
                    yield node.lineno

        self.check(asks)

    def test_except(self):
        """
        None catches what it does not name.
        """

        def bare(source, tree):
            for node in ast.walk(tree):
                if isinstance(node, ast.ExceptHandler) and node.type is None:
                    yield node.lineno

        self.check(bare)

    def test_reactor(self):
        """
        None imports the reactor, and so installs one, by being imported.
        """

        def installs(source, tree):
            for node in atTopLevel(tree):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    for line, name in imported(ast.Module([node], [])):
                        if name.startswith("twisted.internet.reactor"):
                            yield line

        self.check(installs)

    def test_defaults(self):
        """
        None has a default that could be changed.
        """

        def mutable(source, tree):
            return [node.lineno for node in defaults(tree) if isMutable(node)]

        self.check(mutable)
