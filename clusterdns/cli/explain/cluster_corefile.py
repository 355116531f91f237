"""The Corefile of a cluster's DNS server, from the ConfigMap that it mounts, with the files beside it.

A user who may list ConfigMaps of kube-system may read it. Where that is not so, the text says why, and the explanation
is by the built-in Corefile.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from clusterdns.cli.check.configmap import files_of
from clusterdns.cli.names.cluster import LIST_TIMEOUT_SECONDS
from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.details.from_api import ApiReader
from clusterdns.cluster.details.reader import CONFIG_MAPS, ObjectFilter, ObjectReader
from clusterdns.cluster.details.structs import as_tree
from clusterdns.corefile.errors import CorefileError
from clusterdns.telemetry.metrics import Registry

NAMESPACE, CUSTOM = "kube-system", "coredns-custom"
PLACES = (
    (NAMESPACE, "coredns"),  # kubeadm, k3s, kOps, EKS, AKS, Gardener, and deploy/
    (NAMESPACE, "rke2-coredns-rke2-coredns"),
    ("openshift-dns", "dns-default"),
)
LABELS = ({"app.kubernetes.io/name": "coredns"}, {"k8s-app": "kube-dns"})  # of the Helm chart, whatever its release


class ClusterCorefile(NamedTuple):
    """The files of the ConfigMap by mounted path, the Corefile first, and where it is; or why there are none."""

    files: Mapping[str, bytes]
    text: str


async def read_corefile(kubeconfig: str, context: str) -> ClusterCorefile:
    """Read the Corefile of a kubeconfig's cluster; what fails is in the text."""
    client = Client(ApiSettings(kubeconfig=kubeconfig, context=context), Registry())
    try:
        return await find_corefile(ApiReader(client, LIST_TIMEOUT_SECONDS))  # a login may be part of it
    finally:
        await client.close()


async def find_corefile(reader: ObjectReader) -> ClusterCorefile:
    """Look for the ConfigMap at its usual places, and then by the labels that it usually has."""
    for namespace, name in PLACES:
        found = await reader.read(CONFIG_MAPS, ObjectFilter(namespace, name=name))
        if found.problem:
            return ClusterCorefile({}, f"ConfigMap {namespace}/{name} cannot be read: {found.problem}")
        if owners := _with_corefile(found.trees):
            custom = await reader.read(CONFIG_MAPS, ObjectFilter(namespace, name=CUSTOM))
            return _corefile([*owners, *map(as_tree, custom.trees)], f"ConfigMap {namespace}/{name}")
    for labels in LABELS:
        owners = _with_corefile((await reader.read(CONFIG_MAPS, ObjectFilter(NAMESPACE, labels=labels))).trees)
        if owners:
            names = ", ".join(f"{NAMESPACE}/{one['metadata'].get('name')}" for one in owners)
            return _corefile(owners, f"ConfigMap {names}")
    return ClusterCorefile({}, f"no ConfigMap of {NAMESPACE} has a Corefile")


def _with_corefile(trees: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the ConfigMaps that have a Corefile."""
    maps = [one for one in map(as_tree, trees) if isinstance(one, dict) and isinstance(one.get("metadata"), dict)]
    return [one for one in maps if isinstance(one.get("data"), dict) and "Corefile" in one["data"]]


def _corefile(maps: list[dict[str, Any]], text: str) -> ClusterCorefile:
    try:
        files = files_of([{"kind": "ConfigMapList", "items": maps}], text)
    except CorefileError as error:  # several have one, or a key is not base64
        return ClusterCorefile({}, str(error))
    return ClusterCorefile(files or {}, text)
