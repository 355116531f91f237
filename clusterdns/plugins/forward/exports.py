"""The exports of `forward` to other directives of its block: its upstreams."""

import msgspec

from clusterdns.upstream.server import Upstream


class ForwardExports(msgspec.Struct, frozen=True):
    """The upstreams of all `forward` lines of a block, each with the zone of its line."""

    upstreams: tuple[tuple[bytes, Upstream], ...]
