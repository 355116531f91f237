"""The answer table of one listen point, transport and address family: the bytes of a query → its compiled answer.

The key leaves the ID out. Queries with the same key get the same answer but for the ID, so a hit parses nothing. The
table knows neither records nor Kubernetes: it forgets an answer when one of the answer's dependencies changes, and
never by age. All tables of a configuration share one `AnswerBudget`, so that memory is bounded by neither the number of
sockets nor the names that clients invent.

Thousands of answers may have one dependency, as the names of a namespace do. To forget them takes as long as to forget
one: they are found no longer, and are removed later, some in each turn of the event loop (`remove_forgotten`).
"""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping

from clusterdns.answers.compiled import Answer
from clusterdns.answers.sieve import RecentKeys, Sieve
from clusterdns.telemetry.queries import HitCounter

MAX_ANSWER_BYTES = 24 << 20  # some 16,000 small answers
MAX_NEGATIVE_BYTES = 24 << 20  # some 15,000 negative answers
FIRST_QUERY_SHARE = 0.5  # of the bytes for positive answers: up to here they are kept from their first query on
MAX_REMOVALS = 128  # of forgotten answers in a row: 0.5 ms
MAX_EVICTIONS = 64  # in a row, under memory pressure: 1 ms
MAX_FOLDS = 1000  # in a row: 1 ms, where every answer has been used
ENTRY_BYTES = 1400  # of an answer with a dependency of its own, beside key and message; measured as growth of RSS


