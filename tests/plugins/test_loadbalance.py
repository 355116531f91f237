"""`loadbalance`: which replies rotate, which address comes first, and when the order is random."""

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from clusterdns.chain import BlockContext, Query, Reply, Reuse
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins.loadbalance import directive as loadbalance
from clusterdns.plugins.loadbalance.handler import by_preference, mark_rotating
from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text
from clusterdns.wire.record import Record
from clusterdns.wire.runs import RecordRun, joined, split_run

NAME = from_text("web.prod.svc.cluster.local.")
OTHER = from_text("other.example.")
ONE, TWO, THREE = (record.address(NAME, 5, bytes((10, 0, 0, last))) for last in (1, 2, 3))
FAR = record.address(NAME, 5, bytes((192, 168, 0, 1)))
SIX = record.address(NAME, 5, bytes(16))
CNAME = record.cname(NAME, 5, NAME)
SRV = record.srv(NAME, 5, 50, 80, NAME)
SIGNATURE = record.record(NAME, codes.RRSIG, 5, bytes(30))

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
Through = Callable[..., Coroutine[Any, Any, Reply]]


@pytest.mark.parametrize(
    ("rcode", "answer", "rotates"),
    [
        (codes.NOERROR, (ONE, TWO), True),
        (codes.NOERROR, (CNAME, ONE, TWO), True),
        (codes.NOERROR, (ONE, SIX), False),
        (codes.NOERROR, (ONE, SIGNATURE, TWO), False),
        (codes.NOERROR, (ONE, SIGNATURE, TWO, THREE), False),
        (codes.NOERROR, (ONE, TWO, SIGNATURE), False),
        (codes.NOERROR, (ONE, TWO.with_name(OTHER)), False),
        (codes.NOERROR, (ONE,), False),
        (codes.NOERROR, (CNAME, ONE), False),
        (codes.NOERROR, (SRV, SRV), False),
        (codes.NOERROR, (), False),
        (codes.NXDOMAIN, (ONE, TWO), False),
    ],
)
def test_addresses_of_one_name_and_type_rotate(
    make_query: MakeQuery, rcode: int, answer: tuple[Record, ...], rotates: bool
) -> None:
    reply = Reply(rcode, answer, reusable=True)
    mark_rotating(make_query("web.prod.svc.cluster.local."), reply, 0.1)
    assert reply.rotates == rotates
    assert reply.reusable
    assert reply.answer == answer


@pytest.mark.parametrize(
    "text",
    ["loadbalance", "loadbalance round_robin", "loadbalance\nloadbalance round_robin", "loadbalance {\n prefer\n}",
     "loadbalance weighted nofile\nloadbalance"],
)  # fmt: skip
def test_round_robin_only_observes(read_directives: ReadDirectives, context: BlockContext, text: str) -> None:
    part = loadbalance.build(loadbalance.parse(read_directives(text), context), context)
    assert (part.handling.wrap, part.handling.observe, part.handling.reuse) == (None, mark_rotating, Reuse.COMPILED)


@pytest.mark.parametrize(
    ("answer", "orders", "is_random"),
    [
        ((TWO, FAR), {(FAR, TWO)}, False),
        ((ONE, TWO, FAR), {(FAR, TWO, ONE)}, False),
        ((ONE, THREE, FAR), {(FAR, ONE, THREE), (FAR, THREE, ONE)}, True),
        ((ONE, THREE, CNAME), {(CNAME, ONE, THREE), (CNAME, THREE, ONE)}, True),
        ((SIX, TWO, SIGNATURE), {(TWO, SIX, SIGNATURE)}, False),
        ((ONE,), {(ONE,)}, False),
    ],
)
async def test_addresses_in_preferred_networks_come_first(
    make_query: MakeQuery,
    through: Through,
    answer: tuple[Record, ...],
    orders: set[tuple[Record, ...]],
    is_random: bool,
) -> None:
    text = "loadbalance {\n prefer 192.168.0.0/16 10.0.0.2/32\n}"
    seen = set()
    for _ in range(40):
        below = Reply(codes.NOERROR, answer, reusable=True)
        reply = await through(loadbalance.PLUGIN, text, make_query("web.prod.svc.cluster.local."), below)
        seen.add(tuple(reply.answer))
        assert reply.reusable != is_random
        assert below.answer == answer
    assert seen == orders


NETWORKS = ("10.0.7.0/24", "fd00::/64", "10.0.0.0/20", "10.0.4.0/22", "0.0.0.0/0", "fd00::7/128", "ff00::/8")


