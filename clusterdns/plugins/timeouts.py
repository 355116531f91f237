"""The `timeouts` directive: how long a connection may take, and how many queries it may ask.

It sets the `ListenerOptions` of the block for TCP and TLS; UDP has no timeouts.
"""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, ListenerOptions, Part, Plugin
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block

MIN_SECONDS, MAX_SECONDS = 1.0, 86_400.0


def _seconds(word: Token) -> float:
    """Read a duration, or as in CoreDNS a number of seconds. Raises CorefileError."""
    in_seconds = word._replace(text=f"{word.text}s") if word.text.isascii() and word.text.isdigit() else word
    return values.duration_seconds(in_seconds, MIN_SECONDS, MAX_SECONDS)


def _duration(field_name: str) -> Callable[[ListenerOptions, Line], ListenerOptions]:
    def read(settings: ListenerOptions, line: Line) -> ListenerOptions:
        changes = {field_name: _seconds(line.one_argument("DURATION"))}
        return replace(settings, **changes)

    return read


def _max_queries(settings: ListenerOptions, line: Line) -> ListenerOptions:
    word = line.one_argument("NUMBER")
    number = values.integer(word, -1)
    if not number:
        raise word.error("a connection must be allowed at least one query", "write 1 or more, or -1 for any number")
    return replace(settings, max_queries=number)


OPTIONS = (
    Option("read DURATION", "10s to the first query, 5s from its first byte to its last", "How long a query may take "
           "to arrive; for the first one of a connection, from its start.", _duration("read_seconds")),
    Option("write DURATION", "5s", "How long a client may leave replies unread.", _duration("write_seconds")),
    Option("idle DURATION", "10s", "How long a connection stays open after its last reply.", _duration("idle_seconds")),
    Option("maxtcpqueries NUMBER", "-1: any number", "After how many queries a connection is closed.", _max_queries),
)  # fmt: skip


def parse(directives: Sequence[Directive], context: BlockContext) -> ListenerOptions:
    """Read `timeouts { read|write|idle DURATION; maxtcpqueries NUMBER }`, the last of each. Raises CorefileError."""
    for directive in directives:
        directive.no_arguments()
        if not directive.block:
            hint = "write at least one of read, write, idle and maxtcpqueries"
            raise directive.error("'timeouts' without any of its options", hint)
    return read_block(ListenerOptions(), directives, OPTIONS)


def configure_block(settings: ListenerOptions, context: BlockContext) -> BlockContext:
    """Set these timeouts for the block's connections."""
    listener = replace(
        context.listener,
        read_seconds=settings.read_seconds,
        write_seconds=settings.write_seconds,
        idle_seconds=settings.idle_seconds,
        max_queries=settings.max_queries,
    )
    return replace(context, listener=listener)


def build(settings: ListenerOptions, context: BlockContext) -> Part:
    """Make a part without effects: `configure_block` has them."""
    return Part("timeouts")


DOC = Doc(
    usage=("timeouts",),
    about="Timeouts of TCP and TLS connections, between 1s and 24h; a number without a unit is seconds. Of several "
    "blocks on one listener the first non-default setting wins.",
    options=OPTIONS,
    example="timeouts {\n    read 3s\n    write 5s\n    idle 20s\n    maxtcpqueries 1000\n}\nwhoami",
    better="`write` has an effect: the connection of a client that does not read its replies is closed.",
)
PLUGIN = Plugin("timeouts", parse, build, doc=DOC, configure_block=configure_block)
