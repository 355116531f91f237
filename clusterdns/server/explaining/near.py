"""Objects that were probably meant, where a Service has no EndpointSlice or does not exist.

A slice without the label, or with that of another Service, and a pod whose name was taken for a Service's, for
`objects`; the nearest of many names, for `findings` too. What cannot be read is left out, because it would only be a
hint.
"""

import asyncio
from collections.abc import Iterable
from itertools import islice

from clusterdns.cluster.details.reader import PODS, SLICES, ObjectFilter, ObjectReader
from clusterdns.cluster.details.structs import RawPodObject, RawSliceObject, read
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.objects import SERVICE_LABEL, label_of
from clusterdns.corefile.errors import nearest
from clusterdns.server.explaining.explanation import ExplainedService
from clusterdns.wire.name import label_text

MAX_NAMES, NAMES_PER_STEP = 50_000, 2_000  # names that are looked at, a millisecond per step
MAX_EDITS = 2  # of `nearest`
MAX_CANDIDATES, CANDIDATES_PER_STEP = 5_000, 16  # names that a typo is compared with: 0.5 s, in steps of 2 ms


async def nearest_label(label: bytes, known: Iterable[bytes]) -> str:
    """Return the label that was probably meant, in steps, because there may be thousands; empty where none is near.

    `known` is read at once: names come and go between the steps.
    """
    word, candidates = label_text(label), await _similar(label, list(islice(known, MAX_NAMES)))
    while True:
        best: list[bytes] = []
        for first in range(0, len(candidates), CANDIDATES_PER_STEP):
            await asyncio.sleep(0)
            by_text = {label_text(one): one for one in candidates[first : first + CANDIDATES_PER_STEP]}
            found = nearest(word, by_text)
            best += [by_text[found]] if found is not None else []
        if len(best) <= 1:
            return label_text(best[0]) if best else ""
        candidates = best  # those of the steps, once more


async def _similar(label: bytes, names: list[bytes]) -> list[bytes]:
    """Return the names that `nearest` may choose, in steps: those whose length and letters allow so few edits."""
    found: list[bytes] = []
    letters = frozenset(label)
    for first in range(0, len(names), NAMES_PER_STEP):
        await asyncio.sleep(0)
        found += [
            one
            for one in names[first : first + NAMES_PER_STEP]
            if one.startswith(label)
            or (abs(len(one) - len(label)) <= MAX_EDITS and len(letters.difference(one)) <= MAX_EDITS)
        ]
    return found[:MAX_CANDIDATES]


async def near_slice(found: ExplainedService, index: Index, reader: ObjectReader) -> str:
    """Describe a slice that was probably meant for this Service, which has no selector; empty where there is none."""
    namespace, name = label_of(found.namespace), label_of(found.name)
    nameless = [key for key in index.nameless if index.service(*key) is None]  # slices name these, no Service does
    home = next((label_text(home) for home, other in nameless if other == name and home != namespace), "")
    if home:
        return f'an EndpointSlice in namespace "{home}" names Service "{found.name}": a slice must be in its namespace'
    near = await nearest_label(name, (other for home, other in nameless if home == namespace))
    if near:
        return f'an EndpointSlice names Service "{near}", which does not exist: correct its label {SERVICE_LABEL}'
    listed = await reader.read(SLICES, ObjectFilter(found.namespace))
    for tree in listed.trees:
        raw, _ = read(tree, RawSliceObject)
        await asyncio.sleep(0)  # it may be large
        if (
            raw is not None
            and SERVICE_LABEL not in (raw.metadata.labels or {})
            and raw.metadata.name.startswith(found.name)
        ):
            return f"EndpointSlice {found.namespace}/{raw.metadata.name} has no label {SERVICE_LABEL}={found.name}"
    return ""


async def near_pod(found: ExplainedService, zone_text: str, reader: ObjectReader) -> str:
    """Describe the pod that has the name asked for as a Service; empty where there is none."""
    listed = await reader.read(PODS, ObjectFilter(found.namespace, found.name))
    pod = next((one for tree in listed.trees if (one := read(tree, RawPodObject)[0]) is not None), None)
    if pod is None:
        return ""
    spec = pod.spec
    if spec is not None and spec.hostname and spec.subdomain:
        full = f"{spec.hostname}.{spec.subdomain}.{found.namespace}.svc.{zone_text}"
        return f'that is a pod: did you mean "{full}"?'
    return (
        "that is a pod, which has no name of its own without hostname and subdomain; ask for a Service that selects it"
    )
