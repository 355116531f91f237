"""The endpoints of a Service: those that DNS has, and those that it leaves out, with the reason.

Real slices list both; slices that are simulated from manifests have ready endpoints only, so that pods tell of the
others.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from clusterdns.cluster.decoding import from_data
from clusterdns.cluster.details.reader import PODS, SLICES, FoundObjects, ObjectFilter, ObjectReader
from clusterdns.cluster.details.structs import (
    RawEndpointConditions,
    RawEndpointDetails,
    RawPodObject,
    RawSliceObject,
    read,
)
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.objects import SERVICE_LABEL, EndpointSlice, Kind, ObjectError, address_text, canonical
from clusterdns.corefile.errors import nearest
from clusterdns.server.explaining.explanation import MAX_LISTED, ExplainedEndpoint, ExplainedService, ExplainedSlice
from clusterdns.server.explaining.pods import addresses_of, is_ready, why_not_ready
from clusterdns.wire.name import label_text

MAX_PROBLEMS = 5  # of one object
_YES_NO = {True: "yes", False: "no", None: ""}


async def add_endpoints(found: ExplainedService, entry: ServiceEntry | None, reader: ObjectReader) -> None:
    """Read the slices and pods of a Service, and add its endpoints."""
    listed = await reader.read(SLICES, ObjectFilter(found.namespace, labels={SERVICE_LABEL: found.name}))
    pods = FoundObjects()
    if found.selector:
        pods = await reader.read(PODS, ObjectFilter(found.namespace, labels=found.selector))
        if not pods.trees and not pods.problem:
            found.near_selector = await _near_selector(found, reader)
    for what, one in (("EndpointSlices", listed), ("Pods", pods)):
        if one.problem:
            found.unseen.append(f"{what} of {found.namespace}: {one.problem}")
        if one.is_cut:
            found.unseen.append(f"{what} of {found.namespace}: only the first {len(one.trees)} are shown")
    known = {} if entry is None else {address_text(one.address): one for one in entry.endpoints()}
    found.listed_count = len(known)
    by_name = {pod.metadata.name: pod for pod in _readable(pods)}
    endpoints = [*_of_slices(found, listed, set(known), by_name)]
    seen = {address for one in endpoints for address in one.addresses}
    by_address = {_canonical(text): pod for pod in by_name.values() for text in addresses_of(pod)}
    endpoints += [
        _known(text, label_text(one.label), by_address.get(text))
        for text, one in islice(known.items(), MAX_LISTED + len(seen))
        if text not in seen
    ]
    endpoints += _of_pods(by_name, seen | set(known), has_slices=bool(listed.trees))
    left_out = sum(1 for one in endpoints if not one.is_listed)
    found.endpoint_count = found.listed_count + left_out
    endpoints.sort(key=lambda one: one.is_listed)  # what is left out is what people look for
    found.endpoints = endpoints[:MAX_LISTED]


async def _near_selector(found: ExplainedService, reader: ObjectReader) -> str:
    """Return a label of the namespace's pods that the selector, which matches none of them, may have meant."""
    pods = await reader.read(PODS, ObjectFilter(found.namespace))
    metas = [pod.metadata for tree in pods.trees if (pod := read(tree, RawPodObject)[0]) is not None]
    for key, value in found.selector.items():
        values = {text for meta in metas if (text := (meta.labels or {}).get(key))}
        if value not in values and (near := nearest(value, sorted(values))) is not None:
            return f"{key}={near}"
    return ""


def _readable(pods: FoundObjects) -> Iterator[RawPodObject]:
    """Yield the pods with a status; templates and pods of manifests without one are always ready."""
    for tree in pods.trees:
        pod, _ = read(tree, RawPodObject)
        if pod is not None and pod.status is not None:
            yield pod


