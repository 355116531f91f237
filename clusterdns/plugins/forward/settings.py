"""The settings of a `forward` line: the queries that it takes, and how its upstreams are asked."""

import msgspec

from clusterdns.chain import Reply
from clusterdns.upstream.address import Address
from clusterdns.upstream.settings import HealthCheckSettings, PoolSettings, TransportSettings
from clusterdns.wire import codes
from clusterdns.wire.name import ROOT, is_under


class ForwardScope(msgspec.Struct, frozen=True):
    """The names that a `forward` line takes, and the replies that it leaves to the next line."""

    zone: bytes = ROOT
    excluded: tuple[bytes, ...] = ()
    next_codes: frozenset[int] = frozenset()
    is_nodata_next: bool = False

    @property
    def takes_all(self) -> bool:
        """Return whether the line takes every name."""
        return self.zone == ROOT and not self.excluded

    def takes(self, name: bytes) -> bool:
        """Return whether the line takes a name: at or under the zone, and not at or under an excluded name."""
        zone = self.zone
        if zone != ROOT and not is_under(name, zone):
            return False
        return not self.excluded or name == zone or not any(is_under(name, one) for one in self.excluded)

    def passes_on(self, reply: Reply) -> bool:
        """Return whether the next line answers in place of this reply."""
        if not reply.is_upstream:
            return False
        if reply.rcode in self.next_codes:
            return True
        return self.is_nodata_next and reply.rcode == codes.NOERROR and not reply.answer


class ForwardSettings(msgspec.Struct, frozen=True):
    """One `forward` line. The last three topics are those of `clusterdns.upstream`, which takes them as they are."""

    scope: ForwardScope = msgspec.field(default_factory=ForwardScope)
    addresses: tuple[Address, ...] = ()  # of the upstreams, in file order
    resolvers: tuple[Address, ...] = ()  # for host names among the upstreams; empty: the system's
    prefers_udp: bool = False  # TCP clients' questions go over UDP
    max_concurrent: int = 0  # different questions under way, above which a query is refused; 0: see flight.MAX_FLIGHTS
    transport: TransportSettings = msgspec.field(default_factory=TransportSettings)
    health: HealthCheckSettings = msgspec.field(default_factory=HealthCheckSettings)
    pool: PoolSettings = msgspec.field(default_factory=PoolSettings)
    place: str = ""  # file:line
