"""The handler of the directives `kubernetes` and `k8s_external`: makes replies of what a zone of the index holds.

A zone (`index.zone`, `index.external`) looks a name up in the index. The handler turns the result into a positive
answer, NODATA or NXDOMAIN, SERVFAIL before the first synchronisation, a CNAME with the answer of its target, or the
reply of the next plugin. It knows neither settings nor the source that fills the index.
"""

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Protocol

from clusterdns.chain import Handler, Query, Reply, failure
from clusterdns.chain.fallthrough import Fallthrough, ask_next
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.lookup import LookupResult
from clusterdns.wire import codes, record
from clusterdns.wire.name import longest_suffix
from clusterdns.wire.record import Record


class IndexedZone(Protocol):
    """A zone whose records come from an index."""

    zone: bytes
    soa: Record
    index: Index

    def find(self, qname: bytes, qtype: int) -> LookupResult:
        """Look up a name that is in this zone."""


class ClusterHandler:
    """Answers the names in the zones of one directive; the next plugin answers others."""

    def __init__(
        self,
        zones: Sequence[IndexedZone],
        ttl_seconds: int,
        fallthrough: Fallthrough,
        following: Handler,
        *,
        unready: Callable[[], str],
    ) -> None:
        """`unready` returns why the index is not synced."""
        self._zones = {zone.zone: zone for zone in zones}
        self._ttl = ttl_seconds
        self._fallthrough = fallthrough
        self._next = following
        self._unready = unready

    async def __call__(self, query: Query) -> Reply:
        """Make the reply, or return that of the next plugin (see `chain.handler`)."""
        qname = query.name
        zone_name = longest_suffix(qname, self._zones)
        if zone_name is None:
            return await self._next(query)
        zone = self._zones[zone_name]
        if query.qtype in codes.TRANSFER_TYPES:
            return failure(codes.REFUSED, "zone transfers are not allowed", codes.EDE_PROHIBITED)
        found = zone.find(qname, query.qtype)
        if not found.exists:
            if zone.index.synced and self._fallthrough.includes(qname):
                return await ask_next(self._next, query, found.dependencies, is_reusable=found.reusable)
            return self._negative(zone, found, codes.NXDOMAIN) if zone.index.synced else self._unknown(zone)
        if found.cname:
            return await self._follow(zone, query, found)
        if query.qtype == codes.ANY:
            found = found._replace(records=(record.hinfo(qname, self._ttl, "RFC8482", ""),))  # RFC 8482 §4.2
        if not found.records:
            if not zone.index.synced and self._may_have_records(zone, query):
                return self._unknown(zone)
            return self._negative(zone, found, codes.NOERROR)
        has_serial = found.records[0].rtype == codes.SOA
        return Reply(
            codes.NOERROR, found.records, (), found.additional,
            dependencies=found.dependencies,
            reusable=zone.index.synced and found.reusable,
            serial=zone.index.serial if has_serial else None,
        )  # fmt: skip

    def _negative(self, zone: IndexedZone, found: LookupResult, rcode: int) -> Reply:
        """Make an NXDOMAIN or NODATA reply, with the zone's SOA in the authority section (RFC 2308 §2)."""
        return Reply(
            rcode, (), (zone.soa,), (),
            dependencies=found.dependencies,
            reusable=zone.index.synced and found.reusable,
            serial=zone.index.serial,
        )  # fmt: skip

    def _may_have_records(self, zone: IndexedZone, query: Query) -> bool:
        """Return whether a name without records of this type, such as a headless Service, may get endpoints yet."""
        if query.qtype not in (codes.A, codes.AAAA, codes.SRV):
            return False
        return not any(zone.find(query.name, qtype).records for qtype in codes.ADDRESS_TYPES)

    def _unknown(self, zone: IndexedZone) -> Reply:
        """Make the reply for a name that may exist: SERVFAIL, with the zone's SOA as in CoreDNS."""
        reply = failure(codes.SERVFAIL, f"kubernetes is not synced: {self._unready()}", codes.EDE_NOT_READY)
        reply.authority = (zone.soa,)
        reply.serial = zone.index.serial
        reply.is_authoritative = reply.is_written = True
        return reply

    async def _follow(self, zone: IndexedZone, query: Query, found: LookupResult) -> Reply:
        """Make the reply of an ExternalName: its CNAME, then the answer and RCODE of the target (RFC 6604 §2)."""
        cname = record.cname(query.name, self._ttl, found.cname)
        reply = Reply(codes.NOERROR, (cname,), dependencies=found.dependencies, reusable=zone.index.synced)
        if query.qtype in (codes.CNAME, codes.ANY):
            return reply
        target = await query.lookup(query, found.cname, query.qtype)
        if target.is_unhandled:
            return reply  # no plugin answers the target: the CNAME alone (RFC 1034 §4.3.2)
        reply.dependencies = (*found.dependencies, *target.dependencies)
        reply.reusable = reply.reusable and target.reusable
        cnames = takewhile(lambda one: one.rtype == codes.CNAME, target.answer)
        if any(one.name == query.name for one in cnames):
            return reply  # the CNAMEs lead back to this name
        reply.rcode = target.rcode
        reply.answer = (cname, *target.answer)
        reply.authority = target.authority
        reply.is_truncated = target.is_truncated
        reply.serial = target.serial
        reply.counted = target.counted
        reply.take_cause(target)
        return reply
