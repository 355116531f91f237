"""Which names exist, and what a negative answer has: RFC 1034, 2308, 8020, 8482 and 3597.

A name exists for all types or for none, and also where only names below it have records. A resolver that caches a wrong
NXDOMAIN takes all names below it for absent.
"""

from clusterdns.cli.conform.case import MUST, SHOULD, Ask, Collector
from clusterdns.cli.conform.cases.roles import ZoneRoles
from clusterdns.cli.conform.expect import exists, holds, is_negative_of, nodata, nxdomain
from clusterdns.cli.conform.reply import WireReply
from clusterdns.wire.codes import SOA

NEVER = ("TXT", "MX", "NS", "SOA", "PTR", "CAA", "HTTPS", "NAPTR", "DS", "HINFO", "TYPE65280")  # types without records
AT_VERSION = ("A", "AAAA", "SRV", "MX", "NS", "SOA")
ABSENT_TYPES = ("A", "AAAA", "TXT", "SRV", "MX", "NS", "SOA", "PTR", "CNAME", "HTTPS", "TYPE65280")
MAX_NEGATIVE_SECONDS = 10_800


def add_rows(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows."""
    _existing(row, roles)
    _absent(row, roles)
    _between(row, roles)
    _negative(row, roles)
    _any(row, roles)


def _existing(row: Collector, roles: ZoneRoles) -> None:
    """Add a row for each kind of name and type that it has no records of."""
    kinds = {
        "service": (roles.name("service"), NEVER),
        "headless": (roles.name("headless"), NEVER),
        "host": (roles.host(), NEVER),
        "port": (roles.srv_name("ported"), NEVER),
        "version": (roles.under("dns-version"), AT_VERSION),
    }
    for kind, (name, types) in kinds.items():
        for qtype in types:
            row(f"{kind}-{qtype}", "RFC 2308 §2.2", MUST, f"a name of kind {kind} exists, without {qtype}: NODATA",
                Ask(name, qtype), nodata)  # fmt: skip
    row("service-AAAA", "RFC 2308 §2.2", MUST, "an IPv4-only Service exists, without AAAA: NODATA",
        Ask(roles.name("single"), "AAAA"), nodata)  # fmt: skip


def _absent(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of names that do not exist."""
    namespace = roles.namespace()
    absent = roles.under("no-such-service", namespace, "svc")
    for qtype in ABSENT_TYPES:
        row(f"service-{qtype}", "RFC 2308 §2.1", MUST, f"a Service that does not exist is NXDOMAIN for {qtype}",
            Ask(absent, qtype), nxdomain)  # fmt: skip
    names = {
        "namespace": roles.under("web", "no-such-namespace", "svc"),
        "namespace-itself": roles.under("no-such-namespace", "svc"),
        "top": roles.under("no-such-name"),
        "below-version": roles.under("below", "dns-version"),
        "asterisk": roles.under("*", namespace, "svc"),
        "asterisk-namespace": roles.under("web", "*", "svc"),
    }
    for kind, name in names.items():
        for qtype in ("A", "TXT"):
            row(f"{kind}-{qtype}", "RFC 2308 §2.1", MUST, f"an absent name ({kind}) is NXDOMAIN for {qtype}",
                Ask(name, qtype), nxdomain)  # fmt: skip
    long_name = ".".join(["a" * 63] * 3)
    rest = 253 - len(long_name) - 1 - len(roles.zone.rstrip(".")) - 1
    for kind, name in {
        "63-octets": roles.under("a" * 63, namespace, "svc"),
        "255-octets": roles.under(*(["b" * rest] if rest > 0 else []), long_name),
    }.items():
        row(kind, "RFC 1035 §2.3.4", MUST, f"a name with {kind} is answered", Ask(name), nxdomain)
    for kind, label in {"zero": "\\000", "dot": "a\\046b", "high": "\\200\\255", "blank": "a\\032b"}.items():
        row(f"label-{kind}", "RFC 2181 §11", MUST, f"a label may have any byte ({kind})",
            Ask(roles.under(label, namespace, "svc")), nxdomain)  # fmt: skip


def _between(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of names that have no records, but names below them."""
    names = {
        "svc": roles.under("svc"),
        "namespace": roles.under(roles.namespace(), "svc"),
        "tcp": roles.name("ported", "_tcp"),
        "headless-tcp": roles.name("headless", "_tcp"),
        "zone": roles.zone,
    }
    for kind, name in names.items():
        for qtype in ("A", "AAAA", "TXT", "MX"):
            row(f"{kind}-{qtype}", "RFC 8020 §2", MUST, f"names exist below this one ({kind}): not NXDOMAIN",
                Ask(name, qtype), exists)  # fmt: skip


def _negative(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of what negative answers have."""
    namespace = roles.namespace()
    negative = {
        "nodata": Ask(roles.name("service"), "TXT"),
        "nodata-headless": Ask(roles.name("headless"), "MX"),
        "nodata-port": Ask(roles.srv_name("ported"), "TXT"),
        "nodata-zone": Ask(roles.zone, "TXT"),
        "nxdomain": Ask(roles.under("no-such-service", namespace, "svc")),
        "nxdomain-namespace": Ask(roles.under("web", "no-such-namespace", "svc")),
        "nxdomain-top": Ask(roles.under("no-such-name"), "AAAA"),
        "nxdomain-port": Ask(roles.name("service", "_no-such", "_tcp"), "SRV"),
    }
    for kind, ask in negative.items():
        row(f"soa-{kind}", "RFC 2308 §3", MUST, f"a negative answer has the zone's SOA ({kind})", ask,
            is_negative_of(roles.zone))  # fmt: skip
    for kind in ("nodata", "nxdomain"):
        row(f"ttl-{kind}", "RFC 2308 §3", MUST, f"the SOA's TTL is at most its MINIMUM ({kind})", negative[kind],
            holds("a TTL of at most MINIMUM", _has_minimum_ttl, _soa_ttl))  # fmt: skip
        row(f"short-{kind}", "RFC 2308 §5", SHOULD, f"a negative answer is cached for 3 hours at most ({kind})",
            negative[kind], holds("a TTL of at most 10800", _has_short_ttl, _soa_ttl))  # fmt: skip
        row(f"no-answer-{kind}", "RFC 2308 §2", MUST, f"a negative answer has no records in the answer ({kind})",
            negative[kind], holds("an empty answer", lambda reply: not reply.of("answer")))  # fmt: skip


def _soas(reply: WireReply) -> list[tuple[int, int]]:
    """Return the TTL and MINIMUM of each SOA in the authority section."""
    return [(one.ttl, int(one.data.split()[-1])) for one in reply.of("authority", SOA)]


def _has_minimum_ttl(reply: WireReply) -> bool:
    found = _soas(reply)
    return bool(found) and all(ttl <= minimum for ttl, minimum in found)


def _has_short_ttl(reply: WireReply) -> bool:
    found = _soas(reply)
    return bool(found) and all(min(pair) <= MAX_NEGATIVE_SECONDS for pair in found)


def _soa_ttl(reply: WireReply) -> str:
    return ", ".join(f"TTL {ttl} and MINIMUM {minimum}" for ttl, minimum in _soas(reply)) or "no SOA"


def _any(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of QTYPE ANY."""
    row("any", "RFC 8482 §4", MUST, "ANY of an existing name has at least one record of it",
        Ask(roles.name("service"), "ANY", "tcp"),
        holds("NOERROR with a record", lambda reply: reply.rcode == "NOERROR" and reply.of("answer")))  # fmt: skip
    row("any-absent", "RFC 8482 §4", MUST, "ANY of an absent name is NXDOMAIN",
        Ask(roles.under("no-such-service", roles.namespace(), "svc"), "ANY"), nxdomain)  # fmt: skip
    row("any-small", "RFC 8482 §4", SHOULD, "ANY over UDP fits into 512 bytes",
        Ask(roles.name("large"), "ANY"), holds("at most 512 bytes", lambda reply: len(reply.wire) <= 512))  # fmt: skip
