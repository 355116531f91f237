"""Label selectors in kubectl's syntax: `app=web,tier in (a, b),!legacy`.

The options `labels` and `namespace_labels` select objects with them: an API server evaluates them itself, for manifests
this module does. The selector of a Service is a plain mapping, which `slices` evaluates.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

_TOKEN = re.compile(r"\s*(==|!=|[=!,()<>]|[^\s=!,()<>]+)")
_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_PUNCTUATION = frozenset("=!,()<>") | {"==", "!="}


class SelectorError(ValueError):
    """A selector that cannot be parsed; the text says where and what was expected."""


class Requirement(NamedTuple):
    """A condition on one label. `operator` is one of `in notin exists !exists < >`."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether these labels meet the condition; a missing label meets `notin`."""
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
    """Conditions that must all be met; without any, every object is selected."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether an object with these labels is selected."""
        return all(one.matches(labels) for one in self.requirements)


EVERYTHING = Selector()


def parse(text: str) -> Selector:
    """Parse a selector; white space between its words is ignored. Raises SelectorError."""
    parser = _SelectorParser(text)
    if not parser.word():
        return EVERYTHING
    found = [parser.requirement()]
    while parser.word() == ",":
        parser.take()
        found.append(parser.requirement())
    if parser.word():
        raise parser.error("',' or the end")
    return Selector(tuple(found))


class _SelectorParser:
    """A recursive-descent parser over the words of a selector."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = _TOKEN.findall(text)
        self._at = 0

    def word(self) -> str:
        """Peek at the next word; empty at the end."""
        return self._words[self._at] if self._at < len(self._words) else ""

    def take(self) -> str:
        """Consume the next word."""
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
            raise self.error("a label key")
        return self.take()

    def _value(self) -> str:
        """Parse a value; it is empty before a comma, a bracket or the end."""
        if not self.word() or self.word() in ",)":
            return ""
        if self.word() in _PUNCTUATION or not _VALUE.fullmatch(self.word()):
            raise self.error("a label value")
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
            raise self.error("an integer")
        return self.take()


def _is_integer(text: str) -> bool:
    return bool(re.fullmatch(r"[-+]?[0-9]{1,18}", text))
