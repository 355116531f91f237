"""Fairness between the sources of UDP queries: who is above its share, when a filter comes, and when it goes."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.host.udp import socket_filter
from clusterdns.host.udp.datagrams import BATCH, Datagrams
from clusterdns.host.udp.socket_filter import MAX_SOURCES, SocketMemory
from clusterdns.server.dispatch import Dispatch
from clusterdns.server.listeners.fairness import (
    CALM_SECONDS,
    MAX_SHARE,
    PERIOD_SECONDS,
    FairShares,
    drop_shares,
    packed,
    source_of,
)
from clusterdns.server.listeners.udp import UdpListener
from clusterdns.server.live.observation import Observation
from clusterdns.server.tap import Shed, Tap
from clusterdns.telemetry.metrics import Family, Series
from testing.waiting import PATIENCE_SECONDS, until

FLOODER, CLIENT = "192.0.2.1", "192.0.2.9"
BUFFER_BYTES = 1_000_000


@given(st.dictionaries(st.text("abcdef", min_size=1), st.floats(1.0, 1e6), max_size=20), st.floats(1.0, 1e7))
def test_the_capacity_is_shared_and_nobody_below_its_share_loses(offered: dict[str, float], capacity: float) -> None:
    shares = drop_shares(offered, capacity)
    served = {source: rate * (1 - shares.get(source, 0.0)) for source, rate in offered.items()}
    if sum(offered.values()) <= capacity:
        assert shares == {}
    else:
        assert sum(served.values()) <= (capacity + (1 - MAX_SHARE) * sum(offered.values())) * 1.001
        cut = [served[source] for source in shares if shares[source] < MAX_SHARE]
        assert all(served[source] <= min(cut, default=1e9) * 1.001 for source in offered.keys() - shares.keys())
        assert max(cut, default=0.0) <= min(cut, default=0.0) * 1.001  # all that are cut get the same


def test_a_filter_takes_those_that_send_most() -> None:
    offered = {f"s{number}": 1000.0 + number for number in range(MAX_SOURCES + 10)}
    shares = drop_shares(offered, 1000.0)
    assert sorted(shares) == sorted(f"s{number}" for number in range(10, MAX_SOURCES + 10))


@pytest.mark.parametrize(
    ("host", "source", "key"),
    [
        ("192.0.2.1", "192.0.2.1", b"\xc0\0\2\1"),
        ("::ffff:192.0.2.1", "192.0.2.1", b"\xc0\0\2\1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", b"\x20\1\r\xb8\0\1\0\2"),
        ("fe80::1%eth0", "fe80::%eth0/64", b"\xfe\x80" + bytes(6)),
    ],
)
def test_what_counts_as_one_source(host: str, source: str, key: bytes) -> None:
    assert source_of(host) == source
    assert packed(source) == key


class Scene:
    """Fair shares of a socket whose filter and buffer the test plays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.memory = SocketMemory(0, BUFFER_BYTES, 0)
        self.filters: list[dict[bytes, float]] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.shed = Series()
        self.tap = Tap()
        monkeypatch.setattr(socket_filter, "memory", lambda _: self.memory)
        monkeypatch.setattr(socket_filter, "attach", self._attach)
        with socket.socket() as sock:
            self.fair = FairShares(sock, "dns://:53", self.shed, self.tap, self._call_later, lambda: self.now)

    def _attach(self, _: socket.socket, shares: dict[bytes, float]) -> bool:
        self.filters.append(dict(shares))
        return True

    def _call_later(self, seconds: float, call: Callable[[], None]) -> Any:
        self.timers.append((seconds, call))
        timer = (seconds, call)
        return SimpleNamespace(cancel=lambda: self.timers.remove(timer))

    def batch(self, *hosts: str) -> None:
        """Read a batch; one of fewer than BATCH datagrams is reported as `udp` does, while samples are taken."""
        batch: Datagrams = SimpleNamespace(client=lambda slot: (hosts[slot], 53))
        if len(hosts) == BATCH or self.fair.is_sampling:
            self.fair.report(batch, len(hosts))
        self.now += 0.006

    def overflow(self, used_share: float = 1.0, dropped: int = 1000) -> None:
        self.memory = SocketMemory(int(used_share * BUFFER_BYTES), BUFFER_BYTES, self.memory.dropped + dropped)

    def calm(self) -> None:
        self.memory = SocketMemory(0, BUFFER_BYTES, self.memory.dropped)

    def tick(self) -> float:
        """Let the timer run out; gives its seconds."""
        ((seconds, call),) = self.timers
        self.timers.clear()
        self.now += seconds
        call()
        return seconds

    def begin(self) -> None:
        self.overflow()
        self.batch(*[FLOODER] * (BATCH - 1), CLIENT)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_full_batches_alone_are_no_overload(scene: Scene) -> None:
    for _ in range(100):
        scene.batch(*[FLOODER] * BATCH)
    scene.overflow(used_share=0.1)  # what cannot be a query is dropped, too
    scene.batch(*[FLOODER] * BATCH)
    assert not scene.fair.is_sampling
    assert scene.filters == [{}]


