"""Each packet is counted once: as a query with a response code, or by the reason why it gets no reply."""

import asyncio
import logging
import random
import socket
import struct
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any
from unittest.mock import MagicMock

import pytest
from server.test_fuzz import packets

from clusterdns.host.admission import ConnectionLimits
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.listeners import udp
from clusterdns.server.listeners.budget import ConnectionBudget
from clusterdns.server.listeners.later import LaterReplies
from clusterdns.server.live.observation import Observation
from clusterdns.server.tap import Shed, Tap
from clusterdns.server.unanswered import UnansweredPackets

PACKETS = 5_000
QUESTION = b"\x03web\x04prod\x03svc\x07cluster\x05local\0\0\1\0\1"
SLOW = b"\x05never\x04test\0\0\1\0\1"


def header(flags: int, questions: int = 1) -> bytes:
    return struct.pack(">HHHHHH", 7, flags, questions, 0, 0, 0)


def counts(dispatch: Dispatch) -> dict[str, int]:
    """The packets by response code or reason, of both transports."""
    list(dispatch.counters.flush())
    families = dispatch.counters._families
    found: dict[str, int] = {}
    for labels, series in [*families.responses.series.items(), *families.unanswered.series.items()]:
        text = labels[3] if labels in families.responses.series else labels[2]
        found[text] = found.get(text, 0) + int(series.value)
    requests = sum(series.value for series in families.requests.series.values())
    assert requests == sum(series.value for series in families.responses.series.values())
    return found


OUTCOMES = {
    "a query": (header(0x0100) + QUESTION, "NOERROR"),
    "an absent name": (header(0x0100) + QUESTION.replace(b"web", b"wet"), "NXDOMAIN"),
    "no zone": (header(0) + b"\x03www\x07example\0\0\1\0\1", "REFUSED"),
    "a handler that raises": (header(0) + b"\x04boom\x04test\0\0\1\0\1", "SERVFAIL"),
    "a handler that waits": (header(0) + b"\x04slow\x04test\0\0\1\0\1", "NOERROR"),
    "an update": (header(0x2800) + QUESTION, "NOTIMP"),
    "a status query": (header(0x1000) + QUESTION, "NOTIMP"),
    "two questions": (header(0, 2) + QUESTION * 2, "FORMERR"),
    "no question": (header(0, 0), "FORMERR"),
    "a question cut short": (header(0) + QUESTION[:-1], "FORMERR"),
    "a response": (header(0x8100) + QUESTION, "response"),
    "half a header": (header(0)[:11], "short"),
    "one byte": (b"x", "short"),
}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(("packet", "outcome"), OUTCOMES.values(), ids=OUTCOMES.keys())
async def test_outcome(
    make_dispatch: Callable[..., Dispatch],
    make_listener: Callable[[str], ListenerContext],
    transport: str,
    packet: bytes,
    outcome: str,
) -> None:
    dispatch, context = make_dispatch(), make_listener(transport)
    message = dispatch.miss(packet, ("127.0.0.1", 4), "127.0.0.1", context)
    if not isinstance(message, bytes | None):
        message = await message
    assert counts(dispatch) == {outcome: 1}
    assert (message is None) == outcome.islower()


async def test_counts_add_up_to_the_packets(
    make_dispatch: Callable[..., Dispatch], make_listener: Callable[[str], ListenerContext]
) -> None:
    dispatch, context = make_dispatch(), make_listener("udp")
    for packet in packets(PACKETS, random.Random(4)):
        message = dispatch.miss(packet, ("127.0.0.1", 4), "127.0.0.1", context)
        if not isinstance(message, bytes | None):
            await message
    found = counts(dispatch)
    assert sum(found.values()) == PACKETS
    assert {"NOERROR", "NXDOMAIN", "FORMERR", "NOTIMP", "response", "short"} <= found.keys()


async def test_what_an_overloaded_listener_drops_is_counted_and_logged_once(
    make_dispatch: Callable[..., Dispatch],
    make_udp: Callable[[Dispatch], Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(udp, "MAX_WAITING", 2)
    dispatch = make_dispatch()
    listener, address = make_udp(dispatch)
    listener._context.tap.observer = observer = Observation()
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client, caplog.at_level(logging.WARNING):
        for _ in range(5):
            client.sendto(header(0) + SLOW, address)
        listener.close_now()
    assert counts(dispatch) == {"overload": 3, "cancelled": 2}
    observer.end_second(1.0)
    assert observer.shed_clients.top(5) == [(("127.0.0.1", Shed.QUERY.value), 3.0)]
    assert observer.per_second == 0.0
    (line,) = caplog.messages
    assert line.startswith("dns://:53: 2 queries over udp wait for their handlers; further ones get no reply")


def test_each_overload_has_one_line_in_the_log(
    make_dispatch: Callable[..., Dispatch], caplog: pytest.LogCaptureFixture
) -> None:
    async def query() -> bytes | None:
        return None

    times = (0.0, 1.0, 10.9, 20.8, 31.0, 40.9)  # the fourth pause is longer than an overload lasts
    packets = UnansweredPackets(make_dispatch().counters, iter(times).__next__)
    lines = []
    for _ in times:
        packets.drop(query(), "tcp", 5)
        lines.append(len(caplog.messages))
    assert lines == [1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("has_begun", [False, True])
async def test_what_waits_when_a_tcp_connection_ends_is_counted(
    make_dispatch: Callable[..., Dispatch], make_listener: Callable[[str], ListenerContext], has_begun: bool
) -> None:
    dispatch = make_dispatch()
    waiting = dispatch.miss(header(0) + SLOW, ("127.0.0.1", 4), "127.0.0.1", make_listener("tcp"))
    assert isinstance(waiting, Coroutine)
    later = LaterReplies(MagicMock(), ConnectionBudget(ConnectionLimits()), Tap())
    later.reply(waiting)
    if has_begun:
        await asyncio.sleep(0)
    (task,) = later.tasks
    later.cancel(dispatch.unanswered)
    await asyncio.wait({task})
    assert task.cancelled()
    assert counts(dispatch) == {"cancelled": 1}


async def test_what_waits_when_a_listener_closes_is_counted(
    make_dispatch: Callable[..., Dispatch], make_udp: Callable[[Dispatch], Any]
) -> None:
    dispatch = make_dispatch()
    listener, address = make_udp(dispatch)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        for _ in range(3):
            client.sendto(header(0) + SLOW, address)
        listener.close_now()
    assert counts(dispatch) == {"cancelled": 3}


async def test_a_reply_that_cannot_be_sent_is_counted_beside_its_query(
    make_dispatch: Callable[..., Dispatch], make_udp: Callable[[Dispatch], Any]
) -> None:
    dispatch = make_dispatch()
    listener, address = make_udp(dispatch)
    listener._datagrams.send = lambda first, end: [(slot, OSError(1, "no")) for slot in range(first, end)]
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        client.sendto(header(0) + QUESTION, address)
        listener.close_now()
    assert counts(dispatch) == {"NOERROR": 1}
    (series,) = dispatch.counters._families.unsent.series.values()
    assert series.value == 1
