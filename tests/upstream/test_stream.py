"""Connections to upstreams: frames in any pieces, replies in any order, and peers that misbehave."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from clusterdns.upstream.address import Address
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.question import Question
from clusterdns.upstream.stream import MAX_CONNECTIONS, Streams, StreamSettings
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


@asynccontextmanager
async def streams_to(serve: Serve, settings: StreamSettings | None = None) -> AsyncIterator[Streams]:
    """Streams to a server; nothing of them is left afterwards."""
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
    streams = Streams(Address("dns", "127.0.0.1", port), settings or StreamSettings(), is_tls=False)
    yield streams
    streams.close()
    assert streams.connections == []
    server.close()
    for _ in range(100):
        if len(asyncio.all_tasks()) == 1 and len(os.listdir("/proc/self/fd")) <= before:
            break
        await asyncio.sleep(0.005)
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
    async with streams_to(serve) as streams:
        connection = streams._choose(asyncio.get_running_loop(), has_to_be_new=False)
        futures: list[asyncio.Future[bytes]] = [asyncio.get_running_loop().create_future() for _ in range(2)]
        ids = [connection.ask(question, future) for question, future in zip((one, two), futures, strict=True)]
        replies = await asyncio.gather(*futures)
        assert [reply[:2] for reply in replies] == ids
        assert one.is_answered_by(replies[0])
        assert two.is_answered_by(replies[1])


async def test_another_connection_while_all_are_busy_up_to_four() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:  # one after the other, as CoreDNS does
            query = await read_query(reader)
            await asyncio.sleep(0.005)
            writer.write(framed(reply_to(query)))

    async with streams_to(serve) as streams:
        await asyncio.gather(*(streams.ask(asking(f"x{number}."), 2.0) for number in range(40)))
        assert len(streams.connections) == MAX_CONNECTIONS
        loads = [connection._answered for connection in streams.connections]
        assert loads == [10] * 4


@pytest.mark.parametrize("sent", [b"", b"\0", b"\0\x20half", b"\xff\xff" + bytes(1000)])
async def test_a_connection_that_went_silent_gets_no_more_questions(sent: bytes) -> None:
    opened = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        is_silent = opened == 1
        while True:
            query = await read_query(reader)
            writer.write(sent if is_silent else framed(reply_to(query)))

    async with streams_to(serve) as streams:
        with pytest.raises(ExchangeFailed, match=r"read tcp 127.0.0.1:\d+->127.0.0.1:\d+: i/o timeout"):
            await streams.ask(asking("one."), 0.02)
        assert streams.connections == []
        await streams.ask(asking("two."), 1.0)
        assert opened == 2


async def test_one_slow_answer_does_not_spoil_a_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_query(reader)
        while True:
            writer.write(framed(reply_to(await read_query(reader))))

    async with streams_to(serve) as streams:
        slow = asyncio.ensure_future(streams.ask(asking("slow."), 0.05))
        await asyncio.sleep(0.01)
        (connection,) = streams.connections
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        connection.ask(asking("fast."), future)
        await future
        with pytest.raises(ExchangeFailed):
            await slow
        assert streams.connections == [connection]


async def test_a_peer_that_closes_after_answering_is_stale() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(framed(reply_to(await read_query(reader))))
        await read_query(reader)

    async with streams_to(serve) as streams:
        _, was_there = await streams.ask(asking("one."), 1.0)
        assert not was_there
        with pytest.raises(ExchangeFailed, match="EOF") as failed:
            await streams.ask(asking("two."), 1.0)
        assert failed.value.is_stale


async def test_a_peer_that_closes_at_once_is_not() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_query(reader)

    async with streams_to(serve) as streams:
        with pytest.raises(ExchangeFailed, match="EOF") as failed:
            await streams.ask(asking("one."), 1.0)
        assert not failed.value.is_stale


async def test_a_peer_that_never_reads() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport reads
        await asyncio.sleep(0.2)

    async with streams_to(serve) as streams:
        asked = [asyncio.ensure_future(streams.ask(asking(f"x{number}."), 0.03)) for number in range(200)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {ExchangeFailed}
        assert streams.connections == []


@pytest.mark.parametrize(("max_idle", "left"), [(0, 4), (1, 1)])
async def test_how_many_stay_idle(max_idle: int, left: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            query = await read_query(reader)
            await asyncio.sleep(0.005)
            writer.write(framed(reply_to(query)))

    async with streams_to(serve, StreamSettings(max_idle=max_idle, expire_seconds=0.05)) as streams:
        await asyncio.gather(*(streams.ask(asking(f"x{number}."), 1.0) for number in range(8)))
        assert len(streams.connections) == left
        await asyncio.sleep(0.08)
        assert streams.connections == []


async def test_age() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(framed(reply_to(await read_query(reader))))

    async with streams_to(serve, StreamSettings(max_age_seconds=0.03)) as streams:
        await streams.ask(asking("one."), 1.0)
        (young,) = streams.connections
        await asyncio.sleep(0.04)
        await streams.ask(asking("two."), 1.0)
        assert not young.takes_questions(asyncio.get_running_loop().time())
        assert streams.connections[-1] is not young
