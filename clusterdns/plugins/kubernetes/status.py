"""What /status shows of a feed that follows an API server: each kind's connection, freshness and counts.

`Feed.status` calls it. Counters that have a label `kind` are shown by the name of their metric, so that what counts by
kind elsewhere (relists, skipped objects, …) needs nothing here. They are those of the process, of all feeds.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from clusterdns.cluster.freshness import CollectionFreshness, Freshness
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.status_text import timestamp

_PREFIX, _SUFFIX = "clusterdns_", "_total"


def kind_rows(freshness: Freshness, registry: Registry, clock: Callable[[], float]) -> list[Mapping[str, Any]]:
    """Return a row per kind, of all its collections; `clock` is that of the freshness."""
    by_kind: dict[str, list[CollectionFreshness]] = {}
    for one in freshness.collections:
        by_kind.setdefault(one.kind.__name__, []).append(one)
    counts = _counts_by_kind(registry)
    offset = time.time() - clock()
    return [{**_row(kind, several, offset), **counts.get(kind, {})} for kind, several in sorted(by_kind.items())]


def _row(kind: str, several: list[CollectionFreshness], offset: float) -> dict[str, Any]:
    since = [one.connected_at for one in several]
    heard = [one.heard_at for one in several if one.heard_at is not None]
    row: dict[str, Any] = {
        "kind": kind,
        "objects": sum(one.count() for one in several),
        "connected": None not in since,
        "staleness_seconds": round(max(one.staleness_seconds() for one in several), 3),
    }
    if None not in since:
        row["connected_since"] = timestamp(max(one for one in since if one is not None) + offset)
    if heard:
        row["last_event"] = timestamp(max(heard) + offset)
    audited = [one.audited_at for one in several if one.audited_at is not None]
    if len(audited) == len(several):
        row["last_audit"] = timestamp(min(audited) + offset)
    return row


def _counts_by_kind(registry: Registry) -> dict[str, dict[str, Any]]:
    """Collect the counters by kind: a number, or numbers by the second label."""
    found: dict[str, dict[str, Any]] = {}
    for family in registry.counters_by("kind"):
        name = family.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        for (kind, *others), series in family.series.items():
            row = found.setdefault(kind, {})
            if others:
                row.setdefault(name, {})[" ".join(others)] = int(series.value)
            else:
                row[name] = int(series.value)
    return found
