"""A stream of HTTP/2: one request, and what has arrived of its response."""

import asyncio

from h2.errors import ErrorCodes

from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.https.response import HttpResponse

Headers = list[tuple[str, str]]


class Http2Stream:
    """One request, and what has arrived of its response."""

    def __init__(self, headers: Headers, body: bytes, future: "asyncio.Future[HttpResponse]", where: str) -> None:
        self.headers = headers
        self.unsent = body
        self.future = future
        self.where = where  # for errors
        self.id = 0  # until the headers are sent
        self.fields: dict[bytes, bytes] = {}  # of the response
        self.received = bytearray()

    def response(self) -> HttpResponse:
        """Return the response, which has ended."""
        status, kind, age = (
            self.fields.get(name, b"").decode("latin-1") for name in (b":status", b"content-type", b"age")
        )
        return HttpResponse(int(status) if status.isdigit() else 0, kind, age, bytes(self.received))

    def fail(self, failed: ExchangeFailed) -> None:
        """Fail the request, unless it has ended."""
        if not self.future.done():
            self.future.set_exception(failed)


def code_name(code: object) -> str:
    """Return the name of an error code of HTTP/2."""
    return code.name if isinstance(code, ErrorCodes) else str(code)
