"""The `coredns_dns_*` metrics: queries, counted by their outcome.

Each combination of label values and sizes has one `OutcomeCounter`. A compiled answer has a `HitCounter` that refers
to it, so that a hit costs `counter.count += 1` alone; a query that ran its handlers calls `observe` with its duration.
Each scrape takes the steps of `flush`, which folds the hits and adds the counts to the metric families: all counters
and histogram counts then hold every query before the scrape. The durations of hits are added as the mean of all
listeners since the last scrape, because reading the clock for each hit would cost more than the look-up.

Packets that get no reply are counted apart, by reason, so that each packet is counted once.

`server.dispatch` decides the label values; this module knows no names, codes or packets.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from clusterdns.telemetry.metrics import Family, Histogram, Registry, Series

TIME_BOUNDS = tuple(0.00025 * 2**i for i in range(16))  # seconds
SIZE_BOUNDS = (0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000)  # bytes

DROPPED = "dropped"  # the zone label of queries that are in no zone
OTHER_TYPE = "other"
TYPE_LABELS = frozenset({
    "A", "AAAA", "ANY", "AXFR", "CNAME", "DNSKEY", "DS", "HTTPS", "IXFR", "MX", "NS", "NSEC", "NSEC3", "PTR", "RRSIG",
    "SOA", "SRV", "SVCB", "TXT",
})  # fmt: skip
MAX_COUNTERS = 5_000  # of one server; bounds memory
MAX_FLUSHES = 500  # in a row: 1.5 ms
MAX_USES = 3  # that eviction remembers: a name in use outlives one that was asked a few times in a row

_SIZE_LIMIT_BYTES = 65535


class QueryOutcome(NamedTuple):
    """The label values and sizes of a query and its response; `family` is "1" for IPv4 and "2" for IPv6."""

    zone_text: str
    proto: str
    family: str
    qtype_text: str
    rcode_text: str
    do: bool
    request_bytes: int
    response_bytes: int  # before compression, truncation and OPT
    view: str = ""
    plugin: str = ""  # the plugin below `prometheus`, as in CoreDNS; empty for replies of the server itself
    counted: tuple[Series, ...] = ()  # series of plugins, which each hit increments too
    is_shown: bool = True  # False for blocks without `prometheus`


class Unanswered(StrEnum):
    """Why a packet gets no reply."""

    SHORT = "short"  # fewer bytes than a header
    RESPONSE = "response"  # a response, to which a reply could start a loop between two servers
    OVERLOAD = "overload"  # too many queries wait for their handlers already
    CANCELLED = "cancelled"  # its listener or connection was closed while a handler waited


class OutcomeCounter:
    """The number of queries with one outcome."""

    __slots__ = (
        "count", "do", "durations", "flushed", "outcome", "request_sizes", "requests", "response_sizes", "responses",
        "timed",
    )  # fmt: skip

    def __init__(self, outcome: QueryOutcome, families: "_Families", server_text: str) -> None:
        zone = (server_text, outcome.zone_text, outcome.view)
        self.count = 0  # all queries; listeners add to it
        self.flushed = 0  # of `count`, those in the families
        self.timed = 0  # of the others, those whose duration is in the family already
        self.outcome = outcome
        self.requests = families.requests.labels(*zone, outcome.proto, outcome.family, outcome.qtype_text)
        self.responses = families.responses.labels(*zone, outcome.rcode_text, outcome.plugin)
        self.do = families.do_requests.labels(*zone) if outcome.do else None
        self.durations = families.durations.labels(*zone)
        self.request_sizes = families.request_sizes.labels(*zone, outcome.proto)
        self.response_sizes = families.response_sizes.labels(*zone, outcome.proto)

    def observe(self, seconds: float) -> None:
        """Count one query and its duration."""
        self.count += 1
        self.timed += 1
        self.durations.observe(seconds)


class HitCounter:
    """The hits of one compiled answer: those not yet in the counter of its outcome, and up to three for eviction."""

    __slots__ = ("_uses", "count", "outcome")

    def __init__(self, outcome: OutcomeCounter) -> None:
        self.count = 0  # since the last fold; listeners add to it
        self.outcome = outcome
        self._uses = 0

    def fold(self) -> None:
        """Add the hits to the outcome's counter."""
        if self.count:
            self.outcome.count += self.count
            self._uses = min(self._uses + self.count, MAX_USES)
            self.count = 0

    def take_use(self) -> bool:
        """Take away one of the remembered hits; return whether there was one."""
        if self.count:
            self.fold()
        if not self._uses:
            return False
        self._uses -= 1
        return True


