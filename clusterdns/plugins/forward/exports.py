"""The exports of `forward` to other directives of its block: its upstreams."""

from dataclasses import dataclass

from clusterdns.upstream.server import Upstream


@dataclass(frozen=True)
class ForwardExports:
    """The upstreams of all `forward` lines of a block, each with the zone of its line."""

    upstreams: tuple[tuple[bytes, Upstream], ...]
