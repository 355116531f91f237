"""The metric families of a registry at one moment, as a scrape shows them."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from clusterdns.telemetry.families import exposed
from clusterdns.telemetry.metrics import Registry


def collect(registry: Registry) -> Iterator[Metric]:
    """Yield the families, brought up to date."""
    for _ in registry.flush():
        pass
    yield from exposed(registry)
