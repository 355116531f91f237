"""Records as text, in the presentation format of master files. `zonetext` reads it.

Types that the server makes itself, and common ones of upstreams, are written in their own form; all others as bytes,
which every reader of master files understands (RFC 3597 §5).
"""

import struct
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from clusterdns.wire import codes
from clusterdns.wire.name import end_of, to_text
from clusterdns.wire.record import Record

_SRV = struct.Struct(">HHH")
_SOA = struct.Struct(">IIIII")
_NAPTR = struct.Struct(">HH")
_PRINTABLE = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\')


def rdata_text(record: Record) -> str:
    """Return the RDATA as text with absolute names; RDATA that is malformed for its type is written as bytes."""
    write = _WRITERS.get(record.rtype, _unknown)
    try:
        return write(record.rdata)
    except (ValueError, IndexError, struct.error):
        return _unknown(record.rdata)


def _names(rdata: bytes) -> str:
    """Return all names of RDATA that has nothing else."""
    texts = []
    while rdata:
        end = end_of(rdata)
        texts.append(to_text(rdata[:end]))
        rdata = rdata[end:]
    return " ".join(texts)


def _srv(rdata: bytes) -> str:
    priority, weight, port = _SRV.unpack_from(rdata)
    return f"{priority} {weight} {port} {to_text(rdata[_SRV.size :])}"


def _mx(rdata: bytes) -> str:
    return f"{int.from_bytes(rdata[:2], 'big')} {_names(rdata[2:])}"


def _naptr(rdata: bytes) -> str:
    order, preference = _NAPTR.unpack_from(rdata)
    texts = []
    rdata = rdata[_NAPTR.size :]
    for _ in range(3):  # flags, services and regular expression
        end = 1 + rdata[0]
        texts.append(_quoted(rdata[1:end]))
        rdata = rdata[end:]
    return f"{order} {preference} {' '.join(texts)} {_names(rdata)}"


def _caa(rdata: bytes) -> str:
    end = 2 + rdata[1]
    tag = rdata[2:end].decode("ascii")
    if not tag.isalnum():
        raise ValueError("the tag has other characters than letters and digits (RFC 8659 §4.1)")
    return f"{rdata[0]} {tag} {_quoted(rdata[end:])}"


def _soa(rdata: bytes) -> str:
    numbers = _SOA.unpack(rdata[-_SOA.size :])
    return f"{_names(rdata[: -_SOA.size])} {' '.join(map(str, numbers))}"


def _strings(rdata: bytes) -> str:
    texts = []
    while rdata:
        size = rdata[0]
        texts.append(_quoted(rdata[1 : 1 + size]))
        rdata = rdata[1 + size :]
    return " ".join(texts)


def _quoted(raw: bytes) -> str:
    return (
        '"' + "".join(chr(b) if b in _PRINTABLE else f"\\{chr(b)}" if b in b'"\\' else f"\\{b:03}" for b in raw) + '"'
    )


def _unknown(rdata: bytes) -> str:
    return f"\\# {len(rdata)} {rdata.hex()}".rstrip()


_WRITERS: dict[int, Callable[[bytes], str]] = {
    codes.A: lambda rdata: str(IPv4Address(rdata)),
    codes.AAAA: lambda rdata: str(IPv6Address(rdata)),
    codes.CNAME: _names,
    codes.NS: _names,
    codes.PTR: _names,
    codes.DNAME: _names,
    codes.MX: _mx,
    codes.SRV: _srv,
    codes.NAPTR: _naptr,
    codes.CAA: _caa,
    codes.SOA: _soa,
    codes.TXT: _strings,
    codes.HINFO: _strings,
}
