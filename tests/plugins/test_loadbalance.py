"""`loadbalance`: which replies may turn, and which policies exist."""

from collections.abc import Callable, Sequence

import pytest

from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError
from clusterdns.plugins import loadbalance
from clusterdns.plugins.handler import BlockContext, Reuse
from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text
from clusterdns.wire.query import Query
from clusterdns.wire.record import Record
from clusterdns.wire.reply import Reply

NAME = from_text("web.prod.svc.cluster.local.")
ONE, TWO = (record.address(NAME, 5, bytes((10, 0, 0, last))) for last in (1, 2))
SIX = record.address(NAME, 5, bytes(16))
ALIAS = record.cname(NAME, 5, NAME)
SRV = record.srv(NAME, 5, 50, 80, NAME)

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]


@pytest.mark.parametrize(
    ("rcode", "answer", "rotates"),
    [
        (codes.NOERROR, (ONE, TWO), True),
        (codes.NOERROR, (ALIAS, ONE, TWO), True),
        (codes.NOERROR, (ONE, SIX), True),
        (codes.NOERROR, (ONE,), False),
        (codes.NOERROR, (ALIAS, ONE), False),
        (codes.NOERROR, (SRV, SRV), False),
        (codes.NOERROR, (), False),
        (codes.NXDOMAIN, (ONE, TWO), False),
    ],
)
def test_what_turns(make_query: MakeQuery, rcode: int, answer: tuple[Record, ...], rotates: bool) -> None:
    given = Reply(rcode, answer, reusable=True)
    loadbalance.mark(make_query("web.prod.svc.cluster.local."), given, 0.1)
    assert given.rotates == rotates
    assert given.reusable
    assert given.answer == answer


@pytest.mark.parametrize("text", ["loadbalance", "loadbalance round_robin", "loadbalance\nloadbalance round_robin"])
def test_parse(read_directives: ReadDirectives, context: BlockContext, text: str) -> None:
    directives = read_directives(text)
    loadbalance.parse(directives, context)
    assert loadbalance.build(None, context).reuse is Reuse.COMPILED


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("loadbalance weighted weights.txt", "Corefile:2: policy 'weighted' is not supported yet"),
        ("loadbalance random", "Corefile:2: unknown policy 'random'"),
        ("loadbalance round_robin twice", "Corefile:2: Wrong argument count"),
        ("loadbalance {\n prefer 10.0.0.0/8\n}", "Corefile:3: option 'prefer' is not supported yet"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises(CorefileError) as error:
        loadbalance.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
