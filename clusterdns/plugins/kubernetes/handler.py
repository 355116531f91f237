"""The handler of the directives `kubernetes` and `k8s_external`: makes replies of what a zone of the index holds.

A zone (`index.zone`, `index.external`) looks a name up in the index. The handler turns the result into a positive
answer, NODATA or NXDOMAIN, SERVFAIL before the first synchronisation, a CNAME with the answer of its target, or the
reply of the next plugin. It knows neither settings nor the source that fills the index.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Protocol

from clusterdns.chain import Handler, Query, Reply, failure
from clusterdns.chain.fallthrough import Fallthrough, ask_next
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.found import Found
from clusterdns.wire import codes, record
from clusterdns.wire.name import longest_suffix
from clusterdns.wire.record import Record


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
        zone_name = longest_suffix(qname, self._zones)
        if zone_name is None:
            return await self._next(query)
        zone = self._zones[zone_name]
        if query.qtype in codes.TRANSFER_TYPES:
            return failure(codes.REFUSED)
        found = zone.find(qname, query.qtype)
        if not found.exists:
            if zone.index.synced and self._fallthrough.includes(qname):
                return await ask_next(self._next, query, found.dependencies, is_reusable=found.reusable)
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
            dependencies=found.dependencies,
            reusable=zone.index.synced and found.reusable,
            serial=zone.index.serial if is_dated else None,
        )  # fmt: skip

    def _denied(self, zone: Zone, found: Found, rcode: int) -> Reply:
        """NXDOMAIN, NODATA, or SERVFAIL while unsynced: the zone's SOA and nothing else (RFC 2308 §2)."""
        return Reply(
            rcode, (), (zone.soa,), (),
            dependencies=found.dependencies,
            reusable=zone.index.synced and found.reusable,
            serial=zone.index.serial,
        )  # fmt: skip

    async def _follow(self, zone: Zone, query: Query, found: Found) -> Reply:
        """The alias of an ExternalName, then what its target says: records, denial and code (RFC 6604 §2)."""
        alias = record.cname(query.name, self._ttl, found.alias)
        reply = Reply(codes.NOERROR, (alias,), dependencies=found.dependencies, reusable=zone.index.synced)
        if query.qtype in (codes.CNAME, codes.ANY):
            return reply
        target = await query.lookup(query, found.alias, query.qtype)
        if target.is_unhandled:
            return reply  # out of our zones and nobody to ask: as far as we can tell (RFC 1034 §4.3.2)
        reply.dependencies = (*found.dependencies, *target.dependencies)
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
