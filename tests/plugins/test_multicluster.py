"""`multicluster` through the whole plugin, over manifests: zones of imports next to the cluster's own."""

from pathlib import Path

import dns.rcode
import pytest
from plugins.serving import running

from clusterdns.cluster.api.collection import cluster_collections, import_collections
from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.plugins.kubernetes.feed import Feed
from clusterdns.plugins.kubernetes.settings import KubernetesSettings
from clusterdns.telemetry.metrics import Registry

MANIFEST = """
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceImport
metadata: {name: web, namespace: prod}
spec: {type: ClusterSetIP, ips: [10.200.0.1], ports: [{name: http, port: 80}]}
---
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceImport
metadata: {name: db, namespace: prod}
spec: {type: Headless}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: db-a
  namespace: prod
  labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: c1}
addressType: IPv4
endpoints: [{addresses: [10.1.1.1], hostname: db-0}]
ports: [{name: http, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], ports: [{name: http, port: 80}]}
"""


@pytest.mark.parametrize(
    ("options", "name", "expected"),
    [
        ("multicluster set.local", "web.prod.svc.set.local", "10.200.0.1"),
        ("multicluster set.local", "web.prod.svc.cluster.local", "10.96.0.1"),
        ("multicluster set.local", "db-0.c1.db.prod.svc.set.local", "10.1.1.1"),
        ("multicluster set.local\nlabels app=none", "web.prod.svc.set.local", "10.200.0.1"),
        ("multicluster set.local\nlabels app=none", "db.prod.svc.set.local", "NXDOMAIN"),
        ("multicluster set.local\nnoendpoints", "db.prod.svc.set.local", "NXDOMAIN"),
        ("multicluster set.local\nnamespaces other", "web.prod.svc.set.local", "NXDOMAIN"),
        ("multicluster set.local\nzonal", "eu.pin._zone.db.prod.svc.set.local", "NXDOMAIN"),
        ("multicluster own.set.local", "web.prod.svc.own.set.local", "10.200.0.1"),
        ("multicluster own.set.local", "web.prod.svc.set.local", "10.96.0.1"),
        ("", "web.prod.svc.set.local", "10.96.0.1"),
        ("", "db.prod.svc.set.local", "NXDOMAIN"),
    ],
)
async def test_zones_of_imports_and_of_the_cluster(options: str, name: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(MANIFEST)
    block = f"kubernetes cluster.local set.local own.set.local {{\nmanifests {tmp_path}\n{options}\n}}"
    async with running(block, tmp_path) as server:
        reply = await server.ask(name)
    found = [one.to_text() for rrset in reply.answer for one in rrset]
    assert (found or [dns.rcode.to_text(reply.rcode())]) == [expected]


def test_without_the_option_there_is_neither_index_nor_watch() -> None:
    settings = KubernetesSettings((b"\x03set\0",))
    assert Feed(settings, Registry()).imports is None
    paths = {place.path for _, place in cluster_collections(ApiSettings())}
    assert not any("multicluster" in path for path in paths)


def test_imports_are_read_per_namespace() -> None:
    settings = ApiSettings(namespaces=("a", "b"), namespace_labels="", labels="app=web", imports=True)
    found = {place.path: place.selectors for _, place in import_collections(settings)}
    imports = "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{}/serviceimports"
    slices = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"
    selector = {"labelSelector": "multicluster.kubernetes.io/service-name,app=web"}
    assert found == {imports.format(one): {} for one in "ab"} | {slices.format(one): selector for one in "ab"}
