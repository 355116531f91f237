"""The `kubernetes` directive: settings, and the index with its source and zones built from them.

`cluster_handler` answers the questions. The source is the API server, or with our own option `manifests PATH…` a set of
files and folders that needs no cluster.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import ErrorList
from clusterdns.index.cluster import Index
from clusterdns.index.service import label_of
from clusterdns.index.zone import MAX_ZONE_BYTES, ClusterZone, Pods
from clusterdns.objects import Change, EndpointSlice
from clusterdns.plugins.cluster_handler import ClusterHandler, Fallthrough
from clusterdns.plugins.handler import BlockContext, Part, Plugin
from clusterdns.plugins.interfaces import interface_addresses
from clusterdns.sources import selectors
from clusterdns.sources.api import ApiSource
from clusterdns.sources.manifests import ManifestSource
from clusterdns.sources.selectors import SelectorError
from clusterdns.sources.settings import ClientTls
from clusterdns.sources.settings import Settings as ApiSettings
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.name import from_text, is_reverse

MAX_TTL_SECONDS = 3600
MOVE_SECONDS = 0.05  # between the two writes by which a controller moves an endpoint to another slice of its Service
PROGRAMMING_BOUNDS = tuple(0.001 * 2**i for i in range(20))  # seconds
# options of CoreDNS that are known, and refused rather than ignored
NOT_IMPLEMENTED = {
    "multicluster": "clusterdns does not serve ServiceImports",
    "zonal": "clusterdns does not serve zonal names",
}

log = logging.getLogger("clusterdns.plugin.kubernetes")


@dataclass(frozen=True)
class Settings:
    """One kubernetes directive. Zones are names; the first that is not a reverse zone is the primary one."""

    zones: tuple[bytes, ...]
    api: ApiSettings = field(default_factory=ApiSettings)
    manifests: tuple[str, ...] = ()
    pods: Pods = Pods.DISABLED
    ttl_seconds: int = 5
    endpoint_pod_names: bool = False
    ignore_empty_service: bool = False
    fallthrough: tuple[bytes, ...] = ()

    @property
    def primary(self) -> bytes:
        """The zone that PTR records point into."""
        return next(zone for zone in self.zones if not is_reverse(zone))


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`kubernetes [ZONES…] { options }`; without zones those of the block. Raises CorefileError."""
    directive = directives[0]
    zones_text = values.zones(directive.args) or context.zones_text
    settings = Settings(tuple(map(from_text, zones_text)))
    if all(map(is_reverse, settings.zones)):
        mend = "name the cluster's zone as well, such as cluster.local"
        raise directive.error("no zone but reverse zones, so that PTR records have nothing to point at", mend)
    if any(len(zone) > MAX_ZONE_BYTES for zone in settings.zones):
        mend = "use the cluster's own, such as cluster.local"
        raise directive.error(f"a zone of more than {MAX_ZONE_BYTES} bytes leaves no room for names", mend)
    errors = ErrorList()
    with errors.collect():
        directive.options(*_OPTIONS, *NOT_IMPLEMENTED)
    for line in directive.block:
        with errors.collect():
            settings = _with_option(settings, line)
    errors.raise_if_any()
    if settings.api.namespaces and settings.api.namespace_labels:
        raise directive.error("namespaces and namespace_labels exclude each other", "keep one of them")
    if settings.ignore_empty_service and not settings.api.endpoints:
        raise directive.error(
            "ignore empty_service with noendpoints would deny every Service", "remove one of the two options"
        )
    if settings.api.tls and not settings.api.endpoint:
        raise directive.error("tls is used with endpoint only", "add endpoint, or remove tls")
    return _with_scheme(settings, directive)


def _with_option(settings: Settings, line: Line) -> Settings:
    if line.name in NOT_IMPLEMENTED:
        raise line.error(f"{NOT_IMPLEMENTED[line.name]} (option '{line.name}')", "remove the option")
    read = _OPTIONS.get(line.name)
    return settings if read is None else read(settings, line)  # an unknown one was told with all others


def _with_scheme(settings: Settings, directive: Directive) -> Settings:
    """The API server as a URL; `HOST:PORT` alone means HTTPS with `tls` and HTTP without, as in CoreDNS."""
    endpoint = settings.api.endpoint
    if endpoint and "://" not in endpoint:
        endpoint = f"{'https' if settings.api.tls else 'http'}://{endpoint}"
    try:
        parts = urlsplit(endpoint)
        is_url = not endpoint or (parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0)
    except ValueError:  # an address or a port that is none
        is_url = False
    if not is_url:
        line = next(line for line in directive.block if line.name == "endpoint")
        raise line.error(f"{line.args[0]} is not the URL of a server", "write one such as https://10.0.0.1:6443")
    return _api(settings, endpoint=endpoint)


