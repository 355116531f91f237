"""Topology zones: which endpoints are where, for names of the form `ZONE.pin._zone.SERVICE` and `….prefer._zone.…`.

Kept beside the Services, and only where the option `zonal` asks for it, so that others pay nothing. An endpoint that is
on its way from slice to slice is still where it was.
"""

from clusterdns.cluster.index.service import Member, ServiceNode
from clusterdns.cluster.objects import EndpointSlice, packed

ZONE_LABEL = b"_zone"
PIN, PREFER = b"pin", b"prefer"
ABOVE_ZONES = ((ZONE_LABEL,), (PIN, ZONE_LABEL), (PREFER, ZONE_LABEL))  # labels below which names of zones are

_SPARE = 64  # entries of endpoints that are gone and cost nobody anything


class Topology:
    """The zones of endpoints, by Service and packed address. Written by the index alone."""

    def __init__(self) -> None:
        self._zones: dict[tuple[bytes, bytes], dict[bytes, bytes]] = {}
        self._limits: dict[tuple[bytes, bytes], int] = {}  # of entries, at which those gone are cleared away

    @property
    def size(self) -> int:
        """How many endpoints' zones are held."""
        return sum(map(len, self._zones.values()))

    def note(self, node: ServiceNode, obj: EndpointSlice) -> bool:
        """Take the zones of a slice; whether one of an endpoint that was known is another now."""
        zones = self._zones.setdefault((node.namespace, node.name), {})
        has_moved = False
        for endpoint in obj.endpoints:
            zone = endpoint.zone.lower().encode()
            for address in map(packed, endpoint.addresses):
                has_moved |= zones.get(address, zone) != zone
                zones[address] = zone
        if has_moved:
            node.drop_views()
        if len(zones) > self._limits.get((node.namespace, node.name), _SPARE):
            self._clear(node, zones, {packed(text) for endpoint in obj.endpoints for text in endpoint.addresses})
        return has_moved

    def _clear(self, node: ServiceNode, zones: dict[bytes, bytes], listed: set[bytes]) -> None:
        known = listed.union(member.address for member in node.members())
        for address in zones.keys() - known:
            del zones[address]
        self._limits[node.namespace, node.name] = 2 * len(zones) + _SPARE

    def forget(self, node: ServiceNode) -> None:
        """A Service is gone."""
        self._zones.pop((node.namespace, node.name), None)
        self._limits.pop((node.namespace, node.name), None)

    def members(self, node: ServiceNode, zone: bytes, is_preferred: bool) -> list[Member]:
        """The endpoints in a zone; where it is only preferred and there are none, all."""
        found = node.view("zones", lambda: self._by_zone(node)).get(zone)
        return found or (list(node.members()) if is_preferred else [])

    def _by_zone(self, node: ServiceNode) -> dict[bytes, list[Member]]:
        zones = self._zones.get((node.namespace, node.name), {})
        found: dict[bytes, list[Member]] = {}
        for member in node.members():
            if zone := zones.get(member.address):
                found.setdefault(zone, []).append(member)
        return found


def read_labels(labels: list[bytes]) -> tuple[bytes, bool] | None:
    """The zone and whether it is only preferred, of the labels in front of a Service's name; None for others."""
    if len(labels) < 3 or labels[-1] != ZONE_LABEL or labels[-2] not in (PIN, PREFER):
        return None
    return b".".join(labels[:-2]), labels[-2] == PREFER
