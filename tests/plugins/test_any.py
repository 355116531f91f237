"""`any`: one HINFO record for queries of type ANY."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from clusterdns.chain import BlockContext, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import any as any_type
from clusterdns.wire import codes

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
Through = Callable[..., Coroutine[Any, Any, Reply]]


async def test_any_is_answered_with_one_hinfo_record(make_query: MakeQuery, through: Through) -> None:
    reply = await through(any_type.PLUGIN, "any", make_query("a.example.", "ANY"), Reply(codes.NXDOMAIN))
    (one,) = reply.answer
    assert (reply.rcode, reply.is_authoritative, reply.reusable) == (codes.NOERROR, False, True)
    assert (one.rtype, one.ttl, one.rdata) == (codes.HINFO, 8482, b"\x0dANY obsoleted\x0cSee RFC 8482")


async def test_other_types_go_to_the_next_plugin(make_query: MakeQuery, through: Through) -> None:
    below = Reply(codes.NXDOMAIN)
    assert await through(any_type.PLUGIN, "any\nany ignored", make_query("a.example.", "A"), below) is below


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("any x", "Corefile:2: Wrong argument count"),
        ("any {\n x\n}", "Corefile:3: unknown property 'x'"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        any_type.PLUGIN.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