def _selector(line: Line) -> str:
    text = " ".join(word.text for word in line.arguments_between(1, None, "SELECTOR"))
    try:
        selectors.parse(text)
    except SelectorError as error:
        raise line.error(str(error), "write it as for kubectl: 'app=web,tier in (a, b)'") from error
    return text


def _endpoint(settings: Settings, line: Line) -> Settings:
    urls = line.arguments_between(1, None, "URL")
    if len(urls) > 1:
        log.warning("%s: only the first endpoint is used", line.place)
    return _api(settings, endpoint=urls[0].text)


def _tls(settings: Settings, line: Line) -> Settings:
    cert, key, ca = (word.text for word in line.arguments_between(3, 3, "CERT KEY CACERT"))
    return _api(settings, tls=ClientTls(cert, key, ca))


def _kubeconfig(settings: Settings, line: Line) -> Settings:
    words = line.arguments_between(1, 2, "FILE [CONTEXT]")
    return _api(settings, kubeconfig=words[0].text, context=words[1].text if len(words) > 1 else "")


def _namespaces(settings: Settings, line: Line) -> Settings:
    names = tuple(word.text for word in line.arguments_between(1, None, "NAMESPACE…"))
    return _api(settings, namespaces=tuple(dict.fromkeys(settings.api.namespaces + names)))


def _labels(settings: Settings, line: Line) -> Settings:
    return _api(settings, labels=_selector(line))


def _namespace_labels(settings: Settings, line: Line) -> Settings:
    return _api(settings, namespace_labels=_selector(line))


def _pods(settings: Settings, line: Line) -> Settings:
    mode = Pods(values.choice(line.one_argument("disabled|insecure|verified"), [one.value for one in Pods]))
    return _api(replace(settings, pods=mode), pods=mode is Pods.VERIFIED)


def _endpoint_pod_names(settings: Settings, line: Line) -> Settings:
    line.no_arguments()
    return replace(settings, endpoint_pod_names=True)


def _ttl(settings: Settings, line: Line) -> Settings:
    return replace(settings, ttl_seconds=values.integer(line.one_argument("SECONDS"), 0, MAX_TTL_SECONDS))


def _noendpoints(settings: Settings, line: Line) -> Settings:
    line.no_arguments()
    return _api(settings, endpoints=False)


def _ignore(settings: Settings, line: Line) -> Settings:
    values.choice(line.one_argument("empty_service"), ["empty_service"])
    return replace(settings, ignore_empty_service=True)


def _fallthrough(settings: Settings, line: Line) -> Settings:
    zones = values.zones(line.args) if line.args else (".",)
    return replace(settings, fallthrough=tuple(map(from_text, zones)))


def _startup_timeout(settings: Settings, line: Line) -> Settings:
    return _api(settings, startup_timeout_seconds=values.duration_seconds(line.one_argument("DURATION")))


def _client_limit(settings: Settings, line: Line) -> Settings:
    """Limits of CoreDNS's client library, which have no effect there either; the number is checked."""
    values.decimal(line.one_argument("NUMBER"), 0)
    return settings


def _manifests(settings: Settings, line: Line) -> Settings:
    folder = os.path.dirname(line.file)
    paths = (os.path.join(folder, word.text) for word in line.arguments_between(1, None, "PATH…"))
    return replace(settings, manifests=(*settings.manifests, *paths))


_OPTIONS: dict[str, Callable[[Settings, Line], Settings]] = {
    "endpoint": _endpoint,
    "tls": _tls,
    "kubeconfig": _kubeconfig,
    "apiserver_qps": _client_limit,
    "apiserver_burst": _client_limit,
    "apiserver_max_inflight": _client_limit,
    "namespaces": _namespaces,
    "labels": _labels,
    "namespace_labels": _namespace_labels,
    "pods": _pods,
    "endpoint_pod_names": _endpoint_pod_names,
    "ttl": _ttl,
    "noendpoints": _noendpoints,
    "ignore": _ignore,
    "fallthrough": _fallthrough,
    "startup_timeout": _startup_timeout,
    "manifests": _manifests,
}


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


def _api(settings: Settings, **changes: object) -> Settings:
    return replace(settings, api=replace(settings.api, **changes))  # type: ignore[arg-type]  # fields named above


PLUGIN = Plugin("kubernetes", parse, build, once=True)
