"""One request and its response over HTTP: what aiohttp has received as a PageRequest, and a Page as what it sends.

Beside `listener` the only module of the pages that knows aiohttp.
"""

import asyncio
import logging
from functools import partial
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from clusterdns.admin.page import BodyError, Page, PageRequest

BODY_SECONDS = 10.0  # for a request's body to arrive
OFF_LOOP_BYTES = 16_384  # from this size on compression runs in a thread; zlib releases the interpreter lock

log = logging.getLogger("clusterdns")


class HttpProtocol(web.RequestHandler):
    """aiohttp's handler of a connection, which logs no malformed request: any client could fill the log with them."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that is malformed or too long, and close the connection; other errors are aiohttp's."""
        if status != HTTPStatus.BAD_REQUEST:
            return super().handle_error(request, status, exc, message)
        log.debug("admin request of %s: %r", request.remote, exc)
        code = HTTPStatus.REQUEST_URI_TOO_LONG if isinstance(exc, LineTooLong) else HTTPStatus.BAD_REQUEST
        text = "the request or a header is too long" if isinstance(exc, LineTooLong) else "the request is malformed"
        response = web.Response(status=code, text=f"{text}\n")
        response.force_close()
        return response


def page_request(request: web.BaseRequest) -> PageRequest:
    """Describe a request whose headers are complete."""
    return PageRequest(
        request.path, request.query, request.headers, request.method, request.query_string,
        request.remote or "", partial(_read_body, request),
    )  # fmt: skip


async def respond(request: web.BaseRequest, page: Page) -> web.StreamResponse:
    """Make the response of a page; one in pieces is sent before this returns."""
    if page.pieces is not None:
        return await _send_pieces(request, page)
    response = web.Response(
        status=page.status,
        body=page.body,
        headers={"Content-Type": page.content_type, **page.headers},
        zlib_executor_size=OFF_LOOP_BYTES,
    )
    if page.is_compressed:
        response.enable_compression(web.ContentCoding.gzip)
    return response


async def _send_pieces(request: web.BaseRequest, page: Page) -> web.StreamResponse:
    """Send each piece when it is made; a client that does not read delays the next one."""
    assert page.pieces is not None
    response = web.StreamResponse(status=page.status, headers={"Content-Type": page.content_type, **page.headers})
    response.force_close()
    try:
        await response.prepare(request)
        if page.body:
            await response.write(page.body)
        async for piece in page.pieces:
            if request.transport is None or request.transport.is_closing():
                break
            if piece:
                await response.write(piece)
        await response.write_eof()
    except ConnectionError as error:
        log.debug("admin response to %s: %s", request.remote, error)
    finally:
        await page.pieces.aclose()
    return response


async def _read_body(request: web.BaseRequest, max_bytes: int) -> bytes:
    """Read the body. Raises BodyError where it is longer, or not complete in time."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.content.iter_any():
                body += part
                if len(body) > max_bytes:
                    raise BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body of more than {max_bytes} bytes")
    except TimeoutError:
        raise BodyError(HTTPStatus.REQUEST_TIMEOUT, f"no complete body within {BODY_SECONDS:g} s") from None
    return body
