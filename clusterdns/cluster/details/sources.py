"""The reader of raw objects that fits the source of an index."""

from typing import TYPE_CHECKING

from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.details.from_api import ApiReader
from clusterdns.cluster.details.reader import ObjectReader

if TYPE_CHECKING:
    from clusterdns.cluster.manifests.source import ManifestSource


def reader_of(source: "ApiSource | ManifestSource | None") -> ObjectReader | None:
    """Make a reader; None where there is no source."""
    if isinstance(source, ApiSource):
        return ApiReader(source.client)
    if source is None:
        return None
    from clusterdns.cluster.details.from_manifests import ManifestReader  # not loaded where an API server is followed

    return ManifestReader(lambda: source.documents)
