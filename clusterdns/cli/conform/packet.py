"""Queries as bytes, made with dnslib, which is imported when the first one is made.

Names keep their case, and may have any bytes: `\\DDD` in a text stands for one (RFC 1035 §5.1).
"""

import re

from clusterdns.cli.conform.case import Ask
from clusterdns.wire.codes import OPT, class_from_text, type_from_text

_ESCAPE = re.compile(r"\\(\d{3})|\\(.)")
_OPCODE_BITS = 0x7800
ID_BYTES = 2


def labels_of(text: str) -> list[bytes]:
    """Split the text of an absolute name into its labels, in their case."""
    marked = _ESCAPE.sub(lambda found: f"\\{int(found[1]):03}" if found[1] else f"\\{ord(found[2]):03}", text)
    words = [word for word in marked.removesuffix(".").split(".") if word]
    return [
        b"".join(
            bytes((int(found[1]),)) if found[1] else found[0].encode() for found in re.finditer(r"\\(\d{3})|.", word)
        )
        for word in words
    ]


def packet_of(ask: Ask, message_id: int) -> bytes:
    """Make the packet of a query under an ID, altered where the query says so."""
    from dnslib import DNSHeader, DNSQuestion, DNSRecord, EDNSOption
    from dnslib.dns import RR

    record = DNSRecord(DNSHeader(message_id, ask.flags & ~_OPCODE_BITS | ask.opcode << 11))
    record.add_question(DNSQuestion(labels_of(ask.name), type_from_text(ask.qtype), class_from_text(ask.qclass)))
    if ask.edns is not None:
        options = [EDNSOption(code, content) for code, content in ask.edns.options]
        record.add_ar(RR(None, OPT, ask.edns.payload, ask.edns.version << 16 | ask.edns.flags, options))
    packet = bytes(record.pack())
    return packet if ask.alter is None else packet[:ID_BYTES] + ask.alter(packet)[ID_BYTES:]
