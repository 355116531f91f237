"""The metrics of watches and of what they have brought, per kind, computed at each scrape.

Every feed of the process is in them: `connected` is 1 where all collections of a kind have an open watch, `staleness`
is that of the worst collection, `objects` the sum. `freshness` has the values.
"""

from clusterdns.cluster.freshness import Freshness
from clusterdns.telemetry.metrics import Registry


class WatchMetrics:
    """The three families of one registry, and the feeds that are followed; a scrape calls it first."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._followed: list[Freshness] = []
        self._connected = registry.gauge(
            "clusterdns_watch_connected", "1 while every watch of the kind is open.", "kind"
        )
        self._staleness = registry.gauge(
            "clusterdns_watch_staleness_seconds", "Time since the objects of the kind were last known to be current.",
            "kind",
        )  # fmt: skip
        self._objects = registry.gauge("clusterdns_objects", "Objects of the kind that are known.", "kind")

    def __call__(self) -> None:
        """Set every series; kinds that are no longer followed disappear."""
        families = (self._connected, self._staleness, self._objects)
        for family in families:
            family.clear()
        for one in (each for freshness in self._followed for each in freshness.collections):
            name = one.kind.__name__
            is_first = (name,) not in self._objects.series
            connected, staleness, objects = (family.labels(name) for family in families)
            is_open = one.connected_at is not None
            connected.value = float(is_open and (is_first or connected.value == 1.0))
            staleness.value = max(staleness.value, one.staleness_seconds())
            objects.value += one.count()

    def follow(self, freshness: Freshness) -> None:
        """Show a feed."""
        self._followed.append(freshness)

    def leave(self, freshness: Freshness) -> None:
        """Stop showing a feed."""
        self._followed.remove(freshness)
