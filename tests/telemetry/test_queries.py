"""The coredns_dns_* families: names, labels, buckets, and that they count every query exactly once."""

import pytest
from fakes.metrics import collect
from prometheus_client.core import Metric

from clusterdns.telemetry import queries
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.queries import QueryCounters, QueryOutcome

SERVER = "dns://:53"
OUTCOME = QueryOutcome("cluster.local.", "udp", "1", "A", "NOERROR", False, 57, 106)

ZONE = {"server", "zone", "view"}
FAMILIES = [
    ("coredns_dns_requests", "counter", ZONE | {"proto", "family", "type"}),
    ("coredns_dns_request_duration_seconds", "histogram", ZONE),
    ("coredns_dns_request_size_bytes", "histogram", ZONE | {"proto"}),
    ("coredns_dns_do_requests", "counter", ZONE),
    ("coredns_dns_response_size_bytes", "histogram", ZONE | {"proto"}),
    ("coredns_dns_responses", "counter", ZONE | {"rcode", "plugin"}),
    ("coredns_panics", "counter", set()),
    ("coredns_build_info", "gauge", {"version", "revision", "goversion"}),
    ("coredns_plugin_enabled", "gauge", ZONE | {"name"}),
]
BUCKETS = {
    "coredns_dns_request_duration_seconds": "0.00025 0.0005 0.001 0.002 0.004 0.008 0.016 0.032 0.064 0.128 0.256 "
    "0.512 1.024 2.048 4.096 8.192 +Inf",
    "coredns_dns_request_size_bytes": "0 100 200 300 400 511 1023 2047 4095 8291 16000 32000 48000 64000 +Inf",
    "coredns_dns_response_size_bytes": "0 100 200 300 400 511 1023 2047 4095 8291 16000 32000 48000 64000 +Inf",
}


def scrape(registry: Registry) -> dict[str, Metric]:
    return {metric.name: metric for metric in collect(registry)}


def value(registry: Registry, sample_name: str, **labels: str) -> float:
    """The sum of a sample over all series with these labels."""
    return sum(
        sample.value
        for metric in scrape(registry).values()
        for sample in metric.samples
        if sample.name == sample_name and labels.items() <= sample.labels.items()
    )


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    queries.panics(registry)
    queries.build_info(registry).labels("0.1.0", "", "python3.11").value = 1
    queries.plugin_enabled(registry).labels(SERVER, "cluster.local.", "", "errors").value = 1
    return registry


@pytest.mark.parametrize(("name", "kind", "labels"), FAMILIES)
def test_family(registry: Registry, name: str, kind: str, labels: set[str]) -> None:
    counters = QueryCounters(registry, SERVER)
    counters.counter(OUTCOME._replace(do=True)).count += 1
    metric = scrape(registry)[name]
    assert metric.type == kind
    assert {frozenset(s.labels) - {"le"} for s in metric.samples} == {frozenset(labels)}
    if kind == "histogram":
        shown = [s.labels["le"] for s in metric.samples if s.name.endswith("_bucket")]
        assert shown == BUCKETS[name].split()


def test_label_values(registry: Registry) -> None:
    counters = QueryCounters(registry, SERVER)
    outcome = QueryOutcome("cluster.local.", "tcp", "2", "SRV", "NXDOMAIN", True, 57, 106, "inner", "kubernetes")
    counters.counter(outcome).count += 3
    zone = {"server": SERVER, "zone": "cluster.local.", "view": "inner"}
    assert value(registry, "coredns_dns_requests_total", **zone, proto="tcp", family="2", type="SRV") == 3
    assert value(registry, "coredns_dns_responses_total", **zone, rcode="NXDOMAIN", plugin="kubernetes") == 3
    assert value(registry, "coredns_dns_do_requests_total", **zone) == 3
    assert value(registry, "coredns_dns_request_size_bytes_sum", **zone, proto="tcp") == 3 * 57
    assert value(registry, "coredns_dns_response_size_bytes_sum", **zone, proto="tcp") == 3 * 106


@pytest.mark.parametrize(
    ("qtype_text", "label"),
    [("AAAA", "AAAA"), ("HTTPS", "HTTPS"), ("ANY", "ANY"), ("HINFO", "other"), ("TYPE65400", "other")],
)
def test_type_label(registry: Registry, qtype_text: str, label: str) -> None:
    QueryCounters(registry, SERVER).counter(OUTCOME._replace(qtype_text=qtype_text)).count += 1
    assert value(registry, "coredns_dns_requests_total", type=label) == 1


def test_invented_types_share_one_counter(registry: Registry) -> None:
    counters = QueryCounters(registry, SERVER)
    made = {id(counters.counter(OUTCOME._replace(qtype_text=f"TYPE{number}"))) for number in range(256, 65536)}
    assert len(made) == 1


