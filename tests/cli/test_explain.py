"""`clusterdns explain`: the cause of each seeded fault in one line, and the exit code."""

import json
from pathlib import Path

import pytest
from cli.explain_faults import CLUSTER, FAULTS, LINES, ZONE_FILE, Fault
from program import Program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    (tmp_path / "db.example").write_text(ZONE_FILE)
    return tmp_path


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("kubernetes {\n  endpoint http://127.0.0.1:1\n }", "connection refused: 127.0.0.1:1"),
        ("kubernetes {\n  manifests nowhere\n }", "nowhere: No such file or directory"),
        ("kubernetes", "here, name the cluster with --kubeconfig FILE or --manifests PATH"),
        ("nosuch", "Corefile:2: Unknown directive 'nosuch'"),
    ],
)
def test_what_cannot_be_read_is_not_known(program: Program, tmp_path: Path, lines: str, text: str) -> None:
    (tmp_path / "Corefile").write_text(f"cluster.local {{\n {lines}\n}}\n")
    code, out, err = program("explain", "--conf", "Corefile", "web.prod.svc.cluster.local")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert text in err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["a", "A", "b"], "3 arguments; name one NAME"),
        (["a", "--conf", "x", "--zone", "b.test"], "--zone is set by the Corefile"),
        (["a", "-f", "x", "--kubeconfig", "y"], "one cluster at a time"),
        (["a", "--kubeconfig", "y"], "'y' does not exist"),
    ],
)
def test_mistakes_on_the_command_line(program: Program, words: list[str], text: str) -> None:
    code, out, err = program("explain", *words)
    assert (code, out) == (2, "")
    assert text in err


def test_the_built_in_corefile_and_another_zone(program: Program, folder: Path) -> None:
    code, out, err = program("explain", "-f", "cluster.yaml", "--zone", "k8s.test", "web.prod.svc.k8s.test")
    assert (code, err) == (0, "")
    assert "built-in Corefile:2" in out
    code, out, err = program("explain", "-f", "cluster.yaml", "www.example.com")
    assert (code, err) == (2, "")
    assert out.startswith("cannot tell: www.example.com. is not in the cluster's zones, and no upstream is known here")


def test_an_address_whose_reverse_zone_is_not_served(program: Program, folder: Path) -> None:
    (folder / "Corefile").write_text(".:53 {\n kubernetes cluster.local {\n  manifests cluster.yaml\n }\n}\n")
    for address, owner in (("10.96.0.10", "prod/web"), ("10.244.1.6", "prod/")):
        code, out, _ = program("explain", "--conf", "Corefile", address)
        assert code == 1
        assert out.startswith(f"SERVFAIL: {address} is an address of Service {owner}")
        assert "add in-addr.arpa to the zones of 'kubernetes' at Corefile:2" in out.partition("\n")[0]


def test_a_config_map_is_read_as_the_folder_that_it_is_mounted_as(program: Program, folder: Path) -> None:
    block = ".:53 {\n health\n kubernetes cluster.local\n hosts /etc/coredns/NodeHosts {\n  fallthrough\n }\n}\n"
    data = {"Corefile": block, "NodeHosts": "10.0.0.7 node-7\n"}
    config_map = {"kind": "ConfigMap", "metadata": {"name": "coredns"}, "data": data}
    (folder / "map.json").write_text(json.dumps(config_map))
    code, out, err = program("explain", "--conf", "map.json", "-f", "cluster.yaml", "node-7")
    assert (code, err) == (0, "")
    assert out.startswith("resolves: 1 record, from hosts at /etc/coredns/Corefile:4\n")
    assert "/etc/coredns/NodeHosts has A" in out


def test_manifests_replace_the_source_that_a_corefile_names(program: Program, folder: Path) -> None:
    (folder / "Corefile").write_text("cluster.local {\n kubernetes {\n  endpoint https://10.0.0.1\n  ttl 7\n }\n}\n")
    code, out, err = program("explain", "--conf", "Corefile", "-f", "cluster.yaml", "web.prod.svc.cluster.local")
    assert (code, err) == (0, "")
    assert "web.prod.svc.cluster.local. 7 IN A 10.96.0.10" in out


def test_the_ports_slices_and_endpoints_behind_a_name(program: Program, folder: Path) -> None:
    (folder / "Corefile").write_text(LINES.replace("OPTIONS", "pods verified"))
    _, out, _ = program("explain", "--conf", "Corefile", "web.prod.svc.cluster.local")
    rows = [line[12:] for line in out.splitlines()]
    assert "  port 80/TCP http -> targetPort 8080, nodePort 30080, SRV _http._tcp.web.prod.svc.cluster.local." in rows
    assert "    10.244.1.4: ready yes, pod web-1, node node-a, name 10-244-1-4" in rows
    _, out, _ = program("explain", "--conf", "Corefile", "wide.prod.svc.cluster.local", "--json")
    (wide,) = json.loads(out)["services"]
    assert wide["slices"][0]["name"] == "wide-1"
    assert wide["slices"][0]["place"].partition(":")[0].endswith("cluster.yaml")
    assert (wide["endpoint_count"], len(wide["endpoints"])) == (99, 20)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_each_seeded_fault_is_named(program: Program, folder: Path, fault: Fault) -> None:
    (folder / "Corefile").write_text(LINES.replace("OPTIONS", fault.options))
    code, out, err = program("explain", "--conf", "Corefile", *fault.question.split())
    verdict = out.partition("\n")[0]
    assert err == ""
    assert verdict.startswith(fault.begins)
    assert fault.names in verdict
    assert code == fault.code
