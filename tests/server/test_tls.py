"""DNS over TLS: half-closed connections, silent handshakes, garbage, and what they cost."""

import asyncio
import gc
import logging
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import dns.message
import pytest
from peers import need
from server.misbehaving import MisbehavingHandler

from clusterdns.host.admission import ConnectionLimits
from clusterdns.host.resources import resident_bytes
from clusterdns.host.sockets import bind_tcp
from clusterdns.host.tls import server_context
from clusterdns.host.tls_stream import Handshakes, TlsStream
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.listeners import tcp
from clusterdns.server.listeners.budget import ConnectionBudget
from clusterdns.server.listeners.tcp import TcpListener
from testing.certificates import self_sign
from testing.waiting import PATIENCE_SECONDS, until

WEB, SLOW, NEVER, FOUR = "web.prod.svc.cluster.local.", "slow.test.", "never.test.", "four.prod.svc.cluster.local."
MIB = 1 << 20


def framed(qname: str, number: int) -> bytes:
    query = dns.message.make_query(qname, "A", id=number).to_wire()
    return struct.pack(">H", len(query)) + query


class TlsClient:
    """A client of DNS over TLS that can close one direction, which asyncio and ssl.SSLSocket cannot."""

    def __init__(self, context: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        self.reader, self.writer = reader, writer

    def flush(self) -> None:
        self.writer.write(self.outgoing.read())

    async def handshake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                await self._more()
            else:
                self.flush()
                return

    def send(self, data: bytes) -> None:
        self.tls.write(data)
        self.flush()

    def close_notify(self) -> None:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()

    async def receive(self, count: int) -> list[int]:
        """The IDs of this many replies."""
        received = b""
        ids: list[int] = []
        while len(ids) < count:
            try:
                received += self.tls.read(65536)
            except ssl.SSLWantReadError:
                await self._more()
            while len(received) >= 2 and len(received) >= 2 + int.from_bytes(received[:2], "big"):
                end = 2 + int.from_bytes(received[:2], "big")
                ids.append(int.from_bytes(received[2:4], "big"))
                received = received[end:]
        return ids

    async def ended(self) -> bool:
        """Whether the server has closed the connection."""
        try:
            return await asyncio.wait_for(self.reader.read(), PATIENCE_SECONDS) is not None
        except ConnectionError:
            return True

    async def _more(self) -> None:
        data = await asyncio.wait_for(self.reader.read(65536), PATIENCE_SECONDS)
        if not data:
            raise EOFError
        self.incoming.write(data)


class TlsBed:
    """A TLS listener and its clients."""

    def __init__(self, listener: TcpListener, context: ssl.SSLContext) -> None:
        self.listener, self.context = listener, context
        self.clients: list[TlsClient] = []

    async def connect(self) -> TlsClient:
        self.clients.append(TlsClient(self.context, *await asyncio.open_connection(*self.listener.address)))
        return self.clients[-1]

    async def connect_secured(self) -> TlsClient:
        client = await self.connect()
        await client.handshake()
        return client

    async def until(self, count: int) -> None:
        """Wait until the listener has this many connections."""
        await until(lambda: len(self.listener.table.connections) == count, f"{count} connections")


LIMITS = ConnectionLimits(in_all=60, per_address=40, over_tls=50)


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def bed(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    make_dispatch: Callable[..., Dispatch],
    make_listener: Callable[[str], ListenerContext],
) -> AsyncIterator[TlsBed]:
    need("openssl")
    certificate = self_sign(tmp_path, "dns.example")
    tls = server_context(str(certificate.cert), str(certificate.key))
    listener = TcpListener(
        bind_tcp("127.0.0.1", 0), make_dispatch(), make_listener("tcp"), None, ConnectionBudget(LIMITS),
        tls=tls, clock=lambda: 0.0,  # a connection ends because of its time where a test says so
    )  # fmt: skip
    listener.start(asyncio.get_running_loop())
    context = ssl.create_default_context(cafile=certificate.cert)
    context.check_hostname = False
    context.minimum_version = context.maximum_version = request.param
    bed = TlsBed(listener, context)
    yield bed
    for client in bed.clients:
        client.writer.transport.abort()
    await listener.close(0)


async def test_replies_that_wait_are_sent_after_the_client_s_close_notify(
    bed: TlsBed, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 8446 §6.1: a close_notify ends one direction only."""
    client = await bed.connect_secured()
    client.send(framed(SLOW, 1) + framed(WEB, 2) + framed(SLOW, 3))
    client.close_notify()
    assert await client.receive(3) == [2, 1, 3]
    assert await client.ended()
    await bed.until(0)
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


async def test_a_closed_connection_is_no_reference_cycle(bed: TlsBed) -> None:
    """The collector does not walk what it has frozen: connections in a cycle would stay."""
    gc.collect()
    gc.disable()
    try:
        silent = await bed.connect()
        client = await bed.connect_secured()
        client.send(framed(WEB, 1))
        assert await client.receive(1) == [1]
        for one in (client, silent):
            one.writer.transport.abort()
        await bed.until(0)
        await asyncio.sleep(0)
        assert not [one for one in gc.get_objects() if isinstance(one, TlsStream)]
    finally:
        gc.enable()


async def test_a_half_closed_socket_gets_its_replies_over_tls(bed: TlsBed, held_queries: MisbehavingHandler) -> None:
    client = await bed.connect_secured()
    client.send(framed("held.test.", 1) + framed(WEB, 2) * 200)
    client.writer.write_eof()
    assert await client.receive(200) == [2] * 200
    held_queries.release()
    assert await client.receive(1) == [1]
    assert await client.ended()


async def test_large_replies_are_sent_after_the_close_notify_of_a_slow_reader(bed: TlsBed, large_index: object) -> None:
    client = await bed.connect_secured()
    client.send(b"".join(framed(FOUR, number) for number in range(20)))
    client.close_notify()
    assert await client.receive(20) == list(range(20))


@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_handshake_may_arrive_in_pieces(bed: TlsBed, pieces: int) -> None:
    client = await bed.connect()
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    hello = client.outgoing.read()
    for offset in range(0, len(hello), pieces):
        client.writer.write(hello[offset : offset + pieces])
        await asyncio.sleep(0)
    await client.handshake()
    client.send(framed(WEB, 1))
    assert await client.receive(1) == [1]


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", framed(WEB, 1), b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", bytes(100), b"\xff" * 999],
    ids=["HTTP", "plain DNS", "empty hello", "zeros", "ones"],
)
async def test_bytes_that_are_not_tls_close_the_connection_in_silence(
    bed: TlsBed, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = await bed.connect()
    client.writer.write(garbage)
    assert await client.ended()
    await bed.until(0)
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


@pytest.mark.parametrize("is_secured", [False, True], ids=["no bytes", "handshake alone"])
async def test_silent_connections_give_way_to_one_that_asks(bed: TlsBed, is_secured: bool) -> None:
    good = await bed.connect_secured()
    good.send(framed(WEB, 1))
    assert await good.receive(1) == [1]
    for _ in range(2 * LIMITS.per_address):
        await (bed.connect_secured() if is_secured else bed.connect())
    await bed.until(LIMITS.per_address)
    for client in (good, await bed.connect_secured()):
        client.send(framed(WEB, 2))
        assert await client.receive(1) == [2]


async def test_a_handshake_has_a_time_limit(bed: TlsBed) -> None:
    silent, begun, complete = await bed.connect(), await bed.connect(), await bed.connect_secured()
    begun.writer.write(b"\x16\x03\x01\x02\x00\x01")
    complete.send(framed(WEB, 1))
    assert await complete.receive(1) == [1]
    await bed.until(3)
    for connection in bed.listener.table.connections:
        connection.check_time(bed.listener.table.now() + 6, bed.listener.table.limits)
    assert await silent.ended()
    assert await begun.ended()
    complete.send(framed(WEB, 2))
    assert await complete.receive(1) == [2]


async def test_a_connection_in_its_handshake_takes_a_bounded_amount_of_memory(bed: TlsBed) -> None:
    before = resident_bytes()
    for _ in range(10):
        for _ in range(LIMITS.per_address):
            client = await bed.connect()
            client.writer.write(b"\x16\x03\x01\x40\x00\x01")
        await bed.until(LIMITS.per_address)
    assert resident_bytes() - before < 24 * MIB


async def test_closing_sends_the_replies_that_wait(bed: TlsBed) -> None:
    asking, silent = await bed.connect_secured(), await bed.connect()
    asking.send(framed(SLOW, 1) + framed(WEB, 2))
    closing = asyncio.create_task(bed.listener.close(PATIENCE_SECONDS))
    assert await asking.receive(2) == [2, 1]
    assert await silent.ended()
    await closing
    assert not bed.listener.table.connections


async def test_memory_is_returned_after_a_flood_of_handshakes(bed: TlsBed, monkeypatch: pytest.MonkeyPatch) -> None:
    returned: list[int] = []
    monkeypatch.setattr(tcp, "return_free_memory", lambda: returned.append(len(bed.listener.table.connections)))
    monkeypatch.setattr(tcp, "RETURN_FROM", 20)
    for count, expected in ((19, []), (0, []), (30, []), (16, []), (14, [14]), (0, [14])):
        while len(bed.clients) > count:
            gone = bed.clients.pop().writer
            gone.close()
            await gone.wait_closed()
        while len(bed.clients) < count:
            await bed.connect()
        await bed.until(count)
        bed.listener._return_memory()
        assert returned == expected, count


async def test_handshakes_take_a_few_steps_per_turn_and_the_newest_goes_first() -> None:
    steps: list[int] = []

    class Step:
        def __init__(self, number: int) -> None:
            self.number = number

        def advance(self) -> None:
            steps.append(self.number)

    handshakes = Handshakes()
    for number in range(5):
        handshakes.add(Step(number))  # type: ignore[arg-type]
    seen = []
    for _ in range(5):
        await asyncio.sleep(0)
        seen.append(list(steps))
    assert seen == [[4, 3], [4, 3, 2, 1], *[[4, 3, 2, 1, 0]] * 3]
