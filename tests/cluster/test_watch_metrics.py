"""The metrics of watches: one value per kind for all feeds of the process."""

import pytest
from fakes.metrics import collect

from clusterdns.cluster.freshness import Freshness
from clusterdns.cluster.objects import Namespace, Service
from clusterdns.cluster.watch_metrics import WatchMetrics
from clusterdns.telemetry.metrics import Registry

NAMES = ("clusterdns_watch_connected", "clusterdns_watch_staleness_seconds", "clusterdns_objects")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(registry: Registry) -> dict[str, tuple[float, ...]]:
    """Scrape, and return connected, staleness and objects by kind."""
    found: dict[str, list[float]] = {}
    for metric in collect(registry):
        if metric.name in NAMES:
            for sample in metric.samples:
                found.setdefault(sample.labels["kind"], []).append(sample.value)
    return {kind: tuple(several) for kind, several in found.items()}


def test_the_worst_collection_and_the_sum_of_objects_of_all_feeds_are_shown() -> None:
    registry, clock = Registry(), Clock()
    feeds = [Freshness(clock=clock) for _ in range(2)]
    for feed in feeds:
        registry.computed(WatchMetrics).follow(feed)
    one = feeds[0].track(Service, "services", lambda: 3)
    other = feeds[1].track(Service, "services of prod", lambda: 4)
    feeds[1].track(Namespace, "namespaces", lambda: 1)
    clock.now = 5.0
    one.proved()
    other.connected(lambda: 0.0)
    assert shown(registry) == {"Service": (0.0, 5.0, 7.0), "Namespace": (0.0, 5.0, 1.0)}
    one.connected(lambda: 0.0)
    other.proved()
    clock.now = 10.0
    assert shown(registry)["Service"] == (1.0, 0.0, 7.0)
    one.disconnected()
    clock.now = 12.0
    assert shown(registry)["Service"] == (0.0, 2.0, 7.0)


@pytest.mark.parametrize("rest", [0, 1])
def test_a_feed_that_ends_disappears(rest: int) -> None:
    registry = Registry()
    feeds = [Freshness() for _ in range(2)]
    for feed in feeds:
        feed.track(Service, "services", lambda: 2)
        registry.computed(WatchMetrics).follow(feed)
    for feed in feeds[rest:]:
        registry.computed(WatchMetrics).leave(feed)
    assert [values[2] for values in shown(registry).values()] == [2.0] * rest
    assert len(registry.before_scrape) == 1
