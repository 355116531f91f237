"""What `forward` exports to other directives of its block: the upstreams that it asks."""

from dataclasses import dataclass

from clusterdns.upstream.server import Server


@dataclass(frozen=True)
class ForwardExports:
    """The upstreams of all `forward` lines of a block, each with the zone whose names it is asked for."""

    upstreams: tuple[tuple[bytes, Server], ...]
