"""The collections that a `kubernetes` block reads: paths, selectors and labels, by kind and by namespace.

`source` makes a reflector for each of them. With the option `namespaces` each namespace is read by itself, so that a
Role in each is enough and the server does the selecting; the price is a connection per namespace and kind.
"""

from typing import NamedTuple

from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.objects import (
    IMPORT_LABEL,
    EndpointSlice,
    ImportedSlice,
    Kind,
    Namespace,
    Pod,
    Service,
    ServiceImport,
)

_RESOURCES: dict[Kind, tuple[str, str]] = {
    Service: ("/api/v1", "services"),
    EndpointSlice: ("/apis/discovery.k8s.io/v1", "endpointslices"),
    Namespace: ("/api/v1", "namespaces"),
    Pod: ("/api/v1", "pods"),
    ServiceImport: ("/apis/multicluster.x-k8s.io/v1alpha1", "serviceimports"),
    ImportedSlice: ("/apis/discovery.k8s.io/v1", "endpointslices"),
}
_UNSERVED = "the API server does not serve ServiceImports; install their CRD (multicluster.x-k8s.io/v1alpha1)"
_LIVING_PODS = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown"


class Collection(NamedTuple):
    """A resource to list and watch, cluster-wide or in one namespace: its path, its selectors, and a label for logs.

    `unserved` is the message for an API server that does not serve the collection, for which the start does not wait.
    """

    label: str
    path: str
    selectors: dict[str, str]
    unserved: str = ""
    rule: str = ""  # the RBAC rule that it needs


def plural_of(kind: Kind) -> str:
    """Return the name of a kind's resource, as in paths and RBAC rules."""
    return _RESOURCES[kind][1]


def cluster_collections(settings: ApiSettings) -> list[tuple[Kind, Collection]]:
    """List the collections of the cluster itself, by kind and, with `namespaces`, by namespace."""
    kinds: list[Kind] = [Service, Namespace]
    if settings.endpoints:
        kinds.append(EndpointSlice)
    if settings.pods:
        kinds.append(Pod)
    return _by_namespace(kinds, settings)


def import_collections(settings: ApiSettings) -> list[tuple[Kind, Collection]]:
    """List the collections that several clusters share: ServiceImports and their slices, in the same namespaces."""
    kinds: list[Kind] = [ServiceImport]
    if settings.endpoints:
        kinds.append(ImportedSlice)
    return _by_namespace(kinds, settings)


def _by_namespace(kinds: list[Kind], settings: ApiSettings) -> list[tuple[Kind, Collection]]:
    namespaces = tuple(dict.fromkeys(settings.namespaces)) or ("",)
    return [(kind, _collection(kind, namespace, settings)) for kind in kinds for namespace in namespaces]


def _collection(kind: Kind, namespace: str, settings: ApiSettings) -> Collection:
    group, resource = _RESOURCES[kind]
    selectors: dict[str, str] = {}
    path = f"{group}/{resource}"
    if kind is Namespace:
        if namespace:
            selectors["fieldSelector"] = f"metadata.name={namespace}"
        if settings.namespace_labels:
            selectors["labelSelector"] = settings.namespace_labels
    else:
        if namespace:
            path = f"{group}/namespaces/{namespace}/{resource}"
        selected = (IMPORT_LABEL if kind is ImportedSlice else "", "" if kind is ServiceImport else settings.labels)
        if any(selected):
            selectors["labelSelector"] = ",".join(filter(None, selected))
        if kind is Pod:
            selectors["fieldSelector"] = _LIVING_PODS
    label = f"imported {resource}" if kind is ImportedSlice else resource
    unserved = _UNSERVED if kind is ServiceImport else ""
    role = f"a Role in namespace {namespace}" if namespace and kind is not Namespace else "the ClusterRole"
    api_group = group.split("/")[2] if group.startswith("/apis/") else ""
    rule = f'add to {role}: apiGroups ["{api_group}"], resources ["{resource}"], verbs ["list", "watch"]'
    return Collection(f"{label} of {namespace}" if namespace else label, path, selectors, unserved, rule)
