"""The manifests of zones/demo: the names of its README exist, and there are no warnings."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from clusterdns.cluster.manifests.controllers import desired_objects
from clusterdns.cluster.manifests.files import ManifestFiles
from clusterdns.cluster.objects import EndpointSlice, Service

DEMO = Path(__file__).resolve().parents[3] / "zones" / "demo"


@pytest.fixture(scope="module")
def files() -> ManifestFiles:
    found = ManifestFiles([str(DEMO)])
    found.read()
    return found


def test_there_are_no_problems(files: ManifestFiles) -> None:
    assert files.problems == []
    assert desired_objects(files.documents()).problems == ()


def test_every_document_is_complete(files: ManifestFiles) -> None:
    """A real API server needs these fields; kubectl fills in the others."""
    for kind, tree, place in files.documents():
        assert tree["apiVersion"], place
        assert kind == "Namespace" or tree["metadata"]["namespace"], place


@pytest.mark.parametrize(
    ("namespace", "name", "families", "port", "endpoints", "target", "hostnames"),
    [
        ("default", "normal-nginx", [4], 80, 3, 80, 0),
        ("default", "headless-nginx", [], 80, 3, 80, 0),
        ("default", "nginx-service", [4], 3017, 2, 5003, 0),
        ("nginx-nodeport", "nginx-service", [4], 3017, 2, 5003, 0),
        ("nginx-loadbalancer", "nginx-service", [4], 3017, 2, 5003, 0),
        ("infrastructure", "mongodb-headless-service", [], 27017, 3, 27017, 3),
        ("default", "app1", [4], 8080, 1, 8080, 0),
        ("default", "my-nginx-headless-svc", [], 80, 2, 80, 0),
        ("legacy-endpoints", "my-nginx-headless-svc", [], 80, 2, 8080, 1),
        ("handmade-slices", "my-nginx-headless-svc", [], 80, 3, 8080, 2),
        ("default", "mysql-svc", [], 3306, 3, 3306, 3),
        ("kube-system", "kube-dns", [4], 53, 2, 53, 0),
        ("default", "dual-nginx", [4, 6], 80, 4, 80, 0),
        ("default", "dual-nginx-headless", [], 80, 4, 80, 0),
    ],
)
def test_services(
    files: ManifestFiles, namespace: str, name: str, families: list[int], port: int, endpoints: int, target: int,
    hostnames: int,
) -> None:  # fmt: skip
    objects = desired_objects(files.documents()).objects
    service = objects[Service, (namespace, name)]
    assert isinstance(service, Service)
    assert [ip_address(text).version for text in service.cluster_ips] == families
    assert service.ports[0].number == port
    slices = [
        one
        for one in objects.values()
        if isinstance(one, EndpointSlice) and (one.namespace, one.service) == (namespace, name)
    ]
    assert {one.ports[0].number for one in slices} == {target}
    found = [endpoint for one in slices for endpoint in one.endpoints]
    assert (len(found), sum(bool(one.hostname) for one in found)) == (endpoints, hostnames)


def test_known_addresses(files: ManifestFiles) -> None:
    """Docs and bookmarks have these addresses, so a change of how they are allocated must be noticed."""
    objects = desired_objects(files.documents()).objects
    found = {key: obj.cluster_ips for (_, key), obj in objects.items() if isinstance(obj, Service)}
    assert found["kube-system", "kube-dns"] == ("10.96.0.10",)
    assert found["default", "normal-nginx"] == ("10.108.191.101",)
    assert found["default", "dual-nginx"] == ("10.98.242.161", "fd00:10:96::c85b")
