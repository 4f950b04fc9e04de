"""
What a browser is given, and to whom it is refused.
"""

from collections.abc import Iterable
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.web.http import (
    CACHED,
    FORBIDDEN,
    NOT_ALLOWED,
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    TEMPORARY_REDIRECT,
)
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from asynqueue.monitorstream import Stream

PAGE = Path(__file__).parent / "page"
"""
Where the files of the page are.
"""

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""
What they are, by how their names end.
"""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""
What a browser lets the page do: nothing but to read what comes from where it did.
"""

HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""
What every answer says.
"""

TEXT = "text/plain; charset=utf-8"


class Guard:
    """
    I know who is to be answered. A page of somebody else that is open in a browser on
    this machine can have its own name stand for 127.0.0.1, and would be free to read
    what is served there; but it cannot keep its name out of the request.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        """
        @param names: Under which names of a host I let requests through, beside
            those of the loopback interface. If there are any, under no others.
        """
        self._names = {name.lower().rstrip(".") for name in names}

    def refusal(self, request: Any) -> str | None:
        """
        @return: Why a request is refused, C{None} if it is not.
        """
        header = request.getHeader(b"host")
        address = request.getHost()
        isNet = isinstance(address, (IPv4Address, IPv6Address))
        isLocal = isNet and isLoopback(address.host)
        if header is None or not (isLocal or self._names):
            return None
        text = header.decode("utf-8", "replace")
        name = hostName(text)
        if isLoopback(name) or name in self._names:
            return None
        return (
            f"This page answers to localhost, not to {text!r}. If that is a name of "
            f"it, give names=[{name!r}] to asynqueue.monitor.resource.\n"
        )


def hostName(header: str) -> str:
    """
    @return: The name or address in a Host header, without its port.
    """
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower().rstrip(".")


def isLoopback(name: str) -> bool:
    """
    @return: C{True} if a name or an address is of the loopback interface.
    """
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback if mapped is None else bool(mapped.is_loopback)


def answer(request: Any, status: int, text: str) -> bytes:
    """
    @return: The body of an answer that is a text, whose headers are set.
    """
    request.setResponseCode(status)
    request.setHeader("Content-Type", TEXT)
    return text.encode("utf-8", "replace")


class Guarded(Resource):
    """
    I answer requests that a L{Guard} lets through, and only those that read.
    """

    def __init__(self, guard: Guard) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.guard = guard

    def render(self, request: Any) -> Any:
        """
        Answers a request.
        """
        body = self._body(request)
        if request.method == b"HEAD" and body is not NOT_DONE_YET:
            request.setHeader("Content-Length", str(len(body)))
            return b""
        return body

    def _body(self, request: Any) -> Any:
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        why = self.guard.refusal(request)
        if why is not None:
            return answer(request, FORBIDDEN, why)
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("Allow", "GET, HEAD")
            return answer(request, NOT_ALLOWED, "This can be read, and nothing else.\n")
        return self.read(request)

    def read(self, request: Any) -> Any:
        """
        @return: What is read by a request, as of C{IResource.render}.
        """
        return answer(request, NOT_FOUND, "There is nothing here.\n")

    def getChild(self, path: bytes, request: Any) -> Resource:
        """
        @return: What says that there is nothing.
        """
        return Guarded(self.guard)


class File(Guarded):
    """
    I am one file of the page.
    """

    def __init__(self, guard: Guard, name: str) -> None:
        super().__init__(guard)
        self._data = (PAGE / name).read_bytes()
        self._type = TYPES[Path(name).suffix]
        self._tag = f'"{sha256(self._data).hexdigest()[:16]}"'.encode()

    def read(self, request: Any) -> Any:
        """
        @return: My contents, unless the browser has them.
        """
        request.setHeader("Content-Type", self._type)
        return b"" if request.setETag(self._tag) is CACHED else self._data


class Page(File):
    """
    I am the page, and what is below it.
    """

    def __init__(self, guard: Guard, stream: Stream) -> None:
        super().__init__(guard, "index.html")
        for path in PAGE.iterdir():
            if path.suffix in TYPES and path.name != "index.html":
                self.putChild(path.name.encode(), File(guard, path.name))
        self.putChild(b"events", Events(guard, stream))

    def getChild(self, path: bytes, request: Any) -> Resource:
        """
        @return: Me, for the address that ends with a slash.
        """
        return self if path == b"" else super().getChild(path, request)

    def read(self, request: Any) -> Any:
        """
        @return: The page, at an address that what is below it can be found from.
        """
        if request.path.endswith(b"/"):
            return super().read(request)
        # Only the last part of it: whoever stands between may have put others before.
        request.setHeader(b"Location", b"./%b/" % request.path.rpartition(b"/")[2])
        return answer(request, TEMPORARY_REDIRECT, "The page is one slash further.\n")


class Events(Guarded):
    """
    I am where a L{Stream} is read.
    """

    def __init__(self, guard: Guard, stream: Stream) -> None:
        super().__init__(guard)
        self._stream = stream

    def read(self, request: Any) -> Any:
        """
        Begins to tell.
        """
        if self._stream.isFull():
            request.setHeader("Retry-After", "10")
            return answer(request, SERVICE_UNAVAILABLE, "Too many watch already.\n")
        request.setHeader("Cache-Control", "no-store")
        request.setHeader("Content-Type", "text/event-stream")
        # nginx would keep it back for a while.
        request.setHeader("X-Accel-Buffering", "no")
        if request.method == b"HEAD":
            return b""
        self._stream.add(request)
        return NOT_DONE_YET
