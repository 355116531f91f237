"""Exchanges over UDP that nobody answers: one timer ends each in its time, and there is none when all have ended."""

import asyncio
import math
import socket
from collections.abc import Iterator

import pytest

from clusterdns.upstream.datagram import SWEEP_SECONDS, Datagrams
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.question import Question
from clusterdns.wire.name import from_text

LATE_SECONDS = SWEEP_SECONDS + 0.1  # on a busy machine


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """The address of an upstream that says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


@pytest.mark.parametrize("waits_seconds", [(0.05, 0.1), (0.1, 0.05), (0.05, 0.051, 0.052), (0.1, 5.0, 0.02)])
async def test_each_ends_in_its_time(silent: tuple[str, int], waits_seconds: tuple[float, ...]) -> None:
    datagrams = Datagrams()
    loop = asyncio.get_running_loop()

    async def ended_after(seconds: float) -> float:
        begun = loop.time()
        question = Question(from_text("a.example."), b"\0\1\0\1", 0, is_stream=False)
        with pytest.raises(ExchangeFailed, match=r"read udp 127.0.0.1:\d+->127.0.0.1:\d+: i/o timeout"):
            await datagrams.ask(question, silent, seconds)
        return loop.time() - begun

    short = [seconds for seconds in waits_seconds if seconds < 1]
    asked = [loop.create_task(ended_after(seconds)) for seconds in waits_seconds]
    for task, seconds in zip(asked, waits_seconds, strict=True):
        if seconds in short:
            assert seconds - 0.002 <= await task <= seconds + LATE_SECONDS
    assert len(datagrams) == len(waits_seconds) - len(short)
    for task, seconds in zip(asked, waits_seconds, strict=True):
        if seconds not in short:
            task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert len(datagrams) == 0
    datagrams.close()
    assert datagrams._sweep_at == math.inf


async def test_none_is_left_when_all_have_ended(silent: tuple[str, int]) -> None:
    datagrams = Datagrams()
    question = Question(from_text("a.example."), b"\0\1\0\1", 0, is_stream=False)
    for _ in range(2):  # and the next one sets it again
        with pytest.raises(ExchangeFailed):
            await datagrams.ask(question, silent, 0.02)
        await asyncio.sleep(SWEEP_SECONDS * 2)
        assert datagrams._sweep_at == math.inf
    datagrams.close()
