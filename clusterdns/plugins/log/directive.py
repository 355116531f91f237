"""The `log` directive: a line per query, for the names and classes of replies that its rules choose.

A reply that is logged is not kept as a compiled answer, because the next query must come through here to be logged
too; one that no rule chooses is left alone and costs nothing further. The first rule whose name matches decides.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from clusterdns.chain import BlockContext, Doc, Handling, Observer, Part, Plugin, Query, Reply, Reuse
from clusterdns.chain.reply_type import DENIAL, ERROR, SUCCESS, reply_class
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.log.line import COMMON_FORMAT, Entry, JsonFormat, LineFormat
from clusterdns.telemetry.logs import BARE_LINES
from clusterdns.wire.name import ROOT, from_text, is_under

ALL = frozenset({SUCCESS, DENIAL, ERROR})
CLASSES = {SUCCESS: {SUCCESS}, DENIAL: {DENIAL}, ERROR: {ERROR}, "all": ALL}  # by the words of `class`


# no plugin name: the lines are the process's main product when this directive is on
log = logging.getLogger("clusterdns.queries")
json_log = logging.getLogger(BARE_LINES)
settings_log = logging.getLogger("clusterdns.plugin.log")


@dataclass(frozen=True)
class Rule:
    """Log replies of these classes to questions at or under `name`."""

    name: bytes
    format: Callable[[Entry], str]
    classes: frozenset[str]


@dataclass(frozen=True)
class Settings:
    """The rules, in the order of the file."""

    rules: tuple[Rule, ...]


def observer(settings: Settings) -> Observer:
    """What writes a line for each reply that a rule wants."""

    def observe(query: Query, reply: Reply, seconds: float) -> None:
        rule = next((rule for rule in settings.rules if is_under(query.name, rule.name)), None)
        if rule is not None and reply_class(query, reply) in rule.classes:
            reply.reusable = False
            line = rule.format(Entry(query, reply, round(seconds * 1e9)))
            (json_log if isinstance(rule.format, JsonFormat) else log).info("%s", line)

    return observe


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`log [NAMES… [FORMAT]] { options }`; one argument alone is a name. Raises CorefileError.

    Names are taken as written: a network in CIDR notation is not expanded here.
    """
    rules: list[Rule] = []
    for directive in directives:
        names = list(directive.args)
        text = COMMON_FORMAT
        if len(names) > 1 and "{" in names[-1].text:
            text = names.pop().text
        read = read_block(_Read(), [directive], _OPTIONS)
        line_format = JsonFormat() if read.is_json else LineFormat(text)
        scopes = [scope for token in names if (scope := _scope(token)) is not None] if names else [ROOT]
        rules += [Rule(scope, line_format, read.classes or ALL) for scope in scopes]
    return Settings(tuple(rules))


@dataclass(frozen=True)
class _Read:
    """What one block says."""

    classes: frozenset[str] = frozenset()
    is_json: bool = False


def _class(read: _Read, line: Line) -> _Read:
    for word in line.arguments_between(1, None, "success|denial|error|all"):
        read = replace(read, classes=read.classes | CLASSES[values.choice(word, tuple(CLASSES))])
    return read


def _json(read: _Read, line: Line) -> _Read:
    line.no_arguments()
    return replace(read, is_json=True)


_OPTIONS = (
    Option("class success|denial|error|all …", "all", "Which replies are logged; several lines add up.", _class),
    Option(
        "json",
        "lines of text",
        "Our own: a JSON object per query and nothing before it, in place of FORMAT: time, client, port, id, type, "
        "class, name, proto, size, do, bufsize, rcode (null where nothing was sent), rflags, rsize, duration_seconds.",
        _json,
    ),
)


def _scope(token: Token) -> bytes | None:
    """The name; None where it is none, so that no question is at or under it."""
    try:
        return from_text(token.text)
    except ValueError as problem:
        hint = "a format needs a name before it: log . FORMAT" if "{" in token.text else "no line is written for it"
        settings_log.warning("%s: %s is not a name: %s; %s", token.place, token, problem, hint)
        return None


def build(settings: Settings, context: BlockContext) -> Part:
    """The observer."""
    return Part("log", handling=Handling(observe=observer(settings), reuse=Reuse.PER_REPLY))


DOC = Doc(
    usage=("log [NAMES… [FORMAT]]",),
    about="A line per query on standard output, in CoreDNS's formats and placeholders. A single argument is a name; a "
    "format comes after at least one name. A query that is logged runs the whole chain, so `log` on busy names costs "
    "what compiled answers save.",
    options=_OPTIONS,
    example="log cluster.local {\n    class denial error\n}\nwhoami",
)
PLUGIN = Plugin("log", parse, build, doc=DOC)
