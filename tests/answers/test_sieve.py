"""The order of eviction by use, and the memory of recent keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.answers import sieve
from clusterdns.answers.sieve import RecentKeys, Sieve


class Entry:
    def __init__(self, name: int, uses: int = 0) -> None:
        self.name = name
        self.uses = uses

    def take_use(self) -> bool:
        """Take away one use; return whether there was one."""
        self.uses -= 1
        return self.uses >= 0


def evict(order: Sieve[Entry, Entry]) -> int:
    entry = order.next_to_go()
    order.remove(entry)
    return entry.name


def test_the_hand_passes_used_entries_once_for_each_use() -> None:
    order: Sieve[Entry, Entry] = Sieve()
    for name, uses in enumerate([1, 0, 2, 0]):
        entry = Entry(name, uses)
        order.add(entry, entry)
    newest = Entry(4)
    assert evict(order) == 1
    order.add(newest, newest)
    assert [evict(order) for _ in range(4)] == [3, 4, 0, 2], "past the newest the hand begins again at the oldest"
    assert not order
    with pytest.raises(KeyError, match="no entry"):
        order.next_to_go()


def test_the_order_of_many_entries_is_kept_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "MAX_PART", 4)
    order: Sieve[Entry, Entry] = Sieve()
    entries = [Entry(number, uses=number % 2) for number in range(100)]
    for entry in entries:
        order.add(entry, entry)
    for entry in entries[8:20]:  # three parts, in the middle
        assert order.remove(entry)
        assert not order.remove(entry)
    left = [*range(8), *range(20, 100)]
    assert len(order) == len(left)
    assert [evict(order) for _ in left] == [*filter(lambda one: not one % 2, left), *filter(lambda one: one % 2, left)]
    assert not order
    parts = sieve._Queue[Entry, Entry]()
    for entry in entries:
        parts.append(entry, entry)
    assert max(map(len, parts._parts)) == 4


def test_entries_that_are_never_used_do_not_move_the_hand_past_those_that_were() -> None:
    order: Sieve[Entry, Entry] = Sieve()
    used = [Entry(number, uses=1) for number in range(10)]
    for entry in used:
        order.add(entry, entry)
    evicted = []
    for number in range(10, 1000):
        entry = Entry(number)
        order.add(entry, entry)
        evicted.append(evict(order))
    assert evicted == list(range(10, 1000))


def test_the_hand_takes_a_bounded_number_of_steps_and_more_with_each_new_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusterdns.answers.sieve.MAX_HAND_STEPS", 5)
    monkeypatch.setattr("clusterdns.answers.sieve.HAND_STEPS_PER_ENTRY", 2)
    order: Sieve[Entry, Entry] = Sieve()
    for entry in [Entry(number, uses=9) for number in range(100)]:
        order.add(entry, entry)
    assert [evict(order) for _ in range(3)] == [5, 6, 7], "the hand passes five entries, and evicts whatever comes next"
    newest = Entry(100)
    order.add(newest, newest)
    assert [evict(order) for _ in range(2)] == [10, 11]
    order.rest_hand()
    assert [evict(order) for _ in range(2)] == [17, 18]


def test_a_scan_evicts_its_own_entries_where_the_hand_has_no_steps_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusterdns.answers.sieve.MAX_HAND_STEPS", 5)
    monkeypatch.setattr("clusterdns.answers.sieve.HAND_STEPS_PER_ENTRY", 0)
    order: Sieve[Entry, Entry] = Sieve()
    for entry in [Entry(number, uses=9) for number in range(100)]:
        order.add(entry, entry)
    evicted = []
    for number in range(100, 110):
        entry = Entry(number, uses=int(number == 105))
        order.add(entry, entry)
        evicted.append(evict(order))
    assert evicted == [5, 100, 101, 102, 103, 104, 6, 106, 107, 108], "105 was used: another one goes in its place"


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=60), st.integers(1, 4))
def test_every_entry_is_evicted_once_however_often_entries_are_used(
    steps: list[tuple[bool, int]], hand_steps: int
) -> None:
    order: Sieve[Entry, Entry] = Sieve()
    inside: set[int] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clusterdns.answers.sieve.MAX_HAND_STEPS", hand_steps)
        for number, (is_eviction, uses) in enumerate(steps):
            if is_eviction and order:
                inside.remove(evict(order))
            else:
                entry = Entry(number, uses)
                order.add(entry, entry)
                inside.add(number)
            assert len(order) == len(inside)
        while order:
            inside.remove(evict(order))
    assert not inside


def test_a_generation_of_keys_at_least_is_remembered_and_two_at_most() -> None:
    keys = RecentKeys(4)
    for number in range(6):
        keys.add(b"%d" % number)
        keys.add(b"%d" % number)
        assert all(b"%d" % one in keys for one in range(max(0, number - 3), number + 1))
    for number in range(6, 100):
        keys.add(b"%d" % number)
        assert sum(b"%d" % one in keys for one in range(100)) <= 8
