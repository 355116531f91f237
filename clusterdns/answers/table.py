"""The answer table of one listening socket: a packet without its ID → the compiled answer to it.

Two queries that are the same bytes but for the ID get the same bytes but for the ID, so a hit needs no parsing at all.
The table knows neither records nor Kubernetes. It forgets what depends on an owner when told that the owner changed;
nothing leaves by age. It is bounded twice, for answers and for denials, so that random names can only push out denials.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable

from clusterdns.answers.compiled import Answer

MAX_ANSWERS = 131_072
MAX_DENIALS = 16_384


class AnswerTable:
    """Written by dispatch (`put`) and by the index's changes (`forget`); listeners read `entries` directly."""

    def __init__(self, max_answers: int = MAX_ANSWERS, max_denials: int = MAX_DENIALS) -> None:
        self.entries: dict[bytes, Answer] = {}
        self._by_owner: dict[Hashable, set[bytes]] = {}
        self._answers: OrderedDict[bytes, None] = OrderedDict()
        self._denials: OrderedDict[bytes, None] = OrderedDict()
        self._asked_once: set[int] = set()  # hashes of the keys of recent denials
        self._max_answers = max_answers
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
        ages, most = (self._denials, self._max_denials) if answer.is_denial else (self._answers, self._max_answers)
        if len(ages) >= most:
            self._drop(next(iter(ages)))
        self.entries[key] = answer
        ages[key] = None
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

    def _drop(self, key: bytes) -> None:
        answer = self.entries.pop(key)
        del (self._denials if answer.is_denial else self._answers)[key]
        for owner in answer.owners:
            keys = self._by_owner[owner]
            keys.discard(key)
            if not keys:
                del self._by_owner[owner]
