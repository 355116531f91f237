"""What `cache` may keep of a reply, as what, and for how long: rules alone, without a store or a clock.

They are CoreDNS's, but for the time that a denial holds: the SOA's MINIMUM has a say in it (RFC 2308 §5).
"""

import enum
from collections.abc import Sequence
from itertools import chain

from clusterdns.chain import Query, Reply
from clusterdns.plugins.cache.settings import Share
from clusterdns.wire import codes
from clusterdns.wire.edns import OPTION_HEADER_BYTES, iter_options
from clusterdns.wire.record import Record

DEFAULT_TTL_SECONDS = 5  # of what has no records, or is no answer

_FAILURES = (codes.SERVFAIL, codes.NOTIMP)
_ECS_SCOPE_AT = OPTION_HEADER_BYTES + 3  # after family, source prefix, scope prefix, address (RFC 7871 §6)


class Kind(enum.Enum):
    """What a reply is to a cache."""

    ANSWER = "answer"  # leads to what was asked; or says nothing at all, not even no
    DENIAL = "denial"  # NXDOMAIN or NODATA, with the SOA that says for how long
    FAILURE = "failure"  # SERVFAIL, NOTIMP
    OTHER = "other"  # never kept


def kind_of(query: Query, reply: Reply) -> Kind:
    """What a reply is, by its code, whether its answer leads to what was asked, and whether it has an SOA."""
    if reply.rcode == codes.NOERROR and reply.answer and _leads_to(query.name, query.qtype, reply.answer):
        return Kind.ANSWER
    has_soa = any(one.rtype == codes.SOA for one in reply.authority)
    if reply.rcode == codes.NOERROR:
        if has_soa:
            return Kind.DENIAL
        return Kind.OTHER if reply.answer else Kind.ANSWER
    if reply.rcode == codes.NXDOMAIN:
        return Kind.DENIAL if has_soa and not reply.answer else Kind.OTHER
    return Kind.FAILURE if reply.rcode in _FAILURES and reply.is_written else Kind.OTHER


def _leads_to(name: bytes, qtype: int, answer: Sequence[Record]) -> bool:
    """Whether the answer has a record of the type, at the name or where its aliases lead.

    Aliases are followed before records count: of a name with two targets, or in a ring, nobody knows what is meant.
    """
    if qtype == codes.ANY or (qtype != codes.CNAME and {one.rtype for one in answer} == {qtype}):
        return name in {one.name for one in answer}  # no aliases to follow
    dependencies = {one.name for one in answer if one.rtype == qtype}
    targets: dict[bytes, set[bytes]] = {}
    for one in answer:
        if one.rtype == codes.CNAME:
            targets.setdefault(one.name, set()).add(one.rdata.lower())
    if qtype == codes.CNAME:
        return len(targets.get(name, ())) == 1
    for _ in range(len(targets) + 1):
        if name not in targets:
            return name in dependencies
        if len(targets[name]) > 1:
            return False
        (name,) = targets[name]
    return False


def ttl_of(reply: Reply, kind: Kind, share: Share, failure_seconds: int) -> int:
    """For how many seconds a reply holds: the TTL that all its records get. 0: not at all."""
    if kind is Kind.FAILURE:
        return failure_seconds
    # as on the wire, where the least comes first as well
    ttls = [one.body[4:8] for one in (*reply.answer, *reply.authority, *reply.additional)]
    if kind is Kind.ANSWER and reply.answer:
        return share.bounded(int.from_bytes(min(ttls), "big"))
    if kind is Kind.DENIAL:
        ttls += [one.body[-4:] for one in reply.authority if one.rtype == codes.SOA]
    is_referral = kind is Kind.ANSWER
    is_other = kind is Kind.OTHER and reply.rcode != codes.NOERROR
    if not ttls or is_referral or is_other:
        return share.bounded(DEFAULT_TTL_SECONDS)
    return share.bounded(int.from_bytes(min(ttls), "big"))


def with_ttl(records: Sequence[Record], ttl: int) -> tuple[Record, ...]:
    """The records with one TTL."""
    if not records:
        return ()
    wire = ttl.to_bytes(4, "big")
    return tuple([Record(name, rtype, body[:4] + wire + body[8:]) for name, rtype, body in records])


def has_expired_signatures(reply: Reply, unix_seconds: int) -> bool:
    """Whether one of the signatures does not hold now (RFC 4034 §3.1.5; times wrap at 32 bits)."""
    for one in chain(reply.answer, reply.authority, reply.additional):
        if one.rtype == codes.RRSIG:
            expiration, inception = one.body[18:22], one.body[22:26]
            until_seconds = (int.from_bytes(expiration, "big") - unix_seconds) & 0xFFFFFFFF
            since_seconds = (unix_seconds - int.from_bytes(inception, "big")) & 0xFFFFFFFF
            if until_seconds > 0x7FFFFFFF or since_seconds > 0x7FFFFFFF:
                return True
    return False


def is_for_everyone(query: Query, reply: Reply) -> bool:
    """Whether a reply holds for all clients, not only for the network that an ECS option names (RFC 7871 §7.3).

    A question that named a network needs a reply that says so; silence may be an upstream that keeps it to itself.
    """
    if not reply.options:
        return not names_network(query)
    scopes = [whole[_ECS_SCOPE_AT : _ECS_SCOPE_AT + 1] for code, whole in iter_options(reply.options)
              if code == codes.ECS]  # fmt: skip
    if not scopes:
        return not names_network(query)
    return all(scope == b"\0" for scope in scopes)


def names_network(query: Query) -> bool:
    """Whether the client's query has an ECS option."""
    return bool(query.options) and any(code == codes.ECS for code, _ in iter_options(query.options))


def kept_options(options: bytes) -> bytes:
    """What may be given to other clients of a reply's EDNS options: why it is so, and no cookies or the like."""
    if not options:
        return options
    return b"".join([whole for code, whole in iter_options(options) if code == codes.EDE])
