"""Forged replies in masses: none is accepted, and the true reply that comes last is delivered.

The upstream is a process of its own, which sends 100,000 forgeries from its true address before each true reply: wrong
IDs, and right ones with another name, another type, other case, without QR, and bytes that are not a message.
"""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from fakes.held_clock import HeldClock

from clusterdns.upstream.datagram import UdpExchanges
from clusterdns.upstream.exchange import FLOOD_DATAGRAMS, FLOOD_SECONDS
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.question import Question
from clusterdns.wire.header import RD
from clusterdns.wire.name import from_text

FORGERIES = 100_000
SECONDS = 2.0

FORGER = """
import os, socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
server.settimeout(60)
query, client = server.recvfrom(4096)
for asked in (1, 2):
    question = query[12:]
    def reply(id, question, address=b"\\6\\6\\6\\6", flags=b"\\x81\\x80"):
        record = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\1\\x2c\\0\\4" + address
        return id + flags + b"\\0\\1\\0\\1\\0\\0\\0\\0" + question + record
    forged = [
        reply(query[:2], b"\\3foo" + question[4:]), reply(query[:2], question[:-4] + b"\\0\\x1c\\0\\1"),
        reply(query[:2], question, flags=b"\\1\\0"), query[:2] + os.urandom(40), query[:7],
    ]
    if asked == 2:
        forged.append(reply(query[:2], question.swapcase()))
    while len(forged) < 1000:
        id = os.urandom(2)
        if id != query[:2]:
            forged.append(reply(id, question))
    for number in range(int(sys.argv[1])):
        server.sendto(forged[number % 1000], client)
    server.settimeout(0.01)
    for _ in range(6000):  # until the next query, because a socket whose reader has no core is full, and drops it
        server.sendto(reply(query[:2], question, b"\\1\\2\\3\\4"), client)
        try:
            query, client = server.recvfrom(4096)
            break
        except TimeoutError:
            pass
"""


@pytest.fixture
def forger() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", FORGER, str(FORGERIES)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


async def test_forgeries_are_ignored_and_the_true_reply_delivered(forger: int, held_clock: HeldClock) -> None:
    exchanges = UdpExchanges()
    loop = asyncio.get_running_loop()
    for number in range(2):
        question = Question(from_text(f"name{number}.example.org."), b"\0\1\0\1", RD, is_stream=False)
        asking = loop.create_task(exchanges.ask(question, ("127.0.0.1", forger), SECONDS))
        turns = 0
        while not asking.done():  # the event loop turns all the while
            await asyncio.sleep(0)
            turns += 1
        exchange = await asking
        assert exchange.reply.endswith(b"\1\2\3\4")
        assert exchange.ignored > FLOOD_DATAGRAMS
        assert turns > 20
    assert len(exchanges) == 0
    exchanges.close()


async def test_in_a_flood_the_question_is_asked_over_tcp_as_well(forger: int, held_clock: HeldClock) -> None:
    exchanges = UdpExchanges()
    question = Question(from_text("name.example.org."), b"\0\1\0\1", RD, is_stream=False)

    async def fallback() -> bytes:
        return b"over TCP"

    exchange = await exchanges.ask(question, ("127.0.0.1", forger), SECONDS, fallback=fallback)
    assert exchange.reply == b"over TCP"
    assert FLOOD_DATAGRAMS <= exchange.ignored < FLOOD_DATAGRAMS * 2
    exchanges.close()


async def test_an_exchange_gets_more_time_in_a_flood(held_clock: HeldClock) -> None:
    exchanges = UdpExchanges()
    question = Question(from_text("name.example.org."), b"\0\1\0\1", RD, is_stream=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        forger.bind(("127.0.0.1", 0))
        asking = asyncio.ensure_future(exchanges.ask(question, forger.getsockname(), SECONDS))
        await asyncio.sleep(0)
        query, client = forger.recvfrom(4096)
        (exchange,) = exchanges._open.values()
        wrong_id = bytes((query[0] ^ 1, query[1]))
        while exchange.ignored < FLOOD_DATAGRAMS:
            forger.sendto(wrong_id + query[2:], client)
            await asyncio.sleep(0)
    await held_clock.pass_seconds(SECONDS)
    assert not asking.done()
    await held_clock.pass_seconds(FLOOD_SECONDS - SECONDS)
    with pytest.raises(ExchangeFailed, match="i/o timeout"):
        await asking
    exchanges.close()


@pytest.mark.parametrize(
    ("name_text", "randomizes_case"), [("name.example.org.", True), ("a.b.", True), ("name.example.org.", False)]
)
async def test_a_forger_who_tries_every_id_is_not_believed(
    name_text: str, randomizes_case: bool, held_clock: HeldClock
) -> None:
    exchanges = UdpExchanges()
    question = Question(from_text(name_text), b"\0\1\0\1", RD, is_stream=False)

    swept = asyncio.Event()

    async def fallback() -> bytes:
        await swept.wait()
        return b"over TCP"

    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        forger.bind(("127.0.0.1", 0))
        asking = loop.create_task(
            exchanges.ask(question, forger.getsockname(), SECONDS, randomizes_case=randomizes_case, fallback=fallback)
        )
        await asyncio.sleep(0)
        _, client = forger.recvfrom(4096)
        for number in range(2 << 16):
            forged = question.message((number & 0xFFFF).to_bytes(2, "big"), question.name)
            forger.sendto(forged[:2] + b"\x81\x80" + forged[4:], client)
            if number % 64 == 63:
                await asyncio.sleep(0)
                assert not asking.done(), asking.result().reply
        swept.set()
        assert (await asking).reply == b"over TCP"
        assert not (await asking).lost_case
    exchanges.close()
