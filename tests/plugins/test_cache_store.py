"""The stores of `cache`: bounds in number and bytes; and its phases, which end compiled answers."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from fakes.aging import START, Clock, said
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.plugins.cache.entry import CacheEntry
from clusterdns.plugins.cache.phases import PHASES, Phases
from clusterdns.plugins.cache.rules import EntryKind
from clusterdns.plugins.cache.store import CacheBudget, CacheStore
from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text

KIB = 1024


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_entry(clock: Clock) -> Callable[..., CacheEntry]:
    phases = Phases(lambda dependencies: None, clock, clock.call_later)

    def make(text_bytes: int = 0, count: int = 1) -> CacheEntry:
        """Make an entry with `count` records of `text_bytes` of text each."""
        reply = said(0)
        owner = from_text("a.org")
        reply.answer = [record.record(owner, codes.TXT, 60, bytes(text_bytes)) for _ in range(count)]
        return CacheEntry(reply, EntryKind.POSITIVE, 60, *phases.stored_now())

    return make


class Evictions:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def opened(capacity: int, budget: CacheBudget) -> tuple[CacheStore, Evictions]:
    evictions = Evictions()
    store = CacheStore(capacity, budget, evictions)
    store.open()
    return store, evictions


def test_an_entry_that_was_used_outlives_those_that_were_not(make_entry: Callable[..., CacheEntry]) -> None:
    store, evictions = opened(3, CacheBudget())
    for key in (b"a", b"b", b"c"):
        store[key] = make_entry()
    store.use(b"a")
    store[b"c"] = make_entry()
    store[b"d"] = make_entry()
    assert sorted(store) == [b"a", b"c", b"d"]
    assert (len(store), evictions.count) == (3, 1)


@pytest.mark.parametrize("times", [0, 1, 2], ids="each made-up name is hit {} times".format)
@pytest.mark.parametrize("is_large", [False, True], ids=["full in number", "full in bytes"])
def test_a_scan_of_made_up_names_evicts_no_name_in_use(
    make_entry: Callable[..., CacheEntry], times: int, is_large: bool
) -> None:
    size_bytes = make_entry().size_bytes + 8
    store, evictions = opened(10_000 if is_large else 200, CacheBudget(200 * size_bytes if is_large else 1 << 30))
    used = [b"used%04d" % number for number in range(50)]
    for key in used:
        store[key] = make_entry()
    for number in range(5_000):
        key = b"%08d" % number
        store[key] = make_entry()
        for _ in range(times):
            store.use(key)
        store.use(used[number % len(used)])
    assert set(used) <= set(store)
    assert (len(store), evictions.count) == (200, 50 + 5_000 - 200)


def test_a_scan_in_one_store_evicts_nothing_from_another(make_entry: Callable[..., CacheEntry]) -> None:
    size_bytes = make_entry().size_bytes + 8
    budget = CacheBudget(300 * size_bytes)
    success, evictions = opened(10_000, budget)
    denial, _ = opened(10_000, budget)
    used = [b"used%04d" % number for number in range(50)]
    for key in used:
        success[key] = make_entry()
    for number in range(5_000):
        denial[b"%08d" % number] = make_entry()
    assert (len(success), evictions.count) == (50, 0)


def test_a_name_that_is_asked_seldom_gets_into_a_full_store_during_a_scan(
    make_entry: Callable[..., CacheEntry],
) -> None:
    """Each name has been used once; the new name comes again after more made-up names than are not in use."""
    store, _ = opened(100, CacheBudget())
    for number in range(95):
        store[b"used%04d" % number] = make_entry()
        store.use(b"used%04d" % number)
    hits = 0
    for number in range(2_000):
        store[b"%08d" % number] = make_entry()
        if number % 20 == 0:
            if store.use(b"new") is None:
                store[b"new"] = make_entry()
            else:
                hits += 1
    assert hits > 50


def test_an_entry_keeps_its_uses_when_it_is_replaced(make_entry: Callable[..., CacheEntry]) -> None:
    store, _ = opened(2, CacheBudget())
    store[b"a"] = make_entry()
    store.use(b"a")
    store[b"a"] = make_entry()
    store[b"b"] = make_entry()
    store[b"c"] = make_entry()
    assert sorted(store) == [b"a", b"c"]


def test_bytes_are_bounded_for_all_together(make_entry: Callable[..., CacheEntry]) -> None:
    budget = CacheBudget(1000 * KIB)
    large, large_evictions = opened(10_000, budget)
    small, small_evictions = opened(10_000, budget)
    for number in range(20):
        small[b"%d" % number] = make_entry()
    for number in range(100):
        large[b"%d" % number] = make_entry(1000, 60)
        assert budget.used_bytes == large.used_bytes + small.used_bytes <= 1000 * KIB
    assert small_evictions.count == 0, "the largest store evicts first"
    assert large_evictions.count > 80
    large.close()
    assert budget.used_bytes == small.used_bytes
    small.pop(b"none", None)
    for number in range(20):
        small.pop(b"%d" % number, None)
    assert budget.used_bytes == 0
    large[b"a"] = make_entry()
    assert len(large) == budget.used_bytes == 0, "a closed store keeps nothing"
    large.close()
    small.close()


def test_a_scaled_budget_evicts_in_steps_and_a_new_entry_as_much_as_it_takes(
    make_entry: Callable[..., CacheEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.plugins.cache.store.MAX_REMOVALS", 4)
    budget = CacheBudget()
    store, _ = opened(1000, budget)
    for number in range(20):
        store[b"%02d" % number] = make_entry()
    budget.scale(5 * budget.used_bytes / 20 / budget.most_bytes)
    store[b"20"] = make_entry()
    assert len(store) == 20
    sizes = [len(store) for _ in iter(budget.evict, False)]
    assert [*sizes, len(store)] == [16, 12, 8, 5]


def test_entries_are_dropped_in_steps_and_are_no_evictions(
    make_entry: Callable[..., CacheEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.plugins.cache.store.MAX_REMOVALS", 4)
    budget = CacheBudget()
    store, evictions = opened(1000, budget)
    for number in range(10):
        store[b"%d" % number] = make_entry()
    assert [store.drop_some() for _ in range(3)] == [True, True, False]
    assert (len(store), budget.used_bytes, evictions.count) == (0, 0, 0)


def test_an_entry_larger_than_the_budget_is_evicted(make_entry: Callable[..., CacheEntry]) -> None:
    budget = CacheBudget(10 * KIB)
    store, evictions = opened(10, budget)
    store[b"a"] = make_entry(20 * KIB)
    assert (len(store), evictions.count, budget.used_bytes) == (0, 1, 0)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 5000)), max_size=60),
)
def test_bytes_are_counted_exactly(steps: list[tuple[int, int, int]]) -> None:
    clock = Clock()
    phases = Phases(lambda dependencies: None, clock, clock.call_later)
    budget = CacheBudget(20 * KIB)
    stores = [opened(5, budget)[0] for _ in range(2)]
    for puts, number, size in steps:
        store, key = stores[number % 2], b"%d" % number
        if puts:
            reply = said(0)
            reply.answer = [record.record(b"\0", codes.TXT, 60, bytes(size))]
            store[key] = CacheEntry(reply, EntryKind.POSITIVE, 60, *phases.stored_now())
        else:
            store.pop(key, None)
        assert 0 <= budget.used_bytes == sum(one.used_bytes for one in stores) <= 20 * KIB
        assert all(len(one) <= 5 for one in stores)
        assert all((len(one) == 0) is (one.used_bytes == 0) for one in stores)


@pytest.mark.parametrize(("count", "text_bytes"), [(1, 4), (8, 16), (60, 200)])
def test_the_size_of_an_entry_is_not_underestimated(
    make_entry: Callable[..., CacheEntry], count: int, text_bytes: int
) -> None:
    """Measured with names that no other entry shares, and with records made for another TTL."""
    budget = CacheBudget(1 << 30)
    store, _ = opened(10_000, budget)
    total = 300
    tracemalloc.start()
    for number in range(total):
        entry = make_entry(text_bytes, count)
        entry.reply(30)
        store[b"some name of usual length %d" % number] = entry
    taken_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken_bytes <= budget.used_bytes


def test_a_phase_is_forgotten_when_its_second_ends(clock: Clock) -> None:
    forgotten: list[Any] = []
    phases = Phases(forgotten.extend, clock, clock.call_later)
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
def test_a_phase_ends_when_its_entries_count_down(start: float, later_seconds: float) -> None:
    clock = Clock()
    clock.now = start
    phases = Phases(lambda dependencies: None, clock, clock.call_later)
    stored, phase = phases.stored_now()
    entry = CacheEntry(said(0), EntryKind.POSITIVE, 1000, stored, phase)
    clock.now += later_seconds
    end = phases.hold(phase, clock.now)
    assert clock.now < end <= clock.now + 1
    remaining_ttl = entry.remaining_ttl(clock.now)
    assert entry.remaining_ttl(end - 1e-5) == remaining_ttl or end - clock.now < 1e-5
    assert entry.remaining_ttl(end + 1e-5) == remaining_ttl - 1
