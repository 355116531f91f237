"""docs/migrate.md: its YAML parses and names the image in the form of each tool; its commands and options exist."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.image import ROOT

from testing.peers import clusterdns

PAGE = (ROOT / "docs" / "migrate.md").read_text(encoding="utf-8")
IMAGE = "clusterdns/coredns:0.1.0"
KUBECTL = {  # verb → the options that the page may use
    "get": {"-o", "--ignore-not-found", "--raw"},
    "set": set(),
    "rollout": set(),
    "logs": set(),
    "run": {"--rm", "-it", "--restart", "--image", "--"},
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


COMMANDS = [line for text in blocks("sh") for line in text.splitlines()]
DOCUMENTS: list[dict[str, Any]] = [yaml.safe_load(text) for text in blocks("yaml")]


def deployment() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "base" / "deployment.yaml").read_text(encoding="utf-8"))
    return read


def test_the_page_names_the_image_of_the_manifests() -> None:
    (container,) = deployment()["spec"]["template"]["spec"]["containers"]
    assert (container["name"], container["image"]) == ("coredns", IMAGE)


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("kubectl")])
def test_kubectl_commands_name_existing_objects_and_options(line: str) -> None:
    words = shlex.split(line.partition(" | ")[0])[1:]
    if words[0] == "-n":
        assert words[1] == "kube-system"
        words = words[2:]
    verb, *rest = words
    options = {word.partition("=")[0] for word in rest[: rest.index("--")] if "--" in rest} if "--" in rest else {
        word.partition("=")[0] for word in rest if word.startswith("-")
    }  # fmt: skip
    assert {word for word in options if word.startswith("-")} <= KUBECTL[verb]
    for word in rest:
        if word.startswith("deployment/"):
            assert word == f"deployment/{deployment()['metadata']['name']}"
        if word.startswith("coredns="):
            assert word == f"coredns={IMAGE}"


def test_the_check_command_accepts_the_configmap(tmp_path: Path) -> None:
    """The command gets the output of the pipe's first command for the ConfigMap of deploy/."""
    (line,) = (line for line in COMMANDS if "clusterdns check" in line)
    program, *words = shlex.split(line.partition(" | ")[2])
    assert program == "clusterdns"
    text = (ROOT / "deploy" / "base" / "configmap.yaml").read_text(encoding="utf-8")
    listed = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(text)]})
    done = subprocess.run([clusterdns(), *words], input=listed, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("stdin: OK: 1 server block")


def found(key: str, document: Any) -> list[Any]:
    """Return every value of a key, at any depth."""
    if isinstance(document, dict):
        below = [one for value in document.values() for one in found(key, value)]
        return ([document[key]] if key in document else []) + below
    return []


def test_every_document_names_the_image_or_a_repository_and_a_tag() -> None:
    assert len(DOCUMENTS) == 6
    for document in DOCUMENTS:
        embedded = [yaml.safe_load(text) for text in found("valuesContent", document)]
        for one in embedded or [document]:
            whole = [text for key in ("coreDNSImage", "image") for text in found(key, one) if isinstance(text, str)]
            parts = [text for key in ("repository", "imageRepository", "image") for text in found(key, one)]
            assert whole == [IMAGE] or any(
                str(part).endswith(("/coredns", "/clusterdns")) for part in parts
            ), document  # fmt: skip


def test_kubeadm_s_tag_is_a_release_of_coredns() -> None:
    (dns,) = (document["dns"] for document in DOCUMENTS if "dns" in document)
    assert re.fullmatch(r"v1\.\d+\.\d+", dns["imageTag"])
    assert f"{dns['imageRepository']}/coredns:{dns['imageTag']}" in PAGE, "the image that kubeadm derives from it"


def test_the_table_has_every_kind_of_cluster() -> None:
    named = ("kubeadm", "Helm chart", "RKE2", "kops", "Talos", "k0s", "k3s", "OpenShift", "Gardener", "AKS", "EKS")
    (table,) = re.findall(r"^\| cluster \|.*?\n\n", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert [name for name in named if name not in table] == []
