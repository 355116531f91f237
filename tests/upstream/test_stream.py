"""Connections to upstreams: frames in any pieces, replies in any order, and upstreams that misbehave."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from fakes.held_clock import HeldClock, turns, until

from clusterdns.upstream.address import Address
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.question import Question
from clusterdns.upstream.settings import TransportSettings
from clusterdns.upstream.stream import MAX_CONNECTIONS, UpstreamConnections
from clusterdns.wire.name import from_text

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def asking(text: str) -> Question:
    return Question(from_text(text), b"\0\1\0\1", 0, is_stream=True)


def reply_to(query: bytes) -> bytes:
    return query[:2] + b"\x81\x80" + query[4:]


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


async def read_query(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(framed(reply_to(await read_query(reader))))


@asynccontextmanager
async def connections_to(serve: Serve, settings: TransportSettings | None = None) -> AsyncIterator[UpstreamConnections]:
    """Connections to a server; no task and no descriptor of them is left afterwards."""
    before = len(os.listdir("/proc/self/fd"))

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone, as most of these tests want
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connections = UpstreamConnections(Address("dns", "127.0.0.1", port), settings or TransportSettings(), tls=None)
    yield connections
    connections.close()
    assert connections.connections == []
    server.close()
    for _ in range(100):
        if len(asyncio.all_tasks()) == 1 and len(os.listdir("/proc/self/fd")) <= before:
            break
        await turns()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_frames_in_pieces_and_out_of_order() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, second = await read_query(reader), await read_query(reader)
        unasked = reply_to(b"\xff\xff" + first[2:])
        for byte in framed(b"") + framed(b"x") + framed(unasked) + framed(reply_to(second)) + framed(reply_to(first)):
            writer.write(bytes((byte,)))
            await writer.drain()
        await reader.read()

    one, two = asking("one."), asking("two.")
    async with connections_to(serve) as connections:
        connection = connections._choose(asyncio.get_running_loop(), needs_new=False)
        futures: list[asyncio.Future[bytes]] = [asyncio.get_running_loop().create_future() for _ in range(2)]
        ids = [connection.ask(question, future) for question, future in zip((one, two), futures, strict=True)]
        replies = await asyncio.gather(*futures)
        assert [reply[:2] for reply in replies] == ids
        assert one.is_answered_by(replies[0])
        assert two.is_answered_by(replies[1])


async def test_another_connection_is_opened_while_all_are_busy_up_to_four() -> None:
    async with connections_to(answer_all) as connections:
        await asyncio.gather(*(connections.ask(asking(f"x{number}."), 2.0) for number in range(40)))
        assert len(connections.connections) == MAX_CONNECTIONS
        assert [connection._answered for connection in connections.connections] == [10] * 4


@pytest.mark.parametrize("sent", [b"", b"\0", b"\0\x20half", b"\xff\xff" + bytes(1000)])
async def test_a_connection_that_went_silent_gets_no_more_questions(sent: bytes, held_clock: HeldClock) -> None:
    opened = received = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened, received
        opened += 1
        is_silent = opened == 1
        while True:
            query = await read_query(reader)
            received += 1
            writer.write(sent if is_silent else framed(reply_to(query)))

    async with connections_to(serve) as connections:
        first = asyncio.ensure_future(connections.ask(asking("one."), 2.0))
        await until(lambda: received)
        await held_clock.pass_seconds(2)
        with pytest.raises(ExchangeFailed, match=r"read tcp 127.0.0.1:\d+->127.0.0.1:\d+: i/o timeout"):
            await first
        assert connections.connections == []
        await connections.ask(asking("two."), 2.0)
        assert opened == 2


async def test_one_slow_answer_does_not_retire_a_connection(held_clock: HeldClock) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_query(reader)
        await answer_all(reader, writer)

    async with connections_to(serve) as connections:
        slow = asyncio.ensure_future(connections.ask(asking("slow."), 2.0))
        await held_clock.pass_seconds(1)
        (connection,) = connections.connections
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        connection.ask(asking("fast."), future)
        await future
        await held_clock.pass_seconds(1)
        with pytest.raises(ExchangeFailed):
            await slow
        assert connections.connections == [connection]


async def test_an_upstream_that_closes_after_answering_is_stale() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(framed(reply_to(await read_query(reader))))
        await read_query(reader)

    async with connections_to(serve) as connections:
        _, was_open = await connections.ask(asking("one."), 2.0)
        assert not was_open
        with pytest.raises(ExchangeFailed, match="EOF") as failed:
            await connections.ask(asking("two."), 2.0)
        assert failed.value.is_stale


async def test_an_upstream_that_closes_at_once_is_not_stale() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_query(reader)

    async with connections_to(serve) as connections:
        with pytest.raises(ExchangeFailed, match="EOF") as failed:
            await connections.ask(asking("one."), 2.0)
        assert not failed.value.is_stale


async def test_questions_to_an_upstream_that_never_reads_time_out(held_clock: HeldClock) -> None:
    has_ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport reads
        await has_ended.wait()

    async with connections_to(serve) as connections:
        asked = [asyncio.ensure_future(connections.ask(asking(f"x{number}."), 2.0)) for number in range(200)]
        await held_clock.pass_seconds(2)
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {ExchangeFailed}
        assert connections.connections == []
        has_ended.set()


@pytest.mark.parametrize(("max_idle", "left"), [(0, 4), (1, 1)])
async def test_idle_connections(max_idle: int, left: int, held_clock: HeldClock) -> None:
    settings = TransportSettings(max_idle=max_idle, expire_seconds=10)
    async with connections_to(answer_all, settings) as connections:
        await asyncio.gather(*(connections.ask(asking(f"x{number}."), 2.0) for number in range(8)))
        assert len(connections.connections) == left
        await held_clock.pass_seconds(9.9)
        assert len(connections.connections) == left
        await held_clock.pass_seconds(0.2)
        assert connections.connections == []


async def test_a_connection_of_a_certain_age_gets_no_more_questions(held_clock: HeldClock) -> None:
    async with connections_to(answer_all, TransportSettings(max_age_seconds=5, expire_seconds=60)) as connections:
        await connections.ask(asking("one."), 2.0)
        (young,) = connections.connections
        await held_clock.pass_seconds(6)
        await connections.ask(asking("two."), 2.0)
        assert not young.takes_questions(held_clock.now)
        assert connections.connections[-1] is not young
