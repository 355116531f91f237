"""The `log` directive in the Corefile: its rules, its documentation, and the part built from them."""

import logging
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, Handling, Part, Plugin, Reuse
from clusterdns.chain.reply_type import DENIAL, ERROR, SUCCESS
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.log.line import COMMON_FORMAT, JsonFormat, LineFormat
from clusterdns.plugins.log.observer import LogRule, logging_observer
from clusterdns.wire.name import ROOT, from_text

ALL = frozenset({SUCCESS, DENIAL, ERROR})
CLASSES = {SUCCESS: {SUCCESS}, DENIAL: {DENIAL}, ERROR: {ERROR}, "all": ALL}  # by the words of `class`

log = logging.getLogger("clusterdns.plugin.log")


class LogSettings(msgspec.Struct, frozen=True):
    """The rules of all `log` directives of a block, in the order of the file."""

    rules: tuple[LogRule, ...]


def parse(directives: Sequence[Directive], context: BlockContext) -> LogSettings:
    """Read `log [NAMES… [FORMAT]] { options }`; a single argument is a name. Raises CorefileError.

    As in CoreDNS, names are taken literally: a network in CIDR notation is not expanded.
    """
    rules: list[LogRule] = []
    for directive in directives:
        names = list(directive.args)
        text = COMMON_FORMAT
        if len(names) > 1 and "{" in names[-1].text:
            text = names.pop().text
        options = read_block(_LogOptions(), [directive], _OPTIONS)
        line_format = JsonFormat() if options.is_json else LineFormat(text)
        scopes = [scope for token in names if (scope := _scope(token)) is not None] if names else [ROOT]
        rules += [LogRule(scope, line_format, options.classes or ALL) for scope in scopes]
    return LogSettings(tuple(rules))


class _LogOptions(msgspec.Struct, frozen=True):
    """The options of one `log` block."""

    classes: frozenset[str] = frozenset()
    is_json: bool = False


def _class(options: _LogOptions, line: Line) -> _LogOptions:
    for word in line.arguments_between(1, None, "success|denial|error|all"):
        options = replace(options, classes=options.classes | CLASSES[values.choice(word, tuple(CLASSES))])
    return options


def _json(options: _LogOptions, line: Line) -> _LogOptions:
    line.no_arguments()
    return replace(options, is_json=True)


_OPTIONS = (
    Option("class success|denial|error|all …", "all", "The classes of replies that are logged; lines add up.", _class),
    Option(
        "json",
        "lines of text",
        "Not in CoreDNS: one JSON object per query instead of FORMAT, without a prefix: time, client, port, id, type, "
        "class, name, proto, size, do, bufsize, rcode (null if no reply was sent), rflags, rsize, duration_seconds.",
        _json,
    ),
)


def _scope(token: Token) -> bytes | None:
    """Read a name; warn and return None if it is not valid, since no query is at or under it."""
    try:
        return from_text(token.text)
    except ValueError as problem:
        hint = "write a name before a format: log . FORMAT" if "{" in token.text else "it matches no query"
        log.warning("%s: %s is not a name: %s; %s", token.place, token, problem, hint)
        return None


def build(settings: LogSettings, context: BlockContext) -> Part:
    """Make the part that observes the replies of its block."""
    return Part("log", handling=Handling(observe=logging_observer(settings.rules), reuse=Reuse.PER_REPLY))


DOC = Doc(
    usage=("log [NAMES… [FORMAT]]",),
    about="Logs one line per query to standard output, in CoreDNS's formats and with its placeholders. A single "
    "argument is a name; a format needs at least one name before it. A logged query runs through the whole chain, so "
    "`log` for busy names costs what compiled answers save.",
    options=_OPTIONS,
    example="log cluster.local {\n    class denial error\n}\nwhoami",
)
PLUGIN = Plugin("log", parse, build, doc=DOC)
