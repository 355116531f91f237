"""Checks between manifests: kinds that are not read, selectors without pods, endpoints without a Service.

An API server accepts all of these, and the names then have no addresses or do not exist, which is hardly meant.
`controllers` calls these functions with what it has simulated; nothing here changes an answer.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from clusterdns.cluster.manifests import kinds
from clusterdns.cluster.manifests.documents import Document
from clusterdns.cluster.manifests.kinds import ManifestEntry
from clusterdns.cluster.manifests.problems import Category, Problem
from clusterdns.cluster.manifests.workloads import SimulatedPod, labels_of
from clusterdns.cluster.objects import ObjectKey

_SHOWN_CHARACTERS = 60


class LabelSets:
    """The labels of every pod and of every pod template, by namespace: what a selector may match sooner or later."""

    def __init__(self, labelled: Iterable[tuple[str, Mapping[str, str]]]) -> None:
        self._by_namespace: dict[str, set[frozenset[tuple[str, str]]]] = {}
        self._pairs: set[tuple[str, str, str]] = set()
        for namespace, labels in labelled:
            self._by_namespace.setdefault(namespace, set()).add(frozenset(labels.items()))
            self._pairs.update((namespace, *pair) for pair in labels.items())

    def has_match(self, namespace: str, selector: Mapping[str, str]) -> bool:
        """Return whether any of the label sets of a namespace has all labels of a selector."""
        wanted = selector.items()
        if any((namespace, *pair) not in self._pairs for pair in wanted):
            return False
        return any(wanted <= labels for labels in self._by_namespace.get(namespace, ()))


def unread_kind(document: Document) -> Problem | None:
    """Return the problem of a document whose kind is not read; None for a kind of Kubernetes that has no names."""
    group = kinds.group_of(document.tree)
    if group in kinds.GROUPS:
        if document.kind.removesuffix("List") in ("", *kinds.KINDS_WITHOUT_NAMES, *kinds.MANIFEST_TYPES):
            return None
        key = kinds.readable_key(document.kind, document.tree)
        text = f"Kubernetes has no such kind; ignored{_hint(document.kind)}"
        return Problem.of_object(Category.KIND, document.location, _shown(document.kind), key, text)
    kind = _shown(f"{document.kind}.{group}")
    key = kinds.readable_key(document.kind, document.tree)
    problem = Problem.of_object(
        Category.KIND, document.location, kind, key, "objects of this kind are not read; they have no names here"
    )
    return problem._replace(subject=kind)  # one line for all objects of the kind


def unmatched_selector(entry: ManifestEntry, selected: Sequence[SimulatedPod], sets: LabelSets) -> Iterable[Problem]:
    """Yield the problems of a Service with a selector: it matches no pod, or no matched pod names a targetPort."""
    spec = entry.manifest.spec
    selector = labels_of(spec.selector)
    if not selected:
        if not sets.has_match(entry.key[0], selector):
            shown = _shown(",".join(f"{name}={value}" for name, value in sorted(selector.items())))
            text = f"its selector {shown} matches no pod of namespace {_shown(entry.key[0])}; it has no endpoints"
            yield _endpoints_problem(entry, text)
        return
    for port in spec.ports or ():
        target = port.target_port
        if isinstance(target, str) and not any((target, port.protocol or "TCP") in pod.ports for pod in selected):
            text = f"none of its pods names the targetPort {_shown(target)}; the port is ignored"
            yield _endpoints_problem(entry, text)


def without_service(entry: ManifestEntry, service: str, services: Collection[ObjectKey]) -> Problem | None:
    """Return the problem of endpoints, or of an EndpointSlice, whose Service is not in the manifests."""
    if not service:
        text = "its label kubernetes.io/service-name is missing; its endpoints have no names"
    elif (entry.key[0], service) in services:
        return None
    else:
        text = f"there is no Service {_shown(f'{entry.key[0]}/{service}')}; its endpoints have no names"
    return _endpoints_problem(entry, text)


def _endpoints_problem(entry: ManifestEntry, text: str) -> Problem:
    return Problem.of_object(Category.ENDPOINTS, entry.location, entry.kind, entry.key, text)


def _hint(kind: str) -> str:
    from difflib import get_close_matches  # only a mistake needs it

    known = {one.lower(): one for one in (*kinds.MANIFEST_TYPES, *kinds.KINDS_WITHOUT_NAMES)}
    found = get_close_matches(kind.lower()[:_SHOWN_CHARACTERS], sorted(known), n=1, cutoff=0.75)
    return f"; did you mean {known[found[0]]}?" if found else ""


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
