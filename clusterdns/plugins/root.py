"""The `root` directive: the folder of relative paths in its block.

It sets `BlockContext.root`; plugins that read files call `BlockContext.path`.
"""

import logging
import os
from collections.abc import Sequence

from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, LifeCycle, Part, Plugin
from clusterdns.corefile.directive import Directive

log = logging.getLogger("clusterdns.plugin.root")


def parse(directives: Sequence[Directive], context: BlockContext) -> str:
    """Read `root FOLDER`; the last of several wins. Raises CorefileError."""
    folder = ""
    for directive in directives:
        directive.no_block()
        folder = directive.one_argument("FOLDER").text
    return folder


def configure_block(folder: str, context: BlockContext) -> BlockContext:
    """Resolve relative paths in this folder."""
    return replace(context, root=folder)


def build(folder: str, context: BlockContext) -> Part:
    """Make the part that warns of a missing folder; no error, because files may have absolute paths or appear later."""

    async def start() -> None:
        check_folder(folder)

    return Part("root", life=LifeCycle(start=start))


def check_folder(folder: str) -> None:
    """Log a warning where the path is missing or not a folder."""
    if not os.path.exists(folder):
        log.warning("Root path does not exist: %s", folder)
    elif not os.path.isdir(folder):
        log.warning("Root path is not a folder: %s", folder)


DOC = Doc(
    usage=("root FOLDER",),
    about="The folder that files named in this block are in, unless their path is absolute. A missing folder is "
    "logged as a warning.",
    example="root /etc/coredns\nwhoami",
)
PLUGIN = Plugin("root", parse, build, doc=DOC, configure_block=configure_block)
