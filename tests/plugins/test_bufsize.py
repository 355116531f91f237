"""`bufsize`: the UDP size that a client announces is lowered, never raised."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from clusterdns.chain import BlockContext, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import bufsize
from clusterdns.wire import codes

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
Through = Callable[..., Coroutine[Any, Any, Reply]]


@pytest.mark.parametrize(
    ("text", "edns_bytes", "transport", "left_bytes", "limit"),
    [
        ("bufsize", 4096, "udp", 1232, 1232),
        ("bufsize 600", 4096, "udp", 600, 600),
        ("bufsize 600", 1232, "tcp", 600, 65535),
        ("bufsize 4096", 1000, "udp", 1000, 1000),
        ("bufsize 700\nbufsize 600", 4096, "udp", 700, 700),
        ("bufsize 600", None, "udp", 0, 512),
    ],
)
async def test_announced_size_is_lowered_and_never_raised(
    make_query: MakeQuery, through: Through, text: str, edns_bytes: int | None, transport: str, left_bytes: int,
    limit: int,
) -> None:  # fmt: skip
    query = make_query("a.example.", edns_bytes=edns_bytes, transport=transport)
    below = Reply(codes.NOERROR, reusable=True)
    assert await through(bufsize.PLUGIN, text, query, below) is below
    assert (query.udp_bytes, query.size_limit) == (left_bytes, limit)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("bufsize 511", "Corefile:2: '511' is out of range"),
        ("bufsize 4097", "Corefile:2: '4097' is out of range"),
        ("bufsize 512 4", "Corefile:2: Wrong argument count"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        bufsize.PLUGIN.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
