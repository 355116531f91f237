"""What a handler decided about a query: response code and sections, and how long the decision holds."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from clusterdns.wire import codes
from clusterdns.wire.edns import pack_option
from clusterdns.wire.record import Record
from clusterdns.wire.response import ResponseMessage, Serial


class Reply(ResponseMessage):
    """A response code with its sections. Handlers may change a reply on its way up, before it is compiled.

    `dependencies` names what the reply depends on; when one of them changes, the compiled answer is forgotten.
    A reply that is not `reusable` is made anew for each query. `error` is the text that the `errors` plugin logs.
    Whoever changes a reply that it did not make changes a `duplicate`, because others may hold the same one.
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
        self.options = b""  # EDNS options, whole; sent to clients that use EDNS
        self.dependencies = dependencies
        self.reusable = reusable
        self.rotates = False  # set by loadbalance: successive queries see the addresses in rotated order
        self.serial = serial  # of the SOA in this reply, when that is the index's own
        self.error = error
        self.is_unhandled = False  # nobody here is responsible for the name: no zone, or the end of a chain
        self.is_upstream = False  # another server's word, which ages; what we hold ourselves is never cached
        self.is_written = True  # a plugin's or an upstream's message; False where only a code was given
        self.is_dropped = False  # the client hears nothing
        self.stream: Iterable[Record] | None = None  # a zone transfer: what is sent instead, in several messages
        self.counted: tuple[Any, ...] = ()  # series to add one to each time the compiled answer is used again

    @property
    def is_empty(self) -> bool:
        """NXDOMAIN or NODATA: there are far more of these than of names that exist."""
        return not self.answer

    @property
    def is_transfer(self) -> bool:
        """Whether it is a whole zone, which only a stream can take (RFC 5936 §2.2)."""
        return self.stream is not None

    def duplicate(self) -> "Reply":
        """Another reply that says the same and may be changed; the sections are shared until they are replaced."""
        other = Reply.__new__(Reply)
        other.rcode = self.rcode  # one by one: a loop over the slots takes 1.5 µs, on the way of each forwarded query
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
        """Add an extended error: why it is so, for people who debug (RFC 8914)."""
        self.options += pack_option(codes.EDE, info_code.to_bytes(2, "big") + text.encode())


def failure(rcode: int, error: str = "", *, is_unhandled: bool = False) -> Reply:
    """An empty, unauthoritative reply: a code without a message (REFUSED, SERVFAIL, …)."""
    reply = Reply(rcode, is_authoritative=False, error=error)
    reply.is_written = False
    reply.is_unhandled = is_unhandled
    return reply
