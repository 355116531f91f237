"""The answer table of one listen point, transport and family: a packet without its ID → the compiled answer to it.

Two queries that are the same bytes but for the ID get the same bytes but for the ID, so a hit needs no parsing at all.
The table knows neither records nor Kubernetes. It forgets what depends on an owner when told that the owner changed;
nothing leaves by age. All tables of a configuration share one `AnswerBudget`, so that neither the number of sockets nor
the names that clients make up decide how much memory the process takes.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable

from clusterdns.answers.compiled import Answer

MAX_ANSWER_BYTES = 24 << 20  # some 16,000 small answers
MAX_DENIAL_BYTES = 24 << 20  # some 15,000 denials
MAX_ASKED_ONCE = 32_768
ENTRY_BYTES = 1400  # what an answer with an owner of its own takes beside key and message, as RSS grows with it


class _Share:
    """One sort of entry, of all tables, the oldest first, within a number of bytes."""

    __slots__ = ("_entries", "_max_bytes", "most_bytes", "used_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._entries: OrderedDict[tuple[AnswerTable, bytes], None] = OrderedDict()
        self._max_bytes = self.most_bytes = max_bytes
        self.used_bytes = 0

    def clear(self) -> None:
        self._entries.clear()

    def take(self, table: "AnswerTable", key: bytes, answer: Answer) -> None:
        self.used_bytes += ENTRY_BYTES + len(key) + answer.size_bytes
        self._make_space()
        self._entries[table, key] = None

    def scale(self, share: float) -> None:
        self._max_bytes = int(self.most_bytes * share)
        self._make_space()

    def _make_space(self) -> None:
        while self.used_bytes > self._max_bytes and self._entries:
            oldest_table, oldest_key = next(iter(self._entries))
            oldest_table.drop(oldest_key)

    def give_back(self, table: "AnswerTable", key: bytes, answer: Answer) -> None:
        self.used_bytes -= ENTRY_BYTES + len(key) + answer.size_bytes
        del self._entries[table, key]


class AnswerBudget:
    """What several tables may take together.

    Answers and denials are bounded each for themselves, so that random names can only push out denials, and a large
    RRset asked in ten thousand ways pushes out other answers, not the process.
    """

    def __init__(self, max_answer_bytes: int = MAX_ANSWER_BYTES, max_denial_bytes: int = MAX_DENIAL_BYTES) -> None:
        self._answers = _Share(max_answer_bytes)
        self._denials = _Share(max_denial_bytes)
        self._asked_once: set[int] = set()  # hashes of keys

    def clear(self) -> None:
        """Let go of the tables; none of them is to be used any more."""
        self._answers.clear()
        self._denials.clear()

    @property
    def used_bytes(self) -> int:
        """What is kept now."""
        return self._answers.used_bytes + self._denials.used_bytes

    @property
    def most_bytes(self) -> int:
        """What may be kept where memory is not short."""
        return self._answers.most_bytes + self._denials.most_bytes

    def scale(self, share: float) -> None:
        """Keep at most this share of it from now on; the oldest goes."""
        self._answers.scale(share)
        self._denials.scale(share)

    def share(self, answer: Answer) -> _Share:
        """Where an answer belongs."""
        return self._denials if answer.is_empty else self._answers

    def asks_again(self, key: bytes) -> bool:
        """Whether this key was here before, not too long ago; from now on it was."""
        mark = hash(key)
        if mark in self._asked_once:
            return True
        if len(self._asked_once) >= MAX_ASKED_ONCE:
            self._asked_once.clear()
        self._asked_once.add(mark)
        return False


class AnswerTable:
    """Written by dispatch (`put`) and by the index's changes (`forget`); listeners read `entries` directly."""

    def __init__(self, budget: AnswerBudget | None = None) -> None:
        self.entries: dict[bytes, Answer] = {}
        self._by_dependency: dict[Hashable, set[bytes]] = {}
        self._budget = budget or AnswerBudget()

    def admits(self, key: bytes, *, is_at_once: bool) -> bool:
        """Whether an answer is worth keeping: at once, or only when it is asked a second time.

        Random names are asked once, so they cost neither a compiled answer nor another denial its place.
        """
        return is_at_once or self._budget.asks_again(key)

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer; the oldest of its sort makes room where needed."""
        if key in self.entries:
            self.drop(key)
        self._budget.share(answer).take(self, key, answer)
        self.entries[key] = answer
        for owner in answer.dependencies:
            keys = self._by_dependency.get(owner)
            if keys is None:
                self._by_dependency[owner] = {key}
            else:
                keys.add(key)

    def forget(self, dependencies: Iterable[Hashable]) -> None:
        """Drop every answer that depends on one of these dependencies."""
        for owner in dependencies:
            for key in tuple(self._by_dependency.get(owner, ())):
                self.drop(key)

    def drop(self, key: bytes) -> None:
        """Take one answer out. Raises KeyError where it is not here."""
        answer = self.entries.pop(key)
        self._budget.share(answer).give_back(self, key, answer)
        for owner in answer.dependencies:
            keys = self._by_dependency[owner]
            keys.discard(key)
            if not keys:
                del self._by_dependency[owner]