class HitTime:
    """The hits of one listener since the last scrape, and the seconds they took; added to once per batch of packets."""

    __slots__ = ("hits", "seconds")

    def __init__(self) -> None:
        self.hits = 0
        self.seconds = 0.0


class _Families:
    """The metric families of queries, once per registry."""

    def __init__(self, registry: Registry) -> None:
        zone = ("server", "zone", "view")
        self.requests: Family[Series] = registry.counter(
            "coredns_dns_requests_total", "Queries received.", *zone, "proto", "family", "type"
        )
        self.durations: Family[Histogram] = registry.histogram(
            "coredns_dns_request_duration_seconds", "Time taken to answer a query.", TIME_BOUNDS, *zone
        )
        self.request_sizes: Family[Histogram] = registry.histogram(
            "coredns_dns_request_size_bytes", "Size of the queries as received.", SIZE_BOUNDS, *zone, "proto"
        )
        self.do_requests: Family[Series] = registry.counter(
            "coredns_dns_do_requests_total", "Queries with the DO bit set.", *zone
        )
        self.response_sizes: Family[Histogram] = registry.histogram(
            "coredns_dns_response_size_bytes", "Size of the replies before compression.", SIZE_BOUNDS, *zone, "proto"
        )
        self.responses: Family[Series] = registry.counter(
            "coredns_dns_responses_total", "Replies sent, by response code.", *zone, "rcode", "plugin"
        )
        self.unanswered: Family[Series] = registry.counter(
            "clusterdns_dns_unanswered_total", "Packets that got no reply.", "server", "proto", "reason"
        )
        self.unsent: Family[Series] = registry.counter(
            "clusterdns_dns_replies_unsent_total", "Replies that the kernel refused to send.", "server", "proto"
        )


def kernel_dropped(registry: Registry) -> Family[Series]:
    """Return the counter of datagrams that the kernel dropped before they were read, by server."""
    return registry.counter(
        "clusterdns_udp_dropped_total",
        "Datagrams that the kernel dropped: not queries, above a source's share, or without space in the buffer.",
        "server",
    )


def shed_queries(registry: Registry) -> Family[Series]:
    """Return the counter of queries that were dropped because their source was above its share, by server."""
    return registry.counter(
        "clusterdns_shed_total", "Queries dropped in an overload, of sources above their share.", "server"
    )


