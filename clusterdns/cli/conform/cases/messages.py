"""Header and question: RFC 1035, 4343, 8906, 9619; and messages that no client should send."""

from collections.abc import Callable

from clusterdns.cli.conform.case import MUST, SHOULD, Ask, Check, Collector, Way
from clusterdns.cli.conform.cases.naming import mixed
from clusterdns.cli.conform.cases.roles import ZoneRoles
from clusterdns.cli.conform.expect import holds, nxdomain, rcode, rrset
from clusterdns.cli.conform.reply import HEADER_BYTES, WireReply

RD, Z, AD, CD, QR = 0x0100, 0x0040, 0x0020, 0x0010, 0x8000
UNASSIGNED = (3, 7, 9, 15)  # opcodes
NOT_SUPPORTED = ("NOTIMP", "REFUSED", "NOTAUTH", "FORMERR", "NOERROR")


def add_rows(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows."""
    _header(row, roles)
    _opcodes(row, roles)
    _question(row, roles)
    _types(row, roles)
    _malformed(row, roles)


def _header(row: Collector, roles: ZoneRoles) -> None:
    name = roles.name("service")
    answer = rrset(*roles.addresses("service"))
    for message_id in (0, 1, 0x8000, 0xFFFF):
        row(f"id-{message_id}", "RFC 1035 §4.1.1", MUST, f"a query with ID {message_id} is answered under it",
            Ask(name, message_id=message_id), answer)  # fmt: skip
    for kind, flags in {"set": RD, "clear": 0}.items():
        row(f"rd-{kind}", "RFC 1035 §4.1.1", MUST, f"RD is copied ({kind})", Ask(name, flags=flags),
            holds(f"RD {kind}", _has(RD, flags), _flags))  # fmt: skip
        row(f"rd-{kind}-nxdomain", "RFC 1035 §4.1.1", MUST, f"RD is copied into NXDOMAIN ({kind})",
            Ask(roles.under("no-such-name"), flags=flags), holds(f"RD {kind}", _has(RD, flags), _flags))  # fmt: skip
    row("z", "RFC 1035 §4.1.1", MUST, "Z is zero in replies", Ask(name), holds("Z clear", _has(Z, 0), _flags))
    row("z-set", "RFC 8906 §3.1.3.1", MUST, "a query with Z set is answered, with Z clear",
        Ask(name, flags=RD | Z), answer, holds("Z clear", _has(Z, 0), _flags))  # fmt: skip
    row("ad-set", "RFC 6840 §5.7", MUST, "a query with AD set is answered", Ask(name, flags=RD | AD), answer)
    row("cd-set", "RFC 6840 §5.9", MUST, "a query with CD set is answered", Ask(name, flags=RD | CD), answer)
    row("ad", "RFC 4035 §3.1.6", MUST, "AD is clear: an unsigned zone is not authenticated", Ask(name),
        holds("AD clear", _has(AD, 0), _flags))  # fmt: skip
    row("rcode-clear", "RFC 1035 §4.1.1", MUST, "a code in a query's RCODE does not come back",
        Ask(name, flags=RD | 5), answer)  # fmt: skip
    for kind, flags in {"aa": 0x0400, "tc": 0x0200, "ra": 0x0080}.items():
        row(f"{kind}-in-query", "RFC 1035 §4.1.1", SHOULD, f"{kind.upper()} means nothing in a query",
            Ask(name, flags=RD | flags), answer)  # fmt: skip
    for transport in ("udp", "tcp"):
        row(f"response-{transport}", "RFC 1035 §7.3", MUST, f"a response is not answered ({transport})",
            Ask(name, "A", transport, flags=RD | QR), way=Way.SILENT)  # fmt: skip
    row("response-nxdomain", "RFC 1035 §7.3", MUST, "a negative response is not answered",
        Ask(roles.under("no-such-name"), flags=RD | QR | 3), way=Way.SILENT)  # fmt: skip


def has_opcode(opcode: int) -> Check:
    """Expect a reply with this opcode."""
    return holds(f"opcode {opcode}", lambda reply: reply.opcode == opcode, lambda reply: f"opcode {reply.opcode}")


def in_its_case(name: str) -> Check:
    """Expect a name in the question section, in this case."""
    return holds(name, lambda reply: [one[0].text for one in reply.questions] == [name],
                 lambda reply: ", ".join(one[0].text for one in reply.questions) or "no question")  # fmt: skip


def _has(bit: int, value: int) -> Callable[[WireReply], bool]:
    return lambda reply: reply.flags & bit == value & bit


def _flags(reply: WireReply) -> str:
    return f"flags 0x{reply.flags:04x}"


def _opcodes(row: Collector, roles: ZoneRoles) -> None:
    name = roles.name("service")
    for opcode in UNASSIGNED:
        row(f"opcode-{opcode}", "RFC 8906 §3.1.4", MUST, f"opcode {opcode} is not assigned: NOTIMP",
            Ask(name, opcode=opcode), rcode("NOTIMP"), is_raw=True)  # fmt: skip
        row(f"opcode-{opcode}-kept", "RFC 8906 §3.1.4", MUST, f"the reply to opcode {opcode} has that opcode",
            Ask(name, opcode=opcode), has_opcode(opcode),
            is_raw=True)  # fmt: skip
    for opcode, what in {1: "IQUERY", 2: "STATUS", 6: "DSO"}.items():
        row(f"opcode-{what}", "RFC 8906 §3.1.4", SHOULD, f"{what} is not implemented: NOTIMP, or an error",
            Ask(name, opcode=opcode), rcode("NOTIMP", "REFUSED", "FORMERR"), is_raw=True)  # fmt: skip
    for opcode, what, section in ((4, "NOTIFY", "RFC 1996 §3.12"), (5, "UPDATE", "RFC 2136 §3.1")):
        row(f"opcode-{what}", section, SHOULD, f"{what} is refused: this zone takes none",
            Ask(roles.zone, "SOA", opcode=opcode), rcode(*NOT_SUPPORTED[:4]), is_raw=True)  # fmt: skip
        row(f"opcode-{what}-answered", "RFC 8906 §3.1.4", MUST, f"{what} has a reply, whatever it says",
            Ask(roles.zone, "SOA", opcode=opcode), rcode(*NOT_SUPPORTED), has_opcode(opcode), is_raw=True)  # fmt: skip


def _question(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of the question section: its count, its name's case, its class."""
    name = roles.name("service")
    row("no-question", "RFC 7873 §5.4", SHOULD, "a query without a question or a cookie is FORMERR",
        Ask(name, alter=lambda packet: packet[:4] + b"\0\0" + packet[6:HEADER_BYTES]), rcode("FORMERR"),
        is_raw=True)  # fmt: skip
    for kind, count in {"two": 2, "three": 3}.items():
        row(f"{kind}-questions", "RFC 9619 §4", MUST, f"a query with {kind} questions is FORMERR",
            Ask(name, alter=_repeated(count)), rcode("FORMERR"), is_raw=True)  # fmt: skip
    cased = {
        "A": Ask(mixed(name)),
        "SRV": Ask(mixed(roles.srv_name("ported")), "SRV"),
        "NODATA": Ask(mixed(name), "TXT"),
        "NXDOMAIN": Ask(mixed(roles.under("no-such-service", roles.namespace(), "svc"))),
        "zone": Ask(mixed(roles.zone), "SOA"),
        "tcp": Ask(mixed(name), "A", "tcp"),
    }
    for kind, ask in cased.items():
        row(f"case-{kind}", "RFC 4343 §4.1", SHOULD, f"the question comes back in its case: 0x20 ({kind})", ask,
            in_its_case(ask.name))  # fmt: skip
    for qclass in ("CH", "HS", "CLASS4096"):
        row(f"class-{qclass}", "RFC 1035 §3.2.4", MUST, f"a question of class {qclass} has no data of class IN",
            Ask(name, qclass=qclass), holds("no records of class IN in the answer", lambda reply: not any(
                one.rclass == 1 for one in reply.of("answer"))))  # fmt: skip
    row("question-echo", "RFC 1035 §4.1.1", MUST, "the question comes back with NXDOMAIN",
        Ask(roles.under("no-such-service", roles.namespace(), "svc")), nxdomain)  # fmt: skip


def replaced_by(packet: bytes) -> Callable[[bytes], bytes]:
    """Return an alteration that leaves the ID only."""
    return lambda _: packet


def _repeated(count: int) -> Callable[[bytes], bytes]:
    return lambda packet: packet[:4] + count.to_bytes(2, "big") + packet[6:HEADER_BYTES] + packet[HEADER_BYTES:] * count


def _types(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of types that are not of data: a reply must come, whatever it says."""
    name = roles.name("service")
    for qtype in ("TYPE0", "OPT", "TKEY", "TSIG", "MAILB", "MAILA", "IXFR", "TYPE128", "TYPE65535", "NULL"):
        row(f"type-{qtype}", "RFC 8906 §3.1.2", MUST, f"a question for {qtype} has a reply, without data of A",
            Ask(name, qtype), holds("a reply without A", lambda reply: not reply.of("answer", 1)))  # fmt: skip
    row("axfr-udp", "RFC 5936 §4.2", MUST, "a transfer over UDP has no records of the zone",
        Ask(roles.zone, "AXFR"), holds("no transfer", lambda reply: len(reply.of("answer")) <= 1))  # fmt: skip
    row("axfr-tcp", "RFC 8906 §3.1.2", MUST, "a transfer over TCP is refused or made, not ignored",
        Ask(roles.zone, "AXFR", "tcp"), holds("a reply", lambda reply: True))  # fmt: skip


def _malformed(row: Collector, roles: ZoneRoles) -> None:
    """Add the rows of messages that cannot be read: FORMERR or no reply, and the server lives."""
    name = roles.name("service")
    spoiled: dict[str, Callable[[bytes], bytes]] = {
        "cut-question": lambda packet: packet[:-3],
        "no-type": lambda packet: packet[:-4],
        "header-only": lambda packet: packet[:HEADER_BYTES],
        "label-64": lambda packet: packet[:HEADER_BYTES] + b"\x40" + packet[HEADER_BYTES + 1 :],
        "label-128": lambda packet: packet[:HEADER_BYTES] + b"\x80" + packet[HEADER_BYTES + 1 :],
        "pointer-to-itself": lambda packet: packet[:HEADER_BYTES] + b"\xc0\x0c\0\1\0\1",
        "pointer-forwards": lambda packet: packet[:HEADER_BYTES] + b"\xc0\xff\0\1\0\1",
        "long-name": lambda packet: packet[:HEADER_BYTES] + (b"\x3f" + b"a" * 63) * 5 + b"\0\0\1\0\1",
        "counts": lambda packet: packet[:6] + b"\xff\xff" * 3 + packet[HEADER_BYTES:],
    }
    for kind, alter in spoiled.items():
        row(f"malformed-{kind}", "RFC 1035 §4.1.1", SHOULD, f"a query that cannot be read is FORMERR ({kind})",
            Ask(name, alter=alter), rcode("FORMERR"), is_raw=True)  # fmt: skip
        row(f"survives-{kind}", "RFC 1035 §4.1.1", MUST, f"the server answers after a query like this ({kind})",
            Ask(name, alter=alter), way=Way.SURVIVES)  # fmt: skip
    for kind, packet in {"one-byte": b"\0", "eleven-bytes": bytes(11), "garbage": bytes(range(0x30, 0x90)),
                         "zeros": bytes(512)}.items():  # fmt: skip
        row(f"survives-{kind}", "RFC 1035 §4.1.1", MUST, f"the server answers after such a datagram ({kind})",
            Ask(name, alter=replaced_by(packet)), way=Way.SURVIVES)  # fmt: skip
    row("survives-trailing", "RFC 1035 §4.1.1", MUST, "the server answers after a query with bytes at its end",
        Ask(name, alter=lambda packet: packet + bytes(40)), way=Way.SURVIVES)  # fmt: skip
