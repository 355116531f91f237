"""The lines in the block of a `template` directive, as option rows with their readers.

`directive` adds the words of the first line and makes a `ReplyTemplate` of both.
"""

from typing import NoReturn

import msgspec
from msgspec.structs import replace

from clusterdns.chain.fallthrough import NO_FALLTHROUGH, Fallthrough, fallthrough_option
from clusterdns.corefile import values
from clusterdns.corefile.directive import Line
from clusterdns.corefile.errors import hint_for, shown
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option
from clusterdns.gotemplate import TemplateError, parse_uint
from clusterdns.gotemplate import parse as parse_template
from clusterdns.plugins.template.reply_template import RecordTemplate
from clusterdns.wire import codes

_RCODES = {name: number for number, name in codes.RCODE_NAMES.items()} | {"BADSIG": 16, "NOTIMPL": 4, "DSOTYPENI": 11}
_MAX_INFO_CODE = 0xFFFF
_MAX_REASON_BYTES = 1024  # every message must have room for it


class TemplateSettings(msgspec.Struct, frozen=True):
    """The block of one `template` directive."""

    patterns: tuple[values.Pattern, ...] = ()
    records: tuple[tuple[Token, RecordTemplate], ...] = ()  # each with its word in the Corefile
    rcode: int = codes.NOERROR
    reason: tuple[int, str] | None = None  # code and text of an extended error
    fallthrough: Fallthrough = NO_FALLTHROUGH


def _parse_int(text: str, base: int, bits: int) -> object:
    return parse_uint(text, base, bits)


FUNCTIONS = {"parseInt": _parse_int}  # beside Go's own


def number_of(word: Token, numbers: dict[str, int], kind: str) -> int:
    """Return the number of a name such as IN, A or NXDOMAIN, in capitals as in CoreDNS. Raises CorefileError."""
    if word.text not in numbers:
        known = word.text.upper()
        hint = f"write {shown(known)}" if known in numbers else hint_for(known, numbers, "write its name in capitals")
        raise word.error(f"{word} is not a {kind}", hint)
    return numbers[word.text]


def _match(settings: TemplateSettings, line: Line) -> TemplateSettings:
    patterns = tuple(map(values.regex, line.arguments_between(1, None, "REGEX…")))
    return replace(settings, patterns=(*settings.patterns, *patterns))


def _records(settings: TemplateSettings, line: Line) -> TemplateSettings:
    records = []
    for token in line.arguments_between(1, None, "RECORD…"):
        try:
            template = parse_template(token.text, FUNCTIONS)
        except TemplateError as error:
            where = token._replace(line=token.line + error.line - 1)
            hint = "the language is that of Go's text/template"
            raise where.error(f"could not compile template {token}: {error.text}", hint) from error
        records.append((token, RecordTemplate(line.name, template, token.place)))
    return replace(settings, records=(*settings.records, *records))


def _rcode(settings: TemplateSettings, line: Line) -> TemplateSettings:
    return replace(settings, rcode=number_of(line.one_argument("RCODE"), _RCODES, "response code"))


def _ederror(settings: TemplateSettings, line: Line) -> TemplateSettings:
    code, *more = line.arguments_between(1, 2, "CODE [TEXT]")
    if not (code.text.isascii() and code.text.isdigit()):
        raise code.error(f"{code} is not the code of an extended error", "write a number such as 15 (RFC 8914 §4)")
    reason = more[0].text if more else ""
    if len(reason.encode(errors="replace")) > _MAX_REASON_BYTES:
        raise more[0].error("the text of this extended error is too long", f"write at most {_MAX_REASON_BYTES} bytes")
    return replace(settings, reason=(values.integer(code, 0, _MAX_INFO_CODE), reason))


def _ignored(settings: TemplateSettings, line: Line) -> TemplateSettings:
    return settings


def _refused(settings: TemplateSettings, line: Line) -> NoReturn:
    hint = "choose names with 'match', and the content with conditions such as {{ if eq .Group.a `1` }}"
    raise line.error(f"clusterdns does not implement '{line.name}'", hint)


_RECORDS = (
    "Adds records to this section, one per text. A text is a template of Go's text/template; its output is a line of a "
    "zone file, or empty for no record. It may use "
)
OPTIONS: tuple[Option[TemplateSettings], ...] = (
    Option(
        "match REGEX…",
        "every name",
        "Restricts the directive to names in which one of the RE2 expressions matches; the name is in lower case with "
        "its final dot. The first expression that matches fills .Match and .Group. Repeatable.",
        _match,
    ),
    Option(
        "answer RECORD…",
        "",
        _RECORDS + ".Zone .Name .Class .Type .Match .Group .Regex .Question .Message .Remote, .Meta with a label, "
        "Go's functions and parseInt. Repeatable.",
        _records,
    ),
    Option("additional RECORD…", "", _RECORDS + "the same data as `answer`. Repeatable.", _records),
    Option("authority RECORD…", "", _RECORDS + "the same data as `answer`. Repeatable.", _records),
    Option("rcode RCODE", "NOERROR", "The response code; with SERVFAIL no record is sent.", _rcode),
    Option("ederror CODE [TEXT]", "none", "Adds an extended error (RFC 8914) to the reply.", _ederror),
    fallthrough_option(
        "off",
        "Names in these zones, by default all, in which no expression matches go to the next `template` and then to "
        "the next plugin. Without it they get SERVFAIL.",
    ),
    Option("upstream", "", "Accepted without effect, as in CoreDNS.", _ignored, is_dead=True),
    Option("var NAME EXPRESSION", "", "Refused: the language expr is not implemented.", _refused),
    Option("expr EXPRESSION", "", "Refused: the language expr is not implemented.", _refused),
)
