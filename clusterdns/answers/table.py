"""The answer table of one listen point, transport and family: a packet without its ID → the compiled answer to it.

Two queries that are the same bytes but for the ID get the same bytes but for the ID, so a hit needs no parsing at all.
The table knows neither records nor Kubernetes. It forgets what depends on an owner when told that the owner changed;
nothing leaves by age. Answers are bounded by their bytes and denials by their number, each for itself, so that random
names can only push out denials, and a large RRset asked in ten thousand ways pushes out others, not the process.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable

from clusterdns.answers.compiled import Answer

MAX_ANSWER_BYTES = 24 << 20  # some 25,000 small answers
MAX_DENIALS = 32_768
ENTRY_BYTES = 800  # what a small answer takes beside its own bytes, measured: key, object, its four places here


class AnswerTable:
    """Written by dispatch (`put`) and by the index's changes (`forget`); listeners read `entries` directly."""

    def __init__(self, max_answer_bytes: int = MAX_ANSWER_BYTES, max_denials: int = MAX_DENIALS) -> None:
        self.entries: dict[bytes, Answer] = {}
        self._by_owner: dict[Hashable, set[bytes]] = {}
        self._answers: OrderedDict[bytes, None] = OrderedDict()
        self._denials: OrderedDict[bytes, None] = OrderedDict()
        self._asked_once: set[int] = set()  # hashes of the keys of recent denials
        self._answer_bytes = 0
        self._max_answer_bytes = max_answer_bytes
        self._max_denials = max_denials

    def admits(self, key: bytes, *, is_denial: bool) -> bool:
        """Whether an answer is worth keeping: a denial only when it is asked a second time.

        Random names are asked once, so they cost neither a compiled answer nor another denial its place.
        """
        if not is_denial:
            return True
        mark = hash(key)
        if mark in self._asked_once:
            return True
        if len(self._asked_once) >= self._max_denials:
            self._asked_once.clear()
        self._asked_once.add(mark)
        return False

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer; the oldest of its sort makes room where needed."""
        if key in self.entries:
            self._drop(key)
        if answer.is_denial:
            if len(self._denials) >= self._max_denials:
                self._drop(next(iter(self._denials)))
            self._denials[key] = None
        else:
            self._answer_bytes += ENTRY_BYTES + answer.size_bytes
            while self._answer_bytes > self._max_answer_bytes and self._answers:
                self._drop(next(iter(self._answers)))
            self._answers[key] = None
        self.entries[key] = answer
        for owner in answer.owners:
            keys = self._by_owner.get(owner)
            if keys is None:
                self._by_owner[owner] = {key}
            else:
                keys.add(key)

    def forget(self, owners: Iterable[Hashable]) -> None:
        """Drop every answer that depends on one of these owners."""
        for owner in owners:
            for key in tuple(self._by_owner.get(owner, ())):
                self._drop(key)

    def clear(self) -> None:
        """Drop everything."""
        self.entries.clear()
        self._by_owner.clear()
        self._answers.clear()
        self._denials.clear()
        self._asked_once.clear()
        self._answer_bytes = 0

    def _drop(self, key: bytes) -> None:
        answer = self.entries.pop(key)
        if answer.is_denial:
            del self._denials[key]
        else:
            del self._answers[key]
            self._answer_bytes -= ENTRY_BYTES + answer.size_bytes
        for owner in answer.owners:
            keys = self._by_owner[owner]
            keys.discard(key)
            if not keys:
                del self._by_owner[owner]
