"""`clusterdns names`: the table and the JSON, from manifests and from a kubeconfig."""

import json
import uuid
from pathlib import Path

import pytest
from program import Program

from testing.controlplane import ControlPlane

MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod}
spec:
  clusterIP: 10.96.0.10
  ports: [{name: http, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: "[red]odd", namespace: prod}
spec: {type: ExternalName, externalName: example.com}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: dev}
spec:
  clusterIP: 10.96.0.11
  ports: [{port: 443}]
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: dev}
spec: {containers: [{name: c, image: i}]}
status: {phase: Running, podIP: 10.244.9.9, podIPs: [{ip: 10.244.9.9}], conditions: [{type: Ready, status: "True"}]}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    path = tmp_path / "cluster.yaml"
    path.write_text(MANIFEST)
    return str(path)


def test_the_table_has_one_line_for_each_record_grouped_by_namespace(program: Program, manifest: str) -> None:
    code, out, err = program("names", "--manifests", manifest)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["NAME", "TYPE", "DATA"] in rows
    web = rows.index(["web.prod.svc.cluster.local.", "A", "10.96.0.10"])
    api = rows.index(["api.dev.svc.cluster.local.", "A", "10.96.0.11"])
    assert api < rows.index([], api) < web
    assert ["_http._tcp.web.prod.svc.cluster.local.", "SRV", "0", "100", "80", "web.prod.svc.cluster.local."] in rows
    assert all(len(line) < 200 for line in out.splitlines())


def test_markup_in_names_is_printed_as_it_is(program: Program, manifest: str) -> None:
    assert "[red]odd.prod.svc.cluster.local." in program("names", "--manifests", manifest).out


def test_json(program: Program, manifest: str) -> None:
    code, out, err = program("names", "--json", "--ttl", "30", "--manifests", manifest)
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert {"name": "web.prod.svc.cluster.local.", "type": "A", "ttl": 30, "data": "10.96.0.10"} in rows
    assert {tuple(row) for row in rows} == {("name", "type", "ttl", "data")}
    assert "dev.svc" in rows[3]["name"]


def names_of(program: Program, *arguments: str) -> set[str]:
    code, out, err = program("names", "--json", *arguments)
    assert (code, err) == (0, "")
    return {row["name"] for row in json.loads(out)}


def test_zones_may_be_networks_and_ptr_records_name_the_first_forward_zone(program: Program, manifest: str) -> None:
    zones = ("--zone", "10.96.0.0/16", "--zone", "k8s.example", "--zone", "cluster.local")
    rows = json.loads(program("names", "--json", *zones, "--manifests", manifest).out)
    answers = {(row["name"], row["type"]): row["data"] for row in rows}
    assert answers["10.0.96.10.in-addr.arpa.", "PTR"] == "web.prod.svc.k8s.example."
    assert answers["web.prod.svc.cluster.local.", "A"] == answers["web.prod.svc.k8s.example.", "A"] == "10.96.0.10"
    assert answers["96.10.in-addr.arpa.", "SOA"].startswith("ns.dns.96.10.in-addr.arpa. ")


def test_names_of_one_namespace(program: Program, manifest: str) -> None:
    found = names_of(program, "--namespace", "dev", "--manifests", manifest)
    assert "api.dev.svc.cluster.local." in found
    assert not any("prod" in one for one in found)


def test_names_of_pods(program: Program, manifest: str) -> None:
    pod = "10-244-9-9.dev.pod.cluster.local."
    assert pod in names_of(program, "--pods", "verified", "--manifests", manifest)
    assert pod not in names_of(program, "--manifests", manifest)


def test_several_manifests(program: Program, manifest: str, tmp_path: Path) -> None:
    other = tmp_path / "folder"
    other.mkdir()
    (other / "x.yaml").write_text(MANIFEST.replace("prod", "stage").replace("dev", "test"))
    found = names_of(program, "--manifests", manifest, str(other))
    assert {"web.prod.svc.cluster.local.", "web.stage.svc.cluster.local."} <= found


ERRORS = {
    "no source": ([], 2, "name either --kubeconfig FILE or --manifests PATH"),
    "both sources": (["--kubeconfig", __file__, "--manifests", "here"], 2, "name either --kubeconfig FILE or"),
    "a path without its option": (["here"], 2, "manifests are named with --manifests"),
    "no such kubeconfig": (["--kubeconfig", "nowhere"], 2, "'nowhere' does not exist"),
    "no such manifests": (["--manifests", "nowhere"], 1, "nowhere"),
    "a word that is not a zone": (["--manifests", "here", "--zone", "a..b"], 2, "'a..b' is not a domain name"),
    "a zone too long": (["--manifests", "here", "--zone", ".".join(["z" * 60] * 4)], 2, "no room for names"),
    "reverse zones alone": (["--manifests", "here", "--zone", "10.0.0.0/8"], 2, "name that zone as well"),
    "an unknown mode of pods": (["--manifests", "here", "--pods", "some"], 2, "'some' is not one of"),
    "a TTL out of range": (["--manifests", "here", "--ttl", "3601"], 2, "3601 is not in the range"),
}


@pytest.mark.parametrize(("arguments", "code", "text"), ERRORS.values(), ids=ERRORS.keys())
def test_errors(program: Program, tmp_path: Path, arguments: list[str], code: int, text: str) -> None:
    (tmp_path / "here").mkdir()
    ended = program("names", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert text in ended.err


def test_a_cluster_that_cannot_be_read_is_an_error(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.cli.names._LIST_TIMEOUT_SECONDS", 0.2)
    (tmp_path / "config").write_text("apiVersion: v1\nkind: Config\n")
    code, out, err = program("names", "--kubeconfig", "config")
    assert (code, out) == (1, "")
    assert "Error: the cluster could not be read: endpointslices, namespaces, services: kubeconfig config" in err


@pytest.mark.peer("kube-apiserver")
def test_a_real_cluster_is_listed(program: Program, control_plane: ControlPlane) -> None:
    namespace = f"names-{uuid.uuid4().hex[:8]}"
    control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    spec = {"clusterIP": "None", "ports": [{"name": "pg", "port": 5432}]}
    metadata = {"name": "db", "namespace": namespace}
    control_plane.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    control_plane.apply({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "db"}},
        "ports": [{"name": "pg", "port": 5432, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.244.77.5"], "hostname": "db-0", "conditions": {"ready": True}}],
    })  # fmt: skip
    arguments = (
        "--kubeconfig",
        str(control_plane.kubeconfig),
        "--zone",
        "cluster.local",
        "--zone",
        "77.244.10.in-addr.arpa",
    )
    found = names_of(program, "--namespace", namespace, *arguments)
    below = f"db.{namespace}.svc.cluster.local."
    assert found == {
        "cluster.local.", "dns-version.cluster.local.", below, f"db-0.{below}", f"_pg._tcp.{below}",
        "77.244.10.in-addr.arpa.", "5.77.244.10.in-addr.arpa.",
    }  # fmt: skip
    assert below in names_of(program, *arguments)
    control_plane.delete("Namespace", namespace)


def test_the_demo_cluster_is_listed(program: Program) -> None:
    demo = Path(__file__).resolve().parents[2] / "zones" / "demo"
    found = names_of(program, "--manifests", str(demo), "--zone", "cluster.local", "--zone", "in-addr.arpa")
    kube_dns = {"kube-dns.kube-system.svc.cluster.local.", "_dns._udp.kube-dns.kube-system.svc.cluster.local."}
    assert kube_dns | {"10.0.96.10.in-addr.arpa."} <= found
