"""TCP connections: pipelining, limits and the end, with a clock that the test moves."""

import asyncio
import resource
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

import dns.message
import pytest
from server.misbehaving import MisbehavingHandler

from clusterdns.cluster.index.cluster import Index
from clusterdns.host.admission import ConnectionLimits
from clusterdns.host.sockets import bind_tcp
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.listeners import connection, later
from clusterdns.server.listeners.budget import MAX_STALLED, ConnectionBudget
from clusterdns.server.listeners.connection_table import TcpLimits
from clusterdns.server.listeners.tcp import TcpListener
from clusterdns.server.live.observation import Observation
from clusterdns.server.tap import Shed
from testing.waiting import PATIENCE_SECONDS, until

Start = Callable[..., Awaitable[TcpListener]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[TcpListener], Awaitable[Streams]]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def start(
    clock: Clock, make_dispatch: Callable[..., Dispatch], make_listener: Callable[[str], ListenerContext]
) -> AsyncIterator[Start]:
    """Start a listener with the given limits."""
    started: list[TcpListener] = []

    async def start(numbers: ConnectionLimits | None = None, **limits: float) -> TcpListener:
        sock = bind_tcp("127.0.0.1", 0)
        budget = ConnectionBudget(numbers or ConnectionLimits())
        times = TcpLimits(**limits)  # type: ignore[arg-type]
        listener = TcpListener(sock, make_dispatch(), make_listener("tcp"), times, budget, clock=clock)
        listener.start(asyncio.get_running_loop())
        started.append(listener)
        return listener

    yield start
    for listener in started:
        await listener.close(0)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connect a client, to be closed when the test ends."""
    connected: list[Streams] = []

    async def connect(listener: TcpListener) -> Streams:
        connected.append(await asyncio.open_connection(*listener.address))
        return connected[-1]

    yield connect
    for _, writer in connected:
        writer.transport.abort()


def framed(qname: str, number: int, **facts: int) -> bytes:
    query = dns.message.make_query(qname, "A", id=number, **facts).to_wire()  # type: ignore[arg-type]
    return struct.pack(">H", len(query)) + query


async def receive(reader: asyncio.StreamReader) -> dns.message.Message:
    size = int.from_bytes(await reader.readexactly(2), "big")
    return dns.message.from_wire(await reader.readexactly(size))


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the server has closed the connection, reset or not."""
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""
    except ConnectionResetError:
        return True


async def until_connected(listener: TcpListener, count: int) -> None:
    """Wait until the listener has this many connections, each with its transport."""

    def is_connected() -> bool:
        return len(listener.table.connections) == count and all(one.transport for one in opened(listener))

    await until(is_connected, f"{count} connections")


async def until_read(listener: TcpListener, queries: int, held_bytes: int = 0) -> connection.Connection:
    """Wait until the only connection has taken so many whole queries, and these further bytes; gives the connection."""
    await until_connected(listener, 1)
    (one,) = opened(listener)
    await until(lambda: (one._query_count, len(one._held)) == (queries, held_bytes), "sent bytes to be read")
    return one


def opened(listener: TcpListener) -> list[connection.Connection]:
    return [cast(connection.Connection, one) for one in listener.table.connections]


WEB = "web.prod.svc.cluster.local."
NINE = "nine.prod.svc.cluster.local."
FOUR = "four.prod.svc.cluster.local."


@pytest.mark.parametrize("count", [2, 63, 64, 65, 500])
async def test_pipelined_queries_are_all_answered(connect: Connect, count: int, start: Start) -> None:
    """RFC 7766 §6.2.1.1."""
    reader, writer = await connect(await start())
    writer.write(b"".join(framed(NINE if n % 3 else f"none-{n}.svc.cluster.local.", n) for n in range(count)))
    replies = [await receive(reader) for _ in range(count)]
    assert [reply.id for reply in replies] == list(range(count))
    assert all(bool(reply.answer) == bool(reply.id % 3) for reply in replies)


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 13, 100])
async def test_queries_may_arrive_in_pieces(connect: Connect, piece_bytes: int, start: Start) -> None:
    """RFC 7766 §8: the length and the message need not share a segment."""
    reader, writer = await connect(await start())
    stream = b"".join(framed(WEB, n) for n in range(4))
    for offset in range(0, len(stream), piece_bytes):
        writer.write(stream[offset : offset + piece_bytes])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert [(await receive(reader)).id for _ in range(4)] == [0, 1, 2, 3]


async def test_a_batch_is_answered_in_one_write(start: Start) -> None:
    listener = await start()
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
        await loop.sock_connect(sock, listener.address)
        await loop.sock_sendall(sock, b"".join(framed(WEB, n) for n in range(50)))
        received = await loop.sock_recv(sock, 65535)
    assert len(received) == 50 * len(received[: 2 + int.from_bytes(received[:2], "big")])


