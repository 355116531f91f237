"""The `template` directive: replies made of texts in the Corefile, in Go's template language.

All directives of a block make one handler, whose stanzas are tried in the order of the file. What is certain to be
wrong, such as a text that is no template, is an error at the start; what CoreDNS starts with though it fails whenever
it is reached is a warning. The handler is in `template_handler`, the language in `clusterdns.gotemplate`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from clusterdns.chain import BlockContext, Doc, Handling, Part, Plugin
from clusterdns.chain.fallthrough import NO_FALLTHROUGH, Fallthrough, fallthrough_option
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import CorefileError, ErrorList, shown
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.corefile.suggest import hint_for
from clusterdns.gotemplate import TemplateError, parse_uint
from clusterdns.gotemplate import parse as parse_template
from clusterdns.plugins.template.fields import doubts
from clusterdns.plugins.template.handler import SECTIONS, RecordText, Stanza, Templates
from clusterdns.wire import codes
from clusterdns.wire.name import from_text
from clusterdns.wire.zonetext import ZoneTextError

_CLASSES = {name: number for number, name in codes.CLASS_NAMES.items()}
_TYPES = {name: number for number, name in codes.TYPE_NAMES.items()}
_RCODES = {name: number for number, name in codes.RCODE_NAMES.items()} | {"BADSIG": 16, "NOTIMPL": 4, "DSOTYPENI": 11}
_MAX_INFO_CODE = 0xFFFF
_MAX_REASON_BYTES = 1024  # there must be room for it in every message

log = logging.getLogger("clusterdns.plugin.template")


@dataclass(frozen=True)
class Settings:
    """The block of one directive."""

    patterns: tuple[values.Pattern, ...] = ()
    texts: tuple[tuple[Token, RecordText], ...] = ()
    rcode: int = codes.NOERROR
    reason: tuple[int, str] | None = None
    fallthrough: Fallthrough = NO_FALLTHROUGH


@dataclass(frozen=True)
class Parsed:
    """The stanzas, and what to warn of."""

    stanzas: tuple[Stanza, ...]
    warnings: tuple[str, ...]


def _parse_int(text: str, base: int, bits: int) -> object:
    return parse_uint(text, base, bits)


FUNCTIONS = {"parseInt": _parse_int}


def parse(directives: Sequence[Directive], context: BlockContext) -> Parsed:
    """`template CLASS TYPE [ZONES…] { options }`, repeatable. Raises CorefileErrors."""
    errors = ErrorList()
    stanzas: list[Stanza] = []
    warnings: list[str] = []
    for directive in directives:
        with errors.collect():
            stanzas.append(_stanza(directive, context, warnings))
    errors.raise_if_any()
    return Parsed(tuple(stanzas), tuple(warnings))


def _stanza(directive: Directive, context: BlockContext, warnings: list[str]) -> Stanza:
    class_word, type_word, *zone_words = directive.arguments_between(2, None, "CLASS TYPE [ZONES…]")
    errors = ErrorList()
    qclass = qtype = codes.ANY
    settings = Settings()
    with errors.collect():
        qclass = _named(class_word, _CLASSES, "class")
    with errors.collect():
        qtype = _named(type_word, _TYPES, "type of records")
    with errors.collect():
        settings = read_block(settings, [directive], OPTIONS)
    patterns = settings.patterns or (values.regex(directive.words[0]._replace(text=".*")),)
    for token, text in settings.texts:
        warnings += [f"{token.place}: {text.section} {token}: {doubt}" for doubt in doubts(text.template, patterns)]
        if settings.rcode != codes.SERVFAIL:
            warnings += _constant_doubt(token, text)
    errors.raise_if_any()
    return Stanza(
        qclass,
        qtype,
        tuple(_zones(zone_words, warnings)) if zone_words else context.zones,
        patterns,
        tuple(sorted((text for _, text in settings.texts), key=lambda text: SECTIONS.index(text.section))),
        settings.rcode,
        settings.reason,
        settings.fallthrough,
    )


def _zones(words: Sequence[Token], warnings: list[str]) -> list[bytes]:
    """The zones; a word that can be none, as the expressions that stood here long ago, is one that never matches."""
    found: list[bytes] = []
    for word in words:
        try:
            found += map(from_text, values.zones([word]))
        except CorefileError:
            warnings.append(f"{word.place}: zone {word} is no domain name, so no query is in it")
    return found


def _named(word: Token, numbers: dict[str, int], what: str) -> int:
    if word.text not in numbers:
        known = word.text.upper()
        hint = f"write {shown(known)}" if known in numbers else hint_for(known, numbers, "write its name in capitals")
        raise word.error(f"{word} is no {what}", hint)
    return numbers[word.text]


def _constant_doubt(token: Token, text: RecordText) -> list[str]:
    """What is wrong with a text that will be the same for every query; CoreDNS starts with it, and so do we."""
    if not text.is_constant:
        return []
    try:
        text.constant  # noqa: B018  # read now, kept for every query
    except ZoneTextError as error:
        hint = "write one record as in a zone file, in quotes"
        return [f"{token.place}: {text.section} {token} is no record, so SERVFAIL is answered: {error.problem}; {hint}"]
    return []


def _match(settings: Settings, line: Line) -> Settings:
    patterns = tuple(map(values.regex, line.arguments_between(1, None, "REGEX…")))
    return replace(settings, patterns=(*settings.patterns, *patterns))


def _text(settings: Settings, line: Line) -> Settings:
    made = []
    for token in line.arguments_between(1, None, "RECORD…"):
        try:
            template = parse_template(token.text, FUNCTIONS)
        except TemplateError as error:
            where = token._replace(line=token.line + error.line - 1)
            hint = "the language is that of Go's text/template"
            raise where.error(f"could not compile template {token}: {error.text}", hint) from error
        made.append((token, RecordText(line.name, template, token.place)))
    return replace(settings, texts=(*settings.texts, *made))


def _rcode(settings: Settings, line: Line) -> Settings:
    return replace(settings, rcode=_named(line.one_argument("RCODE"), _RCODES, "rcode"))


def _ederror(settings: Settings, line: Line) -> Settings:
    code, *more = line.arguments_between(1, 2, "CODE [TEXT]")
    if not (code.text.isascii() and code.text.isdigit()):
        raise code.error(f"{code} is no code of an extended error", "write a number such as 15 (RFC 8914 §4)")
    reason = more[0].text if more else ""
    if len(reason.encode(errors="replace")) > _MAX_REASON_BYTES:
        raise more[0].error("the text of this extended error is too long", f"{_MAX_REASON_BYTES} bytes are possible")
    return replace(settings, reason=(values.integer(code, 0, _MAX_INFO_CODE), reason))


def _ignored(settings: Settings, line: Line) -> Settings:
    return settings


def _refused(settings: Settings, line: Line) -> NoReturn:
    hint = "choose names with 'match', and the content with conditions such as {{ if eq .Group.a `1` }}"
    raise line.error(f"clusterdns does not implement '{line.name}'", hint)


_RECORDS = (
    "Adds records to this section, one for each text: a template of Go's text/template that comes out as a line of a "
    "zone file, or empty for none. It may use "
)
OPTIONS: tuple[Option[Settings], ...] = (
    Option(
        "match REGEX…",
        "every name",
        "Takes names in which one of the RE2 expressions finds something; they see the name in lower case with its "
        "final dot. The first that does fills .Match and .Group. Repeatable.",
        _match,
    ),
    Option(
        "answer RECORD…",
        "",
        _RECORDS + ".Zone .Name .Class .Type .Match .Group .Regex .Question .Message .Remote, .Meta with a label, "
        "Go's functions and parseInt. Repeatable.",
        _text,
    ),
    Option("additional RECORD…", "", _RECORDS + "what `answer` may. Repeatable.", _text),
    Option("authority RECORD…", "", _RECORDS + "what `answer` may. Repeatable.", _text),
    Option("rcode RCODE", "NOERROR", "The response code; with SERVFAIL no record is sent.", _rcode),
    Option("ederror CODE [TEXT]", "none", "Adds an extended error (RFC 8914) to the reply.", _ederror),
    fallthrough_option(
        "off",
        "Names in which no expression finds anything go on to the next `template` and then the next plugin, in these "
        "zones or in all; without it they are answered SERVFAIL.",
    ),
    Option("upstream", "", "Accepted and without effect, as in CoreDNS.", _ignored),
    Option("var NAME EXPRESSION", "", "Refused: the language expr is not implemented.", _refused),
    Option("expr EXPRESSION", "", "Refused: the language expr is not implemented.", _refused),
)


def build(parsed: Parsed, context: BlockContext) -> Part:
    """The handler; warns of what starts and yet can hardly be meant."""
    for warning in parsed.warnings:
        log.warning("%s", warning)
    return Part(
        "template",
        handling=Handling(
            wrap=lambda following: Templates(parsed.stanzas, context.server_text, context.registry, following)
        ),
    )


PLUGIN = Plugin(
    "template",
    parse,
    build,
    doc=Doc(
        usage=("template CLASS TYPE [ZONES…]",),
        about="Answers queries of this class and type (ANY: every one) for names in these zones, without ZONES those "
        "of the block, with records made from texts. Repeatable: the first that takes a query answers it. Where an "
        "alias answers a question for addresses, its target is looked up.",
        options=OPTIONS,
        example="template IN A example.org {\n    match ^ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)[.]example[.]org[.]$\n"
        '    answer "{{ .Name }} 60 IN A 10.0.{{ .Group.a }}.{{ .Group.b }}"\n    fallthrough\n}\n'
        "template ANY ANY internal.example {\n    rcode NXDOMAIN\n}",
        better="one reply with REFUSED, FORMERR and NOTIMP instead of two; an extended error only for clients that use "
        "EDNS; an empty text is no record instead of a crash; texts that are certain to fail are told at the start.",
    ),
)
