"""The layout of RDATA, for every type with names or strings in it; `decode` and `compress` use the table too.

No other type may have compressed names (RFC 3597 §4): its RDATA is plain bytes. The functions here work on whole
records.
"""

from collections.abc import Callable, Iterator

from clusterdns.wire import codes
from clusterdns.wire.name import end_of
from clusterdns.wire.record import Record

# The parts of a layout: a positive number of fixed bytes, or one of these.
NAME = 0
STRING = -1  # RFC 1035 §3.3
STRINGS = -2  # one or more, up to the end
REST = -3  # anything, up to the end

LAYOUTS: dict[int, tuple[int, ...]] = {
    codes.NS: (NAME,),
    codes.MD: (NAME,),
    codes.MF: (NAME,),
    codes.CNAME: (NAME,),
    codes.SOA: (NAME, NAME, 20),
    codes.MB: (NAME,),
    codes.MG: (NAME,),
    codes.MR: (NAME,),
    codes.PTR: (NAME,),
    codes.HINFO: (STRING, STRING),
    codes.MINFO: (NAME, NAME),
    codes.MX: (2, NAME),
    codes.TXT: (STRINGS,),
    codes.RP: (NAME, NAME),
    codes.AFSDB: (2, NAME),
    codes.RT: (2, NAME),
    codes.SIG: (18, NAME, REST),
    codes.PX: (2, NAME, NAME),
    codes.NXT: (NAME, REST),
    codes.SRV: (6, NAME),
    codes.NAPTR: (4, STRING, STRING, STRING, NAME),
    codes.KX: (2, NAME),
    codes.DNAME: (NAME,),
    codes.RRSIG: (18, NAME, REST),
    codes.NSEC: (NAME, REST),
}

# the types whose names a sender may compress (RFC 3597 §4), without the obsolete MD and MF
COMPRESSED_TYPES = frozenset(
    (codes.NS, codes.CNAME, codes.SOA, codes.MB, codes.MG, codes.MR, codes.PTR, codes.MINFO, codes.MX)
)

# the types whose RDATA end in their only name → the bytes before it: none, or the preference of an MX
NAME_TYPES = {
    rtype: sum(LAYOUTS[rtype][:-1])
    for rtype in COMPRESSED_TYPES
    if LAYOUTS[rtype].count(NAME) == 1 and LAYOUTS[rtype][-1] == NAME
}

_REWRITTEN_TYPES = frozenset(
    (codes.CNAME, codes.DNAME, codes.NS, codes.PTR, codes.MX, codes.SRV, codes.SOA, codes.NAPTR)
)
_BODY_FIXED_BYTES = 10  # type, class, TTL and RDLENGTH


def names_in(record: Record) -> tuple[bytes, ...]:
    """Return the names in the RDATA of a CNAME, DNAME, NS, PTR, MX, SRV, SOA or NAPTR, in their case; else none."""
    if record.rtype not in _REWRITTEN_TYPES:
        return ()
    return tuple(record.body[start:end] for start, end in name_spans(record.rtype, record.body))


def with_names(record: Record, change: Callable[[bytes], bytes]) -> Record:
    """Return the record with `change` applied to the names that `names_in` returns; of an SOA to MNAME alone.

    `change` gets each name in its case and may return a name of another length.
    """
    if record.rtype not in _REWRITTEN_TYPES:
        return record
    body = record.body
    parts: list[bytes] = []
    done = _BODY_FIXED_BYTES
    for start, end in name_spans(record.rtype, record.body):
        parts += (body[done:start], change(body[start:end]))
        done = end
        if record.rtype == codes.SOA:
            break
    rdata = b"".join((*parts, body[done:]))
    return Record(record.name, record.rtype, body[:8] + len(rdata).to_bytes(2, "big") + rdata)


def name_spans(rtype: int, body: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each name in the RDATA begins and ends in the body of a record of a type that has a layout."""
    position = _BODY_FIXED_BYTES
    for part in LAYOUTS[rtype]:
        if part == NAME:
            start, position = position, end_of(body, position)
            yield start, position
        elif part == STRING:
            position += 1 + body[position]
        elif part > 0:
            position += part
        else:
            return
