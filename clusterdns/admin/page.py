"""A page of an admin listener as plugins make it: plain data, without the library that serves it over HTTP.

`listener` reads the request and writes the response.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"


class PageRequest(NamedTuple):
    """What a page may depend on; the names of headers are found in any case."""

    path: str
    query: Mapping[str, str] = MappingProxyType({})
    headers: Mapping[str, str] = MappingProxyType({})
    method: str = "GET"
    query_string: str = ""  # as received


class Page(NamedTuple):
    """The response to a request."""

    body: bytes
    content_type: str = TEXT
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    is_compressed: bool = False  # with gzip, which the client accepts


Respond = Callable[[PageRequest], Awaitable[Page]]


def text_page(text: str, status: int = 200) -> Page:
    """Make a page of plain text."""
    return Page(text.encode(), TEXT, status)
