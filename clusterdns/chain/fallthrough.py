"""The option `fallthrough`: names that one plugin lacks are passed on to the next plugin."""

from collections.abc import Hashable, Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from clusterdns.chain.handler import Handler
from clusterdns.chain.query import Query
from clusterdns.chain.reply import Reply
from clusterdns.corefile import lenient
from clusterdns.corefile.directive import Line
from clusterdns.corefile.options import Option
from clusterdns.wire.name import ROOT, is_under


class Fallthrough(msgspec.Struct, frozen=True):
    """The zones whose missing names go to the next plugin; without zones no name does."""

    zones: tuple[bytes, ...] = ()

    def includes(self, name: bytes) -> bool:
        """Return whether a missing name goes to the next plugin."""
        return any(is_under(name, zone) for zone in self.zones)


NO_FALLTHROUGH = Fallthrough()


def fallthrough_option(default: str, meaning: str) -> Option[Any]:
    """Make the row of the option, for settings that have a field `fallthrough`."""
    return Option("fallthrough [ZONES…]", default, meaning, _read)


def _read(settings: Any, line: Line) -> Any:
    return replace(settings, fallthrough=Fallthrough(lenient.zones(line.args, (ROOT,))))


async def ask_next(
    following: Handler, query: Query, dependencies: Iterable[Hashable], *, is_reusable: bool = True
) -> Reply:
    """Ask the next plugin for a name that is missing here.

    The reply gets the `dependencies` of the missing name too, so that a compiled answer is forgotten when the name
    appears here.
    """
    reply = await following(query)
    if not reply.reusable:
        return reply
    reply = reply.duplicate()
    reply.dependencies = (*reply.dependencies, *dependencies)
    reply.reusable = is_reusable
    return reply
