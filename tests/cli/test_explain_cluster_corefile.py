"""Where `explain` finds the Corefile of a cluster, and what it says where there is none that it can use."""

import base64
from typing import Any

import pytest

from clusterdns.cli.explain.cluster_corefile import find_corefile
from clusterdns.cluster.details.reader import CONFIG_MAPS, FoundObjects, ObjectFilter

COREFILE = ".:53 {\n    kubernetes\n}\n"
FILE = b".:53 {\n    kubernetes\n}\n"
FORBIDDEN = '403 configmaps is forbidden: User "u" cannot list resource "configmaps"'
HELM = {"app.kubernetes.io/name": "coredns", "k8s-app": "coredns"}


def config_map(namespace: str, name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    """Make a ConfigMap as it is in a list: without its kind."""
    return {"metadata": {"namespace": namespace, "name": name, "labels": labels or {}}, "data": data}


class ClusterOfMaps:
    """A cluster of ConfigMaps, whose namespaces may be forbidden."""

    text = "the API server"

    def __init__(self, maps: list[Any], forbidden: set[str]) -> None:
        self.maps = maps
        self.forbidden = forbidden

    async def read(self, resource: str, wanted: ObjectFilter) -> FoundObjects:
        """List ConfigMaps as the API server does."""
        assert resource == CONFIG_MAPS
        if wanted.namespace in self.forbidden:
            return FoundObjects(problem=FORBIDDEN)
        return FoundObjects(tuple(
            one for one in self.maps
            if (meta := one["metadata"])["namespace"] == wanted.namespace
            and (not wanted.name or meta["name"] == wanted.name)
            and wanted.labels.items() <= meta["labels"].items()
        ))  # fmt: skip


SYSTEM = "kube-system"
CASES: dict[str, tuple[list[Any], dict[str, bytes], str]] = {
    "kubeadm": (
        [config_map(SYSTEM, "coredns", Corefile=COREFILE), config_map(SYSTEM, "kube-proxy", x="y")],
        {"/etc/coredns/Corefile": FILE}, "ConfigMap kube-system/coredns",
    ),
    "k3s: host names beside it, and files of the user's": (
        [config_map(SYSTEM, "coredns", NodeHosts="192.0.2.1 a\n", Corefile=COREFILE),
         config_map(SYSTEM, "coredns-custom", None, **{"x.server": "x:53 {\n whoami\n}\n"})],
        {"/etc/coredns/Corefile": FILE, "/etc/coredns/NodeHosts": b"192.0.2.1 a\n",
         "/etc/coredns/custom/x.server": b"x:53 {\n whoami\n}\n"}, "ConfigMap kube-system/coredns",
    ),
    "RKE2": (
        [config_map(SYSTEM, "rke2-coredns-rke2-coredns", Corefile=COREFILE)],
        {"/etc/coredns/Corefile": FILE}, "ConfigMap kube-system/rke2-coredns-rke2-coredns",
    ),
    "OpenShift": (
        [config_map("openshift-dns", "dns-default", Corefile=COREFILE)],
        {"/etc/coredns/Corefile": FILE}, "ConfigMap openshift-dns/dns-default",
    ),
    "the Helm chart, of any release": (
        [config_map(SYSTEM, "dns-coredns", HELM, Corefile=COREFILE), config_map(SYSTEM, "other", HELM, x="y")],
        {"/etc/coredns/Corefile": FILE}, "ConfigMap kube-system/dns-coredns",
    ),
    "another one with the label of the Service": (
        [config_map(SYSTEM, "my-dns", {"k8s-app": "kube-dns"}, Corefile=COREFILE)],
        {"/etc/coredns/Corefile": FILE}, "ConfigMap kube-system/my-dns",
    ),
    "two releases": (
        [config_map(SYSTEM, "a-coredns", HELM, Corefile=COREFILE), config_map(SYSTEM, "b-coredns", HELM, Corefile="")],
        {}, "several ConfigMaps have the key 'Corefile': kube-system/a-coredns, kube-system/b-coredns",
    ),
    "one of another key": (
        [config_map(SYSTEM, "coredns", corefile=COREFILE)], {}, "no ConfigMap of kube-system has a Corefile",
    ),
    "kube-dns": ([], {}, "no ConfigMap of kube-system has a Corefile"),
    "without data": ([{"metadata": {"namespace": SYSTEM, "name": "coredns", "labels": {}}, "data": None}], {},
                     "no ConfigMap of kube-system has a Corefile"),
    "binary": (
        [config_map(SYSTEM, "coredns", Corefile=COREFILE) | {"binaryData": {"z": base64.b64encode(b"\xff").decode()}}],
        {"/etc/coredns/Corefile": FILE, "/etc/coredns/z": b"\xff"}, "ConfigMap kube-system/coredns",
    ),
    "broken": (
        [config_map(SYSTEM, "coredns", Corefile=COREFILE) | {"binaryData": {"z": "?"}}],
        {}, "binaryData 'z' is not base64",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("maps", "files", "text"), CASES.values(), ids=CASES)
async def test_the_corefile_is_found(maps: list[Any], files: dict[str, bytes], text: str) -> None:
    found = await find_corefile(ClusterOfMaps(maps, set()))
    assert found.files == files
    assert text in found.text
    assert next(iter(found.files), "/etc/coredns/Corefile") == "/etc/coredns/Corefile"


async def test_a_user_without_the_right_sees_why() -> None:
    found = await find_corefile(ClusterOfMaps([], {SYSTEM}))
    assert found == ({}, f"ConfigMap kube-system/coredns cannot be read: {FORBIDDEN}")
