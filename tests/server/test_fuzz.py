"""Packets that no client should send: nothing fails, and other clients get the right answer.

Most go straight to the dispatcher, as many as the time allows; some thousands go through real sockets. All are drawn
from one seed, so a failure comes again.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Iterator

import dns.message
import pytest

from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.telemetry.metrics import Series
from testing.waiting import PATIENCE_SECONDS

PACKETS = 200_000
QUESTION = b"\x03web\x04prod\x03svc\x07cluster\x05local\0\0\1\0\1"
HEADER = b"\x01\0\0\1\0\0\0\0\0\0"
PLAIN = HEADER + QUESTION
WITH_OPT = HEADER[:-2] + b"\0\1" + QUESTION + b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
WITH_COOKIE = HEADER[:-2] + b"\0\1" + QUESTION + b"\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x0812345678"
SEEDS = [
    PLAIN,
    WITH_OPT,
    WITH_COOKIE,
    PLAIN.replace(b"\x03web", b"\x04nine"),
    PLAIN.replace(b"\x03web", b"\x03ext"),
    PLAIN.replace(b"\x03web", b"\x04ring").replace(b"\1\0\1", b"\xff\0\1"),
    HEADER + b"\x05_http\x04_tcp" + QUESTION[:-4] + b"\0\x21\0\1",
    HEADER + b"\x015\x010\x011\x0210\x07in-addr\x04arpa\0\0\x0c\0\1",
    HEADER + b"\x0810-1-0-2\x04prod\x03pod\x07cluster\x05local\0\0\x1c\0\1",
    HEADER + b"\x04boom\x04test\0\0\1\0\1",
]


def packets(count: int, generator: random.Random) -> Iterator[bytes]:
    """Noise, headers with noise behind, valid queries with a few bytes changed, cut or put in, and pointer games."""
    for _ in range(count):
        kind = generator.random()
        if kind < 0.1:
            yield generator.randbytes(generator.randrange(64))
        elif kind < 0.25:
            yield b"id" + HEADER[:9] + bytes((generator.randrange(3),)) + generator.randbytes(generator.randrange(80))
        elif kind < 0.35:
            yield b"id" + pointers(generator)
        else:
            yield b"id" + mutated(generator.choice(SEEDS), generator)


def mutated(seed: bytes, generator: random.Random) -> bytes:
    changed = bytearray(seed)
    for _ in range(generator.randrange(4)):
        position = generator.randrange(len(changed))
        manner = generator.random()
        if manner < 0.6:
            changed[position] = generator.choice((0, 1, 0x3F, 0x40, 0xC0, 0xFF, generator.randrange(256)))
        elif manner < 0.75:
            del changed[position:]
            changed += b"\0"
        elif manner < 0.9:
            changed[position:position] = generator.randbytes(generator.randrange(1, 9))
        else:
            changed += changed[position:]
    return bytes(changed)


def pointers(generator: random.Random) -> bytes:
    """Records whose names are chains, loops and ladders of compression pointers."""
    ladder = b"".join(
        struct.pack(">H", 0xC000 | generator.randrange(12, 256)) for _ in range(generator.randrange(1, 60))
    )
    name = generator.choice((b"", b"\1a", b"\x3f" + b"a" * 63)) + ladder
    counts = bytes((0, generator.randrange(2), 0, generator.randrange(2), 0, generator.randrange(3)))
    return HEADER[:4] + counts + generator.choice((QUESTION, name + b"\0\1\0\1")) + name + b"\0\1\0\1\0\0\0\0\0\0"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_no_packet_disturbs_the_dispatcher(
    transport: str,
    make_dispatch: Callable[..., Dispatch],
    make_listener: Callable[[str], ListenerContext],
    panics: Series,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("CRITICAL", "clusterdns")  # `boom.test.` fails as it should, ten thousand times
    dispatch, listener = make_dispatch(), make_listener(transport)
    client = ("127.0.0.1", 4)
    good = dispatch.miss(b"ok" + PLAIN, client, "127.0.0.1", listener)
    booms = 0
    for number, packet in enumerate(packets(PACKETS // 2, random.Random(f"20 {transport}"))):
        before = panics.value
        reply = dispatch.miss(packet, client, "127.0.0.1", listener)
        booms += panics.value != before
        assert panics.value == before or b"\x04boom\x04test\0" in packet.lower()
        if reply is not None:
            assert isinstance(reply, bytes)
            assert reply[:2] == packet[:2]
            assert reply[2] & 0x80
            assert len(reply) <= (1232 if transport == "udp" else 65535)
            assert len(packet) >= 12
        if number % 1000 == 0:
            assert dispatch.miss(b"ok" + PLAIN, client, "127.0.0.1", listener) == good
            if reply is not None:
                dns.message.from_wire(reply, ignore_trailing=False)
    assert booms


@pytest.mark.parametrize("manner", ["ladder", "labels"])
def test_long_chains_of_pointers_cost_little(
    manner: str, make_dispatch: Callable[..., Dispatch], make_listener: Callable[[str], ListenerContext]
) -> None:
    """As many steps as a message has room for would take milliseconds each; the reader gives up long before."""
    dispatch, listener = make_dispatch(), make_listener("tcp")
    start = 12 + len(QUESTION) + 12
    if manner == "ladder":
        rungs = b"".join(struct.pack(">H", 0xC000 | start + 2 * (n - 1)) for n in range(1, 8_000))
        last = 0xC000 | start + 2 * 7_000
    else:
        rungs = b"\1a" * 8_000
        last = 0xC000 | start
    text = b"\0\0\x10\0\1\0\0\0\0" + struct.pack(">H", len(rungs) + 1) + b"\0" + rungs
    packet = b"id\1\0\0\1\0\1\0\0\0\1" + QUESTION + text + struct.pack(">H", last) + b"\0\1\0\1\0\0\0\0\0\0"
    reply = dispatch.miss(packet, ("127.0.0.1", 4), "127.0.0.1", listener)
    assert isinstance(reply, bytes)
    assert reply[3] & 15 == 1


async def test_no_packet_disturbs_the_sockets(address: tuple[str, int], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "clusterdns")
    loop = asyncio.get_running_loop()
    failed: list[object] = []
    loop.set_exception_handler(lambda _, context: failed.append(context))
    generator = random.Random(21)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as hostile,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as honest,
    ):
        hostile.connect(address)
        honest.connect(address)
        for number, packet in enumerate(packets(4_000, generator)):
            hostile.send(packet)
            if number % 100 == 0:
                await loop.sock_sendall(honest, b"ok" + PLAIN)
                reply = dns.message.from_wire(await asyncio.wait_for(loop.sock_recv(honest, 4096), PATIENCE_SECONDS))
                assert reply.answer[0].to_text().endswith("10.96.0.10")
                drain(hostile)
    for _ in range(60):
        await hostile_stream(address, generator)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(struct.pack(">H", len(PLAIN) + 2) + b"ok" + PLAIN)
        assert (await asyncio.wait_for(reader.readexactly(4), PATIENCE_SECONDS))[2:] == b"ok"
        writer.transport.abort()
    assert not failed


def drain(sock: socket.socket) -> None:
    try:
        while sock.recv(65535):
            pass
    except BlockingIOError:
        return


async def hostile_stream(address: tuple[str, int], generator: random.Random) -> None:
    """A connection that sends messages of every size, then noise, and leaves in the middle."""
    reader, writer = await asyncio.open_connection(*address)
    stream = b"".join(struct.pack(">H", len(one)) + one for one in packets(30, generator) if len(one) >= 12)
    longest = PLAIN + generator.randbytes(65533 - len(PLAIN))
    tail = generator.choice((b"\0\0", b"\xff\xff" + b"id" + longest, generator.randbytes(500), b"\0\x0c" + bytes(12)))
    writer.write(stream + tail + generator.randbytes(generator.randrange(40)))
    writer.write_eof()
    try:
        await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
    except ConnectionError:
        return
    finally:
        writer.transport.abort()
