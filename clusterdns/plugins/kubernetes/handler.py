"""The handler of the directives `kubernetes` and `k8s_external`: makes replies of what a zone of the index holds.

A zone (`index.zone`, `index.external`) looks a name up in the index. The handler turns the result into a positive
answer, NODATA or NXDOMAIN, a CNAME with the answer of its target, or the reply of the next plugin. It knows neither
settings nor the source that fills the index.

The index may not know the latest state: before the first synchronisation, and while kinds of objects are stale, as all
of them are that come from a snapshot. What it knows is answered all the same, marked as stale for clients that use
EDNS. A name or type that it does not have may exist by now, so it is not denied: the reply is SERVFAIL, which is a
*held negative answer*.
"""

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Protocol

from clusterdns.chain import Handler, Query, Reply, failure
from clusterdns.chain.fallthrough import Fallthrough, ask_next
from clusterdns.cluster.dependents import WHOLE
from clusterdns.cluster.freshness import Kinds
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.lookup import LookupResult
from clusterdns.cluster.objects import Namespace
from clusterdns.wire import codes, record
from clusterdns.wire.edns import pack_option
from clusterdns.wire.name import longest_suffix, to_address
from clusterdns.wire.record import Record
from clusterdns.wire.runs import joined

_STALE = pack_option(codes.EDE, codes.EDE_STALE.to_bytes(2, "big"))


class IndexedZone(Protocol):
    """A zone whose records come from an index."""

    zone: bytes
    soa: Record
    index: Index

    def find(self, qname: bytes, qtype: int) -> LookupResult:
        """Look up a name that is in this zone."""

    def deciding_kinds(self, qname: bytes, /) -> Kinds:
        """Return the kinds of objects that decide about a name of this zone."""


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
        """`unready` returns why the index does not know the latest state."""
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
            if _is_filled(zone.index) and self._fallthrough.includes(qname):
                return await self._fall_through(zone, query, found)
            return self._negative(zone, query, found, codes.NXDOMAIN)
        if found.cname:
            reply = await self._follow(zone, query, found)
            _mark(reply, zone, qname)
            return reply
        if query.qtype == codes.ANY:
            found = found._replace(records=(record.hinfo(qname, self._ttl, "RFC8482", ""),))  # RFC 8482 §4.2
        if not found.records:
            return self._negative(zone, query, found, codes.NOERROR)
        has_serial = found.records[0].rtype == codes.SOA
        reply = Reply(
            codes.NOERROR, found.records, (), found.additional,
            dependencies=(WHOLE, *found.dependencies),
            reusable=_is_filled(zone.index) and found.reusable,
            serial=zone.index.serial if has_serial else None,
        )  # fmt: skip
        _mark(reply, zone, qname)
        return reply

    def _negative(self, zone: IndexedZone, query: Query, found: LookupResult, rcode: int) -> Reply:
        """Make an NXDOMAIN or NODATA reply, with the zone's SOA in the authority section (RFC 2308 §2), or hold it."""
        index = zone.index
        if (index.stale or not index.synced) and self._may_exist(zone, query, found):
            return self._unknown(zone)
        reply = Reply(
            rcode, (), (zone.soa,), (),
            dependencies=(WHOLE, *found.dependencies),
            reusable=_is_filled(index) and found.reusable,
            serial=index.serial,
        )  # fmt: skip
        _mark(reply, zone, query.name)
        return reply

    def _may_exist(self, zone: IndexedZone, query: Query, found: LookupResult) -> bool:
        """Return whether a name or type that the index does not have may exist by now."""
        stale = _stale_kinds(zone, query.name)
        if _is_filled(zone.index) and not stale:
            return False
        # a namespace's name, which Namespaces alone decide about, never has records
        return not found.exists or (stale != {Namespace} and self._may_have_records(zone, query))

    def _may_have_records(self, zone: IndexedZone, query: Query) -> bool:
        """Return whether a name without records of this type, such as a headless Service, may get endpoints yet.

        A name with an IPv4 address and no IPv6 address has NODATA for AAAA whatever is stale: a stub that asks for both
        would take SERVFAIL as its answer (musl does).
        """
        if query.qtype not in (codes.A, codes.AAAA, codes.SRV) or to_address(query.name) is not None:
            return False
        return not any(zone.find(query.name, qtype).records for qtype in codes.ADDRESS_TYPES)

    def _unknown(self, zone: IndexedZone) -> Reply:
        """Make the reply for a name that may exist: SERVFAIL, with the zone's SOA as in CoreDNS.

        The log has a line when a kind becomes stale, not one for each query then.
        """
        is_synced = zone.index.synced
        cause = f"kubernetes is not {'current' if is_synced else 'synced'}: {self._unready()}"
        info_code = codes.EDE_NO_AUTHORITY if is_synced else codes.EDE_NOT_READY
        reply = failure(codes.SERVFAIL, cause, info_code, is_logged=not _is_filled(zone.index))
        reply.authority = (zone.soa,)
        reply.serial = zone.index.serial
        reply.is_authoritative = reply.is_written = True
        return reply

    async def _fall_through(self, zone: IndexedZone, query: Query, found: LookupResult) -> Reply:
        """Ask the next plugin for a name that the index does not have; its denial is held while the name may exist."""
        dependencies = (WHOLE, *found.dependencies)
        reply = await ask_next(self._next, query, dependencies, is_reusable=found.reusable)
        is_denied = reply.rcode == codes.NXDOMAIN or (
            # a name may have one type of address at the next plugin, and NODATA for the other
            reply.rcode == codes.NOERROR and reply.is_empty and query.qtype not in codes.ADDRESS_TYPES
        )
        return self._unknown(zone) if is_denied and zone.index.stale and _stale_kinds(zone, query.name) else reply

    async def _follow(self, zone: IndexedZone, query: Query, found: LookupResult) -> Reply:
        """Make the reply of an ExternalName: its CNAME, then the answer and RCODE of the target (RFC 6604 §2)."""
        cname = record.cname(query.name, self._ttl, found.cname)
        dependencies = (WHOLE, *found.dependencies)
        reply = Reply(codes.NOERROR, (cname,), dependencies=dependencies, reusable=_is_filled(zone.index))
        if query.qtype in (codes.CNAME, codes.ANY):
            return reply
        target = await query.lookup(query, found.cname, query.qtype)
        if target.is_unhandled:
            return reply  # no plugin answers the target: the CNAME alone (RFC 1034 §4.3.2)
        reply.dependencies = (*dependencies, *target.dependencies)
        reply.reusable = reply.reusable and target.reusable
        cnames = takewhile(lambda one: one.rtype == codes.CNAME, target.answer)
        if any(one.name == query.name for one in cnames):
            return reply  # the CNAMEs lead back to this name
        reply.rcode = target.rcode
        reply.answer = joined((cname,), target.answer)
        reply.authority = target.authority
        reply.is_truncated = target.is_truncated
        reply.serial = target.serial
        reply.counted = target.counted
        reply.take_cause(target)
        return reply


def _is_filled(index: Index) -> bool:
    """Return whether the index has the whole state of some time, now or earlier."""
    return index.synced or index.restored


def _stale_kinds(zone: IndexedZone, qname: bytes) -> Kinds:
    """Return the kinds of objects that decide about the name and are stale."""
    return zone.index.stale & zone.deciding_kinds(qname)


def _mark(reply: Reply, zone: IndexedZone, qname: bytes) -> None:
    """Mark a reply as stale (RFC 8914 §4.4) where its latest state is not known; without text, as each byte counts."""
    if zone.index.stale and _stale_kinds(zone, qname) and _STALE not in reply.options:
        reply.options += _STALE
