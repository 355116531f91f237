"""The values of one `hosts` directive."""

import msgspec

from clusterdns.chain.fallthrough import NO_FALLTHROUGH, Fallthrough


class HostsSettings(msgspec.Struct, frozen=True):
    """The file of a hosts directive, the zones it answers, and its options."""

    path: str
    zones: tuple[bytes, ...]
    inline: tuple[str, ...] = ()  # lines of the block, in the format of the file
    ttl_seconds: int = 3600
    has_reverse: bool = True  # answer PTR queries for the addresses
    reload_seconds: float = 5.0  # 0: the file is read once
    fallthrough: Fallthrough = NO_FALLTHROUGH
    passes_other_types: bool = False  # types other than A, AAAA and PTR fall through, too
