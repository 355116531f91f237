"""The rules of `rewrite` for names, types, classes, TTLs, response codes and alias targets; EDNS is in `rewrite_edns`.

A rule is asked about each query: what to ask instead, and what is to be done to the reply for it. `rewrite` runs the
rules and, in reverse, what they want of the reply. A `Draft` is the reply while that is done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from clusterdns.chain import Query, Reply
from clusterdns.corefile.values import Pattern
from clusterdns.plugins.rewrite.names import Change, Piece, mapped_back
from clusterdns.wire import codes
from clusterdns.wire.name import from_text, to_text
from clusterdns.wire.rdata import names_in, with_names
from clusterdns.wire.record import Record

MAX_ALIAS_DEPTH = 8  # lookups for targets that lead to further ones


class Draft:
    """A reply in the making: the sections as lists, and the records that a lookup brought, which no rule touches."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply.duplicate()
        self.answer = list(reply.answer)
        self.authority = list(reply.authority)
        self.additional = list(reply.additional)
        self.looked_up: tuple[Record, ...] = ()

    def change_records(self, change: Callable[[Record], Record]) -> None:
        """Put something else in the place of each record."""
        for section in (self.authority, self.answer, self.additional):
            section[:] = map(change, section)

    def finished(self) -> Reply:
        """The reply with its new sections."""
        self.reply.answer = (*self.answer, *self.looked_up)
        self.reply.authority = tuple(self.authority)
        self.reply.additional = tuple(self.additional)
        return self.reply


class Response(Protocol):
    """What is to be done to the reply because a rule applied."""

    def respond(self, draft: Draft) -> None:
        """Change the draft. Raises ValueError where a name would become none."""


class Applied(NamedTuple):
    """What a rule made of a query."""

    query: Query
    name_text: str
    responses: tuple["Response | AliasTarget", ...] = ()


class Rule(Protocol):
    """One rule, without its `stop` or `continue`."""

    @property
    def is_fixed(self) -> bool:
        """Whether nothing but the question decides what it does, so that the reply may be kept."""

    def apply(self, query: Query, name_text: str) -> Applied | None:
        """The query to pass on, or None where the rule is not for it. Raises ValueError for a name that is none."""


def changed_owner(change: Callable[[str], str]) -> Callable[[Record], Record]:
    """The change for a record's owner; each different owner is worked out once."""
    known: dict[bytes, bytes] = {}

    def change_record(one: Record) -> Record:
        owner = known.get(one.name)
        if owner is None:
            text = to_text(one.name)
            changed = change(text)
            owner = known[one.name] = one.name if changed == text else from_text(changed)
        return one if owner is one.name else one.with_name(owner)

    return change_record


def changed_value(change: Callable[[str], str]) -> Callable[[Record], Record]:
    """The change for the names that a record's data holds."""

    def change_name(name: bytes) -> bytes:
        text = to_text(name)
        changed = change(text)
        return name if changed == text else from_text(changed)

    def change_record(one: Record) -> Record:
        return with_names(one, change_name)

    return change_record


@dataclass(frozen=True)
class Dependencies:
    """`answer name`: owner names are changed."""

    change: Callable[[str], str]

    def respond(self, draft: Draft) -> None:
        """See Response."""
        draft.change_records(changed_owner(self.change))


@dataclass(frozen=True)
class Values:
    """`answer value`: names in the data of records are changed."""

    change: Callable[[str], str]

    def respond(self, draft: Draft) -> None:
        """See Response."""
        draft.change_records(changed_value(self.change))


@dataclass(frozen=True)
class NameRule:
    """`name`: another name is asked for."""

    change: Change
    is_auto: bool  # answers are mapped back to the name that was asked
    responses: tuple[Response, ...]
    is_fixed: bool = True

    def apply(self, query: Query, name_text: str) -> Applied | None:
        """See Rule."""
        changed = self.change(name_text)
        return None if changed is None else renamed(query, name_text, changed, self)


