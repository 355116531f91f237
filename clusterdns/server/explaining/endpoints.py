"""The endpoints of a Service: those that DNS has, and those that it leaves out, with the reason.

Real slices list both; slices that are simulated from manifests have ready endpoints only, so that pods tell of the
others.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import msgspec

from clusterdns.cluster.decoding import read_data, read_json, reduce_in_steps
from clusterdns.cluster.details.reader import PODS, SLICES, FoundObjects, ObjectFilter, ObjectReader
from clusterdns.cluster.details.structs import (
    RawEndpointConditions,
    RawEndpointDetails,
    RawPodObject,
    RawSliceObject,
    read,
)
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.objects import SERVICE_LABEL, EndpointSlice, Kind, ObjectError, address_text, canonical, packed
from clusterdns.cluster.raw_objects import RawObject
from clusterdns.cluster.turns import LoopTurns
from clusterdns.corefile.errors import nearest
from clusterdns.server.explaining.explanation import MAX_LISTED, ExplainedEndpoint, ExplainedService, ExplainedSlice
from clusterdns.server.explaining.pods import addresses_of, is_ready, why_not_ready
from clusterdns.wire.name import label_text

MAX_PROBLEMS = 5  # of one object
ENDPOINTS_PER_STEP = 64  # a quarter of a millisecond
_YES_NO = {True: "yes", False: "no", None: ""}


async def add_endpoints(
    found: ExplainedService, index: Index, entry: ServiceEntry | None, reader: ObjectReader
) -> None:
    """Read the slices and pods of a Service, and add its endpoints; a large Service is looked at in steps."""
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
    turns = LoopTurns()
    turns.begin()
    by_name: dict[str, RawPodObject] = {}
    await turns.take(_read_pods(pods, by_name))
    known, endpoints = _KnownEndpoints(index, entry), _ShownEndpoints()
    for tree, place in zip(listed.trees, listed.places or ("",) * len(listed.trees), strict=True):
        await turns.take(_of_slice(found, tree, place, known, by_name, endpoints))
    found.slice_count = len(listed.trees)
    by_address = {_canonical(text): pod for pod in by_name.values() for text in addresses_of(pod)}
    if endpoints.count < MAX_LISTED:
        several = known.first(2 * MAX_LISTED)
        endpoints.add_all(_simulated(one, by_address) for one in several if one[0] not in endpoints.addresses)
    endpoints.add_all(_of_pods(by_name, known, endpoints.addresses, found.ip_families, has_slices=bool(listed.trees)))
    found.endpoint_count = found.listed_count + endpoints.left_out_count
    found.endpoints = endpoints.first(MAX_LISTED)


class _ShownEndpoints:
    """The first endpoints of a Service, those that DNS leaves out before the others: people look for them."""

    def __init__(self) -> None:
        self.left_out_count = 0
        self.addresses: set[str] = set()  # of all that slices list
        self._left_out: list[ExplainedEndpoint] = []
        self._listed: list[ExplainedEndpoint] = []

    def add(self, make: Callable[[], ExplainedEndpoint], *, is_listed: bool) -> None:
        """Count an endpoint, and make it where it is among the first."""
        self.left_out_count += not is_listed
        kept = self._listed if is_listed else self._left_out
        if len(kept) < MAX_LISTED:
            kept.append(make())

    def add_all(self, several: Iterable[ExplainedEndpoint]) -> None:
        """Add endpoints that are made already."""
        for one in several:
            self.add(partial(_itself, one), is_listed=one.is_listed)

    @property
    def count(self) -> int:
        """The number of those that are kept."""
        return len(self._left_out) + len(self._listed)

    def first(self, count: int) -> list[ExplainedEndpoint]:
        """Return the first ones."""
        return (self._left_out + self._listed)[:count]


class _KnownEndpoints:
    """The endpoints of a Service in the index, of which there may be thousands."""

    def __init__(self, index: Index, entry: ServiceEntry | None) -> None:
        self._index = index
        self._entry = entry

    def has(self, address_text: str) -> bool:
        """Return whether DNS has an endpoint with this address; False for a text that is none."""
        text = _canonical(address_text)
        if self._entry is None or not text:
            return False
        return self._index.reverse.has_endpoint_of(packed(text), (self._entry.namespace, self._entry.name))

    def first(self, count: int) -> list[tuple[str, str]]:
        """Return the address and the label of so many endpoints."""
        several = islice(self._entry.endpoints(), count) if self._entry is not None else ()
        return [(address_text(one.address), label_text(one.label)) for one in several]


async def _near_selector(found: ExplainedService, reader: ObjectReader) -> str:
    """Return a label of the namespace's pods that the selector, which matches none of them, may have meant."""
    pods = await reader.read(PODS, ObjectFilter(found.namespace))
    metas = []
    for tree in pods.trees:
        pod, _ = read(tree, RawPodObject)
        metas += [pod.metadata] if pod is not None else []
        await asyncio.sleep(0)
    for key, value in found.selector.items():
        values = {text for meta in metas if (text := (meta.labels or {}).get(key))}
        if value not in values and (near := nearest(value, sorted(values))) is not None:
            return f"{key}={near}"
    return ""


def _read_pods(pods: FoundObjects, by_name: dict[str, RawPodObject]) -> Iterator[None]:
    """Decode the pods with a status, in steps; templates and pods of manifests without one are always ready."""
    for tree in pods.trees:
        pod, _ = read(tree, RawPodObject)
        if pod is not None and pod.status is not None:
            by_name[pod.metadata.name] = pod
        yield


