"""`nsid`: the identity of the server for clients that ask for it."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from clusterdns.chain import BlockContext, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import nsid
from clusterdns.wire import codes

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
Through = Callable[..., Coroutine[Any, Any, Reply]]

COOKIE = b"\0\x0a\0\x02ab"
ASKED = b"\0\x03\0\0"


@pytest.mark.parametrize(
    ("options", "added"),
    [(ASKED, b"\0\x03\0\x06rack 7"), (COOKIE + ASKED, b"\0\x03\0\x06rack 7"), (COOKIE, b""), (b"", b"")],
)
async def test_identity_is_added_when_the_query_has_the_option(
    make_query: MakeQuery, through: Through, options: bytes, added: bytes
) -> None:
    query = make_query("a.example.", edns_bytes=1232)
    query.options = options
    below = Reply(codes.NOERROR, reusable=True)
    reply = await through(nsid.PLUGIN, "nsid rack 7", query, below)
    assert reply.options == added
    assert below.options == b""


def test_default_is_the_hosts_name(
    read_directives: ReadDirectives, context: BlockContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "rack7")
    assert nsid.parse(read_directives("nsid"), context) == b"rack7"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nsid {\n x\n}", "Corefile:3: unknown property 'x'"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        nsid.PLUGIN.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
