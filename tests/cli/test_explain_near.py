"""Seeded faults in which another plugin, object or spelling was meant: the explanation names it."""

from pathlib import Path

import pytest
from program import Program

CLUSTER = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: prod}}
- {apiVersion: v1, kind: Namespace, metadata: {name: team-a}}
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: prod}
  spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: db, namespace: prod}
  spec: {clusterIP: None, selector: {app: db}, ports: [{name: sql, port: 5432}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: db-0, namespace: prod, labels: {app: db}}
  spec: {hostname: db-0, subdomain: db, containers: [{name: c}]}
  status: {phase: Running, podIP: 10.1.0.1, conditions: [{type: Ready, status: "False", message: gate}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: plain, namespace: prod}
  spec: {containers: [{name: c}]}
  status: {phase: Running, podIP: 10.1.0.2, conditions: [{type: Ready, status: "True"}]}
- {apiVersion: v1, kind: Service, metadata: {name: nolabel, namespace: prod},
   spec: {clusterIP: None, ports: [{port: 1}]}}
- {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: nolabel-1, namespace: prod},
   addressType: IPv4, endpoints: [{addresses: [10.5.0.1]}], ports: [{port: 1}]}
- {apiVersion: v1, kind: Service, metadata: {name: wronglabel, namespace: prod},
   spec: {clusterIP: None, ports: [{port: 1}]}}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: wl-1, namespace: prod, labels: {kubernetes.io/service-name: wronglabl}}
  addressType: IPv4
  endpoints: [{addresses: [10.5.0.2]}]
  ports: [{port: 1}]
- {apiVersion: v1, kind: Service, metadata: {name: elsewhere, namespace: prod},
   spec: {clusterIP: None, ports: [{port: 1}]}}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: e-1, namespace: team-a, labels: {kubernetes.io/service-name: elsewhere}}
  addressType: IPv4
  endpoints: [{addresses: [10.5.0.3]}]
  ports: [{port: 1}]
- {apiVersion: v1, kind: Service, metadata: {name: ending, namespace: prod},
   spec: {clusterIP: None, ports: [{port: 1}]}}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: ending-1, namespace: prod, labels: {kubernetes.io/service-name: ending}}
  addressType: IPv4
  endpoints: [{addresses: [10.6.0.1], conditions: {ready: false, serving: true, terminating: true},
               targetRef: {kind: Pod, name: ending-0, namespace: prod}}]
  ports: [{port: 1}]
- {apiVersion: v1, kind: Service, metadata: {name: short, namespace: prod},
   spec: {type: ExternalName, externalName: web.prod}}
- {apiVersion: v1, kind: Service, metadata: {name: shorter, namespace: prod},
   spec: {type: ExternalName, externalName: web}}
- {apiVersion: v1, kind: Service, metadata: {name: url, namespace: prod},
   spec: {type: ExternalName, externalName: "https://example.com:8443/path"}}
- {apiVersion: v1, kind: Service, metadata: {name: port, namespace: prod},
   spec: {type: ExternalName, externalName: "db.example.com:5432"}}
