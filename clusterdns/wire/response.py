"""A response before it is encoded: code, flags and sections. `encode` makes the bytes of it."""

from collections.abc import Sequence

from clusterdns.wire.record import Record


class Serial:
    """The SOA serial of an index, for all its zones: Unix seconds of the last change, as four bytes of wire.

    Written by the index alone. A compiled answer that carries an SOA reads it at each use, so that one number moving
    does not make every negative answer stale.
    """

    __slots__ = ("wire",)

    def __init__(self) -> None:
        self.wire = bytes(4)

    def set(self, unix_seconds: int) -> None:
        """Take a new value; serials wrap at 32 bits (RFC 1982)."""
        self.wire = (unix_seconds & 0xFFFFFFFF).to_bytes(4, "big")


class ResponseMessage:
    """The part of a response that shapes its bytes."""

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
    is_upstream: bool  # from another server: its records age, are in no order of ours, and are the only ones cached
    options: bytes  # EDNS options, encoded; sent to clients that use EDNS
    rotates: bool  # successive responses show the addresses at the end of the answer in rotated order
    serial: Serial | None  # of the SOA in this response, when the index owns that SOA
