"""The reply of an explanation as dig shows it, and how its message fits into UDP."""

from collections.abc import Sequence
from itertools import islice

from clusterdns.chain import Query, Reply
from clusterdns.server.explaining.explanation import MAX_LISTED, ExplainedAnswer
from clusterdns.wire import codes, encode
from clusterdns.wire.edns import OPTION_HEADER_BYTES, iter_options
from clusterdns.wire.name import to_text
from clusterdns.wire.presentation.text import rdata_text
from clusterdns.wire.record import Record

_ID_BYTES = 2
_EDNS_BYTES = 1232  # what stub resolvers with EDNS offer (DNS flag day 2020)
_INFO_CODE_BYTES = 2


def shown_answer(query: Query, reply: Reply) -> ExplainedAnswer:
    """Make the answer of a reply; `query` is the client's."""
    serial = b"" if reply.serial is None else reply.serial.wire
    size, _ = _encoded(query, reply, "tcp", 0)
    _, is_cut_512 = _encoded(query, reply, "udp", 0)
    _, is_cut_1232 = _encoded(query, reply, "udp", _EDNS_BYTES)
    return ExplainedAnswer(
        codes.rcode_text(reply.rcode),
        _lines(reply.answer, serial),
        _lines(reply.authority, serial),
        len(reply.answer),
        list(extended_errors(reply.options)),
        reply.is_authoritative,
        reply.is_truncated,
        size,
        not is_cut_512,
        not is_cut_1232,
    )


def extended_errors(options: bytes) -> list[str]:
    """Write the extended errors among EDNS options: the purpose, and the text where there is one (RFC 8914)."""
    found = []
    for code, whole in iter_options(options):
        if code == codes.EDE:
            content = whole[OPTION_HEADER_BYTES:]
            info_code = int.from_bytes(content[:_INFO_CODE_BYTES], "big")
            text = content[_INFO_CODE_BYTES:].decode(errors="replace")
            found.append(f"{info_code} ({codes.ede_text(info_code)})" + (f": {text}" if text else ""))
    return found


def record_line(record: Record, serial: bytes) -> str:
    """Write a record as dig does."""
    one = record.with_serial(serial)
    rclass = codes.class_text(one.rclass)
    return f"{to_text(one.name)} {one.ttl} {rclass} {codes.type_text(one.rtype)} {rdata_text(one)}"


def _lines(records: Sequence[Record], serial: bytes) -> list[str]:
    return [record_line(one, serial) for one in islice(records, MAX_LISTED)]


def _encoded(query: Query, reply: Reply, transport: str, edns_bytes: int) -> tuple[int, bool]:
    """Encode the reply for a client of this kind; return the size of the message, and whether it is truncated."""
    asked = query.asking(query.name, query.qtype, query.qclass)
    asked.transport = transport
    asked.has_edns = bool(edns_bytes)
    asked.udp_bytes = edns_bytes
    encoded = encode.encode(asked, reply)
    return _ID_BYTES + len(encoded.message()), encoded.is_truncated and not reply.is_truncated
