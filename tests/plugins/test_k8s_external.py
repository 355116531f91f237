"""`k8s_external`: its options, its transfers, and the replies that it makes of lookups in `index.external`."""

from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from clusterdns.chain import BlockContext, Handler, Part, Query, Reply, code_only
from clusterdns.chain.exports import ZoneSource
from clusterdns.chain.fallthrough import Fallthrough
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.objects import Change, Namespace, Object, Port, Service
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import k8s_external
from clusterdns.plugins.k8s_external import ExternalSettings
from clusterdns.plugins.kubernetes.exports import ClusterExports
from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text, to_text

ReadDirectives = Callable[[str], Sequence[Directive]]
MakeQuery = Callable[..., Query]

ZONE = from_text("ex.org")
OBJECTS: list[Object] = [
    Namespace("prod"),
    Service("prod", "web", ports=(Port("http", 80, "TCP"),), external=("192.0.2.1",)),
    Service("prod", "far", ports=(Port("http", 80, "TCP"),), external=("lb.example.net",)),
]


@pytest.fixture
def index() -> Index:
    index = Index(clock=lambda: 1_700_000_000)
    for one in OBJECTS:
        index.apply(Change(None, one))
    index.synced = True
    return index


def built(context: BlockContext, index: Index, settings: ExternalSettings | None = None) -> tuple[Part, Handler]:
    context.parts.append(Part("kubernetes", exports=(ClusterExports(index, frozenset(), False, tuple, str),)))
    part = k8s_external.build(settings or ExternalSettings((ZONE,)), context)

    async def following(query: Query) -> Reply:
        reply = code_only(codes.REFUSED)
        reply.reusable = True
        return reply

    assert part.handling.wrap is not None
    return part, part.handling.wrap(following)


@pytest.mark.parametrize("zone", ["ex.org", "2.0.192.in-addr.arpa"])
async def test_a_start_fills_what_reverse_zones_need(context: BlockContext, index: Index, zone: str) -> None:
    part, _ = built(context, index, ExternalSettings((from_text(zone),)))
    assert part.life.start is not None
    await part.life.start()
    assert bool(list(index.fill_external())) != zone.endswith(".arpa")


async def test_replies_hold_until_the_service_changes(
    context: BlockContext, index: Index, make_query: MakeQuery
) -> None:
    _, handler = built(context, index)
    reply = await handler(make_query("web.prod.ex.org"))
    assert (reply.rcode, [one.rdata for one in reply.answer]) == (codes.NOERROR, [bytes((192, 0, 2, 1))])
    assert reply.reusable
    assert (b"prod", b"web") in reply.dependencies
    denied = await handler(make_query("new.prod.ex.org"))
    assert (denied.rcode, denied.reusable, denied.authority[0].ttl) == (codes.NXDOMAIN, True, 5)
    assert (await handler(make_query("example.org"))).rcode == codes.REFUSED
    index.synced = False
    assert (await handler(make_query("new.prod.ex.org"))).rcode == codes.SERVFAIL


async def test_an_answer_after_fallthrough_is_dropped_when_the_name_appears(
    context: BlockContext, index: Index, make_query: MakeQuery
) -> None:
    _, handler = built(context, index, ExternalSettings((ZONE,), fallthrough=Fallthrough((ZONE,))))
    reply = await handler(make_query("new.prod.ex.org"))
    assert (reply.rcode, reply.reusable) == (codes.REFUSED, True)
    assert (b"prod", b"new") in reply.dependencies


async def test_the_host_of_a_load_balancer_is_followed(
    context: BlockContext, index: Index, make_query: MakeQuery
) -> None:
    target = from_text("lb.example.net")

    async def lookup(query: Query, name: bytes, qtype: int) -> Reply:
        assert (name, qtype) == (target, codes.A)
        return Reply(codes.NOERROR, (record.address(target, 60, bytes(4)),))

    _, handler = built(context, index)
    query = make_query("far.prod.ex.org")
    query.lookup = lookup
    assert [one.rtype for one in (await handler(query)).answer] == [codes.CNAME, codes.A]
    srv = await handler(make_query("far.prod.ex.org", "SRV"))
    assert [one.rdata[6:] for one in srv.answer] == [target]


def test_a_transfer(context: BlockContext, index: Index) -> None:
    part, _ = built(context, index)
    source = next(one for one in part.exports if isinstance(one, ZoneSource))
    assert source.zone_records(from_text("prod.ex.org")) is None
    records = source.zone_records(ZONE)
    assert records is not None
    assert [f"{to_text(one.name)} {codes.type_text(one.rtype)}" for one in records] == [
        "ex.org. SOA", "ex.org. NS",
        "far.prod.ex.org. CNAME", "_http._tcp.far.prod.ex.org. CNAME",
        "web.prod.ex.org. A", "web.prod.ex.org. SRV",
        "_http._tcp.web.prod.ex.org. A", "_http._tcp.web.prod.ex.org. SRV",
        "ex.org. SOA",
    ]  # fmt: skip
    index.synced = False
    assert list(source.zone_records(ZONE) or ("none",)) == []


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("k8s_external", ExternalSettings((from_text("cluster.local"), from_text("in-addr.arpa")))),
        ("k8s_external ex.org {\nheadless\n}", ExternalSettings((ZONE,), headless=True)),
        (
            "k8s_external a.org {\nttl 0\napex top.most\n}\nk8s_external ex.org {\nttl 3600\nfallthrough ex.org\n}",
            ExternalSettings((ZONE,), b"\x03top\x04most", 3600, fallthrough=Fallthrough((ZONE,))),
        ),
    ],
)
def test_what_is_read(
    read_directives: ReadDirectives, context: BlockContext, text: str, settings: ExternalSettings
) -> None:
    context = replace(context, directive_names=frozenset(("kubernetes",)))
    assert k8s_external.parse(read_directives(text), context) == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k8s_external ex.org {\nttl 3601\n}", "out of range"),
        ("k8s_external ex.org {\napex\n}", "at least 1 argument"),
        (f"k8s_external ex.org {{\napex {'x' * 64}\n}}", "is not a domain name"),
        ("k8s_external ex.org {\nheadless yes\n}", "no argument"),
        ("k8s_external ex.org {\nheadles\n}", "headless"),
        (f"k8s_external {'.'.join(['z' * 60] * 4)}", "too long"),
    ],
)
def test_what_is_refused(read_directives: ReadDirectives, context: BlockContext, text: str, message: str) -> None:
    context = replace(context, directive_names=frozenset(("kubernetes",)))
    with pytest.raises((CorefileError, CorefileErrors), match=message):
        k8s_external.parse(read_directives(text), context)


def test_without_kubernetes_it_is_refused(read_directives: ReadDirectives, context: BlockContext) -> None:
    with pytest.raises(CorefileError, match="Corefile:2: kubernetes plugin not loaded; add 'kubernetes'"):
        k8s_external.parse(read_directives("k8s_external ex.org"), context)


def test_the_primary_zone_is_not_a_reverse_zone() -> None:
    reverse = from_text("in-addr.arpa")
    assert ExternalSettings((reverse, ZONE)).primary == ZONE
    assert ExternalSettings((reverse,)).primary == reverse