def _of_slice(
    found: ExplainedService, tree: Any, place: str, known: _KnownEndpoints, pods: dict[str, RawPodObject],
    shown: _ShownEndpoints,
) -> Iterator[None]:  # fmt: skip
    """Add a slice and its endpoints, in steps."""
    problems: list[str] = []
    yield from add_problems(problems, EndpointSlice, tree, found.namespace)
    found.problems += [one for one in problems if one not in found.problems]
    raw, _ = read(tree, RawSliceObject)
    yield
    if raw is None:
        return
    endpoints = raw.endpoints or []
    if len(found.slices) < MAX_LISTED:
        found.slices.append(ExplainedSlice(raw.metadata.name, raw.address_type or "", len(endpoints), problems, place))
    for number, one in enumerate(endpoints):
        if number % ENDPOINTS_PER_STEP == 0:
            yield
        is_listed = any(map(known.has, one.addresses or ()))
        shown.addresses.update(one.addresses or ())
        shown.add(partial(_endpoint, one, is_listed, pods, found), is_listed=is_listed)


def add_problems(problems: list[str], kind: Kind, tree: Any, namespace: str) -> Iterator[None]:
    """Add what the server ignores of an object, and why, in steps."""
    try:
        raw = _raw_object(kind, tree, namespace)
        yield
        decoded = yield from reduce_in_steps(kind, raw)
    except ObjectError as error:
        problems.append(str(error))
    else:
        label = f"{kind.__name__} {namespace}/{decoded.object.name}"
        problems += [f"{label}: {_as_cause(text)}" for text in decoded.warnings[:MAX_PROBLEMS]]
    yield


def _raw_object(kind: Kind, tree: Any, namespace: str) -> RawObject:
    """Decode an object; one of manifests may have no namespace. Raises ObjectError."""
    if isinstance(tree, msgspec.Raw):
        return read_json(kind, tree)
    if isinstance(tree, dict) and isinstance(tree.get("metadata"), dict):
        tree = {**tree, "metadata": {"namespace": namespace, **tree["metadata"]}}
    return read_data(kind, tree)


def _as_cause(warning: str) -> str:
    """Write a warning of `reduction` as a cause: `address "10.1.0.021" is not an IP address`."""
    return warning.removesuffix("; ignored").removeprefix("endpoint ").replace("'", '"')


def _endpoint(
    raw: RawEndpointDetails, is_listed: bool, pods: dict[str, RawPodObject], found: ExplainedService
) -> ExplainedEndpoint:
    conditions = raw.conditions or RawEndpointConditions()
    addresses = list(raw.addresses or ())
    pod_name = (raw.target_ref.name if raw.target_ref is not None else None) or ""
    reason = "" if is_listed else _why_left_out(conditions, addresses, pods.get(pod_name), pod_name, found)
    return ExplainedEndpoint(
        addresses, raw.hostname or "", is_listed,
        _YES_NO[conditions.ready], _YES_NO[conditions.serving], _YES_NO[conditions.terminating],
        pod_name, raw.node_name or "", raw.zone or "", reason,
    )  # fmt: skip


def _itself(one: ExplainedEndpoint) -> ExplainedEndpoint:
    return one


def _why_left_out(
    conditions: RawEndpointConditions,
    addresses: list[str],
    pod: RawPodObject | None,
    pod_name: str,
    found: ExplainedService,
) -> str:
    if conditions.ready is False:
        why = why_not_ready(pod) if pod is not None else ""
        if conditions.terminating:
            why = why or f"{pod_name or 'it'} is terminating"
        return why or (f"{pod_name} is not ready" if pod_name else "its slice says that it is not ready")
    wrong = next((text for text in addresses if not _canonical(text)), None)
    if wrong is not None:
        return f'address "{wrong}" is not an IP address'
    return "" if not found.exists else "this server has not heard of it yet"


def _simulated(endpoint: tuple[str, str], pods: dict[str, RawPodObject]) -> ExplainedEndpoint:
    """Make an endpoint that DNS has and no raw slice lists: of a simulated slice, or of one that is not shown."""
    address, label = endpoint
    pod = pods.get(address)
    node = (pod.spec.node_name if pod is not None and pod.spec is not None else None) or ""
    return ExplainedEndpoint(
        [address], label, True, "yes", "", "", "" if pod is None else pod.metadata.name, node, "", ""
    )


def _of_pods(
    pods: dict[str, RawPodObject], known: _KnownEndpoints, seen: set[str], families: list[str], *, has_slices: bool
) -> Iterator[ExplainedEndpoint]:
    """Yield the pods that no slice lists, with the reason why."""
    for name, pod in pods.items():
        addresses = addresses_of(pod)
        if any(_canonical(text) in seen or known.has(text) for text in addresses) or (has_slices and is_ready(pod)):
            continue
        node = (pod.spec.node_name if pod.spec is not None else None) or ""
        reason = why_not_ready(pod) or _wrong_family(name, addresses, families) or "no slice lists it"
        yield ExplainedEndpoint(addresses, "", False, _YES_NO[is_ready(pod)], "", "", name, node, "", reason)


def _wrong_family(pod: str, addresses: list[str], families: list[str]) -> str:
    """Return why no address of a pod fits the Service's families; empty where one does, or they are not said."""
    own = {"IPv6" if ":" in text else "IPv4" for text in addresses}
    return f"{pod} has no {' or '.join(families)} address" if families and not own & set(families) else ""


def _canonical(text: str) -> str:
    """Spell an address in canonical form; empty where it is none."""
    try:
        return canonical(text)
    except (OSError, ValueError):
        return ""
