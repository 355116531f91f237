"""The expectations of cases: each function makes a check, which returns 'expected …; got …', or nothing.

`sane` is checked of every reply, before the row's own checks. Names are compared without regard to case (RFC 4343),
TTLs, weights and priorities only where a row says so: the specification does not prescribe them.
"""

from collections.abc import Callable, Collection, Iterable

from clusterdns.cli.conform.case import Ask, Case, Check, Transcript
from clusterdns.cli.conform.packet import labels_of, packet_of
from clusterdns.cli.conform.reply import HEADER_BYTES, WireRecord, WireReply
from clusterdns.wire.codes import CNAME, SOA, SRV, type_from_text, type_text

MAX_SHOWN = 4
DO = 0x8000


def wrong(expected: str, got: str) -> str:
    """Write what was expected, and what came."""
    return f"expected {expected}; got {got}"


def listed(texts: Iterable[str]) -> str:
    """Write some of the texts, and how many more there are."""
    found = sorted(texts)
    more = f" and {len(found) - MAX_SHOWN} more" if len(found) > MAX_SHOWN else ""
    return (", ".join(found[:MAX_SHOWN]) or "nothing") + more


def sane(case: Case, ask: Ask, reply: WireReply) -> str:
    """Check what holds for every reply: QR, opcode, the question, the owner names of the answer, TC over TCP."""
    if not reply.is_response:
        return wrong("a response (QR set)", "a message with QR clear")
    if reply.opcode != ask.opcode and not case.is_raw:
        return wrong(f"opcode {ask.opcode}", f"opcode {reply.opcode}")
    if reply.is_truncated and reply.transport == "tcp":
        return wrong("a whole reply over TCP (RFC 7766 §5)", "TC")
    if case.is_raw or reply.rcode in ("FORMERR", "NOTIMP"):
        return ""
    asked = packet_of(ask, 0)[HEADER_BYTES : HEADER_BYTES + sum(map(len, labels_of(ask.name))) + _extra(ask)]
    if reply.question_bytes.lower() != asked.lower():
        shown = ", ".join(f"{name.text} {type_text(qtype)}" for name, qtype, _ in reply.questions) or "none"
        return wrong(f"the question {ask.text}", f"the question {shown}")
    owners = {folded(ask.name)}
    for record in reply.of("answer"):
        if record.owner.folded not in owners:
            return wrong(f"records of {ask.name}", f"a record of {record.owner.text}")
        if record.rtype == CNAME:
            owners.add(record.data)
    return ""


def _extra(ask: Ask) -> int:
    """Return the bytes of a question beside those of its labels."""
    return len(labels_of(ask.name)) + 5


def folded(name: str) -> str:
    """Return the text of a name for comparisons."""
    return name.lower().removesuffix(".") + "."


def rcode(*names: str) -> Check:
    """Expect one of these response codes."""

    def check(seen: Transcript) -> str:
        return "" if seen.reply.rcode in names else wrong(" or ".join(names), seen.reply.summary)

    return check


def rrset(*data: str, rtype: str = "") -> Check:
    """Expect exactly these records of the type asked for (or of another) in the answer."""

    def check(seen: Transcript) -> str:
        kind = type_from_text(rtype or seen.ask.qtype)
        found = [one.data for one in seen.reply.of("answer", kind)]
        if seen.reply.rcode == "NOERROR" and sorted(found) == sorted(data):
            return ""
        return wrong(f"{type_text(kind)} {listed(data)}", seen.reply.summary)

    return check


def has(*data: str, rtype: str = "", section: str = "answer") -> Check:
    """Expect these records of the type asked for (or of another), and perhaps others."""

    def check(seen: Transcript) -> str:
        kind = type_from_text(rtype or seen.ask.qtype)
        missing = set(data) - {one.data for one in seen.reply.of(section, kind)}
        return wrong(f"{type_text(kind)} {listed(missing)}", seen.reply.summary) if missing else ""

    return check


def lacks(*data: str) -> Check:
    """Expect none of these data in the answer, whatever the response code."""

    def check(seen: Transcript) -> str:
        found = {one.data for one in seen.reply.of("answer")} & set(data)
        return wrong(f"no record with {listed(data)}", listed(found)) if found else ""

    return check


