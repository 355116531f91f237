"""Which records of an upstream's answer belong to the question: dnspython makes the replies, in any order."""

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.upstream.question import Question
from clusterdns.upstream.relevance import MAX_LINKS, relevant
from clusterdns.wire import codes
from clusterdns.wire.decode import decode
from clusterdns.wire.name import from_text

WWW = "www.test. 60 IN A 192.0.2.1"


def kept(name: str, qtype: str, records: list[str], qclass: str = "IN") -> list[str]:
    """Return the records of the answer that belong to the question, in the order given."""
    made = dns.message.make_response(dns.message.make_query(name, qtype, qclass))
    for text in records:
        owner, ttl, rclass, kind, rdata = text.split(" ", 4)
        made.answer.append(dns.rrset.from_text(owner, int(ttl), rclass, kind, rdata))
    message = decode(made.to_wire())
    wire = made.question[0]
    asked = int(wire.rdtype).to_bytes(2, "big") + int(wire.rdclass).to_bytes(2, "big")
    found = relevant(Question(from_text(name.lower()), asked, 0, is_stream=False), message)
    assert (found.authority, found.additional, found.rcode) == (message.authority, message.additional, message.rcode)
    return [text for text, one in zip(records, message.answer, strict=True) if one in found.answer]


CHAIN = ["www.test. 60 IN CNAME a.other.", "a.other. 60 IN CNAME b.third.", "b.third. 60 IN A 192.0.2.1"]
DNAME = [
    "old.test. 60 IN DNAME new.other.",
    "x.y.old.test. 60 IN CNAME x.y.new.other.",
    "x.y.new.other. 60 IN A 192.0.2.1",
]
RING = ["www.test. 60 IN CNAME a.test.", "a.test. 60 IN CNAME www.test."]
SIGNED = [WWW, "www.test. 60 IN RRSIG A 8 2 60 20300101000000 20200101000000 1 test. AAAA"]
FOREIGN = [
    "bank.example. 60 IN A 203.0.113.6",
    "www.other. 60 IN A 203.0.113.6",
    "test. 60 IN A 203.0.113.6",
    "sub.www.test. 60 IN A 203.0.113.6",
    "bank.example. 60 IN CNAME www.test.",
    "bank.example. 60 IN DNAME test.",
]


@pytest.mark.parametrize(
    ("name", "qtype", "own"),
    [
        ("www.test.", "A", [WWW]),
        ("WwW.tEsT.", "A", [WWW]),
        ("www.test.", "A", ["WWW.Test. 60 IN CNAME A.OTHER.", "a.other. 60 IN A 192.0.2.1"]),
        ("www.test.", "A", CHAIN),
        ("www.test.", "A", CHAIN[:2]),
        ("x.y.old.test.", "A", DNAME),
        ("x.y.old.test.", "A", [DNAME[0], DNAME[2]]),  # without the CNAME made of the DNAME
        ("www.test.", "A", RING),
        ("www.test.", "A", SIGNED),
        ("www.test.", "ANY", [WWW, "www.test. 60 IN TXT x", "www.test. 60 IN MX 1 mail.other."]),
        ("www.test.", "CNAME", CHAIN[:1]),
        ("www.test.", "A", []),
    ],
)
@pytest.mark.parametrize("foreign", [[], FOREIGN])
@given(order=st.randoms(use_true_random=False))
def test_records_that_belong_to_the_question_are_kept(
    name: str, qtype: str, own: list[str], foreign: list[str], order: object
) -> None:
    records = own + foreign
    order.shuffle(records)  # type: ignore[attr-defined]
    assert kept(name, qtype, records) == [one for one in records if one in own]


def test_other_types_are_dropped() -> None:
    others = ["www.test. 60 IN TXT x", "www.test. 60 IN AAAA 2001:db8::1"]
    assert kept("www.test.", "A", [*others, WWW]) == [WWW]


def test_a_chain_is_followed_to_a_bound() -> None:
    links = [f"n{number}.test. 60 IN CNAME n{number + 1}.test." for number in range(MAX_LINKS * 20)]
    assert kept("n0.test.", "A", links) == links[: MAX_LINKS + 1]
    ring = [f"n{number}.test. 60 IN DNAME n{number}.n{number}.test." for number in range(2)]
    assert kept("x.n0.test.", "A", ring) == ring[:1]


def test_an_answer_that_belongs_is_not_copied() -> None:
    made = dns.message.make_response(dns.message.make_query("www.test.", "A"))
    made.answer = [dns.rrset.from_text("www.test.", 60, "IN", "A", "192.0.2.1", "192.0.2.2")]
    message = decode(made.to_wire())
    question = Question(from_text("www.test."), codes.A.to_bytes(2, "big") + b"\0\1", 0, is_stream=False)
    assert relevant(question, message) is message
