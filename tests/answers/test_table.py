"""The answer table: what is forgotten, what is evicted, what is kept from its second query on."""

import pytest

from clusterdns.answers.compiled import Answer, compile_answer
from clusterdns.answers.table import ENTRY_BYTES, AnswerBudget, AnswerTable
from clusterdns.wire.encode import EncodedMessage


def answer(*dependencies: str, is_empty: bool = False, size_bytes: int = 100) -> Answer:
    return compile_answer(EncodedMessage(b"", bytes(size_bytes), [], 0, b"", 0), None, None, dependencies, is_empty)


def test_forgetting_drops_exactly_the_answers_with_the_dependency() -> None:
    table = AnswerTable()
    table.put(b"1", answer("web"))
    table.put(b"2", answer("web", "db", "web"))  # a CNAME to a name of its own namespace has the namespace twice
    table.put(b"3", answer("db", is_empty=True))
    table.put(b"4", answer())
    table.forget(["web", "nobody"])
    assert set(table.entries) == {b"3", b"4"}
    table.forget(["db", "db"])
    assert set(table.entries) == {b"4"}


def test_a_new_answer_replaces_the_old_one() -> None:
    table = AnswerTable()
    table.put(b"1", answer("web"))
    table.put(b"1", answer("db"))
    table.forget(["web"])
    assert set(table.entries) == {b"1"}
    table.forget(["db"])
    assert not table.entries


def test_negative_answers_evict_negative_answers_only() -> None:
    table = AnswerTable(AnswerBudget(max_negative_bytes=10 * (ENTRY_BYTES + 2 + 100)))
    table.put(b"web", answer("web"))
    for number in range(10, 100):
        table.put(b"%d" % number, answer("web", is_empty=True))
    assert set(table.entries) == {b"web", *(b"%d" % number for number in range(90, 100))}


@pytest.mark.parametrize("size_bytes", [0, 100, 131_072])
def test_answers_are_bounded_by_their_bytes(size_bytes: int) -> None:
    table = AnswerTable(AnswerBudget(max_answer_bytes=10 * (ENTRY_BYTES + 2 + size_bytes)))
    table.put(b"no", answer("web", is_empty=True))
    for number in range(10, 100):
        table.put(b"%d" % number, answer("web", size_bytes=size_bytes))
    assert set(table.entries) == {b"no", *(b"%d" % number for number in range(90, 100))}
    table.forget(["web"])
    assert not table.entries
    for number in range(10, 20):
        table.put(b"%d" % number, answer("web", size_bytes=size_bytes))
    assert len(table.entries) == 10, "forgotten answers release their bytes"


@pytest.mark.parametrize("is_empty", [False, True])
def test_all_tables_share_one_budget(is_empty: bool) -> None:
    budget = AnswerBudget(10 * (ENTRY_BYTES + 2 + 100), 10 * (ENTRY_BYTES + 2 + 100))
    udp, tcp = AnswerTable(budget), AnswerTable(budget)
    for number in range(10, 20):
        udp.put(b"%d" % number, answer("web", is_empty=is_empty))
    for number in range(10, 14):
        tcp.put(b"%d" % number, answer("db", is_empty=is_empty))
    assert set(udp.entries) == {b"%d" % number for number in range(14, 20)}
    assert set(tcp.entries) == {b"%d" % number for number in range(10, 14)}
    for table in (udp, tcp):
        table.forget(["web", "db"])
        assert not table.entries


def test_the_bytes_of_keys_count_too() -> None:
    table = AnswerTable(AnswerBudget(max_answer_bytes=10 * (ENTRY_BYTES + 250)))
    for number in range(100):
        table.put(b"%0250d" % number, answer("web", size_bytes=0))
    assert len(table.entries) == 10


def test_an_answer_may_be_kept_from_its_second_query_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusterdns.answers.table.MAX_SEEN_KEYS", 4)
    table = AnswerTable()
    assert table.admits(b"web", is_at_once=True)
    assert [table.admits(b"none", is_at_once=False) for _ in range(2)] == [False, True]
    for number in range(4):
        table.admits(b"%d" % number, is_at_once=False)
    assert not table.admits(b"none", is_at_once=False), "a key seen long ago counts as new"
