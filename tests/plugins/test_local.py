"""`local`: names of the local host."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from clusterdns.chain import BlockContext, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import local
from clusterdns.wire import codes
from clusterdns.wire.name import to_text
from clusterdns.wire.presentation.text import rdata_text

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
Through = Callable[..., Coroutine[Any, Any, Reply]]

SOA = "SOA localhost. root.localhost. 1 0 0 0 604800"


@pytest.mark.parametrize(
    ("name", "qtype", "rcode", "section", "shown"),
    [
        ("localhost.", "A", "NOERROR", "answer", "localhost. A 127.0.0.1"),
        ("localhost.", "AAAA", "NOERROR", "answer", "localhost. AAAA ::1"),
        ("localhost.", "SOA", "NOERROR", "answer", f"localhost. {SOA}"),
        ("localhost.", "NS", "NOERROR", "answer", "localhost. NS localhost."),
        ("localhost.", "MX", "NOERROR", "authority", f"localhost. {SOA}"),
        ("127.in-addr.arpa.", "NS", "NOERROR", "answer", "127.in-addr.arpa. NS localhost."),
        ("0.in-addr.arpa.", "SOA", "NOERROR", "answer", f"0.in-addr.arpa. {SOA}"),
        ("255.in-addr.arpa.", "PTR", "NOERROR", "authority", f"255.in-addr.arpa. {SOA}"),
        ("1.0.0.127.in-addr.arpa.", "PTR", "NOERROR", "answer", "1.0.0.127.in-addr.arpa. PTR localhost."),
        ("1.0.0.127.in-addr.arpa.", "A", "NOERROR", "authority", f"127.in-addr.arpa. {SOA}"),
        ("0.0.127.in-addr.arpa.", "A", "NOERROR", "authority", f"127.in-addr.arpa. {SOA}"),
        ("2.0.0.127.in-addr.arpa.", "PTR", "NXDOMAIN", "authority", f"127.in-addr.arpa. {SOA}"),
        ("x.localhost.", "A", "NOERROR", "answer", "x.localhost. A 127.0.0.1"),
        ("x.localhost.", "MX", "NOERROR", "authority", f"x.localhost. {SOA}"),
        ("localhost.example.org.", "AAAA", "NOERROR", "answer", "localhost.example.org. AAAA ::1"),
        ("localhost.example.org.", "NS", "NOERROR", "authority", f"localhost.example.org. {SOA}"),
    ],
)
async def test_answers(
    make_query: MakeQuery, through: Through, name: str, qtype: str, rcode: str, section: str, shown: str
) -> None:
    reply = await through(local.PLUGIN, "local", make_query(name, qtype), Reply(codes.REFUSED))
    assert codes.rcode_text(reply.rcode) == rcode
    (one,) = (*reply.answer, *reply.authority)
    assert one in getattr(reply, section)
    assert f"{to_text(one.name)} {codes.type_text(one.rtype)} {rdata_text(one)}" == shown
    assert one.ttl == 604_800
    assert (reply.is_authoritative, reply.reusable) == (False, True)


@pytest.mark.parametrize(
    ("directive", "name", "count"),
    [
        ("local", "localhost.example.org.", 1),
        ("local", "x.localhost.", 1),
        ("local", "localhost.", 0),
        ("local", "localhosts.example.org.", 0),
        ("local {\nlocalhost_prefix off\n}", "localhost.example.org.", 0),
        ("local {\nlocalhost_prefix off\n}", "x.localhost.", 1),
    ],
)
async def test_names_below_localhost_and_with_its_prefix_are_counted(
    make_query: MakeQuery, through: Through, context: BlockContext, directive: str, name: str, count: int
) -> None:
    reply = await through(local.PLUGIN, directive, make_query(name), Reply(codes.REFUSED))
    series = context.registry.counter("coredns_local_localhost_requests_total", "").labels()
    assert series.value == count
    assert reply.counted == (series,) * count


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("local x", "Corefile:2: Wrong argument count"),
        ("local {\n localhost_prefix maybe\n}", "Corefile:3: 'maybe' is not one of on, off"),
        ("local {\n localhost_prefix\n}", "Corefile:3: Wrong argument count"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        local.PLUGIN.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
