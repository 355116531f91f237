"""Types of objects that one directive exports to other directives or to the server, without either knowing the other.

A part lists instances in `Part.exports`; `BlockContext.exports` and `Configuration.exports` find them by type. Types
for a single directive are in its folder (`plugins.kubernetes.exports`).
"""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from clusterdns.chain.query import Query
from clusterdns.wire.record import Record

CURRENT = "current"  # the state of a row of /status whose names can be trusted


class ZoneSource(msgspec.Struct, frozen=True):
    """Zones that can be transferred (RFC 5936); the `transfer` directive asks for their records."""

    # from the apex of a zone to its records, SOA to SOA; to None if this source has no such zone
    zone_records: Callable[[bytes], Iterable[Record] | None]


class HeldQuestions(msgspec.Struct, frozen=True):
    """The questions that a part answers from data of its own; `clusterdns names` asks them."""

    questions: Callable[[], Iterable[tuple[bytes, int]]]  # names in lower case, and types


class Decision(NamedTuple):
    """What decided about a query, for people: a line of the Corefile, or the state of the part."""

    text: str  # may be empty
    place: str = ""  # file:line; empty: that of the directive


class Deciding(msgspec.Struct, frozen=True):
    """How a part describes what it has done with a query; explanations ask for it, after the reply.

    `describe` changes nothing, counts nothing and does not wait.
    """

    describe: Callable[[Query], Decision]


class StatusSection(msgspec.Struct, frozen=True):
    """The rows that a part adds to a section of /status; parts that share an `owner` add its rows once.

    A row holds texts, numbers, and mappings and lists of them, and no secrets. The key `state` of a row is `current`,
    or else in one or two words why its names cannot be trusted.
    """

    name: str  # of the section
    rows: Callable[[], Iterable[Mapping[str, Any]]]
    owner: object = None


class ReloadSchedule(msgspec.Struct, frozen=True):
    """The interval at which the server polls the Corefile for changes; the `reload` directive sets it."""

    interval_seconds: float = 30.0
    jitter_seconds: float = 15.0

    def pick_seconds(self) -> float:
        """Draw the time until the next poll, so that the servers of a cluster do not all reload at once."""
        return self.interval_seconds + random.uniform(-0.5, 0.5) * self.jitter_seconds
