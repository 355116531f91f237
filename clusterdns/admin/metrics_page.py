"""The page /metrics. `exposition` writes it, and is imported by the first scrape."""

from clusterdns.admin.page import Page, PageRequest
from clusterdns.host.imports import import_in_thread
from clusterdns.telemetry.metrics import Registry


class MetricsPage:
    """The page /metrics of one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def __call__(self, request: PageRequest) -> Page:
        """Answer a scrape."""
        await import_in_thread("clusterdns.admin.exposition")
        from prometheus_client.exposition import gzip_accepted

        from clusterdns.admin.exposition import expose

        body, content_type = await expose(self._registry, request.headers.get("Accept", ""))
        is_compressed = gzip_accepted(request.headers.get("Accept-Encoding", ""))
        return Page(body, content_type, is_compressed=is_compressed)
