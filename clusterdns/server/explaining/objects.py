"""The Service behind a name: what the index knows of it, and what its raw objects say beside that.

`endpoints` has its slices and pods. Where an object cannot be read, the Service says so and has what the index knows.
"""

import re

from clusterdns.cluster.details.reader import SERVICES, ObjectFilter, ObjectReader
from clusterdns.cluster.details.sources import reader_of
from clusterdns.cluster.details.structs import RawServiceDetails, RawServiceObject, read
from clusterdns.cluster.index.schema import ParsedName
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import Service
from clusterdns.cluster.turns import LoopTurns
from clusterdns.plugins.kubernetes.exports import ClusterView
from clusterdns.server.explaining.endpoints import add_endpoints, add_problems
from clusterdns.server.explaining.explanation import MAX_LISTED, ExplainedPort, ExplainedService
from clusterdns.server.explaining.near import near_pod, near_slice
from clusterdns.wire.name import label_text, to_text

OBJECT_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")  # of an object that can exist, and is safe in a URL


async def describe_service(view: ClusterView, zone: ClusterZone, parsed: ParsedName) -> ExplainedService:
    """Describe the Service of a parsed name, whether or not it exists."""
    index = zone.index
    namespace, name = label_text(parsed.namespace), label_text(parsed.service)
    entry = index.service(parsed.namespace, parsed.service)
    found = ExplainedService(
        namespace, name, exists=entry is not None, namespace_exists=index.exposes(parsed.namespace)
    )
    if entry is not None and entry.service is not None:
        _add_known(found, entry.service, zone)
        found.listed_count = found.endpoint_count = entry.address_count
    reader = reader_of(view.source())
    is_readable = parsed.service and all(map(OBJECT_NAME.fullmatch, (namespace, name)))
    if zone.zone in view.settings.multicluster:
        found.kind = "ServiceImport"
    if reader is None or not is_readable or not found.namespace_exists or found.kind != "Service":
        return found
    await _read_service(found, reader)
    await add_endpoints(found, index, entry, reader)
    if not found.exists and not found.place:
        found.near_pod = await near_pod(found, to_text(zone.zone), reader)
    elif not (found.selector or found.slice_count or found.external_name):
        found.near_slice = await near_slice(found, index, reader)
    return found


def _add_known(found: ExplainedService, service: Service, zone: ClusterZone) -> None:
    """Add what the index has of the Service."""
    found.namespace, found.name, found.type = service.namespace, service.name, service.type
    found.cluster_ips = list(service.cluster_ips)
    found.is_headless = service.headless
    found.external_name = service.external_name
    found.ports = [
        ExplainedPort(port.name, port.number, port.protocol, "", 0, _srv_name(found, port.name, port.protocol, zone))
        for port in service.ports[:MAX_LISTED]
    ]


def _srv_name(found: ExplainedService, port: str, protocol: str, zone: ClusterZone) -> str:
    if not port or found.type == "ExternalName":
        return ""
    return f"_{port}._{protocol.lower()}.{found.name}.{found.namespace}.svc.{to_text(zone.zone)}"


async def _read_service(found: ExplainedService, reader: ObjectReader) -> None:
    """Read the Service's raw object, and add what it says; an object that the server has skipped has its reason."""
    listed = await reader.read(SERVICES, ObjectFilter(found.namespace, found.name))
    if listed.problem:
        found.unseen.append(f"Services of {found.namespace}: {listed.problem}")
    if not listed.trees:
        return
    found.place = next(iter(listed.places), "")
    tree = listed.trees[0]
    turns = LoopTurns()
    turns.begin()
    await turns.take(add_problems(found.problems, Service, tree, found.namespace))
    raw, problem = read(tree, RawServiceObject)
    if raw is None:
        found.problems.append(f"Service {found.namespace}/{found.name}: {problem}")
        return
    spec = raw.spec or RawServiceDetails()
    found.selector = {key: value or "" for key, value in (spec.selector or {}).items()}
    found.publishes_not_ready = bool(spec.publish_not_ready_addresses)
    found.ip_families = spec.ip_families or []
    by_port = {(one.name or "", one.port, one.protocol or "TCP"): one for one in spec.ports or ()}
    for port in found.ports:
        raw_port = by_port.get((port.name, port.port, port.protocol))
        if raw_port is not None:
            port.target_port = str(raw_port.target_port or port.port)
            port.node_port = raw_port.node_port or 0
