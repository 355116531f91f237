"""`clusterdns names`: the table and the JSON, from manifests and from a kubeconfig."""

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from program import Program

from clusterdns.cli.names import cluster
from clusterdns.cli.names.unlisted import NOTES
from clusterdns.plugins.order import ORDER
from testing.controlplane import ControlPlane
from testing.waiting import PATIENCE_SECONDS

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
    assert rows[0] == ["NAME", "TYPE", "DATA"]
    web = rows.index(["web.prod.svc.cluster.local.", "A", "10.96.0.10"])
    api = rows.index(["api.dev.svc.cluster.local.", "A", "10.96.0.11"])
    assert api < web
    assert ["_http._tcp.web.prod.svc.cluster.local.", "SRV", "0", "100", "80", "web.prod.svc.cluster.local."] in rows
    columns = [out.splitlines()[0].index(word) for word in rows[0]]
    assert all(line[at - 1 : at].strip() == "" != line[at] for line in out.splitlines() for at in columns)
    headless = program("names", "--manifests", manifest, "--no-headers").out
    assert _without_serials(headless) == _without_serials(out)[1:]


def _without_serials(out: str) -> list[str]:
    """The lines without the SOA records, whose serial is the second of the run."""
    return [line for line in out.splitlines() if " SOA " not in line]


def test_markup_in_names_is_printed_as_it_is(program: Program, manifest: str) -> None:
    assert "[red]odd.prod.svc.cluster.local." in program("names", "--manifests", manifest).out


def test_json(program: Program, manifest: str) -> None:
    code, out, err = program("names", "--json", "--ttl", "30", "--manifests", manifest)
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert {"name": "web.prod.svc.cluster.local.", "type": "A", "ttl": 30, "data": "10.96.0.10"} in rows
    assert {tuple(row) for row in rows} == {("name", "type", "ttl", "data")}
    assert "dev.svc" in rows[3]["name"]


def test_a_path_without_a_flag_and_patterns(program: Program, manifest: str) -> None:
    everything = program("names", manifest, "-o", "name").out.splitlines()
    assert {"web.prod.svc.cluster.local.", "api.dev.svc.cluster.local."} <= set(everything)
    assert len(everything) == len(set(everything))
    chosen = {
        ("web",): ["web.prod.svc.cluster.local.", "_http._tcp.web.prod.svc.cluster.local."],
        ("web.prod",): ["web.prod.svc.cluster.local.", "_http._tcp.web.prod.svc.cluster.local."],
        ("API*",): ["api.dev.svc.cluster.local."],
        ("*.dev", "web.prod.svc.cluster.local."): [
            "api.dev.svc.cluster.local.", "web.prod.svc.cluster.local.", "_http._tcp.web.prod.svc.cluster.local.",
        ],
    }  # fmt: skip
    for patterns, expected in chosen.items():
        assert sorted(program("names", manifest, "-o=name", *patterns).out.split()) == sorted(expected)
    code, out, err = program("names", manifest, "we")
    assert (code, out) == (1, "")
    assert "matches we; a word matches whole labels; write '*we*' for a part" in err


def test_wide_output_and_yaml(program: Program, manifest: str) -> None:
    rows = [line.split() for line in program("names", manifest, "-owide", "-n", "prod").out.splitlines()]
    assert rows[0] == ["NAMESPACE", "NAME", "TYPE", "TTL", "DATA", "ZONE"]
    assert ["prod", "web.prod.svc.cluster.local.", "A", "5", "10.96.0.10", "cluster.local."] in rows
    assert rows[1][0] == "<none>"
    read = yaml.safe_load(program("names", manifest, "web", "-o", "yaml").out)
    assert read == json.loads(program("names", manifest, "web", "-o", "json").out)


CONFIGURED = """.:5353 {
    kubernetes cluster.local 10.0.0.0/8 {
        manifests cluster.yaml
        namespaces prod
        ttl 17
        fallthrough
    }
    rewrite name suffix .old.example .svc.cluster.local answer auto
    rewrite name exact alone.example web.prod.svc.cluster.local
    hosts /dev/null {
        192.0.2.5 printer.office
        ttl 60
        fallthrough
    }
    file db shop.example
    template IN A shop.example {
        match "^covered\\.shop\\.example\\.$"
        answer "{{ .Name }} 9 IN A 192.0.2.9"
        fallthrough
    }
    forward . 127.0.0.1:1
    cache
    prometheus 127.0.0.1:1
}
"""
ZONE_FILE = "$TTL 300\n@ SOA ns hm 7 7200 1800 86400 60\n@ NS ns\nns A 192.0.2.53\ncovered A 192.0.2.1\n"


