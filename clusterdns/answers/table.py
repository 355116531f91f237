"""The answer table of one listen point, transport and address family: the bytes of a query → its compiled answer.

The key leaves the ID out. Queries with the same key get the same answer but for the ID, so a hit parses nothing. The
table knows neither records nor Kubernetes: it forgets an answer when one of the answer's dependencies changes, and
never by age. All tables of a configuration share one `AnswerBudget`, so that memory is bounded by neither the number of
sockets nor the names that clients invent.
"""

from collections.abc import Hashable, Iterable

from clusterdns.answers.compiled import Answer
from clusterdns.answers.sieve import RecentKeys, Sieve
from clusterdns.telemetry.queries import HitCounter

MAX_ANSWER_BYTES = 24 << 20  # some 16,000 small answers
MAX_NEGATIVE_BYTES = 24 << 20  # some 15,000 negative answers
FIRST_QUERY_SHARE = 0.5  # of the bytes for positive answers: up to here they are kept from their first query on
ENTRY_BYTES = 1400  # of an answer with a dependency of its own, beside key and message; measured as growth of RSS


class _Store:
    """Answers of all tables within a number of bytes; SIEVE chooses those to evict."""

    __slots__ = ("_max_bytes", "_order", "most_bytes", "used_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._order: Sieve[HitCounter, tuple[AnswerTable, bytes]] = Sieve()
        self._max_bytes = self.most_bytes = max_bytes
        self.used_bytes = 0

    @property
    def has_room(self) -> bool:
        """Whether answers are kept from their first query on."""
        return self.used_bytes < self._max_bytes * FIRST_QUERY_SHARE

    def clear(self) -> None:
        self._order.clear()

    def add(self, table: "AnswerTable", key: bytes, answer: Answer) -> None:
        self.used_bytes += ENTRY_BYTES + len(key) + answer.size_bytes
        self._evict()
        self._order.add(answer.counter, (table, key))

    def remove(self, key: bytes, answer: Answer) -> None:
        self.used_bytes -= ENTRY_BYTES + len(key) + answer.size_bytes
        self._order.remove(answer.counter)

    def scale(self, share: float) -> None:
        self._max_bytes = int(self.most_bytes * share)
        self._evict()

    def _evict(self) -> None:
        while self.used_bytes > self._max_bytes and self._order:
            table, key = self._order.next_to_go()
            table.drop(key)


class AnswerBudget:
    """The bytes that several tables may take together.

    Positive and negative answers have a budget each: random names can evict nothing but negative answers, and a large
    RRset that is queried in ten thousand ways evicts other answers instead of growing the process.
    """

    def __init__(self, max_answer_bytes: int = MAX_ANSWER_BYTES, max_negative_bytes: int = MAX_NEGATIVE_BYTES) -> None:
        self._positive = _Store(max_answer_bytes)
        self._negative = _Store(max_negative_bytes)
        self._asked = RecentKeys()

    def clear(self) -> None:
        """Release the tables; none of them may be used afterwards."""
        self._positive.clear()
        self._negative.clear()

    @property
    def used_bytes(self) -> int:
        """The bytes in use now."""
        return self._positive.used_bytes + self._negative.used_bytes

    @property
    def most_bytes(self) -> int:
        """The limit without memory pressure."""
        return self._positive.most_bytes + self._negative.most_bytes

    def scale(self, share: float) -> None:
        """Set the limit to this share of `most_bytes`, and evict the answers beyond it."""
        self._positive.scale(share)
        self._negative.scale(share)

    def store(self, answer: Answer) -> _Store:
        """Return the store that holds answers of this kind."""
        return self._negative if answer.is_empty else self._positive

    def admits(self, key: bytes, *, is_at_once: bool) -> bool:
        """Record the key; return whether its answer is kept: see `AnswerTable.admits`."""
        was_asked = key in self._asked
        self._asked.add(key)
        return was_asked or (is_at_once and self._positive.has_room)


class AnswerTable:
    """Compiled answers by key. Dispatch fills it, changes of the index empty it, listeners read `entries` directly."""

    def __init__(self, budget: AnswerBudget | None = None) -> None:
        self.entries: dict[bytes, Answer] = {}
        self._by_dependency: dict[Hashable, set[bytes]] = {}
        self._budget = budget or AnswerBudget()

    def admits(self, key: bytes, *, is_at_once: bool) -> bool:
        """Return whether to keep the answer to this query: at once, or when the query comes a second time.

        Names that clients invent come once, whether they are denied or answered (pod names under `pods insecure`,
        wildcards, templates, EDNS sizes). Negative answers to them are never compiled; positive ones, for which
        `is_at_once` is true, only while the positive answers take less than half of their bytes.
        """
        return self._budget.admits(key, is_at_once=is_at_once)

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer, in place of an earlier one; evict others of its kind where space is needed."""
        if key in self.entries:
            self.drop(key)
        self._budget.store(answer).add(self, key, answer)
        self.entries[key] = answer
        for dependency in answer.dependencies:
            keys = self._by_dependency.get(dependency)
            if keys is None:
                self._by_dependency[dependency] = {key}
            else:
                keys.add(key)

    def forget(self, dependencies: Iterable[Hashable]) -> None:
        """Drop every answer that depends on one of these."""
        for dependency in dependencies:
            for key in tuple(self._by_dependency.get(dependency, ())):
                self.drop(key)

    def drop(self, key: bytes) -> None:
        """Remove one answer. Raises KeyError where there is none."""
        answer = self.entries.pop(key)
        answer.counter.fold()
        self._budget.store(answer).remove(key, answer)
        for dependency in answer.dependencies:
            keys = self._by_dependency[dependency]
            keys.discard(key)
            if not keys:
                del self._by_dependency[dependency]

    def fold_hits(self) -> None:
        """Add the hits of every answer to the counter of its outcome; 3 ms for 32,000 answers."""
        for answer in self.entries.values():
            if answer.counter.count:
                answer.counter.fold()
