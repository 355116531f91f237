"""EDNS options are split and packed byte for byte, and the OPT record of our messages is as dnspython reads it."""

import dns.flags
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.wire import codes
from clusterdns.wire.edns import check_options, iter_options, opt_record, pack_option
from clusterdns.wire.header import Malformed

OPTIONS = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=6)


@given(OPTIONS)
def test_options_are_yielded_whole(options: list[tuple[int, bytes]]) -> None:
    packed = [(code, pack_option(code, content)) for code, content in options]
    raw = b"".join(whole for _, whole in packed)
    check_options(raw)
    assert list(iter_options(raw)) == packed


@pytest.mark.parametrize("raw", [b"\0", b"\0\3\0", b"\0\3\0\1", b"\0\3\0\0\0\x0a\0\2a"])
def test_an_option_that_is_cut_short_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed, match="EDNS option cut short"):
        check_options(raw)


@pytest.mark.parametrize("rcode", [codes.NOERROR, codes.BADVERS, codes.BADCOOKIE, 0xFFF])
@pytest.mark.parametrize("do", [True, False])
@pytest.mark.parametrize("options", [b"", pack_option(codes.NSID, b"rack 7")])
def test_an_opt_record_is_as_dnspython_reads_it(rcode: int, do: bool, options: bytes) -> None:
    header = b"\0\0\x80" + bytes((rcode & 0xF,)) + b"\0\0\0\0\0\0\0\1"
    read = dns.message.from_wire(header + opt_record(rcode, options, do=do))
    assert (read.rcode(), read.edns, read.payload) == (rcode, 0, 1232)
    assert bool(read.ednsflags & dns.flags.DO) is do
    assert [(one.otype, one.to_wire()) for one in read.options] == ([(codes.NSID, b"rack 7")] if options else [])