def test_a_corefile_is_asked_for_every_name_that_it_holds(program: Program, manifest: str, tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(CONFIGURED)
    (tmp_path / "db").write_text(ZONE_FILE)
    code, out, err = program("names", "--conf", "Corefile", "-o", "json")
    assert code == 0
    assert "Corefile:21: names that only upstreams answer are not listed" in err
    found = {(row["name"], row["type"]): (row["ttl"], row["data"]) for row in json.loads(out)}
    expected = {
        ("web.prod.svc.cluster.local.", "A"): (17, "10.96.0.10"),
        ("web.prod.old.example.", "A"): (17, "10.96.0.10"),
        ("alone.example.", "A"): (17, "10.96.0.10"),
        ("_http._tcp.web.prod.svc.cluster.local.", "SRV"): (17, "0 100 80 web.prod.svc.cluster.local."),
        ("10.0.96.10.in-addr.arpa.", "PTR"): (17, "web.prod.svc.cluster.local."),
        ("printer.office.", "A"): (60, "192.0.2.5"),
        ("5.2.0.192.in-addr.arpa.", "PTR"): (60, "printer.office."),
        ("ns.shop.example.", "A"): (300, "192.0.2.53"),
        ("covered.shop.example.", "A"): (9, "192.0.2.9"),
    }
    assert expected.items() <= found.items()
    assert not any(".dev." in name for name, _ in found)
    objects = {
        "kind": "ConfigMap",
        "metadata": {"name": "coredns"},
        "data": {"Corefile": "a.test {\n file db\n}\n", "db": ZONE_FILE},
    }
    (tmp_path / "map.json").write_text(json.dumps(objects))
    assert program("names", "--conf", "map.json", "ns", "-oname").out == "ns.a.test.\n"
    only_office = program("names", "--conf", "Corefile", "office", "-oname").out
    assert only_office == "printer.office.\n"


HOSTS = "hosts /dev/null {\n 192.0.2.5 printer.office\n fallthrough\n}"


@pytest.mark.parametrize(
    ("lines", "note"),
    [
        ("forward . 127.0.0.1:1", "names that only upstreams answer are not listed"),
        ('template IN A office {\n answer "{{ .Name }} 9 IN A 192.0.2.9"\n}', "names that only 'template' answers"),
        (
            "acl {\n block type AAAA net 10.0.0.0/8\n}",
            "names that 'acl' refuses to some clients are listed as for those",
        ),
        ("whoami", "names that only 'whoami' answers are not listed"),
        ("chaos", "names of class CH, which 'chaos' answers, are not listed"),
        ("dns64", "AAAA records that 'dns64' makes from A records are not listed"),
        ("local", "names that 'local' answers, such as localhost, are not listed"),
        (
            "rewrite name regex (.*)\\.old {1}.office",
            "names that this rule of 'rewrite' turns into others are not listed",
        ),
        ("rewrite continue name substring old office", "names that this rule of 'rewrite' turns into others"),
        (
            "rewrite stop {\n name regex (.*)\\.old {1}.office\n answer name (.*) {1}\n}",
            "names that this rule of 'rewrite'",
        ),
        ("rewrite name suffix .old .office", ""),
        ("rewrite stop {\n name exact old printer.office\n}", ""),
        ("rewrite type AAAA A", ""),
        ("rewrite ttl regex .* 5", ""),
        ("cache\nlog\nerrors\nany\nminimal\nloadbalance", ""),
    ],
)
def test_what_a_corefile_answers_without_being_listed_is_said(
    program: Program, tmp_path: Path, lines: str, note: str
) -> None:
    (tmp_path / "Corefile").write_text(f".:5353 {{\n{HOSTS}\n{lines}\n}}\n")
    code, out, err = program("names", "--conf", "Corefile", "-oname")
    assert code == 0
    assert "printer.office." in out.split()
    assert (err.splitlines() or [""])[0].startswith(f"Corefile:6: {note}" if note else "")
    assert len(err.splitlines()) == bool(note)


def test_a_rule_in_braces_is_read_backwards(program: Program, tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(f".:5353 {{\n{HOSTS}\nrewrite stop {{\n name exact old printer.office\n}}\n}}\n")
    assert "old." in program("names", "--conf", "Corefile", "-oname").out.split()


@pytest.mark.parametrize(("pods", "is_noted"), [("insecure", True), ("verified", False), ("disabled", False)])
def test_pods_of_every_address_are_said_not_to_be_listed(
    program: Program, manifest: str, tmp_path: Path, pods: str, is_noted: bool
) -> None:
    text = f"cluster.local {{\n kubernetes {{\n  manifests {manifest}\n  pods {pods}\n }}\n autopath @kubernetes\n}}\n"
    (tmp_path / "Corefile").write_text(text)
    lines = program("names", "--conf", "Corefile").err.splitlines()
    noted = "Corefile:2: names of pods, which 'pods insecure' answers for every address, are not listed"
    assert (noted in lines) is is_noted
    assert "Corefile:6: names that 'autopath' completes with a search domain are not listed" in lines


def test_every_directive_that_answers_is_listed_or_noted() -> None:
    holding = {"file", "hosts", "k8s_external", "kubernetes"}
    without_names = {
        "any", "bind", "bufsize", "cache", "cancel", "dashboard", "debug", "errors", "header", "health",
        "loadbalance", "log", "loop", "metadata", "minimal", "multisocket", "nsid", "pprof", "prometheus", "ready",
        "reload", "rewrite", "root", "timeouts", "tls", "transfer",
    }  # fmt: skip
    assert holding | without_names | set(NOTES) == set(ORDER)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (". {\n nosuch\n}\n", "Corefile:2: Unknown directive 'nosuch'"),
        ("cluster.local {\n kubernetes {\n  manifests nodir\n }\n}\n", "nodir: No such file or directory"),
        ("cluster.local {\n kubernetes {\n  endpoint http://127.0.0.1:1\n }\n}\n", "connection refused"),
        (". {\n forward . 127.0.0.1\n}\n", "the source has no names"),
    ],
)
def test_a_corefile_that_cannot_be_asked_is_an_error(program: Program, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "Corefile").write_text(text)
    code, out, err = program("names", "--conf", "Corefile")
    assert (code, out) == (1, "")
    assert message in err.lower() or message in err


