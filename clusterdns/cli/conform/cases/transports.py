"""TCP: RFC 7766 and 1035; and that both transports give the same answers."""

from collections.abc import Callable

from clusterdns.cli.conform.case import MAY, MUST, SHOULD, TCP, Ask, Check, Collector, EdnsFields, Transcript, Way
from clusterdns.cli.conform.cases.roles import ZoneRoles
from clusterdns.cli.conform.expect import holds, rrset, same
from clusterdns.cli.conform.reply import WireReply


def add_rows(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows."""
    _same(row, roles)
    _connections(row, roles)
    _large(row, roles)


def _kinds(roles: ZoneRoles, transport: str) -> dict[str, Ask]:
    return {
        "A": Ask(roles.name("service"), "A", transport),
        "headless": Ask(roles.name("headless"), "A", transport),
        "SRV": Ask(roles.srv_name("ported"), "SRV", transport),
        "TXT": Ask(roles.under("dns-version"), "TXT", transport),
        "CNAME": Ask(roles.name("outside"), "CNAME", transport),
        "NODATA": Ask(roles.name("service"), "TXT", transport),
        "NXDOMAIN": Ask(roles.under("no-such-service", roles.namespace(), "svc"), "A", transport),
    }


def _content(reply: WireReply) -> object:
    return reply.rcode, sorted(one.text for one in reply.of("answer"))


def _same(row: Collector, roles: ZoneRoles) -> None:
    for kind, ask in _kinds(roles, "udp").items():
        row(f"same-{kind}", "RFC 7766 §5", MUST, f"TCP gives the answer that UDP gives ({kind})",
            (ask, _kinds(roles, TCP)[kind]), same("answer", _content))  # fmt: skip


def _connections(row: Collector, roles: ZoneRoles) -> None:
    ask = Ask(roles.name("service"), "A", TCP)
    answer = rrset(*roles.addresses("service"))
    several = tuple(_kinds(roles, TCP).values())
    row("one-connection", "RFC 7766 §6.2.1", SHOULD, "a connection takes several queries, one after the other",
        several, first_is(answer), way=Way.ONE_CONNECTION)  # fmt: skip
    row("pipelined", "RFC 7766 §6.2.1.1", MUST, "queries that are sent without waiting are all answered",
        several, first_is(answer), way=Way.PIPELINED)  # fmt: skip
    row("pipelined-many", "RFC 7766 §6.2.1.1", MUST, "twenty queries at once are all answered", (ask,) * 20,
        each_is(answer), way=Way.PIPELINED)  # fmt: skip
    row("split", "RFC 7766 §8", MUST, "a query may come byte by byte", ask, answer, way=Way.SPLIT)
    row("split-several", "RFC 7766 §8", MUST, "two queries may come byte by byte", (ask, ask), each_is(answer),
        way=Way.SPLIT)  # fmt: skip
    row("half-closed", "RFC 1035 §4.2.2", MAY, "a client that has closed its side gets its answer", ask,
        answer, way=Way.HALF_CLOSED)  # fmt: skip
    spoiled: dict[str, Callable[[bytes], bytes]] = {
        "garbage": lambda _: bytes(range(0x30, 0x90)),
        "empty": lambda _: b"",
        "header": lambda packet: packet[:12],
    }
    for kind, alter in spoiled.items():
        row(f"survives-{kind}", "RFC 7766 §8", MUST, f"the server answers after such a message over TCP ({kind})",
            Ask(ask.name, "A", TCP, alter=alter), way=Way.SURVIVES)  # fmt: skip


def first_is(check: Check) -> Check:
    """Expect something of the first reply; the others must have come."""
    return lambda seen: check(Transcript(seen.asked[:1], seen.replies[:1]))


def each_is(check: Check) -> Check:
    """Expect the same of each reply."""

    def check_each(seen: Transcript) -> str:
        pairs = zip(seen.asked, seen.replies, strict=True)
        return next((problem for ask, reply in pairs if (problem := check(Transcript([ask], [reply])))), "")

    return check_each


def _large(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of answers that only TCP carries."""
    name, addresses = roles.name("large"), roles.addresses("large")
    row("large-A", "RFC 7766 §5", MUST, "a large RRset is whole over TCP", Ask(name, "A", TCP),
        rrset(*addresses))  # fmt: skip
    row("large-SRV", "RFC 7766 §5", MUST, "a large SRV RRset is whole over TCP",
        Ask(roles.srv_name("large"), "SRV", TCP),
        holds("all records", lambda reply: len(reply.of("answer")) >= len(addresses)))  # fmt: skip
    row("large-512", "RFC 6891 §6.2.3", MUST, "the size in OPT does not limit replies over TCP",
        Ask(name, "A", TCP, EdnsFields(512)), rrset(*addresses))  # fmt: skip
    row("large-split", "RFC 7766 §8", MUST, "a large answer follows a query that came byte by byte",
        Ask(name, "A", TCP), rrset(*addresses), way=Way.SPLIT)  # fmt: skip
    row("large-pipelined", "RFC 7766 §6.2.1.1", MUST, "four large answers come over one connection",
        (Ask(name, "A", TCP),) * 4, each_is(rrset(*addresses)), way=Way.PIPELINED)  # fmt: skip
