"""What a handler decided about a query: response code and sections, and how long the decision holds."""

from collections.abc import Hashable, Sequence

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


class Reply:
    """A response code with its sections. Handlers may change a reply on its way up, before it is compiled.

    `owners` names what in the cluster the reply depends on; when one of them changes, the compiled answer is forgotten.
    A reply that is not `reusable` is made anew for each query. `error` is the text that the `errors` plugin logs.
    """

    __slots__ = (
        "additional", "answer", "authority", "error", "is_authoritative", "is_truncated", "is_unhandled", "owners",
        "rcode", "recursion_available", "reusable", "rotates", "serial",
    )  # fmt: skip

    def __init__(
        self,
        rcode: int,
        answer: Sequence[Record] = (),
        authority: Sequence[Record] = (),
        additional: Sequence[Record] = (),
        *,
        is_authoritative: bool = True,
        owners: tuple[Hashable, ...] = (),
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
        self.owners = owners
        self.reusable = reusable
        self.rotates = False  # set by loadbalance: successive queries see the addresses in rotated order
        self.serial = serial  # of the SOA in this reply, when that is the index's own
        self.error = error
        self.is_unhandled = False  # nobody here is responsible for the name: no zone, or the end of a chain

    @property
    def is_denial(self) -> bool:
        """NXDOMAIN or NODATA: there are far more of these than of names that exist."""
        return not self.answer


def failure(rcode: int, error: str = "", *, is_unhandled: bool = False) -> Reply:
    """An empty, unauthoritative reply: what the server says of itself (REFUSED, SERVFAIL, …)."""
    reply = Reply(rcode, is_authoritative=False, error=error)
    reply.is_unhandled = is_unhandled
    return reply
