"""Requests and responses between aiohttp and pages: bodies, responses in pieces, requests that are malformed."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator

import aiohttp
import pytest
from fakes.held_clock import until

from clusterdns.admin import exchange
from clusterdns.admin.http import AdminHttp, AdminRoute
from clusterdns.admin.page import BodyError, Page, PageRequest, text_page

ADDRESS = "127.0.0.1:0"


class Pieces:
    """A page in pieces, which the test makes, and that knows when it was closed."""

    def __init__(self) -> None:
        self.made: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.closed = 0

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            while (piece := await self.made.get()) is not None:
                yield piece
        finally:
            self.closed += 1

    async def respond(self, request: PageRequest) -> Page:
        return Page(b"begin;", pieces=self.pieces())


async def echo(request: PageRequest) -> Page:
    try:
        return text_page(f"{request.client} {(await request.read_body(10)).decode()}")
    except BodyError as error:
        return text_page(str(error), error.status)


@pytest.fixture
async def streamed() -> AsyncIterator[tuple[Pieces, AdminHttp]]:
    pieces, admin = Pieces(), AdminHttp()
    routes = {"/pieces": pieces.respond, "/echo": echo, "/below/*": echo, "/below/own": pieces.respond}
    await admin.apply([AdminRoute(ADDRESS, path, one, "x") for path, one in routes.items()])
    yield pieces, admin
    await admin.close()


async def connect(admin: AdminHttp, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", admin.port(ADDRESS))
    writer.write(request)
    return reader, writer


async def test_pieces_are_sent_when_they_are_made(streamed: tuple[Pieces, AdminHttp]) -> None:
    pieces, admin = streamed
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{admin.port(ADDRESS)}/pieces"
        async with session.get(url) as response:
            assert await response.content.readexactly(6) == b"begin;"
            for piece in (b"one;", b"", b"two;"):
                pieces.made.put_nowait(piece)
            assert await response.content.readexactly(8) == b"one;two;"
            pieces.made.put_nowait(None)
            assert await response.content.read() == b""
    assert pieces.closed == 1


async def test_an_empty_piece_ends_the_response_of_a_client_that_has_gone(streamed: tuple[Pieces, AdminHttp]) -> None:
    pieces, admin = streamed
    reader, writer = await connect(admin, b"GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"begin;")
    (listener,) = admin._listeners.values()
    writer.transport.abort()
    await until(lambda: not listener.connections)
    assert pieces.closed == 0
    pieces.made.put_nowait(b"")
    await until(lambda: pieces.closed == 1)


async def test_a_listener_closes_while_pieces_are_made(streamed: tuple[Pieces, AdminHttp]) -> None:
    pieces, admin = streamed
    reader, writer = await connect(admin, b"GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"begin;")
    await admin.close()
    await until(lambda: pieces.closed == 1)
    writer.close()


@pytest.mark.parametrize(
    ("path", "status"), [("/below/a", 200), ("/below/a/b", 200), ("/below/", 200), ("/below", 404), ("/echo/a", 404)]
)
async def test_a_route_serves_what_is_below_it(streamed: tuple[Pieces, AdminHttp], path: str, status: int) -> None:
    _, admin = streamed
    url = f"http://127.0.0.1:{admin.port(ADDRESS)}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == status


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 200, "127.0.0.1 "),
        (b"0123456789", 200, "127.0.0.1 0123456789"),
        (b"x" * 11, 413, "a body of more than 10 bytes"),
        (b"x" * (1 << 20), 413, "a body of more than 10 bytes"),
    ],
    ids=["empty", "full", "longer", "much longer"],
)  # fmt: skip
async def test_bodies_are_bounded(streamed: tuple[Pieces, AdminHttp], body: bytes, status: int, text: str) -> None:
    _, admin = streamed
    url = f"http://127.0.0.1:{admin.port(ADDRESS)}/echo"
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as response:
        assert (response.status, await response.text()) == (status, text)


async def test_a_body_has_a_time_limit(streamed: tuple[Pieces, AdminHttp], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BODY_SECONDS", 0.01)
    _, admin = streamed
    reader, writer = await connect(admin, b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
    assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /?q=" + b"a" * (10 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: " + b"x" * 20_000 + b"\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 40_000 + b"\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
    ids=["query of 10 MiB", "long header", "many headers", "nonsense", "length", "name of a header", "TLS"],
)
async def test_malformed_requests_are_answered_and_leave_no_trace_in_the_log(
    streamed: tuple[Pieces, AdminHttp], request_: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _, admin = streamed
    reader, writer = await connect(admin, request_)
    assert f" {status} ".encode() in await reader.readline()
    writer.transport.abort()
    assert caplog.messages == []


async def test_a_page_that_fails_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(request: PageRequest) -> Page:
        raise ValueError("broken")

    admin = AdminHttp()
    await admin.apply([AdminRoute(ADDRESS, "/", fails, "x")])
    url = f"http://127.0.0.1:{admin.port(ADDRESS)}/"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 500
        assert "broken" not in await response.text()
    await admin.close()
    assert "ValueError: broken" in caplog.text
