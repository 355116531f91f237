"""Exchanges over UDP that get no reply: one timer ends each in its time, and no timer is left when all have ended."""

import asyncio
import math
import socket
from collections.abc import Iterator

import pytest
from fakes.held_clock import HeldClock

from clusterdns.upstream.datagram import SWEEP_SECONDS, UdpExchanges
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.question import Question
from clusterdns.wire.name import from_text

QUESTION = Question(from_text("a.example."), b"\0\1\0\1", 0, is_stream=False)


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """The address of an upstream that does not reply."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


@pytest.mark.parametrize("timeouts", [(0.05, 0.1), (0.1, 0.05), (0.05, 0.051, 0.052), (0.1, 5.0, 0.02)])
async def test_each_exchange_ends_in_its_time(
    silent: tuple[str, int], timeouts: tuple[float, ...], held_clock: HeldClock
) -> None:
    exchanges = UdpExchanges()
    began = held_clock.now

    async def ended_after(seconds: float) -> float:
        with pytest.raises(ExchangeFailed, match=r"read udp 127.0.0.1:\d+->127.0.0.1:\d+: i/o timeout"):
            await exchanges.ask(QUESTION, silent, seconds)
        return held_clock.now - began

    tasks = [asyncio.ensure_future(ended_after(seconds)) for seconds in timeouts]
    await held_clock.pass_seconds(max(timeouts) + SWEEP_SECONDS)
    for task, seconds in zip(tasks, timeouts, strict=True):
        assert seconds <= task.result() + 1e-9
        assert task.result() <= seconds + SWEEP_SECONDS + 1e-9
    assert len(exchanges) == 0
    exchanges.close()
    assert exchanges._sweep_at == math.inf


async def test_a_cancelled_exchange_leaves_nothing(silent: tuple[str, int], held_clock: HeldClock) -> None:
    exchanges = UdpExchanges()
    task = asyncio.ensure_future(exchanges.ask(QUESTION, silent, 5.0))
    await held_clock.pass_seconds(1)
    assert len(exchanges) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(exchanges) == 0
    exchanges.close()
    assert exchanges._sweep_at == math.inf


async def test_no_timer_is_left_when_all_exchanges_have_ended(silent: tuple[str, int], held_clock: HeldClock) -> None:
    exchanges = UdpExchanges()
    for _ in range(2):  # the second exchange sets the timer again
        task = asyncio.ensure_future(exchanges.ask(QUESTION, silent, 0.02))
        await held_clock.pass_until(task)
        assert isinstance(task.exception(), ExchangeFailed)
        await held_clock.pass_seconds(SWEEP_SECONDS * 2)
        assert exchanges._sweep_at == math.inf
    exchanges.close()
