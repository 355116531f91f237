"""`header`: flags of queries and replies."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from clusterdns.chain import BlockContext, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import header
from clusterdns.wire import codes
from clusterdns.wire.header import AA, RA, RD

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
Through = Callable[..., Coroutine[Any, Any, Reply]]


@pytest.mark.parametrize(
    ("rules", "flags", "aa", "ra"),
    [
        ("query set rd aa", RD | AA, True, False),
        ("query clear rd", 0, True, False),
        ("response set ra", RD, True, True),
        ("response clear aa\nresponse clear rd", 0, False, False),
        ("response set AA RA\nresponse clear aa", RD, False, True),
        ("query clear rd\nresponse set rd ra", RD, True, True),
    ],
)
async def test_flags_of_query_and_reply(
    make_query: MakeQuery, through: Through, rules: str, flags: int, aa: bool, ra: bool
) -> None:
    query = make_query("a.example.")
    below = Reply(codes.NOERROR, reusable=True)
    reply = await through(header.PLUGIN, f"header {{\n{rules}\n}}", query, below)
    assert query.flags & (AA | RA | RD) == flags
    assert (reply.is_authoritative, reply.recursion_available, reply.reusable) == (aa, ra, True)
    assert (below.is_authoritative, below.recursion_available) == (True, False)


async def test_a_bare_response_code_is_left_alone(make_query: MakeQuery, through: Through) -> None:
    below = Reply(codes.SERVFAIL)
    below.is_written = False
    assert await through(header.PLUGIN, "header {\nresponse set ra\n}", make_query("a.example."), below) is below


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("header", "Corefile:2: 'header' has no rules"),
        ("header {\n request set rd\n}", "Corefile:3: unknown property 'request'"),
        ("header {\n response set\n}", "Corefile:3: Wrong argument count"),
        ("header {\n response set aa xx\n}", "Corefile:3: 'xx' is not one of aa, ra, rd"),
        ("header {\n response toggle aa\n}", "Corefile:3: 'toggle' is not one of set, clear"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        header.PLUGIN.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
