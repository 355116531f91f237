"""The handler of `template`: picks the directive that answers a query, and makes its records.

When a template fails or its output is not a record, the client gets SERVFAIL, never part of a reply, and the log the
reason. `reply_template` holds the directives.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from clusterdns.chain import Handler, Query, Reply, failure
from clusterdns.gotemplate import Fields, TemplateFailed
from clusterdns.plugins.template.fields import PER_QUERY_FIELDS, PatternMatch, presented
from clusterdns.plugins.template.reply_template import SECTIONS, ReplyTemplate
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire import codes
from clusterdns.wire.name import to_text
from clusterdns.wire.presentation.entries import ZoneTextError
from clusterdns.wire.record import Record

_LABELS = ("server", "zone", "view", "class", "type")


class TemplateMetrics:
    """The metrics of all `template` directives."""

    def __init__(self, registry: Registry) -> None:
        failed = (*_LABELS, "section", "template")
        self.matches = registry.counter(
            "coredns_template_matches_total", "Queries that a template directive answered.", *_LABELS
        )
        self.failures = registry.counter(
            "coredns_template_template_failures_total", "Templates that failed when they were executed.", *failed
        )
        self.rr_failures = registry.counter(
            "coredns_template_rr_failures_total", "Outputs of templates that are not records.", *failed
        )


class TemplateHandler:
    """Answers with the first directive of a block, in the order of the file, that matches the query."""

    def __init__(
        self, templates: Sequence[ReplyTemplate], server_text: str, metrics: TemplateMetrics, following: Handler
    ) -> None:
        self._templates = templates
        self._server_text = server_text
        self._metrics = metrics
        self._next = following

    async def __call__(self, query: Query) -> Reply:
        """Return the reply of the first directive that matches, or the next plugin's."""
        name_text = ""
        for template in self._templates:
            zone = template.zone_of(query)
            if zone is None:
                continue
            name_text = name_text or presented(query.name)
            matched = template.match(name_text)
            if matched is not None:
                return await self._reply(query, template, matched, to_text(zone), name_text)
            if not template.fallthrough.includes(query.name):
                reply = failure(codes.SERVFAIL, "no template matches, and no fallthrough includes the name")
                reply.reusable = True
                return reply
        return await self._next(query)

    async def _reply(
        self, query: Query, template: ReplyTemplate, matched: PatternMatch, zone_text: str, name_text: str
    ) -> Reply:
        class_text = codes.CLASS_NAMES.get(query.qclass, "")
        type_text = codes.TYPE_NAMES.get(query.qtype, "")
        labels = (self._server_text, zone_text, "", class_text, type_text)
        counted = self._metrics.matches.labels(*labels)
        counted.value += 1
        reply = _coded(template)
        reply.reusable = not template.per_query_fields
        reply.counted = (counted,)
        if not template.records or template.rcode == codes.SERVFAIL:
            return reply
        fields: dict[str, Any] = {
            "Zone": zone_text, "Name": name_text, "Class": class_text, "Type": type_text, "Var": {}, **matched.fields(),
            **{word: PER_QUERY_FIELDS[word](query) for word in template.per_query_fields},
        }  # fmt: skip
        data = Fields(fields, "template.templateData", "{}")  # `{{ . }}` must not show fields that differ per query
        sections: dict[str, list[Record]] = {section: [] for section in SECTIONS}
        for one in template.records:
            try:
                made = one.record(data)
            except (TemplateFailed, ZoneTextError) as error:
                family = self._metrics.rr_failures if isinstance(error, ZoneTextError) else self._metrics.failures
                family.labels(*labels, one.section, one.label).value += 1
                return failure(codes.SERVFAIL, one.describe(error))
            if made is not None:
                sections[one.section].append(made)
                if one.section == "answer" and made.rtype == codes.CNAME and query.qtype in codes.ADDRESS_TYPES:
                    sections["answer"] += await _follow(query, made, reply)
        reply.answer, reply.additional, reply.authority = map(tuple, sections.values())
        return reply


def _coded(template: ReplyTemplate) -> Reply:
    """Make the reply with the response code and the extended error of a directive, still without records."""
    if template.rcode not in (codes.SERVFAIL, codes.REFUSED):
        reply = Reply(template.rcode)
        if template.reason is not None:
            reply.explain(*template.reason)
        return reply
    # not logged, as in CoreDNS: it is the answer that the operator wants
    reply = failure(template.rcode, f"a template answers {codes.rcode_text(template.rcode)}", is_logged=False)
    if template.reason is not None:
        reply.options = b""
        reply.explain(*template.reason)
    if template.rcode == codes.REFUSED:
        reply.is_authoritative = reply.is_written = True
    return reply


async def _follow(query: Query, cname: Record, reply: Reply) -> Sequence[Record]:
    """Look up the target of a CNAME and return its records.

    The reply gets the dependencies, counters and errors of the look-up, and keeps its own response code. A target that
    no block serves, or whose CNAMEs lead back to the query's name, adds no records.
    """
    if cname.rdata == query.name:
        return ()
    found = await query.lookup(query, cname.rdata.lower(), query.qtype)
    if found.is_unhandled:
        return ()
    reply.dependencies = (*reply.dependencies, *found.dependencies)
    reply.reusable = reply.reusable and found.reusable
    if any(one.name == query.name for one in takewhile(lambda one: one.rtype == codes.CNAME, found.answer)):
        return ()
    reply.is_truncated = found.is_truncated
    reply.counted = (*reply.counted, *found.counted)
    reply.take_cause(found)
    return found.answer
