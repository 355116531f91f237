"""The objects that the controllers make of manifests: pods, addresses, slices, namespaces. Each table is one rule."""

import ipaddress
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.cluster.manifests import selectors, workloads
from clusterdns.cluster.manifests.addresses import AddressPool
from clusterdns.cluster.manifests.controllers import DesiredState, Selection, desired_objects
from clusterdns.cluster.manifests.documents import read_documents
from clusterdns.cluster.manifests.problems import Category
from clusterdns.cluster.objects import Endpoint, EndpointSlice, Namespace, Pod, Port, Service

ALL = Selection(pods=True)


def play(text: str, selection: Selection = ALL) -> DesiredState:
    return desired_objects(read_documents(text.encode(), "f.yaml"), selection)


def every(desired: DesiredState, kind: type[Any]) -> list[Any]:
    return [obj for (one, _), obj in sorted(desired.objects.items(), key=lambda item: item[0][1]) if one is kind]


def workload(kind: str = "Deployment", name: str = "web", **spec: Any) -> str:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"ports": PORTS}]}}
    return one(kind, name, spec={"template": template, **spec})


def one(kind: str, name: str, namespace: str | None = None, labels: Any = None, **rest: Any) -> str:
    meta = {"name": name, "namespace": namespace, "labels": labels}
    return yaml.safe_dump({"kind": kind, "metadata": meta, **rest}, sort_keys=False) + "---\n"


def service(name: str = "web", namespace: str | None = None, labels: Any = None, **spec: Any) -> str:
    spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}], **spec}
    return one("Service", name, namespace, labels, spec=spec)


PORTS = [{"name": "web", "containerPort": 8080}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}]


# Workloads


@pytest.mark.parametrize(
    ("kind", "spec", "names"),
    [
        ("Deployment", {}, [r"web-[b-z2-9]{10}-[b-z2-9]{5}"]),
        ("Deployment", {"replicas": 2}, [r"web-[b-z2-9]{10}-[b-z2-9]{5}"] * 2),
        ("Deployment", {"replicas": 0}, []),
        ("ReplicaSet", {"replicas": 2}, [r"web-[b-z2-9]{5}"] * 2),
        ("StatefulSet", {"replicas": 3}, ["web-0", "web-1", "web-2"]),
        ("StatefulSet", {"replicas": 2, "ordinals": {"start": 5}}, ["web-5", "web-6"]),
        ("StatefulSet", {"replicas": None}, ["web-0"]),
        ("DaemonSet", {"replicas": 4}, [r"web-[b-z2-9]{5}"]),  # one node
    ],
)
def test_pods_of_workloads(kind: str, spec: dict[str, Any], names: list[str]) -> None:
    pods = every(play(workload(kind, **spec)), Pod)
    assert len({pod.name for pod in pods}) == len(names)
    for pod, name in zip(pods, names, strict=True):
        assert re.fullmatch(name, pod.name)
        assert pod.namespace == "default"
        assert ipaddress.ip_address(pod.ips[0]) in ipaddress.ip_network("10.244.0.0/16")
        assert ipaddress.ip_address(pod.ips[1]) in ipaddress.ip_network("fd00:10:244::/64")


def test_scaling_keeps_names_and_addresses() -> None:
    few, many = (every(play(workload(replicas=count)), Pod) for count in (20, 400))
    assert set(few) < set(many)


def test_pods_do_not_share_addresses() -> None:
    text = "".join(workload(name=f"w{number}", replicas=100) for number in range(40))
    pods = every(play(text), Pod)
    assert len({ip for pod in pods for ip in pod.ips}) == 2 * len(pods) == 8000


def test_absurd_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workloads, "MAX_PODS", 50)
    desired = play(workload(replicas=10**30) + workload("StatefulSet", "db", replicas=-1))
    assert len(every(desired, Pod)) == 50
    assert [problem.line for problem in desired.problems] == [
        "f.yaml:1: Deployment default/web: the limit of 50 pods is reached; the others are ignored",
        "f.yaml:21: StatefulSet default/db: -1 replicas; skipped",
    ]


