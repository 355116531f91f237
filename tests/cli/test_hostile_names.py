"""Names that would control a terminal, forge a line or fill the screen: every command shows them as text."""

import json
import unicodedata
from pathlib import Path

import pytest
from program import Program

NAMES = {
    "HTML": "<script>alert(1)</script>.example",
    "colours": "\x1b[31mred\x1b[0m.example",
    "a cleared screen": "\x1b[2J\x1b[H.example",
    "a title": "\x1b]0;owned\x07.example",
    "CSI in one character": "a\x9b2Jb.example",
    "ends of lines": "a\nNXDOMAIN: forged\r\nb\x85c\u2028d.example",
    "bidi": "\u202egnp.exe\u2066.example",
    "zero width": "pay\u200bpal\u2060\ufeff.example",
    "combining marks": "a" + "\u0301" * 30 + ".example",
    "NUL and delete": "a\x00b\x7f.example",
    "backspaces": "good\b\b\b\bevil.example",
    "formats": "%s%n%(name)s{0}{x}[bold]$(reboot)`reboot`.example",
    "quotes": "a'b\"c\\.example",
    "undecodable bytes": "\udcff\udc80.example",
    "255 bytes": ".".join(["x" * 63, "y" * 63, "z" * 63, "w" * 61]),
}  # fmt: skip
COREFILE = ".:53 {\n template ANY ANY example {\n  rcode NXDOMAIN\n }\n whoami\n}\n"
WORDS = {
    "explain": ["explain", "--conf", "Corefile", "NAME"],
    "explain for a client": ["explain", "--conf", "Corefile", "a.example", "--client", "NAME"],
    "explain of a type": ["explain", "--conf", "Corefile", "a.example", "NAME"],
    "explain from a namespace": ["explain", "-f", "service.yaml", "web", "--from", "NAME"],
    "explain from a pod": ["explain", "-f", "service.yaml", "web", "--from", "prod/NAME"],
    "explain by manifests": ["explain", "-f", "service.yaml", "NAME.prod.svc.cluster.local"],
    "explain in a zone": ["explain", "-f", "service.yaml", "--zone", "NAME", "web"],
    "explain by a Corefile": ["explain", "--conf", "NAME", "a.example"],
    "explain by manifests that do not exist": ["explain", "-f", "NAME", "a.example"],
    "explain by a server": ["explain", "--server", "127.0.0.1:1/NAME", "a.example"],
    "names": ["names", "service.yaml", "NAME"],
    "explain a short name from a namespace": ["explain", "-f", "service.yaml", "a.b", "--from", "NAME"],
    "check": ["check", "NAME"],
    "fmt": ["fmt", "NAME"],
    "config": ["config", "NAME"],
    "completion": ["completion", "NAME"],
    "conform": ["conform", "127.0.0.1:1", "--zone", "NAME"],
    "serve": ["serve", "-conf", "NAME"],
    "an argument of serve": ["serve", "NAME"],
    "a flag of serve": ["serve", "-NAME"],
    "the form of serve": ["serve", "-log-format", "NAME"],
    "status": ["status", "--server", "127.0.0.1:1/NAME"],
    "top": ["top", "--once", "--server", "127.0.0.1:1/NAME"],
    "top with a token": ["top", "--once", "--token-file", "NAME"],
    "a command": ["NAME"],
    "a flag": ["explain", "--NAME"],
    "a value": ["names", "--output", "NAME"],
    "man": ["man", "NAME"],
}  # fmt: skip
SERVICE = {
    "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "prod"},
    "spec": {"clusterIP": "10.96.0.10", "ports": [{"port": 80}]},
}  # fmt: skip


def assert_shown_as_text(output: str) -> None:
    """Fail where a terminal would do something else than show the characters."""
    for line in output.split("\n"):
        assert line.replace("\t", "").isprintable(), ascii(line)
        marks = "".join("m" if unicodedata.category(one)[0] == "M" else " " for one in line)
        assert "mmm" not in marks, ascii(line)
        assert len(line) < 2_000


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_a_name_of_the_command_line(program: Program, tmp_path: Path, words: list[str], name: str) -> None:
    (tmp_path / "Corefile").write_text(COREFILE)
    (tmp_path / "service.yaml").write_text(json.dumps(SERVICE))
    given = name.replace("\0", "")  # which no argument of a program can have
    ended = program(*(word.replace("NAME", given) for word in words))
    assert ended.out or ended.err
    assert_shown_as_text(ended.out)
    assert_shown_as_text(ended.err)
    assert "forged" not in [line.partition(": ")[2] for line in ended.out.splitlines()]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("kind", ["Service", "EndpointSlice", "Pod"])
def test_a_name_in_a_manifest(program: Program, tmp_path: Path, kind: str, name: str) -> None:
    labels = {"kubernetes.io/service-name": "web", "app": name}
    spec = {**SERVICE["spec"], "clusterIP": "None", "selector": {"app": name}}  # type: ignore[dict-item]
    items = [
        {**SERVICE, "spec": spec},
        {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "prod", "labels": labels},
         "spec": {"externalName": name, "type": "ExternalName", "hostname": name, "subdomain": "web"},
         "addressType": "IPv4", "endpoints": [{"addresses": [name], "hostname": name, "nodeName": name}],
         "status": {"phase": name, "reason": name, "podIP": name}},
    ]  # fmt: skip
    (tmp_path / "objects.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    service = "web.prod.svc.cluster.local"
    for words in (["explain", service], ["explain", f"x.{service}", "--from", "prod"], ["names"]):
        ended = program(*words, *(["-f", "objects.json"] if words[0] == "explain" else ["objects.json"]))
        assert_shown_as_text(ended.out)
        assert_shown_as_text(ended.err)
