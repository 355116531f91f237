"""The faults of a scripted reply: wrong IDs and names, spoiled bytes, copies, silence, and broken connections.

`reply` composes the reply without them.
"""

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rrset

from testing.upstream.server import Ending, Response
from testing.upstream.words import Words

GARBAGE = bytes(range(0x80, 0x80 + 40))
_ENDINGS = {"halfframe": Ending.HALF, "reset": Ending.RESET, "close": Ending.CLOSE}
_MAX_BYTES = 65_535
_HEADER_BYTES = 12


def committed(query: dns.message.Message, words: Words, reply: dns.message.Message, transport: str) -> Response:
    """Make the response, with the faults that the words ask for."""
    pause_seconds = words.number("slow", 0, bare=100) / 1000
    if "dead" in words:
        return Response((), pause_seconds)
    if transport != "udp":
        for word, ending in _ENDINGS.items():
            if word in words:
                return Response((reply.to_wire(max_size=_MAX_BYTES),), pause_seconds, ending)
    forged = [_with_id(query, reply, number + 1) for number in range(words.number("forged", 0, bare=1))]
    forged += [_with_name(reply, f"forged{number}") for number in range(words.number("forgedname", 0, bare=1))]
    messages = [_wire(one, query, words, transport) for one in forged]
    if "wrongid" in words:
        reply = _with_id(query, reply, 1)
    if "wrongname" in words:
        reply = _with_name(reply, "other")
    genuine = _wire(reply, query, words, transport)
    messages += [genuine] * (1 + words.number("twice", 0, bare=1))
    return Response(messages, pause_seconds, is_held="held" in words)


def _wire(reply: dns.message.Message, query: dns.message.Message, words: Words, transport: str) -> bytes:
    """Encode a reply, truncated to the client's size over UDP, and spoil it where words ask for that."""
    if "garbage" in words:
        return query.id.to_bytes(2, "big") + GARBAGE
    if "qr0" in words:
        return query.to_wire()
    limit = (max(512, query.payload) if query.edns >= 0 else 512) if transport == "udp" else _MAX_BYTES
    wire = bytearray(_truncated(reply, limit))
    if "runt" in words:
        return bytes(wire[:7])
    if "cut" in words:
        return bytes(wire[:-5])
    end = _HEADER_BYTES
    while wire[end]:
        end += 1 + wire[end]
    if "lower" in words:
        wire[_HEADER_BYTES:end] = wire[_HEADER_BYTES:end].lower()  # lengths of labels are below 64, letters above
    if "upper" in words:
        wire[_HEADER_BYTES:end] = wire[_HEADER_BYTES:end].upper()
    if "wrongtype" in words:
        wire[end + 1 : end + 3] = b"\0\x63"
    if "wrongclass" in words:
        wire[end + 3 : end + 5] = b"\0\x03"
    if "noquestion" in words:
        return bytes(wire[:4]) + bytes(8)
    return bytes(wire)


def _truncated(reply: dns.message.Message, limit: int) -> bytes:
    """Encode a reply with as many answers as fit, and TC where that is not all of them."""
    try:
        return reply.to_wire(max_size=limit)
    except dns.exception.TooBig:
        shorter = _copied(reply)
        shorter.flags |= dns.flags.TC
        shorter.authority, shorter.additional = [], []
    while True:
        try:
            return shorter.to_wire(max_size=limit)
        except dns.exception.TooBig:
            shorter.answer.pop()


def _with_id(query: dns.message.Message, reply: dns.message.Message, distance: int) -> dns.message.Message:
    other = _copied(reply)
    other.id = (query.id + distance) & 0xFFFF
    return other


def _with_name(reply: dns.message.Message, label: str) -> dns.message.Message:
    """Copy a reply with another first label in its question."""
    other = _copied(reply)
    question = reply.question[0]
    name = dns.name.from_text(label, dns.name.Name(question.name.labels[1:]))
    other.question = [dns.rrset.RRset(name, question.rdclass, question.rdtype)]
    return other


def _copied(reply: dns.message.Message) -> dns.message.Message:
    other = dns.message.Message(id=reply.id)
    other.flags = reply.flags
    other.question, other.answer = list(reply.question), list(reply.answer)
    other.authority, other.additional = list(reply.authority), list(reply.additional)
    if reply.edns >= 0:
        other.use_edns(0, reply.ednsflags, reply.payload, options=list(reply.options))
    return other
