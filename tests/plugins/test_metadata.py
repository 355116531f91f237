"""`metadata`: which queries have labels, the labels of `kubernetes`, and how log lines show them."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from clusterdns.chain import BlockContext, Query, Reply
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.objects import Change, Pod
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import metadata
from clusterdns.plugins.kubernetes.labels import NameLabels
from clusterdns.plugins.log.line import LineFormat, LogEntry
from clusterdns.wire import codes
from clusterdns.wire.name import from_text

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
Through = Callable[..., Coroutine[Any, Any, Reply]]

ZONES = tuple(map(from_text, ("cluster.local.", "in-addr.arpa.")))
KEYS = ("kind", "namespace", "service", "endpoint", "port-name", "protocol")


@pytest.mark.parametrize(
    ("text", "name", "kept"),
    [
        ("metadata", "web.cluster.local.", True),
        ("metadata", "example.org.", False),
        ("metadata example.org", "a.example.org.", True),
        ("metadata example.org", "web.cluster.local.", False),
    ],
)
async def test_queries_outside_the_zones_lose_their_labels(
    make_query: MakeQuery, through: Through, text: str, name: str, kept: bool
) -> None:
    query = make_query(name)
    query.labels = {"a/b": "c"}
    await through(metadata.PLUGIN, text, query, Reply(codes.NOERROR))
    assert query.labels == ({"a/b": "c"} if kept else {})


async def test_later_labels_have_a_dict(make_query: MakeQuery, through: Through) -> None:
    query = make_query("web.cluster.local.")
    await through(metadata.PLUGIN, "metadata", query, Reply(codes.NOERROR))
    assert query.labels == {}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("web.prod.svc.cluster.local.", ("svc", "prod", "web", "", "", "")),
        ("ip.web.prod.svc.cluster.local.", ("svc", "prod", "web", "ip", "", "")),
        ("_http._tcp.web.prod.svc.cluster.local.", ("svc", "prod", "web", "", "http", "tcp")),
        ("10-1-0-9.prod.pod.cluster.local.", ("pod", "prod", "10-1-0-9", "", "", "")),
        ("prod.svc.cluster.local.", ("svc", "prod", "", "", "", "")),
        ("svc.cluster.local.", ("", "", "", "", "", "")),
        ("cluster.local.", ("", "", "", "", "", "")),
        ("example.org.", None),
        ("a.b.cluster.local.", "invalid query name"),
        ("a.b.c.d.e.svc.cluster.local.", "invalid query name"),
        ("9.0.1.10.in-addr.arpa.", "invalid query name"),
    ],
)
def test_labels_of_kubernetes_by_name(make_query: MakeQuery, name: str, values: tuple[str, ...] | str | None) -> None:
    found = NameLabels(ZONES)(make_query(name))
    if values is None:
        assert found == {}
    elif isinstance(values, str):
        assert found == {"kubernetes/parse-error": values}
    else:
        assert found == {f"kubernetes/{key}": value for key, value in zip(KEYS, values, strict=True)}


@pytest.mark.parametrize(
    ("labels", "line"),
    [(None, "- - - -"), ({}, "NXDOMAIN denial - -"), ({"a/b": "c", "a/d": ""}, "NXDOMAIN denial c ")],
)
def test_labels_in_log_lines(make_query: MakeQuery, labels: dict[str, str] | None, line: str) -> None:
    query = make_query("example.org.")
    query.labels = labels
    shown = LineFormat("{/log/type} {/log/class} {/a/b} {/a/d}")(LogEntry(query, Reply(codes.NXDOMAIN), 1))
    assert shown == line


@pytest.mark.parametrize(
    ("text", "problem"),
    [("metadata {\n x\n}", "Corefile:3: unknown property 'x'")],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        metadata.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)


@pytest.mark.parametrize(
    ("name", "zone", "service"),
    [
        ("eu.1a.pin._zone.db.prod.svc.cluster.local", "eu.1a", "db"),
        ("web.prod.svc.cluster.local", "", "web"),
    ],
)
def test_label_of_the_zone_of_zonal_names(make_query: Callable[..., Query], name: str, zone: str, service: str) -> None:
    found = NameLabels(ZONES, zonal=True)(make_query(name))
    assert (found["kubernetes/zone"], found["kubernetes/service"]) == (zone, service)
    assert found["kubernetes/endpoint"] == found["kubernetes/port-name"] == ""


@pytest.mark.parametrize(
    ("client", "namespace", "pod"),
    [("10.1.0.5", "prod", "a"), ("fd00::5", "prod", "a"), ("10.9.9.9", "aside", "agent"), ("10.1.0.6", None, None)],
)
def test_labels_of_the_client_pod(
    make_query: Callable[..., Query], client: str, namespace: str | None, pod: str | None
) -> None:
    index = Index()
    labels = "app.kubernetes.io/name=web,empty="
    for one in (Pod("prod", "a", ("10.1.0.5", "fd00::5"), labels=labels), Pod("prod", "agent", ("10.9.9.9",))):
        index.apply(Change(None, one))
    index.apply(Change(None, Pod("aside", "agent", ("10.9.9.9",))))
    gone = Pod("prod", "gone", ("10.1.0.6",))
    index.apply(Change(None, gone))
    index.apply(Change(gone, None))
    found = NameLabels(ZONES, pods=index.pods)(make_query("example.org", client=(client, 4022)))
    assert found.get("kubernetes/client-namespace") == namespace
    assert found.get("kubernetes/client-pod-name") == pod
    of_pod = {key.removeprefix("kubernetes/client-label/"): value for key, value in found.items() if "client-l" in key}
    assert of_pod == ({"app.kubernetes.io/name": "web", "empty": ""} if pod == "a" else {})


def test_labels_of_the_client_pod_follow_its_changes(make_query: Callable[..., Query]) -> None:
    index = Index()
    states = [Pod("prod", "a", ("10.1.0.5",), labels=labels) for labels in ("tier=one,app=web", "tier=two", "")]
    old = None
    for new, tier in zip([*states, None], ["one", "two", None, None], strict=True):
        index.apply(Change(old, new))
        found = NameLabels(ZONES, pods=index.pods)(make_query("example.org", client=("10.1.0.5", 4022)))
        assert found.get("kubernetes/client-label/tier") == tier
        assert ("kubernetes/client-label/app" in found) is (tier == "one")
        old = new


@pytest.mark.parametrize(
    ("name", "endpoint", "cluster", "port"),
    [
        ("db-0.c1.db.prod.svc.cluster.local", "db-0", "c1", ""),
        ("_http._tcp.db.prod.svc.cluster.local", "", None, "http"),
        ("db.prod.svc.cluster.local", "", None, ""),
        ("x.y.10-1-0-1.prod.pod.cluster.local", "", None, "x"),
        ("a.b.c.db.prod.svc.cluster.local", None, None, None),
    ],
)
def test_label_of_the_cluster_in_multicluster_zones(
    make_query: Callable[..., Query], name: str, endpoint: str | None, cluster: str | None, port: str | None
) -> None:
    found = NameLabels(ZONES, imported=frozenset(ZONES))(make_query(name))
    shown = tuple(found.get(f"kubernetes/{key}") for key in ("endpoint", "cluster", "port-name"))
    assert shown == (endpoint, cluster, port)
