"""Connections to the admin listeners: their number, and the time that a client has."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakes.held_clock import HeldClock, until
from peers import need

from clusterdns.admin.http import AdminHttp, AdminRoute
from clusterdns.admin.listener import AdminListener
from clusterdns.admin.page import Page, PageRequest, text_page
from clusterdns.admin.tls import AdminTls
from testing.certificates import self_sign

ANY_PORT = "127.0.0.1:0"
REQUEST = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = "x" * (8 << 20)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class AdminBed:
    """Admin listeners and their clients, while the time of the event loop stands still."""

    def __init__(self, tls: AdminTls | None, context: ssl.SSLContext | None, clock: HeldClock) -> None:
        self.admin = AdminHttp()
        self.tls, self.context, self.clock = tls, context, clock
        self.clients: list[Streams] = []

    async def open(self) -> None:
        async def health(request: PageRequest) -> Page:
            return text_page("OK")

        async def large(request: PageRequest) -> Page:
            return text_page(LARGE)

        answers = {"/health": health, "/large": large}
        await self.admin.apply([AdminRoute(ANY_PORT, path, one, "x", self.tls) for path, one in answers.items()])

    @property
    def listener(self) -> AdminListener:
        (listener,) = self.admin._listeners.values()
        return listener

    @property
    def limit(self) -> int:
        return self.admin._admission.limits.per_address

    async def connect(self, *, is_secured: bool = True) -> Streams:
        context = self.context if is_secured else None
        streams = await asyncio.open_connection("127.0.0.1", self.admin.port(ANY_PORT), ssl=context, limit=1 << 16)
        self.clients.append(streams)
        return streams

    async def until(self, count: int) -> None:
        """Wait until the listener has this many connections."""
        await until(lambda: len(self.listener.connections) == count)

    def pass_time(self, seconds: float) -> None:
        self.listener.sweep(self.clock.now + seconds)


@pytest.fixture(params=["http", "https"])
async def bed(request: pytest.FixtureRequest, tmp_path: Path, held_clock: HeldClock) -> AsyncIterator[AdminBed]:
    tls = context = None
    if request.param == "https":
        need("openssl")
        pair = self_sign(tmp_path, "admin.example")
        tls = AdminTls(str(pair.cert), str(pair.key))
        context = ssl.create_default_context(cafile=pair.cert)
        context.check_hostname = False
    bed = AdminBed(tls, context, held_clock)
    await bed.open()
    yield bed
    for _, writer in bed.clients:
        writer.transport.abort()
    await bed.admin.close()


async def is_answered(streams: Streams) -> bool:
    """Whether a request on this connection is answered."""
    reader, writer = streams
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    return head.startswith(b"HTTP/1.1 200") and await reader.readexactly(2) == b"OK"


async def has_ended(streams: Streams) -> bool:
    try:
        return await streams[0].read() is not None
    except ConnectionError:
        return True


async def test_probes_are_answered_while_idle_connections_exceed_the_limit(bed: AdminBed) -> None:
    kept = await bed.connect()
    assert await is_answered(kept)
    for number in range(3 * bed.limit):
        await bed.connect(is_secured=False)
        if number % bed.limit == 0:
            assert await is_answered(await bed.connect())
    await bed.until(bed.limit)
    assert await is_answered(kept), "a connection that has asked outlives silent ones"


@pytest.mark.parametrize("sent", [b"", REQUEST[:9]], ids=["nothing", "half a request"])
async def test_a_request_has_a_time_limit(bed: AdminBed, sent: bytes) -> None:
    silent, asking = await bed.connect(), await bed.connect()
    silent[1].write(sent)
    assert await is_answered(asking)
    bed.pass_time(9)
    await asyncio.sleep(0)
    assert len(bed.listener.connections) == 2
    bed.pass_time(11)
    assert await has_ended(silent)
    assert await is_answered(asking)


async def test_a_second_request_has_a_time_limit(bed: AdminBed) -> None:
    slow = await bed.connect()
    assert await is_answered(slow)
    bed.pass_time(60)
    assert await is_answered(slow)
    slow[1].write(REQUEST[:9])
    await until(lambda: next(iter(bed.listener.connections.values()))._is_partial)
    bed.pass_time(11)
    assert await has_ended(slow)


async def test_an_idle_connection_is_closed_in_time(bed: AdminBed) -> None:
    idle = await bed.connect()
    assert await is_answered(idle)
    bed.pass_time(76)
    assert await has_ended(idle)
    await bed.until(0)


async def test_a_client_that_does_not_read_its_response_is_disconnected(bed: AdminBed) -> None:
    _, writer = await bed.connect()
    writer.write(REQUEST.replace(b"health", b"large"))
    await until(lambda: any(one._is_stalled for one in bed.listener.connections.values()))
    bed.pass_time(29)
    assert len(bed.listener.connections) == 1
    bed.pass_time(31)
    await bed.until(0)


async def test_ended_connections_leave_nothing_behind(bed: AdminBed) -> None:
    for _ in range(5):
        streams = await bed.connect()
        assert await is_answered(streams)
        streams[1].transport.abort()
        (await bed.connect(is_secured=False))[1].transport.abort()
    await bed.until(0)
    assert len(bed.admin._admission) == 0
