"""Documents → the objects that a cluster's API server would hold once its controllers had come to rest.

`desired_objects` is a pure function: the same documents give the same objects, in whatever order they come (where one
object is written twice, the later one counts). `workloads` makes the pods and `slices` the EndpointSlices; here they
get addresses, namespaces and the selection that a Corefile asks for. `objects.from_data` reads what is taken as it is.

A dump of a real cluster is played as little as possible: a workload whose pods are there makes none, and a Service
whose controller's slices are there gets no others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from clusterdns.cluster.decoding import from_data
from clusterdns.cluster.manifests import kinds, services, slices, workloads
from clusterdns.cluster.manifests.addresses import family_of, pod_pools, service_pools
from clusterdns.cluster.manifests.documents import Document
from clusterdns.cluster.manifests.selectors import EVERYTHING, Selector
from clusterdns.cluster.manifests.workloads import Key, PlayedPod, labels_of
from clusterdns.cluster.objects import (
    IMPORT_LABEL,
    MAX_LABEL_BYTES,
    SERVICE_LABEL,
    EndpointSlice,
    ImportedSlice,
    Kind,
    Namespace,
    Object,
    ObjectError,
    Pod,
    Service,
    ServiceImport,
    key_of,
)

_ALWAYS_THERE = ("default", "kube-system")
_NAMESPACE_LABEL = "kubernetes.io/metadata.name"
_WORKLOAD_KINDS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")

Desires = dict[tuple[Kind, Key], Object]


class Remark(NamedTuple):
    """Something to tell the manifests' author: `file:line: Kind namespace/name: what`."""

    kind: str
    text: str
    is_skipped: bool  # the whole object, not a part of it


class Desired(NamedTuple):
    """The state to be reached."""

    objects: Desires
    remarks: tuple[Remark, ...]


@dataclass(frozen=True)
class Selection:
    """Which objects a Corefile asks for; made of the options of the same names."""

    pods: bool = False
    noendpoints: bool = False
    namespaces: frozenset[str] | None = None
    labels: Selector = EVERYTHING
    namespace_labels: Selector = EVERYTHING
    imports: bool = False


def desired_objects(documents: Sequence[Document], selection: Selection | None = None) -> Desired:
    """Play the controllers. What cannot be used is left out, with a remark."""
    cluster = _Cluster(selection or Selection())
    cluster.read(documents)
    cluster.run_workloads()
    cluster.run_services()
    cluster.run_slices()
    cluster.run_imports()
    cluster.found_namespaces()
    return Desired(cluster.objects, tuple(cluster.remarks))


class _Entry(NamedTuple):
    """A manifest with its identity."""

    kind: str
    key: Key
    shape: Any  # the struct of its kind
    tree: dict[str, Any]
    place: str


