"""The topology zones of endpoints, for names of the form `ZONE.pin._zone.SERVICE` and `ZONE.prefer._zone.SERVICE`.

They are kept apart from the Services, and only with the option `zonal`: without it they cost nothing. An endpoint that
is moving from one slice to another keeps its zone.
"""

from collections.abc import Sequence
from random import randrange

from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.index.slices import EndpointAddress
from clusterdns.cluster.objects import EndpointSlice, packed

ZONE_LABEL = b"_zone"
PIN, PREFER = b"pin", b"prefer"
ABOVE_ZONES = ((ZONE_LABEL,), (PIN, ZONE_LABEL), (PREFER, ZONE_LABEL))  # the names above those of zones

MAX_SHOWN = 4096  # address records of 16 bytes, which fill a message
_SPARE = 64  # stale entries that are not worth pruning


class Topology:
    """The zones of endpoints, by Service and packed address. Written by the index alone."""

    def __init__(self) -> None:
        self._zones: dict[tuple[bytes, bytes], dict[bytes, bytes]] = {}
        self._limits: dict[tuple[bytes, bytes], int] = {}  # the number of entries at which stale ones are pruned

    @property
    def size(self) -> int:
        """The number of endpoint zones that are stored."""
        return sum(map(len, self._zones.values()))

    def update(self, entry: ServiceEntry, obj: EndpointSlice) -> bool:
        """Store the zones of a slice's endpoints. Returns whether a known endpoint changed its zone."""
        zones = self._zones.setdefault((entry.namespace, entry.name), {})
        has_moved = False
        for endpoint in obj.endpoints:
            zone = endpoint.zone.lower().encode()
            for address in map(packed, endpoint.addresses):
                has_moved |= zones.get(address, zone) != zone
                zones[address] = zone
        if has_moved:
            entry.clear_cache()
        if len(zones) > self._limits.get((entry.namespace, entry.name), _SPARE):
            self._prune(entry, zones, {packed(text) for endpoint in obj.endpoints for text in endpoint.addresses})
        return has_moved

    def _prune(self, entry: ServiceEntry, zones: dict[bytes, bytes], listed: set[bytes]) -> None:
        known = listed.union(endpoint.address for endpoint in entry.endpoints())
        for address in zones.keys() - known:
            del zones[address]
        self._limits[entry.namespace, entry.name] = 2 * len(zones) + _SPARE

    def forget(self, entry: ServiceEntry) -> None:
        """Drop the zones of a Service."""
        self._zones.pop((entry.namespace, entry.name), None)
        self._limits.pop((entry.namespace, entry.name), None)

    def endpoints(self, entry: ServiceEntry, zone: bytes, is_preferred: bool) -> tuple[Sequence[EndpointAddress], bool]:
        """Return the endpoints in a zone, and whether there are any.

        Where there are none in a preferred zone, returns all: as many neighbours as fill a message, from a random one
        on where there are more.
        """
        found = entry.cached("zones", lambda: self._by_zone(entry)).get(zone)
        if found:
            return found, True
        if not is_preferred:
            return (), False
        everything = entry.cached("all", lambda: tuple(entry.endpoints()))
        if len(everything) <= MAX_SHOWN:
            return everything, False
        start = randrange(len(everything))
        return (
            *everything[start : start + MAX_SHOWN],
            *everything[: max(0, start + MAX_SHOWN - len(everything))],
        ), False

    def _by_zone(self, entry: ServiceEntry) -> dict[bytes, list[EndpointAddress]]:
        zones = self._zones.get((entry.namespace, entry.name), {})
        found: dict[bytes, list[EndpointAddress]] = {}
        for endpoint in entry.endpoints():
            if zone := zones.get(endpoint.address):
                found.setdefault(zone, []).append(endpoint)
        return found


def parse_zone_labels(labels: list[bytes]) -> tuple[bytes, bool] | None:
    """Parse labels in front of a Service's name into a zone and whether it is preferred; None for other labels."""
    if len(labels) < 3 or labels[-1] != ZONE_LABEL or labels[-2] not in (PIN, PREFER):
        return None
    return b".".join(labels[:-2]), labels[-2] == PREFER
