"""Rates from counters that are kept anyway."""

from clusterdns.server.live.rates import CACHE_HITS, CACHE_MISSES, UNANSWERED, UNSENT, UPSTREAM_DURATIONS, CounterRates
from clusterdns.telemetry.metrics import Registry


def test_the_growth_of_a_second_is_what_counts() -> None:
    registry = Registry()
    unanswered = registry.counter(UNANSWERED, "", "server", "proto", "reason")
    unanswered.labels("dns://:53", "udp", "short").value = 100
    rates = CounterRates(registry)
    unanswered.labels("dns://:53", "udp", "short").value += 4
    unanswered.labels("dns://:53", "tcp", "short").value += 2  # a series that is new
    registry.counter(UNSENT, "", "server", "proto").labels("dns://:53", "udp").value += 8
    rates.end_second(2.0)
    assert rates.unanswered() == {"short": 3.0, "unsent": 4.0}
    rates.end_second(1.0)
    assert rates.unanswered() == {"short": 0.0}


def test_the_hit_ratio_of_the_cache() -> None:
    registry = Registry()
    hits = registry.counter(CACHE_HITS, "", "server", "type", "zones", "view")
    misses = registry.counter(CACHE_MISSES, "", "server", "zones", "view")
    rates = CounterRates(registry)
    assert rates.cache_hit_ratio() is None
    hits.labels("dns://:53", "success", ".", "").value = 2
    hits.labels("dns://:53", "denial", ".", "").value = 1
    misses.labels("dns://:53", ".", "").value = 1
    rates.end_second(1.0)
    assert rates.cache_hit_ratio() == 0.75
    rates.end_second(1.0)
    assert rates.cache_hit_ratio() is None


def test_upstreams_have_a_rate_and_the_last_known_latency() -> None:
    registry = Registry()
    durations = registry.histogram(UPSTREAM_DURATIONS, "", (0.1, 1.0), "proxy_name", "to", "rcode")
    rates = CounterRates(registry)
    durations.labels("forward", "9.9.9.9:53", "NOERROR").observe(0.1)
    durations.labels("forward", "9.9.9.9:53", "SERVFAIL").observe(0.3)
    rates.end_second(1.0)
    assert rates.upstreams() == {"9.9.9.9:53": (2.0, 0.2)}
    rates.end_second(1.0)
    assert rates.upstreams() == {"9.9.9.9:53": (0.0, 0.2)}
