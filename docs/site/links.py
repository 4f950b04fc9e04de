"""
Links from the texts to the API pages, and from text to text: an extension of Sphinx.

The texts stay plain: ``TaskQueue.call`` in double backquotes becomes a link to that
method's page, and a link to ``faults.rst`` one to the page that is made of it. What
looks like such a name, and is none, is a warning.
"""

import inspect
import posixpath
import re
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.directives.code import CodeBlock
from sphinx.ext.intersphinx import InventoryAdapter
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

PACKAGE = "asynqueue"
NAME = re.compile(r"([A-Za-z_][\w.]*\w)(\(.*\))?", re.DOTALL)
TEXT = re.compile(r"([\w./-]+)\.rst(#[\w-]+)?")

log = logging.getLogger(__name__)


class Names:
    """
    I know the public names that have an API page.

    @ivar full: The full names by each of their ends that begin with a module, or with
        what a module has.
    """

    def __init__(self, inventory: dict[str, dict[str, object]]) -> None:
        """
        @param inventory: That of intersphinx: names by kinds of objects.
        """
        self.full: dict[str, set[str]] = {}
        modules = set(inventory.get("py:module", {}))
        for kind, names in inventory.items():
            if kind.startswith("py:"):
                for name in names:
                    self._add(name, modules)

    def _add(self, name: str, modules: set[str]) -> None:
        parts = name.split(".")
        if parts[0] != PACKAGE or any(p.startswith("_") for p in parts):
            return
        module = next(
            n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in modules
        )
        for start in range(min(module + 1, len(parts))):
            self.full.setdefault(".".join(parts[start:]), set()).add(name)

    def find(self, text: str) -> "str | None":
        """
        @return: The full name of what a text names, C{None} if it names nothing here.
        @raise LookupError: if it looks as if it did, but there is no such thing.
        """
        if any(part.startswith("_") for part in text.split(".")):
            return None
        if text in self.full:
            return self._choose(text)
        owner, _, attribute = text.rpartition(".")
        found = None
        if owner in self.full:
            found = self._inherited(self._choose(owner), attribute)
        if owner in (PACKAGE, "errors"):
            found = self._exported(owner, attribute)
        if found is None and (
            text.startswith((f"{PACKAGE}.", "errors."))
            or (owner in self.full and not owner.islower())
        ):
            raise LookupError(text)
        return found

    def _choose(self, text: str) -> "str | None":
        """
        @return: The name that has an end, C{None} if it is just a word, or if there are
            several that have it and none is exported by the package.
        """
        if text == PACKAGE or ("." not in text and text.islower()):
            return None
        names = self.full[text]
        if len(names) > 1:
            head, _, rest = text.partition(".")
            home = getattr(import_module(PACKAGE), "_HOMES", {}).get(head)
            names = names & {".".join(filter(None, (PACKAGE, home, head, rest)))}
        return next(iter(names)) if len(names) == 1 else None

    def _exported(self, owner: str, attribute: str) -> "str | None":
        """
        @return: The full name of what a module has from another.
        """
        name = owner if owner == PACKAGE else f"{PACKAGE}.{owner}"
        found = getattr(import_module(name), attribute, None)
        full = (
            f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
        )
        return full if full in self.full else None

    def _inherited(self, owner: "str | None", attribute: str) -> "str | None":
        """
        @return: The full name of an attribute that a class has from another.
        """
        module, _, name = (owner or "").rpartition(".")
        try:
            found = getattr(import_module(module), name)
        except (AttributeError, ImportError, ValueError):
            return None
        for base in found.__mro__ if inspect.isclass(found) else ():
            full = f"{base.__module__}.{base.__qualname__}.{attribute}"
            if full in self.full:
                return full
        return None


class Linker(SphinxPostTransform):
    """
    I put references in the place of names and links, before Sphinx resolves them.
    """

    default_priority = 5

    def run(self, **kw: object) -> None:
        """
        Goes through one text.
        """
        names = Names(InventoryAdapter(self.env).main_inventory)
        for literal in self._literals():
            match = NAME.fullmatch(literal.astext())
            if match:
                self._link(literal, names, match[1])
        for reference in list(self.document.findall(nodes.reference)):
            match = TEXT.fullmatch(reference.get("refuri", ""))
            if match:
                self._turn(reference, match)

    def _literals(self) -> Iterator[nodes.literal]:
        for node in list(self.document.findall(nodes.literal)):
            linked = isinstance(node.parent, (nodes.reference, addnodes.pending_xref))
            if not linked and not isinstance(node.parent, nodes.title):
                yield node

    def _link(self, literal: nodes.literal, names: Names, text: str) -> None:
        try:
            full = names.find(text)
        except LookupError:
            log.warning("there is no %r in the API pages", text, location=literal)
            return
        if full is not None:
            reference = addnodes.pending_xref(
                "",
                refdomain="py",
                reftype="obj",
                reftarget=full,
                refexplicit=True,
                refwarn=True,
                refdoc=self.env.docname,
            )
            reference.source, reference.line = literal.source, literal.line
            literal.replace_self(reference)
            reference += literal

    def _turn(self, reference: nodes.reference, match: "re.Match[str]") -> None:
        here = posixpath.dirname(self.env.docname)
        there = posixpath.normpath(posixpath.join(here, match[1]))
        if there not in self.env.found_docs:
            log.warning("there is no text %r", match[0], location=reference)
            return
        uri = self.app.builder.get_relative_uri(self.env.docname, there)
        reference["refuri"] = uri + (match[2] or "")
        reference["internal"] = True


def sweep(app: Sphinx, exception: "Exception | None") -> None:
    """
    Takes away what Sphinx made of the page that the API pages have replaced.
    """
    shutil.rmtree(Path(app.outdir) / "api.sphinx_files", ignore_errors=True)


def colour(*_: object) -> None:
    """
    Gives Sphinx its directive for code back, which pydoctor has replaced by one that
    takes all code for Python's.
    """
    directives.register_directive("code-block", CodeBlock)


def setup(app: Sphinx) -> dict[str, object]:
    """
    Has Sphinx use what is here.
    """
    app.add_post_transform(Linker)
    app.connect("env-before-read-docs", colour)
    app.connect("build-finished", sweep, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
