"""Queries, records and messages for the tests of the encoder."""

from typing import Any

import dns.message
import dns.rrset
from hypothesis import strategies as st

from clusterdns.chain import Query
from clusterdns.chain.query import read_query
from clusterdns.wire import codes, encode, name, record
from clusterdns.wire.record import Record

QNAME = name.from_text("www.Shop.example")
labels = st.binary(min_size=1, max_size=12).map(bytes.lower)
names = st.one_of(
    st.lists(labels, max_size=4).map(lambda parts: name.from_labels(*parts)),
    st.lists(labels, max_size=3).map(lambda parts: name.from_labels(*parts, b"example")),
    st.lists(labels, max_size=2).map(lambda parts: name.from_labels(*parts, b"shop", b"example")),
    st.just(QNAME),
)
ttls = st.integers(0, 2**31 - 1)
texts = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=255)
numbers = st.integers(0, 65535)
records = st.one_of(
    st.builds(record.address, names, ttls, st.ip_addresses().map(lambda address: address.packed)),
    st.builds(record.srv, names, ttls, numbers, numbers, names),
    st.builds(record.ptr, names, ttls, names),
    st.builds(record.cname, names, ttls, names),
    st.builds(record.ns, names, ttls, names),
    st.builds(record.txt, names, ttls, texts),
    st.builds(record.hinfo, names, ttls, texts, texts),
    st.builds(record.soa, names, ttls, names, names, st.integers(0, 2**32 - 1), ttls),
    st.builds(record.record, names, st.just(65280), ttls, st.binary(max_size=300)),
    st.builds(record.record, names, st.just(codes.MX), ttls, names.map(lambda target: b"\0\7" + target)),
    st.builds(record.record, names, st.just(codes.MINFO), ttls, st.tuples(names, names).map(b"".join)),
    st.builds(record.record, names, st.sampled_from([codes.MB, codes.DNAME]), ttls, names),
    st.builds(record.record, names, st.just(codes.NAPTR), ttls, names.map(lambda target: b"\0\1\0\2\1S\0\0" + target)),
    st.builds(lambda target, end: record.ptr(QNAME, 5, target[:-1] + end), names, st.just(b"\7eXAMPLE\0")).filter(
        lambda one: len(one.rdata) <= 255
    ),
)
sections = st.lists(records, max_size=6)


def make_query(qname: str = "www.Shop.example.", transport: str = "tcp", **edns: Any) -> Query:
    """Make a query for A as a client sends it; `edns` goes to dnspython."""
    query = read_query(dns.message.make_query(qname, "A", **edns).to_wire())
    assert isinstance(query, Query)
    query.transport = transport
    return query


def read_back(query: Query, encoded: encode.EncodedMessage) -> dns.message.Message:
    """Read a response with dnspython."""
    return dns.message.from_wire(query.id + encoded.message(), one_rr_per_rrset=True)


def shape(one: Record) -> tuple[bytes, int, int]:
    """Return owner name, type and TTL of a record."""
    return (one.name, one.rtype, one.ttl)


def shapes(section: list[dns.rrset.RRset]) -> list[tuple[bytes, int, int]]:
    """Return owner name, in lower case, type and TTL of records that dnspython read."""
    return [(rrset.name.canonicalize().to_wire() or b"", rrset.rdtype, rrset.ttl) for rrset in section]