class QueryCounters:
    """The counters of one server (`dns://:53`) by outcome. Servers that share a registry share the families."""

    def __init__(self, registry: Registry, server_text: str, max_counters: int = MAX_COUNTERS) -> None:
        self.server_text = server_text
        self._registry = registry
        self._families = _Families(registry)
        self._hidden = _Families(Registry())
        self._max_counters = max_counters
        self._by_outcome: dict[QueryOutcome, OutcomeCounter] = {}
        self._hit_times: list[HitTime] = []
        self._mean_seconds = 0.0
        self.before_flush: list[Callable[[], Iterable[None]]] = []  # called first, to fold hits, in steps
        registry.before_scrape.append(self.flush)

    def close(self) -> None:
        """Flush for the last time; the families keep the counts."""
        for _ in self.flush():
            pass
        self._registry.before_scrape.remove(self.flush)

    def counter(self, outcome: QueryOutcome) -> OutcomeCounter:
        """Return the counter of this outcome, made on first use.

        Beyond `max_counters` outcomes sizes are rounded up to the bound of their bucket, so that varied queries cannot
        make counters without end: bucket counts stay exact, sums become upper estimates. All types without a label of
        their own share one.
        """
        outcome = outcome._replace(qtype_text=_type_label(outcome.qtype_text))
        found = self._by_outcome.get(outcome)
        if found is None:
            if len(self._by_outcome) >= self._max_counters:
                outcome = outcome._replace(
                    request_bytes=_bound(outcome.request_bytes), response_bytes=_bound(outcome.response_bytes)
                )
                found = self._by_outcome.get(outcome)
            if found is None:
                families = self._families if outcome.is_shown else self._hidden
                found = self._by_outcome[outcome] = OutcomeCounter(outcome, families, self.server_text)
        return found

    def count_unanswered(self, proto: str, reason: Unanswered) -> None:
        """Count a packet that gets no reply."""
        self._families.unanswered.labels(self.server_text, proto, reason.value).value += 1

    @property
    def shed(self) -> Series:
        """The queries that were dropped because their source was above its share."""
        return shed_queries(self._registry).labels(self.server_text)

    def count_dropped(self, count: int) -> None:
        """Count datagrams that the kernel dropped before they were read."""
        kernel_dropped(self._registry).labels(self.server_text).value += count

    def count_unsent(self, proto: str) -> None:
        """Count a reply that could not be sent; its query has been counted as answered."""
        self._families.unsent.labels(self.server_text, proto).value += 1

    def new_hit_time(self) -> HitTime:
        """Return the hit time of a new listener."""
        hit_time = HitTime()
        self._hit_times.append(hit_time)
        return hit_time

    def flush(self) -> Iterator[None]:
        """Add the queries since the last flush to the families, in steps."""
        for fold in self.before_flush:
            yield from fold()
        mean_seconds = self._mean_hit_seconds()
        counters = tuple(self._by_outcome.values())  # more may come between two steps
        for start in range(0, len(counters), MAX_FLUSHES):
            for counter in counters[start : start + MAX_FLUSHES]:
                if added := counter.count - counter.flushed:
                    _flush(counter, added, mean_seconds)
            yield

    def _mean_hit_seconds(self) -> float:
        hits = sum(hit_time.hits for hit_time in self._hit_times)
        if hits:
            self._mean_seconds = sum(hit_time.seconds for hit_time in self._hit_times) / hits
            for hit_time in self._hit_times:
                hit_time.hits = 0
                hit_time.seconds = 0.0
        return self._mean_seconds


def _flush(counter: OutcomeCounter, added: int, mean_seconds: float) -> None:
    if hits := added - counter.timed:
        counter.durations.observe(mean_seconds, hits)
        for series in counter.outcome.counted:
            series.value += hits
    counter.requests.value += added
    counter.responses.value += added
    counter.request_sizes.observe(counter.outcome.request_bytes, added)
    counter.response_sizes.observe(counter.outcome.response_bytes, added)
    if counter.do is not None:
        counter.do.value += added
    counter.flushed += added
    counter.timed = 0


def _type_label(qtype_text: str) -> str:
    return qtype_text if qtype_text in TYPE_LABELS else OTHER_TYPE


def _bound(size_bytes: int) -> int:
    """Return the upper bound of the bucket that a size falls in."""
    position = bisect_left(SIZE_BOUNDS, size_bytes)
    return SIZE_BOUNDS[position] if position < len(SIZE_BOUNDS) else _SIZE_LIMIT_BYTES


def panics(registry: Registry) -> Series:
    """Return the counter of queries whose handler raised an unexpected exception."""
    return registry.counter("coredns_panics_total", "Queries that failed in an unexpected way.").labels()


def build_info(registry: Registry) -> Family[Series]:
    """Return the gauge `coredns_build_info`: version, revision, and Python's version as CoreDNS's label `goversion`."""
    return registry.gauge("coredns_build_info", "The running version; always 1.", "version", "revision", "goversion")


def plugin_enabled(registry: Registry) -> Family[Series]:
    """Return the gauge `coredns_plugin_enabled` of server, zone, view and name; a new configuration clears it first."""
    return registry.gauge(
        "coredns_plugin_enabled", "Plugins that a server block uses; always 1.", "server", "zone", "view", "name"
    )
