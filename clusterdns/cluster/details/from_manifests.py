"""Raw objects from manifests, as written there; what the controllers would make of them is in the index alone."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from clusterdns.cluster.details.reader import (
    CONFIG_MAPS,
    MAX_OBJECTS,
    PODS,
    SERVICES,
    SLICES,
    FoundObjects,
    ObjectFilter,
)

if TYPE_CHECKING:
    from clusterdns.cluster.manifests.documents import Document

DOCUMENTS_PER_STEP = 500  # about a millisecond
_KINDS = {SERVICES: "Service", SLICES: "EndpointSlice", PODS: "Pod", CONFIG_MAPS: "ConfigMap"}
_WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")


class ManifestReader:
    """Looks objects up in the documents of manifests; a workload's pod template counts as a pod without status."""

    text = "manifests"

    def __init__(self, documents: "Callable[[], Sequence[Document]]") -> None:
        self._documents = documents

    async def read(self, resource: str, wanted: ObjectFilter) -> FoundObjects:
        """Find objects (see `ObjectReader.read`); of an object that is written twice the last counts."""
        found: dict[tuple[str, str], Document] = {}
        for number, written in enumerate(self._documents()):
            if not number % DOCUMENTS_PER_STEP:
                await asyncio.sleep(0)
            document = _candidate(written, resource)
            if document is not None and _matches(document.tree, wanted):
                found[document.kind, str(_metadata(document.tree).get("name"))] = document
        most = MAX_OBJECTS[resource]
        documents = list(found.values())
        return FoundObjects(
            tuple(one.tree for one in documents[:most]),
            tuple(one.location for one in documents[:most]),
            is_cut=len(documents) > most,
        )


def _candidate(document: "Document", resource: str) -> "Document | None":
    """Return a document of the resource, for a workload that of its pods; None for others."""
    if document.kind == _KINDS[resource]:
        return document
    if resource == PODS and document.kind in _WORKLOADS:
        return document._replace(tree=_template(document.tree))
    return None


def _template(workload: Any) -> Any:
    """Make a pod of a workload's template, with the workload's name and namespace."""
    spec = workload.get("spec")
    template = (spec.get("template") if isinstance(spec, dict) else None) or {}
    own = _metadata(workload)
    names = {key: own[key] for key in ("name", "namespace") if key in own}
    pod_spec = template.get("spec") if isinstance(template, dict) else None
    return {"metadata": {**_metadata(template), **names}, "spec": pod_spec}


def _metadata(tree: Any) -> dict[str, Any]:
    metadata = tree.get("metadata") if isinstance(tree, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _matches(tree: Any, wanted: ObjectFilter) -> bool:
    metadata = _metadata(tree)
    labels = metadata.get("labels")
    return (
        (metadata.get("namespace") or "default") == wanted.namespace
        and (not wanted.name or metadata.get("name") == wanted.name)
        and _has_all(labels if isinstance(labels, dict) else {}, wanted.labels.items())
    )


def _has_all(labels: dict[str, Any], items: Iterable[tuple[str, str]]) -> bool:
    return all(key in labels and (labels[key] or "") == value for key, value in items)
