"""Forgetting: answers are found no longer at once, and removed in steps; compared with a table that removes at once."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.answers import table as tables
from clusterdns.answers.compiled import Answer, compile_answer
from clusterdns.answers.table import ENTRY_BYTES, AnswerBudget, AnswerTable
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.queries import QueryCounters, QueryOutcome
from clusterdns.wire.encode import EncodedMessage
from clusterdns.wire.runs import NO_ROTATION

COUNTERS = QueryCounters(Registry(), "dns://:53")
OUTCOMES = [
    COUNTERS.counter(QueryOutcome("cluster.local.", "udp", "1", "A", rcode, False, 57, 106))
    for rcode in ("NOERROR", "NXDOMAIN")
]
KEYS = [b"%d" % number for number in range(8)]
DEPENDENCIES = "abc"
ENTRY = ENTRY_BYTES + 1 + 10  # of a key of one byte and an answer of 10


def answer(dependencies: str = "a", *, is_empty: bool = False) -> Answer:
    encoded = EncodedMessage(b"", bytes(10), NO_ROTATION, b"", 0)
    return compile_answer(encoded, None, OUTCOMES[is_empty], tuple(dependencies), is_empty)


@pytest.fixture(autouse=True)
def small_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "MAX_REMOVALS", 2)
        patch.setattr(tables, "MAX_EVICTIONS", 2)
        patch.setattr(tables, "MAX_FOLDS", 2)
        yield


class Put(NamedTuple):
    table: int
    key: bytes
    dependencies: str
    is_empty: bool


class Forget(NamedTuple):
    dependencies: str


class Hit(NamedTuple):
    table: int
    key: bytes


class ForgetAll(NamedTuple):
    table: int


class Scale(NamedTuple):
    share: float


class Step(NamedTuple):
    """One step of what goes on between turns: removal, eviction, or folding for a scrape."""

    kind: str


_tables = st.sampled_from([0, 1])
_keys = st.sampled_from(KEYS)
_depends = st.text(DEPENDENCIES, max_size=3)
OPERATIONS = st.lists(
    st.one_of(
        st.builds(Put, _tables, _keys, _depends, st.booleans()),
        st.builds(Put, _tables, _keys, _depends, st.booleans()),
        st.builds(Hit, _tables, _keys),
        st.builds(Forget, _depends),
        st.builds(ForgetAll, _tables),
        st.builds(Scale, st.sampled_from([0.0, 0.3, 1.0])),
        st.builds(Step, st.sampled_from(["remove", "evict", "scrape"])),
    ),
    max_size=60,
)


class Compared:
    """Two tables of one budget, and dicts that do the same at once; what is evicted is taken over from the tables."""

    def __init__(self, capacity: int) -> None:
        self.budget = AnswerBudget(capacity * ENTRY, capacity * ENTRY)
        self.tables = [AnswerTable(self.budget) for _ in range(2)]
        self.models: list[dict[bytes, Answer]] = [{}, {}]
        self.capacity = capacity
        self.hits = 0
        self.counted_before = self.counted
        self.scrapes: list[tuple[Iterator[None], int]] = []  # and the hits before each of them

    @property
    def counted(self) -> int:
        """The hits in the counters of the outcomes."""
        return sum(outcome.count for outcome in OUTCOMES)

    def do(self, operation: object) -> None:
        """Run an operation on both sides, and compare them."""
        match operation:
            case Put(number, key, dependencies, is_empty):
                made = answer(dependencies, is_empty=is_empty)
                self.tables[number].put(key, made)
                self.models[number][key] = made
                self.take_over_evictions()
                assert self.tables[number].entries[key] is made, "an answer does not evict itself"
            case Hit(number, key):
                if (found := self.tables[number].entries.get(key)) is not None:
                    found.counter.count += 1
                    self.hits += 1
            case Forget(dependencies):
                for table, model in zip(self.tables, self.models, strict=True):
                    table.forget(dependencies)
                    for key in [key for key, one in model.items() if set(dependencies) & set(one.dependencies)]:
                        del model[key]
            case ForgetAll(number):
                self.tables[number].forget_all()
                self.models[number].clear()
            case Scale(share):
                self.budget.scale(share)
            case Step("remove"):
                self.budget.remove_forgotten()
            case Step("evict"):
                self.budget.evict()
                self.take_over_evictions()
            case Step("scrape"):
                self.scrape_on()
        self.compare()

    def take_over_evictions(self) -> None:
        for table, model in zip(self.tables, self.models, strict=True):
            for key in [key for key in model if key not in table.entries]:
                del model[key]

    def scrape_on(self) -> None:
        """Begin a scrape or take its next step; at its end all hits from before its begin are counted."""
        if not self.scrapes:
            self.scrapes.append(((step for table in self.tables for step in table.fold_hits()), self.hits))
        steps, hits_before = self.scrapes[0]
        if next(steps, self) is self:
            self.scrapes.clear()
            assert hits_before <= self.counted - self.counted_before <= self.hits

    def compare(self) -> None:
        for table, model in zip(self.tables, self.models, strict=True):
            assert dict(table.entries) == model
            assert [table.entries.get(key) for key in KEYS] == [model.get(key) for key in KEYS]

    def finish(self) -> None:
        """Take all steps that are left; nothing that is forgotten takes bytes or keeps hits then."""
        while self.budget.remove_forgotten():
            pass
        self.compare()
        live = [one for model in self.models for one in model.values()]
        assert self.budget.used_bytes == len(live) * ENTRY
        for table in self.tables:
            assert not table.has_forgotten
            assert type(table.entries) is dict, "listeners read the dict again"
            list(table.fold_hits())
        assert self.counted - self.counted_before == self.hits
        for table in self.tables:
            table.forget(DEPENDENCIES)
            table.forget_all()
        while self.budget.remove_forgotten():
            pass
        assert self.budget.used_bytes == 0
        assert not any(table._by_dependency for table in self.tables)


@given(OPERATIONS, st.sampled_from([2, 5, 100]))
def test_any_order_of_operations_gives_the_answers_and_counts_of_a_table_that_removes_at_once(
    operations: list[object], capacity: int
) -> None:
    compared = Compared(capacity)
    for operation in operations:
        compared.do(operation)
    compared.finish()


def test_a_scrape_counts_the_hits_of_answers_that_are_forgotten_and_not_removed_yet() -> None:
    table = AnswerTable()
    before = sum(outcome.count for outcome in OUTCOMES)
    for number in range(10):
        table.put(b"%d" % number, answer("a" if number else "b"))
        table.entries[b"%d" % number].counter.count += 1
    table.forget("a")
    list(table.fold_hits())
    assert sum(outcome.count for outcome in OUTCOMES) - before == 10
    assert table.has_forgotten


def test_an_answer_is_found_no_longer_although_thousands_are_forgotten_with_it() -> None:
    table = AnswerTable(budget := AnswerBudget())
    for number in range(1000):
        table.put(b"%d" % number, answer("ab"))
    table.put(b"stays", stays := answer("b"))
    table.forget("a")
    assert all(table.entries.get(b"%d" % number) is None for number in range(1000))
    assert table.entries.get(b"stays") is stays
    steps = 1
    while budget.remove_forgotten():
        steps += 1
        assert table.entries.get(b"500") is None
        assert table.entries.get(b"stays") is stays
    assert steps >= 1000 / tables.MAX_REMOVALS


def test_an_answer_stored_again_before_the_forgotten_one_is_removed_stays() -> None:
    table = AnswerTable(budget := AnswerBudget())
    for number in range(10):
        table.put(b"%d" % number, answer("ab"))
    table.forget("a")
    table.put(b"5", again := answer("ab"))
    assert table.entries.get(b"5") is again
    while budget.remove_forgotten():
        pass
    assert dict(table.entries) == {b"5": again}
    table.forget("b")
    assert not table.entries


def test_scaled_budgets_evict_in_steps_and_a_new_answer_evicts_as_much_as_it_takes() -> None:
    table = AnswerTable(budget := AnswerBudget(100 * ENTRY, 100 * ENTRY))
    for number in range(9):
        table.put(b"%d" % number, answer())
    budget.scale(0.02)
    assert len(table.entries) == 9
    table.put(b"9", answer())
    assert len(table.entries) == 9
    assert budget.evict()
    assert len(table.entries) == 9 - tables.MAX_EVICTIONS
    while budget.evict():
        pass
    assert len(table.entries) == 2