@dataclass(frozen=True)
class MetadataNameRule:
    """`name regex … metadata`: the replacement takes what other plugins know of the query."""

    pattern: Pattern
    pieces: tuple[Piece, ...]
    is_auto: bool
    responses: tuple[Response, ...]
    is_fixed: bool = False

    def apply(self, query: Query, name_text: str) -> Applied | None:
        """See Rule."""
        found = self.pattern.search(name_text)
        if found is None:
            return None
        labels = query.labels or {}
        texts = []
        for piece in self.pieces:
            if piece.label:
                text = labels.get(piece.label, "").lower()
                if not text:
                    return None
            else:
                text = piece.text if piece.group < 0 else found.group(piece.group) or ""
            texts.append(text)
        return renamed(query, name_text, "".join(texts), self)


def renamed(query: Query, before: str, after: str, rule: NameRule | MetadataNameRule) -> Applied:
    """The query for another name. Raises ValueError where that is none."""
    try:
        name = from_text(after)
    except ValueError as problem:
        raise ValueError(f"invalid name after rewrite: {after[:300]} ({problem})") from None
    responses: tuple[Response, ...] = rule.responses
    if rule.is_auto:
        change = mapped_back(before, after)
        responses = (Dependencies(change), Values(change), *responses)
    return Applied(query.asking(name, query.qtype, query.qclass), after, responses)


@dataclass(frozen=True)
class TypeRule:
    """`type`: another type is asked for."""

    before: int
    after: int
    is_fixed: bool = True

    def apply(self, query: Query, name_text: str) -> Applied | None:
        """See Rule."""
        if query.qtype != self.before:
            return None
        return Applied(query.asking(query.name, self.after, query.qclass), name_text)


@dataclass(frozen=True)
class ClassRule:
    """`class`: the question is put in another class."""

    before: int
    after: int
    is_fixed: bool = True

    def apply(self, query: Query, name_text: str) -> Applied | None:
        """See Rule."""
        if query.qclass != self.before:
            return None
        return Applied(query.asking(query.name, query.qtype, self.after), name_text)


@dataclass(frozen=True)
class ReplyRule:
    """`ttl`, `rcode`: the question stays, something is done to its reply."""

    matches: Callable[[str], bool]
    response: "Response"
    is_fixed: bool = True

    def apply(self, query: Query, name_text: str) -> Applied | None:
        """See Rule."""
        return Applied(query, name_text, (self.response,)) if self.matches(name_text) else None


@dataclass(frozen=True)
class TtlRange:
    """TTLs below become the least, TTLs above the most, in seconds."""

    least: int
    most: int

    def respond(self, draft: Draft) -> None:
        """See Response."""
        draft.change_records(lambda one: one.with_ttl(min(max(one.ttl, self.least), self.most)))


@dataclass(frozen=True)
class Code:
    """One response code becomes another."""

    before: int
    after: int

    def respond(self, draft: Draft) -> None:
        """See Response."""
        if draft.reply.rcode == self.before:
            draft.reply.rcode = self.after


@dataclass(frozen=True)
class AliasTarget:
    """`cname`: an alias leads elsewhere, and what is there is looked up. Applies to every query."""

    change: Change
    is_fixed: bool = True

    def apply(self, query: Query, name_text: str) -> Applied | None:
        """See Rule."""
        return Applied(query, name_text, (self,))

    async def follow(self, draft: Draft, query: Query) -> None:
        """Give the first alias that matches its new target, and the target's records in the place of the rest."""
        if query.depth > MAX_ALIAS_DEPTH or draft.looked_up:
            return
        for position, one in enumerate(draft.answer):
            if one.rtype != codes.CNAME:
                continue
            changed = self.change(to_text(names_in(one)[0]).lower())
            if changed is None:
                continue
            target = from_text(changed)
            found = await query.lookup(query, target, query.qtype)
            aliases = [other for other in draft.answer[:position] if other.rtype == codes.CNAME]
            draft.answer[:] = [*aliases, with_names(one, lambda _: target)]  # noqa: B023  # called here and now
            draft.looked_up = tuple(found.answer)
            reply = draft.reply
            reply.rcode = found.rcode  # an alias has the code of its end (RFC 6604 §2.1)
            reply.is_truncated = found.is_truncated
            reply.dependencies = (*reply.dependencies, *found.dependencies)
            reply.reusable = reply.reusable and found.reusable
            reply.is_upstream = reply.is_upstream or found.is_upstream
            reply.error = reply.error or found.error
            return
