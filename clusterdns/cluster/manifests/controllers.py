"""Computes the objects that an API server would hold once its controllers had processed the manifests.

`desired_objects` is a pure function: the same documents give the same objects in any order (of an object that is
written twice, the later document counts). `workloads` makes the pods and `slices` the EndpointSlices; this module
allocates addresses, creates namespaces and applies the selection of the Corefile.

Of a dump of a real cluster as little as possible is simulated: a workload whose pods are in the dump makes none, and a
Service whose slices are in the dump gets no others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from clusterdns.cluster.decoding import from_data
from clusterdns.cluster.manifests import checks, kinds, services, slices, workloads
from clusterdns.cluster.manifests.addresses import family_of, pod_pools, service_pools
from clusterdns.cluster.manifests.documents import Document
from clusterdns.cluster.manifests.kinds import ManifestEntry
from clusterdns.cluster.manifests.problems import Category, Problem
from clusterdns.cluster.manifests.selectors import EVERYTHING, Selector
from clusterdns.cluster.manifests.workloads import SimulatedPod, labels_of
from clusterdns.cluster.objects import (
    IMPORT_LABEL,
    SERVICE_LABEL,
    EndpointSlice,
    ImportedSlice,
    Kind,
    Namespace,
    Object,
    ObjectError,
    ObjectKey,
    Pod,
    Service,
    ServiceImport,
    key_of,
    labels_text,
)

_ALWAYS_THERE = ("default", "kube-system")
_NAMESPACE_LABEL = "kubernetes.io/metadata.name"
_WORKLOAD_KINDS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")

ObjectsByKey = dict[tuple[Kind, ObjectKey], Object]


class DesiredState(NamedTuple):
    """The objects that the manifests describe, and what is wrong with the manifests."""

    objects: ObjectsByKey
    problems: tuple[Problem, ...]


class Selection(msgspec.Struct, frozen=True):
    """The objects to compute, by the options of `kubernetes` with the same names."""

    pods: bool = False
    noendpoints: bool = False
    namespaces: frozenset[str] | None = None
    labels: Selector = EVERYTHING
    namespace_labels: Selector = EVERYTHING
    imports: bool = False


def desired_objects(documents: Sequence[Document], selection: Selection | None = None) -> DesiredState:
    """Simulate the controllers. A manifest that cannot be used is ignored, and is one of the problems."""
    cluster = _Simulation(selection or Selection())
    cluster.read(documents)
    cluster.run_workloads()
    cluster.run_services()
    cluster.run_slices()
    cluster.run_imports()
    cluster.create_namespaces()
    return DesiredState(cluster.objects, tuple(cluster.problems))


class _Simulation:
    """One run of the controllers. Each step reads the results of the steps before it."""

    def __init__(self, selection: Selection) -> None:
        self.objects: ObjectsByKey = {}
        self.problems: list[Problem] = []
        self._selection = selection
        self._entries: dict[str, dict[ObjectKey, ManifestEntry]] = {kind: {} for kind in kinds.MANIFEST_TYPES}
        self._pods: dict[ObjectKey, SimulatedPod] = {}
        self._families: dict[ObjectKey, tuple[str, ...]] = {}  # of each Service that can be used

    def read(self, documents: Sequence[Document]) -> None:
        """Sort the documents by kind and name."""
        for document in documents:
            kind, tree, location = document
            if not kind:
                text = "not an object with a kind; skipped"
                self.problems.append(Problem(Category.SKIPPED, location, location, text))
                continue
            if kind not in kinds.MANIFEST_TYPES:
                self._note(checks.unread_kind(document))
                continue
            try:
                entry = kinds.to_entry(kind, tree, location)
            except ObjectError as error:
                self._skip(location, error)
                continue
            earlier = self._entries[kind].get(entry.key)
            if earlier is not None:
                text = f"is also in {earlier.location}; this one is used"
                self.problems.append(Problem.of_object(Category.DUPLICATE, location, kind, entry.key, text))
            self._entries[kind][entry.key] = entry

    def run_workloads(self) -> None:
        """Make the pods, and allocate addresses to those that have none."""
        for entry in self._sorted("Pod"):
            try:
                self._pods[entry.key] = workloads.from_manifest(entry.key[0], entry.manifest)
            except ObjectError as error:
                self._skip(entry.location, error)
        with_pods = self._owning_workloads()
        for kind in _WORKLOAD_KINDS:
            for entry in self._sorted(kind):
                if (kind, *entry.key) not in with_pods:
                    self._run_workload(entry)
        self._address_pods()
        if self._selection.pods:
            for key, pod in sorted(self._pods.items()):
                if pod.addresses and not pod.is_finished and pod.phase != "Unknown":
                    self._add(Pod(*key, pod.addresses, pod.is_terminating, labels_text(pod.labels)), pod.labels)

    def run_services(self) -> None:
        """Allocate the Services' addresses, after reserving every address that a manifest gives."""
        pools = service_pools()
        requests: dict[ObjectKey, services.AddressRequest] = {}
        for entry in self._sorted("Service"):
            try:
                requests[entry.key] = request = services.address_request(entry.key, entry.manifest)
            except ObjectError as error:
                self._skip(entry.location, error)
                continue
            self._families[entry.key] = request.slice_families
            for text in request.given:
                pools[family_of(text)].reserve(text)
        for key, request in requests.items():
            entry = self._entries["Service"][key]
            addresses = list(request.given)
            for family in request.missing_families:
                pool = pools[family]
                offset = services.FIXED_OFFSETS.get(key)
                found = (pool.allocate_at(offset) if offset else None) or pool.allocate("/".join(key))
                if found is None:
                    self._warn(entry, f"no {family} address is left in the Service network")
                else:
                    addresses.append(found)
            if request.is_headless:
                addresses = ["None"]
            self._add_given(Service, entry, {"clusterIP": (*addresses, "")[0], "clusterIPs": addresses})

    def run_slices(self) -> None:
        """Add the EndpointSlices of the manifests, and make those of the other Services."""
        if self._selection.noendpoints:
            return
        managed: set[ObjectKey] = set()
        for entry in self._sorted("EndpointSlice"):
            labels = labels_of(entry.manifest.metadata.labels)
            if labels.get(slices.MANAGED_BY_LABEL) in (slices.SELECTING, slices.MIRRORING):
                managed.add((entry.key[0], labels.get(SERVICE_LABEL, "")))
            self._add_given(EndpointSlice, entry)
            if IMPORT_LABEL not in labels:
                self._require_service(entry, labels.get(SERVICE_LABEL, ""))
        for entry in self._sorted("Endpoints"):
            if entry.manifest.subsets:
                self._require_service(entry, entry.key[1])
        pods = slices.PodsByLabel(pod for _, pod in sorted(self._pods.items()))
        label_sets = checks.LabelSets(self._labelled())
        for key, families in self._families.items():
            entry = self._entries["Service"][key]
            if key in managed:
                continue
            made: Iterator[slices.LabelledSlice] = iter(())
            legacy = self._entries["Endpoints"].get(key)
            if entry.manifest.spec.selector:
                selected = pods.selected(key[0], labels_of(entry.manifest.spec.selector))
                made = slices.from_pods(key, entry.manifest, families, selected)
                if families and (Service, key) in self.objects:
                    self._note(*checks.unmatched_selector(entry, selected, label_sets))
            elif legacy is not None and slices.is_mirrored(legacy.manifest):
                warnings: list[str] = []
                made = slices.from_endpoints(key, legacy.manifest, warnings)
                for text in warnings:
                    self._warn(legacy, text)
            for one in made:
                self._add(one.slice, one.labels)

    def run_imports(self) -> None:
        """Add the ServiceImports of the manifests and their slices."""
        if not self._selection.imports:
            return
        for entry in self._sorted("ServiceImport"):
            self._add_given(ServiceImport, entry)
        for entry in () if self._selection.noendpoints else self._sorted("EndpointSlice"):
            if IMPORT_LABEL in labels_of(entry.manifest.metadata.labels):
                self._add_given(ImportedSlice, entry)

    def create_namespaces(self) -> None:
        """Add the Namespaces of the manifests, those that other objects are in, and those of every cluster."""
        given = self._entries["Namespace"]
        used = {key[0] for kind, entries in self._entries.items() if kind != "Namespace" for key in entries}
        for name in sorted({*(key[1] for key in given), *used, *_ALWAYS_THERE}):
            entry = given.get(("", name))
            labels = labels_of(entry.manifest.metadata.labels) if entry is not None else {}
            self._add(Namespace(name), {**labels, _NAMESPACE_LABEL: name})

    def _labelled(self) -> Iterable[tuple[str, Mapping[str, str]]]:
        """Yield (namespace, labels) of each pod, and of the pod template of each workload."""
        for pod in self._pods.values():
            yield pod.namespace, pod.labels
        for kind in _WORKLOAD_KINDS:
            for key, entry in self._entries[kind].items():
                template = entry.manifest.spec.template if entry.manifest.spec else None
                if template is not None and template.metadata is not None:
                    yield key[0], labels_of(template.metadata.labels)

    def _require_service(self, entry: ManifestEntry, service: str) -> None:
        self._note(checks.without_service(entry, service, self._entries["Service"].keys()))

    def _note(self, *problems: Problem | None) -> None:
        self.problems += [problem for problem in problems if problem is not None]

    def _sorted(self, kind: str) -> list[ManifestEntry]:
        return [entry for _, entry in sorted(self._entries[kind].items(), key=lambda item: item[0])]

    def _owning_workloads(self) -> set[tuple[str, str, str]]:
        """Return the workloads that own a pod or ReplicaSet of the manifests, as (kind, namespace, name)."""
        return {
            (owner.kind or "", key[0], owner.name or "")
            for kind in ("Pod", "ReplicaSet")
            for key, entry in self._entries[kind].items()
            for owner in entry.manifest.metadata.owner_references or ()
        }

    def _run_workload(self, entry: ManifestEntry) -> None:
        try:
            for pod in workloads.from_workload(entry.kind, entry.key[0], entry.manifest, self._pods.keys()):
                if len(self._pods) >= workloads.MAX_PODS:
                    self._warn(entry, f"the limit of {workloads.MAX_PODS} pods is reached; the others are ignored")
                    return
                self._pods[pod.namespace, pod.name] = pod
        except ObjectError as error:
            self._skip(entry.location, error)

    def _address_pods(self) -> None:
        pools = pod_pools()
        for pod in self._pods.values():
            for text in pod.addresses:
                pools[family_of(text)].reserve(text)
        for key, pod in sorted(self._pods.items()):
            if pod.needs_address:
                found = (pool.allocate("/".join(key)) for pool in pools.values())
                pod.addresses = tuple(text for text in found if text is not None)

    def _add_given(self, kind: Kind, entry: ManifestEntry, spec: Mapping[str, Any] | None = None) -> None:
        """Add the object of a manifest, with its namespace and these fields of `spec` replaced."""
        tree = {**entry.tree, "metadata": {**entry.tree["metadata"], "namespace": entry.key[0]}}
        if spec is not None:
            tree["spec"] = {**(tree.get("spec") or {}), **spec}
        try:
            found = from_data(kind, tree)
        except ObjectError as error:
            self._skip(entry.location, error)
            return
        for text in found.warnings:
            self._warn(entry, text)
        self._add(found.object, labels_of(entry.manifest.metadata.labels))

    def _add(self, obj: Object, labels: Mapping[str, str]) -> None:
        """Add an object to the state, if the selection includes it."""
        only = self._selection.namespaces
        is_namespace = isinstance(obj, Namespace)
        selector = self._selection.namespace_labels if is_namespace else self._selection.labels
        if isinstance(obj, ServiceImport):
            selector = EVERYTHING  # as in the API source: the option `labels` does not select ServiceImports
        namespace = obj.name if is_namespace else obj.namespace
        if (only is None or namespace in only) and selector.matches(labels):
            self.objects.setdefault((type(obj), key_of(obj)), obj)

    def _warn(self, entry: ManifestEntry, text: str) -> None:
        self.problems.append(Problem.of_object(Category.PART, entry.location, entry.kind, entry.key, text))

    def _skip(self, location: str, error: ObjectError) -> None:
        self.problems.append(Problem.of_error(location, error))
