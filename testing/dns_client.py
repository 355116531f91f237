"""One question at a time over UDP: whether a server is up, and whether an answer is right.

dnslib makes the questions; replies stay bytes, because benchmarks ask ten thousand times a second.
"""

import socket
import struct

from dnslib import EDNS0, DNSRecord

from testing.ports import LOOPBACK

NOERROR, NXDOMAIN = 0, 3
UDP_BYTES = 1232
MAX_DATAGRAM_BYTES = 65_535


class DnsClient:
    """A UDP socket to one server of loopback. It drops late replies, and replies to earlier questions."""

    def __init__(self, port: int, timeout_seconds: float = 0.25) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(timeout_seconds)
        self._socket.connect((LOOPBACK, port))
        self._id = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def ask(self, question: bytes) -> bytes | None:
        """Send a message under a new ID, and return the reply; None where there is none in time."""
        self._id = self._id % 0xFFFF + 1
        message_id = self._id.to_bytes(2, "big")
        try:
            self._socket.send(message_id + question[2:])
            reply = self._socket.recv(MAX_DATAGRAM_BYTES)
        except OSError:  # no server listens yet, or the reply is late
            return None
        return reply if reply[:2] == message_id else None


def reply_to(port: int, packet: bytes, timeout_seconds: float) -> bytes | None:
    """Send a packet as it is from a new socket, and return what comes back; None where nothing does in time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_seconds)
        try:
            sock.connect((LOOPBACK, port))
            sock.send(packet)
            return sock.recv(MAX_DATAGRAM_BYTES)
        except OSError:
            return None


def question(name_text: str, qtype: str = "A") -> bytes:
    """Make a query with EDNS, in the case of the text."""
    query = DNSRecord.question(name_text, qtype)
    query.add_ar(EDNS0(udp_len=UDP_BYTES))
    return bytes(query.pack())


def outcome(reply: bytes) -> tuple[int, int]:
    """Return (response code, number of answers) of a reply."""
    flags, _, answers = struct.unpack_from(">HHH", reply, 2)
    return flags & 0xF, answers


def has_address(reply: bytes | None, packed: bytes) -> bool:
    """Return whether the reply holds one answer, and that is this address."""
    return reply is not None and outcome(reply) == (NOERROR, 1) and len(packed).to_bytes(2, "big") + packed in reply


def has_records(port: int, message: bytes) -> bool:
    """Ask the server once, and return whether it answers with records."""
    client = DnsClient(port)
    try:
        reply = client.ask(message)
        return reply is not None and outcome(reply)[0] == NOERROR and outcome(reply)[1] > 0
    finally:
        client.close()
