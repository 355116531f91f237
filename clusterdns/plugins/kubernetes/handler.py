"""The handler of the directives `kubernetes` and `k8s_external`: questions in a cluster's zones.

What a name holds comes from `index.zone` or `index.external`; here it becomes a reply: positive, NODATA, NXDOMAIN,
SERVFAIL while the truth is unknown, the next plugin's turn, or an alias to follow. Settings and the source that fills
the index are in `plugins.kubernetes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from clusterdns.chain.plugin import Handler
from clusterdns.chain.query import Query
from clusterdns.chain.reply import Reply, failure
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.found import Found
from clusterdns.wire import codes, record
from clusterdns.wire.name import is_under
from clusterdns.wire.record import Record


@dataclass(frozen=True)
class Fallthrough:
    """Which names that do not exist are the next plugin's to answer: none, all, or those under some zones."""

    zones: tuple[bytes, ...] = ()

    def includes(self, name: bytes) -> bool:
        """Whether a missing name goes on to the next plugin."""
        return any(is_under(name, zone) for zone in self.zones)


class Zone(Protocol):
    """A zone whose records come from an index."""

    zone: bytes
    soa: Record
    index: Index

    def find(self, qname: bytes, qtype: int) -> Found:
        """What it holds for a name below or at its own."""


class ClusterHandler:
    """Answers the zones of one directive; other names go to `next`."""

    def __init__(self, zones: Sequence[Zone], ttl_seconds: int, fallthrough: Fallthrough, following: Handler) -> None:
        self._zones = {zone.zone: zone for zone in zones}
        self._ttl = ttl_seconds
        self._fallthrough = fallthrough
        self._next = following

    async def __call__(self, query: Query) -> Reply:
        """The reply, or what the next plugin says (see plugins.handler.Handler)."""
        qname = query.name
        zones = self._zones
        start = 0
        while (zone := zones.get(qname[start:])) is None:
            size = qname[start]
            if not size:
                return await self._next(query)
            start += 1 + size
        if query.qtype in codes.TRANSFER_TYPES:
            return failure(codes.REFUSED)
        found = zone.find(qname, query.qtype)
        if not found.exists:
            if zone.index.synced and self._fallthrough.includes(qname):
                return _while_absent(await self._next(query), found)
            return self._denied(zone, found, codes.NXDOMAIN if zone.index.synced else codes.SERVFAIL)
        if found.alias:
            return await self._follow(zone, query, found)
        if query.qtype == codes.ANY:
            found = found._replace(records=(record.hinfo(qname, self._ttl, "RFC8482", ""),))  # RFC 8482 §4.2
        if not found.records:
            return self._denied(zone, found, codes.NOERROR)
        is_dated = found.records[0].rtype == codes.SOA
        return Reply(
            codes.NOERROR, found.records, (), found.additional,
            owners=found.owners,
            reusable=zone.index.synced and found.reusable,
            serial=zone.index.serial if is_dated else None,
        )  # fmt: skip

    def _denied(self, zone: Zone, found: Found, rcode: int) -> Reply:
        """NXDOMAIN, NODATA, or SERVFAIL while unsynced: the zone's SOA and nothing else (RFC 2308 §2)."""
        return Reply(
            rcode, (), (zone.soa,), (),
            owners=found.owners,
            reusable=zone.index.synced and found.reusable,
            serial=zone.index.serial,
        )  # fmt: skip

    async def _follow(self, zone: Zone, query: Query, found: Found) -> Reply:
        """The alias of an ExternalName, then what its target says: records, denial and code (RFC 6604 §2)."""
        alias = record.cname(query.name, self._ttl, found.alias)
        reply = Reply(codes.NOERROR, (alias,), owners=found.owners, reusable=zone.index.synced)
        if query.qtype in (codes.CNAME, codes.ANY):
            return reply
        target = await query.lookup(query, found.alias, query.qtype)
        if target.is_unhandled:
            return reply  # out of our zones and nobody to ask: as far as we can tell (RFC 1034 §4.3.2)
        reply.owners = (*found.owners, *target.owners)
        reply.reusable = reply.reusable and target.reusable
        aliases = takewhile(lambda one: one.rtype == codes.CNAME, target.answer)
        if any(one.name == query.name for one in aliases):
            return reply  # the chain has come back to this name
        reply.rcode = target.rcode
        reply.answer = (alias, *target.answer)
        reply.authority = target.authority
        reply.is_truncated = target.is_truncated
        reply.serial = target.serial
        reply.counted = target.counted
        reply.error = target.error
        return reply


def _while_absent(reply: Reply, found: Found) -> Reply:
    """What others say of a name that is not here; if compiled, to be forgotten when the name comes."""
    if not reply.reusable:
        return reply
    reply = reply.duplicate()
    reply.owners = (*reply.owners, *found.owners)
    reply.reusable = found.reusable
    return reply
