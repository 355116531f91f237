"""The settings of the `kubernetes` directive: its options, and the checks that concern several of them.

`directive` builds the part from them.
"""

import logging
import math
import os
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from clusterdns.chain import BlockContext
from clusterdns.chain.fallthrough import NO_FALLTHROUGH, Fallthrough, fallthrough_option
from clusterdns.cluster.api.settings import DEFAULT_AUDIT_SECONDS, ApiSettings, ClientTls
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import MAX_ZONE_BYTES
from clusterdns.cluster.manifests import selectors
from clusterdns.cluster.manifests.selectors import SelectorError
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.options import Option, read_block
from clusterdns.wire.name import IN_ADDR_ARPA, IP6_ARPA, is_reverse, to_text

MAX_TTL_SECONDS = 3600
MIN_STALE_AFTER_SECONDS = 5.0  # the kernel probes an idle connection every 3 s
MIN_AUDIT_SECONDS = 10.0
DEFAULT_API = ApiSettings(audit_seconds=DEFAULT_AUDIT_SECONDS)

log = logging.getLogger("clusterdns.plugin.kubernetes")


class KubernetesSettings(msgspec.Struct, frozen=True):
    """One kubernetes directive. Zones are names in wire format."""

    zones: tuple[bytes, ...]
    api: ApiSettings = DEFAULT_API
    manifests: tuple[str, ...] = ()
    snapshot: str = ""  # the folder; empty: none is kept
    pods: PodMode = PodMode.DISABLED
    ttl_seconds: int = 5
    endpoint_pod_names: bool = False
    ignore_empty_service: bool = False
    zonal: bool = False
    multicluster: tuple[bytes, ...] = ()
    fallthrough: Fallthrough = NO_FALLTHROUGH

    @property
    def primary(self) -> bytes:
        """The zone that PTR records point into: the first that is neither a reverse zone nor one of `multicluster`.

        With reverse zones alone (Talos without a domain) it is the first of them: to CoreDNS `in-addr.arpa` and
        `ip6.arpa` are zones like any other there; it refuses only those below them.
        """
        forward = [zone for zone in self.zones if not is_reverse(zone)]
        own = [zone for zone in forward if zone not in self.multicluster]
        return (own or forward or self.zones)[0]


def parse(directives: Sequence[Directive], context: BlockContext) -> KubernetesSettings:
    """`kubernetes [ZONES…] { options }`; without zones those of the block. Raises CorefileError."""
    directive = directives[0]
    settings = KubernetesSettings(lenient.zones(directive.args, context.zones), snapshot=context.state_folder)
    if all(is_reverse(zone) and zone not in (IN_ADDR_ARPA, IP6_ARPA) for zone in settings.zones):
        text = "all zones are reverse zones; PTR records have no zone to point into"
        raise directive.error(text if settings.zones else "no zones to serve", "add a zone such as cluster.local")
    if any(len(zone) > MAX_ZONE_BYTES for zone in settings.zones):
        hint = "use a zone such as cluster.local"
        raise directive.error(f"a zone of more than {MAX_ZONE_BYTES} bytes leaves no room for names", hint)
    settings = read_block(settings, [directive], OPTIONS)
    if settings.api.namespaces and settings.api.namespace_labels:
        raise directive.error("namespaces and namespace_labels exclude each other", "keep one of them")
    if settings.ignore_empty_service and not settings.api.endpoints:
        raise directive.error(
            "with noendpoints, ignore empty_service hides every Service", "remove one of the two options"
        )
    if settings.zonal and not settings.api.endpoints:
        raise directive.error("zonal needs the endpoints that noendpoints leaves out", "remove one of the two options")
    for zone in settings.multicluster:
        if zone not in settings.zones:
            line = next(line for line in reversed(directive.block) if line.name == "multicluster")
            hint = f"add it to the zones of 'kubernetes': {' '.join(map(to_text, (*settings.zones, zone)))}"
            raise line.error(f"multicluster zone {to_text(zone)} is not among the zones served here", hint)
    if settings.api.tls and not settings.api.endpoint:
        raise directive.error("tls is used with endpoint only", "add endpoint, or remove tls")
    if settings.manifests:
        settings = replace(settings, snapshot="")  # files are read again at each start
    return _with_scheme(settings, directive)


