"""Copies of queries and replies: every slot is copied, future ones too."""

from clusterdns.chain import Query, Reply
from clusterdns.wire import codes

NAME = b"\1b\0"


def slots(kind: type) -> set[str]:
    """Return every slot of a class and of its bases."""
    return {slot for one in kind.__mro__ for slot in getattr(one, "__slots__", ())}


def test_a_duplicate_has_the_same_fields() -> None:
    reply = Reply(codes.NOERROR)
    for slot in slots(Reply):
        setattr(reply, slot, object())
    other = reply.duplicate()
    assert other is not reply
    assert all(getattr(other, slot) is getattr(reply, slot) for slot in slots(Reply))


def test_asking_changes_the_question_alone() -> None:
    query = Query()
    for slot in slots(Query):
        setattr(query, slot, object())
    changed = query.asking(NAME, codes.AAAA, codes.IN)
    assert (changed.name, changed.qtype, changed.qclass) == (NAME, codes.AAAA, codes.IN)
    assert changed.question == NAME + b"\0\x1c\0\1"
    assert changed.rewritten_as is None
    rest = slots(Query) - {"name", "rewritten_as", "qclass", "qtype", "question"}
    assert all(getattr(changed, slot) is getattr(query, slot) for slot in rest)
