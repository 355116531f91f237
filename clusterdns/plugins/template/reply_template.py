"""What a `template` directive makes replies of: the queries that it answers, and one template per record.

`settings` and `directive` make these from a Corefile; `handler` executes them.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

from clusterdns.chain import Query
from clusterdns.chain.fallthrough import NO_FALLTHROUGH, Fallthrough
from clusterdns.corefile.values import Pattern
from clusterdns.gotemplate import Template
from clusterdns.plugins.template.fields import PER_QUERY_FIELDS, PatternMatch
from clusterdns.wire import codes
from clusterdns.wire.name import longest_suffix
from clusterdns.wire.presentation.zonetext import record_from_text
from clusterdns.wire.record import Record

SECTIONS = ("answer", "additional", "authority")  # in the order in which CoreDNS makes them
_QUOTED = r'"(?:\\.|[^"\\])*"|`[^`]*`'
_ACTION = re.compile(rf"{{{{[ \t\n]*((?:{_QUOTED}|[^\"`])*?)[ \t\n]*}}}}", re.DOTALL)
_SPACES = re.compile(rf"({_QUOTED})|[ \t\n]+", re.DOTALL)


class RecordTemplate:
    """A template whose output is one record, or none where it is empty."""

    def __init__(self, section: str, template: Template, place: str) -> None:
        self.section = section
        self.template = template
        self.place = place
        self.per_query_fields = frozenset(word for word in PER_QUERY_FIELDS if word in template.text)
        self.is_constant = "{{" not in template.text

    def record(self, data: Mapping[str, Any]) -> Record | None:
        """Return the record for this data. Raises TemplateFailed or ZoneTextError."""
        return self.constant if self.is_constant else _record(self.template.execute(data))

    @cached_property
    def constant(self) -> Record | None:
        """The record of a template without actions. Raises ZoneTextError."""
        return _record(self.template.text)

    @cached_property
    def label(self) -> str:
        """The text as CoreDNS's metrics show it: single spaces in actions."""
        return _ACTION.sub(lambda action: "{{" + _SPACES.sub(_one_space, action[1]) + "}}", self.template.text)

    def describe(self, error: Exception) -> str:
        """Return the error with its place, for the log."""
        return f"{self.place}: template: {self.section}: {error}"


class ReplyTemplate(msgspec.Struct, frozen=True, dict=True):
    """One `template` directive."""

    qclass: int
    qtype: int
    zones: tuple[bytes, ...]
    patterns: tuple[Pattern, ...]
    records: tuple[RecordTemplate, ...] = ()  # in the order of SECTIONS
    rcode: int = codes.NOERROR
    reason: tuple[int, str] | None = None  # code and text of an extended error
    fallthrough: Fallthrough = NO_FALLTHROUGH
    place: str = ""  # file:line

    def zone_of(self, query: Query) -> bytes | None:
        """Return the longest of the zones that contains the name; None also where class or type differs."""
        if self.qtype not in (codes.ANY, query.qtype) and query.qtype != codes.ANY:
            return None
        if self.qclass not in (codes.ANY_CLASS, query.qclass) and query.qclass != codes.ANY_CLASS:
            return None
        return longest_suffix(query.name, self.zones)

    def match(self, name_text: str) -> PatternMatch | None:
        """Return the match of the first expression that matches in the name."""
        for pattern in self.patterns:
            match = pattern.search(name_text)
            if match is not None:
                return PatternMatch(pattern, match)
        return None

    @cached_property
    def per_query_fields(self) -> frozenset[str]:
        """The fields of `PER_QUERY_FIELDS` that the templates use; a reply made without any may be compiled."""
        return frozenset(word for one in self.records for word in one.per_query_fields)


def _one_space(found: re.Match[str]) -> str:
    return found[1] or " "


def _record(text: str) -> Record | None:
    return record_from_text(text) if text.strip(" \t\r\n") else None
