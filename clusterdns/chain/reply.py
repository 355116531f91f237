"""A handler's decision about a query: response code, sections, and whether and how long it may be reused."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from clusterdns.wire import codes
from clusterdns.wire.edns import pack_option
from clusterdns.wire.record import Record
from clusterdns.wire.response import ResponseMessage, Serial


class Reply(ResponseMessage):
    """A response code with its sections, and how long it holds.

    The answer compiled from a reply is forgotten when one of the `dependencies` changes; a reply that is not `reusable`
    is not compiled. `errors` logs the text in `error`. A handler that changes a reply of another handler changes a
    `duplicate`, because others may hold the same one.
    """

    __slots__ = (
        "counted",
        "dependencies",
        "error",
        "is_dropped",
        "is_unhandled",
        "is_written",
        "reusable",
        "stream",
    )  # fmt: skip

    def __init__(
        self,
        rcode: int,
        answer: Sequence[Record] = (),
        authority: Sequence[Record] = (),
        additional: Sequence[Record] = (),
        *,
        is_authoritative: bool = True,
        dependencies: tuple[Hashable, ...] = (),
        reusable: bool = False,
        serial: Serial | None = None,
        error: str = "",
    ) -> None:
        self.rcode = rcode
        self.answer = answer
        self.authority = authority
        self.additional = additional
        self.is_authoritative = is_authoritative
        self.recursion_available = False
        self.is_truncated = False
        self.is_authentic = False  # the AD flag (RFC 4035 §3.2.3)
        self.options = b""  # EDNS options, packed; sent to clients that use EDNS
        self.dependencies = dependencies
        self.reusable = reusable
        self.rotates = False  # set by `loadbalance`: successive responses rotate the addresses
        self.serial = serial  # of the SOA in this reply, when it is the index's
        self.error = error
        self.is_unhandled = False  # no zone has the name, or the query reached the end of the chain
        self.is_upstream = False  # of another server: its records age; other replies are never cached
        self.is_written = True  # a message of a plugin or an upstream; False for a response code alone
        self.is_dropped = False  # the client gets no response
        self.stream: Iterable[Record] | None = None  # the records of a zone transfer, sent in several messages
        self.counted: tuple[Any, ...] = ()  # series that each hit of the compiled answer increments

    @property
    def is_empty(self) -> bool:
        """Whether the answer section is empty: NXDOMAIN, NODATA, referral or error."""
        return not self.answer

    @property
    def is_transfer(self) -> bool:
        """Whether this is a zone transfer, which needs a stream (RFC 5936 §2.2)."""
        return self.stream is not None

    def duplicate(self) -> "Reply":
        """Return a copy that may be changed; both share the sections until these are replaced."""
        other = Reply.__new__(Reply)
        other.rcode = self.rcode  # field by field: a loop over the slots takes 1.5 µs more for each forwarded query
        other.answer = self.answer
        other.authority = self.authority
        other.additional = self.additional
        other.is_authoritative = self.is_authoritative
        other.recursion_available = self.recursion_available
        other.is_truncated = self.is_truncated
        other.is_authentic = self.is_authentic
        other.options = self.options
        other.dependencies = self.dependencies
        other.reusable = self.reusable
        other.rotates = self.rotates
        other.serial = self.serial
        other.error = self.error
        other.is_unhandled = self.is_unhandled
        other.is_upstream = self.is_upstream
        other.is_written = self.is_written
        other.is_dropped = self.is_dropped
        other.stream = self.stream
        other.counted = self.counted
        return other

    def explain(self, info_code: int, text: str = "") -> None:
        """Add an extended error: the reason of the response code, for people who debug (RFC 8914)."""
        self.options += pack_option(codes.EDE, info_code.to_bytes(2, "big") + text.encode())


def failure(rcode: int, error: str = "", *, is_unhandled: bool = False) -> Reply:
    """Make an empty reply without AA: a response code and nothing else (REFUSED, SERVFAIL, …)."""
    reply = Reply(rcode, is_authoritative=False, error=error)
    reply.is_written = False
    reply.is_unhandled = is_unhandled
    return reply
