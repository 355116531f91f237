"""Sends thousands of questions to one server in seconds: many at once over one UDP socket, the rest over TCP.

A question counts as unanswered only after three tries.
"""

import select
import socket
from collections.abc import Iterable

from differential.questions import Question

IN_FLIGHT = 64
WAITS_SECONDS = (0.7, 1.5, 5.0)  # without a further reply, in each try: the last is for a busy machine
HOST = "127.0.0.1"


def ask_all(port: int, questions: Iterable[Question]) -> dict[Question, bytes | None]:
    """Send each question and return the replies without their IDs, None for each that is missing."""
    wanted = list(dict.fromkeys(questions))
    replies: dict[Question, bytes | None] = dict.fromkeys(wanted)
    for wait_seconds in WAITS_SECONDS:
        for transport, ask in (("udp", _over_udp), ("tcp", _over_tcp)):
            missing = [one for one in wanted if one.shape.transport == transport and replies[one] is None]
            for start in range(0, len(missing), 0xFFFF):
                replies.update(ask(port, missing[start : start + 0xFFFF], wait_seconds))
    return replies


def _over_udp(port: int, questions: list[Question], wait_seconds: float) -> dict[Question, bytes]:
    found: dict[Question, bytes] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.connect((HOST, port))
        sock.settimeout(wait_seconds)
        for start in range(0, len(questions), IN_FLIGHT):
            batch = questions[start : start + IN_FLIGHT]
            for number, one in enumerate(batch, start):
                sock.send(number.to_bytes(2, "big") + one.wire()[2:])
            left = len(batch)
            while left:
                try:
                    reply = sock.recv(65535)
                except TimeoutError:
                    break
                number = int.from_bytes(reply[:2], "big") - start
                if 0 <= number < len(batch) and batch[number] not in found:
                    found[batch[number]] = reply[2:]
                    left -= 1
    return found


def _over_tcp(port: int, questions: list[Question], wait_seconds: float) -> dict[Question, bytes]:
    """Send each batch on a connection of its own, all of it before reading: a batch fits the kernel's buffers."""
    found: dict[Question, bytes] = {}
    for start in range(0, len(questions), IN_FLIGHT):
        batch = questions[start : start + IN_FLIGHT]
        with socket.create_connection((HOST, port), timeout=wait_seconds) as sock:
            messages = [number.to_bytes(2, "big") + one.wire()[2:] for number, one in enumerate(batch)]
            sock.sendall(b"".join(len(message).to_bytes(2, "big") + message for message in messages))
            for reply in _read(sock, len(batch), wait_seconds):
                found[batch[int.from_bytes(reply[:2], "big")]] = reply[2:]
    return found


def _read(sock: socket.socket, count: int, wait_seconds: float) -> list[bytes]:
    replies: list[bytes] = []
    buffer = b""
    while len(replies) < count:
        if not select.select([sock], [], [], wait_seconds)[0]:
            break
        chunk = sock.recv(1 << 18)
        if not chunk:
            break
        buffer += chunk
        while len(buffer) >= 2 and len(buffer) >= 2 + (size := int.from_bytes(buffer[:2], "big")):
            replies.append(buffer[2 : 2 + size])
            buffer = buffer[2 + size :]
    return replies