def test_a_dump_of_a_cluster_is_not_simulated_again() -> None:
    owner = {"kind": "Deployment", "name": "web", "controller": True}
    replica_set = {"kind": "ReplicaSet", "name": "web-5d", "controller": True}
    dump = [
        {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2}},
        {"kind": "ReplicaSet", "metadata": {"name": "web-5d", "ownerReferences": [owner]}, "spec": {"replicas": 2}},
        *(
            {
                "kind": "Pod",
                "metadata": {"name": name, "ownerReferences": [replica_set], "labels": {"app": "web"}},
                "status": {"phase": "Running", "podIP": ip},
            }
            for name, ip in (("web-5d-a", "10.0.0.1"), ("web-5d-b", "10.0.0.2"))
        ),
        {
            "kind": "EndpointSlice",
            "metadata": {"name": "web-x", "labels": {
                "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            }},
            "endpoints": [{"addresses": ["10.0.0.1"]}],
        },
    ]  # fmt: skip
    desired = play(yaml.safe_dump({"kind": "List", "items": dump}) + "---\n" + service())
    assert [pod.name for pod in every(desired, Pod)] == ["web-5d-a", "web-5d-b"]
    assert [one.name for one in every(desired, EndpointSlice)] == ["web-x"]


# Pods as they are


@pytest.mark.parametrize(
    ("status", "ips", "is_endpoint"),
    [
        ({"podIP": "192.0.2.1"}, ("192.0.2.1",), True),
        ({"podIP": "192.0.2.1", "podIPs": [{"ip": "192.0.2.1"}, {"ip": "2001:DB8::1"}]}, ("192.0.2.1", "2001:db8::1"),
         True),
        ({"phase": "Running", "podIP": "192.0.2.1"}, ("192.0.2.1",), True),
        ({"phase": "Succeeded", "podIP": "192.0.2.1"}, None, False),
        ({"phase": "Failed", "podIP": "192.0.2.1"}, None, False),
        ({"phase": "Unknown", "podIP": "192.0.2.1"}, None, True),
        ({"phase": "Pending"}, None, False),
        ({"podIP": "192.0.2.1", "conditions": [{"type": "Ready", "status": "False"}]}, ("192.0.2.1",), False),
        ({"podIP": "192.0.2.1", "conditions": [{"type": "Ready", "status": "Unknown"}]}, ("192.0.2.1",), False),
        ({"podIP": "192.0.2.1", "conditions": [{"type": "Ready", "status": "True"}]}, ("192.0.2.1",), True),
        ({"podIP": "192.0.2.1", "conditions": [{"type": "Other", "status": "False"}]}, ("192.0.2.1",), True),
    ],
)  # fmt: skip
def test_the_status_of_a_pod_is_used(status: Any, ips: tuple[str, ...] | None, is_endpoint: bool) -> None:
    desired = play(one("Pod", "p", labels={"app": "web"}, status=status) + service())
    assert [pod.ips for pod in every(desired, Pod)] == ([] if ips is None else [ips])
    assert bool(every(desired, EndpointSlice)) is is_endpoint


def test_a_pod_without_status_gets_an_address() -> None:
    (pod,) = every(play(one("Pod", "p", status={})), Pod)
    assert pod.ips[0].startswith("10.244.")


def test_a_terminating_pod_is_not_an_endpoint() -> None:
    meta = {"name": "p", "labels": {"app": "web"}, "deletionTimestamp": "2024-01-01T00:00:00Z"}
    text = yaml.safe_dump({"kind": "Pod", "metadata": meta})
    desired = play(text + "---\n" + service() + service("all", publishNotReadyAddresses=True))
    assert [pod.terminating for pod in every(desired, Pod)] == [True]
    assert [one.service for one in every(desired, EndpointSlice)] == ["all"]


def test_an_address_in_a_manifest_is_not_allocated() -> None:
    (pod,) = every(play(workload("StatefulSet")), Pod)
    taken = one("Pod", "other", status={"podIP": pod.ips[0]})
    ips = {pod.name: pod.ips for pod in every(play(workload("StatefulSet") + taken), Pod)}
    assert ips["other"] == (pod.ips[0],)
    assert ips["web-0"][0] != pod.ips[0]
    assert ips["web-0"][1] == pod.ips[1]


# Services


def in_range(family: str) -> Any:
    network = ipaddress.ip_network("10.96.0.0/12" if family == "4" else "fd00:10:96::/112")
    return lambda text: ipaddress.ip_address(text) in network


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, ["4"]),
        ({"type": "NodePort"}, ["4"]),
        ({"type": "LoadBalancer"}, ["4"]),
        ({"clusterIP": ""}, ["4"]),
        ({"ipFamilies": ["IPv6"]}, ["6"]),
        ({"ipFamilyPolicy": "PreferDualStack"}, ["4", "6"]),
        ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}, ["6", "4"]),
        ({"ipFamilies": ["IPv6", "IPv4"]}, ["6", "4"]),
        ({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6", "IPv4"]}, ["6"]),
        ({"clusterIP": "192.0.2.7"}, ["192.0.2.7"]),
        ({"clusterIPs": ["192.0.2.7", "2001:DB8::7"]}, ["192.0.2.7", "2001:db8::7"]),
        ({"clusterIP": "2001:db8::7", "ipFamilyPolicy": "PreferDualStack"}, ["2001:db8::7", "4"]),
        ({"clusterIP": "None"}, []),
        ({"clusterIPs": ["None"], "ipFamilyPolicy": "PreferDualStack"}, []),
        ({"type": "ExternalName", "externalName": "example.com"}, []),
    ],
)
def test_cluster_ips(spec: dict[str, Any], wanted: list[str]) -> None:
    (found,) = every(play(service(**spec)), Service)
    assert len(found.cluster_ips) == len(wanted)
    for text, want in zip(found.cluster_ips, wanted, strict=True):
        assert in_range(want)(text) if want in ("4", "6") else text == want
    assert found.headless is ("None" in (spec.get("clusterIP"), *spec.get("clusterIPs", [])))
    assert found.external_name == spec.get("externalName", "")


