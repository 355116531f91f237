"""Where `cache` keeps replies: bounds in number and bytes, and the moments at which compiled answers end."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from fakes.aging import START, Clock, said
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.plugins.cache.rules import Kind
from clusterdns.plugins.cache.store import PHASES, CacheBudget, Entry, Phases, Store
from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text

KIB = 1024


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_entry(clock: Clock) -> Callable[..., Entry]:
    phases = Phases(lambda dependencies: None, clock, clock.later)

    def make(text_bytes: int = 0, count: int = 1) -> Entry:
        """An entry with records of so many bytes of text."""
        reply = said(0)
        owner = from_text("a.org")
        reply.answer = [record.record(owner, codes.TXT, 60, bytes(text_bytes)) for _ in range(count)]
        return Entry(reply, Kind.ANSWER, 60, *phases.stored_now())

    return make


class Evictions:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def opened(capacity: int, room: CacheBudget) -> tuple[Store, Evictions]:
    evictions = Evictions()
    store = Store(capacity, room, evictions)
    store.open()
    return store, evictions


def test_who_was_used_longest_ago_makes_room(make_entry: Callable[..., Entry]) -> None:
    store, evictions = opened(3, CacheBudget())
    for key in (b"a", b"b", b"c"):
        store.put(key, make_entry())
    store.get(b"a")
    store.put(b"b", make_entry())
    store.put(b"d", make_entry())
    assert [key for key in (b"a", b"b", b"c", b"d") if store.get(key)] == [b"a", b"b", b"d"]
    assert (len(store), evictions.count) == (3, 1)


def test_bytes_are_bounded_for_all_together(make_entry: Callable[..., Entry]) -> None:
    room = CacheBudget(1000 * KIB)
    large, large_evictions = opened(10_000, room)
    small, small_evictions = opened(10_000, room)
    for number in range(20):
        small.put(b"%d" % number, make_entry())
    for number in range(100):
        large.put(b"%d" % number, make_entry(1000, 60))
        assert room.used_bytes == large.used_bytes + small.used_bytes <= 1000 * KIB
    assert small_evictions.count == 0, "who holds most gives way"
    assert large_evictions.count > 80
    large.close()
    assert room.used_bytes == small.used_bytes
    small.drop(b"none")
    for number in range(20):
        small.drop(b"%d" % number)
    assert room.used_bytes == 0
    large.put(b"a", make_entry())
    assert len(large) == room.used_bytes == 0, "what is closed keeps nothing"
    large.close()
    small.close()


def test_an_entry_larger_than_the_room(make_entry: Callable[..., Entry]) -> None:
    room = CacheBudget(10 * KIB)
    store, evictions = opened(10, room)
    store.put(b"a", make_entry(20 * KIB))
    assert (len(store), evictions.count, room.used_bytes) == (0, 1, 0)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 5000)), max_size=60),
)
def test_counts_of_bytes_add_up(steps: list[tuple[int, int, int]]) -> None:
    clock = Clock()
    phases = Phases(lambda dependencies: None, clock, clock.later)
    room = CacheBudget(20 * KIB)
    stores = [opened(5, room)[0] for _ in range(2)]
    for what, number, size in steps:
        store, key = stores[number % 2], b"%d" % number
        if what:
            reply = said(0)
            reply.answer = [record.record(b"\0", codes.TXT, 60, bytes(size))]
            store.put(key, Entry(reply, Kind.ANSWER, 60, *phases.stored_now()))
        else:
            store.drop(key)
        assert 0 <= room.used_bytes == sum(one.used_bytes for one in stores) <= 20 * KIB
        assert all(len(one) <= 5 for one in stores)
        assert all((len(one) == 0) is (one.used_bytes == 0) for one in stores)


@pytest.mark.parametrize(("count", "text_bytes"), [(1, 4), (8, 16), (60, 200)])
def test_what_an_entry_takes_is_not_underrated(make_entry: Callable[..., Entry], count: int, text_bytes: int) -> None:
    """Measured with the names that each entry has of its own, and with the records made anew for another TTL."""
    room = CacheBudget(1 << 30)
    store, _ = opened(10_000, room)
    total = 300
    tracemalloc.start()
    for number in range(total):
        entry = make_entry(text_bytes, count)
        entry.reply(30)
        store.put(b"some name of usual length %d" % number, entry)
    taken_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken_bytes <= room.used_bytes


def test_phases(clock: Clock) -> None:
    forgotten: list[Any] = []
    phases = Phases(forgotten.extend, clock, clock.later)
    stored, phase = phases.stored_now()
    assert START - 1 / PHASES < stored <= START
    assert phases.hold(phase, clock.now) == pytest.approx(stored + 1)
    clock.pass_seconds(0.5)
    assert phases.hold(phase, clock.now) == pytest.approx(stored + 1)
    assert len(clock.waiting()) == 1
    clock.pass_seconds(0.499 - (START - stored))
    assert not forgotten
    clock.pass_seconds(0.002)
    assert forgotten == [phase]
    assert not clock.waiting()
    phases.hold(phase, clock.now)
    phases.close()
    assert not clock.waiting()


@given(st.floats(0, 1e9), st.floats(0, 100))
def test_a_phase_ends_when_the_next_whole_second_does(start: float, later_seconds: float) -> None:
    clock = Clock()
    clock.now = start
    phases = Phases(lambda dependencies: None, clock, clock.later)
    stored, phase = phases.stored_now()
    entry = Entry(said(0), Kind.ANSWER, 1000, stored, phase)
    clock.now += later_seconds
    end = phases.hold(phase, clock.now)
    assert clock.now < end <= clock.now + 1
    left_seconds = entry.left_seconds(clock.now)
    assert entry.left_seconds(end - 1e-5) == left_seconds or end - clock.now < 1e-5
    assert entry.left_seconds(end + 1e-5) == left_seconds - 1
