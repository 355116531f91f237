"""The staleness clock: what counts as proof of being current, when a kind is stale, and what the log says."""

import math
from collections.abc import Callable

import pytest
from fakes.seen import Seen

from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.freshness import CATCH_UP_SECONDS, CollectionFreshness, Freshness
from clusterdns.cluster.objects import EndpointSlice, Kind, Namespace, Service
from clusterdns.telemetry.metrics import Registry
from testing.fake_apiserver import FakeApiServer

LIMIT = 10.0


class Timer:
    """One call of a `Clock` that is due later."""

    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due = due
        self.call = call
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Clock:
    """Time that passes only in `wait`, from one timer to the next."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[Timer] = []

    def __call__(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.now + seconds, call))
        return self.timers[-1]

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [one for one in self.timers if not one.is_cancelled and one.due <= end]:
            first = min(due, key=lambda one: one.due)
            self.timers.remove(first)
            self.now = first.due
            first.call()
        self.now = end


class Peer:
    """The other end of a watch: it acknowledges until it `dies`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.died_at = math.inf

    def die(self) -> None:
        self.died_at = self.clock.now

    def acknowledged_seconds(self) -> float:
        return max(0.0, self.clock.now - self.died_at)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def flips() -> list[frozenset[Kind]]:
    return []


@pytest.fixture
def freshness(clock: Clock, flips: list[frozenset[Kind]]) -> Freshness:
    made = Freshness(LIMIT, clock, clock.call_later, lambda: flips.append(made.stale))
    return made


def follow(freshness: Freshness, clock: Clock, kind: Kind, label: str = "") -> tuple[CollectionFreshness, Peer]:
    """Track a collection that is listed and watched, and has caught up."""
    one, peer = freshness.track(kind, label, lambda: 0), Peer(clock)
    one.proved()
    one.connected(peer.acknowledged_seconds)
    return one, peer


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


def test_a_quiet_watch_whose_peer_acknowledges_is_never_stale(freshness: Freshness, clock: Clock) -> None:
    one, _ = follow(freshness, clock, Service)
    clock.wait(100_000.0)
    assert not freshness.stale
    assert one.staleness_seconds() == 0.0


def test_a_peer_that_dies_makes_its_kind_stale_at_the_limit(
    freshness: Freshness, clock: Clock, flips: list[frozenset[Kind]]
) -> None:
    follow(freshness, clock, Namespace)
    one, peer = follow(freshness, clock, Service)
    clock.wait(60.0)
    peer.die()
    clock.wait(LIMIT - 0.01)
    assert not freshness.stale
    clock.wait(LIMIT / 4)
    assert freshness.stale == {Service}
    assert flips == [{Service}]
    assert one.staleness_seconds() == pytest.approx(LIMIT - 0.01 + LIMIT / 4)


@pytest.mark.parametrize("proof", ["proved", "heard"])
def test_events_bookmarks_and_lists_prove_a_collection_that_is_current(
    freshness: Freshness, clock: Clock, proof: str
) -> None:
    one = freshness.track(Service, "services", lambda: 0)
    one.proved()
    for _ in range(10):
        clock.wait(LIMIT - 1.0)
        getattr(one, proof)()
    assert not freshness.stale


def test_a_collection_that_was_never_listed_is_not_stale(freshness: Freshness, clock: Clock) -> None:
    one = freshness.track(Service, "services", lambda: 0)
    follow(freshness, clock, Namespace)
    clock.wait(1000.0)
    assert not freshness.stale
    assert one.staleness_seconds() == 1000.0


@pytest.mark.parametrize("proof", ["list", "bookmark", "time"])
def test_after_an_outage_events_and_the_first_acknowledgement_prove_nothing_yet(
    freshness: Freshness, clock: Clock, flips: list[frozenset[Kind]], proof: str
) -> None:
    one, peer = follow(freshness, clock, Service)
    clock.wait(30.0)
    peer.die()
    clock.wait(30.0)
    one.disconnected()
    one.connected(Peer(clock).acknowledged_seconds)
    one.heard()
    freshness.check()
    assert freshness.stale == {Service}, "the events that were missed may still be on their way"
    if proof == "list":
        one.proved()
    elif proof == "bookmark":
        one.heard(is_bookmark=True)
    else:
        clock.wait(2 * CATCH_UP_SECONDS)
    assert not freshness.stale
    assert flips == [{Service}, set()]