def test_well_known_addresses() -> None:
    text = service("kube-dns", "kube-system", ipFamilyPolicy="PreferDualStack") + service("kubernetes", selector=None)
    ips = [found.cluster_ips for found in every(play(text), Service)]
    assert ips == [("10.96.0.1",), ("10.96.0.10", "fd00:10:96::a")]
    text = service("kube-dns", "kube-system") + service("mine", clusterIP="10.96.0.10")
    mine, dns = every(play(text), Service)
    assert mine.cluster_ips == ("10.96.0.10",)
    assert dns.cluster_ips != mine.cluster_ips
    assert "kubernetes" not in {found.name for found in every(play(service()), Service)}


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (service(clusterIP="nowhere"), "Service default/web: an entry of clusterIPs is neither an IP address nor None"),
        (service(ipFamilies=["IPv5"]), "Service default/web: ipFamilies names 'IPv5', not IPv4 or IPv6"),
        (service(ports=[{"port": 80, "targetPort": 70000}]), "Service default/web: targetPort 70000 is not between"),
        (service(ports=80), "Service default/web: Expected `array"),
        (service(namespace="n" * 64), "its namespace has more than 63 bytes"),
        (one("Service", "web"), "Service default/web: spec is missing"),
        (one("Service", ""), "Service (unnamed): metadata.name is missing"),
        ("kind: Service\n", "Service (unnamed): Object missing required field `metadata`"),
        (one("Pod", "p", "ns", status={"podIP": "x"}), "Pod ns/p: an entry of status.podIPs is not an IP address"),
        (one("Namespace", "n" * 64), "its name has more than 63 bytes"),
        (one("EndpointSlice", "s", "ns", endpoints="none"), "EndpointSlice ns/s: Expected `array"),
        ("metadata: {name: a}\n", "not an object with a kind; skipped"),
    ],
)
def test_an_unusable_object_is_skipped_and_named(text: str, warning: str) -> None:
    desired = play(text + "---\n" + service("good"))
    assert [found.name for found in every(desired, Service)] == ["good"]
    (problem,) = (one for one in desired.problems if one.category is Category.SKIPPED)
    assert problem.line.startswith("f.yaml:1: ")
    assert problem.line.endswith("skipped")
    assert warning in problem.line
    assert problem.kind in problem.line


