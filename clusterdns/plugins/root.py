"""The `root` directive: the folder that relative paths of its block are in.

It shapes the block (`BlockContext.root`); those who read files ask `BlockContext.path`.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace

from clusterdns.chain import BlockContext, Doc, LifeCycle, Part, Plugin
from clusterdns.corefile.directive import Directive

log = logging.getLogger("clusterdns.plugin.root")


def parse(directives: Sequence[Directive], context: BlockContext) -> str:
    """`root FOLDER`; of several the last counts. Raises CorefileError."""
    folder = ""
    for directive in directives:
        directive.no_block()
        folder = directive.one_argument("FOLDER").text
    return folder


def configure_block(folder: str, context: BlockContext) -> BlockContext:
    """Relative paths are in this folder."""
    return replace(context, root=folder)


def build(folder: str, context: BlockContext) -> Part:
    """A warning where the folder is not there: the files may be absolute, or come later."""

    async def start() -> None:
        warn_of(folder)

    return Part("root", life=LifeCycle(start=start))


def warn_of(folder: str) -> None:
    """Tell of a folder that cannot hold files."""
    if not os.path.exists(folder):
        log.warning("Root path does not exist: %s", folder)
    elif not os.path.isdir(folder):
        log.warning("Root path is no folder: %s", folder)


DOC = Doc(
    usage=("root FOLDER",),
    about="The folder that files named in this block are in, unless their path is absolute. A folder that is not there "
    "is told as a warning.",
    example="root /etc/coredns\nwhoami",
)
PLUGIN = Plugin("root", parse, build, doc=DOC, configure_block=configure_block)
