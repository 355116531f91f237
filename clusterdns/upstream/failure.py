"""The failure of an exchange with an upstream, in the words of Go's network library.

CoreDNS logs those words, and `errors { consolidate }` patterns in real Corefiles match them. `pool` raises the failure
of the last exchange; `forward` makes a reply of it.
"""

import errno
import os

from clusterdns.wire import codes

TIMEOUT = "i/o timeout"
_GO_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by peer",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.EPIPE: "broken pipe",
}


class ExchangeFailed(Exception):
    """An upstream that did not reply, or whose reply cannot be used."""

    def __init__(self, text: str, info_code: int = codes.EDE_NETWORK_ERROR, *, is_stale: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.info_code = info_code  # RFC 8914
        self.is_stale = is_stale  # the upstream closed a connection that had worked: a new one may work at once


def timed_out(where: str) -> ExchangeFailed:
    """Describe a time-out; `where` as in `read udp SRC->DST`."""
    return ExchangeFailed(f"{where}: {TIMEOUT}", codes.EDE_NO_AUTHORITY)


def broken(where: str, call: str, error: OSError) -> ExchangeFailed:
    """Describe a system call that failed, as in `dial tcp DST: connect: connection refused`."""
    if isinstance(error, TimeoutError):
        return timed_out(where)
    number = error.errno
    if number is None:
        return ExchangeFailed(f"{where}: {error}")
    return ExchangeFailed(f"{where}: {call}: {_GO_WORDS.get(number) or os.strerror(number).lower()}")