def test_warnings_about_parts() -> None:
    desired = play(
        one("EndpointSlice", "s", endpoints=[{"addresses": ["10.0.0.1", "x.example.com"]}])
        + one("Service", "web", spec={"ports": [{"port": 80}]})
        + service()
    )
    found = [problem for problem in desired.problems if problem.category is not Category.ENDPOINTS]
    assert [problem.line.partition(": ")[2] for problem in found] == [
        "Service default/web: is also in f.yaml:11; this one is used",
        "EndpointSlice default/s: endpoint address 'x.example.com' is not an IP address; ignored",
    ]
    assert every(desired, Service)[0].ports[0].name == "http"


# Slices


def ports_of(desired: DesiredState) -> list[tuple[str, int, str]]:
    return [(p.name, p.number, p.protocol) for one in every(desired, EndpointSlice) for p in one.ports]


@pytest.mark.parametrize(
    ("ports", "found"),
    [
        ([{"port": 80}], [("", 80, "TCP")]),
        ([{"name": "http", "port": 80, "targetPort": 8000}], [("http", 8000, "TCP")]),
        ([{"name": "http", "port": 80, "targetPort": 0}], [("http", 80, "TCP")]),
        ([{"name": "http", "port": 80, "targetPort": "web"}], [("http", 8080, "TCP")]),
        ([{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns"}], [("dns", 53, "UDP")]),
        ([{"name": "dns", "port": 53, "targetPort": "dns"}], []),  # the pod's is UDP
        ([{"name": "a", "port": 80, "targetPort": "gone"}, {"name": "b", "port": 81}], [("b", 81, "TCP")]),
        ([], []),
        (None, []),
    ],
)
@pytest.mark.parametrize("cluster_ip", ["None", ""])
def test_target_ports(ports: Any, found: list[tuple[str, int, str]], cluster_ip: str) -> None:
    desired = play(workload() + service(ports=ports, clusterIP=cluster_ip))
    assert ports_of(desired) == found
    assert sum(len(one.endpoints) for one in every(desired, EndpointSlice)) == 1


def test_pods_that_name_a_port_differently_are_in_slices_of_their_own() -> None:
    ports = [{"name": "web", "containerPort": 9}]
    other = one("Pod", "p", labels={"app": "web"}, spec={"containers": [{"ports": ports}]})
    desired = play(workload() + other + service(ports=[{"port": 80, "targetPort": "web"}]))
    assert sorted(ports_of(desired)) == [("", 9, "TCP"), ("", 8080, "TCP")]


def test_a_sidecar_has_ports() -> None:
    ports = [{"name": "side", "containerPort": 9}]
    spec = {"initContainers": [{"restartPolicy": "Always", "ports": ports}, {"ports": PORTS}]}
    text = one("Pod", "p", labels={"app": "web"}, spec=spec)
    wanted = [{"name": "a", "port": 1, "targetPort": "side"}, {"name": "b", "port": 2, "targetPort": "web"}]
    assert ports_of(play(text + service(ports=wanted))) == [("a", 9, "TCP")]


@pytest.mark.parametrize(
    ("spec", "families"),
    [
        ({}, [4]),
        ({"clusterIP": "None"}, [4]),
        ({"clusterIP": "None", "ipFamilies": ["IPv6"]}, [6]),
        ({"ipFamilyPolicy": "PreferDualStack"}, [4, 6]),
        ({"clusterIP": "2001:db8::1"}, [6]),
        ({"type": "ExternalName", "externalName": "example.com"}, []),
        ({"selector": None}, []),
        ({"selector": {}}, []),
        ({"selector": {"app": "other"}}, []),
        ({"selector": {"app": "web", "more": "x"}}, []),
    ],
)
def test_slices_of_a_service(spec: dict[str, Any], families: list[int]) -> None:
    desired = play(workload("StatefulSet", replicas=2) + service(**spec))
    found = every(desired, EndpointSlice)
    assert sorted(ipaddress.ip_address(one.endpoints[0].addresses[0]).version for one in found) == families
    for one in found:
        assert one.service == "web"
        assert [endpoint.target_name for endpoint in one.endpoints] == ["web-0", "web-1"]


@pytest.mark.parametrize(
    ("text", "hostnames"),
    [
        (workload("StatefulSet", "db", serviceName="web"), ["db-0"]),
        (workload("StatefulSet", "db", serviceName="other"), [""]),
        (workload("StatefulSet", "x" * 70, serviceName="web"), [""]),
        (workload(), [""]),
        (one("Pod", "p", labels={"app": "web"}, spec={"hostname": "h", "subdomain": "web"}), ["h"]),
        (one("Pod", "p", labels={"app": "web"}, spec={"hostname": "h", "subdomain": "other"}), [""]),
        (one("Pod", "p", labels={"app": "web"}, spec={"subdomain": "web"}), [""]),
    ],
)
def test_hostnames(text: str, hostnames: list[str]) -> None:
    found = every(play(text + service(clusterIP="None")), EndpointSlice)
    assert [endpoint.hostname for one in found for endpoint in one.endpoints] == hostnames


def test_pods_of_other_namespaces_are_not_selected() -> None:
    assert every(play(workload() + service(namespace="other")), EndpointSlice) == []


ENDPOINTS: dict[str, Any] = {
    "subsets": [
        {
            "addresses": [{"ip": "192.0.2.1", "hostname": "a"}, {"ip": "2001:DB8::1", "targetRef": {"name": "p"}}],
            "notReadyAddresses": [{"ip": "192.0.2.9"}],
            "ports": [{"name": "http", "port": 8080}, {"name": "dns", "port": 53, "protocol": "UDP"}],
        },
        {"addresses": [{"ip": "192.0.2.2"}, {"ip": "nowhere"}], "ports": [{"port": 81}, {"port": 0}]},
        {"addresses": [{"ip": "192.0.2.3"}]},
    ]
}


def test_legacy_endpoints_are_mirrored() -> None:
    desired = play(one("Endpoints", "web", **ENDPOINTS) + service(selector=None, clusterIP="None"))
    both = (Port("http", 8080, "TCP"), Port("dns", 53, "UDP"))
    assert {found.endpoints: found.ports for found in every(desired, EndpointSlice)} == {
        (Endpoint(("192.0.2.1",), "a"),): both,
        (Endpoint(("2001:db8::1",), "", "p"),): both,
        (Endpoint(("192.0.2.2",)),): (Port("", 81, "TCP"),),
        (Endpoint(("192.0.2.3",)),): (),
    }
    assert [problem.category for problem in desired.problems] == [Category.PART, Category.PART]


@pytest.mark.parametrize(
    ("labels", "spec", "slices"),
    [
        (None, {"selector": None}, 4),
        ({"endpointslice.kubernetes.io/skip-mirror": "true"}, {"selector": None}, 0),
        (None, {"selector": {"app": "none"}}, 0),
    ],
)
def test_when_legacy_endpoints_are_mirrored(labels: Any, spec: Any, slices: int) -> None:
    desired = play(one("Endpoints", "web", labels=labels, **ENDPOINTS) + service(**spec))
    assert len(every(desired, EndpointSlice)) == slices
    assert every(play(one("Endpoints", "web", **ENDPOINTS)), EndpointSlice) == []  # no Service


# Namespaces and selections


def test_namespaces() -> None:
    ignored = one("ConfigMap", "c", "no")
    desired = play(one("Namespace", "given") + service(namespace="used") + ignored)
    assert [found.name for found in every(desired, Namespace)] == ["default", "given", "kube-system", "used"]


SELECTED = (
    one("Namespace", "a", labels={"team": "x"})
    + one("Namespace", "b")
    + service("one", "a", {"tier": "front"})
    + service("two", "b")
    + one("Pod", "p", "a", {"app": "web", "tier": "front"})
    + one("Pod", "p", "b", {"app": "web"})
)


@pytest.mark.parametrize(
    ("selection", "namespaces", "services", "slices", "pods"),
    [
        ({}, "a b default kube-system", "one two", "one two", ""),
        ({"pods": True}, "a b default kube-system", "one two", "one two", "a b"),
        ({"noendpoints": True}, "a b default kube-system", "one two", "", ""),
        ({"namespaces": frozenset({"b", "c"}), "pods": True}, "b", "two", "two", "b"),
        ({"labels": "tier=front", "pods": True}, "a b default kube-system", "one", "one", "a"),
        ({"labels": "kubernetes.io/service-name=two"}, "a b default kube-system", "", "two", ""),
        ({"labels": "endpointslice.kubernetes.io/managed-by"}, "a b default kube-system", "", "one two", ""),
        ({"labels": "service.kubernetes.io/headless"}, "a b default kube-system", "", "", ""),
        ({"namespace_labels": "team=x"}, "a", "one two", "one two", ""),
        ({"namespace_labels": "kubernetes.io/metadata.name in (b)"}, "b", "one two", "one two", ""),
    ],
)
def test_selection(selection: dict[str, Any], namespaces: str, services: str, slices: str, pods: str) -> None:
    for name in ("labels", "namespace_labels"):
        if name in selection:
            selection = {**selection, name: selectors.parse(selection[name])}
    desired = play(SELECTED, Selection(**selection))
    assert [found.name for found in every(desired, Namespace)] == namespaces.split()
    assert [found.name for found in every(desired, Service)] == services.split()
    assert [found.service for found in every(desired, EndpointSlice)] == slices.split()
    assert [found.namespace for found in every(desired, Pod)] == pods.split()


# The same input, the same addresses

MANY = [
    *(workload(kind, f"{kind.lower()}-{n}", replicas=3) for kind in ("Deployment", "StatefulSet") for n in range(4)),
    *(service(f"s{n}", f"ns{n % 3}", ipFamilyPolicy="PreferDualStack") for n in range(12)),
    service("web", clusterIP="None"),
    one("Endpoints", "legacy", **ENDPOINTS),
    service("legacy", selector=None),
    one("Pod", "p", labels={"app": "web"}, status={"podIP": "192.0.2.1"}),
    one("DaemonSet", "d"),
    one("Namespace", "n"),
]


@settings(deadline=None, max_examples=30)
@given(st.permutations(MANY))
def test_the_order_of_documents_does_not_matter(texts: list[str]) -> None:
    assert play("".join(texts)).objects == play("".join(MANY)).objects


def test_an_added_object_changes_no_other_address() -> None:
    before, after = play("".join(MANY)).objects, play("".join([service("aaa"), workload(name="aaa"), *MANY])).objects
    assert {key for key, obj in before.items() if after[key] != obj} == {
        key for key in before if key[0] is EndpointSlice and key[1][1].startswith("web-")
    }  # only the slice that the new pod is in


def test_a_pool_gives_every_address_once_and_then_none() -> None:
    pool = AddressPool("10.0.0.0/28", first=2)
    assert pool.reserve("10.0.0.5")
    assert not pool.reserve("10.0.0.5")
    assert not pool.reserve("fd00::5")
    assert pool.reserve("192.0.2.1")
    given_out = [pool.allocate(f"object-{number}") for number in range(14)]
    assert set(given_out[:12]) == {f"10.0.0.{n}" for n in range(2, 15) if n != 5}
    assert given_out[12:] == [None, None]


def test_no_address_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "clusterdns.cluster.manifests.controllers.service_pools", lambda: {"IPv4": AddressPool("10.0.0.0/30", first=2)}
    )
    desired = play(service("a") + service("b"))
    assert [found.cluster_ips for found in every(desired, Service)] == [("10.0.0.2",), ()]
    assert "Service default/b: no IPv4 address is left in the Service network" in desired.problems[0].line