@pytest.mark.parametrize("networks", [NETWORKS, NETWORKS[:4], NETWORKS[::-1], NETWORKS[5:6]])
def test_each_address_is_ranked_by_the_first_network_that_has_it(networks: tuple[str, ...]) -> None:
    preferred = [ip_network(one) for one in networks]
    several: list[IPv4Address | IPv6Address] = [
        *(ip_address(f"10.0.{high}.{low}") for high in range(20) for low in (0, 1, 254, 255)),
        *map(ip_address, ("0.0.0.0", "9.255.255.255", "11.0.0.0", "255.255.255.255")),
        *map(ip_address, ("::", "fd00::", "fd00::7", "fd00::8", "fd00::ffff:ffff:ffff:ffff", "fd00:0:0:1::")),
        *map(ip_address, ("feff:ffff::", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
    ]
    packed = [one.packed for one in several]
    for shown in (1, 10, 1000):
        order, is_random = by_preference(preferred)([NAME] * len(packed), packed, shown)
        ranks = [next((rank for rank, one in enumerate(preferred) if several[at] in one), 99) for at in order]
        assert sorted(order) == list(range(len(packed)))
        assert ranks == sorted(ranks)
        assert is_random


def test_an_address_record_of_another_size_comes_last() -> None:
    arrange = by_preference([ip_network("0.0.0.0/0"), ip_network("::/0")])
    assert arrange([NAME] * 3, [b"12345", bytes(16), bytes(4)], 9) == ([2, 1, 0], False)


@pytest.mark.parametrize("shown", [78, 4096])
def test_every_address_of_a_large_group_may_come_first(shown: int) -> None:
    several = [number.to_bytes(4, "big") for number in range(10_000)]
    arrange = by_preference([ip_network("0.0.0.0/24"), ip_network("192.0.2.0/24")])
    orders = [arrange([NAME] * len(several), several, shown)[0] for _ in range(20)]
    for order in orders:
        assert len(set(order)) == len(order) == 65535 // 16 + 1
        assert sorted(order[:256]) == list(range(256))
    for place in (0, 77, shown - 1):
        assert len({order[place] for order in orders}) > 10


@pytest.mark.parametrize("text", ["loadbalance {\n prefer 192.168.0.0/16 10.0.0.0/24\n}", "loadbalance weighted {}"])
@pytest.mark.parametrize("before", [(), (CNAME,)])
async def test_a_run_of_addresses_stays_one(
    make_query: MakeQuery, through: Through, tmp_path: Path, before: tuple[Record, ...], text: str
) -> None:
    file = tmp_path / "weights"
    file.write_text("web.prod.svc.cluster.local\n10.0.0.1 2\n10.0.0.2 1\n")
    several = [bytes((10, 0, high, low)) for high in range(39) for low in range(256)]
    far = [bytes((192, 168, 0, low)) for low in range(9)]
    below = Reply(codes.NOERROR, joined(before, RecordRun(NAME, codes.A, 5, [*several, *far])), reusable=True)
    query = make_query("web.prod.svc.cluster.local.")
    reply = await through(loadbalance.PLUGIN, text.replace("{}", str(file)), query, below)
    found = split_run(reply.answer)
    assert found is not None
    assert tuple(found[0]) == before
    starts = found[1].starts
    assert len(set(starts)) == len(starts)
    assert not reply.reusable
    if "prefer" in text:
        assert set(starts[:9]) == set(far)
        assert set(starts[9:265]) == set(several[:256])
        assert 65535 // 16 < len(starts) < 65535 // 15  # one more than a message holds
    else:
        assert set(starts) == {*several, *far}


async def test_the_first_address_is_drawn_by_weight(make_query: MakeQuery, through: Through, tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_text("web.prod.svc.cluster.local\n10.0.0.1 2\n10.0.0.2 1\n")
    firsts: Counter[Record] = Counter()
    for _ in range(600):
        below = Reply(codes.NOERROR, (THREE, TWO, ONE), reusable=True)
        reply = await through(
            loadbalance.PLUGIN, f"loadbalance weighted {file}", make_query("web.prod.svc.cluster.local."), below
        )
        firsts[reply.answer[0]] += 1
        assert sorted(reply.answer) == sorted(below.answer)
        assert not reply.reusable
    assert 220 < firsts[ONE] < 380  # of 300; seven standard deviations
    assert 80 < firsts[TWO] < 220
    assert 80 < firsts[THREE] < 220


@pytest.mark.parametrize(
    ("qtype", "rcode", "answer"),
    [("MX", codes.NOERROR, (ONE, TWO)), ("A", codes.NXDOMAIN, (ONE, TWO)), ("A", codes.NOERROR, (ONE,))],
)
async def test_weights_apply_to_several_addresses_in_positive_replies(
    make_query: MakeQuery, through: Through, qtype: str, rcode: int, answer: tuple[Record, ...]
) -> None:
    below = Reply(rcode, answer, reusable=True)
    query = make_query("web.prod.svc.cluster.local.", qtype)
    assert await through(loadbalance.PLUGIN, "loadbalance weighted nofile", query, below) is below


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("loadbalance random", "Corefile:2: 'random' is not one of round_robin, weighted"),
        ("loadbalance weighted", "Corefile:2: Wrong argument count"),
        ("loadbalance weighted a b", "Corefile:2: Wrong argument count"),
        ("loadbalance round_robin twice", "Corefile:2: Wrong argument count"),
        ("loadbalance {\n prefer 10.0.0.x\n}", "Corefile:3: '10.0.0.x' is not a network"),
        ("loadbalance {\n reload 3s\n}", "Corefile:3: unknown property 'reload'"),
        ("loadbalance weighted nofile {\n prefer 10.0.0.0/8\n}", "Corefile:3: unknown property 'prefer'"),
        ("loadbalance weighted nofile {\n reload -1s\n}", "Corefile:3: '-1s' is out of range"),
    ],
)
def test_errors_name_their_line(
    read_directives: ReadDirectives, context: BlockContext, text: str, problem: str
) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        loadbalance.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
