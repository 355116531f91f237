"""A response before it is encoded: response code, flags and sections. `encode` makes the bytes."""

from collections.abc import Sequence

from clusterdns.wire.record import Record


class Serial:
    """The SOA serial of all zones of an index: Unix seconds of the last change, in wire format.

    Only the index sets it. A compiled negative answer reads it at each use, and so stays valid when it changes.
    """

    __slots__ = ("wire",)

    def __init__(self) -> None:
        self.wire = bytes(4)

    def set(self, unix_seconds: int) -> None:
        """Set the serial, modulo 2**32 (RFC 1982)."""
        self.wire = (unix_seconds & 0xFFFFFFFF).to_bytes(4, "big")


class ResponseMessage:
    """The properties of a response that decide its bytes."""

    __slots__ = (
        "additional", "answer", "authority", "is_authentic", "is_authoritative", "is_truncated", "is_upstream",
        "options", "rcode", "recursion_available", "rotates", "serial",
    )  # fmt: skip

    rcode: int
    answer: Sequence[Record]
    authority: Sequence[Record]
    additional: Sequence[Record]
    is_authoritative: bool
    recursion_available: bool
    is_truncated: bool
    is_authentic: bool  # the AD flag (RFC 4035 §3.2.3)
    is_upstream: bool  # of another server: its records age, have any order, and are the only ones that `cache` keeps
    options: bytes  # EDNS options, packed; sent to clients that use EDNS
    rotates: bool  # successive responses show the addresses at the end of the answer in rotated order
    serial: Serial | None  # of the SOA in this response, when it is the index's