class _Cluster:
    """One run of the controllers. Each step reads what those before it wrote."""

    def __init__(self, selection: Selection) -> None:
        self.objects: Desires = {}
        self.remarks: list[Remark] = []
        self._selection = selection
        self._entries: dict[str, dict[Key, _Entry]] = {kind: {} for kind in kinds.SHAPES}
        self._pods: dict[Key, PlayedPod] = {}
        self._families: dict[Key, tuple[str, ...]] = {}  # of each Service that can be used

    def read(self, documents: Sequence[Document]) -> None:
        """Sort the documents by kind and name."""
        for kind, tree, place in documents:
            if not kind:
                self.remarks.append(Remark("", f"{place}: this is not an object with a kind, skipped", True))
                continue
            try:
                entry = _entry(kind, tree, place)
            except ObjectError as error:
                self._skip(place, error)
                continue
            earlier = self._entries[kind].get(entry.key)
            if earlier is not None:
                self._remark(entry, f"is in {earlier.place} too, this one is used")
            self._entries[kind][entry.key] = entry

    def run_workloads(self) -> None:
        """Make the pods, and give addresses to those that have none."""
        for entry in self._sorted("Pod"):
            try:
                self._pods[entry.key] = workloads.from_manifest(entry.key[0], entry.shape)
            except ObjectError as error:
                self._skip(entry.place, error)
        busy = self._owners()
        for kind in _WORKLOAD_KINDS:
            for entry in self._sorted(kind):
                if (kind, *entry.key) not in busy:
                    self._run_workload(entry)
        self._address_pods()
        if self._selection.pods:
            for key, pod in sorted(self._pods.items()):
                if pod.addresses and not pod.is_finished and pod.phase != "Unknown":
                    self._add(Pod(*key, pod.addresses, pod.is_terminating), pod.labels)

    def run_services(self) -> None:
        """Give the Services their addresses: first those that state some, so that nobody else gets these."""
        pools = service_pools()
        plans: dict[Key, services.Plan] = {}
        for entry in self._sorted("Service"):
            try:
                plans[entry.key] = plan = services.plan(entry.key, entry.shape)
            except ObjectError as error:
                self._skip(entry.place, error)
                continue
            self._families[entry.key] = plan.families
            for text in plan.addresses:
                pools[family_of(text)].reserve(text)
        for key, plan in plans.items():
            entry = self._entries["Service"][key]
            addresses = list(plan.addresses)
            for family in plan.missing_families:
                pool = pools[family]
                offset = services.FIXED_OFFSETS.get(key)
                found = (pool.take_offset(offset) if offset else None) or pool.take("/".join(key))
                if found is None:
                    self._remark(entry, f"no {family} address is left for it")
                else:
                    addresses.append(found)
            if plan.is_headless:
                addresses = ["None"]
            self._add_stated(Service, entry, {"clusterIP": (*addresses, "")[0], "clusterIPs": addresses})

    def run_slices(self) -> None:
        """Make the EndpointSlices, beside those that are given."""
        if self._selection.noendpoints:
            return
        managed: set[Key] = set()
        for entry in self._sorted("EndpointSlice"):
            labels = labels_of(entry.shape.metadata.labels)
            if labels.get(slices.MANAGED_BY_LABEL) in (slices.SELECTING, slices.MIRRORING):
                managed.add((entry.key[0], labels.get(SERVICE_LABEL, "")))
            self._add_stated(EndpointSlice, entry)
        pods = slices.PodIndex(pod for _, pod in sorted(self._pods.items()))
        for key, families in self._families.items():
            entry = self._entries["Service"][key]
            if key in managed:
                continue
            made: Iterator[slices.Made] = iter(())
            legacy = self._entries["Endpoints"].get(key)
            if entry.shape.spec.selector:
                made = slices.from_selector(key, entry.shape, families, pods)
            elif legacy is not None and slices.is_mirrored(legacy.shape):
                remarks: list[str] = []
                made = slices.from_endpoints(key, legacy.shape, remarks)
                for text in remarks:
                    self._remark(legacy, text)
            for one in made:
                self._add(one.slice, one.labels)

    def run_imports(self) -> None:
        """What several clusters share, as it is given."""
        if not self._selection.imports:
            return
        for entry in self._sorted("ServiceImport"):
            self._add_stated(ServiceImport, entry)
        for entry in () if self._selection.noendpoints else self._sorted("EndpointSlice"):
            if IMPORT_LABEL in labels_of(entry.shape.metadata.labels):
                self._add_stated(ImportedSlice, entry)

    def found_namespaces(self) -> None:
        """The Namespaces that are given, those that anything is in, and those that every cluster has."""
        given = self._entries["Namespace"]
        used = {key[0] for kind, entries in self._entries.items() if kind != "Namespace" for key in entries}
        for name in sorted({*(key[1] for key in given), *used, *_ALWAYS_THERE}):
            entry = given.get(("", name))
            labels = labels_of(entry.shape.metadata.labels) if entry is not None else {}
            self._add(Namespace(name), {**labels, _NAMESPACE_LABEL: name})

    def _sorted(self, kind: str) -> list[_Entry]:
        return [entry for _, entry in sorted(self._entries[kind].items(), key=lambda item: item[0])]

    def _owners(self) -> set[tuple[str, str, str]]:
        """Workloads whose work is in the manifests already."""
        return {
            (owner.kind or "", key[0], owner.name or "")
            for kind in ("Pod", "ReplicaSet")
            for key, entry in self._entries[kind].items()
            for owner in entry.shape.metadata.owner_references or ()
        }

    def _run_workload(self, entry: _Entry) -> None:
        try:
            for pod in workloads.from_workload(entry.kind, entry.key[0], entry.shape, self._pods.keys()):
                if len(self._pods) >= workloads.MAX_PODS:
                    self._remark(entry, f"there are {workloads.MAX_PODS} pods already, the others are left out")
                    return
                self._pods[pod.namespace, pod.name] = pod
        except ObjectError as error:
            self._skip(entry.place, error)

    def _address_pods(self) -> None:
        pools = pod_pools()
        for pod in self._pods.values():
            for text in pod.addresses:
                pools[family_of(text)].reserve(text)
        for key, pod in sorted(self._pods.items()):
            if pod.wants_address:
                found = (pool.take("/".join(key)) for pool in pools.values())
                pod.addresses = tuple(text for text in found if text is not None)

    def _add_stated(self, kind: Kind, entry: _Entry, spec: Mapping[str, Any] | None = None) -> None:
        """An object as its manifest has it, but for the namespace and these fields of its specification."""
        tree = {**entry.tree, "metadata": {**entry.tree["metadata"], "namespace": entry.key[0]}}
        if spec is not None:
            tree["spec"] = {**(tree.get("spec") or {}), **spec}
        try:
            found = from_data(kind, tree)
        except ObjectError as error:
            self._skip(entry.place, error)
            return
        for text in found.remarks:
            self._remark(entry, text)
        self._add(found.object, labels_of(entry.shape.metadata.labels))

    def _add(self, obj: Object, labels: Mapping[str, str]) -> None:
        """Take an object into the state, if it is among those asked for."""
        only = self._selection.namespaces
        is_namespace = isinstance(obj, Namespace)
        selector = self._selection.namespace_labels if is_namespace else self._selection.labels
        if isinstance(obj, ServiceImport):
            selector = EVERYTHING  # as in the API source: what selects Services is not meant for these
        namespace = obj.name if is_namespace else obj.namespace
        if (only is None or namespace in only) and selector.matches(labels):
            self.objects.setdefault((type(obj), key_of(obj)), obj)

    def _remark(self, entry: _Entry, text: str) -> None:
        self.remarks.append(Remark(entry.kind, f"{entry.place}: {entry.kind} {_shown(entry.key)}: {text}", False))

    def _skip(self, place: str, error: ObjectError) -> None:
        self.remarks.append(Remark(error.kind, f"{place}: {error}; skipped", True))


def _entry(kind: str, tree: Any, place: str) -> _Entry:
    found: Any = kinds.shape(kind, tree)
    name = found.metadata.name
    namespace = "" if kind == "Namespace" else found.metadata.namespace or "default"
    if kind == "Namespace" and len(name.encode()) > MAX_LABEL_BYTES:
        raise ObjectError(kind, name[:200], f"its name has more than {MAX_LABEL_BYTES} bytes")
    if kind == "Service" and found.spec is None:
        raise ObjectError(kind, f"{namespace}/{name}", "spec is missing")
    return _Entry(kind, (namespace, name), found, tree, place)


def _shown(key: Key) -> str:
    return "/".join(filter(None, key))[:200]
