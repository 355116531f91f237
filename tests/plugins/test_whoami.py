"""`whoami`: the client's own address, port and transport."""

from collections.abc import Callable, Sequence
from typing import Any

import dns.message
import pytest

from clusterdns.chain import BlockContext, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import whoami
from clusterdns.wire.encode import encode

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]


async def answer(query: Query) -> Reply:
    part = whoami.PLUGIN.build(None, BlockContext((), "", None, None))  # type: ignore[arg-type]  # it reads neither
    assert part.handling.wrap is not None

    async def never(query: Query) -> Reply:
        raise AssertionError("whoami ends the chain")

    return await part.handling.wrap(never)(query)


@pytest.mark.parametrize(
    ("client", "transport", "qtype", "lines"),
    [
        (("10.1.0.9", 40222), "udp", "A",
         ["a.example. 0 IN A 10.1.0.9", "_udp.a.example. 0 IN SRV 0 0 40222 ."]),
        (("10.1.0.9", 40222), "tcp", "MX",
         ["a.example. 0 IN A 10.1.0.9", "_tcp.a.example. 0 IN SRV 0 0 40222 ."]),
        (("::ffff:10.1.0.9", 1, 0, 0), "udp", "A",
         ["a.example. 0 IN A 10.1.0.9", "_udp.a.example. 0 IN SRV 0 0 1 ."]),
        (("2001:db8::9", 1, 0, 0), "udp", "A",
         ["a.example. 0 IN AAAA 2001:db8::9", "_udp.a.example. 0 IN SRV 0 0 1 ."]),
        (("fe80::9%eth0", 1, 0, 2), "udp", "A",
         ["a.example. 0 IN AAAA fe80::9", "_udp.a.example. 0 IN SRV 0 0 1 ."]),
    ],
)  # fmt: skip
async def test_client_address_port_and_transport(
    make_query: MakeQuery, client: tuple[Any, ...], transport: str, qtype: str, lines: list[str]
) -> None:
    query = make_query("a.example.", qtype, client=client, transport=transport)
    reply = await answer(query)
    assert not reply.reusable
    message = dns.message.from_wire(query.id + encode(query, reply).message())
    assert message.rcode() == 0
    assert message.flags & dns.flags.AA
    assert not message.answer
    assert [line for rrset in message.additional for line in rrset.to_text().splitlines()] == lines


async def test_a_name_too_long_for_the_srv_record_gets_the_address_alone(make_query: MakeQuery) -> None:
    name = ".".join(["a" * 62] * 4) + "."
    reply = await answer(make_query(name))
    assert [one.rtype for one in reply.additional] == [1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("whoami me", "Corefile:2: Wrong argument count"),
        ("whoami {\n loud\n}", "Corefile:3: unknown property 'loud'"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        whoami.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
