"""Why an exchange with another server came to nothing, in the words that CoreDNS's users match on.

`errors { consolidate }` patterns in real Corefiles look for these texts, so they are those of Go's network library. Who
fails decides the words; `pool` makes a reply of the last one.
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
    """An upstream did not answer, or not in a way that can be used."""

    def __init__(self, text: str, info_code: int = codes.EDE_NETWORK_ERROR, *, is_stale: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.info_code = info_code  # RFC 8914
        self.is_stale = is_stale  # an earlier connection was closed by the peer: worth another one at once


def timed_out(where: str) -> ExchangeFailed:
    """No reply in time; `where` as in `read udp SRC->DST`."""
    return ExchangeFailed(f"{where}: {TIMEOUT}", codes.EDE_NO_AUTHORITY)


def broken(where: str, call: str, error: OSError) -> ExchangeFailed:
    """A system call that failed, as in `dial tcp DST: connect: connection refused`."""
    if isinstance(error, TimeoutError):
        return timed_out(where)
    number = error.errno
    if number is None:
        return ExchangeFailed(f"{where}: {error}")
    return ExchangeFailed(f"{where}: {call}: {_GO_WORDS.get(number) or os.strerror(number).lower()}")
