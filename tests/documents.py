"""
The code blocks of the texts: what kind each is of, and what is said of it.

A text is run from its beginning to its end, as whoever reads it would do: its blocks
of Python share one namespace, its programs, files and commands one directory. A comment
just before a block can say more of it::

    .. not run: WHY
    .. file: NAME              it is the contents of a file in the directory
    .. output:                 it is what the block before it prints; "..." is anything
    .. background: TEXT        its command goes on, once it has printed a text, until
                               SIGTERM at the end

A comment C{invisible-code-block: python} has code that the reader need not see. In a
text that mentions the port 8080, or 8786, a free one takes its place.
"""

import re
import textwrap
from functools import cache
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from docutils.core import publish_doctree
from docutils.parsers.rst import Directive, directives

TOP = Path(__file__).parent.parent
RUN = {"python", "console", "sh"}
SHOWN = {"text", "none"}
SETTINGS = {
    "report_level": 5,
    "halt_level": 5,
    "syntax_highlight": "none",
    "smart_quotes": False,
    "file_insertion_enabled": False,
}
SAID = re.compile(r"(not run|file|output|background|invisible-code-block): ?")


class Ignored(Directive):  # type: ignore[misc]
    """
    A directive that only Sphinx knows, with nothing in it to be run: a literalinclude
    shows a part of an example, which is run by itself.
    """

    has_content = True
    optional_arguments = 1
    option_spec = dict.fromkeys(
        ("hidden", "maxdepth", "caption", "pyobject", "start-at", "end-at", "dedent"),
        directives.unchanged,
    )

    def run(self):
        return []


directives.register_directive("toctree", Ignored)
directives.register_directive("literalinclude", Ignored)


class Block(NamedTuple):
    """
    @ivar kind: C{"python"}, C{"console"}, C{"sh"}, C{"text"} or C{"none"}; C{None} if
        the text does not say.
    @ivar said: What the comment before it begins with, C{None} if there is none.
    @ivar more: What it goes on with.
    @ivar line: The line of the text that it begins in, from 1.
    """

    kind: str | None
    code: str
    said: str | None
    more: str
    line: int

    @property
    def isProgram(self):
        runs = re.search(r"__name__ ==|^react\(|^reactor\.run\(", self.code, re.M)
        return self.kind == "python" and runs is not None

    @property
    def commands(self):
        """
        @return: The commands of a shell session, and what each shows.
        """
        found = []
        for line in self.code.splitlines():
            if line.startswith("$ "):
                found.append(([line[2:]], []))
            elif found and found[-1][0][-1].endswith("\\"):
                found[-1][0].append(line)
            elif found:
                found[-1][1].append(line)
            else:
                raise ValueError(f"Line {self.line}: a session begins with '$ '")
        return [
            ("\n".join(command), "".join(f"{line}\n" for line in shown))
            for command, shown in found
        ]


def texts():
    """
    @return: The paths of all texts, from the top.
    """
    return ["README.rst", *sorted(str(p) for p in _paths())]


def _paths():
    return (path.relative_to(TOP) for path in (TOP / "docs").rglob("*.rst"))


def _place(lines, after, code):
    first = code.split("\n", 1)[0].strip()
    rest = range(after + 1, len(lines))
    return next((n for n in rest if lines[n].strip() == first), after)


@cache
def blocks(source):
    """
    @return: A list of the L{Block}s of a text, not to be changed.
    """
    tree = publish_doctree(source, settings_overrides=SETTINGS)
    lines = source.splitlines()
    found, at, said = [], 0, ("", "")
    for node in tree.findall():
        if isinstance(node, nodes.comment):
            match = SAID.match(node.astext())
            if match and match[1] == "invisible-code-block":
                code = textwrap.dedent(node.astext().partition("\n")[2]).strip("\n")
                at = _place(lines, at, code)
                found.append(Block("python", code, None, "", at + 1))
            elif match:
                said = match[1], node.astext()[match.end() :]
        elif isinstance(node, (nodes.literal_block, nodes.doctest_block)):
            code = node.astext() + "\n"
            at = _place(lines, at, code)
            kinds = [c for c in node["classes"] if c != "code"] or [None]
            found.append(Block(kinds[0], code, said[0] or None, said[1], at + 1))
            said = ("", "")
        elif isinstance(node, nodes.Body) and not isinstance(node, nodes.Inline):
            said = ("", "")
    return found
