"""The `kubernetes` directive: builds the feed, the zones and the handler from the settings.

Objects come from the API server, or with the option `manifests PATH…`, which CoreDNS does not have, from files.
"""

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence

from clusterdns.chain import BlockContext, Doc, Handling, LifeCycle, Part, Plugin, Readiness
from clusterdns.chain.exports import HeldQuestions, StatusSection, ZoneSource
from clusterdns.chain.query import plain_ip
from clusterdns.cluster.index.imports import ImportZone
from clusterdns.cluster.index.listing import records
from clusterdns.cluster.index.pointers import SetPointers
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.host.interfaces import interface_addresses
from clusterdns.plugins.kubernetes.exports import ClusterExports, ClusterView
from clusterdns.plugins.kubernetes.feed import Feed, feed_key
from clusterdns.plugins.kubernetes.handler import ClusterHandler
from clusterdns.plugins.kubernetes.labels import NameLabels
from clusterdns.plugins.kubernetes.settings import OPTIONS, KubernetesSettings, parse
from clusterdns.plugins.kubernetes.subscription import Subscription
from clusterdns.plugins.kubernetes.transfer import ClusterTransfer
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.name import is_reverse

log = logging.getLogger("clusterdns.plugin.kubernetes")


def build(settings: KubernetesSettings, context: BlockContext) -> Part:
    """Build the part: handler, labels, life cycle, readiness and exports."""
    key = ("kubernetes", *feed_key(settings))
    feed = context.shared.keep(key, lambda: Feed(settings, context.registry))
    subscription = Subscription(feed, context.shared.forget, settings.api.startup_timeout_seconds)
    index = feed.index
    local = _local_addresses(context.listener.addresses)
    imported = frozenset(zone for zone in settings.multicluster if not is_reverse(zone))
    points_to_imports = settings.primary in imported  # where no zone but those of `multicluster` could have the targets
    zones = [
        _zone(zone, settings, feed, local, is_imported=zone in imported or (points_to_imports and is_reverse(zone)))
        for zone in settings.zones
    ]
    if imported and not points_to_imports:
        for zone in zones:
            if zone.is_reverse:
                same = _zone(zone.zone, settings, feed, local, is_imported=True)
                zone.pointers = SetPointers(zone.pointers, same.pointers)
    return Part(
        "kubernetes",
        handling=Handling(
            wrap=lambda following: ClusterHandler(
                zones, settings.ttl_seconds, settings.fallthrough, following, unready=feed.doubt
            ),
            is_for_in_only=True,
            labels=NameLabels(
                settings.zones,
                zonal=settings.zonal,
                imported=imported,
                pods=index.pods if settings.api.pods else None,
            ),
        ),
        life=LifeCycle(
            dry_run=lambda: _dry_run(settings),
            prepare=subscription.prepare,
            start=subscription.start,
            warm_up=subscription.wait_synced,
            drain=subscription.drain,
            stop=subscription.stop,
        ),
        readiness=Readiness(unready=feed.unready, lapse=feed.lapse, warning=feed.warning),
        exports=(
            ZoneSource(ClusterTransfer(zones).zone_records),
            HeldQuestions(lambda: _questions(zones)),
            StatusSection("kubernetes", lambda: (feed.status(),), feed),
            ClusterView(zones, settings, lambda: feed.source, lambda: feed.lapse() or feed.not_synced(), feed.changes),
            ClusterExports(index, frozenset(settings.zones), settings.api.pods, lambda: local, feed.doubt),
        ),
    )


def _zone(
    zone: bytes, settings: KubernetesSettings, feed: Feed, local: tuple[bytes, ...], *, is_imported: bool
) -> ClusterZone:
    """Make a zone of the cluster's Services, or of its ServiceImports."""
    make, index = (ImportZone, feed.imports) if is_imported and feed.imports is not None else (ClusterZone, feed.index)
    return make(
        zone,
        index,
        primary=_primary(settings, is_imported=is_imported),
        ttl_seconds=settings.ttl_seconds,
        pods=settings.pods,
        ignores_empty=settings.ignore_empty_service,
        zonal=settings.zonal and not is_imported,
        local_addresses=lambda: local,
    )


def _primary(settings: KubernetesSettings, *, is_imported: bool) -> bytes:
    """Return the zone that PTR records point into: for addresses of a clusterset, its first forward zone."""
    forward = [zone for zone in settings.zones if zone in settings.multicluster and not is_reverse(zone)]
    return forward[0] if is_imported and forward else settings.primary


def _questions(zones: Sequence[ClusterZone]) -> Iterator[tuple[bytes, int]]:
    """Yield the name and type of each record of the zones."""
    for zone in zones:
        yield from ((one.record.name, one.record.rtype) for one in records(zone, zone.index))


async def _dry_run(settings: KubernetesSettings) -> None:
    """Look for what a start needs: the kubeconfig, or the manifests. Raises StartError as the start does."""
    kubeconfig = settings.api.kubeconfig
    if settings.manifests:
        feed = Feed(settings, Registry())
        await feed.start()
        await feed.stop()
    elif kubeconfig and not await asyncio.to_thread(os.path.exists, kubeconfig):
        log.warning("kubeconfig %s: not found; SERVFAIL until it exists", kubeconfig)


def _local_addresses(bound: Sequence[str]) -> tuple[bytes, ...]:
    """Return the addresses at which clients reach this server: those bound, and for a wildcard all but loopback."""
    bound_addresses = [plain_ip(text) for text in bound or ("0.0.0.0", "::")]
    families = {one.version for one in bound_addresses if one.is_unspecified}
    found = [one for one in bound_addresses if not one.is_unspecified]
    try:
        texts = [text for several in interface_addresses().values() for text in several] if families else []
    except OSError as problem:
        log.warning("cannot list this host's addresses: %s; the zone has no NS records", problem)
        texts = []
    own = list(map(plain_ip, texts))
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
    "an ExternalName has the response code of its target; see [differences.md](differences.md).",
)
PLUGIN = Plugin("kubernetes", parse, build, once=True, doc=DOC)
