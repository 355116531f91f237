"""`clusterdns check` on the output of kubectl: ConfigMaps, one or a list, as YAML or JSON, with their other files."""

import base64
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from program import Program

from clusterdns.cli.check.configmap import files_of
from clusterdns.cli.check.source import documents_of
from clusterdns.corefile.errors import CorefileError

COREFILE = """.:53 {
    hosts /etc/coredns/NodeHosts {
        fallthrough
    }
    import custom/*.override
    file %s example.org
    whoami
}
import /etc/coredns/custom/*.server
"""
ZONE = "@ 60 IN SOA ns.example.org. h.example.org. 1 60 60 60 60\n@ 60 IN NS ns.example.org.\nns 60 IN A 192.0.2.1\n"

Dump = Callable[[Any], str]


def one(name: str, **files: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": files}


def listed(*items: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


def everything(custom: str, zone_file: str = "/etc/coredns/example.db") -> dict[str, Any]:
    main = {"Corefile": COREFILE % zone_file, "NodeHosts": "10.0.0.1 node-1\n", "example.db": ZONE}
    return listed(one("coredns-custom", **{"x.server": custom, "log.override": "log\n"}), one("coredns", **main))


def check(program: Program, text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    return program("check", "-")


@pytest.mark.parametrize("dump", [yaml.safe_dump, json.dumps, lambda read: json.dumps(read, indent=4)])
@pytest.mark.parametrize("zone_file", ["/etc/coredns/example.db", "etc/coredns/example.db"])
def test_a_list_with_every_file(program: Program, monkeypatch: pytest.MonkeyPatch, dump: Dump, zone_file: str) -> None:
    code, out, err = check(program, dump(everything("x.test:53 {\n whoami\n}\n", zone_file)), monkeypatch)
    assert (code, err) == (0, "")
    assert out.startswith("stdin: OK: 2 server blocks, 2 zones, 1 listener (dns://:53)\n")


def test_an_error_in_an_imported_key_has_its_path_in_the_pod(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = check(program, yaml.safe_dump(everything("x.test:53 {\n dnssec\n}\n")), monkeypatch)
    assert (code, out) == (1, "stdin: FAILED: 1 error\n")
    assert err.startswith("/etc/coredns/custom/x.server:2: clusterdns does not implement 'dnssec'; ")


def test_a_warning_about_a_mounted_file_has_its_path_in_the_pod(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"Corefile": "example.org {\n file /etc/coredns/db\n}\n", "db": ZONE.replace("ns 60 IN A 192.0.2.1\n", "")}
    code, _, err = check(program, yaml.safe_dump(one("coredns", **files)), monkeypatch)
    assert (code, err.split(": ")[:2]) == (0, ["warning", "/etc/coredns/db:2"])


def test_one_configmap_from_a_file(program: Program, tmp_path: Path) -> None:
    (tmp_path / "coredns.yaml").write_text(yaml.safe_dump(one("coredns", Corefile=". {\n whoami\n}\n")))
    assert program("check", "coredns.yaml").code == 0


def test_a_missing_import_is_a_warning(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    text = yaml.safe_dump(one("coredns", Corefile=". {\n whoami\n import custom/*.override\n}\n"))
    code, _, err = check(program, text, monkeypatch)
    assert (code, err.split(": ")[:2]) == (0, ["warning", "/etc/coredns/Corefile:3"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            yaml.safe_dump(one("coredns", Other="x")),
            "stdin: no ConfigMap here has the key 'Corefile' (coredns has Other); ",
        ),
        ("kind: ConfigMap\ndata: [\n", "stdin:3: this is not YAML; "),
        (
            "kind: ConfigMap\ndata: 7\n",
            "stdin: no ConfigMap here has the key 'Corefile' (a ConfigMap without a name has no keys); ",
        ),
        (yaml.safe_dump(listed()), "stdin: is an empty List, not a Corefile; "),
        (
            yaml.safe_dump(listed(one("a", Corefile="x"), one("b", Corefile="y"))),
            "stdin: several ConfigMaps have the key 'Corefile': a, b; ",
        ),
        (
            yaml.safe_dump({"kind": "ConfigMap", "metadata": {"name": "c"}, "binaryData": {"Corefile": "é"}}),
            "stdin: binaryData 'Corefile' is not base64; ",
        ),
        (
            yaml.safe_dump(one("coredns", **{"a/../../b": "x", "Corefile": ". {\n whoami\n}\n"})),
            "stdin: 'a/../../b' is not a key of a ConfigMap; ",
        ),
    ],
)
def test_texts_that_are_not_coredns_s_configmap(
    program: Program, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    code, out, err = check(program, text, monkeypatch)
    assert (code, out) == (1, "stdin: FAILED: 1 error\n")
    assert err.startswith(message)


@pytest.mark.parametrize("kind", ["ConfigMapList", "List"])
def test_a_corefile_among_other_objects(program: Program, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    items = [{"kind": "Service", "metadata": {"name": "kube-dns"}}, one("coredns", Corefile="a.test {\n whoami\n}\n")]
    text = yaml.safe_dump_all([{"kind": "Deployment"}, {"kind": kind, "items": items}])
    code, out, err = check(program, text, monkeypatch)
    assert (code, out.splitlines()[0], err) == (0, "stdin: OK: 1 server block, 1 zone, 1 listener (dns://:53)", "")


def test_keys_of_binary_data(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = {"Corefile": base64.b64encode(b"a.test {\n import rest\n}\n").decode()}
    item = one("coredns", rest="nosuch\n") | {"binaryData": encoded}
    code, _, err = check(program, yaml.safe_dump(item), monkeypatch)
    assert (code, err.split(" ")[0]) == (1, "/etc/coredns/rest:1:")


@given(st.text(st.sampled_from('kind: ConfigMapLst{}[]\n"-,#&*!|>%\t0'), max_size=200))
def test_any_text_is_read_or_an_error(text: str) -> None:
    for candidate in (text, f"kind: ConfigMap\n{text}"):
        try:
            found = files_of(documents_of(candidate, "stdin") or [], "stdin")
        except CorefileError:
            continue
        assert found is None or next(iter(found)) == "/etc/coredns/Corefile"
