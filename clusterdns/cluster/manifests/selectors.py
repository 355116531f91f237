"""Label selectors in kubectl's words: `app=web,tier in (a, b),!legacy`.

The options `labels` and `namespace_labels` name objects by them; with an API server that is the server's work, with
manifests it is done here. A Service's own selector is a plain mapping and `slices`' business.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

_TOKEN = re.compile(r"\s*(==|!=|[=!,()<>]|[^\s=!,()<>]+)")
_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_PUNCTUATION = frozenset("=!,()<>") | {"==", "!="}


class SelectorError(ValueError):
    """A selector that cannot be read; the text says where it stops making sense."""


class Requirement(NamedTuple):
    """One condition on one label. `operator` is one of `in notin exists !exists < >`."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet the condition; `notin` is also met by a label that is not there."""
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
            case "exists":
                return value is not None
            case "!exists":
                return value is None
        (bound,) = self.values
        if value is None or not _is_integer(value):
            return False
        return int(value) < int(bound) if self.operator == "<" else int(value) > int(bound)


class Selector(NamedTuple):
    """Conditions that must all be met; none at all is met by everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is meant."""
        return all(one.matches(labels) for one in self.requirements)


EVERYTHING = Selector()


def parse(text: str) -> Selector:
    """Read a selector; blanks between its words do not matter. Raises SelectorError."""
    reader = _Reader(text)
    if not reader.word():
        return EVERYTHING
    found = [reader.requirement()]
    while reader.word() == ",":
        reader.take()
        found.append(reader.requirement())
    if reader.word():
        raise reader.error("',' or the end")
    return Selector(tuple(found))


class _Reader:
    """A place in the selector's words."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = _TOKEN.findall(text)
        self._at = 0

    def word(self) -> str:
        """The next word, empty at the end."""
        return self._words[self._at] if self._at < len(self._words) else ""

    def take(self) -> str:
        """The next word, and go on behind it."""
        word = self.word()
        self._at += 1
        return word

    def error(self, wanted: str) -> SelectorError:
        found = f"'{self.word()[:60]}'" if self.word() else "the end"
        return SelectorError(f"label selector '{self._text[:200]}': {wanted} expected, not {found}")

    def requirement(self) -> Requirement:
        if self.word() == "!":
            self.take()
            return Requirement(self._key(), "!exists")
        key = self._key()
        match self.word():
            case "=" | "==":
                self.take()
                return Requirement(key, "in", frozenset({self._value()}))
            case "!=":
                self.take()
                return Requirement(key, "notin", frozenset({self._value()}))
            case "in" | "notin" as operator:
                self.take()
                return Requirement(key, operator, self._values())
            case "<" | ">" as operator:
                self.take()
                return Requirement(key, operator, frozenset({self._integer()}))
        return Requirement(key, "exists")

    def _key(self) -> str:
        if not _KEY.fullmatch(self.word()):
            raise self.error("a label's name")
        return self.take()

    def _value(self) -> str:
        """A value; an empty one is nothing before a comma, a bracket or the end."""
        if not self.word() or self.word() in ",)":
            return ""
        if self.word() in _PUNCTUATION or not _VALUE.fullmatch(self.word()):
            raise self.error("a label's value")
        return self.take()

    def _values(self) -> frozenset[str]:
        if self.take() != "(":
            self._at -= 1
            raise self.error("'('")
        found = {self._value()}
        while self.word() == ",":
            self.take()
            found.add(self._value())
        if self.word() != ")":
            raise self.error("',' or ')'")
        self.take()
        return frozenset(found)

    def _integer(self) -> str:
        if not _is_integer(self.word()):
            raise self.error("a whole number")
        return self.take()


def _is_integer(text: str) -> bool:
    return bool(re.fullmatch(r"[-+]?[0-9]{1,18}", text))
