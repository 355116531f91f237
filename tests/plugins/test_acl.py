"""`acl`: decisions by name, type and client, their counters, and which of them may be compiled."""

from collections.abc import Callable, Coroutine, Sequence
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from clusterdns.chain import BlockContext, Query, Reply
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import acl
from clusterdns.wire import codes

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
Through = Callable[..., Coroutine[Any, Any, Reply]]

BLOCKED = b"\0\x0f\0\x10\0\x0fblocked by acl"
FILTERED = b"\0\x0f\0\2\0\x11"
RULES = """acl cluster.local {
    allow type A net 10.1.0.0/16 fd00::/8
    filter type AAAA
    drop type TXT net 10.9.9.9
    block type A MX
}
acl db.cluster.local shop.cluster.local {
    block
}"""


@pytest.mark.parametrize(
    ("name", "qtype", "client", "outcome", "is_reusable"),
    [
        ("web.cluster.local.", "A", "10.1.2.3", "allow", False),
        ("web.cluster.local.", "A", "::ffff:10.1.2.3", "allow", False),
        ("web.cluster.local.", "A", "fd12::1%eth0", "allow", False),
        ("web.cluster.local.", "A", "10.2.0.1", "block", False),
        ("web.cluster.local.", "A", "fe80::1", "block", False),
        ("web.cluster.local.", "AAAA", "10.1.2.3", "filter", True),
        ("web.cluster.local.", "TXT", "10.9.9.9", "drop", False),
        ("web.cluster.local.", "TXT", "10.9.9.8", "allow", False),
        ("web.cluster.local.", "MX", "10.1.2.3", "block", True),
        ("web.cluster.local.", "SRV", "10.1.2.3", "allow", True),
        ("a.db.cluster.local.", "A", "10.1.2.3", "allow", False),
        ("a.db.cluster.local.", "SRV", "10.1.2.3", "block", True),
        ("example.org.", "A", "10.2.0.1", "allow", True),
    ],
)
async def test_outcome(
    make_query: MakeQuery, through: Through, name: str, qtype: str, client: str, outcome: str, is_reusable: bool
) -> None:
    below = Reply(codes.NOERROR, reusable=True)
    reply = await through(acl.PLUGIN, RULES, make_query(name, qtype, client=(client, 1)), below)
    assert reply.is_dropped == (outcome == "drop")
    assert reply.rcode == (codes.REFUSED if outcome == "block" else codes.NOERROR)
    assert reply.options == {"block": BLOCKED, "filter": FILTERED}.get(outcome, b"")
    assert reply.is_authoritative == (outcome == "allow")
    assert reply.reusable == is_reusable
    assert below.reusable
    assert below.counted == ()


@pytest.mark.parametrize(
    ("name", "qtype", "family", "labels"),
    [
        ("web.cluster.local.", "AAAA", "coredns_acl_filtered_requests_total", ("dns://:53", "cluster.local.", "")),
        ("a.db.cluster.local.", "SRV", "coredns_acl_blocked_requests_total", ("dns://:53", "db.cluster.local.", "")),
        ("example.org.", "A", "coredns_acl_allowed_requests_total", ("dns://:53", "")),
    ],
)
async def test_a_decision_is_counted_now_and_for_each_use_of_its_compiled_answer(
    make_query: MakeQuery, through: Through, context: BlockContext, name: str, qtype: str, family: str,
    labels: tuple[str, ...],
) -> None:  # fmt: skip
    reply = await through(acl.PLUGIN, RULES, make_query(name, qtype), Reply(codes.NOERROR, reusable=True))
    names = ("server", "view") if len(labels) == 2 else ("server", "zone", "view")
    series = context.registry.counter(family, "", *names).labels(*labels)
    assert series.value == 1
    assert reply.counted == (series,)


@given(some.lists(some.ip_addresses(v=4, network="10.0.0.0/12")), some.ip_addresses(v=4, network="10.0.0.0/12"))
def test_networks_include_the_same_addresses_as_ipaddress(
    addresses: list[values.IPAddress], client: values.IPAddress
) -> None:
    made = [ip_network((address, 8 + int(address) % 25), strict=False) for address in addresses]
    expected = any(client in network for network in made)
    assert acl.Networks(made).include(client) == expected


@pytest.mark.parametrize(
    "text",
    ["acl", "acl {\n}", "acl {\n allow\n}", "acl {\n block net * type *\n}", "acl 10.0.0.0/8 {\n block\n}",
     "acl {\n block type A type AAAA net 1.1.1.1 net 2.2.2.2\n}", "acl {\n block NET 10.0.0.1/8 ::1\n}"],
)  # fmt: skip
def test_forms_that_coredns_accepts(read_directives: ReadDirectives, context: BlockContext, text: str) -> None:
    assert acl.parse(read_directives(text), context)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("deny", "Corefile:3: unknown property 'deny'"),
        ("block type", "Corefile:3: 'type' has no values"),
        ("block type net 10.0.0.0/8", "Corefile:3: 'type' has no values"),
        ("block foo", "Corefile:3: 'foo' is not one of type, net"),
        ("block type FOO", "Corefile:3: 'FOO' is not a record type"),
        ("block net 10.0.0.0/33", "Corefile:3: '10.0.0.0/33' is not a network"),
        ("block net local", "Corefile:3: 'local' is not a network"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, line: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        acl.parse(read_directives(f"acl {{\n{line}\n}}"), context)
    assert str(error.value).startswith(problem)
