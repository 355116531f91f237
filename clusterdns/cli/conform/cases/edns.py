"""EDNS: RFC 6891, 3225, 5001, 7828, 7830, 7871, 7873 and 8906; the sizes of replies over UDP, and truncation."""

from collections.abc import Callable

from clusterdns.cli.conform.case import MAY, MUST, SHOULD, Ask, Check, Collector, EdnsFields, Level
from clusterdns.cli.conform.cases.roles import ZoneRoles
from clusterdns.cli.conform.expect import DO, holds, rcode, rrset
from clusterdns.cli.conform.reply import WireReply

NSID, ECS, COOKIE, KEEPALIVE, PADDING, UNKNOWN = 3, 8, 10, 11, 12, 65_001
OPT_SIZE = 11
SUBNET = b"\0\1\x18\0\xc0\0\2"  # 192.0.2.0/24


def add_rows(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows."""
    _presence(row, roles)
    _versions(row, roles)
    _options(row, roles)
    _broken(row, roles)
    _sizes(row, roles)


def opt(what: str, test: Callable[[WireReply], object]) -> Check:
    """Expect one OPT of the reply, and something of it."""
    return holds(what, lambda reply: len(reply.opts) == 1 and test(reply), _describe)


def _describe(reply: WireReply) -> str:
    if not reply.opts:
        return f"no OPT, {reply.rcode}"
    one = reply.opts[0]
    return f"{len(reply.opts)} OPT, version {one.ttl >> 16 & 255}, flags 0x{one.ttl & 0xFFFF:04x}, {reply.rcode}"


def option_of(reply: WireReply, code: int) -> bytes | None:
    """Return the content of an option of the reply."""
    content = reply.opts[0].content if reply.opts else b""
    at = 0
    while at + 4 <= len(content):
        size = int.from_bytes(content[at + 2 : at + 4], "big")
        if int.from_bytes(content[at : at + 2], "big") == code:
            return content[at + 4 : at + 4 + size]
        at += 4 + size
    return None


def _asks(roles: ZoneRoles, edns: EdnsFields | None) -> dict[str, Ask]:
    """Return a question of each kind of answer."""
    return {
        "A": Ask(roles.name("service"), edns=edns),
        "SRV": Ask(roles.srv_name("ported"), "SRV", edns=edns),
        "NODATA": Ask(roles.name("service"), "TXT", edns=edns),
        "NXDOMAIN": Ask(roles.under("no-such-service", roles.namespace(), "svc"), edns=edns),
        "SOA": Ask(roles.zone, "SOA", edns=edns),
        "tcp": Ask(roles.name("service"), "A", "tcp", edns),
    }


def _presence(row: Collector, roles: ZoneRoles) -> None:
    for kind, ask in _asks(roles, None).items():
        row(f"none-{kind}", "RFC 6891 §7", MUST, f"a query without OPT has a reply without one ({kind})", ask,
            holds("no OPT", lambda reply: not reply.opts, _describe))  # fmt: skip
    for kind, ask in _asks(roles, EdnsFields()).items():
        row(f"one-{kind}", "RFC 6891 §6.1.1", MUST, f"a query with OPT has a reply with one ({kind})", ask,
            opt("one OPT", lambda reply: True))  # fmt: skip
    for kind, ask in _asks(roles, EdnsFields(flags=DO)).items():
        row(f"do-{kind}", "RFC 3225 §3", MUST, f"DO is copied ({kind})", ask,
            opt("DO set", lambda reply: reply.opts[0].ttl & DO))  # fmt: skip
    for kind in ("A", "NXDOMAIN"):
        row(f"no-do-{kind}", "RFC 3225 §3", MUST, f"DO stays clear ({kind})", _asks(roles, EdnsFields())[kind],
            opt("DO clear", lambda reply: not reply.opts[0].ttl & DO))  # fmt: skip
    plain = Ask(roles.name("service"), edns=EdnsFields(flags=0x7FFF))
    row("flags-answered", "RFC 8906 §3.2.4", MUST, "reserved EDNS flags do not prevent an answer", plain,
        rrset(*roles.addresses("service")))  # fmt: skip
    row("flags-clear", "RFC 6891 §6.1.4", SHOULD, "reserved EDNS flags are zero in replies", plain,
        opt("flags clear", lambda reply: not reply.opts[0].ttl & 0x7FFF))  # fmt: skip
    row("root", "RFC 6891 §6.1.2", MUST, "the owner of OPT is the root", _asks(roles, EdnsFields())["A"],
        opt("the root", lambda reply: not reply.opts[0].owner.labels))  # fmt: skip
    row("size", "RFC 6891 §6.2.3", SHOULD, "the reply's OPT has a size of 512 at least",
        _asks(roles, EdnsFields())["A"], opt("512 or more", lambda reply: reply.opts[0].rclass >= 512))  # fmt: skip
    row("version-0", "RFC 6891 §6.1.3", MUST, "the reply's OPT has version 0", _asks(roles, EdnsFields())["A"],
        opt("version 0", lambda reply: not reply.opts[0].ttl >> 16 & 255))  # fmt: skip


def _versions(row: Collector, roles: ZoneRoles) -> None:
    for version in (1, 100, 255):
        for kind in ("A", "NXDOMAIN", "tcp"):
            ask = _asks(roles, EdnsFields(version=version))[kind]
            row(f"badvers-{version}-{kind}", "RFC 6891 §6.1.3", MUST, f"EDNS version {version} is BADVERS ({kind})",
                ask, rcode("BADVERS"))  # fmt: skip
    ask = _asks(roles, EdnsFields(version=1))["A"]
    row("badvers-version", "RFC 6891 §6.1.3", MUST, "BADVERS has the highest version that is supported", ask,
        opt("version 0", lambda reply: not reply.opts[0].ttl >> 16 & 255))  # fmt: skip
    row("badvers-empty", "RFC 8906 §3.2.2", SHOULD, "BADVERS has no answer", ask,
        holds("no answer", lambda reply: not reply.of("answer")))  # fmt: skip
    row("badvers-option", "RFC 6891 §6.1.3", MUST, "an unknown option does not change BADVERS",
        Ask(roles.name("service"), edns=EdnsFields(version=1, options=((UNKNOWN, b"x"),))),
        rcode("BADVERS"))  # fmt: skip


def _options(row: Collector, roles: ZoneRoles) -> None:
    name = roles.name("service")
    answer = rrset(*roles.addresses("service"))
    sent = {
        "unknown": (("RFC 6891 §6.1.2"), ((UNKNOWN, b"\1\2\3"),)),
        "unknown-empty": (("RFC 6891 §6.1.2"), ((UNKNOWN, b""),)),
        "several": (("RFC 6891 §6.1.2"), ((UNKNOWN, b"a"), (UNKNOWN + 1, b"b"), (UNKNOWN, b"c"))),
        "large": (("RFC 6891 §6.1.2"), ((UNKNOWN, bytes(400)),)),
        "nsid": ("RFC 5001 §2.1", ((NSID, b""),)),
        "cookie": ("RFC 7873 §5.2", ((COOKIE, b"12345678"),)),
        "subnet": ("RFC 7871 §7.2", ((ECS, SUBNET),)),
        "keepalive": ("RFC 7828 §3.2.1", ((KEEPALIVE, b""),)),
        "padding": ("RFC 7830 §4", ((PADDING, bytes(20)),)),
    }
    for kind, (section, options) in sent.items():
        row(f"option-{kind}", section, MUST, f"a query with the option is answered ({kind})",
            Ask(name, edns=EdnsFields(options=options)), answer)  # fmt: skip
    row("unknown-unrepeated", "RFC 8906 §3.2.3", MUST, "an unknown option does not come back",
        Ask(name, edns=EdnsFields(options=((UNKNOWN, b"x"),))),
        holds("no such option", lambda reply: option_of(reply, UNKNOWN) is None, _describe))  # fmt: skip
    row("keepalive-udp", "RFC 7828 §3.2.2", MUST, "TCP keepalive is not sent over UDP",
        Ask(name, edns=EdnsFields(options=((KEEPALIVE, b""),))),
        holds("no keepalive", lambda reply: option_of(reply, KEEPALIVE) is None, _describe))  # fmt: skip
    row("padding-clear", "RFC 7830 §6", SHOULD, "a reply that is not encrypted is not padded",
        Ask(name, edns=EdnsFields(options=((PADDING, bytes(20)),))),
        holds("no padding", lambda reply: option_of(reply, PADDING) is None, _describe))  # fmt: skip
    row("cookie-reply", "RFC 7873 §4", MAY, "a cookie that comes back begins with the client's",
        Ask(name, edns=EdnsFields(options=((COOKIE, b"12345678"),))),
        holds("the client's cookie and 8 to 32 bytes", _has_right_cookie))  # fmt: skip
    row("subnet-reply", "RFC 7871 §7.2.1", MAY, "a subnet that comes back is the query's",
        Ask(name, edns=EdnsFields(options=((ECS, SUBNET),))),
        holds("the query's subnet", lambda reply: (option_of(reply, ECS) or SUBNET)[:3] == SUBNET[:3]))  # fmt: skip


def _has_right_cookie(reply: WireReply) -> bool:
    content = option_of(reply, COOKIE)
    return content is None or (content[:8] == b"12345678" and 16 <= len(content) <= 40)


def _broken(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of an OPT that breaks the rules."""
    name = roles.name("service")
    broken: dict[str, tuple[Level, str, Callable[[bytes], bytes]]] = {
        "two": (MUST, "RFC 6891 §6.1.1", lambda packet: _counted(packet, 2) + packet[-OPT_SIZE:]),
        "owner": (SHOULD, "RFC 6891 §6.1.2", lambda packet: packet[:-OPT_SIZE] + b"\1x" + packet[-OPT_SIZE:]),
        "option-length": (SHOULD, "RFC 6891 §6.1.2", lambda packet: packet[:-2] + b"\0\4\0\5\0\x20"),
        "rdata-length": (SHOULD, "RFC 6891 §6.1.2", lambda packet: packet[:-2] + b"\0\x40"),
    }
    for kind, (level, section, alter) in broken.items():
        row(f"broken-{kind}", section, level, f"an OPT that breaks the rules is FORMERR ({kind})",
            Ask(name, edns=EdnsFields(), alter=alter), rcode("FORMERR"), is_raw=True)  # fmt: skip


def at_most(limit: int) -> Check:
    """Expect a reply of so many bytes at most."""
    return holds(f"at most {limit} bytes", lambda reply: len(reply.wire) <= limit,
                 lambda reply: f"{len(reply.wire)} bytes")  # fmt: skip


def _counted(packet: bytes, number: int) -> bytes:
    return packet[:10] + number.to_bytes(2, "big") + packet[12:]


def _sizes(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of large answers over UDP."""
    for kind, ask in {"A": Ask(roles.name("large")), "SRV": Ask(roles.srv_name("large"), "SRV")}.items():
        for size in (None, 0, 512, 1232, 4096):
            edns = None if size is None else EdnsFields(size)
            limit = max(512, size or 0)
            words = "without OPT" if size is None else f"with a size of {size}"
            sized = Ask(ask.name, ask.qtype, edns=edns)
            section = "RFC 1035 §4.2.1" if size is None else "RFC 6891 §6.2.3"
            row(f"limit-{kind}-{'none' if size is None else size}", section, MUST,
                f"a reply to a query {words} has {limit} bytes at most ({kind})", sized,
                at_most(limit))  # fmt: skip
            if limit < 4096:
                row(f"tc-{kind}-{'none' if size is None else size}", "RFC 2181 §9", MUST,
                    f"TC is set where the RRset does not fit: a query {words} ({kind})", sized,
                    holds("TC", lambda reply: reply.is_truncated))  # fmt: skip
        row(f"tc-opt-{kind}", "RFC 6891 §7", MUST, f"a truncated reply has the OPT ({kind})",
            Ask(ask.name, ask.qtype, edns=EdnsFields(512)), opt("one OPT", lambda reply: True))  # fmt: skip
    row("small-size", "RFC 6891 §6.2.5", MUST, "a size below 512 is taken for 512",
        Ask(roles.name("service"), edns=EdnsFields(16)), rrset(*roles.addresses("service")))  # fmt: skip
