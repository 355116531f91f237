"""The `coredns_cache_*` metrics of one cache; as in CoreDNS, a series appears when it is first counted."""

from collections.abc import Callable
from functools import cached_property

from clusterdns.telemetry.metrics import Registry, Series

_ZONE = ("server", "zones", "view")
_TYPE = ("server", "type", "zones", "view")


class CacheMetrics:
    """The series of one cache, made at their first use."""

    def __init__(self, registry: Registry, server_text: str, zones_text: tuple[str, ...]) -> None:
        self._registry = registry
        self._zones = (server_text, ",".join(zones_text), "")
        self._entries = registry.gauge("coredns_cache_entries", "Replies in the cache.", *_TYPE)
        self._hits = registry.counter("coredns_cache_hits_total", "Queries answered from the cache.", *_TYPE)
        self._evictions = registry.counter("coredns_cache_evictions_total", "Replies evicted from the cache.", *_TYPE)
        self._requests = registry.counter("coredns_cache_requests_total", "Queries of the cache.", *_ZONE)
        self._misses = registry.counter("coredns_cache_misses_total", "Queries not answered from the cache.", *_ZONE)
        self._prefetches = registry.counter("coredns_cache_prefetch_total", "Refreshes in the background.", *_ZONE)
        self._drops = registry.counter(
            "coredns_cache_drops_total", "Replies not cached because they are for some clients only.", *_ZONE
        )
        self._served_stale = registry.counter(
            "coredns_cache_served_stale_total", "Queries answered with expired replies.", *_ZONE
        )

    @cached_property
    def requests(self) -> Series:
        """The queries of the cache: hits and misses."""
        return self._requests.labels(*self._zones)

    @cached_property
    def misses(self) -> Series:
        """The queries that upstreams were asked for clients."""
        return self._misses.labels(*self._zones)

    @cached_property
    def prefetches(self) -> Series:
        """The refreshes in the background, also those of stale entries."""
        return self._prefetches.labels(*self._zones)

    @cached_property
    def drops(self) -> Series:
        """The replies that were not cached because they are for some clients only."""
        return self._drops.labels(*self._zones)

    @cached_property
    def served_stale(self) -> Series:
        """The hits of expired entries."""
        return self._served_stale.labels(*self._zones)

    @cached_property
    def success_hits(self) -> Series:
        """The hits of positive answers."""
        return self._hits.labels(*self._typed("success"))

    @cached_property
    def denial_hits(self) -> Series:
        """The hits of negative answers and failures."""
        return self._hits.labels(*self._typed("denial"))

    @cached_property
    def counted_success(self) -> tuple[Series, ...]:
        """The series that count each use of a compiled positive answer."""
        return (self.requests, self.success_hits)

    @cached_property
    def counted_denial(self) -> tuple[Series, ...]:
        """The series that count each use of a compiled negative answer or failure."""
        return (self.requests, self.denial_hits)

    def count_miss(self) -> None:
        """Count a query that was not answered from the cache."""
        self.requests.value += 1
        self.misses.value += 1

    def count_success_eviction(self) -> None:
        """Count the eviction of a positive answer."""
        self._evictions.labels(*self._typed("success")).value += 1

    def count_denial_eviction(self) -> None:
        """Count the eviction of a negative answer or failure."""
        self._evictions.labels(*self._typed("denial")).value += 1

    def follow(self, sizes: Callable[[], tuple[int, int]]) -> Callable[[], None]:
        """Update the number of entries at each scrape, until the returned function is called."""

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