def _with_scheme(settings: KubernetesSettings, directive: Directive) -> KubernetesSettings:
    """Return the API server as a URL; `HOST:PORT` alone means HTTPS with `tls` and HTTP without, as in CoreDNS."""
    endpoint = settings.api.endpoint
    if endpoint and "://" not in endpoint:
        endpoint = f"{'https' if settings.api.tls else 'http'}://{endpoint}"
    try:
        parts = urlsplit(endpoint)
        is_url = not endpoint or (parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0)
    except ValueError:  # an invalid address or port
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


def _endpoint(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    urls = line.arguments_between(1, None, "URL")
    if len(urls) > 1:
        log.warning("%s: only the first endpoint is used", line.place)
    return _api(settings, endpoint=urls[0].text)


def _tls(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    cert, key, ca = (word.text for word in line.arguments_between(3, 3, "CERT KEY CACERT"))
    return _api(settings, tls=ClientTls(cert, key, ca))


def _kubeconfig(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    words = line.arguments_between(1, 2, "FILE [CONTEXT]")
    return _api(settings, kubeconfig=words[0].text, context=words[1].text if len(words) > 1 else "")


def _namespaces(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    names = tuple(word.text for word in line.arguments_between(1, None, "NAMESPACE…"))
    return _api(settings, namespaces=tuple(dict.fromkeys(settings.api.namespaces + names)))


def _labels(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    return _api(settings, labels=_selector(line))


def _namespace_labels(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    return _api(settings, namespace_labels=_selector(line))


def _pods(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    mode = PodMode(values.choice(line.one_argument("disabled|insecure|verified"), [one.value for one in PodMode]))
    return _api(replace(settings, pods=mode), pods=mode is PodMode.VERIFIED)


def _endpoint_pod_names(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    line.no_arguments()
    return replace(settings, endpoint_pod_names=True)


def _ttl(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    return replace(settings, ttl_seconds=values.integer(lenient.first_argument(line, "SECONDS"), 0, MAX_TTL_SECONDS))


def _noendpoints(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    line.no_arguments()
    return _api(settings, endpoints=False)


def _ignore(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    values.choice(lenient.first_argument(line, "empty_service"), ["empty_service"])
    return replace(settings, ignore_empty_service=True)


def _zonal(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    line.no_arguments()
    return replace(settings, zonal=True)


def _multicluster(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    zones = lenient.zones(line.arguments_between(1, None, "ZONES…"), ())
    return _api(replace(settings, multicluster=(*settings.multicluster, *zones)), imports=True)


def _startup_timeout(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    return _api(settings, startup_timeout_seconds=values.duration_seconds(lenient.first_argument(line, "DURATION")))


def _seconds_or_off(line: Line, least: float) -> float:
    word = line.one_argument("DURATION|off")
    return math.inf if word.text == "off" else values.duration_seconds(word, least)


def _stale_after(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    return _api(settings, stale_after_seconds=_seconds_or_off(line, MIN_STALE_AFTER_SECONDS))


def _audit(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    return _api(settings, audit_seconds=_seconds_or_off(line, MIN_AUDIT_SECONDS))


def _client_limit(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    """Check the number of a limit of CoreDNS's client library, which has no effect there either."""
    values.decimal(line.one_argument("NUMBER"), 0)
    return settings


def _manifests(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    folder = os.path.dirname(line.file)
    paths = (os.path.join(folder, word.text) for word in line.arguments_between(1, None, "PATH…"))
    return replace(settings, manifests=(*settings.manifests, *paths))


def _snapshot(settings: KubernetesSettings, line: Line) -> KubernetesSettings:
    word = line.one_argument("DIR|off")
    folder = "" if word.text == "off" else os.path.join(os.path.dirname(line.file), word.text)
    return replace(settings, snapshot=folder)


OPTIONS = (
    Option("endpoint URL", "the pod's own service account", "The API server.", _endpoint),
    Option(
        "tls CERT KEY CACERT",
        "",
        "With `endpoint`: client certificate, key, and the authority of the server's certificate.",
        _tls,
    ),
    Option(
        "kubeconfig FILE [CONTEXT]", "", "Server and credentials from a kubeconfig; wins over `endpoint`.", _kubeconfig
    ),
    *(
        Option(f"apiserver_{name} NUMBER", "", "Accepted, without effect, as in CoreDNS.", _client_limit, is_dead=True)
        for name in ("qps", "burst", "max_inflight")
    ),
    Option("namespaces NAME…", "all", "Only these exist.", _namespaces),
    Option("labels SELECTOR", "all", "Only Services, EndpointSlices and Pods with these labels.", _labels),
    Option("namespace_labels SELECTOR", "all", "Only these namespaces; excludes `namespaces`.", _namespace_labels),
    Option(
        "pods disabled|insecure|verified",
        "disabled",
        "Names of the form `10-1-2-3.NAMESPACE.pod.ZONE`: none, any address, or those of existing pods.",
        _pods,
    ),
    Option(
        "endpoint_pod_names",
        "off",
        "Endpoints without a hostname are named after their pod, not their address.",
        _endpoint_pod_names,
    ),
    Option("ttl SECONDS", "5", "0 to 3600.", _ttl),
    Option("noendpoints", "off", "Do not watch EndpointSlices; headless Services have no addresses.", _noendpoints),
    Option("ignore empty_service", "off", "A Service without ready endpoints does not exist.", _ignore),
    fallthrough_option("off", "Names that do not exist are the next plugin's, in these zones or in all."),
    Option("startup_timeout DURATION", "5s", "How long the start waits for the first full lists.", _startup_timeout),
    Option(
        "stale_after DURATION|off",
        "10s",
        "Own option: after how long without proof that the objects of a kind are current (an event, or an "
        "acknowledgement of the API server's TCP) names that may exist get SERVFAIL instead of NXDOMAIN and NODATA, "
        "until the API server answers; with `off` never. What is known is answered, marked as stale. At least 5s.",
        _stale_after,
    ),
    Option(
        "audit DURATION|off",
        "5m",
        "Own option: how often all objects' versions are compared with the API server's, to find lost events; at least "
        "10s, up to 10 % sooner or later ([what it costs](operations.md#what-audits-cost)).",
        _audit,
    ),
    Option(
        "multicluster ZONES…",
        "",
        "Of the zones, those that hold ServiceImports (multicluster.x-k8s.io/v1alpha1) instead of Services; an "
        "endpoint is `ENDPOINT.CLUSTER.SERVICE.NAMESPACE.svc.ZONE`.",
        _multicluster,
    ),
    Option(
        "zonal",
        "off",
        "Names such as `ZONE.pin._zone.SERVICE.NAMESPACE.svc` and `ZONE.prefer._zone.…`: the endpoints of a headless "
        "Service in a topology zone, with `prefer` all where it has none.",
        _zonal,
    ),
    Option(
        "snapshot DIR|off",
        "the folder of `-state`",
        "Own option: keep there what is known of the cluster, for a start without the API server; relative to the "
        "Corefile. See [operations.md](operations.md#without-an-api-server).",
        _snapshot,
    ),
    Option(
        "manifests PATH…",
        "",
        "Own option: read YAML and JSON files and folders instead of an API server; relative to the Corefile.",
        _manifests,
    ),
)


def _api(settings: KubernetesSettings, **changes: object) -> KubernetesSettings:
    return replace(settings, api=replace(settings.api, **changes))