def test_every_query_counts_once_in_every_family(registry: Registry) -> None:
    counters = QueryCounters(registry, SERVER)
    hit_time = counters.new_hit_time()
    one, two = counters.counter(OUTCOME), counters.counter(OUTCOME._replace(rcode_text="NXDOMAIN"))
    for _ in range(3):  # with scrapes in between, so that nothing is flushed twice
        for _ in range(100):
            one.count += 1
        for _ in range(11):
            two.count += 1
        hit_time.hits += 111
        hit_time.seconds += 111 * 0.000004
        two.observe(0.003)
        assert value(registry, "coredns_dns_requests_total") == value(registry, "coredns_dns_responses_total")
    for name in (
        "requests_total", "responses_total", "request_duration_seconds_count", "request_size_bytes_count",
        "response_size_bytes_count",
    ):  # fmt: skip
        assert value(registry, f"coredns_dns_{name}") == 3 * 112, name
    assert value(registry, "coredns_dns_responses_total", rcode="NXDOMAIN") == 3 * 12
    assert value(registry, "coredns_dns_do_requests_total") == 0
    total = value(registry, "coredns_dns_request_duration_seconds_sum")
    assert total == pytest.approx(3 * (111 * 0.000004 + 0.003))
    assert value(registry, "coredns_dns_request_duration_seconds_bucket", le="0.00025") == 3 * 111


def test_hits_of_two_listeners_share_their_mean(registry: Registry) -> None:
    counters = QueryCounters(registry, SERVER)
    for seconds in (0.001, 0.003):
        hit_time = counters.new_hit_time()
        hit_time.hits += 1
        hit_time.seconds += seconds
    counters.counter(OUTCOME).count += 2
    assert value(registry, "coredns_dns_request_duration_seconds_bucket", le="0.002") == 2
    assert value(registry, "coredns_dns_request_duration_seconds_sum") == pytest.approx(0.004)


def test_a_hit_reported_late_takes_the_last_mean(registry: Registry) -> None:
    """A scrape may fall between a listener's hits and its report of them."""
    counters = QueryCounters(registry, SERVER)
    hit_time = counters.new_hit_time()
    hit_time.hits, hit_time.seconds = 1, 0.001
    counter = counters.counter(OUTCOME)
    counter.count += 1
    list(counters.flush())
    counter.count += 1
    assert value(registry, "coredns_dns_request_duration_seconds_sum") == pytest.approx(0.002)


def test_the_number_of_counters_is_bounded(registry: Registry) -> None:
    counters = QueryCounters(registry, SERVER, max_counters=10)
    made = {id(counters.counter(OUTCOME._replace(response_bytes=size))) for size in range(40_000)}
    assert len(made) <= 10 + len(queries.SIZE_BOUNDS) + 1
    for size in range(40_000):
        counters.counter(OUTCOME._replace(response_bytes=size)).count += 1
    sizes = "coredns_dns_response_size_bytes"
    assert value(registry, f"{sizes}_count") == 40_000
    assert [value(registry, f"{sizes}_bucket", le=le) for le in ("0", "100", "511", "8291", "32000")] == [
        1, 101, 512, 8292, 32001,
    ]  # fmt: skip


def test_an_outcome_has_one_counter(registry: Registry) -> None:
    counters = QueryCounters(registry, SERVER)
    assert counters.counter(OUTCOME) is counters.counter(QueryOutcome(*OUTCOME))
    assert counters.counter(OUTCOME) is not counters.counter(OUTCOME._replace(view="other"))


def test_counts_outlive_their_counters(registry: Registry) -> None:
    old = QueryCounters(registry, SERVER)
    old.counter(OUTCOME).count += 5
    old.close()
    new = QueryCounters(registry, SERVER)
    new.counter(OUTCOME).count += 2
    assert value(registry, "coredns_dns_requests_total") == 7
    assert len(registry.before_scrape) == 1


def test_queries_outside_of_all_zones(registry: Registry) -> None:
    counters = QueryCounters(registry, SERVER)
    counters.counter(OUTCOME._replace(zone_text=queries.DROPPED, rcode_text="REFUSED")).observe(0.0)
    labels = {"server": SERVER, "zone": "dropped", "view": "", "plugin": "", "rcode": "REFUSED"}
    assert value(registry, "coredns_dns_responses_total", **labels) == 1
    assert value(registry, "coredns_dns_request_duration_seconds_bucket", le="0.00025") == 1


def test_a_counter_without_labels_shows_0_from_the_start(registry: Registry) -> None:
    assert [s.value for s in scrape(registry)["coredns_panics"].samples] == [0]
