"""EDNS: the options of an OPT record, read and written, and the OPT record of our own messages (RFC 6891 §6.1).

An option is kept whole, with its code and length, so that options of several sources can be joined by `+`. The OPT of a
received message is read by `query` and `decode`.
"""

import struct
from collections.abc import Iterator

from clusterdns.wire import codes
from clusterdns.wire.header import DO, OWN_UDP_BYTES, Malformed

OPTION_HEADER_BYTES = 4  # code and length; the content follows

_OPTION_HEADER = struct.Struct(">HH")
_OPT = struct.Struct(">BHHBBHH")  # root, type, UDP size, extended RCODE, version, flags, RDLENGTH

# our OPT without options, by the upper bits of the response code and DO
_OPTS = {
    (extended, do): _OPT.pack(0, codes.OPT, OWN_UDP_BYTES, extended, 0, DO if do else 0, 0)
    for extended in (0, 1)
    for do in (False, True)
}


def iter_options(options: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the code of each option with the whole option. Raises Malformed where one is cut short."""
    start = 0
    size = len(options)
    while start < size:
        content = start + OPTION_HEADER_BYTES
        if content > size:
            raise Malformed("EDNS option cut short")
        code, length = _OPTION_HEADER.unpack_from(options, start)
        end = content + length
        if end > size:
            raise Malformed("EDNS option cut short")
        yield code, options[start:end]
        start = end


def check_options(options: bytes) -> None:
    """Raise Malformed unless the options are whole."""
    for _ in iter_options(options):
        pass


def extended_errors(options: bytes) -> bytes:
    """Return the extended errors among these options (RFC 8914)."""
    if not options:
        return options
    return b"".join([whole for code, whole in iter_options(options) if code == codes.EDE])


def pack_option(code: int, content: bytes) -> bytes:
    """Return the whole option."""
    return _OPTION_HEADER.pack(code, len(content)) + content


def opt_record(rcode: int, options: bytes, *, do: bool) -> bytes:
    """Return the OPT of a message of ours: our own UDP size, the upper bits of `rcode`, DO, and the options.

    A response repeats the client's DO and nothing else of the client's OPT (RFC 6891 §6.1.1, RFC 3225 §3).
    """
    if not options and rcode < 32:
        return _OPTS[rcode >> 4, do]
    return _OPT.pack(0, codes.OPT, OWN_UDP_BYTES, rcode >> 4, 0, DO if do else 0, len(options)) + options
