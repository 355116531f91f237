"""The `timeouts` directive: how long a connection may take, and how many queries it may ask.

It shapes how the block's listeners treat streams (`ListenerOptions`); UDP has no such thing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from clusterdns.chain import BlockContext, Doc, ListenerOptions, Part, Plugin
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block

MIN_SECONDS, MAX_SECONDS = 1.0, 86_400.0


def _seconds(word: Token) -> float:
    """A duration, or as in CoreDNS a bare number of seconds."""
    in_seconds = word._replace(text=f"{word.text}s") if word.text.isascii() and word.text.isdigit() else word
    return values.duration_seconds(in_seconds, MIN_SECONDS, MAX_SECONDS)


def _duration(field_name: str) -> Callable[[ListenerOptions, Line], ListenerOptions]:
    def read(settings: ListenerOptions, line: Line) -> ListenerOptions:
        changes = {field_name: _seconds(line.one_argument("DURATION"))}
        return replace(settings, **changes)  # type: ignore[arg-type]  # a field of seconds

    return read


def _max_queries(settings: ListenerOptions, line: Line) -> ListenerOptions:
    word = line.one_argument("NUMBER")
    number = values.integer(word, -1)
    if not number:
        raise word.error("a connection without queries is of no use", "write 1 or more, or -1 for any number")
    return replace(settings, max_queries=number)


OPTIONS = (
    Option("read DURATION", "10s to the first query, 5s from its first byte to its last", "How long a query may take "
           "to arrive, the first one of a connection from the moment that it is made.", _duration("read_seconds")),
    Option("write DURATION", "5s", "How long a client may not take its replies.", _duration("write_seconds")),
    Option("idle DURATION", "10s", "How long a connection stays open after its last reply.", _duration("idle_seconds")),
    Option("maxtcpqueries NUMBER", "-1: any number", "After how many queries a connection is closed.", _max_queries),
)  # fmt: skip


def parse(directives: Sequence[Directive], context: BlockContext) -> ListenerOptions:
    """`timeouts { read|write|idle DURATION; maxtcpqueries NUMBER }`; the last of each counts. Raises CorefileError."""
    for directive in directives:
        directive.no_arguments()
        if not directive.block:
            hint = "write at least one of read, write, idle and maxtcpqueries"
            raise directive.error("'timeouts' without any of its options", hint)
    return read_block(ListenerOptions(), directives, OPTIONS)


def configure_block(settings: ListenerOptions, context: BlockContext) -> BlockContext:
    """The block's connections have these times."""
    listening = replace(
        context.listener,
        read_seconds=settings.read_seconds,
        write_seconds=settings.write_seconds,
        idle_seconds=settings.idle_seconds,
        max_queries=settings.max_queries,
    )
    return replace(context, listener=listening)


def build(settings: ListenerOptions, context: BlockContext) -> Part:
    """Nothing in the chain."""
    return Part("timeouts")


DOC = Doc(
    usage=("timeouts",),
    about="Times of TCP and TLS connections, between 1s and 24h; a number without a unit is seconds. Of several blocks "
    "on one listener the first that says anything counts.",
    options=OPTIONS,
    example="timeouts {\n    read 3s\n    write 5s\n    idle 20s\n    maxtcpqueries 1000\n}\nwhoami",
    better="`write` has an effect: a client that does not take its replies is cut off.",
)
PLUGIN = Plugin("timeouts", parse, build, doc=DOC, configure_block=configure_block)
