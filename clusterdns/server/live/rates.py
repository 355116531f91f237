"""Rates of counters that are kept anyway: what the metric families have grown by within a second."""

from collections.abc import Iterator

from clusterdns.telemetry.metrics import Histogram, Registry, Series

UNANSWERED = "clusterdns_dns_unanswered_total"
UNSENT = "clusterdns_dns_replies_unsent_total"
CACHE_HITS, CACHE_MISSES = "coredns_cache_hits_total", "coredns_cache_misses_total"
UPSTREAM_DURATIONS = "coredns_proxy_request_duration_seconds"

_Numbers = dict[tuple[str, ...], tuple[float, float]]  # by label values: count and sum


class CounterRates:
    """The growth per second of the families that the picture shows."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._before = dict(self._read())
        self._grown: dict[str, _Numbers] = {}
        self._mean_seconds: dict[str, float] = {}  # of upstreams, the last known

    def end_second(self, seconds: float) -> None:
        """Compare with the previous second."""
        now = dict(self._read())
        self._grown = {name: _growth(self._before.get(name, {}), family, seconds) for name, family in now.items()}
        self._before = now

    def unanswered(self) -> dict[str, float]:
        """Return the packets without a reply per second, by reason."""
        found: dict[str, float] = {}
        for (_, _, reason), (count, _) in self._grown.get(UNANSWERED, {}).items():
            found[reason] = found.get(reason, 0.0) + count
        unsent = self._total(UNSENT)
        return {**found, "unsent": unsent} if unsent else found

    def cache_hit_ratio(self) -> float | None:
        """Return the share of queries of `cache` that it answered; None where there were none."""
        hits, misses = self._total(CACHE_HITS), self._total(CACHE_MISSES)
        return hits / (hits + misses) if hits + misses else None

    def upstreams(self) -> dict[str, tuple[float, float | None]]:
        """Return the exchanges per second of each upstream, and their mean seconds, or the last known."""
        found: dict[str, tuple[float, float]] = {}
        for (_, to, _), (count, seconds) in self._grown.get(UPSTREAM_DURATIONS, {}).items():
            counts, sums = found.get(to, (0.0, 0.0))
            found[to] = counts + count, sums + seconds
        self._mean_seconds.update({to: seconds / count for to, (count, seconds) in found.items() if count})
        return {to: (count, self._mean_seconds.get(to)) for to, (count, _) in found.items()}

    def _total(self, name: str) -> float:
        return sum(count for count, _ in self._grown.get(name, {}).values())

    def _read(self) -> Iterator[tuple[str, _Numbers]]:
        for family in self._registry.families():
            if family.name in (UNANSWERED, UNSENT, CACHE_HITS, CACHE_MISSES, UPSTREAM_DURATIONS):
                yield family.name, {labels: _numbers(series) for labels, series in family.series.items()}


def _growth(before: _Numbers, now: _Numbers, seconds: float) -> _Numbers:
    """Return the growth per second of each series; one that is new has grown from 0."""
    grown: _Numbers = {}
    for labels, (count, total) in now.items():
        old_count, old_total = before.get(labels, (0.0, 0.0))
        grown[labels] = (count - old_count) / seconds, (total - old_total) / seconds
    return grown


def _numbers(series: Series | Histogram) -> tuple[float, float]:
    return (series.value, 0.0) if isinstance(series, Series) else (float(sum(series.counts)), series.total)
