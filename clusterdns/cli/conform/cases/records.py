"""What records and RRsets are like: RFC 1034, 1035, 2181, 2782, 3596, 3597 and 9471; the zone's SOA and NS records."""

from collections.abc import Collection

from clusterdns.cli.conform.case import MAY, MUST, SHOULD, Ask, Check, Collector, Transcript
from clusterdns.cli.conform.cases.roles import ZoneRoles
from clusterdns.cli.conform.expect import each_record, has, holds, rrset, same, wrong
from clusterdns.cli.conform.reply import WireReply
from clusterdns.wire.codes import CNAME, NS, OPT, SOA

MAX_TTL = 0x7FFF_FFFF
DAY_SECONDS = 86_400


def add_rows(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows."""
    _sets(row, roles)
    _cnames(row, roles)
    _apex(row, roles)
    _authority(row, roles)
    _bytes(row, roles)


def _sets(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of RRsets: one TTL, no duplicates, all records or TC."""
    asks = {
        "A": Ask(roles.name("headless")),
        "SRV": Ask(roles.srv_name("headless"), "SRV"),
        "large-A": Ask(roles.name("large"), "A", "tcp"),
        "large-SRV": Ask(roles.srv_name("large"), "SRV", "tcp"),
    }
    for kind, ask in asks.items():
        row(f"ttl-{kind}", "RFC 2181 §5.2", MUST, f"the records of an RRset have one TTL ({kind})", ask,
            holds("one TTL", _has_one_ttl))  # fmt: skip
        row(f"once-{kind}", "RFC 2181 §5", MUST, f"no record is in an RRset twice ({kind})", ask,
            holds("different records", _has_no_twins))  # fmt: skip
    for kind, ask in {"A": Ask(roles.name("service")), "SRV": Ask(roles.srv_name("ported"), "SRV"),
                      "SOA": Ask(roles.zone, "SOA")}.items():  # fmt: skip
        row(f"range-{kind}", "RFC 2181 §8", MUST, f"a TTL has 31 bits ({kind})", ask,
            each_record("a TTL of at most 2147483647", lambda one: one.ttl <= MAX_TTL))  # fmt: skip
        row(f"day-{kind}", "RFC 1912 §2.2", MAY, f"a TTL of a cluster is a day at most ({kind})", ask,
            each_record("a TTL of at most 86400", lambda one: one.ttl <= DAY_SECONDS))  # fmt: skip


def _has_one_ttl(reply: WireReply) -> bool:
    return len({one.ttl for one in reply.of("answer")}) == 1


def _has_no_twins(reply: WireReply) -> bool:
    found = [(one.owner.folded, one.text) for one in reply.of("answer")]
    return bool(found) and len(found) == len(set(found))


def _cnames(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of CNAMEs."""
    for qtype in ("A", "AAAA", "TXT", "SRV", "MX", "HTTPS", "NS", "TYPE65280"):
        row(f"cname-{qtype}", "RFC 1034 §3.6.2", MUST, f"a CNAME answers questions of every type ({qtype})",
            Ask(roles.name("outside"), qtype),
            holds("a CNAME", lambda reply: len(reply.of("answer", CNAME)) >= 1))  # fmt: skip
    row("cname-one", "RFC 2181 §10.1", MUST, "a name has one CNAME", Ask(roles.name("outside"), "CNAME"),
        holds("one CNAME", lambda reply: len(reply.of("answer", CNAME)) == 1))  # fmt: skip
    row("cname-alone", "RFC 1034 §3.6.2", MUST, "a name with a CNAME has no other records",
        Ask(roles.name("inside")), _has_cname_alone)  # fmt: skip
    row("cname-followed", "RFC 1034 §4.3.2", MUST, "a CNAME within the zone is followed in the answer",
        Ask(roles.name("inside")), has(*roles.target_addresses()))  # fmt: skip
    row("cname-only", "RFC 1034 §4.3.2", MUST, "a question for CNAME is not followed",
        Ask(roles.name("inside"), "CNAME"),
        holds("one record", lambda reply: len(reply.of("answer")) == 1))  # fmt: skip


def _has_cname_alone(seen: Transcript) -> str:
    at_name = [one for one in seen.reply.of("answer") if one.owner.folded == seen.ask.name.lower()]
    is_alone = [one.rtype for one in at_name] == [CNAME]
    return "" if is_alone else wrong("one CNAME at the name", ", ".join(one.text for one in at_name) or "nothing")


def _apex(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of the zone's own records."""
    soa, own = Ask(roles.zone, "SOA"), [roles.zone.lower()]
    row("soa", "RFC 1035 §3.3.13", MUST, "the zone has one SOA record", soa,
        holds("one SOA", lambda reply: [one.owner.folded for one in reply.of("answer")] == own))  # fmt: skip
    row("soa-same", "RFC 1034 §4.3.5", SHOULD, "the SOA's names and times are the same over UDP and TCP",
        (soa, Ask(roles.zone, "SOA", "tcp")),
        same("SOA without serial", _soas_without_serial))  # fmt: skip
    row("soa-serial", "RFC 1982 §7", MUST, "the serial does not go back", (soa, soa), _serials_rise)
    ns = Ask(roles.zone, "NS")
    row("ns", "RFC 1034 §4.2.1", MUST, "the zone has an NS record", ns,
        each_record("a name", lambda one: one.data != "."))  # fmt: skip
    row("ns-owner", "RFC 1034 §4.2.1", MUST, "the NS records are the zone's", ns,
        each_record(f"records of {roles.zone}", lambda one: one.owner.folded == roles.zone.lower()))  # fmt: skip
    row("ns-no-cname", "RFC 2181 §10.3", MUST, "the zone's name has no CNAME", Ask(roles.zone, "CNAME"),
        holds("no CNAME", lambda reply: not reply.of("answer")))  # fmt: skip


def _soas_without_serial(reply: WireReply) -> list[str]:
    found = [one.data.split() for one in reply.of("answer", SOA)]
    return [" ".join(words[:2] + words[3:]) for words in found]


def _serials_rise(seen: Transcript) -> str:
    serials = [int(one.data.split()[2]) for reply in seen.replies for one in reply.of("answer", SOA)]
    if len(serials) == 2 and (serials[1] - serials[0]) % 2**32 < 2**31:
        return ""
    return wrong("a serial that stays or rises", str(serials))


def _authority(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of AA, which says that the answer is the zone's own."""
    asks = {
        "A": Ask(roles.name("service")),
        "SRV": Ask(roles.srv_name("ported"), "SRV"),
        "SOA": Ask(roles.zone, "SOA"),
        "NS": Ask(roles.zone, "NS"),
        "TXT": Ask(roles.under("dns-version"), "TXT"),
        "CNAME": Ask(roles.name("outside"), "CNAME"),
        "NODATA": Ask(roles.name("service"), "MX"),
        "NXDOMAIN": Ask(roles.under("no-such-service", roles.namespace(), "svc")),
    }
    for kind, ask in asks.items():
        row(f"aa-{kind}", "RFC 1035 §4.1.1", MUST, f"an answer of the zone has AA ({kind})", ask,
            holds("AA", lambda reply: reply.flags & 0x0400, lambda reply: f"no AA, {reply.summary}"))  # fmt: skip


def _bytes(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of names within records, which only the bytes show."""
    for kind, role in {"service": "ported", "headless": "headless", "large": "large"}.items():
        row(f"srv-target-{kind}", "RFC 2782", MUST, f"an SRV target is not compressed ({kind})",
            Ask(roles.srv_name(role), "SRV", "tcp"),
            each_record("whole targets", lambda one: all(name.pointer_at < 0 for name in one.names)))  # fmt: skip
    row("compressed", "RFC 1035 §4.1.4", MAY, "owner names are compressed, so that messages stay small",
        Ask(roles.name("large"), "A", "tcp"),
        each_record("a compressed owner", lambda one: one.owner.pointer_at >= 0))  # fmt: skip
    row("additional-class", "RFC 1035 §3.2.4", MUST, "every record of an answer has the class of the question",
        Ask(roles.srv_name("ported"), "SRV"),
        holds("class IN", lambda reply: all(one.rclass == 1 for one in reply.records)))  # fmt: skip
    for kind, role in {"service": "ported", "headless": "headless"}.items():
        row(f"additional-{kind}", "RFC 2782", MUST, f"additional addresses, if any, are those of SRV targets ({kind})",
            Ask(roles.srv_name(role), "SRV"), additional_among(roles.all_addresses(role)))  # fmt: skip
    row("ns-glue", "RFC 9471 §2.1", SHOULD, "the name server of the zone, where it is in it, has an address",
        Ask(roles.zone, "NS"), holds("an address in the additional section", _has_glue))  # fmt: skip
    row("aaaa", "RFC 3596 §2.2", MUST, "AAAA is 16 bytes", Ask(roles.name("dual"), "AAAA"),
        each_record("16 bytes", lambda one: len(one.content) == 16))  # fmt: skip
    row("a-only", "RFC 3596 §3", MUST, "a question for A has no AAAA in the answer", Ask(roles.name("dual"), "A"),
        rrset(rtype="AAAA"))  # fmt: skip


def additional_among(addresses: Collection[str]) -> Check:
    """Expect no additional records but these addresses of SRV targets."""

    def check(seen: Transcript) -> str:
        targets = {one.names[0].folded for one in seen.reply.of("answer") if one.names}
        others = [
            f"{one.owner.text} {one.text}"
            for one in seen.reply.of("additional")
            if one.rtype != OPT and (one.owner.folded not in targets or one.data not in addresses)
        ]
        return wrong("additional records of the targets only", ", ".join(others[:3])) if others else ""

    return check


def _has_glue(reply: WireReply) -> bool:
    servers = {one.data for one in reply.of("answer", NS)}
    own = {name for name in servers if name.endswith("." + reply.of("answer")[0].owner.folded)} if servers else set()
    return own <= {one.owner.folded for one in reply.of("additional")} and bool(servers)
