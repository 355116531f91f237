"""Metrics without labels, which CoreDNS shows at 0 from the start, whether or not a Corefile uses their directive.

They are registered here and not by the plugins, so that a plugin that no Corefile names need not be imported.
"""

from clusterdns.telemetry.metrics import Family, Histogram, Registry, Series

_HEALTH_BOUNDS = (0.00025, 0.0025, 0.025, 0.25, 2.5)  # seconds


def register_all(registry: Registry) -> None:
    """Make every metric of this module, so that each scrape shows it."""
    forward_broken(registry)
    forward_rejects(registry)
    health_durations(registry)
    health_failures(registry)
    hosts_modified(registry)
    localhost_requests(registry)


def forward_broken(registry: Registry) -> Series:
    """Return the counter of queries for which `forward` found no healthy upstream."""
    text = "Queries that found no upstream healthy."
    return registry.counter("coredns_forward_healthcheck_broken_total", text).labels()


def forward_rejects(registry: Registry) -> Series:
    """Return the counter of queries that `forward` refused because of `max_concurrent`."""
    text = "Queries refused because max_concurrent was reached."
    return registry.counter("coredns_forward_max_concurrent_rejects_total", text).labels()


def health_durations(registry: Registry) -> Histogram:
    """Return the histogram of how long the self-checks of `health` took, in seconds."""
    text = "Time the process took to answer its own health check."
    return registry.histogram("coredns_health_request_duration_seconds", text, _HEALTH_BOUNDS).labels()


def health_failures(registry: Registry) -> Series:
    """Return the counter of self-checks of `health` that failed."""
    return registry.counter("coredns_health_request_failures_total", "Own health checks that failed.").labels()


def hosts_modified(registry: Registry) -> Family[Series]:
    """Return the gauge of the moment at which the file that `hosts` answers from was written, in Unix seconds."""
    return registry.gauge("coredns_hosts_reload_timestamp_seconds", "When the hosts file was written.")


def localhost_requests(registry: Registry) -> Series:
    """Return the counter of queries about localhost that `local` answered."""
    text = "Queries for names below localhost, or that begin with it."
    return registry.counter("coredns_local_localhost_requests_total", text).labels()
