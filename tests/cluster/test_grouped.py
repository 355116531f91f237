"""The groups of a multimap against a plain list of pairs, and the work of one change in a large group."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.cluster.grouped import Grouped

steps = st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 30)), max_size=60)


@given(steps)
def test_groups_hold_what_was_added_and_not_removed(history: list[tuple[bool, int, int]]) -> None:
    grouped: Grouped[int, int] = Grouped(lambda value: value // 3)  # several values of a rank
    pairs: list[tuple[int, int]] = []
    for is_added, key, value in history:
        if is_added:
            grouped.add(key, value)
            pairs.append((key, value))
        else:
            assert grouped.discard(key, value) == ((key, value) in pairs)
            if (key, value) in pairs:
                pairs.remove((key, value))
        assert set(grouped) == {one for one, _ in pairs}
        assert len(grouped) == len(set(grouped))
        for each in range(4):
            found = list(grouped.get(each))
            assert sorted(found) == sorted(one for other, one in pairs if other == each)
            assert [one // 3 for one in found] == sorted(one // 3 for one in found)


def test_removing_what_is_not_there_is_an_error() -> None:
    grouped: Grouped[str, int] = Grouped(lambda value: value)
    grouped.add("a", 1)
    for key, value in (("a", 2), ("b", 1)):
        with pytest.raises(KeyError):
            grouped.remove(key, value)
    grouped.remove("a", 1)
    assert "a" not in grouped


def test_a_change_of_a_large_group_compares_few_values() -> None:
    ranked = 0

    def rank(value: int) -> int:
        nonlocal ranked
        ranked += 1
        return value

    grouped: Grouped[str, int] = Grouped(rank)
    for value in range(8000):
        grouped.add("db", value)
    ranked = 0
    grouped.add("db", 4000)
    grouped.remove("db", 4000)
    grouped.remove("db", 0)
    assert ranked < 60
