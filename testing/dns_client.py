"""One question at a time, over UDP: how the benchmarks learn that a server is up and that an answer is right."""

import socket
import struct

import dns.message
import dns.rdatatype

from testing.ports import LOOPBACK

NOERROR, NXDOMAIN = 0, 3


class Client:
    """A UDP socket towards one server. Replies that are late, or to an earlier question, count as none."""

    def __init__(self, port: int, timeout_seconds: float = 0.25) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(timeout_seconds)
        self._socket.connect((LOOPBACK, port))
        self._id = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def ask(self, question: bytes) -> bytes | None:
        """Send a message under a new ID; the reply, or None."""
        self._id = self._id % 0xFFFF + 1
        stamp = self._id.to_bytes(2, "big")
        try:
            self._socket.send(stamp + question[2:])
            reply = self._socket.recv(65535)
        except OSError:  # nobody listens yet, or the reply is late
            return None
        return reply if reply[:2] == stamp else None


def question(name_text: str, qtype: str = "A") -> bytes:
    """A question with EDNS, as a message."""
    return dns.message.make_query(name_text, qtype, use_edns=0, payload=1232).to_wire()


def outcome(reply: bytes) -> tuple[int, int]:
    """(response code, number of answers) of a reply."""
    flags, _, answers = struct.unpack_from(">HHH", reply, 2)
    return flags & 0xF, answers


def has_address(reply: bytes | None, packed: bytes) -> bool:
    """Whether the reply holds one answer and that is this address."""
    return reply is not None and outcome(reply) == (NOERROR, 1) and len(packed).to_bytes(2, "big") + packed in reply


def is_up(port: int, message: bytes) -> bool:
    """Whether the server answers this question with records, now."""
    client = Client(port)
    try:
        reply = client.ask(message)
        return reply is not None and outcome(reply)[0] == NOERROR and outcome(reply)[1] > 0
    finally:
        client.close()