async def test_a_waiting_reply_does_not_delay_others(connect: Connect, start: Start) -> None:
    """RFC 7766 §7: replies may come in another order."""
    reader, writer = await connect(await start())
    writer.write(framed("slow.test.", 1) + framed(WEB, 2) + framed("done.test.", 3))
    ids = [(await receive(reader)).id for _ in range(3)]
    assert ids[0] == 2
    assert ids[-1] == 1


async def test_waiting_queries_of_one_connection_are_limited(connect: Connect, start: Start) -> None:
    listener = await start()
    reader, writer = await connect(listener)
    count = 3 * later.MAX_WAITING
    writer.write(b"".join(framed("slow.test.", n) for n in range(count)))
    replies = {(await receive(reader)).id for _ in range(count)}
    assert replies == set(range(count))


async def test_a_half_closed_connection_gets_its_replies(
    connect: Connect, start: Start, held_queries: MisbehavingHandler
) -> None:
    reader, writer = await connect(await start())
    writer.write(framed("held.test.", 1) + framed(WEB, 2) * 200)
    writer.write_eof()
    assert [(await receive(reader)).id for _ in range(200)] == [2] * 200
    held_queries.release()
    assert (await receive(reader)).id == 1
    assert await ended(reader)


@pytest.mark.parametrize("length", [0, 1, 11])
async def test_a_length_too_short_closes_the_connection(connect: Connect, length: int, start: Start) -> None:
    reader, writer = await connect(await start())
    writer.write(framed(WEB, 1) + struct.pack(">H", length) + bytes(length) + framed(WEB, 2))
    assert (await receive(reader)).id == 1
    assert await ended(reader)


async def test_the_longest_message_is_read(connect: Connect, start: Start) -> None:
    listener = await start()
    reader, writer = await connect(listener)
    query = dns.message.make_query(WEB, "A", id=7).to_wire()
    writer.write(b"\xff\xff" + query + bytes(65535 - len(query)) + framed(WEB, 8))
    assert (await receive(reader)).answer
    assert (await receive(reader)).id == 8
    assert listener.table.budget.held_bytes == 0


@pytest.mark.parametrize(
    ("queries", "rest", "seconds", "is_closed"),
    [
        ([], b"", 9, False),
        ([], b"", 10, True),
        ([framed(WEB, 1)], b"", 9, False),
        ([framed(WEB, 1)], b"", 10, True),
        ([], framed(WEB, 1)[:1], 4, False),
        ([], framed(WEB, 1)[:-1], 5, True),
        ([framed(WEB, 1)], framed(WEB, 2)[:9], 5, True),
        ([framed("never.test.", 1)], b"", 60, False),
    ],
    ids=["new", "new, long", "answered", "answered, long", "begun", "begun, long", "second begun, long", "waiting"],
)
async def test_an_idle_connection_is_closed_in_time(
    connect: Connect, queries: list[bytes], rest: bytes, seconds: float, is_closed: bool, start: Start, clock: Clock
) -> None:
    """RFC 7766 §6.2.3."""
    listener = await start()
    reader, writer = await connect(listener)
    writer.write(b"".join(queries) + rest)
    one = await until_read(listener, len(queries), len(rest))
    clock.now += seconds
    listener.table.sweep()
    assert one.transport.is_closing() == is_closed
    if is_closed:
        for _ in queries:
            await receive(reader)
        assert await ended(reader)
        await until_connected(listener, 0)


async def test_idle_time_runs_from_the_reply_not_from_the_sweep_before_it(
    connect: Connect, start: Start, clock: Clock
) -> None:
    listener = await start()
    reader, writer = await connect(listener)
    clock.now += 0.9
    writer.write(framed(WEB, 1))
    await receive(reader)
    clock.now += 9.5
    listener.table.sweep()
    (one,) = opened(listener)
    assert not one.transport.is_closing()
    clock.now += 0.5
    listener.table.sweep()
    assert await ended(reader)


async def test_a_query_sent_byte_by_byte_is_given_up(connect: Connect, start: Start, clock: Clock) -> None:
    listener = await start()
    reader, writer = await connect(listener)
    for count, byte in enumerate(framed(WEB, 1)[:5], 1):
        writer.write(bytes((byte,)))
        one = await until_read(listener, 0, count)
        assert not one.transport.is_closing()
        clock.now += 1
        listener.table.sweep()
    assert await ended(reader)


