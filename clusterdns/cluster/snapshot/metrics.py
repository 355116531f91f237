"""The metrics of snapshots, of all feeds of the process together: the oldest age, the sum of sizes, and failures.

`keeper` reports; the age is computed at each scrape.
"""

import time

from clusterdns.telemetry.metrics import Registry


class SnapshotState:
    """The file of one feed: when it was saved, or followed first, and its size."""

    def __init__(self, saved_at: float) -> None:
        self.saved_at = saved_at  # seconds since 1970
        self.size_bytes = 0


class SnapshotMetrics:
    """The metrics of one registry, and the files that are in them; a scrape calls it first."""

    def __init__(self, registry: Registry) -> None:
        self.followed: list[SnapshotState] = []
        self.errors = registry.counter(
            "clusterdns_snapshot_errors_total", "Snapshots that could not be read, were ignored, or could not be saved."
        ).labels()
        self._age = registry.gauge(
            "clusterdns_snapshot_age_seconds", "Time since the snapshot was saved, or since the start without one."
        ).labels()
        self._bytes = registry.gauge("clusterdns_snapshot_bytes", "Size of the snapshot.").labels()

    def __call__(self) -> None:
        """Set age and size."""
        now = time.time()
        self._age.value = max((max(0.0, now - one.saved_at) for one in self.followed), default=0.0)
        self._bytes.value = sum(one.size_bytes for one in self.followed)
