"""What the tests of following a collection share: settings for a fake API server, and looks at what it has led to."""

from collections.abc import Callable
from typing import Any

from fakes.seen import Seen

from clusterdns.cluster.api.settings import ApiSettings, Intervals
from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.objects import Service
from clusterdns.telemetry.metrics import Registry
from testing.fake_apiserver import FakeApiServer

Start = Callable[..., ApiSource]

OLD, NEW = "10.96.0.1", "10.96.0.2"


def api_settings(fake: FakeApiServer, **intervals: Any) -> ApiSettings:
    return ApiSettings(endpoint=fake.url, endpoints=False, intervals=Intervals(**intervals))


def ip_of(seen: Seen, name: str) -> str:
    one = seen.objects.get((Service, ("prod", name)))
    return one.cluster_ips[0] if isinstance(one, Service) else ""


def failures(registry: Registry, cause: str) -> float:
    return registry.counter("clusterdns_watch_failures_total", "", "kind", "cause").labels("Service", cause).value
