"""Faults of an API server, or of a proxy before it, at the level of HTTP: what `testing.api_proxy` does to requests.

A fault is the value of `ApiProxy.fault`, for requests that come and for watches that are open. Faults of TCP are those
of `tcp_relay`, lost packets those of `packet_loss`.
"""

import asyncio
import json
from collections.abc import Iterable

from aiohttp import web

EXPIRED = (
    json.dumps(
        {
            "type": "ERROR",
            "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"},
        }
    ).encode()
    + b"\n"
)
GARBAGE = b"\x00\x17<html>upstream connect error</html>{]\n"
LOGIN_PAGE = "<!DOCTYPE html><html><body><form>Sign in to continue</form></body></html>"
UNAUTHORIZED = json.dumps({"kind": "Status", "status": "Failure", "code": 401, "reason": "Unauthorized"})


class Cut(Exception):
    """The end of a response in its middle: `part` is still sent, then the connection is aborted."""

    def __init__(self, part: bytes) -> None:
        super().__init__()
        self.part = part


class ApiFault:
    """What happens to requests and responses; this class changes nothing."""

    list_bytes: int | None = None  # of a list, streamed or not, after which its connection is aborted

    async def hold(self) -> None:
        """Wait before a request is forwarded, and before each piece of a response."""

    def refuse(self, request: web.BaseRequest) -> web.Response | None:
        """Return a response that is sent instead of forwarding the request."""
        return None

    def last_words(self) -> bytes:
        """Return what a watch sends and then ends, as soon as its list, if it has one, is complete; empty: nothing."""
        return b""

    def event(self, path: str, line: bytes) -> bytes:
        """Return what is sent instead of a line of a watch. Raises Cut."""
        return line


class Refusing(ApiFault):
    """The same response to every request."""

    def __init__(self, status: int, text: str = "", content_type: str = "application/json", **headers: str) -> None:
        self._status, self._text, self._content_type = status, text, content_type
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def refuse(self, request: web.BaseRequest) -> web.Response | None:
        """Return the response."""
        return web.Response(
            status=self._status, text=self._text, content_type=self._content_type, headers=self._headers
        )


class Frozen(ApiFault):
    """Connections that stay open and are acknowledged, and on which nothing passes until `release`."""

    def __init__(self) -> None:
        self._released = asyncio.Event()

    async def hold(self) -> None:
        """Wait for the release."""
        await self._released.wait()

    def release(self) -> None:
        """Let everything pass again. Call it in the proxy's event loop."""
        self._released.set()


class EndingWatches(ApiFault):
    """Watches that say something and end, as soon as they begin: `EXPIRED` (410) or `GARBAGE`."""

    def __init__(self, last_words: bytes) -> None:
        self._last_words = last_words

    def last_words(self) -> bytes:
        """Return the words."""
        return self._last_words


class CuttingWatches(ApiFault):
    """Watches that break in the middle of their first event."""

    def event(self, path: str, line: bytes) -> bytes:
        """Raise Cut with half of the line."""
        raise Cut(line[: len(line) // 2])


class CuttingLists(EndingWatches):
    """Watches that are expired, and lists that break after a number of bytes."""

    def __init__(self, list_bytes: int) -> None:
        super().__init__(EXPIRED)
        self.list_bytes = list_bytes


class LosingEvents(ApiFault):
    """Watches of a collection that lose one event in `every` without any error; `lost` has these lines."""

    def __init__(self, collection: str, every: int) -> None:
        self.lost: list[bytes] = []
        self._collection, self._every = collection, every
        self._count = 0

    def event(self, path: str, line: bytes) -> bytes:
        """Return the line, or nothing for one in so many changes."""
        if path.endswith(self._collection) and b'"type":"BOOKMARK"' not in line[:20]:
            self._count += 1
            if self._count % self._every == 0:
                self.lost.append(line)
                return b""
        return line


class RequiringToken(ApiFault):
    """401 for every request without one of the tokens, which may change at any time."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = set(tokens)

    def refuse(self, request: web.BaseRequest) -> web.Response | None:
        """Return 401 for another token."""
        if request.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens:
            return None
        return web.Response(status=401, text=UNAUTHORIZED, content_type="application/json")
