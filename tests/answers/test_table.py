"""The answer table: what is forgotten, what is evicted, what is kept from its second query on."""

import pytest

from clusterdns.answers.compiled import Answer, compile_answer
from clusterdns.answers.sieve import MAX_RECENT_KEYS
from clusterdns.answers.table import ENTRY_BYTES, FIRST_QUERY_SHARE, AnswerBudget, AnswerTable
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.queries import QueryCounters, QueryOutcome
from clusterdns.wire.encode import EncodedMessage
from clusterdns.wire.runs import RotatingRecords

COUNTERS = QueryCounters(Registry(), "dns://:53")
OUTCOME = COUNTERS.counter(QueryOutcome("cluster.local.", "udp", "1", "A", "NOERROR", False, 57, 106))
ENTRY = ENTRY_BYTES + 8 + 100  # of an answer of 100 bytes with a key of 8


def answer(*dependencies: str, is_empty: bool = False, size_bytes: int = 100) -> Answer:
    return compile_answer(
        EncodedMessage(b"", bytes(size_bytes), RotatingRecords(), b"", 0), None, OUTCOME, dependencies, is_empty
    )


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
    table = AnswerTable(budget := AnswerBudget(max_answer_bytes=10 * (ENTRY_BYTES + 2 + size_bytes)))
    table.put(b"no", answer("web", is_empty=True))
    for number in range(10, 100):
        table.put(b"%d" % number, answer("web", size_bytes=size_bytes))
    assert set(table.entries) == {b"no", *(b"%d" % number for number in range(90, 100))}
    table.forget(["web"])
    assert not table.entries
    assert not budget.remove_forgotten()
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


def test_an_answer_may_be_kept_from_its_second_query_on() -> None:
    table = AnswerTable()
    assert table.admits(b"web", is_at_once=True)
    assert [table.admits(b"none", is_at_once=False) for _ in range(2)] == [False, True]
    for number in range(MAX_RECENT_KEYS):
        table.admits(b"%d" % number, is_at_once=False)
    assert table.admits(b"none", is_at_once=False)
    for number in range(2 * MAX_RECENT_KEYS):
        table.admits(b"later %d" % number, is_at_once=False)
    assert not table.admits(b"none", is_at_once=False), "a key seen long ago counts as new"


def test_from_half_of_the_bytes_on_positive_answers_are_kept_from_their_second_query_on() -> None:
    table = AnswerTable(budget := AnswerBudget(max_answer_bytes=100 * ENTRY))
    for number in range(16_547):
        if table.admits(b"%08d" % number, is_at_once=True):
            table.put(b"%08d" % number, answer("web"))
    assert len(table.entries) == int(100 * FIRST_QUERY_SHARE)
    assert table.admits(b"%08d" % 16_546, is_at_once=True)
    table.forget(["web"])
    assert not budget.remove_forgotten()
    assert table.admits(b"new", is_at_once=True), "there is room again"


@pytest.mark.parametrize("times", [1, 2, 3], ids="each made-up name is asked {} times".format)
@pytest.mark.parametrize("is_empty", [False, True])
@pytest.mark.parametrize("table_count", [1, 2])
def test_a_scan_of_made_up_names_evicts_no_answer_that_is_asked_between(
    times: int, is_empty: bool, table_count: int
) -> None:
    budget = AnswerBudget(200 * ENTRY, 200 * ENTRY)
    tables = [AnswerTable(budget) for _ in range(table_count)]
    asked = [b"asked%03d" % number for number in range(50)]
    for key in asked:
        tables[-1].put(key, answer("web", is_empty=is_empty))
    for number in range(16_547):
        key, table = b"%08d" % number, tables[0]
        for _ in range(times):
            if (found := table.entries.get(key)) is not None:
                found.counter.count += 1
            elif table.admits(key, is_at_once=not is_empty):
                table.put(key, answer("web", is_empty=is_empty))
        tables[-1].entries[asked[number % len(asked)]].counter.count += 1
    assert set(asked) <= set(tables[-1].entries)
    assert sum(len(table.entries) for table in tables) <= 200


def test_an_answer_that_is_asked_no_more_is_evicted_at_the_second_pass() -> None:
    table = AnswerTable(AnswerBudget(max_answer_bytes=10 * ENTRY))
    for number in range(10):
        table.put(b"%08d" % number, answer("web"))
        table.entries[b"%08d" % number].counter.count += 1
    for number in range(10, 22):
        table.put(b"%08d" % number, answer("web"))
    assert b"%08d" % 0 not in table.entries
    assert len(table.entries) == 10


def test_an_eviction_takes_a_bounded_number_of_steps_where_every_answer_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clusterdns.answers.sieve.MAX_HAND_STEPS", 5)
    table = AnswerTable(AnswerBudget(max_answer_bytes=100 * ENTRY))
    for number in range(100):
        table.put(b"%08d" % number, answer("web"))
        table.entries[b"%08d" % number].counter.count += 1
    table.put(b"%08d" % 100, answer("web"))
    assert len(table.entries) == 100
    assert b"%08d" % 5 not in table.entries, "the hand passed five answers and took the next"


def test_hits_are_counted_whether_their_answer_stays_or_goes() -> None:
    table = AnswerTable(budget := AnswerBudget())
    before = OUTCOME.count
    for key in (b"stays", b"goes", b"unused"):
        table.put(key, answer(key.decode()))
    table.entries[b"stays"].counter.count += 3
    table.entries[b"goes"].counter.count += 4
    table.forget(["goes"])
    assert not budget.remove_forgotten()
    assert OUTCOME.count - before == 4
    for _ in range(2):
        list(table.fold_hits())
    assert OUTCOME.count - before == 7
    uses = [table.entries[b"stays"].counter.take_use() for _ in range(4)]
    assert uses == [True, True, True, False], "folding keeps the hits that eviction reads"
