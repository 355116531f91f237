"""The `coredns_cache_*` families of one cache; each series appears when it is first counted, as in CoreDNS."""

from collections.abc import Callable
from functools import cached_property

from clusterdns.telemetry.metrics import Registry, Series

_ZONE = ("server", "zones", "view")
_TYPE = ("server", "type", "zones", "view")


class CacheMetrics:
    """The series of one cache."""

    def __init__(self, registry: Registry, server_text: str, zones_text: tuple[str, ...]) -> None:
        self._registry = registry
        self._zones = (server_text, ",".join(zones_text), "")
        self._entries = registry.gauge("coredns_cache_entries", "Replies in the cache.", *_TYPE)
        self._hits = registry.counter("coredns_cache_hits_total", "Queries answered from the cache.", *_TYPE)
        self._evictions = registry.counter("coredns_cache_evictions_total", "Replies that made budget.", *_TYPE)
        self._requests = registry.counter("coredns_cache_requests_total", "Queries of the cache.", *_ZONE)
        self._misses = registry.counter("coredns_cache_misses_total", "Queries not answered from the cache.", *_ZONE)
        self._prefetches = registry.counter("coredns_cache_prefetch_total", "Refreshes in the background.", *_ZONE)
        self._drops = registry.counter(
            "coredns_cache_drops_total", "Replies not kept because they hold for some clients only.", *_ZONE
        )
        self._served_stale = registry.counter(
            "coredns_cache_served_stale_total", "Queries answered with what had expired.", *_ZONE
        )

    @cached_property
    def requests(self) -> Series:
        """Hits and misses."""
        return self._requests.labels(*self._zones)

    @cached_property
    def misses(self) -> Series:
        """What upstreams were asked for clients."""
        return self._misses.labels(*self._zones)

    @cached_property
    def prefetches(self) -> Series:
        """Refreshes in the background, of stale entries too."""
        return self._prefetches.labels(*self._zones)

    @cached_property
    def drops(self) -> Series:
        """Replies that only some clients may have."""
        return self._drops.labels(*self._zones)

    @cached_property
    def served_stale(self) -> Series:
        """Hits of what had expired."""
        return self._served_stale.labels(*self._zones)

    @cached_property
    def success_hits(self) -> Series:
        """Hits of answers."""
        return self._hits.labels(*self._typed("success"))

    @cached_property
    def denial_hits(self) -> Series:
        """Hits of denials and failures."""
        return self._hits.labels(*self._typed("denial"))

    @cached_property
    def counted_success(self) -> tuple[Series, ...]:
        """What a compiled answer counts at each use."""
        return (self.requests, self.success_hits)

    @cached_property
    def counted_denial(self) -> tuple[Series, ...]:
        """What a compiled denial counts at each use."""
        return (self.requests, self.denial_hits)

    def count_miss(self) -> None:
        """One query that was not answered from the cache."""
        self.requests.value += 1
        self.misses.value += 1

    def count_success_eviction(self) -> None:
        """One answer that made budget."""
        self._evictions.labels(*self._typed("success")).value += 1

    def count_denial_eviction(self) -> None:
        """One denial that made budget."""
        self._evictions.labels(*self._typed("denial")).value += 1

    def follow(self, sizes: Callable[[], tuple[int, int]]) -> Callable[[], None]:
        """Show the numbers of answers and denials at each scrape, until what this gives is called."""

        def fold() -> None:
            success, denial = sizes()
            self._entries.labels(*self._typed("success")).value = success
            self._entries.labels(*self._typed("denial")).value = denial

        def end() -> None:
            fold()
            self._registry.before_scrape.remove(fold)

        self._registry.before_scrape.append(fold)
        return end

    def _typed(self, kind: str) -> tuple[str, ...]:
        server_text, zones, view = self._zones
        return (server_text, kind, zones, view)
