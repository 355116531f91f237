"""Copies of queries and replies: nothing is left out, whatever slots there will be."""

from clusterdns.wire import codes
from clusterdns.wire.query import Query
from clusterdns.wire.reply import Reply

NAME = b"\1b\0"


def test_a_duplicate_says_the_same() -> None:
    reply = Reply(codes.NOERROR)
    for slot in Reply.__slots__:
        setattr(reply, slot, object())
    other = reply.duplicate()
    assert other is not reply
    assert all(getattr(other, slot) is getattr(reply, slot) for slot in Reply.__slots__)


def test_only_the_question_is_another() -> None:
    query = Query()
    for slot in Query.__slots__:
        setattr(query, slot, object())
    changed = query.asking(NAME, codes.AAAA, codes.IN)
    assert (changed.name, changed.qtype, changed.qclass) == (NAME, codes.AAAA, codes.IN)
    assert changed.question == NAME + b"\0\x1c\0\1"
    assert changed.passed_on is None
    rest = set(Query.__slots__) - {"name", "passed_on", "qclass", "qtype", "question"}
    assert all(getattr(changed, slot) is getattr(query, slot) for slot in rest)