"""
KUBERNETES = "kubernetes cluster.local in-addr.arpa {\n manifests cluster.yaml\n}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("question", "begins", "names"),
    [
        ("prod.svc.cluster.local", 'NODATA: prod.svc.cluster.local. stands for the namespace "prod"',
         "SERVICE.prod.svc.cluster.local."),
        ("svc.cluster.local", "NODATA: svc.cluster.local. stands above the names", "SERVICE.NAMESPACE.svc"),
        ("cluster.local", "NODATA: cluster.local. is the zone of the cluster", "SOA and NS"),
        ("dns-version.cluster.local", "NODATA: dns-version.cluster.local. has the version", "ask for TXT"),
        ("db-0.prod.svc.cluster.local", 'NXDOMAIN: Service "db-0" does not exist',
         'that is a pod: did you mean "db-0.db.prod.svc.cluster.local."?'),
        ("plain.prod.svc.cluster.local", 'NXDOMAIN: Service "plain" does not exist', "no name of its own"),
        ("db-00.db.prod.svc.cluster.local", 'NXDOMAIN: no endpoint of Service prod/db is called "db-00"',
         'did you mean "db-0"?'),
        ("db-0.db --from prod", 'NXDOMAIN: endpoint "db-0" of Service prod/db is left out', "gate"),
        ("nolabel.prod.svc.cluster.local", "NXDOMAIN: Service prod/nolabel exists, has no selector",
         "EndpointSlice prod/nolabel-1 has no label kubernetes.io/service-name=nolabel"),
        ("wronglabel.prod.svc.cluster.local", "NXDOMAIN: Service prod/wronglabel exists",
         'an EndpointSlice names Service "wronglabl", which does not exist'),
        ("elsewhere.prod.svc.cluster.local", "NXDOMAIN: Service prod/elsewhere exists",
         'an EndpointSlice in namespace "team-a" names Service "elsewhere"'),
        ("ending.prod.svc.cluster.local", "NXDOMAIN: Service prod/ending exists, 0 of 1 endpoints are ready",
         "(ending-0 is terminating)"),
        ("short.prod.svc.cluster.local", 'NODATA: externalName "web.prod" of Service prod/short is not completed',
         'write the full name: "web.prod.svc.cluster.local"'),
        ("shorter.prod.svc.cluster.local", 'NODATA: externalName "web" of Service prod/shorter is not completed',
         'write the full name: "web.prod.svc.cluster.local"'),
        ("url.prod.svc.cluster.local", 'NODATA: externalName "https://example.com:8443/path" of Service prod/url is a',
         'write the host name alone: "example.com"'),
        ("port.prod.svc.cluster.local", 'NODATA: externalName "db.example.com:5432" of Service prod/port has a port',
         'write the host name alone: "db.example.com"'),
        ("8.8.8.8", "SERVFAIL: no Service or ready endpoint has the address 8.8.8.8",
         "no plugin after 'kubernetes' answers for it"),
    ],
)  # fmt: skip
def test_what_was_meant_in_the_cluster(program: Program, folder: Path, question: str, begins: str, names: str) -> None:
    code, out, err = program("explain", "--manifests", "cluster.yaml", *question.split())
    verdict = out.partition("\n")[0]
    assert err == ""
    assert verdict.startswith(begins)
    assert names in verdict
    assert code == 1


@pytest.mark.parametrize(
    ("lines", "question", "begins", "names", "code"),
    [
        (f"hosts /dev/null\n{KUBERNETES}", "web.prod.svc.cluster.local",
         "SERVFAIL: hosts at Corefile:2 answers before 'kubernetes' at Corefile:3 is asked", "add 'fallthrough'", 1),
        (f"template IN ANY local {{\n rcode NXDOMAIN\n}}\n{KUBERNETES}", "web.prod.svc.cluster.local",
         "NXDOMAIN: template at Corefile:2 answers before 'kubernetes' at Corefile:5", "fewer names", 1),
        (f"template IN ANY local {{\n rcode NXDOMAIN\n}}\n{KUBERNETES}", "10.96.0.10", "resolves: ", "", 0),
        (f"template IN A x.example {{\n answer \"{{{{ .Name }}}} 60 IN A number\"\n}}\n{KUBERNETES}", "x.example",
         "SERVFAIL: template at Corefile:3: answer: line 1: 'number' is not an address", "must be a record", 1),
        (f"rewrite type AAAA A\n{KUBERNETES}", "web.prod.svc.cluster.local AAAA",
         "NODATA: the rewrite at Corefile:2 asks for A in place of AAAA", "ignore A records", 1),
        (f"{KUBERNETES}\nforward . 127.0.0.1:9 {{\n except corp.example\n}}", "host.corp.example",
         "SERVFAIL: no plugin of the server block at Corefile:1 answers host.corp.example.",
         "'forward' at Corefile:5 leaves it out", 1),
        (f"{KUBERNETES}\nforward example.org 127.0.0.1:9", "www.example.com",
         "SERVFAIL: no plugin of the server block at Corefile:1", "by its zone or by 'except'", 1),
        ("cache 30", "web.prod.svc.cluster.local", "SERVFAIL: no plugin of the server block at Corefile:1",
         "add 'forward' to the block", 1),
        (KUBERNETES.replace("\n}", "\n pods insecure\n}"), "10-1-0-99.prod.pod.cluster.local",
         "resolves: the address that the name spells (pods insecure at Corefile:2", "", 0),
        (KUBERNETES.replace("\n}", "\n fallthrough\n}") + "\nforward . 127.0.0.1:9 {\n max_connect_attempts 1\n}",
         "nope.prod.svc.cluster.local", "SERVFAIL: no upstream answered: 127.0.0.1:9",
         "'kubernetes' at Corefile:2 has no such name, and 'fallthrough' passes it on", 1),
    ],
)  # fmt: skip
def test_which_plugin_has_the_name(
    program: Program, folder: Path, lines: str, question: str, begins: str, names: str, code: int
) -> None:
    (folder / "Corefile").write_text(f".:53 {{\n{lines}\n}}\n")
    found, out, err = program("explain", "--conf", "Corefile", *question.split())
    verdict = out.partition("\n")[0]
    assert err == ""
    assert verdict.startswith(begins)
    assert names in verdict
    assert found == code
