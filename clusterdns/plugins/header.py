"""The `header` directive: sets and clears flags of queries on their way down and of replies on their way up.

It stands below `cache`: what it does to a reply is done to what is kept, too. A reply has the RD of its query, so the
rules for RD of either change the query's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.options import Option, read_block
from clusterdns.wire.header import AA, RA, RD

FLAGS = {"aa": AA, "ra": RA, "rd": RD}


@dataclass(frozen=True)
class Change:
    """Flags to set and flags to clear; of several rules for one flag the last counts."""

    to_set: int = 0
    to_clear: int = 0

    def then(self, action: str, flags: int) -> "Change":
        """With one more rule."""
        if action == "set":
            return Change(self.to_set | flags, self.to_clear & ~flags)
        return Change(self.to_set & ~flags, self.to_clear | flags)

    def apply(self, flags: int) -> int:
        """The flags after the rules."""
        return (flags | self.to_set) & ~self.to_clear


@dataclass(frozen=True)
class Settings:
    """The rules of each way."""

    query: Change = Change()
    response: Change = Change()


def changing(settings: Settings, following: Handler) -> Handler:
    """Applies the rules; a code without a message has no flags to change."""

    async def handle(query: Query) -> Reply:
        query.flags = settings.query.apply(query.flags)
        reply = await following(query)
        if settings.response == Change() or not reply.is_written:
            return reply
        flags = query.flags & RD
        flags |= AA if reply.is_authoritative else 0
        flags |= RA if reply.recursion_available else 0
        flags = settings.response.apply(flags)
        query.flags = query.flags & ~RD | flags & RD
        changed = reply.duplicate()
        changed.is_authoritative = bool(flags & AA)
        changed.recursion_available = bool(flags & RA)
        return changed

    return handle


def _read(change: Change, line: Line) -> Change:
    action, *names = line.arguments_between(2, None, "set|clear aa|ra|rd…")
    word = values.choice(action, ("set", "clear"))
    for name in names:
        flag = values.choice(name._replace(text=name.text.lower()), tuple(FLAGS))
        change = change.then(word, FLAGS[flag])
    return change


def _query(settings: Settings, line: Line) -> Settings:
    return Settings(_read(settings.query, line), settings.response)


def _response(settings: Settings, line: Line) -> Settings:
    return Settings(settings.query, _read(settings.response, line))


OPTIONS = (
    Option("query set|clear aa|ra|rd…", "as asked", "Flags of queries, as the plugins further down see them.", _query),
    Option("response set|clear aa|ra|rd…", "as answered", "Flags of replies that come from further down.", _response),
)


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`header { query|response set|clear FLAGS… }`; of several the first counts. Raises CorefileError."""
    lenient.ignore_arguments(directives[0])
    if not directives[0].block:
        raise directives[0].error("'header' without rules", "write at least one: header { response set ra }")
    return read_block(Settings(), directives[:1], OPTIONS)


def build(settings: Settings, context: BlockContext) -> Part:
    """The handler."""
    return Part("header", handling=Handling(wrap=lambda following: changing(settings, following)))


DOC = Doc(
    usage=("header",),
    about="Sets or clears the flags AA, RA and RD of queries on their way down, or of replies on their way up. It "
    "stands below `cache`.",
    options=OPTIONS,
    example="header {\n    response set ra\n}\nwhoami",
)
PLUGIN = Plugin("header", parse, build, doc=DOC)
