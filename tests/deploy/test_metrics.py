"""/metrics compared with CoreDNS's: names, types, labels, label values and buckets after the same questions."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deploy.image import ROOT
from deploy.pair import Side, both

from testing.controlplane import ControlPlane

Series = dict[tuple[str, str], set[tuple[tuple[str, str], ...]]]  # by type and name: the labels of each

COREFILE = """
.:1053 {
    bind HOST
    errors
    health HOST:8080 {
       lameduck 0s
    }
    ready HOST:8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       kubeconfig KUBECONFIG
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus HOST:9153
    hosts FOLDER/hosts hosts.test {
        fallthrough
    }
    template IN A template.test {
        answer "{{ .Name }} 60 IN A 192.0.2.7"
    }
    template IN A failing.test {
        answer "{{ .Name }} 60 IN A {{ index .Match 5 }}"
    }
    template IN A wrong.test {
        answer "{{ .Name }} 60 IN A nonsense"
    }
    acl blocked.test {
        block
    }
    acl filtered.test {
        filter
    }
    acl dropped.test {
        drop
    }
    autopath @kubernetes
    local
    dns64 {
        allow_ipv4
    }
    forward dead.test HOST:1
    forward . UPSTREAM {
       max_concurrent 1000
       health_check 1h
    }
    cache 30 {
       success 2
       prefetch 1
       serve_stale 1h
    }
    loop
    reload
    loadbalance
}
"""
QUESTIONS = """
kubernetes.default.svc.cluster.local. A
kubernetes.default.svc.cluster.local. A do
kubernetes.default.svc.cluster.local. A tcp
nothing.default.svc.cluster.local. A
h.hosts.test. A
x.template.test. A
x.failing.test. A
x.wrong.test. A
x.blocked.test. A
x.filtered.test. A
x.dropped.test. A bare
localhost. A
a.localhost. A
www.example.org. A
www.example.org. A
www.example.org. HTTPS
www.example.org. TYPE65280
x.nxdomain.example.org. A
x.nxdomain.example.org. A
x.only4.example.org. AAAA
x.servfail.example.org. A
one.example.org. A
two.example.org. A
three.example.org. A
1.0.96.10.in-addr.arpa. PTR
x.dead.test. A
"""
NAMESPACE = "metrics-parity"

# Metrics of the runtime and of clusterdns alone; and labels whose values differ by program.
NOT_COMPARED = ("go_", "python_", "clusterdns_")
OWN_VALUES = {"coredns_build_info": {"version", "goversion"}}

# name → why only one of the two has the metric
ONLY_THEIRS = {
    "process_network_receive_bytes": "the Python collector of process metrics lacks it",
    "process_network_transmit_bytes": "as above",
    "process_virtual_memory_max_bytes": "as above",
}
ONLY_OURS = {
    "coredns_reload_version_info": "CoreDNS shows it from the first reload on",
    "coredns_autopath_success": "0 at the start; CoreDNS shows it from the first success on",
}
MAYBE_OURS = {"coredns_kubernetes_rest_client_request_duration_seconds": "CoreDNS mostly streams its lists"}

# name → why clusterdns has more series, which are 0
MORE_OURS = {"coredns_proxy_conn_cache_hits_total": "UDP is counted too, for dashboards that divide hits by misses"}


def series(side: Side) -> Series:
    """Scrape the series by type and name, without those that cannot be equal."""
    found: Series = {}
    for family in side.metrics():
        if family.name.startswith(NOT_COMPARED):
            continue
        own = OWN_VALUES.get(family.name, set())
        for sample in family.samples:
            labels = {
                name: "" if name in own else side.with_placeholders(value) for name, value in sample.labels.items()
            }
            found.setdefault((family.type, sample.name), set()).add(tuple(sorted(labels.items())))
    return found


def family_of(name: str) -> str:
    return re.sub(r"_(total|bucket|sum|count|created)$", "", name)


def change_endpoints(control_plane: ControlPlane) -> None:
    """Create Services and their EndpointSlices, which are annotated with the time of the change."""
    control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    metadata = {"name": "web", "namespace": NAMESPACE}
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    for name, address in (("web", {}), ("headless", {"clusterIP": "None", "selector": {"app": "web"}})):
        spec = {"ports": ports, **address}
        control_plane.apply(
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata | {"name": name}, "spec": spec}
        )
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for name in ("web", "headless"):
        about = {
            "name": f"{name}-1",
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": name},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": began},
        }
        endpoints = [{"addresses": ["10.244.9.9"], "conditions": {"ready": True}}]
        kind = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"}
        control_plane.apply({**kind, "metadata": about, "ports": ports, "endpoints": endpoints})


def wait_for_series(side: Side, name: str) -> None:
    side.wait_until(lambda: any(shown == name for _, shown in series(side)), f"series {name}")


@pytest.fixture(scope="module")
def scraped(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> tuple[Series, Series]:
    """Run both servers, send the questions, and return the series of each."""
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "hosts").write_text("192.0.2.1 h.hosts.test\n")
    corefile = COREFILE.replace("KUBECONFIG", str(control_plane.kubeconfig)).replace("FOLDER", str(folder))
    with both(corefile, folder / "pair") as sides:
        for side in sides:
            for words in QUESTIONS.strip().splitlines():
                side.ask(words)
        change_endpoints(control_plane)
        for side in sides:
            wait_for_series(side, "coredns_kubernetes_dns_programming_duration_seconds_count")
            wait_for_series(side, "coredns_proxy_healthcheck_failures_total")
        theirs, ours = map(series, sides)
    return theirs, ours


def test_names_and_types(scraped: tuple[Series, Series]) -> None:
    theirs, ours = ({(kind, name) for kind, name in one} for one in scraped)
    assert {family_of(name) for _, name in theirs - ours} == set(ONLY_THEIRS)
    assert {family_of(name) for _, name in ours - theirs} - MAYBE_OURS.keys() == set(ONLY_OURS)


def test_labels_and_buckets(scraped: tuple[Series, Series]) -> None:
    theirs, ours = scraped
    different = {
        name: (sorted(theirs[kind, name] - ours[kind, name]), sorted(ours[kind, name] - theirs[kind, name]))
        for kind, name in theirs.keys() & ours.keys()
        if theirs[kind, name] != ours[kind, name] and not (name in MORE_OURS and theirs[kind, name] < ours[kind, name])
    }
    assert different == {}


def test_series_before_the_first_query(tmp_path: Path) -> None:
    """Counters without labels are 0 from the start, even if no block has the plugin."""
    with both(".:1053 {\n bind HOST\n prometheus HOST:9153\n}\n", tmp_path / "pair") as sides:
        theirs, ours = map(series, sides)
    assert {key for key in theirs if not key[1].startswith("process_")} <= ours.keys()
    for kind, name in theirs.keys() & ours.keys():
        assert theirs[kind, name] == ours[kind, name], name


PANELS = re.findall(r"^\| [^|]+ \| `([^`]+)` \|$", (ROOT / "docs" / "metrics.md").read_text("utf-8"), re.MULTILINE)


def test_the_page_has_dashboard_queries() -> None:
    assert len(PANELS) >= 15


@pytest.mark.parametrize("query", PANELS)
def test_each_dashboard_query_has_data(query: str, scraped: tuple[Series, Series]) -> None:
    """Each metric of the query has series with the labels that it selects or groups by."""
    _, ours = scraped
    names = re.findall(r"\b(?:coredns|process)_[a-z_]+", query)
    by = {label for group in re.findall(r"by \(([^)]*)\)", query) for label in re.split(r",\s*", group)}
    selected = dict(re.findall(r'([a-z_]+)="([^"]*)"', query))
    assert names
    for name in names:
        found = [dict(labels) for (_, shown), all_labels in ours.items() if shown == name for labels in all_labels]
        found = [labels for labels in found if selected.items() <= labels.items()]
        assert found, name
        assert all(by <= labels.keys() for labels in found), name