class _Store:
    """Answers of all tables within a number of bytes; SIEVE chooses those to evict."""

    __slots__ = ("_max_bytes", "_order", "most_bytes", "used_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._order: Sieve[HitCounter, tuple[AnswerTable, bytes, Answer]] = Sieve()
        self._max_bytes = self.most_bytes = max_bytes
        self.used_bytes = 0

    @property
    def has_room(self) -> bool:
        """Whether answers are kept from their first query on."""
        return self.used_bytes < self._max_bytes * FIRST_QUERY_SHARE

    def clear(self) -> None:
        self._order.clear()

    def add(self, table: "AnswerTable", key: bytes, answer: Answer) -> None:
        limit = max(self._max_bytes, self.used_bytes)  # there may be more to evict since `scale`
        self.used_bytes += ENTRY_BYTES + len(key) + answer.size_bytes
        while self.used_bytes > limit and self._order:
            self._evict_one()
        self._order.add(answer.counter, (table, key, answer))

    def remove(self, key: bytes, answer: Answer) -> bool:
        """Return whether the store held the answer."""
        if not self._order.remove(answer.counter):
            return False
        self.used_bytes -= ENTRY_BYTES + len(key) + answer.size_bytes
        return True

    def scale(self, share: float) -> None:
        self._max_bytes = int(self.most_bytes * share)

    def evict(self) -> bool:
        """Evict some of the answers beyond the limit; return whether there are more."""
        self._order.rest_hand()
        for _ in range(MAX_EVICTIONS):
            if self.used_bytes <= self._max_bytes:
                break
            self._evict_one()
        return self.used_bytes > self._max_bytes

    def _evict_one(self) -> None:
        table, key, answer = self._order.next_to_go()
        table.remove(key, answer)


class AnswerBudget:
    """The bytes that several tables may take together.

    Positive and negative answers have a budget each: random names can evict nothing but negative answers, and a large
    RRset that is queried in ten thousand ways evicts other answers instead of growing the process.
    """

    def __init__(self, max_answer_bytes: int = MAX_ANSWER_BYTES, max_negative_bytes: int = MAX_NEGATIVE_BYTES) -> None:
        self._positive = _Store(max_answer_bytes)
        self._negative = _Store(max_negative_bytes)
        self._asked = RecentKeys()
        self._untidy: deque[AnswerTable] = deque()  # the tables with forgotten answers

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
        """Set the limit to this share of `most_bytes`; `evict` enforces it."""
        self._positive.scale(share)
        self._negative.scale(share)

    def evict(self) -> bool:
        """Evict some of the answers beyond the limit; return whether there are more."""
        return self._positive.evict() or self._negative.evict()

    def note_forgotten(self, table: "AnswerTable") -> None:
        """Have `remove_forgotten` remove the forgotten answers of a table, too."""
        self._untidy.append(table)

    def remove_forgotten(self) -> bool:
        """Remove some of the forgotten answers of all tables; return whether there are more."""
        left = MAX_REMOVALS
        while self._untidy and left:
            left -= self._untidy[0].remove_forgotten(left)
            if not self._untidy[0].has_forgotten:
                self._untidy.popleft()
        return bool(self._untidy)

    def store(self, answer: Answer) -> _Store:
        """Return the store that holds answers of this kind."""
        return self._negative if answer.is_empty else self._positive

    def admits(self, key: bytes, *, is_at_once: bool) -> bool:
        """Record the key; return whether its answer is kept: see `AnswerTable.admits`."""
        was_asked = key in self._asked
        self._asked.add(key)
        return was_asked or (is_at_once and self._positive.has_room)


class _CurrentAnswers(Mapping[bytes, Answer]):
    """The answers of a table without those that are forgotten and not yet removed."""

    def __init__(self, answers: dict[bytes, Answer], by_dependency: dict[Hashable, dict[bytes, Answer]]) -> None:
        self._answers = answers
        self._by_dependency = by_dependency

    def __getitem__(self, key: bytes) -> Answer:
        answer = self._answers[key]
        for dependency in answer.dependencies:
            if self._by_dependency.get(dependency, {}).get(key) is not answer:
                raise KeyError(key)
        return answer

    def __iter__(self) -> Iterator[bytes]:
        return (key for key in self._answers if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class AnswerTable:
    """Compiled answers by key. Dispatch fills it, changes of the index empty it, listeners read `entries` directly.

    `entries` is the dict of all answers, or a slower view of it while some of them are forgotten and not yet removed.
    Listeners read the attribute once per batch.
    """

    def __init__(self, budget: AnswerBudget | None = None) -> None:
        self._answers: dict[bytes, Answer] = {}
        self.entries: Mapping[bytes, Answer] = self._answers
        self._by_dependency: dict[Hashable, dict[bytes, Answer]] = {}
        self._forgotten: list[dict[bytes, Answer]] = []  # some of these answers may have been removed since
        self._budget = budget or AnswerBudget()
        self.changes = 0  # how often answers were forgotten: one that was found before a change is not kept after it

    @property
    def has_forgotten(self) -> bool:
        """Whether forgotten answers are still to be removed."""
        return bool(self._forgotten)

    def admits(self, key: bytes, *, is_at_once: bool) -> bool:
        """Return whether to keep the answer to this query: at once, or when the query comes a second time.

        Names that clients invent come once, whether they are denied or answered (pod names under `pods insecure`,
        wildcards, templates, EDNS sizes). Negative answers to them are never compiled; positive ones, for which
        `is_at_once` is true, only while the positive answers take less than half of their bytes.
        """
        return self._budget.admits(key, is_at_once=is_at_once)

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer, in place of an earlier one; evict others of its kind where space is needed."""
        self.drop(key)
        self._budget.store(answer).add(self, key, answer)
        self._answers[key] = answer
        for dependency in answer.dependencies:
            answers = self._by_dependency.get(dependency)
            if answers is None:
                self._by_dependency[dependency] = {key: answer}
            else:
                answers[key] = answer

    def forget(self, dependencies: Iterable[Hashable]) -> None:
        """Have every answer that depends on one of these found no longer."""
        self.changes += 1
        found = [answers for one in dependencies if (answers := self._by_dependency.pop(one, None)) is not None]
        if found:
            self._set_aside(found)
            self.entries = _CurrentAnswers(self._answers, self._by_dependency)

    def forget_all(self) -> None:
        """Have no answer found any longer."""
        self.changes += 1
        if self._answers:
            self._set_aside([self._answers])
            self._answers = self.entries = {}

    def _set_aside(self, forgotten: list[dict[bytes, Answer]]) -> None:
        if not self._forgotten:
            self._budget.note_forgotten(self)
        self._forgotten += forgotten

    def remove_forgotten(self, most: int) -> int:
        """Remove at most this number of forgotten answers; return how many it looked at."""
        count = 0
        while self._forgotten:
            answers = self._forgotten[-1]
            while answers:
                if count == most:
                    return count
                self.remove(*answers.popitem())
                count += 1
            self._forgotten.pop()
        self.entries = self._answers
        return count

    def drop(self, key: bytes) -> None:
        """Remove the answer to a query, if there is one."""
        answer = self._answers.get(key)
        if answer is not None:
            self.remove(key, answer)

    def remove(self, key: bytes, answer: Answer) -> None:
        """Remove an answer, forgotten or not, unless it has been removed before."""
        if not self._budget.store(answer).remove(key, answer):
            return
        answer.counter.fold()
        if self._answers.get(key) is answer:
            del self._answers[key]
        for dependency in answer.dependencies:
            answers = self._by_dependency.get(dependency)
            if answers is not None and answers.get(key) is answer:
                del answers[key]
                if not answers:
                    del self._by_dependency[dependency]

    def fold_hits(self) -> Iterator[None]:
        """Add the hits of every answer to the counter of its outcome, in steps."""
        for answers in (self._answers, *self._forgotten):
            every = tuple(answers.values())  # answers come and go between two steps
            for start in range(0, len(every), MAX_FOLDS):
                for answer in every[start : start + MAX_FOLDS]:
                    if answer.counter.count:
                        answer.counter.fold()
                yield
