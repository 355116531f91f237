"""A page of an admin listener as plugins make it: plain data, without the library that serves it over HTTP.

`exchange` reads the request and writes the response.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"


class BodyError(Exception):
    """The body of a request cannot be used; `status` is that of the response."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


async def no_body(max_bytes: int) -> bytes:
    """Read the body of a request that has none."""
    return b""


class PageRequest(NamedTuple):
    """What a page may depend on; the names of headers are found in any case."""

    path: str
    query: Mapping[str, str] = MappingProxyType({})
    headers: Mapping[str, str] = MappingProxyType({})
    method: str = "GET"
    query_string: str = ""  # as received
    client: str = ""  # the address
    read_body: Callable[[int], Awaitable[bytes]] = no_body  # at most so many bytes; raises BodyError


class Page(NamedTuple):
    """The response to a request."""

    body: bytes
    content_type: str = TEXT
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    is_compressed: bool = False  # with gzip, which the client accepts
    # a body that is sent in pieces while they are made, after `body`; an empty piece ends it where the client has gone
    pieces: AsyncGenerator[bytes, None] | None = None


Respond = Callable[[PageRequest], Awaitable[Page]]


def text_page(text: str, status: int = 200) -> Page:
    """Make a page of plain text."""
    return Page(text.encode(), TEXT, status)
