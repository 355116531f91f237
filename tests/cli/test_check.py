"""`clusterdns check`: every error on standard error, or one line that sums up the configuration."""

import io
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from program import Program

GOOD = """
cluster.local 10.0.0.0/8 {
    bind 127.0.0.1
    kubernetes {
        manifests here
    }
    prometheus 127.0.0.1:9153
}
.:5300 {
    whoami
}
"""


def test_a_good_corefile_is_summed_up_in_one_line(program: Program, tmp_path: Path) -> None:
    (tmp_path / "good").write_text(GOOD)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")
    code, out, err = program("check", "good")
    assert (code, err) == (0, "")
    expected = "good: OK: 2 server blocks, 3 zones, 2 listeners (dns://127.0.0.1:53, dns://:5300)"
    assert out.splitlines()[0] == expected
    assert len(out.splitlines()) == 2


def test_the_default_port_can_be_chosen(program: Program, tmp_path: Path) -> None:
    (tmp_path / "good").write_text(". {\n whoami\n}\n")
    code, out, err = program("check", "--dns-port", "1053", "good")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "good: OK: 1 server block, 1 zone, 1 listener (dns://:1053)"


def test_differences_from_coredns_are_listed_for_the_directives_used(program: Program, tmp_path: Path) -> None:
    (tmp_path / "good").write_text(". {\n cache\n forward . 127.0.0.1\n}\n")
    lines = program("check", "good", "--differences").out.splitlines()
    assert any(line.startswith("  cache (good:2): Never caches the server's own data") for line in lines)
    assert "    wrong-question: a reply to another question is ignored, not passed on as FORMERR" in lines
    assert any("udp-at-1232" in line for line in lines), "a difference of every configuration"
    assert not any("externalname" in line or "kubernetes (" in line for line in lines)
    named = [line for line in lines if re.match(r" +[a-z0-9-]+: ", line)]
    count = f"{len(named)} answers differ from CoreDNS's on purpose; --differences lists them"
    assert program("check", "good").out.splitlines()[1:] == [count]


