"""`chaos`: version, authors and host name in class CH."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from clusterdns.chain import BlockContext, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import chaos
from clusterdns.wire import codes

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
Through = Callable[..., Coroutine[Any, Any, Reply]]


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("version.bind.", {b"V 1"}),
        ("VERSION.server.", {b"V 1"}),
        ("authors.bind.", {b"a@b", b"c@d"}),
        ("hostname.bind.", {b"rack7"}),
        ("id.server.", {b"rack7"}),
    ],
)
async def test_answers(
    make_query: MakeQuery, through: Through, monkeypatch: pytest.MonkeyPatch, name: str, texts: set[bytes]
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "rack7")
    query = make_query(name, "TXT")
    query.qclass = codes.CH
    reply = await through(chaos.PLUGIN, 'chaos "V 1" a@b c@d a@b', query, Reply(codes.NXDOMAIN))
    assert {one.rdata[1:] for one in reply.answer} == texts
    assert {(one.rclass, one.ttl, one.rtype) for one in reply.answer} == {(codes.CH, 0, codes.TXT)}
    assert (reply.rcode, reply.is_authoritative, reply.reusable) == (codes.NOERROR, False, len(texts) == 1)


@pytest.mark.parametrize(
    ("name", "qtype", "qclass"),
    [("version.bind.", "TXT", codes.IN), ("version.bind.", "A", codes.CH), ("version.bind.", "TXT", codes.HS),
     ("foo.bind.", "TXT", codes.CH)],
)  # fmt: skip
async def test_other_names_types_and_classes_go_to_the_next_plugin(
    make_query: MakeQuery, through: Through, name: str, qtype: str, qclass: int
) -> None:
    query = make_query(name, qtype)
    query.qclass = qclass
    below = Reply(codes.NXDOMAIN)
    assert await through(chaos.PLUGIN, "chaos", query, below) is below


def test_the_default_version_and_the_cut_of_a_long_one(read_directives: ReadDirectives, context: BlockContext) -> None:
    assert chaos.parse(read_directives("chaos"), context).version.startswith("clusterdns-")
    assert chaos.parse(read_directives(f"chaos {'ä' * 200}"), context).version == "ä" * 127


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("chaos {\n x\n}", "Corefile:3: unknown property 'x'"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        chaos.PLUGIN.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
