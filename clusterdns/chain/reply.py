"""A handler's decision about a query: response code, sections, and whether and how long it may be reused."""

import re
from collections.abc import Hashable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from clusterdns.wire import codes
from clusterdns.wire.edns import extended_errors, pack_option
from clusterdns.wire.record import Record
from clusterdns.wire.response import ResponseMessage, Serial

MAX_CAUSE_BYTES = 160  # a failure with the longest name and this cause fits into 512 bytes

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
# what a cause may quote by chance: credentials of an URL or a header, and tokens (JWT)
_SECRETS = re.compile(r"(?<=//)[^/@\s]+(?=@)|(?i:(?<=bearer )|(?<=basic ))\S+|\beyJ[\w.-]{16,}")


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
        self.options += pack_option(codes.EDE, info_code.to_bytes(2, "big") + text.encode(errors="replace"))

    def take_cause(self, other: "Reply") -> None:
        """Take the error and the extended errors of the reply whose response code or records this reply has taken."""
        self.error = self.error or other.error
        if other.options:
            self.options += extended_errors(other.options)


def failure(
    rcode: int,
    cause: str,
    info_code: int = codes.EDE_OTHER,
    *,
    is_unhandled: bool = False,
    is_logged: bool | None = None,
) -> Reply:
    """Make the reply to a query that fails here (SERVFAIL, REFUSED): the response code, and the cause for people.

    All failures of this server are made here. Clients that use EDNS get the cause as an extended error (RFC 8914), in
    one line of at most 160 bytes and without credentials; `errors` logs the cause of each SERVFAIL, of other codes
    where `is_logged`.
    """
    reply = code_only(rcode)
    reply.explain(info_code, public_text(cause))
    if is_logged or (is_logged is None and rcode == codes.SERVFAIL):
        reply.error = cause
    reply.is_unhandled = is_unhandled
    return reply


def code_only(rcode: int) -> Reply:
    """Make an empty reply without AA: a response code and nothing else."""
    reply = Reply(rcode, is_authoritative=False)
    reply.is_written = False
    return reply


@lru_cache(maxsize=256)  # most causes are constant, and a flood of refused queries has one
def public_text(cause: str) -> str:
    """Return a cause as any client may read it: one line of at most 160 bytes of UTF-8, without credentials."""
    line = _SECRETS.sub("***", _UNPRINTABLE.sub(" ", cause[: 4 * MAX_CAUSE_BYTES])).strip()
    encoded = line.encode()
    if len(encoded) <= MAX_CAUSE_BYTES:
        return line
    return encoded[: MAX_CAUSE_BYTES - 3].decode(errors="ignore") + "…"
