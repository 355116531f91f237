"""A plugin: how a directive of the Corefile becomes a part of its server block, in separate steps.

`parse` reads directives into settings and raises CorefileError; `build` makes a part of the settings; the server starts
the part. A configuration is therefore known to be good before anything is bound. `plugins.order` has the order of the
chain; `server.assembly` runs the steps.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from clusterdns.chain.block import BlockContext
from clusterdns.chain.part import Part
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.options import Option


class Doc(msgspec.Struct, frozen=True):
    """The entry of a directive in docs/corefile.md."""

    usage: tuple[str, ...]  # the forms of the first line, without options
    about: str  # its effect, in a few sentences
    options: tuple[Option[Any], ...] = ()  # the rows that parse
    example: str = ""  # lines of a server block; a test starts it
    better: str = ""  # its advantages over CoreDNS; empty: none


class Plugin(msgspec.Struct, frozen=True):
    """A directive: its name, its steps and its documentation."""

    name: str
    parse: Callable[[Sequence[Directive], BlockContext], Any]  # the directives of this name in a block → settings
    build: Callable[[Any, BlockContext], Part]  # settings → part
    doc: Doc
    once: bool = False  # a block may hold the directive once only
    configure_block: Callable[[Any, BlockContext], BlockContext] | None = None  # settings → the block as they change it
