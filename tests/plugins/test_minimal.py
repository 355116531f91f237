"""`minimal`: positive answers lose their authority and additional sections, other replies keep them."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from clusterdns.chain import BlockContext, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import minimal
from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text
from clusterdns.wire.record import Record

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
Through = Callable[..., Coroutine[Any, Any, Reply]]

NAME = from_text("a.example.")
ADDRESS = record.address(NAME, 5, bytes(4))
SOA = record.soa(NAME, 5, NAME, NAME, 1, 5)
NS = record.ns(NAME, 5, NAME)


@pytest.mark.parametrize(
    ("rcode", "answer", "authority", "is_shortened"),
    [
        (codes.NOERROR, (ADDRESS,), (NS,), True),
        (codes.NOERROR, (), (), True),
        (codes.NOERROR, (), (NS,), False),
        (codes.NOERROR, (), (SOA,), False),
        (codes.NXDOMAIN, (), (SOA,), False),
        (codes.SERVFAIL, (), (), False),
    ],
)
async def test_only_positive_answers_are_shortened(
    make_query: MakeQuery, through: Through, rcode: int, answer: tuple[Record, ...], authority: tuple[Record, ...],
    is_shortened: bool,
) -> None:  # fmt: skip
    below = Reply(rcode, answer, authority, (ADDRESS,), reusable=True)
    reply = await through(minimal.PLUGIN, "minimal", make_query("a.example."), below)
    assert reply.answer == answer
    assert (reply.authority, reply.additional) == (((), ()) if is_shortened else (authority, (ADDRESS,)))
    assert (below.authority, below.additional) == (authority, (ADDRESS,))
    assert reply.reusable


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("minimal x", "Corefile:2: Wrong argument count"),
        ("minimal {\n x\n}", "Corefile:3: unknown property 'x'"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        minimal.PLUGIN.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
