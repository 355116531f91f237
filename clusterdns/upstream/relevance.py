"""Which records of an upstream's answer section belong to the question.

A record belongs where its owner is the name of the question, or a name that CNAMEs and DNAMEs lead to from there, and
its type is the one asked for, or one of those, or RRSIG. The order of the records does not count. The authority and
additional sections stay: what they say is never given out as the answer to another question.
"""

from collections.abc import Sequence

from clusterdns.upstream.question import Question
from clusterdns.wire import codes
from clusterdns.wire.decode import Message
from clusterdns.wire.name import MAX_NAME_BYTES, suffixes
from clusterdns.wire.record import Record

MAX_LINKS = 64  # of a chain: more than any resolver follows; bounds the work for a hostile answer
_ALWAYS = frozenset((codes.CNAME, codes.DNAME, codes.RRSIG))


def relevant(question: Question, message: Message) -> Message:
    """Return the message without the records of its answer section that do not belong to the question."""
    name, qtype = question.name, question.kind[0] << 8 | question.kind[1]
    for one in message.answer:
        if one.rtype != qtype or one.name != name:
            break
    else:
        return message
    names = _chain(name, message.answer)
    kept = tuple([one for one in message.answer if _belongs(one, names, qtype)])
    return message if len(kept) == len(message.answer) else message._replace(answer=kept)


def _belongs(one: Record, names: frozenset[bytes], qtype: int) -> bool:
    return one.name in names and (one.rtype == qtype or qtype == codes.ANY or one.rtype in _ALWAYS)


def _chain(name: bytes, answer: Sequence[Record]) -> frozenset[bytes]:
    """Return the names that CNAMEs and DNAMEs lead to, with the owners of those DNAMEs."""
    cnames = {one.name: one.rdata.lower() for one in reversed(answer) if one.rtype == codes.CNAME}
    dnames = {one.name: one.rdata.lower() for one in reversed(answer) if one.rtype == codes.DNAME}
    found = {name}
    for _ in range(MAX_LINKS):
        owner = next((one for one in suffixes(name)[1:] if one in dnames), None) if dnames else None
        target = cnames.get(name)
        if owner is not None:
            found.add(owner)
            target = target or name[: -len(owner)] + dnames[owner]
        if target is None or target in found or len(target) > MAX_NAME_BYTES:
            break
        found.add(target)
        name = target
    return frozenset(found)
