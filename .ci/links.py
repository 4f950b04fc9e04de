"""
Tells of links within the site in build/site that lead nowhere, and of what it would
load from elsewhere: it is to be readable without a network.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SITE = Path(__file__).parent.parent / "build" / "site"


class Page(HTMLParser):
    """
    I am a page: what it has, and what it refers to.

    @ivar places: The names in it that a link may lead to.
    @ivar links: Where its links lead.
    @ivar loaded: What it needs to be shown.
    """

    def __init__(self, path: Path) -> None:
        """
        @param path: The file that has it.
        """
        super().__init__()
        self.places = {"", "top"}
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: "list[tuple[str, str | None]]") -> None:
        """
        Sees one element.
        """
        has = {name: value or "" for name, value in attrs}
        self.places |= {has[name] for name in ("id", "name") if name in has}
        if tag == "a" and "href" in has:
            self.links.add(has["href"])
        elif tag == "link" and has.get("rel") in ("stylesheet", "icon"):
            self.loaded.add(has["href"])
        elif tag in ("img", "script", "object") and (has.keys() & {"src", "data"}):
            self.loaded.add(has.get("src") or has.get("data", ""))


def wrong(site: Path) -> "list[str]":
    """
    @param site: The directory of a site.
    @return: A line for each link that leads nowhere.
    """
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        for link in sorted(page.links | page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loaded and parts.scheme != "data":
                    found.append(f"{path.relative_to(site)} loads {link}")
                continue
            there = (
                (path.parent / unquote(parts.path)).resolve() if parts.path else path
            )
            if not there.exists():
                found.append(f"{path.relative_to(site)}: {link} is not there")
            elif there in pages and unquote(parts.fragment) not in pages[there].places:
                found.append(f"{path.relative_to(site)}: {link} has no such place")
    return found


if __name__ == "__main__":
    lines = wrong(SITE.resolve())
    print(*lines, sep="\n", end="\n" if lines else "")
    sys.exit(bool(lines))
