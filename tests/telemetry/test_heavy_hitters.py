"""Space-Saving: what it guarantees for any stream, and how well it finds the top of one like those of DNS."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.telemetry.heavy_hitters import HALF_LIFE_SECONDS, HeavyHitters


def counts(keys: list[str], capacity: int) -> dict[str, float]:
    """The counts of a stream that takes one second."""
    found: HeavyHitters[str] = HeavyHitters(capacity)
    for key in keys:
        found.add(key)
    found.fade(1.0)
    return {one.key: one.per_second for one in found.top(1 << 30)}


@given(st.lists(st.sampled_from("abcdefgh")), st.integers(1, 8))
def test_counts_are_never_too_low_and_too_high_by_no_more_than_the_least(keys: list[str], capacity: int) -> None:
    true = Counter(keys)
    found = counts(keys, capacity)
    assert len(found) == min(capacity, len(true))
    assert sum(found.values()) == len(keys)  # what a key has too much another one has lost
    least = min(found.values(), default=0)
    for key, count in found.items():
        assert true[key] <= count <= true[key] + least
    for key in true.keys() - found.keys():
        assert true[key] <= least


@given(st.lists(st.sampled_from("abcdefgh")))
def test_with_room_for_all_keys_every_count_is_exact(keys: list[str]) -> None:
    assert counts(keys, 8) == Counter(keys)


def test_keys_that_come_once_do_not_displace_the_frequent_ones() -> None:
    draw = random.Random(1)
    found: HeavyHitters[str] = HeavyHitters(64)
    for number in range(20_000):
        found.add(f"often-{draw.randrange(5)}" if number % 2 else f"once-{number}")
    found.fade(1.0)
    assert len(found) == 64
    assert {one.key for one in found.top(5)} == {f"often-{number}" for number in range(5)}


def test_weights_count_for_as_many() -> None:
    found: HeavyHitters[str] = HeavyHitters(2)
    found.add("light")
    found.add("heavy", 50)
    found.add("light")
    found.fade(1.0)
    assert [one.key for one in found.top(2)] == ["heavy", "light"]
    assert found.top(1)[0].per_second == pytest.approx(50.0)


def test_rates_are_those_of_the_last_seconds() -> None:
    found: HeavyHitters[str] = HeavyHitters(4)
    for _ in range(200):
        found.add("steady", 10)
        found.fade(1.0)
    assert found.top(1)[0].per_second == pytest.approx(10.0, rel=0.01)
    for _ in range(int(HALF_LIFE_SECONDS)):
        found.fade(1.0)
    assert found.top(1)[0].per_second == pytest.approx(5.0, rel=0.05)
    found.add("new", 1000)
    found.fade(1.0)
    assert found.top(1)[0].key == "new"


def test_a_picture_that_is_looked_at_for_days_stays_right() -> None:
    found: HeavyHitters[str] = HeavyHitters(2)
    for second in range(200_000):
        found.add("steady", 3)
        if not second % 1000:
            found.add(f"once-{second}")
        found.fade(1.0)
    top, other = found.top(2)
    assert top.key == "steady"
    assert top.per_second == pytest.approx(3.0, rel=0.01)
    assert other.key.startswith("once-")
    assert other.per_second < 0.1


def test_nothing_is_known_before_the_first_second_has_ended() -> None:
    found: HeavyHitters[str] = HeavyHitters(4)
    found.add("early")
    assert found.top(4) == []
    assert len(found) == 1
