"""`autopath`: which names are looked up, which reply is sent, and which is reusable. See also tests/differential."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from clusterdns.chain import BlockContext, Part, Query, Reply, code_only, failure
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.objects import Change, Namespace, Pod
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import autopath
from clusterdns.plugins.kubernetes.exports import ClusterExports
from clusterdns.telemetry.metrics import Series
from clusterdns.wire import codes, record
from clusterdns.wire.name import ROOT, from_text, to_text

ReadDirectives = Callable[[str], Sequence[Directive]]
MakeQuery = Callable[..., Query]

ZONE = from_text("cluster.local")
PROD, ASIDE, HOST = "10.1.0.5", "10.1.0.6", "10.9.9.9"
ADDRESS = bytes((192, 0, 2, 1))


class Below:
    """The rest of the chain: the names that exist, and the queries it got."""

    def __init__(self, *names: str) -> None:
        self.replies: dict[bytes, Reply] = {}
        self.asked: list[str] = []
        for text in names:
            name = from_text(text)
            reply = Reply(codes.NOERROR, (record.address(name, 30, ADDRESS),), dependencies=(text,), reusable=True)
            self.replies[name] = reply

    async def __call__(self, query: Query) -> Reply:
        self.asked.append(to_text(query.name).removesuffix("."))
        missing = Reply(codes.NXDOMAIN, dependencies=(f"no {self.asked[-1]}",), reusable=True)
        return self.replies.get(query.name, missing)


@pytest.fixture
def cluster() -> ClusterExports:
    index = Index()
    for obj in (
        Namespace("prod"),
        Pod("prod", "a", (PROD, "fd00::5")),
        Pod("aside", "b", (ASIDE,)),
        Pod("prod", "agent", (HOST,)),
        Pod("aside", "agent", (HOST,)),
    ):
        index.apply(Change(None, obj))
    return ClusterExports(index, frozenset((ZONE,)), True, tuple, str)


def of_pods(cluster: ClusterExports | None, below: Below, zone: bytes = ROOT) -> autopath.AutopathHandler:
    settings = autopath.AutopathSettings((zone,), True, (from_text("corp.example"),))
    return autopath.AutopathHandler(settings, cluster, Series(), below)


def of_file(below: Below, success: Series | None = None) -> autopath.AutopathHandler:
    domains = tuple(map(from_text, ("first.test", "second.test")))
    return autopath.AutopathHandler(
        autopath.AutopathSettings((ROOT,), False, domains), None, success or Series(), below
    )


LIST = [
    "www.example.org.prod.svc.cluster.local",
    "www.example.org.svc.cluster.local",
    "www.example.org.cluster.local",
    "www.example.org.corp.example",
    "www.example.org",
]


@pytest.mark.parametrize("client", [PROD, "fd00::5", HOST])
@pytest.mark.parametrize("place", range(5))
async def test_the_search_list_of_the_clients_pod(
    make_query: MakeQuery, cluster: ClusterExports, client: str, place: int
) -> None:
    below = Below(LIST[place])
    query = make_query(LIST[0], client=(client, 4022))
    reply = await of_pods(cluster, below)(query)
    assert below.asked == LIST[: place + 1]
    found = record.address(from_text(LIST[place]), 30, ADDRESS)
    alias = [record.cname(query.name, 30, found.name)] if place else []
    assert list(reply.answer) == [*alias, found]
    assert reply.reusable is (place == 0), "what was found for one pod is nobody else's"


@pytest.mark.parametrize(
    ("name", "client"),
    [
        (LIST[0], ASIDE),  # of another namespace
        (LIST[0], "10.200.0.1"),  # no pod
        ("www.svc.cluster.local", PROD),
        ("prod.svc.cluster.local", PROD),
        ("www.example.org.prod.pod.cluster.local", PROD),
        ("www.example.org", PROD),
        ("svc", PROD),
        ("cluster.local", PROD),
    ],
)
async def test_names_without_a_search_domain(
    make_query: MakeQuery, cluster: ClusterExports, name: str, client: str
) -> None:
    below = Below("www.example.org")
    reply = await of_pods(cluster, below)(make_query(name, client=(client, 4022)))
    assert below.asked == [name]
    assert reply.reusable is (name != LIST[0]), "a pod of that namespace is to hear something else"


async def test_other_zones_and_transfers_pass(make_query: MakeQuery, cluster: ClusterExports) -> None:
    below = Below()
    await of_pods(cluster, below, from_text("example.org"))(make_query(LIST[0], client=(PROD, 4022)))
    await of_pods(cluster, below)(make_query(LIST[0], "AXFR", client=(PROD, 4022)))
    await of_pods(None, below)(make_query(LIST[0], client=(PROD, 4022)))
    assert below.asked == [LIST[0]] * 3


async def test_a_name_without_a_match_gets_the_first_negative_answer(
    make_query: MakeQuery, cluster: ClusterExports
) -> None:
    below = Below()
    reply = await of_pods(cluster, below)(make_query(LIST[0], client=(PROD, 4022)))
    assert below.asked == LIST
    assert (reply.rcode, reply.dependencies[0], reply.reusable) == (codes.NXDOMAIN, f"no {LIST[0]}", False)


async def test_the_search_list_of_a_file_is_for_all_clients_and_reusable(make_query: MakeQuery) -> None:
    below, success = Below("www.second.test"), Series()
    reply = await of_file(below, success)(make_query("www.first.test"))
    assert reply.reusable
    assert reply.dependencies == ("no www.first.test", "www.second.test")
    assert (reply.counted, success.value) == ((success,), 1)
    assert below.replies[from_text("www.second.test")].answer == reply.answer[1:], "others may hold the same reply"
    denied = await of_file(below)(make_query("other.first.test"))
    assert denied.dependencies == ("no other.first.test", "no other.second.test", "no other")


async def test_names_without_address_end_the_search(make_query: MakeQuery) -> None:
    below = Below("www")
    below.replies[from_text("www.second.test")] = Reply(codes.NOERROR)
    reply = await of_file(below)(make_query("www.first.test"))
    assert (reply.rcode, list(reply.answer), below.asked) == (codes.NOERROR, [], ["www.first.test", "www.second.test"])


async def test_an_error_ends_the_search_and_a_bare_code_does_not(make_query: MakeQuery) -> None:
    below = Below("www")
    below.replies[from_text("www.second.test")] = code_only(codes.REFUSED)
    assert (await of_file(below)(make_query("www.first.test"))).rcode == codes.NOERROR
    below.replies[from_text("www.second.test")] = failure(codes.SERVFAIL, "on fire")
    reply = await of_file(below)(make_query("www.first.test"))
    assert (reply.rcode, reply.error) == (codes.SERVFAIL, "on fire")


async def test_names_that_are_too_long_are_not_looked_up(make_query: MakeQuery) -> None:
    long = ".".join(["x" * 60] * 4)
    walk = autopath.AutopathHandler(
        autopath.AutopathSettings((ROOT,), False, (from_text("a"), from_text("b" * 20))),
        None,
        Series(),
        below := Below(),
    )
    await walk(make_query(f"{long}.a"))
    assert below.asked == [f"{long}.a", long]


def test_what_is_read(read_directives: ReadDirectives, context: BlockContext, tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("domain one.test\n# search no.test\nsearch A.test b.test.\nnameserver 127.0.0.1\n")
    domains = (from_text("a.test"), from_text("b.test"))
    read = autopath.parse(
        read_directives("autopath @kubernetes\nautopath x.test 10.0.0.0/8 resolv.conf"), at(context, tmp_path)
    )
    assert read == autopath.AutopathSettings((from_text("x.test"), from_text("10.in-addr.arpa")), False, domains)
    assert autopath.parse(read_directives(f"autopath {path}"), context).zones == context.zones
    assert autopath.parse(read_directives("autopath @kubernetes"), context).is_of_pods


def at(context: BlockContext, root: Path) -> BlockContext:
    return replace(context, root=str(root))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("autopath", "at least 1 argument"),
        ("autopath @erratic", "write @kubernetes"),
        ("autopath /none-at-all/resolv.conf", "cannot read /none-at-all/resolv.conf: No such file"),
        ("autopath @kubernetes {\nttl 5\n}", "unknown property 'ttl'"),
    ],
)
def test_what_is_refused(read_directives: ReadDirectives, context: BlockContext, text: str, message: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors), match=message):
        autopath.parse(read_directives(text), context)


def test_an_invalid_search_domain(read_directives: ReadDirectives, context: BlockContext, tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(f"search {'x' * 70}.test\n")
    with pytest.raises(CorefileError, match="has an invalid search domain"):
        autopath.parse(read_directives(f"autopath {path}"), context)


@pytest.mark.parametrize(("knows_pods", "is_logged"), [(True, False), (False, True), (None, True)])
async def test_without_pods_there_is_a_warning(
    context: BlockContext,
    cluster: ClusterExports,
    caplog: pytest.LogCaptureFixture,
    knows_pods: bool | None,
    is_logged: bool,
) -> None:
    if knows_pods is not None:
        context.parts.append(Part("kubernetes", exports=(replace(cluster, knows_pods=knows_pods),)))
    part = autopath.build(autopath.AutopathSettings((ROOT,), True, ()), context)
    with caplog.at_level(logging.WARNING, "clusterdns.plugin.autopath"):
        assert part.life.start is not None
        await part.life.start()
    assert ("pods verified" in caplog.text) is is_logged
