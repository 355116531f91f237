"""One Service for people: its names and records, its endpoints, and how often it is asked for."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from clusterdns.cluster.index.listing import TYPES, labels_below_service, name_below
from clusterdns.cluster.index.schema import SERVICE_TREE
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import label_of
from clusterdns.host.imports import import_in_thread
from clusterdns.plugins.kubernetes.exports import ClusterView
from clusterdns.server.assembly import Configuration
from clusterdns.wire import codes
from clusterdns.wire.name import to_text
from clusterdns.wire.presentation.text import rdata_text

MAX_NAMES = 50
MAX_RECORDS = 20  # of one name and type
MAX_LABEL_CHARACTERS = 63


async def describe_service(
    configuration: Configuration, namespace: str, name: str, document: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Describe a Service of the first zone that has it; None where none does. `document` is the live picture."""
    found = _find(configuration, namespace, name)
    if found is None:
        return None
    zone, entry = found
    assert entry.service is not None
    own_name = to_text(name_below(zone.zone, [entry.name, entry.namespace, SERVICE_TREE]))
    engine = await import_in_thread("clusterdns.server.explaining.engine")
    explanation = await import_in_thread("clusterdns.server.explaining.explanation")
    try:
        explained = await engine.Explainer(configuration).explain(engine.ExplainRequest(own_name))
        verdict, tree = explained.verdict.line, explanation.as_tree(explained)
        services = [one for one in explained.services if (one.namespace, one.name) == (namespace, name)]
    except engine.ExplainError as error:  # in time
        verdict, tree, services = str(error), {}, []
    return {
        "namespace": namespace,
        "name": name,
        "type": "headless" if entry.service.headless else entry.service.type,
        "verdict": verdict,
        "explanation": tree,
        "names": list(islice(_names(zone, entry), MAX_NAMES)),
        "endpoints": [_endpoint_row(one) for service in services for one in service.endpoints],
        "endpoint_count": sum(service.endpoint_count for service in services),
        "per_second": {
            f"{row['name']} {row['type']}": row["per_second"]
            for row in document["names"]
            if row["name"] == own_name or row["name"].endswith(f".{own_name}")
        },
    }


def _find(configuration: Configuration, namespace: str, name: str) -> tuple[ClusterZone, ServiceEntry] | None:
    if max(len(namespace), len(name)) > MAX_LABEL_CHARACTERS:
        return None
    key = label_of(namespace), label_of(name)
    for view in configuration.exports(ClusterView):
        for zone in view.zones:
            entry = zone.index.service(*key)
            if entry is not None and not zone.is_reverse and zone.index.exposes(key[0]):
                return zone, entry
    return None


def _names(zone: ClusterZone, entry: ServiceEntry) -> Iterator[dict[str, Any]]:
    """Yield the names of a Service with their records, by type."""
    serial = zone.index.serial.wire
    for left in labels_below_service(zone, entry):
        qname = name_below(zone.zone, [*left, entry.name, entry.namespace, SERVICE_TREE])
        for qtype in TYPES if qname else ():
            found = zone.find(qname, qtype)
            if found.cname and qtype == codes.CNAME:
                texts, count = [to_text(found.cname)], 1
            else:
                texts = [rdata_text(one.with_serial(serial)) for one in islice(found.records, MAX_RECORDS)]
                count = len(found.records)
            if texts:
                yield {"name": to_text(qname), "type": codes.type_text(qtype), "records": texts, "count": count}


def _endpoint_row(one: Any) -> dict[str, str]:
    state = "ready" if one.is_listed else one.reason or "not ready"
    return {"address": ", ".join(one.addresses), "state": state, "pod": one.pod, "node": one.node, "zone": one.zone}
