"""The `coredns_dns_*` families: queries counted at the edge, from their outcome.

Each combination of label values and sizes has one `Tally`. A compiled answer holds its tally, so that a hit costs
`tally.count += 1` and no more; a query that ran its handlers goes through `observe` with its true duration. At each
scrape `fold` brings the tallies into the families: the counters and the counts of all histograms then say exactly how
many queries there were. The durations of hits are folded at the mean of their listeners since the last scrape, because
reading the clock per hit would cost more than the hit's own look-up.

Who decides the labels is `server`; this module knows no names, codes or packets.
"""

from bisect import bisect_left
from typing import NamedTuple

from clusterdns.telemetry.metrics import Family, Histogram, Registry, Series

TIME_BOUNDS = tuple(0.00025 * 2**i for i in range(16))  # seconds
SIZE_BOUNDS = (0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000)  # bytes

DROPPED = "dropped"  # the zone label of queries that no block took
OTHER_TYPE = "other"
TYPE_LABELS = frozenset({
    "A", "AAAA", "ANY", "AXFR", "CNAME", "DNSKEY", "DS", "HTTPS", "IXFR", "MX", "NS", "NSEC", "NSEC3", "PTR", "RRSIG",
    "SOA", "SRV", "SVCB", "TXT",
})  # fmt: skip
MAX_TALLIES = 5_000  # folding this many, all fresh, holds the event loop for 3.5 ms

_SIZE_LIMIT_BYTES = 65535


class Outcome(NamedTuple):
    """What is counted of one query. Texts are label values; `family` is "1" for IPv4 and "2" for IPv6."""

    zone_text: str
    proto: str
    family: str
    qtype_text: str
    rcode_text: str
    do: bool
    request_bytes: int
    response_bytes: int  # before compression, truncation and OPT
    view: str = ""
    plugin: str = ""  # the plugin below `prometheus`, as in CoreDNS; empty when the core replied
    counted: tuple[Series, ...] = ()  # plugins' own series, to add one to for each hit
    is_shown: bool = True  # counted for a scraper; False for blocks without `prometheus`


class Tally:
    """Queries with one outcome: `count` is all of them, added to in place."""

    __slots__ = (
        "count", "do", "durations", "folded", "outcome", "request_sizes", "requests", "response_sizes", "responses",
        "timed",
    )  # fmt: skip

    def __init__(self, outcome: Outcome, families: "_Families", server_text: str) -> None:
        zone = (server_text, outcome.zone_text, outcome.view)
        self.count = 0
        self.folded = 0  # of `count`, what the families have
        self.timed = 0  # of the rest, those whose duration `observe` has counted
        self.outcome = outcome
        self.requests = families.requests.labels(*zone, outcome.proto, outcome.family, outcome.qtype_text)
        self.responses = families.responses.labels(*zone, outcome.rcode_text, outcome.plugin)
        self.do = families.do_requests.labels(*zone) if outcome.do else None
        self.durations = families.durations.labels(*zone)
        self.request_sizes = families.request_sizes.labels(*zone, outcome.proto)
        self.response_sizes = families.response_sizes.labels(*zone, outcome.proto)

    def observe(self, seconds: float) -> None:
        """Count one query that took this long."""
        self.count += 1
        self.timed += 1
        self.durations.observe(seconds)


class Pace:
    """How long the hits of one listener took, since the last scrape. The listener adds to both, once per batch."""

    __slots__ = ("hits", "seconds")

    def __init__(self) -> None:
        self.hits = 0
        self.seconds = 0.0


class _Families:
    """The families themselves, one of each per registry."""

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


class QueryCounters:
    """The tallies of one server (`dns://:53`). Several may share a registry, and so the families."""

    def __init__(self, registry: Registry, server_text: str, max_tallies: int = MAX_TALLIES) -> None:
        self.server_text = server_text
        self._registry = registry
        self._families = _Families(registry)
        self._hidden = _Families(Registry())
        self._max_tallies = max_tallies
        self._tallies: dict[Outcome, Tally] = {}
        self._paces: list[Pace] = []
        self._mean_seconds = 0.0
        registry.before_scrape.append(self.fold)

    def close(self) -> None:
        """Fold a last time; the families keep what was counted."""
        self.fold()
        self._registry.before_scrape.remove(self.fold)

    def tally(self, outcome: Outcome) -> Tally:
        """The tally of this outcome, made on first use.

        Sizes are exact for the first `max_tallies` outcomes. Beyond them they are rounded up to a bucket's bound, so
        that the number of tallies cannot grow with the variety of queries: bucket counts stay right, sums become
        upper estimates. Types without a label of their own are one: there are 65,536 to choose from.
        """
        outcome = outcome._replace(qtype_text=_type_label(outcome.qtype_text))
        found = self._tallies.get(outcome)
        if found is None:
            if len(self._tallies) >= self._max_tallies:
                outcome = outcome._replace(
                    request_bytes=_bound(outcome.request_bytes), response_bytes=_bound(outcome.response_bytes)
                )
                found = self._tallies.get(outcome)
            if found is None:
                families = self._families if outcome.is_shown else self._hidden
                found = self._tallies[outcome] = Tally(outcome, families, self.server_text)
        return found

    def pace(self) -> Pace:
        """A new listener's pace."""
        pace = Pace()
        self._paces.append(pace)
        return pace

    def fold(self) -> None:
        """Bring what was counted since the last time into the families."""
        mean_seconds = self._take_mean()
        for tally in self._tallies.values():
            if fresh := tally.count - tally.folded:
                _fold(tally, fresh, mean_seconds)

    def _take_mean(self) -> float:
        hits = sum(pace.hits for pace in self._paces)
        if hits:
            self._mean_seconds = sum(pace.seconds for pace in self._paces) / hits
            for pace in self._paces:
                pace.hits = 0
                pace.seconds = 0.0
        return self._mean_seconds


def _fold(tally: Tally, fresh: int, mean_seconds: float) -> None:
    if hits := fresh - tally.timed:
        tally.durations.observe(mean_seconds, hits)
        for series in tally.outcome.counted:
            series.value += hits
    tally.requests.value += fresh
    tally.responses.value += fresh
    tally.request_sizes.observe(tally.outcome.request_bytes, fresh)
    tally.response_sizes.observe(tally.outcome.response_bytes, fresh)
    if tally.do is not None:
        tally.do.value += fresh
    tally.folded += fresh
    tally.timed = 0


def _type_label(qtype_text: str) -> str:
    return qtype_text if qtype_text in TYPE_LABELS else OTHER_TYPE


def _bound(size_bytes: int) -> int:
    """The upper bound of the bucket that this size falls in."""
    position = bisect_left(SIZE_BOUNDS, size_bytes)
    return SIZE_BOUNDS[position] if position < len(SIZE_BOUNDS) else _SIZE_LIMIT_BYTES


def panics(registry: Registry) -> Series:
    """Queries whose handler failed unexpectedly (`coredns_panics_total`)."""
    return registry.counter("coredns_panics_total", "Queries that failed in an unexpected way.").labels()


def build_info(registry: Registry) -> Family[Series]:
    """`coredns_build_info`: version, revision, and the run-time's version under CoreDNS's label `goversion`."""
    return registry.gauge("coredns_build_info", "The running version; always 1.", "version", "revision", "goversion")


def plugin_enabled(registry: Registry) -> Family[Series]:
    """`coredns_plugin_enabled`: server, zone, view, name. To be forgotten before another configuration starts."""
    return registry.gauge(
        "coredns_plugin_enabled", "Plugins that a server block uses; always 1.", "server", "zone", "view", "name"
    )
