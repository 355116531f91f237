"""Names inside RDATA are found and replaced for every type that has them."""

import pytest

from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text
from clusterdns.wire.rdata import COMPRESSED_TYPES, LAYOUTS, NAME, names_in, with_names
from clusterdns.wire.record import Record

OWNER = from_text("web.example")
ONE, TWO = b"\3One\7Example\0", b"\3two\0"
NUMBERS = bytes(range(20))
STRINGS = b"\1S\7SIP+D2U\0"

# type → RDATA, the names in it, RDATA with each name longer by a label
TABLE = {
    codes.CNAME: (ONE, (ONE,), b"\1x" + ONE),
    codes.DNAME: (ONE, (ONE,), b"\1x" + ONE),
    codes.NS: (ONE, (ONE,), b"\1x" + ONE),
    codes.PTR: (b"\0", (b"\0",), b"\1x\0"),
    codes.MX: (b"\0\5" + ONE, (ONE,), b"\0\5\1x" + ONE),
    codes.SRV: (b"\0\1\0\2\0\3" + ONE, (ONE,), b"\0\1\0\2\0\3\1x" + ONE),
    codes.SOA: (ONE + TWO + NUMBERS, (ONE, TWO), b"\1x" + ONE + TWO + NUMBERS),  # RNAME is a mailbox and stays
    codes.NAPTR: (b"\0\1\0\2" + STRINGS + TWO, (TWO,), b"\0\1\0\2" + STRINGS + b"\1x" + TWO),
}


@pytest.mark.parametrize(("rtype", "rdata", "names", "longer"), [(rtype, *row) for rtype, row in TABLE.items()])
def test_names_are_found_and_replaced(rtype: int, rdata: bytes, names: tuple[bytes, ...], longer: bytes) -> None:
    one = record.record(OWNER, rtype, 60, rdata, codes.CH)
    assert names_in(one) == names
    assert with_names(one, lambda name: b"\1x" + name) == record.record(OWNER, rtype, 60, longer, codes.CH)
    assert with_names(one, lambda name: name) == one


@pytest.mark.parametrize(
    "one",
    [
        record.address(OWNER, 5, bytes(4)),
        record.txt(OWNER, 5, "\3two"),
        record.record(OWNER, codes.RRSIG, 5, bytes(18) + ONE + b"signed"),
        record.record(OWNER, 65280, 5, b""),
    ],
)
def test_other_types_have_no_names_to_replace(one: Record) -> None:
    assert names_in(one) == ()
    assert with_names(one, lambda name: b"\1x" + name) is one


def test_only_types_with_names_are_compressed() -> None:
    assert all(NAME in LAYOUTS[rtype] for rtype in COMPRESSED_TYPES)
