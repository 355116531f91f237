"""The programming latency: the time from a pod's change to its being answered, as the controllers note its beginning.

`feed` reports each slice that it has applied.
"""

import logging
import time
from datetime import datetime

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.objects import EndpointSlice, label_of
from clusterdns.telemetry.metrics import Registry

PROGRAMMING_BOUNDS = tuple(0.001 * 2**i for i in range(20))  # seconds

log = logging.getLogger("clusterdns.plugin.kubernetes")


class ProgrammingLatency:
    """CoreDNS's histogram of it, for the slices of one index."""

    def __init__(self, index: Index, registry: Registry) -> None:
        self._index = index
        self._histogram = registry.histogram(
            "coredns_kubernetes_dns_programming_duration_seconds",
            "Time from a pod's change to its being answered.",
            PROGRAMMING_BOUNDS,
            "service_kind",
        )

    def observe(self, obj: EndpointSlice) -> None:
        """Observe the time since the change behind a slice, where its Service exists."""
        entry = self._index.service(label_of(obj.namespace), label_of(obj.service))
        if entry is None or entry.service is None:
            return
        try:
            triggered = datetime.fromisoformat(obj.triggered_at).timestamp()
        except ValueError:
            log.debug("slice %s/%s: not a time: %r", obj.namespace, obj.name, obj.triggered_at)
            return
        kind = "headless_with_selector" if entry.service.headless else "cluster_ip"
        self._histogram.labels(kind).observe(max(0.0, time.time() - triggered))
