"""The `kubernetes` directive: the index with its source and zones, built from the settings.

`kubernetes_settings` reads the directive, `cluster_handler` answers the questions. The source is the API server, or
with our own option `manifests PATH…` a set of files and folders that needs no cluster.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address

from clusterdns.index.cluster import Index
from clusterdns.index.service import label_of
from clusterdns.index.zone import ClusterZone
from clusterdns.objects import Change, EndpointSlice
from clusterdns.plugins.cluster_handler import ClusterHandler, Fallthrough
from clusterdns.plugins.handler import BlockContext, Doc, Part, Plugin
from clusterdns.plugins.interfaces import interface_addresses
from clusterdns.plugins.kubernetes_settings import OPTIONS, Settings, parse
from clusterdns.sources.api import ApiSource
from clusterdns.sources.manifests import ManifestSource
from clusterdns.telemetry.metrics import Registry

MOVE_SECONDS = 0.05  # between the two writes by which a controller moves an endpoint to another slice of its Service
PROGRAMMING_BOUNDS = tuple(0.001 * 2**i for i in range(20))  # seconds

log = logging.getLogger("clusterdns.plugin.kubernetes")


def build(settings: Settings, context: BlockContext) -> Part:
    """The index, its zones, the handler and the source."""
    index = Index(
        context.shared.forget,
        namespaces=frozenset(settings.api.namespaces),
        use_pod_names=settings.endpoint_pod_names,
        later=lambda call: asyncio.get_running_loop().call_later(MOVE_SECONDS, call),
    )
    local = _local_addresses(context.listening.addresses)
    zones = [
        ClusterZone(
            zone,
            index,
            primary=settings.primary,
            ttl_seconds=settings.ttl_seconds,
            pods=settings.pods,
            ignores_empty=settings.ignore_empty_service,
            local_addresses=lambda: local,
        )
        for zone in settings.zones
    ]
    feed = _Feed(settings, index, context.registry)
    fallthrough = Fallthrough(settings.fallthrough)
    return Part(
        "kubernetes",
        wrap=lambda following: ClusterHandler(zones, index, settings.ttl_seconds, fallthrough, following),
        is_for_in_only=True,
        start=feed.start,
        stop=feed.stop,
        unready=feed.unready,
    )


class _Feed:
    """Brings the source's changes into the index; made with the configuration, started with the server."""

    def __init__(self, settings: Settings, index: Index, registry: Registry) -> None:
        self._settings = settings
        self._index = index
        self._registry = registry
        self._source: ApiSource | ManifestSource | None = None
        self._latency = registry.histogram(
            "coredns_kubernetes_dns_programming_duration_seconds",
            "Time from a pod's change to its being answered.",
            PROGRAMMING_BOUNDS,
            "service_kind",
        )

    async def start(self) -> None:
        """Begin to follow the source, and wait for the first full state as long as `startup_timeout` says."""
        api = self._settings.api
        if self._settings.manifests:
            manifests = ManifestSource(
                self._settings.manifests,
                self._index.apply,
                self._note_synced,
                self._registry,
                pods=api.pods,
                noendpoints=not api.endpoints,
                namespaces=frozenset(api.namespaces) or None,
                labels=api.labels,
                namespace_labels=api.namespace_labels,
            )
            self._source = manifests
            manifests.load()
            manifests.start()
        else:
            self._source = source = ApiSource(api, self._take, self._note_synced, self._registry)
            source.start()
            await source.wait_synced()

    async def stop(self) -> None:
        """End following; what is known stays."""
        if self._source is not None:
            await self._source.stop()

    def unready(self) -> str:
        """Why the index does not hold the whole cluster yet."""
        if self._index.synced:
            return ""
        return self._source.reason if self._source is not None else "not started yet"

    def _note_synced(self) -> None:
        self._index.synced = True

    def _take(self, change: Change) -> None:
        self._index.apply(change)
        if self._index.synced and isinstance(change.new, EndpointSlice) and change.new.triggered_at:
            self._measure(change.new)

    def _measure(self, obj: EndpointSlice) -> None:
        node = self._index.service(label_of(obj.namespace), label_of(obj.service))
        if node is None or node.service is None:
            return
        try:
            triggered = datetime.fromisoformat(obj.triggered_at).timestamp()
        except ValueError:
            log.debug("slice %s/%s: no moment: %r", obj.namespace, obj.name, obj.triggered_at)
            return
        kind = "headless_with_selector" if node.service.headless else "cluster_ip"
        self._latency.labels(kind).observe(max(0.0, time.time() - triggered))


def _local_addresses(bound: Sequence[str]) -> tuple[bytes, ...]:
    """The addresses under which clients reach this server: those bound, and all but loopback ones for a wildcard."""
    asked = [ip_address(text.partition("%")[0]) for text in bound or ("0.0.0.0", "::")]
    families = {one.version for one in asked if one.is_unspecified}
    found = [one for one in asked if not one.is_unspecified]
    try:
        texts = [text for several in interface_addresses().values() for text in several] if families else []
    except OSError as problem:
        log.warning("cannot list this host's addresses, the zone's NS record will be missing: %s", problem)
        texts = []
    own = [ip_address(text.partition("%")[0]) for text in texts]
    found += [one for one in own if one.version in families and not one.is_loopback and not one.is_unspecified]
    return tuple(dict.fromkeys(one.packed for one in found))


DOC = Doc(
    usage=("kubernetes [ZONES…]",),
    about="Answers the names of a cluster. Zones are those named, or those of the block; at least one must not be a "
    "reverse zone, and the first such is what PTR records point into.",
    options=OPTIONS,
    example="""
kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig /etc/clusterdns/kubeconfig
    pods verified
    endpoint_pod_names
    labels app.kubernetes.io/part-of=shop
    startup_timeout 10s
}""",
    better="a change in the cluster is visible at once, whatever `cache` says; a name that exists is never NXDOMAIN; "
    "the response code of an ExternalName's target is told; see [differences.md](differences.md).",
)
PLUGIN = Plugin("kubernetes", parse, build, once=True, doc=DOC)
