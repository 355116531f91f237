"""A run of records is the same as the records one by one: as a sequence, and in every message."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire.messages import QNAME, make_query

from clusterdns.chain import Reply
from clusterdns.wire import codes, encode, name, record
from clusterdns.wire.decode import decode
from clusterdns.wire.record import Record
from clusterdns.wire.runs import RecordRun, as_run, joined, least_bytes, pieces_of, split_run

OTHER = name.from_text("Db.prod.svc.cluster.local")
CNAME = record.cname(QNAME, 5, OTHER)
SMALL = st.sampled_from((1, 2, 7, 40))
LARGE = st.sampled_from((1, 27, 28, 60, 1300, 4096, 6000))

owners = st.sampled_from((QNAME, OTHER))
transports: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.sampled_from(
    (("udp", {}), ("udp", {"use_edns": 0, "payload": 4096}), ("udp", {"use_edns": 0, "payload": 700}), ("tcp", {}))
)


def addresses(owner: bytes, rtype: int, size: int) -> RecordRun:
    width = 4 if rtype == codes.A else 16
    return RecordRun(owner, rtype, 5, [number.to_bytes(width, "big") for number in range(size)])


def named(owner: bytes, rtype: int, size: int) -> RecordRun:
    fixed = bytes((0, 0, 0, 1, 21, 56)) if rtype == codes.SRV else b""
    return RecordRun(owner, rtype, 5, [fixed + b"%c%b" % (len(str(n)), str(n).encode()) for n in range(size)], OTHER)


def runs(size: int, owner: bytes, rtype: int) -> RecordRun:
    return addresses(owner, rtype, size) if rtype in codes.ADDRESS_TYPES else named(owner, rtype, size)


types = st.sampled_from((codes.A, codes.AAAA, codes.SRV, codes.PTR))
small_runs = st.builds(runs, SMALL, owners, types)
large_runs = st.builds(runs, LARGE, owners, types)
large_glue = st.builds(runs, LARGE, owners, st.sampled_from(codes.ADDRESS_TYPES))


@given(small_runs, st.slices(50), st.integers(-40, 40))
def test_a_run_is_a_sequence_of_its_records(run: RecordRun, cut: slice, index: int) -> None:
    records = tuple(run)
    assert len(run) == len(records)
    assert run == records
    assert run[cut] == records[cut]
    if -len(run) <= index < len(run):
        assert run[index] == records[index]
    assert run.wire_bytes == sum(len(one.name) + len(one.body) for one in records)
    assert least_bytes(run) <= run.wire_bytes
    assert run.with_ttl(7) == [one.with_ttl(7) for one in records]
    assert run.with_name(QNAME) == [one.with_name(QNAME) for one in records]


@given(st.lists(st.one_of(st.just((CNAME,)), st.just(()), small_runs), max_size=3), st.slices(60), st.integers(-9, 9))
def test_joined_records_are_a_sequence(pieces: list[Sequence[Record]], cut: slice, index: int) -> None:
    records = tuple(one for piece in pieces for one in piece)
    found = joined(*pieces)
    assert (tuple(found), len(found)) == (records, len(records))
    assert tuple(found[cut]) == records[cut]
    if -len(records) <= index < len(records):
        assert found[index] == records[index]
    assert tuple(joined(found, (CNAME,))) == (*records, CNAME)
    assert not any(isinstance(one, RecordRun) for one in pieces_of(found)) or split_run(joined(found, (CNAME,))) is None


@settings(max_examples=50)
@given(transports, large_runs, st.booleans(), st.lists(large_glue, max_size=2), st.binary(max_size=60))
def test_a_message_with_runs_has_the_same_bytes_as_one_of_records(
    transport: tuple[str, dict[str, Any]], run: RecordRun, has_cname: bool, extra: list[RecordRun], options: bytes
) -> None:
    query = make_query(transport=transport[0], **transport[1])
    answer, additional = joined((CNAME,) if has_cname else (), run), joined(*extra)
    messages = []
    for sections in ((answer, additional), (tuple(answer), tuple(additional))):
        reply = Reply(0, sections[0], (), sections[1])
        if options:
            reply.explain(codes.EDE_STALE, options.hex())
        messages.append(encode.encode(query, reply).message())
        assert len(messages[-1]) + 2 <= query.size_limit
    assert decode(b"\0\0" + messages[0]) == decode(b"\0\0" + messages[1])
    assert len(messages[0]) == len(messages[1])


@pytest.mark.parametrize("size", [40, 6000])
@pytest.mark.parametrize("has_cname", [False, True])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_every_address_of_a_run_comes_to_be_shown(size: int, has_cname: bool, transport: str) -> None:
    query = make_query(transport=transport)
    run = addresses(OTHER if has_cname else QNAME, codes.A, size)
    reply = Reply(0, joined((CNAME,) if has_cname else (), run))
    reply.rotates = True
    starts = set()
    for _ in range(16):
        found = decode(b"\0\0" + encode.encode(query, reply).message())
        shown = [int.from_bytes(one.rdata) for one in found.answer if one.rtype == codes.A]
        assert shown == [(shown[0] + step) % size for step in range(len(shown))]
        starts.add(shown[0])
    assert len(starts) > 4
    kept = encode.encode(query, reply, for_reuse=True)
    assert kept.rotating.total == size
    assert kept.rotating.shown == len(shown)


def texts(*sizes: int) -> list[Record]:
    return [record.record(OTHER, codes.TXT, 5, bytes((size,)) + bytes(size)) for size in sizes]


UPSTREAM: dict[str, tuple[Sequence[Record], bool]] = {
    "addresses": (tuple(addresses(OTHER, codes.A, 40)), True),
    "names that end alike": (tuple(named(OTHER, codes.PTR, 40)), True),
    "services": (tuple(named(OTHER, codes.SRV, 40)), True),
    "texts of several sizes": (texts(*range(40)), True),
    "too few": (tuple(addresses(OTHER, codes.A, 31)), False),
    "two owner names": ((*addresses(OTHER, codes.A, 40), *addresses(QNAME, codes.A, 40)), False),
    "two types": ((*addresses(OTHER, codes.A, 40), *addresses(OTHER, codes.AAAA, 40)), False),
    "another class": ([record.record(OTHER, codes.A, 5, bytes(4), rclass=3)] * 40, False),
    "names that end differently": ((*named(OTHER, codes.NS, 40), record.ns(OTHER, 5, QNAME)), False),
    "the root": ([record.ns(OTHER, 5, name.ROOT)] * 40, False),
    "mail exchangers": (
        [record.record(OTHER, codes.MX, 5, bytes((0, number)) + b"\1x" + OTHER) for number in range(40)],
        True,
    ),
    "two names": ([record.record(OTHER, codes.MINFO, 5, OTHER + OTHER)] * 40, False),
}


@pytest.mark.parametrize(("records", "is_run"), UPSTREAM.values(), ids=UPSTREAM)
def test_records_of_an_upstream_that_are_a_run_become_one(records: Sequence[Record], is_run: bool) -> None:
    found = as_run(records)
    assert (type(found) is RecordRun) == is_run
    assert tuple(found) == tuple(records)
    several = [one.with_ttl(60 + number % 3) for number, one in enumerate(records)]
    assert as_run(several) is several
    assert (type(as_run(several, 7)) is RecordRun) == is_run
    if is_run:
        assert tuple(as_run(several, 7)) == tuple(one.with_ttl(7) for one in records)


@pytest.mark.parametrize(("records", "is_run"), UPSTREAM.values(), ids=UPSTREAM)
@pytest.mark.parametrize("repeats", [1, 200])
def test_many_records_of_an_upstream_are_read_back_as_sent(
    records: Sequence[Record], is_run: bool, repeats: int
) -> None:
    query = make_query(transport="tcp", use_edns=0)
    sent = [*records] * repeats
    found = decode(query.id + encode.encode(query, Reply(0, sent)).message()).answer
    # a name may come out in the case of an earlier one
    assert [one.body.lower() for one in found] == [one.body.lower() for one in sent[: len(found)]]
    assert len(found) == len(sent) or sum(12 + len(one.rdata) for one in sent[: len(found) + 1]) > 50_000
