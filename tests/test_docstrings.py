"""
Every public module, class, method and function says what it does; and where users make
calls, what each of its parameters is.
"""

import ast
import re
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import asynqueue

PACKAGE = Path(__file__).parent.parent / "asynqueue"
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef

# The modules that users import from, and those that these are made of.
FACE = {
    *asynqueue._HOMES.values(),
    "bridges",
    "cluster",
    "memory",
    "memoryworker",
    "ordered",
    "processworker",
}

# What is handed on to a callable.
HANDED_ON = {"args", "kw"}


@cache
def trees():
    """
    @return: The syntax trees of all modules, by the names of their files.
    """
    paths = sorted(PACKAGE.glob("*.py"))
    return {path.name: ast.parse(path.read_text()) for path in paths}


def doc(node):
    return ast.get_docstring(node) or ""


def isPublic(node):
    return not node.name.startswith("_")


def isOther(node):
    """
    @return: C{True} for what another function of the same name has the docstring of: a
        setter, or one of several signatures.
    """
    decorators = [ast.unparse(d) for d in node.decorator_list]
    return any(d.endswith(".setter") or d == "overload" for d in decorators)


def members(owner, path=()):
    """
    @return: An iterator over the public functions and classes of a module or a class,
        each with the classes that it is in. A property is its getter.
    """
    for node in owner.body:
        if isinstance(node, ast.ClassDef) and isPublic(node):
            yield node, path
            yield from members(node, (*path, node))
        elif (
            isinstance(node, FUNCTIONS)
            and not isOther(node)
            and (isPublic(node) or node.name == "__init__")
        ):
            yield node, path


def parameters(function):
    """
    @return: The names of what a function takes from those who call it.
    """
    a = function.args
    named = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    names = [x.arg for x in named if x.arg not in ("self", "cls")]
    return [x for x in names if not x.startswith("_") and x not in HANDED_ON]


def told(name, text):
    """
    @return: C{True} if a docstring tells of a parameter: by a field, or in a sentence
        that has its name.
    """
    return re.search(rf"\b{name}s?\b", text) is not None


class DocstringsTests(SynchronousTestCase):
    def setUp(self):
        self.trees = trees()

    def all(self):
        """
        @return: An iterator over all that is public, with where it is.
        """
        for file, tree in self.trees.items():
            for node, path in members(tree):
                name = ".".join([*(c.name for c in path), node.name])
                yield f"{file}: {name}, line {node.lineno}", node, path

    def test_modules(self):
        """Every module says what it has."""
        wrong = [name for name, tree in self.trees.items() if not doc(tree)]
        self.assertEqual(wrong, [])

    def test_there(self):
        """So does every public class, method and function."""
        wrong = [
            where
            for where, node, _ in self.all()
            if not doc(node) and node.name != "__init__"
        ]
        self.assertEqual(wrong, [], f"{len(wrong)}\n" + "\n".join(wrong))

    def test_parameters(self):
        """And each of its parameters is told of where users make calls."""
        wrong = []
        for where, node, path in self.all():
            if isinstance(node, FUNCTIONS) and where.split(".")[0] in FACE:
                text = doc(node)
                if node.name == "__init__":
                    text += doc(path[-1])
                wrong += [
                    f"{where}: {name}"
                    for name in parameters(node)
                    if not told(name, text)
                ]
        self.assertEqual(wrong, [], f"{len(wrong)}\n" + "\n".join(wrong))