def test_every_error_has_file_line_and_hint(program: Program, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text(". {\n kubernetes {\n  pods maybe\n }\n erors\n dnssec\n}\n}\n")
    code, out, err = program("check", "bad")
    lines = err.splitlines()
    assert (code, out) == (1, "bad: FAILED: 4 errors\n")
    assert sorted(line.split(" ")[0] for line in lines) == ["bad:3:", "bad:5:", "bad:6:", "bad:8:"]
    assert all("; " in line for line in lines)
    assert any("'errors'" in line for line in lines)


def test_a_zone_that_leaves_no_room_for_names_is_an_error(program: Program, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text(f"{'.'.join(['z' * 60] * 4)} {{\n kubernetes\n}}\n")
    code, _, err = program("check", "bad")
    assert (code, err.split(" ")[0]) == (1, "bad:2:")


def test_warnings_are_printed_and_the_exit_code_is_0(program: Program, tmp_path: Path) -> None:
    (tmp_path / "odd").write_text("10.1.2.3 {\n whoami\n}\n")
    code, out, err = program("check", "odd")
    assert (code, out.startswith("odd: OK: ")) == (0, True)
    assert err.startswith("warning: odd:1: '10.1.2.3' is served as a name;")


def test_warnings_are_printed_before_errors(program: Program, tmp_path: Path) -> None:
    (tmp_path / "odd").write_text("10.1.2.3 {\n nosuch\n}\n")
    code, _, err = program("check", "odd")
    assert code == 1
    assert [line.split(" ")[:2] for line in err.splitlines()] == [["warning:", "odd:1:"], ["odd:2:", "Unknown"]]


@pytest.mark.parametrize("path", ["-", "stdin"])
def test_standard_input(program: Program, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(". {\n nosuch\n}\n"))
    code, _, err = program("check", path)
    assert (code, err.split(" ")[0]) == (1, "stdin:2:")


def test_a_missing_file_is_an_error(program: Program) -> None:
    code, out, err = program("check", "nowhere")
    assert (code, out) == (1, "nowhere: FAILED: 1 error\n")
    assert err.startswith("nowhere: cannot be read: no such file or directory; ")


def test_a_folder_is_an_error(program: Program, tmp_path: Path) -> None:
    assert program("check", str(tmp_path)).code == 1


def test_no_socket_is_bound(program: Program, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "good").write_text(f".:{port} {{\n bind 127.0.0.1\n health 127.0.0.1:{port}\n}}\n")
        assert program("check", "good").code == 0


def test_zone_files_are_read_as_at_a_start(program: Program, tmp_path: Path) -> None:
    (tmp_path / "db.good").write_text("$TTL 60\n@ SOA ns hm 1 7200 1800 86400 60\n@ NS ns\n")
    (tmp_path / "db.other").write_text("$TTL 60\nother.test. SOA ns hm 1 7200 1800 86400 60\n")
    (tmp_path / "db.broken").write_text("$TTL 60\n@ SOA ns hm 1 7200 1800 86400 60\nwww A 192.0.2.256\n")
    files = {name: str(tmp_path / f"db.{name}") for name in ("good", "other", "broken", "missing")}
    (tmp_path / "good").write_text(f"a.test {{\n file {files['good']}\n file {files['missing']} b.test\n}}\n")
    code, out, err = program("check", "good")
    assert (code, out.startswith("good: OK: ")) == (0, True)
    assert f"{files['missing']}: No such file or directory; SERVFAIL until it can be read" in err
    (tmp_path / "bad").write_text(f"a.test {{\n file {files['other']}\n}}\nb.test {{\n file {files['broken']}\n}}\n")
    code, out, err = program("check", "bad")
    assert (code, out) == (1, "bad: FAILED: 2 errors\n")
    assert [line.split(" ")[:2] for line in err.splitlines()] == [
        ["bad:2:", f"{files['other']}:"],
        ["bad:5:", f"{files['broken']}:3:"],
    ]


def test_a_missing_kubeconfig_is_a_warning(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    (tmp_path / "good").write_text(f". {{\n kubernetes cluster.local {{\n  kubeconfig {path}\n }}\n}}\n")
    code, _, err = program("check", "good")
    assert (code, err.count(f"kubeconfig {path}: not found; SERVFAIL until it exists")) == (0, 1)
    path.touch()
    assert "kubeconfig" not in program("check", "good").err


DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: dns, namespace: infra}
spec: {template: {spec: {volumes: [{name: v, configMap: {items: [], name: dns-config}}]}}}
"""

OTHERS = {
    "HTML": ("<!DOCTYPE html>\n<html><body>{</body></html>\n", "is HTML, not a Corefile"),
    "XML": ("<?xml version='1.0'?><a/>", "is XML or HTML, not a Corefile"),
    "a Deployment": (DEPLOYMENT, "is a Deployment 'dns', not a Corefile; its Corefile is in a ConfigMap: "
                     "kubectl -n infra get configmap dns-config -o yaml | clusterdns check -"),
    "a Deployment, after a comment": (f"# x\n---\n{DEPLOYMENT}", "is a Deployment 'dns', not a Corefile"),
    "a Deployment as JSON": (json.dumps({"kind": "Deployment", "spec": {}}), "is a Deployment, not a Corefile"),
    "a List": (json.dumps({"kind": "List", "items": [{"kind": "Pod"}]}), "is a List of Pod, not a Corefile"),
    "an Ingress": ("kind: Ingress\n", "is an Ingress, not a Corefile"),
    "values of a chart": ("image:\n  tag: x\nservers: []\n", "is YAML or JSON with image, servers, not a Corefile"),
    "a list": ("- a: 1\n- b: 2\n", "is a list in YAML or JSON, not a Corefile"),
    "JSON without a kind": ('{"a": {"b": 1}}', "is YAML or JSON with a, not a Corefile"),
    "resolv.conf": ("# x\nnameserver 10.0.0.10\n", "is a resolv.conf, not a Corefile"),
    "a zone file": ("$ORIGIN a.test.\n@ SOA a b 1 2 3 4 5\n", "is a zone file, not a Corefile"),
    "a certificate": ("-----BEGIN CERTIFICATE-----\nxx\n", "is a PEM file, not a Corefile"),
    "a script": ("#!/bin/sh\ncoredns\n", "is a script, not a Corefile"),
    "an error of kubectl": ('Error from server (NotFound): configmaps "x" not found\n', "is an error message"),
    "an empty list": ("[]", "is empty, not a Corefile"),
    "empty documents": ("---\n---\n", "is empty, not a Corefile"),
    "UTF-16": ("\ufeff. {\n}\n", "is UTF-16 text, not a Corefile"),
    "NUL bytes": (". {\n whoami \0\n}\n", "contains NUL bytes, so it is not a Corefile"),
    "nothing": ("", "is empty"),
    "blanks": (" \n\n", "is empty"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), OTHERS.values(), ids=OTHERS.keys())
def test_what_is_not_a_corefile_is_named_once(program: Program, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "other").write_text(text, encoding="utf-16" if "\ufeff" in text else "utf-8")
    code, out, err = program("check", "other")
    assert (code, out, err.count("\n")) == (1, "other: FAILED: 1 error\n", 1)
    assert err.startswith(f"other: {message}")


COREFILES = ["a.test\nwhoami\n", "# kind: Pod\n. {\n whoami\n}\n", "a.test:5300 {\n whoami\n}\n", "10.0.0.0/8 {\n}\n"]


@pytest.mark.parametrize("text", COREFILES)
def test_a_corefile_is_not_taken_for_something_else(program: Program, tmp_path: Path, text: str) -> None:
    (tmp_path / "good").write_text(text)
    assert program("check", "good").code == 0


def test_a_folder_s_error_names_the_corefile_in_it(program: Program, tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(". {\n whoami\n}\n")
    hint = f"name the file: {tmp_path / 'Corefile'}"
    assert program("check", str(tmp_path)).err == f"{tmp_path}: cannot be read: is a directory; {hint}\n"


def test_missing_manifests_are_an_error_and_broken_ones_a_warning(program: Program, tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text("cluster.local {\n kubernetes {\n  manifests nodir\n }\n}\n")
    code, out, err = program("check", "Corefile")
    assert (code, out) == (1, "Corefile: FAILED: 1 error\n")
    assert "nodir: No such file or directory" in err
    (tmp_path / "nodir").mkdir()
    (tmp_path / "nodir" / "a.yaml").write_text("{{{")
    code, out, err = program("check", "Corefile")
    assert (code, "nodir/a.yaml" in err) == (0, True)


REMOVED = {
    "upstream": ("kubernetes {\n upstream\n}", "unknown property 'upstream'; remove the line: CoreDNS has removed"),
    "resyncperiod": ("kubernetes {\n resyncperiod 5m\n}", "unknown property 'resyncperiod'; remove the line: "),
    "k8s_api": ("kubernetes {\n k8s_api http://a\n}", "unknown property 'k8s_api'; write 'endpoint URL'"),
    "no_reload": ("file db {\n no_reload\n}", "unknown property 'no_reload'; write 'reload 0'"),
    "proxy": ("proxy . 9.9.9.9", "Unknown directive 'proxy'; use 'forward'"),
    "federation": ("federation", "Unknown directive 'federation'; remove it: "),
    "kubernetai": ("kubernetai", "Unknown directive 'kubernetai', an external plugin of CoreDNS"),
    "records": ("records", "Unknown directive 'records', an external plugin of CoreDNS"),
    "erors": ("erors", "Unknown directive 'erors'; did you mean 'errors'?"),
    "prom": ("prom", "Unknown directive 'prom'; did you mean 'prometheus'?"),
    "no near word": ("recorder", "Unknown directive 'recorder'; remove it; 'clusterdns -plugins' lists what exists"),
}


@pytest.mark.parametrize(("text", "message"), REMOVED.values(), ids=REMOVED.keys())
def test_options_and_directives_that_are_gone_have_an_advice(
    program: Program, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "old").write_text(f"cluster.local {{\n{text}\n}}\n")
    code, _, err = program("check", "old")
    assert code == 1
    assert message in err


def test_several_endpoints_and_unset_variables_are_warnings(program: Program, tmp_path: Path) -> None:
    (tmp_path / "odd").write_text(
        "cluster.local {\n kubernetes {\n  endpoint http://a:1 http://b:1\n }\n log {$NO_SUCH}\n}\n"
    )
    code, out, err = program("check", "odd")
    assert (code, out.splitlines()[0].endswith(", 2 warnings")) == (0, True)
    assert "warning: odd:3: only the first endpoint is used" in err
    assert "warning: odd:5: '{$NO_SUCH}' is empty: the environment variable 'NO_SUCH' is not set; " in err


WITHOUT_EFFECT = [
    ("file db {\n upstream 9.9.9.9\n}\nwhoami", "warning: odd:3: 'upstream' of 'file' has no effect; remove the line"),
    ("template IN A {\n upstream\n rcode NXDOMAIN\n}", "warning: odd:3: 'upstream' of 'template' has no effect; "),
    ("kubernetes {\n apiserver_qps 5\n}", "warning: odd:3: 'apiserver_qps' of 'kubernetes' has no effect; remove the"),
    ("kubernetes {\n fallthrough\n}", "warning: odd:3: 'fallthrough' has no plugin to pass names to: those that "
     "'kubernetes' lacks get SERVFAIL; remove the line, or add a plugin such as 'forward'"),
    ("hosts {\n fallthrough\n}\ncache", "warning: odd:3: 'fallthrough' has no plugin to pass names to: those that "
     "'hosts' lacks get SERVFAIL; "),
]  # fmt: skip


@pytest.mark.parametrize(("text", "warning"), WITHOUT_EFFECT)
def test_lines_without_effect_are_warnings(program: Program, tmp_path: Path, text: str, warning: str) -> None:
    (tmp_path / "db").write_text("@ 60 SOA ns hm 1 2 3 4 5\n@ 60 NS ns\n")
    (tmp_path / "odd").write_text(f"cluster.local {{\n{text}\n}}\n")
    code, _, err = program("check", "odd")
    assert code == 0
    assert warning in err


def test_a_fallthrough_with_a_plugin_below_is_no_warning(program: Program, tmp_path: Path) -> None:
    (tmp_path / "good").write_text(
        "cluster.local {\n hosts {\n  fallthrough\n }\n kubernetes {\n  fallthrough\n }\n forward . 9.9.9.9\n}\n"
    )
    assert program("check", "good").err == ""


def test_json(program: Program, tmp_path: Path) -> None:
    (tmp_path / "good").write_text("a.test {\n whoami\n log {$NO_SUCH}\n}\n")
    code, out, err = program("check", "--json", "good")
    found = json.loads(out)
    assert (code, err, found["ok"], found["zones"], found["listeners"]) == (0, "", True, ["a.test."], ["dns://:53"])
    assert [(one["file"], one["line"]) for one in found["warnings"]] == [("good", 3)]
    assert any(one.startswith("notify: ") for one in found["differences"])
    (tmp_path / "bad").write_text("a.test {\n nosuch\n}\n")
    code, out, err = program("check", "-json", "bad")
    assert (code, err, json.loads(out)["ok"]) == (1, "", False)
    assert json.loads(out)["errors"] == [{
        "file": "bad", "line": 2, "text": "Unknown directive 'nosuch'",
        "hint": "remove it; 'clusterdns -plugins' lists what exists", "imported_at": [],
    }]  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_are_for_a_terminal_without_no_color(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], is_coloured: bool
) -> None:
    (tmp_path / "good").write_text(". {\n whoami\n}\n")
    assert "\033" not in program("check", "good").out
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    program("check", "good")
    assert ("\033[32mOK\033[0m" in terminal.getvalue()) == is_coloured


def test_standard_input_that_is_a_terminal_is_an_error(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = os.openpty()
    with os.fdopen(far) as terminal, os.fdopen(near):
        monkeypatch.setattr(sys, "stdin", terminal)
        code, _, err = program("check", "-")
    assert (code, err.split(";")[0]) == (1, "stdin: standard input is a terminal")


def test_a_wrong_command_line_is_exit_code_2(program: Program) -> None:
    code, out, err = program("check")
    assert (code, out) == (2, "")
    assert err.startswith("clusterdns check: 0 arguments; name one COREFILE")
    assert program("check", "a", "b").code == 2


def test_check_loads_neither_the_kubernetes_client_nor_yaml() -> None:
    script = "import sys, clusterdns.cli.check.command; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "clusterdns.server.assembly" in loaded
    assert not {"kubernetes_asyncio", "yaml"} & set(loaded)
