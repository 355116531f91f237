"""The rules of caching: which replies are cached, as what, and for how long. No store and no clock.

They are CoreDNS's, except that the TTL of a negative answer is at most its SOA's MINIMUM (RFC 2308 §5).
"""

import enum
from collections.abc import Sequence
from itertools import chain

from clusterdns.chain import Query, Reply
from clusterdns.plugins.cache.settings import StoreSettings
from clusterdns.wire import codes
from clusterdns.wire.edns import OPTION_HEADER_BYTES, extended_errors, iter_options
from clusterdns.wire.record import Record, all_with_ttl, body_of
from clusterdns.wire.runs import RecordRun, as_run

DEFAULT_TTL_SECONDS = 5  # of replies without records, of referrals and of errors

_FAILURES = (codes.SERVFAIL, codes.NOTIMP)
_ECS_SCOPE_AT = OPTION_HEADER_BYTES + 3  # after family, source prefix, scope prefix, address (RFC 7871 §6)


class EntryKind(enum.Enum):
    """The kinds of replies, as a cache distinguishes them."""

    POSITIVE = "positive"  # answers the question; or NOERROR with neither answer nor SOA, such as a referral
    NEGATIVE = "negative"  # NXDOMAIN or NODATA, with its SOA (RFC 2308)
    FAILURE = "failure"  # SERVFAIL, NOTIMP
    NOT_CACHED = "not cached"


def kind_of(query: Query, reply: Reply) -> EntryKind:
    """Return the kind of a reply, by its rcode, its answer and its SOA."""
    if reply.rcode == codes.NOERROR and reply.answer and _answers(query.name, query.qtype, reply.answer):
        return EntryKind.POSITIVE
    has_soa = any(one.rtype == codes.SOA for one in reply.authority)
    if reply.rcode == codes.NOERROR:
        if has_soa:
            return EntryKind.NEGATIVE
        return EntryKind.NOT_CACHED if reply.answer else EntryKind.POSITIVE
    if reply.rcode == codes.NXDOMAIN:
        return EntryKind.NEGATIVE if has_soa and not reply.answer else EntryKind.NOT_CACHED
    return EntryKind.FAILURE if reply.rcode in _FAILURES and reply.is_written else EntryKind.NOT_CACHED


def _answers(name: bytes, qtype: int, answer: Sequence[Record]) -> bool:
    """Return whether an answer section has a record of the type, at the name or at the end of its CNAME chain.

    A name with two CNAME targets and a loop have no such end.
    """
    if qtype == codes.ANY or (qtype != codes.CNAME and {one.rtype for one in answer} == {qtype}):
        return name in {one.name for one in answer}  # without a CNAME
    owners = {one.name for one in answer if one.rtype == qtype}
    targets: dict[bytes, set[bytes]] = {}
    for one in answer:
        if one.rtype == codes.CNAME:
            targets.setdefault(one.name, set()).add(one.rdata.lower())
    if qtype == codes.CNAME:
        return len(targets.get(name, ())) == 1
    for _ in range(len(targets) + 1):
        if name not in targets:
            return name in owners
        if len(targets[name]) > 1:
            return False
        (name,) = targets[name]
    return False


def ttl_of(reply: Reply, kind: EntryKind, limits: StoreSettings, failure_seconds: int) -> int:
    """Return the TTL of a reply, in seconds, which all its records get; 0: it is not cached."""
    if kind is EntryKind.FAILURE:
        return failure_seconds
    # big-endian bytes sort like the numbers
    ttls = {body[4:8] for body in map(body_of, chain(reply.answer, reply.authority, reply.additional))}
    if kind is EntryKind.POSITIVE and reply.answer:
        return limits.clamp(int.from_bytes(min(ttls), "big"))
    if kind is EntryKind.NEGATIVE:
        ttls.update([one.body[-4:] for one in reply.authority if one.rtype == codes.SOA])
    is_referral = kind is EntryKind.POSITIVE
    is_other = kind is EntryKind.NOT_CACHED and reply.rcode != codes.NOERROR
    if not ttls or is_referral or is_other:
        return limits.clamp(DEFAULT_TTL_SECONDS)
    return limits.clamp(int.from_bytes(min(ttls), "big"))


def with_ttl(records: Sequence[Record], ttl: int) -> Sequence[Record]:
    """Return the records with this TTL; many that are one run as such, whose TTL is written only once."""
    if not records:
        return ()
    run = as_run(records, ttl)
    if type(run) is RecordRun:
        return run if run.ttl == ttl else run.with_ttl(ttl)
    if {body[4:8] for body in map(body_of, records)} == {ttl.to_bytes(4, "big")}:  # as of most new replies
        return tuple(records)
    return all_with_ttl(records, ttl)


def has_signature_out_of_time(reply: Reply, unix_seconds: int) -> bool:
    """Return whether an RRSIG has expired or is not valid yet (RFC 4034 §3.1.5; times wrap at 32 bits)."""
    for one in chain(reply.answer, reply.authority, reply.additional):
        if one.rtype == codes.RRSIG:
            expiration, inception = one.body[18:22], one.body[22:26]
            until_seconds = (int.from_bytes(expiration, "big") - unix_seconds) & 0xFFFFFFFF
            since_seconds = (unix_seconds - int.from_bytes(inception, "big")) & 0xFFFFFFFF
            if until_seconds > 0x7FFFFFFF or since_seconds > 0x7FFFFFFF:
                return True
    return False


def is_for_all_clients(query: Query, reply: Reply) -> bool:
    """Return whether a reply is for all clients, not only for the network in an ECS option (RFC 7871 §7.3).

    If the query has ECS, the reply must confirm it by scope 0: an upstream may use ECS without returning it.
    """
    if not reply.options:
        return not has_client_subnet(query)
    scopes = [whole[_ECS_SCOPE_AT : _ECS_SCOPE_AT + 1] for code, whole in iter_options(reply.options)
              if code == codes.ECS]  # fmt: skip
    if not scopes:
        return not has_client_subnet(query)
    return all(scope == b"\0" for scope in scopes)


def has_client_subnet(query: Query) -> bool:
    """Return whether the query has an ECS option."""
    return bool(query.options) and any(code == codes.ECS for code, _ in iter_options(query.options))


def options_to_keep(options: bytes) -> bytes:
    """Return the EDNS options of a reply that other clients may get: extended errors, but no cookies."""
    return extended_errors(options)
