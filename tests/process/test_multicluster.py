"""`multicluster` against a real API server and CoreDNS: before there is a CRD, name by name with it, and changes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest
from peers import need
from process.running import PORT, Start

from testing.api import Manifest
from testing.controlplane import ControlPlane
from testing.multicluster import CRD
from testing.ports import new_address
from testing.process import ServerProcess
from testing.waiting import PATIENCE_SECONDS, wait_for

GROUP = "multicluster.x-k8s.io"
LABELS = "multicluster.kubernetes.io"
NAMESPACE = "mcs"
PEER_PORT = 20053
HTTP, DNS = ("http", 80, "TCP"), ("dns", 53, "UDP")
Ports = tuple[tuple[str, int, str], ...]


def service_import(name: str, kind: str, ips: tuple[str, ...] = (), ports: Ports = (HTTP,)) -> Manifest:
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "ServiceImport",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"type": kind, "ips": list(ips), "ports": _ports(ports)},
    }


def imported_slice(name: str, owner: str, cluster: str, *ends: tuple[str, str], ports: Ports = (HTTP,)) -> Manifest:
    """`ends` are addresses with host names; one that begins with `-` is not ready."""
    labels = {f"{LABELS}/service-name": owner, f"{LABELS}/source-cluster": cluster}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "addressType": "IPv6" if ":" in ends[0][0] else "IPv4",
        "endpoints": [
            {"addresses": [ip.lstrip("-")], "conditions": {"ready": not ip.startswith("-")}}
            | ({"hostname": host} if host else {})
            for ip, host in ends
        ],
        "ports": _ports(ports),
    }


def _ports(ports: Ports) -> list[Manifest]:
    return [{"name": name, "port": number, "protocol": protocol} for name, number, protocol in ports]


SLICE = imported_slice("db-b", "db", "c2", ("10.2.1.1", "db-0"), ("10.2.1.2", ""))
IMPORTS = (
    service_import("web", "ClusterSetIP", ("10.200.0.1", "fd00::200"), (HTTP, DNS)),
    imported_slice("web-a", "web", "c1", ("10.1.0.1", ""), ("10.1.0.2", "ep")),
    service_import("db", "Headless"),
    imported_slice("db-a", "db", "c1", ("10.1.1.1", "db-0"), ("10.1.1.2", "db-1"), ("-10.1.1.3", "db-2")),
    imported_slice("db-6", "db", "c1", ("fd00::31", "six")),
    SLICE,
    service_import("bare", "ClusterSetIP", ("10.200.0.2",), ()),
    service_import("unserved", "Headless"),
    imported_slice("unserved-a", "unserved", "c1", ("10.1.3.1", "x"), ports=()),
    service_import("empty", "ClusterSetIP", ("10.200.0.3",)),
    service_import("idle", "Headless"),
)
SAME = [
    *("web", "_http._tcp.web", "http._tcp.web", "_http.tcp.web", "http.tcp.web", "_dns._udp.web", "_http._udp.web"),
    *("10-1-0-1.c1.web", "ep.c1.web", "ep.c2.web", "ep.web", "x.ep.c1.web"),
    *("db", "_http._tcp.db", "_https._tcp.db", "db-0.c1.db", "db-0.c2.db", "db-1.c2.db", "db-2.c1.db", "six.c1.db"),
    *("bare", "unserved", "x.c1.unserved", "empty", "idle", "plain", "absent"),
]
BETTER = ["_tcp.web", "c1.web", "_tcp.db", "c2.db"]  # not denied, because there are names below (RFC 8020)


def corefile(address: str, port: int, control_plane: ControlPlane, *more: str) -> str:
    options = "\n".join((f"kubeconfig {control_plane.kubeconfig}", "pods insecure", "multicluster set.local", *more))
    zones = "cluster.local set.local 10.in-addr.arpa"
    keys = " ".join(f"{zone}:{port}" for zone in zones.split())
    ready = f"ready {address}:8181\n" if address == "HOST" else ""
    return f"{keys} {{\nbind {address}\n{ready}kubernetes {zones} {{\n{options}\n}}\n}}\n"


def asked(
    address: str, port: int, qname: str, qtype: str, seconds: float = PATIENCE_SECONDS
) -> tuple[str, list[str], list[str]]:
    """The RCODE, and the answer and additional section as texts without weights."""
    message = dns.message.make_query(qname, qtype, use_edns=0, payload=1232)
    reply = dns.query.udp(message, address, seconds, port)
    answer = sorted(
        f"{one.port} {one.target}" if qtype == "SRV" else one.to_text() for rrset in reply.answer for one in rrset
    )
    beside = sorted(f"{rrset.name} {one.to_text()}" for rrset in reply.additional for one in rrset)
    return dns.rcode.to_text(reply.rcode()), answer, beside


@pytest.fixture
def coredns(tmp_path: Path) -> Iterator[Callable[[ControlPlane], str]]:
    """Starts CoreDNS and gives its address."""
    started: list[ServerProcess] = []

    def start(control_plane: ControlPlane) -> str:
        address = new_address()
        path = tmp_path / "Corefile.coredns"
        path.write_text(corefile(address, PEER_PORT, control_plane))
        server = ServerProcess("coredns", [need("coredns"), "-conf", path], tmp_path / "coredns.log")
        started.append(server)

        def is_up() -> bool:
            try:
                return asked(address, PEER_PORT, f"web.{NAMESPACE}.svc.set.local.", "A", 1.0)[0] == "NOERROR"
            except (OSError, dns.exception.Timeout):
                return False

        server.wait_until(is_up, "answer")
        return address

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """With a namespace that has one Service, and afterwards again without the CRD."""
    control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    plain = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "plain", "namespace": NAMESPACE}}
    control_plane.apply({**plain, "spec": {"ports": [{"port": 80}]}})
    try:
        yield control_plane
    finally:
        control_plane.delete("CustomResourceDefinition", CRD["metadata"]["name"])
        control_plane.delete("Namespace", NAMESPACE)


@pytest.mark.peer("kube-apiserver")
@pytest.mark.peer("coredns")
def test_multicluster_before_and_after_the_crd_answers_as_coredns(
    cluster: ControlPlane, start: Start, coredns: Callable[[ControlPlane], str]
) -> None:
    ours = start(corefile("HOST", PORT, cluster, "startup_timeout 1h")).wait_serving()

    def answer_of(prefix: str, qtype: str = "A", zone: str = "set.local.") -> tuple[str, list[str], list[str]]:
        return asked(ours.host, PORT, f"{prefix}.{NAMESPACE}.svc.{zone}", qtype)

    page = ours.get(8181, "/ready")
    assert page.status == 200
    assert page.text.startswith("OK\nkubernetes: serviceimports: the API server does not serve ServiceImports")
    assert answer_of("plain", zone="cluster.local.")[0] == "NOERROR"
    assert answer_of("web")[0] == "SERVFAIL"

    cluster.apply(CRD)
    wait_for(lambda: answer_of("web")[0] == "NXDOMAIN", "the CRD to be noticed")
    assert ours.get(8181, "/ready").text == "OK"
    for one in IMPORTS:
        cluster.apply(one)
    wait_for(lambda: answer_of("idle")[0] == "NXDOMAIN" and answer_of("empty")[0] == "NOERROR", "the imports")

    address = coredns(cluster)
    for qtype in ("A", "AAAA", "SRV"):
        for prefix in SAME:
            theirs = asked(address, PEER_PORT, f"{prefix}.{NAMESPACE}.svc.set.local.", qtype)
            assert answer_of(prefix, qtype) == theirs, (prefix, qtype)
        for prefix in BETTER:
            theirs = asked(address, PEER_PORT, f"{prefix}.{NAMESPACE}.svc.set.local.", qtype)
            assert (answer_of(prefix, qtype), theirs) == (("NOERROR", [], []), ("NXDOMAIN", [], [])), (prefix, qtype)
        for name in (f"1-2-3-4.{NAMESPACE}.pod.set.local.", f"{NAMESPACE}.svc.set.local."):
            if qtype != "SRV":
                assert asked(ours.host, PORT, name, qtype) == asked(address, PEER_PORT, name, qtype)
    own = asked(ours.host, PORT, "1.1.1.10.in-addr.arpa.", "PTR")
    assert own[:2] == ("NOERROR", [f"db-0.c1.db.{NAMESPACE}.svc.set.local."])

    assert answer_of("db")[1] == ["10.1.1.1", "10.1.1.2", "10.2.1.1", "10.2.1.2"]
    cluster.delete("EndpointSlice", SLICE["metadata"]["name"], NAMESPACE)
    wait_for(lambda: answer_of("db")[1] == ["10.1.1.1", "10.1.1.2"], "the slice to be gone")
    assert answer_of("db-0.c2.db")[0] == "NXDOMAIN"
    cluster.apply(service_import("web", "ClusterSetIP", ("10.200.0.8",), (HTTP,)))
    wait_for(lambda: answer_of("web")[1] == ["10.200.0.8"], "the import to change")
    cluster.delete("ServiceImport", "web", NAMESPACE)
    wait_for(lambda: answer_of("web")[0] == "NXDOMAIN", "the import to be gone")
    lines = (ours.out + ours.err).splitlines()
    warned = [line for line in lines if line.startswith("[WARNING]") and "diff-" not in line]  # others' objects
    warned = [line for line in warned if " 429 storage is (re)initializing" not in line]  # for some time after a CRD
    assert len(warned) == 1
    assert "their CRD" in warned[0]
