"""The `template` directive: its steps from Corefile to handler, and its documentation.

All directives of a block make one handler. What cannot work, such as a template with a syntax error, is an error at the
start; templates that CoreDNS starts with although they fail for every query are warnings.
"""

import logging
from collections.abc import Sequence

import msgspec

from clusterdns.chain import BlockContext, Doc, Handling, Part, Plugin, Query
from clusterdns.chain.exports import Deciding, Decision
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, ErrorList
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import read_block
from clusterdns.plugins.template.fields import certain_failures, presented
from clusterdns.plugins.template.handler import TemplateHandler, TemplateMetrics
from clusterdns.plugins.template.reply_template import SECTIONS, RecordTemplate, ReplyTemplate
from clusterdns.plugins.template.settings import OPTIONS, TemplateSettings, number_of
from clusterdns.wire import codes
from clusterdns.wire.name import from_text
from clusterdns.wire.presentation.entries import ZoneTextError

_CLASSES = {name: number for number, name in codes.CLASS_NAMES.items()}
_TYPES = {name: number for number, name in codes.TYPE_NAMES.items()}

log = logging.getLogger("clusterdns.plugin.template")


class BlockTemplates(msgspec.Struct, frozen=True):
    """The `template` directives of a block, and the warnings about them."""

    templates: tuple[ReplyTemplate, ...]
    warnings: tuple[str, ...]


def parse(directives: Sequence[Directive], context: BlockContext) -> BlockTemplates:
    """Read `template CLASS TYPE [ZONES…] { options }`, repeatable. Raises CorefileErrors."""
    errors = ErrorList()
    templates: list[ReplyTemplate] = []
    warnings: list[str] = []
    for directive in directives:
        with errors.collect():
            templates.append(_reply_template(directive, context, warnings))
    errors.raise_if_any()
    return BlockTemplates(tuple(templates), tuple(warnings))


def _reply_template(directive: Directive, context: BlockContext, warnings: list[str]) -> ReplyTemplate:
    class_word, type_word, *zone_words = directive.arguments_between(2, None, "CLASS TYPE [ZONES…]")
    errors = ErrorList()
    qclass = qtype = codes.ANY
    settings = TemplateSettings()
    with errors.collect():
        qclass = number_of(class_word, _CLASSES, "class")
    with errors.collect():
        qtype = number_of(type_word, _TYPES, "record type")
    with errors.collect():
        settings = read_block(settings, [directive], OPTIONS)
    patterns = settings.patterns or (values.regex(directive.words[0]._replace(text=".*")),)
    for token, one in settings.records:
        failures = certain_failures(one.template, patterns)
        warnings += [f"{token.place}: {one.section} {token}: {problem}" for problem in failures]
        if settings.rcode != codes.SERVFAIL:
            warnings += _constant_failure(token, one)
    errors.raise_if_any()
    return ReplyTemplate(
        qclass,
        qtype,
        tuple(_zones(zone_words, warnings)) if zone_words else context.zones,
        patterns,
        tuple(sorted((one for _, one in settings.records), key=lambda one: SECTIONS.index(one.section))),
        settings.rcode,
        settings.reason,
        settings.fallthrough,
        directive.place,
    )


def _zones(words: Sequence[Token], warnings: list[str]) -> list[bytes]:
    """Read the zones; a word that is not a domain name, such as a regular expression, is ignored with a warning."""
    found: list[bytes] = []
    for word in words:
        try:
            found += map(from_text, values.zones([word]))
        except CorefileError:
            warnings.append(f"{word.place}: zone {word} is not a domain name; it matches no query")
    return found


def _constant_failure(token: Token, one: RecordTemplate) -> list[str]:
    """Return a warning where a template without actions is not a record; CoreDNS starts with such a template."""
    if not one.is_constant:
        return []
    try:
        one.constant  # noqa: B018  # cached for every query
    except ZoneTextError as error:
        hint = "write one record as in a zone file, in quotes"
        return [f"{token.place}: {one.section} {token} is not a record: {error.problem}; queries get SERVFAIL; {hint}"]
    return []


def build(settings: BlockTemplates, context: BlockContext) -> Part:
    """Make the handler and its metrics; log the warnings."""
    for warning in settings.warnings:
        log.warning("%s", warning)
    metrics = TemplateMetrics(context.registry)
    return Part(
        "template",
        handling=Handling(
            wrap=lambda following: TemplateHandler(settings.templates, context.server_text, metrics, following)
        ),
        exports=(Deciding(lambda query: _deciding(settings.templates, query)),),
    )


def _deciding(templates: Sequence[ReplyTemplate], query: Query) -> Decision:
    """Describe the directive that answers a query, or that keeps it from the next plugin."""
    name_text = presented(query.name)
    for template in templates:
        if template.zone_of(query) is None:
            continue
        if template.match(name_text) is not None:
            return Decision(f"this template answers {codes.rcode_text(template.rcode)}", template.place)
        if not template.fallthrough.includes(query.name):
            return Decision("its 'match' does not match, and it has no 'fallthrough' for the name", template.place)
    return Decision("no template is for this name and type")


PLUGIN = Plugin(
    "template",
    parse,
    build,
    doc=Doc(
        usage=("template CLASS TYPE [ZONES…]",),
        about="Answers queries of this class and type (ANY: every one) for names in ZONES, by default the zones of the "
        "block, with records made from templates. Repeatable: the first directive that matches a query answers it. "
        "When a CNAME answers a query for addresses, its target is looked up.",
        options=OPTIONS,
        example="template IN A example.org {\n    match ^ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)[.]example[.]org[.]$\n"
        '    answer "{{ .Name }} 60 IN A 10.0.{{ .Group.a }}.{{ .Group.b }}"\n    fallthrough\n}\n'
        "template ANY ANY internal.example {\n    rcode NXDOMAIN\n}",
        better="one reply with REFUSED, FORMERR and NOTIMP instead of two; an extended error only for clients that use "
        "EDNS; empty output is no record instead of a crash; templates that are certain to fail are warned of at the "
        "start.",
    ),
)
