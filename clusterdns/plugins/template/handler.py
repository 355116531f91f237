"""What `template` does with a query: the stanza that takes it, and its texts made into the records of a reply.

A stanza that cannot make one of its records answers SERVFAIL and says why; nothing half-made is sent. What may be kept
as a compiled answer is known per text beforehand: one that may look at the client, or at how the client wrote its
question, is executed for every query. Reading stanzas from a Corefile is `plugins.template`'s business.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

from clusterdns.chain import Handler, Query, Reply, failure
from clusterdns.chain.fallthrough import NO_FALLTHROUGH, Fallthrough
from clusterdns.corefile.values import Pattern
from clusterdns.gotemplate import Fields, Template, TemplateFailed
from clusterdns.plugins.template.fields import OF_THE_CLIENT, Matched, presented
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire import codes
from clusterdns.wire.name import is_under, to_text
from clusterdns.wire.record import Record
from clusterdns.wire.zonetext import ZoneTextError, record_from_text

SECTIONS = ("answer", "additional", "authority")  # in the order in which CoreDNS makes them
_QUOTED = r'"(?:\\.|[^"\\])*"|`[^`]*`'
_ACTION = re.compile(rf"{{{{[ \t\n]*((?:{_QUOTED}|[^\"`])*?)[ \t\n]*}}}}", re.DOTALL)
_BLANKS = re.compile(rf"({_QUOTED})|[ \t\n]+", re.DOTALL)
_LABELS = ("server", "zone", "view", "class", "type")


class RecordText:
    """One text of a stanza, which becomes one record or, where it comes out empty, none."""

    def __init__(self, section: str, template: Template, place: str) -> None:
        self.section = section
        self.template = template
        self.place = place
        self.words = frozenset(word for word in OF_THE_CLIENT if word in template.text)
        self.is_constant = "{{" not in template.text

    def record(self, data: Mapping[str, Any]) -> Record | None:
        """Its record for this data. Raises TemplateFailed or ZoneTextError."""
        return self.constant if self.is_constant else _record(self.template.execute(data))

    @cached_property
    def constant(self) -> Record | None:
        """The record of a text without actions. Raises ZoneTextError."""
        return _record(self.template.text)

    @cached_property
    def label(self) -> str:
        """The text as metrics of CoreDNS show it: actions without needless blanks."""
        return _ACTION.sub(lambda action: "{{" + _BLANKS.sub(_one_blank, action[1]) + "}}", self.template.text)

    def why(self, error: Exception) -> str:
        """The error with its place, for the log."""
        return f"{self.place}: template: {self.section}: {error}"


@dataclass(frozen=True)
class Stanza:
    """One `template` directive."""

    qclass: int
    qtype: int
    zones: tuple[bytes, ...]
    patterns: tuple[Pattern, ...]
    texts: tuple[RecordText, ...] = ()  # in the order of SECTIONS
    rcode: int = codes.NOERROR
    reason: tuple[int, str] | None = None  # an extended error
    fallthrough: Fallthrough = NO_FALLTHROUGH

    def zone_of(self, query: Query) -> bytes | None:
        """The longest of its zones that the name is in; None also where type or class is another."""
        if self.qtype not in (codes.ANY, query.qtype) and query.qtype != codes.ANY:
            return None
        if self.qclass not in (codes.ANY_CLASS, query.qclass) and query.qclass != codes.ANY_CLASS:
            return None
        return max((zone for zone in self.zones if is_under(query.name, zone)), key=len, default=None)

    def match(self, name_text: str) -> Matched | None:
        """The first of its expressions that finds something in the name."""
        for pattern in self.patterns:
            match = pattern.search(name_text)
            if match is not None:
                return Matched(pattern, match)
        return None

    @cached_property
    def words(self) -> frozenset[str]:
        """What of the client its texts name."""
        return frozenset(word for one in self.texts for word in one.words)


class Templates:
    """The handler: the stanzas of a block in the order of the file."""

    def __init__(self, stanzas: Sequence[Stanza], server_text: str, registry: Registry, following: Handler) -> None:
        self._stanzas = stanzas
        self._server_text = server_text
        self._next = following
        failed = (*_LABELS, "section", "template")
        self._matches = registry.counter(
            "coredns_template_matches_total", "Queries that a template directive took.", *_LABELS
        )
        self._unexecuted = registry.counter(
            "coredns_template_template_failures_total", "Templates that failed when they were executed.", *failed
        )
        self._unread = registry.counter(
            "coredns_template_rr_failures_total", "Texts made by templates that are no records.", *failed
        )

    async def __call__(self, query: Query) -> Reply:
        """The reply of the first stanza that takes the query, or what the next plugin says."""
        name_text = ""
        for stanza in self._stanzas:
            zone = stanza.zone_of(query)
            if zone is None:
                continue
            name_text = name_text or presented(query.name)
            matched = stanza.match(name_text)
            if matched is not None:
                return await self._reply(query, stanza, matched, to_text(zone), name_text)
            if not stanza.fallthrough.includes(query.name):
                reply = failure(codes.SERVFAIL)
                reply.reusable = True
                return reply
        return await self._next(query)

    async def _reply(self, query: Query, stanza: Stanza, matched: Matched, zone_text: str, name_text: str) -> Reply:
        class_text = codes.CLASS_NAMES.get(query.qclass, "")
        type_text = codes.TYPE_NAMES.get(query.qtype, "")
        counted_as = (self._server_text, zone_text, "", class_text, type_text)
        counted = self._matches.labels(*counted_as)
        counted.value += 1
        if stanza.rcode == codes.SERVFAIL:
            reply = failure(codes.SERVFAIL)
        else:
            reply = Reply(stanza.rcode)
        reply.reusable = not stanza.words
        reply.counted = (counted,)
        if stanza.reason is not None:
            reply.explain(*stanza.reason)
        if not stanza.texts or stanza.rcode == codes.SERVFAIL:
            return reply
        told: dict[str, Any] = {"Zone": zone_text, "Name": name_text, "Class": class_text, "Type": type_text, "Var": {}}
        told |= matched.fields()
        told |= {word: OF_THE_CLIENT[word](query) for word in stanza.words}
        data = Fields(told, "template.templateData", "{}")  # printed whole it tells nothing of the client
        sections: dict[str, list[Record]] = {section: [] for section in SECTIONS}
        for one in stanza.texts:
            try:
                made = one.record(data)
            except (TemplateFailed, ZoneTextError) as error:
                family = self._unread if isinstance(error, ZoneTextError) else self._unexecuted
                family.labels(*counted_as, one.section, one.label).value += 1
                return failure(codes.SERVFAIL, one.why(error))
            if made is not None:
                sections[one.section].append(made)
                if one.section == "answer" and made.rtype == codes.CNAME and query.qtype in codes.ADDRESS_TYPES:
                    sections["answer"] += await _completion(query, made, reply)
        reply.answer, reply.additional, reply.authority = map(tuple, sections.values())
        return reply


async def _completion(query: Query, alias: Record, reply: Reply) -> Sequence[Record]:
    """What the alias's target holds; the reply takes on what that depends on, its own code stays."""
    if alias.rdata == query.name:
        return ()
    found = await query.lookup(query, alias.rdata.lower(), query.qtype)
    if found.is_unhandled:
        return ()  # nobody here to ask
    reply.dependencies = (*reply.dependencies, *found.dependencies)
    reply.reusable = reply.reusable and found.reusable
    aliases = takewhile(lambda one: one.rtype == codes.CNAME, found.answer)
    if any(one.name == query.name for one in aliases):
        return ()  # the chain has come back to this name
    reply.is_truncated = found.is_truncated
    reply.counted = (*reply.counted, *found.counted)
    reply.error = reply.error or found.error
    return found.answer


def _one_blank(found: re.Match[str]) -> str:
    return found[1] or " "


def _record(text: str) -> Record | None:
    return record_from_text(text) if text.strip() else None
