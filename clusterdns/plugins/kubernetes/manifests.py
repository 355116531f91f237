"""Manifests as the source of a feed. `feed` imports this where the option `manifests` is used."""

from collections.abc import Callable

from clusterdns.chain import StartError
from clusterdns.cluster.api.store import OnChange
from clusterdns.cluster.manifests.source import ManifestError, ManifestSource
from clusterdns.plugins.kubernetes.settings import KubernetesSettings
from clusterdns.telemetry.metrics import Registry


def manifest_source(
    settings: KubernetesSettings, on_change: OnChange, on_synced: Callable[[], None], registry: Registry
) -> ManifestSource:
    """Make the source. Raises StartError."""
    api = settings.api
    try:
        return ManifestSource(
            settings.manifests,
            on_change,
            on_synced,
            registry,
            pods=api.pods,
            noendpoints=not api.endpoints,
            namespaces=frozenset(api.namespaces) or None,
            labels=api.labels,
            namespace_labels=api.namespace_labels,
            imports=api.imports,
        )
    except ManifestError as error:
        raise StartError(str(error)) from error


async def load(source: ManifestSource) -> None:
    """Read the files, and apply what they have. Raises StartError."""
    try:
        await source.load_in_thread()
    except ManifestError as error:
        raise StartError(str(error)) from error
