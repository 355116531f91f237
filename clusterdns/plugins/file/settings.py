"""The values of one `file` line; a block may have several."""

import msgspec

from clusterdns.chain.fallthrough import Fallthrough
from clusterdns.corefile.lexer import Token

RELOAD_SECONDS = 60.0


class FileSettings(msgspec.Struct, frozen=True):
    """The zone file of a line, the zones served from it, and the options of the line."""

    path: str
    token: Token  # the path in the Corefile, for error messages
    zones: tuple[bytes, ...]
    reload_seconds: float = RELOAD_SECONDS  # 0: the file is read once
    by_mtime: bool = False  # replace the zone even if its serial stays the same
    fallthrough: Fallthrough | None = None
