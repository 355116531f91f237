"""A DNS server with one seeded fault: it passes queries on to a right server, and spoils the replies as its fault says.

`FAULTS` has the faults, each with cases that it must fail. dnslib keeps each record for itself, with its own TTL.
"""

import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from dnslib import QTYPE, RR, A, DNSError, DNSRecord, EDNSOption
from dnslib.label import DNSLabelError

from clusterdns.wire.codes import type_from_text
from testing.dns_client import reply_to
from testing.upstream.server import Ending, Response, Source, UpstreamServer
from testing.waiting import PATIENCE_SECONDS

Record = Any  # dnslib's, which has no types
Act = Callable[[Record, Record], None]  # query and reply; changes the reply
Test = Callable[[Record, Record], object]
UNREADY = "198.18.0.13"  # of the suite's objects: db-2
AA, TC, RD, Z, AD, QR = 0x0400, 0x0200, 0x0100, 0x0040, 0x0020, 0x8000
OPT = 41


class SeededFault(NamedTuple):
    """A fault: what it does to messages or to bytes, and cases that fail because of it."""

    cases: str  # IDs
    act: Act | None = None
    on_bytes: Callable[[bytes, bytes, str], bytes | None] | None = None  # query, reply, transport; None: no reply
    ending: Ending = Ending.OPEN  # of TCP connections