def test_watches_that_are_accepted_and_end_at_once_prove_nothing(freshness: Freshness, clock: Clock) -> None:
    one, _ = follow(freshness, clock, Service)
    for _ in range(40):
        one.disconnected()
        clock.wait(0.3)
        one.connected(Peer(clock).acknowledged_seconds)
    assert freshness.stale == {Service}


def test_the_worst_collection_of_a_kind_counts(freshness: Freshness, clock: Clock) -> None:
    follow(freshness, clock, Service, "services of a")
    _, peer = follow(freshness, clock, Service, "services of b")
    clock.wait(5.0)
    peer.die()
    clock.wait(20.0)
    assert freshness.stale == {Service}
    assert freshness.staleness() == {Service: 20.0}


def test_what_was_acknowledged_before_the_end_of_a_watch_still_counts(freshness: Freshness, clock: Clock) -> None:
    one, _ = follow(freshness, clock, Service)
    clock.wait(55.0)
    one.disconnected()
    clock.wait(LIMIT - 1.0)
    assert one.staleness_seconds() == LIMIT - 1.0
    assert not freshness.stale


def test_one_line_names_every_kind_when_it_begins_and_one_when_it_ends(
    freshness: Freshness, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    peers = []
    for kind in (Service, EndpointSlice, Namespace):  # their last acknowledgements are a second apart
        _, peer = follow(freshness, clock, kind)
        peers.append(peer)
    clock.wait(60.0)
    for peer in peers:
        peer.die()
        clock.wait(1.0)
    clock.wait(60.0)
    assert lines(caplog) == [
        "WARNING not known to be current: EndpointSlice 9s, Namespace 8s, Service 10s; serving the last known state, "
        "SERVFAIL for names that it does not have; check the API server and the network"
    ]
    for peer in peers:
        peer.died_at = math.inf
    clock.wait(5.0)
    assert lines(caplog)[1:] == ["INFO current again, after 64s: EndpointSlice, Namespace, Service"]


def test_a_kind_that_follows_much_later_is_named_in_a_line_of_its_own(
    freshness: Freshness, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (_, first), (_, second) = follow(freshness, clock, Service), follow(freshness, clock, Namespace)
    clock.wait(60.0)
    first.die()
    clock.wait(60.0)
    second.die()
    clock.wait(60.0)
    assert [line.partition(";")[0] for line in lines(caplog)] == [
        "WARNING not known to be current: Service 10s",
        "WARNING not known to be current: Namespace 10s, Service 70s",
    ]


def test_without_a_limit_nothing_is_stale(clock: Clock) -> None:
    freshness = Freshness(math.inf, clock, clock.call_later)
    one = freshness.track(Service, "services", lambda: 0)
    one.proved()
    assert not clock.timers
    clock.wait(1e6)
    freshness.check()
    assert not freshness.stale
    assert freshness.staleness() == {Service: 1e6}


def test_no_timer_is_left_after_the_end(freshness: Freshness, clock: Clock) -> None:
    follow(freshness, clock, Service)
    freshness.stop()
    freshness.check()
    assert all(one.is_cancelled for one in clock.timers)


async def test_an_open_watch_is_proof_of_being_current_until_it_ends(
    fake: FakeApiServer, seen: Seen, registry: Registry
) -> None:
    freshness = Freshness()
    settings = ApiSettings(endpoint=fake.url, endpoints=False)
    source = ApiSource(settings, seen.on_change, seen.on_synced, registry, freshness=freshness)
    source.start()
    collections = freshness.collections
    await seen.until(lambda: all(one.is_listed and one.connected_at for one in collections))
    assert {one.kind for one in collections} == {Service, Namespace}
    assert all(one.is_current and one.staleness_seconds() < 60.0 for one in collections)
    fake.close()
    await seen.until(lambda: not any(one.connected_at for one in collections))
    await source.stop()