def _of_slices(
    found: ExplainedService, listed: FoundObjects, known: set[str], pods: dict[str, RawPodObject]
) -> Iterator[ExplainedEndpoint]:
    """Add the slices, and yield their endpoints."""
    found.slice_count = len(listed.trees)
    places = listed.places or ("",) * len(listed.trees)
    for tree, place in zip(listed.trees, places, strict=True):
        problems = problems_of(EndpointSlice, tree, found.namespace)
        found.problems += [one for one in problems if one not in found.problems]
        raw, _ = read(tree, RawSliceObject)
        if raw is None:
            continue
        endpoints = raw.endpoints or []
        if len(found.slices) < MAX_LISTED:
            one = ExplainedSlice(raw.metadata.name, raw.address_type or "", len(endpoints), problems, place)
            found.slices.append(one)
        for endpoint in endpoints:
            yield _endpoint(endpoint, known, pods, found)


def problems_of(kind: Kind, tree: Any, namespace: str) -> list[str]:
    """Return what the server ignores of an object, and why."""
    if isinstance(tree, dict) and isinstance(tree.get("metadata"), dict):
        tree = {**tree, "metadata": {"namespace": namespace, **tree["metadata"]}}
    try:
        decoded = from_data(kind, tree)
    except ObjectError as error:
        return [str(error)]
    label = f"{kind.__name__} {namespace}/{decoded.object.name}"
    return [f"{label}: {_as_cause(text)}" for text in decoded.warnings[:MAX_PROBLEMS]]


def _as_cause(warning: str) -> str:
    """Write a warning of `reduction` as a cause: `address "10.1.0.021" is not an IP address`."""
    return warning.removesuffix("; ignored").removeprefix("endpoint ").replace("'", '"')


def _endpoint(
    raw: RawEndpointDetails, known: set[str], pods: dict[str, RawPodObject], found: ExplainedService
) -> ExplainedEndpoint:
    conditions = raw.conditions or RawEndpointConditions()
    addresses = list(raw.addresses or ())
    pod_name = (raw.target_ref.name if raw.target_ref is not None else None) or ""
    is_listed = any(_canonical(text) in known for text in addresses)
    pod = pods.get(pod_name)
    reason = "" if is_listed else _why_left_out(conditions, addresses, pod, pod_name, found)
    return ExplainedEndpoint(
        addresses, raw.hostname or "", is_listed,
        _YES_NO[conditions.ready], _YES_NO[conditions.serving], _YES_NO[conditions.terminating],
        pod_name, raw.node_name or "", raw.zone or "", reason,
    )  # fmt: skip


def _why_left_out(
    conditions: RawEndpointConditions,
    addresses: list[str],
    pod: RawPodObject | None,
    pod_name: str,
    found: ExplainedService,
) -> str:
    if conditions.ready is False:
        why = why_not_ready(pod) if pod is not None else ""
        return why or (f"{pod_name} is not ready" if pod_name else "its slice says that it is not ready")
    wrong = next((text for text in addresses if not _canonical(text)), None)
    if wrong is not None:
        return f'address "{wrong}" is not an IP address'
    return "" if not found.exists else "this server has not heard of it yet"


def _known(address: str, label: str, pod: RawPodObject | None) -> ExplainedEndpoint:
    """Make the endpoint of an address that DNS has and no raw slice lists: of a simulated slice."""
    name = "" if pod is None else pod.metadata.name
    node = (pod.spec.node_name if pod is not None and pod.spec is not None else None) or ""
    return ExplainedEndpoint([address], label, True, "yes", "", "", name, node, "", "")


def _of_pods(pods: dict[str, RawPodObject], seen: set[str], *, has_slices: bool) -> Iterator[ExplainedEndpoint]:
    """Yield the pods that no slice lists, with the reason why."""
    for name, pod in pods.items():
        addresses = addresses_of(pod)
        if any(_canonical(text) in seen for text in addresses) or (has_slices and is_ready(pod)):
            continue
        node = (pod.spec.node_name if pod.spec is not None else None) or ""
        reason = why_not_ready(pod) or "no slice lists it"
        yield ExplainedEndpoint(addresses, "", False, _YES_NO[is_ready(pod)], "", "", name, node, "", reason)


def _canonical(text: str) -> str:
    """Spell an address in canonical form; empty where it is none."""
    try:
        return canonical(text)
    except (OSError, ValueError):
        return ""