def test_the_source_that_overflows_the_buffer_is_cut_and_the_others_are_not(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        scene.begin()
    assert scene.fair.is_sampling
    assert scene.filters[-1] == {packed(FLOODER): MAX_SHARE}  # until the queue is short
    (line,) = caplog.messages
    assert line.startswith(f"dns://:53: more queries than can be answered; {FLOODER} sends some ")
    assert all(scene.fair.discards(CLIENT) is False for _ in range(100))
    assert sum(scene.fair.discards(FLOODER) for _ in range(100)) > 90


def test_once_the_queue_is_gone_the_source_gets_its_share(scene: Scene) -> None:
    scene.begin()
    scene.calm()
    for _ in range(10):
        scene.batch(*[FLOODER] * BATCH)
    scene.batch(FLOODER)
    scene.memory = scene.memory._replace(dropped=scene.memory.dropped + 10_000)
    scene.tick()
    (share,) = scene.filters[-1].values()
    assert 0.5 < share < MAX_SHARE


def test_a_source_that_hardly_shows_behind_its_filter_stays_in_it(scene: Scene) -> None:
    scene.begin()
    scene.calm()
    for _ in range(3):
        scene.memory = scene.memory._replace(dropped=scene.memory.dropped + 10_000)
        scene.batch(CLIENT)
        scene.memory = scene.memory._replace(dropped=scene.memory.dropped + 10_000)
        scene.tick()
        assert packed(FLOODER) in scene.filters[-1]


def test_the_filter_goes_with_the_flood(scene: Scene) -> None:
    scene.begin()
    scene.calm()
    seconds = 0.0
    while scene.timers:
        scene.batch(CLIENT)
        seconds += scene.tick()
        assert seconds < 10
    assert seconds >= CALM_SECONDS - 0.001
    assert scene.filters[-1] == {}
    assert not scene.fair.is_sampling
    scene.begin()
    assert scene.fair.is_sampling, "the next flood is noticed as the first one was"


def test_what_is_dropped_is_counted_and_shown(scene: Scene) -> None:
    scene.tap.observer = observer = Observation()
    scene.begin()
    scene.calm()
    for _ in range(10):
        scene.batch(*[FLOODER] * BATCH)
    scene.batch(FLOODER)
    scene.memory = scene.memory._replace(dropped=scene.memory.dropped + 10_000)
    scene.tick()
    assert scene.shed.value == pytest.approx(10_000, rel=0.1)
    observer.end_second(1.0)
    (shown,) = observer.shed_clients.top(5)
    assert shown.key == (FLOODER, Shed.SHARE.value)
    assert shown.per_second == scene.shed.value


def test_a_thousand_sources_that_send_a_little_are_not_cut(scene: Scene) -> None:
    scene.overflow()
    scene.batch(*(f"10.0.{number // 256}.{number % 256}" for number in range(BATCH)))
    assert scene.filters[-1] == {}


def test_timers_are_short_while_the_queue_is_standing(scene: Scene) -> None:
    scene.begin()
    assert scene.timers[0][0] < PERIOD_SECONDS
    scene.batch(*[FLOODER] * BATCH)
    scene.tick()
    assert scene.timers[0][0] < PERIOD_SECONDS
    scene.batch(CLIENT)
    scene.tick()
    assert scene.timers[0][0] == PERIOD_SECONDS


async def test_a_real_flood_leaves_the_answers_of_another_client_alone(
    make_dispatch: Callable[..., Dispatch], make_udp: Callable[[Dispatch], tuple[UdpListener, tuple[str, int]]]
) -> None:
    dispatch = make_dispatch()
    listener, address = make_udp(dispatch)
    query = dns.message.make_query("web.prod.svc.cluster.local", "A").to_wire()
    with bound("127.0.0.2") as flooder, bound("127.0.0.3") as client:
        while not socket_filter.memory(listener._socket).dropped:
            flooder.sendto(query, address)
        await asyncio.sleep(0)  # the listener reads its first batch
        assert listener._fair.is_sampling
        await until(lambda: socket_filter.memory(listener._socket).used_share <= 0.5, "the queue to be short")
        for _ in range(50):
            flooder.sendto(query, address)
        for _ in range(20):
            client.sendto(query, address)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_SECONDS):
            replies = [await loop.sock_recv(client, 4096) for _ in range(20)]
    assert {dns.message.from_wire(reply).rcode() for reply in replies} == {dns.rcode.NOERROR}
    listener.close_now()
    for _ in dispatch.counters.flush():
        pass
    totals = {family.name: sum(one.value for one in family.series.values()) for family in counters_of(dispatch)}
    assert totals["clusterdns_udp_dropped_total"] >= 1


@contextmanager
def bound(host: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind((host, 0))
        yield sock


def counters_of(dispatch: Dispatch) -> Iterator[Family[Series]]:
    for family in dispatch.counters._registry.families():
        if family.kind == "counter":
            yield family  # type: ignore[misc]  # the kind decides the series type
