"""The `header` directive: sets and clears the flags AA, RA and RD of queries and replies.

A reply repeats the RD of its query, so a rule for the RD of a reply changes the query too.
"""

from collections.abc import Sequence

import msgspec

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.options import Option, read_block
from clusterdns.wire.header import AA, RA, RD

FLAGS = {"aa": AA, "ra": RA, "rd": RD}


class FlagChange(msgspec.Struct, frozen=True):
    """Flags to set and flags to clear; of several rules for one flag the last counts."""

    to_set: int = 0
    to_clear: int = 0

    def then(self, action: str, flags: int) -> "FlagChange":
        """Return the change with one more rule."""
        if action == "set":
            return FlagChange(self.to_set | flags, self.to_clear & ~flags)
        return FlagChange(self.to_set & ~flags, self.to_clear | flags)

    def apply(self, flags: int) -> int:
        """Return the changed flags."""
        return (flags | self.to_set) & ~self.to_clear


class HeaderSettings(msgspec.Struct, frozen=True):
    """The changes of queries and of replies."""

    query: FlagChange = FlagChange()
    response: FlagChange = FlagChange()


def changing(settings: HeaderSettings, following: Handler) -> Handler:
    """Make the handler; a bare response code has no flags, so it leaves such replies as they are."""

    async def handle(query: Query) -> Reply:
        query.flags = settings.query.apply(query.flags)
        reply = await following(query)
        if settings.response == FlagChange() or not reply.is_written:
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


def _read(change: FlagChange, line: Line) -> FlagChange:
    action, *names = line.arguments_between(2, None, "set|clear aa|ra|rd…")
    word = values.choice(action, ("set", "clear"))
    for name in names:
        flag = values.choice(name._replace(text=name.text.lower()), tuple(FLAGS))
        change = change.then(word, FLAGS[flag])
    return change


def _query(settings: HeaderSettings, line: Line) -> HeaderSettings:
    return HeaderSettings(_read(settings.query, line), settings.response)


def _response(settings: HeaderSettings, line: Line) -> HeaderSettings:
    return HeaderSettings(settings.query, _read(settings.response, line))


OPTIONS = (
    Option("query set|clear aa|ra|rd…", "unchanged", "Changes flags of queries, as the next plugins see them.", _query),
    Option("response set|clear aa|ra|rd…", "unchanged", "Changes flags of replies of the next plugins.", _response),
)


def parse(directives: Sequence[Directive], context: BlockContext) -> HeaderSettings:
    """Read `header { query|response set|clear FLAGS… }`; of several the first counts. Raises CorefileErrors."""
    lenient.ignore_arguments(directives[0])
    if not directives[0].block:
        raise directives[0].error("'header' has no rules", "write at least one: header { response set ra }")
    return read_block(HeaderSettings(), directives[:1], OPTIONS)


def build(settings: HeaderSettings, context: BlockContext) -> Part:
    """Make the part."""
    return Part("header", handling=Handling(wrap=lambda following: changing(settings, following)))


DOC = Doc(
    usage=("header",),
    about="Sets or clears the flags AA, RA and RD of queries before the next plugins see them, or of their replies.",
    options=OPTIONS,
    example="header {\n    response set ra\n}\nwhoami",
)
PLUGIN = Plugin("header", parse, build, doc=DOC)
