"""Space-Saving: what it guarantees for any stream, and how well it finds the top of one like those of DNS."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.telemetry.heavy_hitters import HALF_LIFE_SECONDS, HeavyHitters


def filled(keys: list[str], capacity: int) -> HeavyHitters[str]:
    found: HeavyHitters[str] = HeavyHitters(capacity)
    for key in keys:
        found.add(key)
    found.fade(0.0)
    return found


def counts(found: HeavyHitters[str]) -> dict[str, tuple[float, float]]:
    """Count and error of each key, of one second that has just begun to fade."""
    found.fade(1e-9)
    return {one.key: (one.per_second * 1e-9, one.error_per_second * 1e-9) for one in found.top(1 << 30)}


@given(st.lists(st.sampled_from("abcdefgh")), st.integers(1, 8))
def test_counts_are_never_too_low_and_too_high_by_no_more_than_the_error(keys: list[str], capacity: int) -> None:
    true = Counter(keys)
    found = counts(filled(keys, capacity))
    assert len(found) == min(capacity, len(true))
    for key, (count, error) in found.items():
        assert count == pytest.approx(count)
        assert true[key] <= count + 1e-6
        assert count - error <= true[key] + 1e-6
    for key in true.keys() - found.keys():  # a key that is not held was never more frequent than those that are
        assert true[key] <= min(count for count, _ in found.values()) + 1e-6


@given(st.lists(st.sampled_from("abcdefgh")))
def test_with_room_for_all_keys_every_count_is_exact(keys: list[str]) -> None:
    found = counts(filled(keys, 8))
    assert {key: round(count) for key, (count, _) in found.items()} == Counter(keys)
    assert all(error == 0 for _, error in found.values())


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
    found.add("heavy", 50.0)
    found.add("light")
    found.fade(1.0)
    assert [one.key for one in found.top(2)] == ["heavy", "light"]
    assert found.top(1)[0].per_second == pytest.approx(50.0)


def test_rates_are_those_of_the_last_seconds() -> None:
    found: HeavyHitters[str] = HeavyHitters(4)
    for _ in range(100):
        found.add("steady", 10)
        found.fade(1.0)
    assert found.top(1)[0].per_second == pytest.approx(10.0, rel=0.01)
    for _ in range(int(HALF_LIFE_SECONDS)):
        found.fade(1.0)
    assert found.top(1)[0].per_second == pytest.approx(5.0, rel=0.05)


def test_nothing_is_known_before_the_first_second_has_ended() -> None:
    found: HeavyHitters[str] = HeavyHitters(4)
    found.add("early")
    assert found.top(4) == []
    assert len(found) == 1