def no_records(rtype: str = "") -> Check:
    """Expect no record of the type: NXDOMAIN or NODATA."""

    def check(seen: Transcript) -> str:
        kind = type_from_text(rtype or seen.ask.qtype)
        is_fine = seen.reply.rcode in ("NOERROR", "NXDOMAIN") and not seen.reply.of("answer", kind)
        return "" if is_fine else wrong(f"NXDOMAIN, or NOERROR without {type_text(kind)}", seen.reply.summary)

    return check


def nodata(seen: Transcript) -> str:
    """Expect NOERROR with an empty answer: the name exists, the type does not."""
    is_empty = seen.reply.rcode == "NOERROR" and not seen.reply.of("answer")
    return "" if is_empty else wrong("NOERROR without an answer (NODATA)", seen.reply.summary)


def nxdomain(seen: Transcript) -> str:
    """Expect NXDOMAIN, without records in the answer."""
    is_absent = seen.reply.rcode == "NXDOMAIN" and not seen.reply.of("answer")
    return "" if is_absent else wrong("NXDOMAIN", seen.reply.summary)


def exists(seen: Transcript) -> str:
    """Expect anything but NXDOMAIN, and no error."""
    return "" if seen.reply.rcode == "NOERROR" else wrong("NOERROR, as the name exists", seen.reply.summary)


def srv(targets: Collection[tuple[int, str]], *, is_exact: bool = True) -> Check:
    """Expect SRV records with these ports and targets, exactly or among others."""
    wanted = {f"port {port} of {folded(target)}" for port, target in targets}

    def check(seen: Transcript) -> str:
        found = {_port_and_target(one) for one in seen.reply.of("answer", SRV)}
        if seen.reply.rcode == "NOERROR" and (found == wanted if is_exact else wanted <= found):
            return ""
        return wrong(f"SRV {listed(wanted - found or wanted)}", listed(found) if found else seen.reply.summary)

    return check


def _port_and_target(record: WireRecord) -> str:
    _, _, port, target = record.data.split(" ", 3)
    return f"port {port} of {target}"


def count(number: int, *, under: str) -> Check:
    """Expect so many SRV records, all with targets below a name."""

    def check(seen: Transcript) -> str:
        targets = [one.data.split(" ", 3)[3] for one in seen.reply.of("answer", SRV)]
        outside = [one for one in targets if not one.endswith(f".{folded(under)}")]
        if len(targets) == number and not outside:
            return ""
        return wrong(f"{number} SRV records with targets below {under}", f"{len(targets)}: {listed(targets)}")

    return check


def each_record(what: str, holds: Callable[[WireRecord], bool], rtype: str = "") -> Check:
    """Expect something of each record of the type asked for (or of another) in the answer."""

    def check(seen: Transcript) -> str:
        kind = type_from_text(rtype or seen.ask.qtype)
        records = seen.reply.of("answer", kind)
        if not records:
            return wrong(f"{type_text(kind)} records", seen.reply.summary)
        bad = [one.text for one in records if not holds(one)]
        return wrong(what, listed(bad)) if bad else ""

    return check


def targets_lead_to(addresses: Collection[str]) -> Check:
    """Expect the addresses of all followed targets, together, to be these: for questions of `Way.FOLLOW`."""

    def check(seen: Transcript) -> str:
        found = {one.data for reply in seen.replies[1:] for one in reply.of("answer") if one.rtype in (1, 28)}
        if found == set(addresses):
            return ""
        return wrong(
            f"targets with the addresses {listed(addresses)}", f"{listed(found)} for {seen.replies[0].summary}"
        )

    return check


def is_negative_of(zone: str) -> Check:
    """Expect the SOA of the zone in the authority section (RFC 2308 §3)."""

    def check(seen: Transcript) -> str:
        found = [one.owner.folded for one in seen.reply.of("authority", SOA)]
        return "" if found == [folded(zone)] else wrong(f"one SOA of {zone} in the authority section", listed(found))

    return check


def same(what: str, value: Callable[[WireReply], object]) -> Check:
    """Expect the same of all replies of the case."""

    def check(seen: Transcript) -> str:
        values = [str(value(one)) for one in seen.replies]
        return "" if len(set(values)) <= 1 else wrong(f"the same {what}: {values[0]}", next(
            one for one in values if one != values[0]
        ))  # fmt: skip

    return check


def holds(what: str, test: Callable[[WireReply], object], got: Callable[[WireReply], str] | None = None) -> Check:
    """Expect something of the last reply; `got` describes what it has instead."""

    def check(seen: Transcript) -> str:
        if test(seen.reply):
            return ""
        return wrong(what, got(seen.reply) if got else seen.reply.summary)

    return check