class FaultyServer(UpstreamServer):
    """The server; `fault` may be replaced while it runs."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.fault = SeededFault("")
        self._right = port

    def respond(self, query: bytes, source: Source) -> Response | None:
        """Make the reply of the right server, spoiled."""
        reply = self._ask(query, source.transport)
        if self.fault.act is not None and reply is not None:
            reply = _changed(query, reply, self.fault.act)
        if self.fault.on_bytes is not None:
            reply = self.fault.on_bytes(query, reply or b"", source.transport)
        return Response([reply] if reply else [], ending=self.fault.ending)

    def _ask(self, query: bytes, transport: str) -> bytes | None:
        if query[2:3] >= b"\x80" or not query:
            return None
        if transport == "udp":
            return reply_to(self._right, query, PATIENCE_SECONDS if len(query) > 11 else 0.1)
        with socket.create_connection(("127.0.0.1", self._right), PATIENCE_SECONDS) as sock:
            sock.sendall(len(query).to_bytes(2, "big") + query)
            stream = sock.makefile("rb")
            return stream.read(int.from_bytes(stream.read(2), "big"))


def _changed(query: bytes, reply: bytes, act: Act) -> bytes:
    """Change a reply; what dnslib cannot read stays as it is."""
    try:
        asked, found = DNSRecord.parse(query), DNSRecord.parse(reply)
        before = bytes(found.pack())
    except (DNSError, DNSLabelError):
        return reply
    act(asked, found)
    after = bytes(found.pack())
    return reply if before == after else after


def when(test: Test, act: Act) -> Act:
    """Do something to replies for which a test holds."""
    return lambda query, reply: act(query, reply) if test(query, reply) else None


def flag(bit: int, *, is_set: bool) -> Act:
    """Set or clear a bit of the header."""

    def act(_: Record, reply: Record) -> None:
        reply.header.bitmap = reply.header.bitmap | bit if is_set else reply.header.bitmap & ~bit

    return act


def rcode(number: int) -> Act:
    """Replace the response code."""

    def act(_: Record, reply: Record) -> None:
        reply.header.rcode = number

    return act


def name_of(query: Record) -> str:
    return str(query.q.qname).lower()


def asks(*types: str) -> Test:
    numbers = {type_from_text(one) for one in types}
    return lambda query, _: query.questions and query.q.qtype in numbers


def named(*parts: str) -> Test:
    return lambda query, _: query.questions and any(part in name_of(query) for part in parts)


def both(*tests: Test) -> Test:
    return lambda query, reply: all(test(query, reply) for test in tests)


def is_nxdomain(_: Record, reply: Record) -> bool:
    return bool(reply.header.rcode == 3)


def is_nodata(query: Record, reply: Record) -> bool:
    return bool(reply.header.rcode == 0 and not reply.rr and query.questions)


def opts(record: Record) -> list[Record]:
    return [one for one in record.ar if one.rtype == OPT]


def each(sections: str, change: Callable[[Record], None]) -> Act:
    """Change each record of some sections other than OPT."""

    def act(_: Record, reply: Record) -> None:
        for section in sections.split():
            for one in getattr(reply, section):
                if one.rtype != OPT:
                    change(one)

    return act


def with_ttl(ttl: int) -> Callable[[Record], None]:
    def change(one: Record) -> None:
        one.ttl = ttl

    return change


def port_changed(one: Record) -> None:
    if one.rtype == QTYPE.SRV:
        one.rdata.port ^= 1


def target_is(text: str) -> Callable[[Record], None]:
    def change(one: Record) -> None:
        if one.rtype == QTYPE.SRV:
            one.rdata.target = text

    return change


def with_address(address: str) -> Callable[[Record], None]:
    def change(one: Record) -> None:
        if one.rtype == QTYPE.A:
            one.rdata = A(address)

    return change


def found_as(address: str) -> Act:
    """Answer with an address, and nothing else."""

    def act(query: Record, reply: Record) -> None:
        reply.header.rcode = 0
        reply.auth.clear()
        reply.rr[:] = [RR(query.q.qname, QTYPE.A, rdata=A(address), ttl=5)]

    return act


def add_a(address: str) -> Act:
    """Add an address to the answer."""
    return lambda query, reply: reply.rr.append(RR(query.q.qname, QTYPE.A, rdata=A(address), ttl=5))


def without_last(_: Record, reply: Record) -> None:
    if len(reply.rr) > 1:
        reply.rr.pop()


def first_twice(_: Record, reply: Record) -> None:
    reply.rr += reply.rr[:1]


def last_ttl(_: Record, reply: Record) -> None:
    if len(reply.rr) > 1:
        reply.rr[-1].ttl += 1


def without(section: str) -> Act:
    def act(_: Record, reply: Record) -> None:
        getattr(reply, section).clear()

    return act


def without_opt(_: Record, reply: Record) -> None:
    reply.ar = [one for one in reply.ar if one.rtype != OPT]


def opt_always(_: Record, reply: Record) -> None:
    if not opts(reply):
        reply.add_ar(RR(None, OPT, 1232, 0, []))


def opt_flags(change: Callable[[Record, Record], None]) -> Act:
    def act(query: Record, reply: Record) -> None:
        for mine, theirs in zip(opts(query), opts(reply), strict=False):
            change(mine, theirs)

    return act


def no_do(_: Record, opt: Record) -> None:
    opt.ttl &= ~0x8000


def same_flags(mine: Record, opt: Record) -> None:
    opt.ttl |= mine.ttl & 0x7FFF


def same_options(mine: Record, opt: Record) -> None:
    opt.rdata = list(mine.rdata)


def keepalive(_: Record, opt: Record) -> None:
    opt.rdata = [EDNSOption(11, b"\0\x64")]


def any_version(query: Record, reply: Record) -> None:
    if opts(query) and opts(query)[0].ttl & 0xFF0000:
        opts(reply)[0].ttl = 0


def in_lower_case(query: Record, reply: Record) -> None:
    for one in reply.questions:
        one.qname = name_of(query)


def in_capitals(query: Record, _: Record) -> bool:
    return bool(query.questions and str(query.q.qname) != name_of(query))


def as_absent(query: Record, reply: Record) -> None:
    reply.rr.clear()
    reply.header.rcode = 3


def old_version(query: Record, reply: Record) -> None:
    for one in reply.rr:
        one.rdata.data = [b"1.0"]


def wrong_id(query: bytes, reply: bytes, _: str) -> bytes:
    return bytes((query[0] ^ 1,)) + reply[1:]


def longer(_: bytes, reply: bytes, transport: str) -> bytes:
    return reply + b"x"


def opcode_lost(_: bytes, reply: bytes, transport: str) -> bytes:
    return reply[:2] + bytes((reply[2] & 0x87,)) + reply[3:]


def silent_over_tcp(_: bytes, reply: bytes, transport: str) -> bytes | None:
    return reply if transport == "udp" else None


def cut(size: int) -> Callable[[bytes, bytes, str], bytes]:
    """Cut replies over TCP, with TC."""

    def on_bytes(query: bytes, reply: bytes, transport: str) -> bytes:
        if transport == "udp" or len(reply) <= size:
            return reply
        found = DNSRecord.parse(reply)
        found.rr, found.ar, found.header.tc = found.rr[:3], [], 1
        return bytes(found.pack())

    return on_bytes


def answers_responses(query: bytes, reply: bytes, _: str) -> bytes:
    return reply or (query[:2] + b"\x81\x01" + bytes(8))


def compressed_target(_: bytes, reply: bytes, transport: str) -> bytes:
    """Compress the target of the last SRV record of an answer over TCP."""
    target = b"\3web\x0bdns-conform\3svc\7cluster\5local\0"
    at_target = reply.rfind(target)
    if transport == "udp" or at_target < 40 or b"\0\x21" not in reply[at_target - 20 : at_target]:
        return reply
    size = int.from_bytes(reply[at_target - 8 : at_target - 6], "big") - len(target) + 2
    pointer = 0xC000 | reply.index(target)
    return (
        reply[: at_target - 8] + size.to_bytes(2, "big") + reply[at_target - 6 : at_target]
        + pointer.to_bytes(2, "big") + reply[at_target + len(target) :]
    )  # fmt: skip


FAULTS = {
    "no AA": SeededFault("rfc-1035-4.1.1-aa-a rfc-1035-4.1.1-aa-nxdomain", flag(AA, is_set=False)),
    "no AA in NXDOMAIN": SeededFault("rfc-1035-4.1.1-aa-nxdomain", when(is_nxdomain, flag(AA, is_set=False))),
    "AD": SeededFault("rfc-4035-3.1.6-ad", flag(AD, is_set=True)),
    "Z": SeededFault("rfc-1035-4.1.1-z", flag(Z, is_set=True)),
    "RD always": SeededFault("rfc-1035-4.1.1-rd-clear", flag(RD, is_set=True)),
    "RD never": SeededFault("rfc-1035-4.1.1-rd-set rfc-1035-4.1.1-rd-set-nxdomain", flag(RD, is_set=False)),
    "QR clear": SeededFault("spec-2.3.1-a-web", flag(QR, is_set=False)),
    "TC over TCP": SeededFault("rfc-7766-5-large-a", on_bytes=cut(600)),
    "NODATA for NXDOMAIN": SeededFault(
        "rfc-2308-2.1-service-a spec-2.4.1-a-empty-nxdomain", when(is_nxdomain, rcode(0))
    ),
    "NXDOMAIN for NODATA": SeededFault("rfc-2308-2.2-service-mx rfc-8020-2-svc-a", when(is_nodata, rcode(3))),
    "NXDOMAIN for AAAA": SeededFault("rfc-2308-2.2-service-aaaa", when(both(is_nodata, asks("AAAA")), rcode(3))),
    "SERVFAIL for unknown types": SeededFault("rfc-2308-2.2-service-type65280", when(asks("TYPE65280"), rcode(2))),
    "REFUSED for HTTPS": SeededFault("rfc-2308-2.2-service-https", when(asks("HTTPS"), rcode(5))),
    "no SOA": SeededFault("rfc-2308-3-soa-nodata rfc-2308-3-soa-nxdomain", without("auth")),
    "SOA with a long TTL": SeededFault("rfc-2308-3-ttl-nodata rfc-2308-3-ttl-nxdomain", each("auth", with_ttl(9999))),
    "TTL of 32 bits": SeededFault("rfc-2181-8-range-a", each("rr", with_ttl(0x8000_0001))),
    "two TTLs": SeededFault("rfc-2181-5.2-ttl-a rfc-2181-5.2-ttl-srv", last_ttl),
    "a record twice": SeededFault("rfc-2181-5-once-a rfc-2181-5-once-srv", first_twice),
    "a record missing": SeededFault("spec-2.4.1-a-db spec-2.4.2-srv-db-sql-count", without_last),
    "an endpoint that is not ready": SeededFault(
        "spec-2.4.1-a-db-ready-only spec-2.4.1-a-db-exact", when(both(asks("A"), named("db.")), add_a(UNREADY))
    ),
    "a foreign address": SeededFault("spec-2.3.1-a-web", when(asks("A"), add_a("192.0.2.1"))),
    "a wrong port": SeededFault("spec-2.3.2-srv-web-http spec-2.4.2-srv-db-sql", each("rr", port_changed)),
    "a wrong target": SeededFault(
        "spec-2.3.2-srv-web-http spec-2.4.2-srv-db-sql-targets", each("rr", target_is("a.test."))
    ),
    "the wrong version": SeededFault("spec-2.2-version", when(both(named("dns-version"), asks("TXT")), old_version)),
    "case-sensitive": SeededFault("spec-2.1-upper-a spec-2.1-mixed-srv", when(in_capitals, as_absent)),
    "lower-cased question": SeededFault("rfc-4343-4.1-case-a rfc-4343-4.1-case-nxdomain", in_lower_case),
    "no OPT": SeededFault("rfc-6891-6.1.1-one-a rfc-6891-7-tc-opt-a", without_opt),
    "OPT always": SeededFault("rfc-6891-7-none-a rfc-6891-7-none-nxdomain", opt_always),
    "no DO": SeededFault("rfc-3225-3-do-a", opt_flags(no_do)),
    "EDNS flags repeated": SeededFault("rfc-6891-6.1.4-flags-clear", opt_flags(same_flags)),
    "EDNS options repeated": SeededFault("rfc-8906-3.2.3-unknown-unrepeated", opt_flags(same_options)),
    "keepalive over UDP": SeededFault("rfc-7828-3.2.2-keepalive-udp", opt_flags(keepalive)),
    "any EDNS version": SeededFault("rfc-6891-6.1.3-badvers-1-a", any_version),
    "no PTR": SeededFault("spec-2.3.3-ptr-ipv4-web spec-2.4.3-ptr-db-ipv4-3", when(asks("PTR"), as_absent)),
    "no IPv6": SeededFault("spec-2.3.1-aaaa-web spec-2.4.1-aaaa-db", when(asks("AAAA"), without("rr"))),
    "no SCTP": SeededFault("spec-2.3.2-srv-signal-diameter", when(named("_sctp"), as_absent)),
    "no hostnames": SeededFault("spec-2.4.1-a-db-db-0", when(named("db-0."), as_absent)),
    "no pods": SeededFault("spec-2.6-pod-10-1-2-3", when(named(".pod."), as_absent)),
    "no CNAME": SeededFault("spec-2.5-cname-outside", when(named("outside."), as_absent)),
    "CNAME beside A": SeededFault("rfc-1034-3.6.2-cname-alone", when(named("inside."), add_a("192.0.2.1"))),
    "CNAME not followed": SeededFault("rfc-1034-4.3.2-cname-followed", when(named("inside."), without_last)),
    "no NS": SeededFault("rfc-1034-4.2.1-ns", when(asks("NS"), without("rr"))),
    "wrong ID": SeededFault("spec-2.3.1-a-web", on_bytes=wrong_id),
    "bytes at the end": SeededFault("spec-2.3.1-a-web", on_bytes=longer),
    "opcode lost": SeededFault(
        "rfc-8906-3.1.4-opcode-3-kept",
        on_bytes=opcode_lost,
    ),
    "silent on TCP": SeededFault("rfc-7766-5-same-a", on_bytes=silent_over_tcp),
    "closes TCP": SeededFault("rfc-7766-6.2.1.1-pipelined", ending=Ending.CLOSE),
    "answers responses": SeededFault("rfc-1035-7.3-response-udp", on_bytes=answers_responses),
    "a wrong additional address": SeededFault(
        "rfc-2782-additional-service rfc-2782-additional-headless", each("ar", with_address("192.0.2.1"))
    ),
    "namespaces ignored": SeededFault(
        "spec-2.3.1-other-namespace-plain",
        when(both(asks("A"), named("plain.dns-conform-two.")), found_as("10.96.200.2")),
    ),
    "every name below a Service": SeededFault(
        "spec-2.3.1-below-web", when(both(asks("A"), named(".web.dns-conform.svc.")), found_as("10.96.200.1"))
    ),
    "compressed SRV target": SeededFault("rfc-2782-srv-target-service", on_bytes=compressed_target),
}