def test_a_manifest_without_names_is_an_error(program: Program, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("{{{")
    (tmp_path / "other.yaml").write_text("kind: Secret\napiVersion: v1\nmetadata: {name: a}\n")
    for name in ("broken.yaml", "other.yaml"):
        code, out, err = program("names", name)
        assert (code, out) == (1, "")
        assert name in err


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_the_api_server_ends_the_command_at_once(
    program: Program, tmp_path: Path, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "LIST_TIMEOUT_SECONDS", PATIENCE_SECONDS)

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *_: object) -> None:
            """Keep silent."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Accept that the client ends connections that it no longer needs."""

    with Server(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        (tmp_path / "config").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {}}],
            "clusters": [{"name": "k", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        }))  # fmt: skip
        started = time.monotonic()
        code, out, err = program("names", "--kubeconfig", "config")
        took_seconds = time.monotonic() - started
        server.shutdown()
        thread.join()
    assert (code, out, err.splitlines()[1:]) == (1, "", [])
    assert "the cluster could not be read: " in err
    assert f": {status} " in err
    assert took_seconds < PATIENCE_SECONDS / 2


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
    "no source": ([], 2, "no source: name --conf COREFILE, --manifests PATH or --kubeconfig FILE"),
    "a pattern alone": (["web"], 2, "no source: name --conf COREFILE"),
    "two sources": (["--kubeconfig", __file__, "--manifests", "here"], 2, "one source at a time, not manifests"),
    "two sources, one a path": (["--kubeconfig", __file__, "here"], 2, "one source at a time, not kubeconfig"),
    "a TTL with a Corefile": (["--conf", "x", "--ttl", "5"], 2, "--ttl is set by the Corefile"),
    "an empty folder": (["here"], 1, "here: no objects that make names"),
    "a path that does not exist": (["no/where"], 1, "no/where: No such file"),
    "a file that does not exist": (["nowhere.yaml"], 1, "nowhere.yaml: No such file"),
    "no such kubeconfig": (["--kubeconfig", "nowhere"], 2, "'nowhere' does not exist"),
    "an unknown form": (["here", "-o", "xml"], 2, "expected wide, name, yaml or json"),
    "no such manifests": (["--manifests", "nowhere"], 1, "nowhere"),
    "a word that is not a zone": (["--manifests", "here", "--zone", "a..b"], 2, "'a..b' is not a domain name"),
    "a zone too long": (["--manifests", "here", "--zone", ".".join(["z" * 60] * 4)], 2, "no room for names"),
    "reverse zones alone": (["--manifests", "here", "--zone", "10.0.0.0/8"], 2, "name that zone as well"),
    "an unknown mode of pods": (["--manifests", "here", "--pods", "some"], 2, "expected disabled, insecure"),
    "a TTL out of range": (["--manifests", "here", "--ttl", "3601"], 2, "not in the range 0 to 3600"),
}


@pytest.mark.parametrize(("arguments", "code", "text"), ERRORS.values(), ids=ERRORS.keys())
def test_errors(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, text: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    ended = program("names", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert text in ended.err


def test_a_cluster_that_cannot_be_read_is_an_error(program: Program, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("apiVersion: v1\nkind: Config\n")
    code, out, err = program("names", "--kubeconfig", "config")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "names: the cluster could not be read: endpointslices, namespaces, services: kubeconfig config" in err


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
