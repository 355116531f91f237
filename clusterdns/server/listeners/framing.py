"""DNS messages in a byte stream: each follows its length in two bytes (RFC 1035 §4.2.2)."""

from clusterdns.wire.header import HEADER_BYTES


def framed(message: bytes) -> bytes:
    """Put the length in front of a message."""
    return len(message).to_bytes(2, "big") + message


def message_end(received: bytes, start: int, size: int) -> int:
    """Return the offset behind the message whose length is at `start`; 0 while its last bytes are missing.

    A length shorter than a header is an error that needs no more bytes, so its end is returned at once.
    """
    if size - start < 2:
        return 0
    end = start + 2 + (received[start] << 8 | received[start + 1])
    return end if end <= size or end - start < 2 + HEADER_BYTES else 0