async def stall(listener: TcpListener, qname: str) -> socket.socket:
    """A client that reads nothing, and asks until the listener has stopped reading and the kernel takes no more."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    await asyncio.get_running_loop().sock_connect(sock, listener.address)
    queries = rest = framed(qname, 1) * 1_000

    def is_full() -> bool:
        nonlocal rest
        is_stalled = any(one.is_stalled for one in opened(listener) if one._client == sock.getsockname())
        try:
            while True:
                rest = rest[sock.send(rest) :] or queries
        except BlockingIOError:
            return is_stalled

    await until(is_full, "the listener to stop reading")
    return sock


async def test_a_client_that_does_not_read_is_disconnected(start: Start, clock: Clock) -> None:
    listener = await start()
    sock = await stall(listener, NINE)
    assert len(listener.table.budget.stalled) == 1
    for _ in range(7):
        clock.now += 1
        listener.table.sweep()
    await until_connected(listener, 0)
    assert not listener.table.budget.stalled
    sock.close()


async def test_a_slow_client_gets_every_reply_whole(connect: Connect, start: Start, large_index: Index) -> None:
    listener = await start()
    reader, writer = await connect(listener)
    writer.write(b"".join(framed(FOUR, n) for n in range(20)))
    await until(lambda: listener.table.budget.stalled, "the listener to stop reading")
    for number in range(20):
        size = int.from_bytes(await reader.readexactly(2), "big")
        reply = await reader.readexactly(size)
        assert int.from_bytes(reply[:2], "big") == number
        assert size == 12 + len(FOUR) + 1 + 4 + 4_000 * 16
    await until(lambda: not listener.table.budget.stalled, "the listener to read on")
    writer.write(framed(WEB, 99))
    assert (await receive(reader)).id == 99


@pytest.mark.parametrize("qname", [NINE, FOUR])
async def test_clients_that_never_read_are_bounded_and_do_not_delay_others(
    connect: Connect, qname: str, start: Start, large_index: Index
) -> None:
    listener = await start()
    reader, writer = await connect(listener)
    writer.write(framed(FOUR, 1))
    size = int.from_bytes(await reader.readexactly(2), "big")
    await reader.readexactly(size)
    before = rss_bytes()
    socks = []
    for number in range(200):
        socks.append(await stall(listener, qname))
        if number % 20 == 0:
            writer.write(framed(WEB, number))
            assert (await asyncio.wait_for(receive(reader), PATIENCE_SECONDS)).id == number
    unsent = sum(one.transport.get_write_buffer_size() for one in opened(listener))
    assert rss_bytes() - before < 16 << 20
    assert unsent + listener.table.budget.held_bytes < 13 << 20
    assert len(listener.table.budget.stalled) <= MAX_STALLED
    for sock in socks:
        sock.close()


def rss_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


async def test_over_its_share_a_client_loses_its_own_oldest_silent_connection(connect: Connect, start: Start) -> None:
    listener = await start(ConnectionLimits(per_address=3))
    clients = [await connect(listener) for _ in range(3)]
    clients[0][1].write(framed(WEB, 1))
    await receive(clients[0][0])
    newest = await connect(listener)
    assert await ended(clients[1][0])
    for reader, writer in (clients[0], clients[2], newest):
        writer.write(framed(WEB, 2))
        assert (await receive(reader)).id == 2
    assert len(listener.table.connections) == 3


async def test_a_full_table_closes_the_connection_idle_longest(connect: Connect, start: Start) -> None:
    listener = await start(ConnectionLimits(in_all=3))
    busy = await connect(listener)
    busy[1].write(framed("never.test.", 1))
    quiet, recent = await connect(listener), await connect(listener)
    await until_connected(listener, 3)
    await until(lambda: listener.table.budget.waiting_count == 1, "the query to reach its handler")
    recent[1].write(framed(WEB, 1))
    await receive(recent[0])
    newest = await connect(listener)
    assert await ended(quiet[0])
    for reader, writer in (recent, newest):
        writer.write(framed(WEB, 2))
        assert (await receive(reader)).id == 2
    assert len(listener.table.connections) == 3


async def test_long_unfinished_queries_share_a_budget(
    connect: Connect, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_HELD_BYTES", 100_000)
    listener = await start()
    clients = [await connect(listener) for _ in range(4)]

    async def until_holding(count: int, held_bytes: int) -> None:
        table = listener.table
        await until(lambda: (len(table.connections), table.budget.held_bytes) == (count, held_bytes), "sent bytes")

    of_one = 2 + 40_000
    for (_, writer), count, kept in zip(clients, (4, 4, 3, 2), (1, 2, 2, 2), strict=True):
        writer.write(b"\xff\xff" + bytes(40_000))
        await until_holding(count, kept * of_one)


async def test_close_answers_what_was_accepted(connect: Connect, start: Start) -> None:
    listener = await start()
    asking, quiet = await connect(listener), await connect(listener)
    await until_connected(listener, 2)
    asking[1].write(framed("slow.test.", 1) + framed(WEB, 2))
    closing = asyncio.create_task(listener.close(PATIENCE_SECONDS))
    assert await ended(quiet[0])
    assert [(await receive(asking[0])).id for _ in range(2)] == [2, 1]
    assert await ended(asking[0])
    await closing
    with pytest.raises(OSError, match=r"[Cc]onnect"):
        await connect(listener)


async def test_close_answers_what_the_kernel_has_received(connect: Connect, start: Start) -> None:
    """More than is read at once: a connection closed over unread queries is reset, and loses replies too."""
    listener = await start()
    reader, writer = await connect(listener)
    await until_connected(listener, 1)
    count = 1_000
    writer.write(b"".join(framed(WEB, number) for number in range(count)))
    assert not writer.transport.get_write_buffer_size(), "all is with the kernel"
    closing = asyncio.create_task(listener.close(PATIENCE_SECONDS))
    assert [(await receive(reader)).id for _ in range(count)] == list(range(count))
    assert await reader.read() == b"", "closed, not reset"
    await closing


async def test_a_length_too_short_is_not_waited_for(connect: Connect, start: Start) -> None:
    reader, writer = await connect(await start())
    writer.write(b"\0\x0b\0")
    assert await ended(reader)


async def test_waiting_queries_of_all_connections_are_limited(
    connect: Connect, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_ALL_WAITING", 3)
    listener = await start()
    listener.table.context.tap.observer = observer = Observation()
    reader, writer = await connect(listener)
    writer.write(b"".join(framed("slow.test.", n) for n in range(5)))
    assert {(await receive(reader)).id for _ in range(3)} == {0, 1, 2}
    writer.write(framed("slow.test.", 9))
    assert (await receive(reader)).id == 9
    await until(lambda: listener.table.budget.waiting_count == 0, "each waiting query to be over")
    observer.end_second(1.0)
    assert observer.shed_clients.top(5) == [(("127.0.0.1", Shed.QUERY.value), 2.0)]
    assert observer.per_second == 4.0  # replies


async def test_a_listener_that_never_started_can_be_closed(
    make_dispatch: Callable[..., Dispatch], make_listener: Callable[[str], ListenerContext]
) -> None:
    sock = bind_tcp("127.0.0.1", 0)
    await TcpListener(sock, make_dispatch(), make_listener("tcp")).close(1)
    assert sock.fileno() == -1


async def test_close_waits_no_longer_than_the_grace_time(connect: Connect, start: Start) -> None:
    listener = await start()
    reader, writer = await connect(listener)
    writer.write(framed("never.test.", 1))
    await until_read(listener, 1)
    await asyncio.wait_for(listener.close(0.05), PATIENCE_SECONDS)
    assert await ended(reader)
    assert not listener.table.connections


async def test_a_port_in_use_is_reported() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            bind_tcp("127.0.0.1", taken.getsockname()[1])


async def test_a_connection_without_a_first_query_has_its_own_timeout(
    clock: Clock, connect: Connect, start: Start
) -> None:
    listener = await start(first_seconds=3, idle_seconds=60)
    silent, _ = await connect(listener)
    reader, writer = await connect(listener)
    writer.write(framed("web.prod.svc.cluster.local", 1))
    assert (await receive(reader)).id == 1
    clock.now += 4
    listener.table.sweep()
    assert await ended(silent)
    writer.write(framed("web.prod.svc.cluster.local", 2))
    assert (await receive(reader)).id == 2


@pytest.mark.parametrize("at_once", [True, False])
async def test_queries_per_connection_are_limited(connect: Connect, start: Start, at_once: bool) -> None:
    listener = await start(max_queries=3)
    reader, writer = await connect(listener)
    queries = [framed("web.prod.svc.cluster.local", number) for number in range(5)]
    if at_once:
        writer.write(b"".join(queries))
        assert [(await receive(reader)).id for _ in range(3)] == [0, 1, 2]
    else:
        for number in range(3):
            writer.write(queries[number])
            assert (await receive(reader)).id == number
    assert await ended(reader)


async def test_an_open_connection_is_served_by_the_next_configuration(
    connect: Connect,
    start: Start,
    make_dispatch: Callable[..., Dispatch],
    make_listener: Callable[[str], ListenerContext],
) -> None:
    listener = await start()
    reader, writer = await connect(listener)
    writer.write(framed("web.prod.svc.cluster.local", 1))
    assert (await receive(reader)).id == 1
    facts = make_listener("tcp")
    assert listener.serve(make_dispatch(), facts, TcpLimits(max_queries=2)) == set()
    writer.write(framed("web.prod.svc.cluster.local", 2))
    assert (await receive(reader)).id == 2
    assert await ended(reader)
