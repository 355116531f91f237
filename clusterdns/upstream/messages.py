"""Messages off the hot path, made and read with dnslib: NOTIFY, an IXFR's serial, addresses of upstreams, probes.

The functions import dnslib when they run (8 ms, 0.5 MiB), so that a start does not wait for it. Clients' queries and
upstreams' replies stay with `wire.query`, `wire.decode` and `wire.encode`, which take a tenth of the time per message.

dnslib follows compression pointers recursively, any number of times, and lets some exceptions of its parts escape:
64 KiB made for the purpose keep it busy for a minute (docs/decisions/0007). Whatever comes from the network is
therefore read by `read_header`, which reads twelve bytes, or by `read_message`, which refuses large messages.
"""

import secrets
from typing import TYPE_CHECKING

from clusterdns.upstream.question import Question
from clusterdns.wire.header import HEADER_BYTES, OWN_UDP_BYTES, Malformed
from clusterdns.wire.name import labels

if TYPE_CHECKING:
    from dnslib import DNSHeader, DNSRecord

MAX_BYTES = OWN_UDP_BYTES  # the worst message of this size takes dnslib 63 ms
_KIND_BYTES = 4  # type and class


def make_query(name: bytes, qtype: int, **header: int) -> "DNSRecord":
    """Make a message that asks for a name and type in class IN, under a random ID.

    `header` sets fields of dnslib's DNSHeader (`opcode`, `aa`, `rd`, …); those left out are 0.
    """
    from dnslib import DNSHeader, DNSQuestion, DNSRecord

    return DNSRecord(DNSHeader(secrets.randbits(16), 0, **header), q=DNSQuestion(labels(name), qtype))


def make_probe(name: bytes, qtype: int, *, recurses: bool, is_stream: bool) -> Question:
    """Make a question that this server asks an upstream on its own account: a health check, or a probe of `loop`."""
    packet = bytes(make_query(name, qtype, rd=int(recurses)).pack())
    flags = int.from_bytes(packet[2:4], "big")
    return Question(packet[HEADER_BYTES:-_KIND_BYTES], packet[-_KIND_BYTES:], flags, is_stream=is_stream)


def read_header(packet: bytes) -> "DNSHeader":
    """Read a message's header, and nothing after it. Raises Malformed."""
    from dnslib import DNSBuffer, DNSError, DNSHeader

    try:
        return DNSHeader.parse(DNSBuffer(packet[:HEADER_BYTES]))
    except DNSError as problem:
        raise Malformed(str(problem)) from problem


def read_message(packet: bytes) -> "DNSRecord":
    """Read a message of at most MAX_BYTES. Raises Malformed, and nothing else, whatever the bytes are."""
    from dnslib import DNSRecord

    if len(packet) > MAX_BYTES:
        raise Malformed(f"message longer than {MAX_BYTES} bytes")
    try:
        return DNSRecord.parse(packet)
    except Exception as problem:  # DNSError, but RecursionError and UnicodeDecodeError have been seen as well
        raise Malformed(f"{type(problem).__name__}: {problem}") from problem
